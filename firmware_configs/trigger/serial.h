/* Lines over the serial port, 115200 baud, each with a checksum: `BODY*CRC` and a line feed.
 *
 * CRC is CRC-16/XMODEM of BODY, four hexadecimal digits. Numbers are hexadecimal.
 */
#ifndef SERIAL_H
#define SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#define LINE_MAX 96 /* bytes of a line from the host */
#define SAID_MAX 80 /* bytes of a line to the host, at most */

enum heard { HEARD_NOTHING, HEARD_LINE, HEARD_DAMAGED };

void serial_begin(void);

/* The next whole line from the host, without checksum, as a string that lives until the next call.
 * Empty lines are passed over. */
enum heard serial_line(char **line);

/* Whether a whole line can be said without waiting. */
bool serial_room(void);
/* Whether something has come in since it was all taken. */
bool serial_pending(void);

/* A line to the host, piece by piece. Where there is no room these wait. */
void say_begin(char kind);
void say_text(const char *text);
void say_number(uint32_t number); /* after a space */
void say_clock(uint64_t cycles);  /* after a space: 48 bits */
void say_end(void);

#endif
