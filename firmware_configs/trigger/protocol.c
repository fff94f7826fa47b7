#include "protocol.h"

#include <string.h>

#include "clock.h"
#include "pulses.h"
#include "report.h"
#include "serial.h"
#include "watch.h"

#define ARGUMENTS 9
#define LEAD_MIN 16000UL      /* 1 ms: time enough to prepare */
#define LEAD_MAX 1600000000UL /* 100 s */

static uint8_t start_number;
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
    say_number(report_epoch());
}

static void refuse(uint8_t number, const char *why)
{
    say_begin('-');
    say_number(number);
    say_number(report_epoch());
    say_text(why);
    say_end();
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
    say_number(report_interval());
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
        report_every(value[8]);
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
        report_train();
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
