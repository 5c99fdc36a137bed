/*
 * sync_testlib.h — vCPUs that run no guest, for the tests of engine/sync
 *
 * Their loop is the smallest that keeps the rules of sync.h: safepoint when wanted, an RCU quiescent state when asked.
 */
#ifndef ENGINE_SYNC_SYNC_TESTLIB_H
#define ENGINE_SYNC_SYNC_TESTLIB_H

#include <unistd.h>

#include "engine/sync/sync.h"

#define N 4 /* vCPUs */

/* Wait for what others will bring about. A busy host may leave a thread alone for long: the bound is for what never comes. */
#define LIMIT_MS 60000
#define UNTIL(cond)                                     \
 do {                                                   \
  unsigned waited_ms_ = 0;                              \
  while (!(cond) && waited_ms_++ < LIMIT_MS)            \
   usleep(1000);                                        \
  if (!(cond))                                          \
   fail_msg("%s: not in %u s", #cond, LIMIT_MS / 1000); \
 } while (0)

extern _Atomic uint64_t passes[N]; /* of the loop, by each vCPU */
/* A test sets in_section in a section of its own; a vCPU in its loop then counts a violation of S1. */
extern _Atomic unsigned in_section, inside_loop, violations;

/* Set-up and tear-down of a test: N vCPUs, no threads. */
int loops_set_up(void **state);
int loops_tear_down(void **state);
/* Threads that run the loop, with fn, or NULL, in each pass. */
void loops_start(void (*fn)(struct vcpu *v));
void loops_stop(void);
/* Is vCPU i in WFI, WFE, or switched off? */
bool asleep(unsigned i);
/* Has each vCPU counted that much? */
bool in_each(const _Atomic uint64_t count[N], uint64_t least);

#endif
