/* The pulse train: outputs A and B by Timer1's compare units, the group and the LED beside A.
 *
 * Slot n begins n periods after the start. Output A rises `delay` cycles later and falls `width`
 * cycles after that, by hardware, at exactly that cycle; so does B with figures of its own. The
 * group and the LED follow A's edges GROUP_LAG cycles later, written by the interrupt.
 */
#ifndef PULSES_H
#define PULSES_H

#include <stdbool.h>
#include <stdint.h>

/* The shortest high or low time: twice what both interrupts take together. */
#define SHORTEST 1600UL /* 100 us */
/* Fastest 5 kHz, slowest one pulse in 100 s. */
#define PERIOD_MIN 3200UL
#define PERIOD_MAX 1600000000UL
/* From A's edge to the group's: longer than any other interrupt can hold this one up. */
#define GROUP_LAG 256 /* 16 us */

struct pulse {
    uint32_t delay; /* cycles */
    uint32_t width; /* cycles; 0: output B stays low */
};

struct train {
    uint32_t period; /* cycles */
    struct pulse a, b;
    uint8_t group;  /* mask of group outputs that follow A */
    uint32_t burst; /* slots, 0: until stopped */
    uint8_t gate;   /* 1: a slot whose gate input is low stays dark */
};

enum ended { ENDED_NOT, ENDED_ASKED, ENDED_BURST, ENDED_SILENCE, ENDED_LATE };

struct progress {
    bool running;
    uint8_t ended;       /* why, once it has; `enum ended` */
    uint32_t slots;      /* begun since the start */
    uint32_t held;       /* of them held back by the gate */
    uint32_t pulse_time; /* low half of the clock at A's rising edge of the newest slot */
};

/* Whether these figures make a train; nothing changes where they do not. Not while it runs. */
bool pulses_set(const struct train *train);
const struct train *pulses_train(void);

/* Slot 0 begins `lead` cycles from now; the low half of the clock at A's first rising edge. */
uint32_t pulses_start(uint32_t lead);

/* A pulse begun, or prepared already, is finished; then no more. How many slots there will have been. */
uint32_t pulses_stop(void);

/* Every trigger output low, at once. Also from interrupts. */
void pulses_abort(uint8_t why);

void pulses_progress(struct progress *progress);

#endif
