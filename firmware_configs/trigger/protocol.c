#include "protocol.h"

#include <avr/eeprom.h>
#include <avr/io.h>
#include <string.h>

#include "clock.h"
#include "pins.h"
#include "pulses.h"
#include "serial.h"
#include "watch.h"

#define ARGUMENTS 9
#define LEAD_MIN 16000UL      /* 1 ms: time enough to prepare */
#define LEAD_MAX 1600000000UL /* 100 s */

static uint32_t EEMEM boots;
static uint32_t epoch;    /* one a boot */
static uint32_t every;    /* how many slots to a report, 0: none */
static uint32_t reported; /* slots */
static uint8_t end_told = 1;
static uint16_t edges_told, lost_told;
static uint8_t pulses_due, gate_told, start_number;
static uint32_t first_time;

static char *word(char **rest)
{
    char *begin = *rest;

    while (**rest && **rest != ' ')
        (*rest)++;
    if (**rest)
        *(*rest)++ = 0;
    return begin;
}

/* A number of one to eight lower-case digits, and nothing else. */
static bool number_of(const char *text, uint32_t *number)
{
    uint8_t digits = 0;

    *number = 0;
    for (; *text; text++) {
        uint8_t digit = *text >= 'a' ? *text - 'a' + 10 : *text - '0';

        if (++digits > 8 || digit > 15 || (*text > '9' && *text < 'a'))
            return false;
        *number = *number << 4 | digit;
    }
    return digits > 0;
}

static void answer_begin(uint8_t number)
{
    say_begin('=');
    say_number(number);
    say_number(epoch);
}

static void refuse(uint8_t number, const char *why)
{
    say_begin('-');
    say_number(number);
    say_number(epoch);
    say_text(why);
    say_end();
}

static void event(const char *kind)
{
    say_begin('!');
    say_text(kind);
    say_number(epoch);
}

static void say_settings(uint8_t number)
{
    const struct train *train = pulses_train();

    answer_begin(number);
    say_number(train->period);
    say_number(train->a.delay);
    say_number(train->a.width);
    say_number(train->b.delay);
    say_number(train->b.width);
    say_number(train->group);
    say_number(train->burst);
    say_number(train->gate);
    say_number(every);
    say_end();
}

static void say_limits(uint8_t number)
{
    struct limits limits;

    watch_limits(&limits);
    answer_begin(number);
    say_number(limits.silence_ms);
    say_number(limits.line_on_ms);
    say_number(limits.line_silence_ms);
    say_end();
}

static void set(uint8_t number, const uint32_t *value, bool running)
{
    struct train train = {
        .period = value[0],
        .a = {value[1], value[2]},
        .b = {value[3], value[4]},
        .group = value[5],
        .burst = value[6],
        .gate = value[7],
    };

    if (running) {
        refuse(number, " running");
    } else if (value[5] > 255 || value[7] > 255 || !pulses_set(&train)) {
        refuse(number, " range");
    } else {
        every = value[8];
        say_settings(number);
    }
}

static void limit(uint8_t number, const uint32_t *value)
{
    struct limits limits = {value[0], value[1], value[2]};

    if (value[0] > 0xffff || value[1] > 0xffff || value[2] > 0xffff || !watch_set(&limits))
        refuse(number, " range");
    else
        say_limits(number);
}

static void start(uint8_t number, uint32_t lead, bool running)
{
    uint64_t now;

    /* Asked again under the same number, because the answer was lost: the same answer. */
    if (!running || number != start_number) {
        if (running) {
            refuse(number, " running");
            return;
        }
        if (lead < LEAD_MIN || lead > LEAD_MAX) {
            refuse(number, " range");
            return;
        }
        start_number = number;
        reported = 0;
        end_told = 0;
        first_time = pulses_start(lead);
    }
    answer_begin(number);
    now = clock_now();
    say_clock(now + (int32_t)(first_time - (uint32_t)now)); /* most likely it lies ahead */
    say_end();
}

static void beat(uint8_t number, const struct progress *progress)
{
    answer_begin(number);
    say_clock(clock_now());
    say_number(progress->running);
    say_number(progress->slots);
    say_number(progress->held);
    say_number(clock_lost_edges());
    say_number(watch_line_high());
    say_end();
}

static void command(char *text)
{
    uint32_t number = 0, value[ARGUMENTS];
    uint8_t count = 0;
    struct progress progress;
    char *verb;

    if (!number_of(word(&text), &number) || number > 255) {
        refuse(0, " number");
        return;
    }
    verb = word(&text);
    while (*text) {
        if (count == ARGUMENTS || !number_of(word(&text), &value[count])) {
            refuse(number, " arguments");
            return;
        }
        count++;
    }
    watch_heard();
    pulses_progress(&progress);

#define VERB(name, arguments) (strcmp(verb, name) == 0 && count == (arguments))
    if (VERB("version", 0)) {
        answer_begin(number);
        say_text(" rigpose-trigger");
        say_number(VERSION);
        say_number(F_CPU);
        say_end();
    } else if (VERB("set", 9)) {
        set(number, value, progress.running);
    } else if (VERB("get", 0)) {
        say_settings(number);
    } else if (VERB("limit", 3)) {
        limit(number, value);
    } else if (VERB("start", 1)) {
        start(number, value[0], progress.running);
    } else if (VERB("stop", 0)) {
        answer_begin(number);
        say_number(pulses_stop());
        say_number(progress.held);
        say_end();
    } else if (VERB("beat", 0)) {
        beat(number, &progress);
    } else if (VERB("line", 1) && value[0] <= 1) {
        if (watch_line(value[0])) {
            answer_begin(number);
            say_number(value[0]);
            say_end();
        } else {
            refuse(number, " cut");
        }
    } else {
        refuse(number, " command");
    }
#undef VERB
}

void protocol_begin(void)
{
    epoch = eeprom_read_dword(&boots) + 1;
    eeprom_update_dword(&boots, epoch);
    event("boot");
    say_number(VERSION);
    say_end();
}

void protocol_answer(void)
{
    char *text;

    switch (serial_line(&text)) {
    case HEARD_LINE:
        command(text);
        break;
    case HEARD_DAMAGED:
        refuse(0, " checksum");
        break;
    default:
        break;
    }
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

void protocol_report(void)
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
