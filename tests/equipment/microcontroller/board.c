/* An Arduino Uno in software: the trigger's ELF under libsimavr, its pins and its serial port.
 *
 *     board ELF CYCLES             events from stdin, as fast as it goes, to the given cycle
 *     board ELF pty [uno]          a pseudo-terminal, in real time, commands from stdin
 *     board BOOTLOADER.hex pty uno     a new board: nothing in it but its bootloader
 *
 * stdin, first form, in the order of time: `CYCLE uart HEX` sends bytes, `CYCLE pin B0 1` drives an input,
 * `CYCLE reset` is the reset button.
 * stdout: `CYCLE B1 1` an output changed, `CYCLE C 3f` the whole of port C did, `CYCLE tx 0a` a byte was sent.
 *
 * Second form: `pin B0 1`, `wire` (from output A to the TTL input), `reset`, `unplug` (the terminal goes away),
 * `pulses` (prints how often B1 rose, and the real time of its first rise in ns); the end of stdin ends it.
 * With `uno`, opening the terminal resets the board, which then is deaf for a while as in its bootloader.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <avr_extint.h>
#include <avr_ioport.h>
#include <avr_timer.h>
#include <avr_uart.h>
#include <sim_avr.h>
#include <sim_elf.h>
#include <sim_hex.h>

#define HZ 16000000ULL
#define BYTE_CYCLES 1389 /* ten bits at 115200 baud */
#define BOOTLOADER_NS 300000000LL

static avr_t *avr;
static avr_irq_t *uart_in;
static unsigned char queue[1 << 16]; /* bytes on their way into the board */
static uint16_t queue_written, queue_taken;
static int feeding, wired, log_pins = 1, master = -1;
static unsigned long rises;
static long long first_rise_ns;
static avr_cycle_count_t match_cycle;

/* Real time, CLOCK_MONOTONIC, at a cycle. */
static long long origin_ns;
static avr_cycle_count_t origin_cycle;

static long long real_time_of(avr_cycle_count_t cycle)
{
    return origin_ns + (long long)(cycle - origin_cycle) * 125 / 2;
}

static void no_sleep(avr_t *a, avr_cycle_count_t cycles)
{
    (void)a, (void)cycles; /* simulated time only */
}

static void quiet(avr_t *a, const int level, const char *format, va_list list)
{
    (void)a;
    if (level <= LOG_ERROR)
        vfprintf(stderr, format, list);
}

static void drive(const char *pin, int level);

/* An output pin, or the whole of port C: logged when it changes, at the cycle of the compare unit that did it. */
struct output {
    const char *name;
    uint32_t level;
};

static void on_pin(avr_irq_t *irq, uint32_t value, void *param)
{
    struct output *output = param;

    (void)irq;
    value &= output->name[1] ? 1 : 0x3f;
    if (output->level == value)
        return;
    output->level = value;
    if (value && strcmp(output->name, "B1") == 0 && rises++ == 0)
        first_rise_ns = real_time_of(match_cycle);
    if (wired && strcmp(output->name, "B1") == 0)
        drive("B0", value);
    if (log_pins)
        printf("%llu %s %x\n", (unsigned long long)(match_cycle ? match_cycle : avr->cycle), output->name, value);
}

static void on_sent(avr_irq_t *irq, uint32_t value, void *unused)
{
    unsigned char byte = value;

    (void)irq, (void)unused;
    if (master < 0)
        printf("%llu tx %02x\n", (unsigned long long)avr->cycle, byte);
    else
        (void)!write(master, &byte, 1);
}

static avr_cycle_count_t feed(avr_t *a, avr_cycle_count_t when, void *unused)
{
    (void)a, (void)unused;
    if (queue_taken == queue_written) {
        feeding = 0;
        return 0;
    }
    avr_raise_irq(uart_in, queue[queue_taken++]);
    return when + BYTE_CYCLES;
}

