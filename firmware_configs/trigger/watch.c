#include "watch.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "pins.h"
#include "pulses.h"

static volatile struct limits limits = {2000, 100, 500};
static volatile uint16_t silent_ms; /* stays at its largest */
static volatile uint16_t line_left_ms;
static volatile uint8_t cut, cut_news;

static inline void line_cut(uint8_t why)
{
    PORTD &= ~_BV(PIN_LINE);
    line_left_ms = 0;
    cut = cut_news = why;
}

/* Every millisecond. */
ISR(TIMER2_COMPA_vect)
{
    uint16_t silent = silent_ms;

    if (silent != 0xffff)
        silent_ms = ++silent;
    if (line_left_ms) {
        if (--line_left_ms == 0)
            line_cut(CUT_TIME);
        else if (silent >= limits.line_silence_ms || silent >= limits.silence_ms)
            line_cut(CUT_SILENCE);
    }
    if (silent == limits.silence_ms)
        pulses_abort(ENDED_SILENCE);
}

void watch_begin(void)
{
    TCCR2A = _BV(WGM21);
    OCR2A = 249; /* 16 MHz / 64 / 250 */
    TCCR2B = _BV(CS22);
    TIMSK2 = _BV(OCIE2A);
}

static bool between(uint16_t value, uint16_t least, uint16_t most)
{
    return value >= least && value <= most;
}

bool watch_set(const struct limits *wanted)
{
    if (!between(wanted->silence_ms, 50, 60000) || !between(wanted->line_on_ms, 1, 10000) ||
        !between(wanted->line_silence_ms, 50, 60000))
        return false;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        limits = *wanted;
    }
    return true;
}

void watch_limits(struct limits *copy)
{
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        *copy = limits;
    }
}

void watch_heard(void)
{
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        silent_ms = 0;
    }
}

bool watch_line(bool high)
{
    bool allowed = true;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        if (!high) {
            PORTD &= ~_BV(PIN_LINE);
            line_left_ms = 0;
            cut = CUT_NOT;
        } else if (cut != CUT_NOT) {
            allowed = false;
        } else if (line_left_ms == 0) {
            PORTD |= _BV(PIN_LINE);
            /* The tick under way counts as a whole one: never longer than the limit. */
            line_left_ms = limits.line_on_ms;
        }
    }
    return allowed;
}

bool watch_line_high(void)
{
    return (PORTD & _BV(PIN_LINE)) != 0;
}

uint8_t watch_take_cut(void)
{
    uint8_t why;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        why = cut_news;
        cut_news = CUT_NOT;
    }
    return why;
}
