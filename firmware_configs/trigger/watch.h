/* The watch: what has to fall when the host is silent, or when it has been high for long enough.
 *
 * It counts milliseconds in an interrupt of its own, so that it also holds when the main loop hangs.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct limits {
    uint16_t silence_ms;      /* after so long without a word everything falls */
    uint16_t line_on_ms;      /* the line is never high for longer */
    uint16_t line_silence_ms; /* after so long without a word the line falls already */
};

enum cut { CUT_NOT, CUT_TIME, CUT_SILENCE };

void watch_begin(void);

/* Silences of 50 ms to 60 s, a line of 1 ms to 10 s. Nothing changes where false. */
bool watch_set(const struct limits *limits);
void watch_limits(struct limits *limits);

/* The host has said something. */
void watch_heard(void);

/* False where the line may not rise: it was cut, and has not been asked to fall since. To ask again
 * while it is high does not lengthen its time. */
bool watch_line(bool high);
bool watch_line_high(void);

/* Why the line was cut, once; CUT_NOT else. */
uint8_t watch_take_cut(void);

#endif