static void send(unsigned char byte)
{
    queue[queue_written++] = byte;
    if (!feeding) {
        feeding = 1;
        avr_cycle_timer_register(avr, BYTE_CYCLES, feed, NULL);
    }
}

static avr_ioport_external_t ports[2] = {{.name = 'B'}, {.name = 'D'}}; /* what is driven from outside */

static void drive(const char *pin, int level)
{
    avr_ioport_external_t *port = &ports[pin[0] == 'D'];
    int mask = 1 << (pin[1] - '0');

    /* It stays driven when the firmware writes another pin of the port. */
    port->mask |= mask;
    port->value = level ? port->value | mask : port->value & ~mask;
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(pin[0]), port);
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(pin[0]), pin[1] - '0'), level);
}

/* Timer1's compare units, normal mode, no prescaler, by the data sheet. simavr 1.6 begins the timer anew
 * whenever a compare or control register is written, so these are taken out of its hands; counter, overflow,
 * input capture and interrupts stay its own. */
#define TIFR1 0x36
#define TCCR1A 0x80
#define TCCR1B 0x81
#define RUNS 0x1f /* mode and clock in TCCR1B */
#define TCCR1C 0x82
static const avr_io_addr_t compare_register[2] = {0x88, 0x8a}; /* low bytes of OCR1A, OCR1B */
static avr_timer_t *timer;

static void drive_output(int unit)
{
    int com = avr->data[TCCR1A] >> (6 - 2 * unit) & 3;

    if (com == avr_timer_com_clear || com == avr_timer_com_set)
        avr_raise_irq(timer->io.irq + TIMER_IRQ_OUT_COMP + unit,
                      AVR_IOPORT_OUTPUT | (com == avr_timer_com_set));
}

static avr_cycle_count_t on_match(avr_t *a, avr_cycle_count_t when, void *param)
{
    int unit = (intptr_t)param;

    avr_raise_interrupt(a, &timer->comp[unit].interrupt);
    match_cycle = when; /* the CPU may be some cycles further, in the middle of an instruction */
    drive_output(unit);
    match_cycle = 0;
    return when + 65536;
}

static void on_compare_written(avr_t *a, avr_io_addr_t addr, uint8_t low, void *param)
{
    uint16_t compare, count = a->cycle - timer->tov_base, distance;

    a->data[addr] = low;
    compare = low | a->data[addr + 1] << 8;
    distance = compare + 1 - count; /* the pin and the flag follow one cycle after equality */
    avr_cycle_timer_cancel(a, on_match, param);
    avr_cycle_timer_register(a, distance ? distance : 65536, on_match, param);
}

static void (*begin_timer)(avr_t *a, avr_io_addr_t addr, uint8_t value, void *param);

static void on_control_written(avr_t *a, avr_io_addr_t addr, uint8_t value, void *param)
{
    if (addr == TCCR1B && (a->data[addr] ^ value) & RUNS) {
        begin_timer(a, addr, value, param);
        timer->comp[0].comp_cycles = timer->comp[1].comp_cycles = 0;
    }
    a->data[addr] = value;
}

static void on_forced(avr_t *a, avr_io_addr_t addr, uint8_t value, void *unused)
{
    (void)a, (void)addr, (void)unused;
    for (int unit = 0; unit < 2; unit++)
        if (value & (0x80 >> unit))
            drive_output(unit);
}

/* A 1 clears its flag and no other; simavr 1.6 forgets the other compare unit's too. */
static void on_flags_written(avr_t *a, avr_io_addr_t addr, uint8_t value, void *unused)
{
    avr_int_vector_t *vectors[] = {&timer->overflow, &timer->comp[0].interrupt, &timer->comp[1].interrupt, &timer->icr};

    (void)addr, (void)unused;
    for (int i = 0; i < 4; i++)
        if (value & vectors[i]->raised.mask << vectors[i]->raised.bit)
            avr_clear_interrupt(a, vectors[i]);
}

