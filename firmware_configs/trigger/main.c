/* The trigger of a rig: pulses for cameras, on an ATmega328P at 16 MHz (Arduino Uno or Nano). */
#include <avr/interrupt.h>
#include <avr/sleep.h>
#include <avr/wdt.h>

#include "clock.h"
#include "pins.h"
#include "protocol.h"
#include "report.h"
#include "serial.h"
#include "watch.h"

int main(void)
{
    pins_begin();
    MCUSR = 0; /* a bootloader may have left the watchdog running */
    wdt_disable();
    clock_begin();
    watch_begin();
    serial_begin();
    sei();
    report_begin();
    set_sleep_mode(SLEEP_MODE_IDLE);
    for (;;) {
        protocol_answer();
        report_next();
        /* Something comes every millisecond at least: the watch's own interrupt. */
        cli();
        if (serial_pending()) {
            sei();
        } else {
            sleep_enable();
            sei();
            sleep_cpu();
            sleep_disable();
        }
    }
}
