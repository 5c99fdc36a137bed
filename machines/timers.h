/*
 * timers.h — virtual time, its timer thread and the device lock (declared in machine.h)
 *
 * The thread sleeps until the earliest deadline, takes the device lock and calls back. Virtual time
 * starts at 0 with the first question for it and never stops or goes back, not even over a reset of
 * the machine: devices that count from reset keep their own origin.
 */
#ifndef MACHINES_TIMERS_H
#define MACHINES_TIMERS_H

#include "machines/machine.h"

/* LAUNCH, after machine_type.create. Returns false with e filled when the host gives no thread. */
bool timers_start(struct error *e);
/* Any thread but the timer thread, device lock not held. After it no callback runs. */
void timers_stop(void);
/* Device lock held: disarms every timer. Part of a machine's reset. */
void timers_reset(void);

/* Manual time, for tests: virtual time stands still but for timers_advance(), which runs the
 * callbacks that come due, in order of their deadlines, each at its own time. No thread is needed. */
void timers_manual(uint64_t start_ns);
void timers_advance(uint64_t ns); /* device lock not held */

#endif