static void take_compare_units(void)
{
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (strcmp(io->kind, "timer") == 0 && ((avr_timer_t *)io)->name == '1')
            timer = (avr_timer_t *)io;
    for (intptr_t unit = 0; unit < 2; unit++) {
        avr->io[AVR_DATA_TO_IO(compare_register[unit])].w.c = on_compare_written;
        avr->io[AVR_DATA_TO_IO(compare_register[unit])].w.param = (void *)unit;
    }
    begin_timer = avr->io[AVR_DATA_TO_IO(TCCR1B)].w.c;
    avr->io[AVR_DATA_TO_IO(TCCR1A)].w.c = on_control_written;
    avr->io[AVR_DATA_TO_IO(TCCR1B)].w.c = on_control_written;
    avr->io[AVR_DATA_TO_IO(TCCR1C)].w.c = on_forced;
    avr->io[AVR_DATA_TO_IO(TIFR1)].w.c = on_flags_written;
}

static int bootloader; /* runs at every reset, by the fuses */

static void load_bootloader(const char *hex)
{
    ihex_chunk_p chunks;

    if (read_ihex_chunks(hex, &chunks) < 1)
        exit(2);
    memset(avr->flash, 0xff, avr->flashend + 1);
    memcpy(avr->flash + chunks[0].baseaddr, chunks[0].data, chunks[0].size);
    avr->pc = avr->reset_pc = chunks[0].baseaddr;
    avr->codeend = avr->flashend;
    bootloader = 1;
}

static void begin(const char *program)
{
    static struct output outputs[] = {{"B1", 0}, {"B2", 0}, {"D3", 0}, {"D4", 0}, {"C", 0}};
    elf_firmware_t firmware = {0};
    uint32_t flags = 0;

    avr_global_logger_set(quiet);
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    avr->frequency = HZ;
    avr->sleep = no_sleep;
    if (strcmp(program + strlen(program) - 4, ".hex") == 0)
        load_bootloader(program);
    else if (elf_read_firmware(program, &firmware) == 0)
        avr_load_firmware(avr, &firmware);
    else
        exit(2);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    uart_in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_sent, NULL);
    for (int i = 0; i < 5; i++) {
        const char *name = outputs[i].name;
        int pin = name[1] ? name[1] - '0' : IOPORT_IRQ_PIN_ALL;

        avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(name[0]), pin), on_pin, &outputs[i]);
    }
    take_compare_units();
    for (int number = 0; number < 2; number++) /* else looked at every cycle, though no interrupt is enabled */
        avr_extint_set_strict_lvl_trig(avr, number, 0);
    drive("B0", 1); /* as with nothing connected: pulled up */
    drive("D2", 1);
}

static avr_cycle_count_t wake(avr_t *a, avr_cycle_count_t when, void *unused)
{
    (void)a, (void)when, (void)unused;
    return 0;
}

static void run_to(avr_cycle_count_t until)
{
    if (until > avr->cycle)
        avr_cycle_timer_register(avr, until - avr->cycle, wake, NULL); /* else it sleeps beyond */
    while (avr->cycle < until) {
        int state = avr_run(avr);

        if (state == cpu_Done || state == cpu_Crashed) {
            fprintf(stderr, "the microcontroller stopped at cycle %llu\n", (unsigned long long)avr->cycle);
            exit(1);
        }
    }
}

static void drive_again(const char *pin)
{
    int level = ports[pin[0] == 'D'].value >> (pin[1] - '0') & 1;

    drive(pin, !level);
    drive(pin, level);
}

static void reset(void)
{
    avr_reset(avr);
    for (int i = 0; i < avr->interrupts.vector_count; i++)
        avr->interrupts.vector[i]->pending = 0; /* its queue is emptied, its marks are not */
    drive_again("B0"); /* simavr has forgotten the levels, and takes changes only */
    drive_again("D2");
    queue_taken = queue_written;
}

