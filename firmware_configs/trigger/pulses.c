#include "pulses.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#include "clock.h"
#include "gray.h"
#include "pins.h"

/* A distance beyond NEAR is approached in steps whose matches change nothing. */
#define STEP 32768U
#define NEAR 49152UL

/* From reading the counter for the last time to writing the group, on average. */
#define GROUP_WRITE 8

/* COM bits of output A; B's are two places further down. */
#define CLEAR _BV(COM1A1)
#define SET (_BV(COM1A1) | _BV(COM1A0))
#define B_SHIFT 2

struct output {
    uint32_t high, low; /* cycles from the rising edge to the falling one, and back */
    uint32_t time;      /* low half of the clock at the next match */
    uint32_t left;      /* cycles from the next match to the edge; 0: the next match is the edge */
    uint32_t slot;      /* of the pulse being prepared or given */
    uint8_t level;      /* between the edges of a pulse: 1, whether or not the gate let it out */
    uint8_t out;        /* the gate lets this slot out */
    uint8_t com;        /* COM bits in place */
    uint8_t active;
};

static struct train train = {.period = 160000, .a = {0, 16000}, .b = {0, 16000}, .group = GROUP_PINS};
/* All of this belongs to the interrupts, and to the main program only while they are held off. */
static struct output a, b;
static uint32_t slots, held, pulse_time, last;
static uint8_t ended;
static uint8_t led_next; /* in the slot that A prepares */
static uint8_t gate_slot[2], gate_open[2]; /* what was decided for the last two slots */

/* One decision a slot, whichever output asks first. */
static inline uint8_t slot_open(uint8_t slot)
{
    uint8_t place = slot & 1;

    if (!train.gate)
        return 1;
    if (gate_slot[place] != slot) {
        gate_slot[place] = slot;
        gate_open[place] = (PIND & _BV(PIN_GATE)) != 0;
    }
    return gate_open[place];
}

/* Prepare the next match, `left` cycles or a step towards it after the one at `time`. False: too late. */
static inline __attribute__((always_inline)) bool prepare(struct output *o, volatile uint16_t *ocr,
                                                          uint8_t shift)
{
    uint16_t before = o->time, step;
    uint32_t left = o->left;
    uint8_t level = o->level;

    if (left > NEAR) {
        step = STEP;
        left -= STEP;
    } else {
        step = left;
        left = 0;
        if (!level)
            o->out = slot_open(o->slot);
        level = !level;
    }
    o->left = left;
    o->time += step;
    o->com = (level && o->out ? SET : CLEAR) >> shift;
    *ocr = before + step;
    TCCR1A = a.com | b.com;
    return (uint16_t)(TCNT1 - before) < step;
}

/* The match at `time` was an edge: which one, and how far it is to the next. False after the last. */
static inline __attribute__((always_inline)) bool turn(struct output *o)
{
    o->level = !o->level;
    if (o->level) {
        o->left = o->high;
        return true;
    }
    o->left = o->low;
    return ++o->slot != last;
}

ISR(TIMER1_COMPA_vect)
{
    uint16_t match = OCR1A;
    uint8_t more = 1;

    if (a.left == 0) {
        uint8_t rises = !a.level, group = rises && a.out ? train.group : 0, led = led_next;

        /* However late this interrupt was, the group is not: it always waits for the same cycle. */
        while ((uint16_t)(TCNT1 - match) < GROUP_LAG - GROUP_WRITE)
            ;
        PORTC = group;
        if (rises) {
            if (led)
                PORTD |= _BV(PIN_LED);
            else
                PORTD &= ~_BV(PIN_LED);
            slots = a.slot + 1;
            pulse_time = a.time;
            if (!a.out)
                held++;
        }
        more = turn(&a);
        if (!rises)
            led_next = gray_led(a.slot);
    }
    if (!more) {
        a.active = 0;
        TIMSK1 &= ~_BV(OCIE1A);
        if (ended == ENDED_NOT)
            ended = ENDED_BURST;
    } else if (!prepare(&a, &OCR1A, 0)) {
        pulses_abort(ENDED_LATE);
    }
    clock_listen_again();
}

