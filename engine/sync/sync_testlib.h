/*
 * sync_testlib.h — vCPUs that run no guest, for the tests of engine/sync
 *
 * Their loop is the smallest that keeps the rules of sync.h: safepoint when wanted, an RCU quiescent state when asked.
 */
#ifndef ENGINE_SYNC_SYNC_TESTLIB_H
#define ENGINE_SYNC_SYNC_TESTLIB_H

#include "engine/sync/sync.h"

#define N 4 /* vCPUs */

extern _Atomic uint64_t passes[N]; /* of the loop, by each vCPU */
/* A test sets in_section in a section of its own; a vCPU in its loop then counts a violation of S1. */
extern _Atomic unsigned in_section, inside_loop, violations;

/* Set-up and tear-down of a test: N vCPUs, no threads. */
int loops_set_up(void **state);
int loops_tear_down(void **state);
/* Threads that run the loop, with fn, or NULL, in each pass. */
void loops_start(void (*fn)(struct vcpu *v));
void loops_stop(void);

#endif