static void scripted(avr_cycle_count_t end)
{
    static char line[1 << 16], word[1 << 16];
    unsigned long long when;
    int level;

    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%llu uart %65535s", &when, word) == 2) {
            run_to(when);
            for (char *digits = word; digits[0] && digits[1]; digits += 2) {
                char pair[3] = {digits[0], digits[1], 0};

                send(strtoul(pair, NULL, 16));
            }
        } else if (sscanf(line, "%llu pin %2s %d", &when, word, &level) == 3) {
            run_to(when);
            drive(word, level);
        } else if (sscanf(line, "%llu %9s", &when, word) == 2 && strcmp(word, "reset") == 0) {
            run_to(when);
            reset();
        } else {
            fprintf(stderr, "no such event: %s", line);
            exit(2);
        }
    }
    run_to(end);
}

static long long real_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Without a bootloader of its own, it is deaf for as long as one would be. */
static void reset_uno(void)
{
    struct timespec nap = {0, BOOTLOADER_NS};

    reset();
    avr_regbit_set(avr, avr->reset_flags.extrf);
    if (bootloader)
        return;
    nanosleep(&nap, NULL);
    tcflush(master, TCIFLUSH);
    origin_ns = real_ns();
    origin_cycle = avr->cycle;
}

static void obey(char *line)
{
    char pin[3];
    int level;

    if (sscanf(line, "pin %2s %d", pin, &level) == 2)
        drive(pin, level);
    else if (strncmp(line, "reset", 5) == 0)
        reset_uno();
    else if (strncmp(line, "unplug", 6) == 0 && master >= 0) {
        close(master);
        master = open("/dev/null", O_RDWR);
    } else if (strncmp(line, "wire", 4) == 0) {
        wired = 1;
        drive("B0", 0);
    } else if (strncmp(line, "pulses", 6) == 0) {
        printf("%lu %lld\n", rises, first_rise_ns);
    }
}

static void on_terminal(int uno)
{
    struct termios raw;
    int slave, opened = 0, plugged = 1;
    char line[256];

    log_pins = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (openpty(&master, &slave, line, NULL, NULL) != 0)
        exit(2);
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    close(slave);
    fcntl(master, F_SETFL, O_NONBLOCK);
    fcntl(0, F_SETFL, O_NONBLOCK);
    printf("%s\n", line);
    origin_ns = real_ns();
    origin_cycle = avr->cycle;
    for (;;) {
        struct pollfd terminal = {.fd = master, .events = POLLIN};
        unsigned char bytes[256];
        long long ahead;
        ssize_t count;

        run_to(avr->cycle + HZ / 1000);
        count = read(0, line, sizeof line - 1);
        if (count == 0)
            return;
        if (count > 0) {
            char *rest = line, *one;

            line[count] = 0;
            while ((one = strsep(&rest, "\n")))
                if (*one) {
                    plugged = plugged && strncmp(one, "unplug", 6) != 0;
                    obey(one);
                }
        }
        if (plugged) {
            poll(&terminal, 1, 0);
            if (!opened && !(terminal.revents & POLLHUP)) {
                opened = 1;
                if (uno)
                    reset_uno();
            } else if (terminal.revents & POLLHUP) {
                opened = 0;
            }
            count = opened ? read(master, bytes, sizeof bytes) : 0;
            for (ssize_t i = 0; i < count; i++)
                send(bytes[i]);
        }
        ahead = real_time_of(avr->cycle) - real_ns();
        if (ahead > 0) {
            struct timespec nap = {0, ahead};

            nanosleep(&nap, NULL);
        } else if (ahead < -500000000) {
            /* Held up: its clock goes slow rather than racing after. */
            origin_ns = real_ns();
            origin_cycle = avr->cycle;
        }
    }
}

int main(int count, char **words)
{
    if (count < 3)
        return 2;
    begin(words[1]);
    if (strcmp(words[2], "pty") == 0)
        on_terminal(count > 3 && strcmp(words[3], "uno") == 0);
    else
        scripted(strtoull(words[2], NULL, 10));
    fflush(stdout);
    return 0;
}
