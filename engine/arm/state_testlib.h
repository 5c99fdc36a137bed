/*
 * state_testlib.h — one vCPU with RAM and real page tables, for the tests of the system side
 *
 * Functions of the layers above (tb/, sync/, strategies) are weak fakes, so that the whole program may be linked in.
 */
#ifndef ENGINE_ARM_STATE_TESTLIB_H
#define ENGINE_ARM_STATE_TESTLIB_H

#include "engine/arm/arm.h"
#include "engine/arm/cp15.h"
#include "engine/arm/helpers.h"
#include "engine/arm/state.h"
#include "engine/mem/softmmu.h"

#define TEST_RAM       0x80000000u
#define TEST_RAM_BYTES (4u << 20)

/* Reset into Supervisor mode, A I F set, pc 0x80001000. */
struct vcpu *test_vcpu(void);
void test_vcpu_free(void);

/* Run an expression; true if it left by vcpu_leave(). */
#define LEFT(v, expr) \
 ({ \
volatile bool left_ = true; \
if (!setjmp((v)->leave)) { \
(void)(expr); \
left_ = false; \
} \
left_; \
 })

void put32(gpa at, uint32_t val);
void put64(gpa at, uint64_t val);

/* What the fakes saw; unchanged when the real ones are linked. */
extern unsigned fake_clears, fake_icache, fake_broadcasts, fake_events;
extern void (*fake_broadcast_fn)(struct vcpu *v, uintptr_t arg);
extern uintptr_t fake_broadcast_arg;
bool fakes_in_use(void);

#endif
