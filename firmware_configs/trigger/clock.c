#include "clock.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "pins.h"

#define EDGES 16 /* a power of two */

static volatile uint32_t wraps; /* of Timer1, every 65536 cycles */
static volatile struct edge edges[EDGES];
static volatile uint8_t written, taken; /* edges, modulo 256 */
static volatile uint16_t lost;

ISR(TIMER1_OVF_vect)
{
    wraps++;
}

/* Wraps at the moment when the counter stood at `count`, less than half a wrap ago. Interrupts off. */
static inline uint32_t wraps_at(uint16_t count)
{
    uint32_t high = wraps;

    if ((TIFR1 & _BV(TOV1)) && count < 0x8000)
        high++;
    return high;
}

static inline __attribute__((always_inline)) void keep_edge(uint16_t count, uint8_t level)
{
    volatile struct edge *edge = &edges[written % EDGES];

    if ((uint8_t)(written - taken) >= EDGES) {
        /* Not one more interrupt until there is room. */
        TIMSK1 &= ~_BV(ICIE1);
        lost++;
        return;
    }
    edge->time = (wraps_at(count) << 16) | count;
    edge->level = level;
    written++;
}

ISR(TIMER1_CAPT_vect)
{
    uint16_t count = ICR1;
    uint8_t rising = TCCR1B & _BV(ICES1);

    TCCR1B ^= _BV(ICES1);
    TIFR1 = _BV(ICF1); /* changing the sense may set it */
    keep_edge(count, rising != 0);
    /* Back already, before the sense was changed? Then the way back was not captured: its time is now. */
    if (((PINB & _BV(PIN_TTL)) != 0) != (rising != 0) && !(TIFR1 & _BV(ICF1))) {
        TCCR1B ^= _BV(ICES1);
        keep_edge(TCNT1, rising == 0);
    }
    if (TIFR1 & TIMSK1 & (_BV(OCF1A) | _BV(OCF1B)) && TIMSK1 & _BV(ICIE1)) {
        TIMSK1 &= ~_BV(ICIE1);
        GPIOR0 |= EDGES_WAIT;
    }
}

static void listen(void)
{
    /* The sense follows the level, whatever was missed meanwhile. */
    if (PINB & _BV(PIN_TTL))
        TCCR1B &= ~_BV(ICES1);
    else
        TCCR1B |= _BV(ICES1);
    TIFR1 = _BV(ICF1);
    TIMSK1 |= _BV(ICIE1);
}

void clock_begin(void)
{
    TCCR1A = 0;
    TCCR1B = _BV(ICNC1) | _BV(CS10); /* every CPU cycle; an edge has to last four of them */
    TIMSK1 = _BV(TOIE1);
    listen();
}

uint64_t clock_now(void)
{
    uint32_t high;
    uint16_t low;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        low = TCNT1;
        high = wraps_at(low);
    }
    return ((uint64_t)high << 16) | low;
}

uint64_t clock_extend(uint32_t time)
{
    uint64_t now = clock_now();

    return now - (uint32_t)((uint32_t)now - time);
}

bool clock_edge(struct edge *edge)
{
    if (written == taken)
        return false;
    edge->time = edges[taken % EDGES].time;
    edge->level = edges[taken % EDGES].level;
    return true;
}

void clock_take_edge(void)
{
    taken++;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        if (!(TIMSK1 & _BV(ICIE1)) && !(GPIOR0 & EDGES_WAIT))
            listen();
    }
}

uint16_t clock_lost_edges(void)
{
    uint16_t count;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        count = lost;
    }
    return count;
}
