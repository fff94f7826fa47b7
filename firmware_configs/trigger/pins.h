/* Which pin does what. README.md has the wiring. */
#ifndef PINS_H
#define PINS_H

#include <avr/io.h>

/* Port B belongs to Timer1. Nothing writes PORTB while pulses come: the compare unit drives the pins. */
#define PIN_TTL PB0 /* D8, ICP1: input, stamped by the timer */
#define PIN_A PB1   /* D9, OC1A: trigger output A */
#define PIN_B PB2   /* D10, OC1B: trigger output B */

/* Port C: the group, up to six more trigger outputs (A0 to A5), written together. */
#define GROUP_PINS 0x3f

#define PIN_GATE PD2 /* D2: input, high lets pulses out */
#define PIN_LINE PD3 /* D3: closed-loop output */
#define PIN_LED PD4  /* D4: pulse count as Gray code, for the cameras */

/* Outputs low, inputs pulled up. The first thing that happens after a reset. */
static inline void pins_begin(void)
{
    PORTC = 0;
    DDRC = GROUP_PINS;
    PORTB = _BV(PIN_TTL);
    DDRB = _BV(PIN_A) | _BV(PIN_B);
    PORTD = _BV(PIN_GATE);
    DDRD = _BV(PIN_LINE) | _BV(PIN_LED);
}

#endif
