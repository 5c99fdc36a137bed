/*
 * atomics_testlib.h — a machine under an atomics scheme whose hooks are called from the test's thread, one after the other
 */
#ifndef STRATEGIES_ATOMICS_ATOMICS_TESTLIB_H
#define STRATEGIES_ATOMICS_ATOMICS_TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/ir/ir.h"
#include "engine/mem/mem_testlib.h"
#include "engine/sync/sync.h"
#include "strategies/atomics/atomics.h"

/* test_machine() with 1 MiB of RAM, under the scheme in `atomics`. */
void test_atomics_up(unsigned cpus);
void test_atomics_down(void);

extern unsigned test_stops; /* quiescent sections that were asked for by AS() since test_atomics_up() */

/* Run an expression as vCPU i's instruction: it may leave to have something done in quiescence, and is then restarted. */
#define AS(i, expr)                                   \
 do {                                                 \
  struct vcpu *v = current_vcpu = vcpus[i];           \
  if (setjmp(v->leave)) {                             \
   assert_int_equal(v->leave_reason, LEAVE_SAFEWORK); \
   test_stops++;                                      \
   sync_safe_work(NULL, v->leave_work, v->leave_arg); \
  }                                                   \
  expr;                                               \
 } while (0)

/* By the scheme's hooks, as vCPU i. mem: MEM_*. */
uint64_t load_link(unsigned i, gva va, uint32_t mem);
bool store_cond(unsigned i, gva va, uint64_t val, uint32_t mem);
void clear_monitor(unsigned i);

#endif
