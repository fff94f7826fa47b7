/* What the host is told without having asked: pulses, edges, ends; README.md has the table. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

/* A new epoch, one a boot, and the word that it has begun. */
void report_begin(void);
uint32_t report_epoch(void);

/* Every so many slots one is told, 0: none. */
void report_every(uint32_t slots);
uint32_t report_interval(void);

/* A train is about to start: its slots are told from 0 on. */
void report_train(void);

/* Tell one thing that has happened, if there is room for it. */
void report_next(void);

#endif
