/* The clock: Timer1 counts CPU cycles without end, and stamps the edges of the TTL input. */
#ifndef CLOCK_H
#define CLOCK_H

#include <avr/io.h>
#include <stdbool.h>
#include <stdint.h>

struct edge {
    uint32_t time; /* low half of the clock */
    uint8_t level; /* after the edge */
};

void clock_begin(void);

/* CPU cycles since boot. 48 bits are told to the host: half a year. */
uint64_t clock_now(void);

/* The same for a low half that lies less than four minutes back. */
uint64_t clock_extend(uint32_t time);

/* The oldest edge not yet taken, without taking it; false where there is none. */
bool clock_edge(struct edge *edge);
void clock_take_edge(void);

/* Edges that found the queue full: they came faster than the serial line can tell of them. */
uint16_t clock_lost_edges(void);

/* An input that oscillates must not hold up the pulses: an edge lets a pulse's interrupt go first, which
 * at its end lets edges in again. */
#define EDGES_WAIT 1 /* in GPIOR0 */

static inline void clock_listen_again(void)
{
    if (GPIOR0 & EDGES_WAIT) {
        GPIOR0 &= ~EDGES_WAIT;
        TIMSK1 |= _BV(ICIE1);
    }
}

#endif
