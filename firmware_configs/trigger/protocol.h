/* What the host may ask and what it is told; README.md has the table. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

/* Raised whenever a line changes its meaning; the host refuses another one. */
#define VERSION 1

void protocol_begin(void);

/* Answer what the host has said; tell what has happened. True where something was done. */
void protocol_answer(void);
void protocol_report(void);

#endif
