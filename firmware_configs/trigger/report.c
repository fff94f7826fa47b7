#include "report.h"

#include <avr/eeprom.h>
#include <avr/io.h>

#include "clock.h"
#include "pins.h"
#include "protocol.h"
#include "pulses.h"
#include "serial.h"
#include "watch.h"

static uint32_t EEMEM boots;
static uint32_t epoch;
static uint32_t every;    /* how many slots to a report, 0: none */
static uint32_t reported; /* slots */
static uint8_t end_told = 1;
static uint16_t edges_told, lost_told;
static uint8_t pulses_due, gate_told;

static void event(const char *kind)
{
    say_begin('!');
    say_text(kind);
    say_number(epoch);
}

void report_begin(void)
{
    epoch = eeprom_read_dword(&boots) + 1;
    eeprom_update_dword(&boots, epoch);
    event("boot");
    say_number(VERSION);
    say_end();
}

uint32_t report_epoch(void)
{
    return epoch;
}

void report_every(uint32_t slots)
{
    every = slots;
}

uint32_t report_interval(void)
{
    return every;
}

void report_train(void)
{
    reported = 0;
    end_told = 0;
}

/* Every `every`-th slot, however many have passed since the last look: none is left out. */
static void report_pulse(const struct progress *progress)
{
    uint32_t behind = progress->slots - (reported + 1);

    event("pulse");
    say_number(reported);
    say_clock(clock_extend(progress->pulse_time) - (uint64_t)behind * pulses_train()->period);
    say_end();
    reported += every;
}

/* An edge with the newest slot before it and the cycles since; slot and cycles are 0 without one. */
static void report_edge(const struct edge *edge, const struct progress *progress)
{
    uint64_t time = clock_extend(edge->time);
    uint32_t slots = progress->slots, since = 0;

    if (slots) {
        int64_t distance = time - clock_extend(progress->pulse_time);

        while (distance < 0 && slots) {
            slots--;
            distance += pulses_train()->period;
        }
        if (slots)
            since = distance > 0xffffffffLL ? 0xffffffff : distance;
    }
    event("edge");
    say_number(edges_told++);
    say_number(edge->level);
    say_clock(time);
    say_number(slots);
    say_number(since);
    say_end();
}

void report_next(void)
{
    struct progress progress;
    struct edge edge;
    uint8_t why, gate;
    uint16_t lost;

    if (!serial_room())
        return;
    pulses_due = !pulses_due; /* neither edges nor pulses keep the other from being told */
    pulses_progress(&progress);
    if (pulses_due && every && progress.slots > reported) {
        report_pulse(&progress);
        return;
    }
    if (clock_edge(&edge)) {
        pulses_progress(&progress); /* newer than the edge */
        report_edge(&edge, &progress);
        clock_take_edge();
        return;
    }
    lost = clock_lost_edges();
    if (lost != lost_told) {
        event("lost");
        say_number(lost);
        say_end();
        lost_told = lost;
        return;
    }
    why = watch_take_cut();
    if (why != CUT_NOT) {
        event("cut");
        say_number(why);
        say_end();
        return;
    }
    gate = (PIND & _BV(PIN_GATE)) != 0;
    if (pulses_train()->gate && gate != gate_told) {
        gate_told = gate;
        event("gate");
        say_number(gate);
        say_number(progress.slots);
        say_end();
        return;
    }
    if (every && progress.slots > reported) {
        report_pulse(&progress);
        return;
    }
    if (!progress.running && !end_told) {
        end_told = 1;
        event("end");
        say_number(progress.ended);
        say_number(progress.slots);
        say_number(progress.held);
        say_end();
    }
}
