/*
 * crash.h — when our own invariants break: what the run looked like
 */
#ifndef ENGINE_MAIN_CRASH_H
#define ENGINE_MAIN_CRASH_H

#include "engine/main/options.h"

/* LAUNCH: sets check_failed_hook and takes SIGSEGV, SIGBUS, SIGILL and SIGFPE. r stays valid to the end of the process. */
void crash_init(const struct resolved *r);
/* A vCPU's thread, first and last: the stack that its fatal signals are handled on. */
void crash_thread_enter(void);
void crash_thread_exit(void);

#endif