ISR(TIMER1_COMPB_vect)
{
    if (b.left == 0 && !turn(&b)) {
        b.active = 0;
        TIMSK1 &= ~_BV(OCIE1B);
    } else if (!prepare(&b, &OCR1B, B_SHIFT)) {
        pulses_abort(ENDED_LATE);
    }
    clock_listen_again();
}

static bool fits(const struct pulse *pulse, uint32_t period)
{
    /* Written so that nothing overflows. */
    return pulse->width >= SHORTEST && pulse->width < period && pulse->delay < period &&
           pulse->delay + pulse->width + SHORTEST <= period;
}

bool pulses_set(const struct train *wanted)
{
    if (wanted->period < PERIOD_MIN || wanted->period > PERIOD_MAX || !fits(&wanted->a, wanted->period))
        return false;
    if (wanted->b.width != 0 && !fits(&wanted->b, wanted->period))
        return false;
    if ((wanted->group & ~GROUP_PINS) || wanted->gate > 1)
        return false;
    train = *wanted;
    return true;
}

const struct train *pulses_train(void)
{
    return &train;
}

static void begin(struct output *o, const struct pulse *pulse, uint32_t now, uint32_t lead)
{
    o->high = pulse->width;
    o->low = train.period - pulse->width;
    o->time = now;
    o->left = lead + pulse->delay;
    o->slot = 0;
    o->level = 0;
    o->com = 0;
    o->active = pulse->width != 0;
}

uint32_t pulses_start(uint32_t lead)
{
    uint32_t first;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        uint32_t now = clock_now();
        uint8_t mask = 0;

        slots = held = 0;
        last = train.burst;
        ended = ENDED_NOT;
        gate_slot[0] = 1; /* undecided: an odd slot never has the even place */
        gate_slot[1] = 0;
        led_next = gray_led(0);
        begin(&a, &train.a, now, lead);
        begin(&b, &train.b, now, lead);
        first = now + lead + train.a.delay;
        prepare(&a, &OCR1A, 0);
        mask = _BV(OCIE1A);
        if (b.active) {
            prepare(&b, &OCR1B, B_SHIFT);
            mask |= _BV(OCIE1B);
        }
        TIFR1 = _BV(OCF1A) | _BV(OCF1B);
        TIMSK1 |= mask;
    }
    return first;
}

/* Slots that an output has given once the pulse is over that it gives or has prepared. */
static inline uint32_t committed(struct output *o)
{
    return o->slot + (o->level || o->left == 0);
}

uint32_t pulses_stop(void)
{
    uint32_t end;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        if (a.active && ended == ENDED_NOT) {
            ended = ENDED_ASKED;
            last = committed(&a);
            if (b.active && committed(&b) > last)
                last = committed(&b);
            if (a.slot == last) {
                a.active = 0;
                TIMSK1 &= ~_BV(OCIE1A);
            }
            if (b.active && b.slot == last) {
                b.active = 0;
                TIMSK1 &= ~_BV(OCIE1B);
            }
        }
        end = a.active ? last : slots;
    }
    return end;
}

void pulses_abort(uint8_t why)
{
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        TIMSK1 &= ~(_BV(OCIE1A) | _BV(OCIE1B));
        /* Strobed low, so that the compare units hold no level for the next start; then handed back
         * to the port, which is low. */
        TCCR1A = CLEAR | CLEAR >> B_SHIFT;
        TCCR1C = _BV(FOC1A) | _BV(FOC1B);
        TCCR1A = 0;
        PORTB &= ~(_BV(PIN_A) | _BV(PIN_B));
        PORTC = 0;
        PORTD &= ~_BV(PIN_LED);
        if (a.active || b.active)
            ended = why;
        a.active = b.active = 0;
    }
}

void pulses_progress(struct progress *progress)
{
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        progress->running = a.active || b.active;
        progress->ended = ended;
        progress->slots = slots;
        progress->held = held;
        progress->pulse_time = pulse_time;
    }
}
