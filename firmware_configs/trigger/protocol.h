/* What the host may ask; README.md has the table. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

/* Raised whenever a line changes its meaning; the host refuses another one. */
#define VERSION 1

/* Answer a line of the host, if one has come. */
void protocol_answer(void);

#endif
