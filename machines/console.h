/*
 * console.h — the guest's way to the user: one output stream, one input stream
 *
 * UART0 and semihosting share both. What one call writes stays together. A device never waits for
 * the terminal: output is queued and written by the console thread. Input is read only after
 * someone has asked for it (console_want_input), so that a program that never reads leaves the
 * host's stdin alone.
 */
#ifndef MACHINES_CONSOLE_H
#define MACHINES_CONSOLE_H

#include "engine/base/base.h"

/* LAUNCH. -1: none. input_ready (may be NULL) is called by the console thread without any lock when
 * there is input, and at its end. */
void console_setup(int fd_in, int fd_out);
void console_on_input(void (*input_ready)(void *), void *opaque);
/* LAUNCH. Until then, and after console_stop, output is written directly by the caller. */
bool console_start(struct error *e);
/* Write what is queued, tell waiters, end the thread. What comes later is written at once. Any thread but the console's; device lock not held. */
void console_stop(void);

/* LAUNCH, before console_start. If input comes from a terminal, its keys go to the guest as they are, Ctrl-C too, and Ctrl-A is
 * ours: Ctrl-A x calls leave, Ctrl-A c turns to the monitor and back, Ctrl-A Ctrl-A (or a) is a Ctrl-A for the guest. The
 * monitor gets a line and answers with console_monitor_print(); false turns back to the guest. Both are called by
 * the console thread without any lock. */
void console_raw(void (*leave)(void), bool (*monitor)(const char *line));
void console_monitor_print(const char *text);
/* Give the terminal back as it was. Any thread, signal handlers. */
void console_restore(void);

/* Any thread, with or without the device lock; does not wait. Returns false if there is no room (the
 * reader of our output is far behind): nothing is taken then. */
bool console_put(const void *buf, size_t bytes);
bool console_has_room(void);

/* Any thread: begin to read the host's input. */
void console_want_input(void);
/* Any thread, does not wait: up to max bytes; 0: none now. */
size_t console_get(void *buf, size_t max);
/* The same, and it is asked for; 0 and not *ended: none yet, and the waiters will be told. */
size_t console_get_or_ask(void *buf, size_t max, bool *ended);
/* LAUNCH. What tells those to try again that console_put() or console_get_or_ask() has sent away: the console's thread calls it without
 * any lock, once for all of them. Nobody waits in here, so a vCPU that waits is asleep and holds nobody up. */
void console_on_wait(void (*try_again)(void));

#endif
