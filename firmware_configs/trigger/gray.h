/* The pulse count as light: one LED, one state a slot.
 *
 * A word takes 32 slots and says which word it is, word w = slot / 32, in 13 bits of reflected binary
 * Gray code:
 *
 *     place   0   1 2 3   4 5    6 7        8 9        ...   30 31
 *     LED     off on on on off off  bit 12     bit 11           bit 0
 *
 * A bit takes two slots: on, off is 1 and off, on is 0. So three slots on in a row are found in the
 * head only, and place 1 of a word is slot 32 w + 1. The count starts again after 262144 slots.
 */
#ifndef GRAY_H
#define GRAY_H

#include <stdint.h>

/* The LED in a slot. Asked for every slot in turn, beginning with 0. */
static inline uint8_t gray_led(uint32_t slot)
{
    static uint16_t code; /* the bits still to come, the next one on top */
    uint8_t place = slot & 31, top;

    if (place == 0) {
        uint16_t word = slot >> 5;

        code = (word ^ (word & 0x1fff) >> 1) << 3;
    }
    if (place < 6)
        return place >= 1 && place <= 3;
    top = code >> 15;
    if (place & 1) {
        code <<= 1;
        return !top;
    }
    return top;
}

#endif
