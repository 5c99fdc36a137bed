/*
 * console_tty.c — a terminal of the guest's own: raw mode, the keys that are ours, the monitor's line
 */
#include "machines/console_tty.h"

#include <signal.h>
#include <stdatomic.h>
#include <termios.h>
#include <unistd.h>

#include "machines/console.h"

#define ESCAPE ('A' & 0x1f)

static struct {
    bool wanted; /* const after console_start */
    void (*leave)(void);
    bool (*monitor)(const char *line);
    struct termios before;
    int fd;              /* of before; written before active is set */
    _Atomic bool active; /* the terminal is changed. W: main, whoever restores; R: any */
    /* console thread only */
    bool escaped, in_monitor;
    char line[80];
    size_t line_used;
} raw;

void console_raw(void (*leave)(void), bool (*monitor)(const char *line))
{
    raw.wanted = true;
    raw.leave = leave;
    raw.monitor = monitor;
}

void console_restore(void)
{
    if (atomic_exchange_explicit(&raw.active, false, memory_order_acq_rel))
        tcsetattr(raw.fd, TCSANOW, &raw.before);
}

static void restore_and_die(int number)
{
    console_restore();
    signal(number, SIG_DFL);
    raise(number);
}

bool console_tty_begin(int fd)
{
    struct termios t;
    if (!raw.wanted || fd < 0 || !isatty(fd) || tcgetpgrp(fd) != getpgrp() || tcgetattr(fd, &t))
        return false;
    static const int deadly[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
        signal(deadly[i], restore_and_die);
    raw.before = t;
    raw.fd = fd;
    atomic_store_explicit(&raw.active, true, memory_order_release);
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(fd, TCSANOW, &t); /* output keeps its line ends: what we say has them */
    return true;
}

void console_monitor_print(const char *text)
{
    console_put(text, strlen(text));
}

static void monitor_key(unsigned char ch)
{
    if (ch == '\r' || ch == '\n') {
        raw.line[raw.line_used] = 0;
        raw.line_used = 0;
        console_monitor_print("\n");
        raw.in_monitor = raw.monitor(raw.line);
        if (raw.in_monitor)
            console_monitor_print("(dbtlab) ");
    } else if ((ch == 8 || ch == 127) && raw.line_used) {
        raw.line_used--;
        console_monitor_print("\b \b");
    } else if (ch >= ' ' && ch < 127 && raw.line_used < sizeof raw.line - 1) {
        raw.line[raw.line_used++] = (char)ch;
        console_put(&ch, 1);
    }
}

size_t console_tty_keys(unsigned char *buf, size_t bytes)
{
    size_t left = 0;
    if (!atomic_load_explicit(&raw.active, memory_order_acquire))
        return bytes;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char ch = buf[i];
        if (raw.escaped) {
            raw.escaped = false;
            if (ch == 'x' || ch == 'X') {
                raw.leave();
            } else if ((ch == 'c' || ch == 'C') && raw.monitor) {
                raw.in_monitor = !raw.in_monitor;
                raw.line_used = 0;
                console_monitor_print(raw.in_monitor ? "\n(dbtlab) " : "\n");
            } else if (ch == ESCAPE || ch == 'a') {
                buf[left++] = ESCAPE;
            }
        } else if (ch == ESCAPE) {
            raw.escaped = true;
        } else if (raw.in_monitor) {
            monitor_key(ch);
        } else {
            buf[left++] = ch;
        }
    }
    return left;
}
