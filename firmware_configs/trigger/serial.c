#include "serial.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/crc16.h>

#define RING 256 /* sent bytes that wait: uint8_t counts it round */
#define HEARD 64 /* received bytes that wait; a power of two */

static volatile char in[HEARD], out[RING];
static volatile uint8_t in_written, in_taken, out_written, out_taken;
static char line[LINE_MAX + 1];
static uint8_t length, too_long;
static uint16_t crc;

ISR(USART_RX_vect)
{
    char byte = UDR0;

    /* Where there is no room the line's checksum will tell. */
    if ((uint8_t)(in_written - in_taken) < HEARD) {
        in[in_written % HEARD] = byte;
        in_written++;
    }
}

ISR(USART_UDRE_vect)
{
    if (out_written == out_taken)
        UCSR0B &= ~_BV(UDRIE0);
    else
        UDR0 = out[out_taken++];
}

static void put(char byte)
{
    while ((uint8_t)(out_written + 1) == out_taken)
        ; /* the interrupt makes room */
    out[out_written] = byte;
    out_written++;
    UCSR0B |= _BV(UDRIE0);
}

void serial_begin(void)
{
    UCSR0A = _BV(U2X0);
    UBRR0 = 16; /* 117647 baud: 2.1 % fast, as every Uno is */
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
    put('\n'); /* ends the line that a reset has cut off */
}

static int8_t hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return -1;
}

/* Whether `line` ends in its own checksum, which is then cut off. */
static bool sound(void)
{
    uint16_t wanted = 0, found = 0;
    uint8_t body, i;

    if (length < 5 || line[length - 5] != '*')
        return false;
    body = length - 5;
    for (i = body + 1; i < length; i++) {
        int8_t digit = hex_digit(line[i]);

        if (digit < 0)
            return false;
        wanted = wanted << 4 | digit;
    }
    for (i = 0; i < body; i++)
        found = _crc_xmodem_update(found, line[i]);
    line[body] = 0;
    return found == wanted;
}

enum heard serial_line(char **text)
{
    while (in_written != in_taken) {
        char byte = in[in_taken % HEARD];
        bool whole;

        in_taken++;
        if (byte != '\n') {
            if (length < LINE_MAX)
                line[length++] = byte;
            else
                too_long = 1;
            continue;
        }
        if (length == 0)
            continue;
        whole = !too_long && sound();
        length = too_long = 0;
        *text = line;
        return whole ? HEARD_LINE : HEARD_DAMAGED;
    }
    return HEARD_NOTHING;
}

bool serial_pending(void)
{
    return in_written != in_taken;
}

bool serial_room(void)
{
    return (uint8_t)(out_taken - out_written - 1) >= SAID_MAX;
}

static void say_byte(char byte)
{
    crc = _crc_xmodem_update(crc, byte);
    put(byte);
}

void say_begin(char kind)
{
    crc = 0;
    say_byte(kind);
}

void say_text(const char *text)
{
    while (*text)
        say_byte(*text++);
}

static void say_digits(uint32_t number, uint8_t digits)
{
    while (digits--) {
        uint8_t digit = (number >> (4 * digits)) & 15;

        say_byte(digit < 10 ? '0' + digit : 'a' - 10 + digit);
    }
}

void say_number(uint32_t number)
{
    uint8_t digits = 1;

    while (digits < 8 && number >> (4 * digits))
        digits++;
    say_byte(' ');
    say_digits(number, digits);
}

void say_clock(uint64_t cycles)
{
    say_byte(' ');
    say_digits(cycles >> 32, 4);
    say_digits(cycles, 8);
}

void say_end(void)
{
    uint16_t sum = crc;

    put('*');
    say_digits(sum, 4);
    put('\n');
}
