/*
 * x64_testlib.h — a vCPU, a bit of memory and stand-ins for all C functions, for running blocks
 *
 * Memory: pages from TEST_BASE on. The first is in the flat tables, the second only behind the slow path, and parts of the
 * second fault. The same functions serve the interpreter and, by struct x64_calls, emitted code.
 */
#ifndef ENGINE_X64_X64_TESTLIB_H
#define ENGINE_X64_X64_TESTLIB_H

#include "engine/base/rng.h"
#include "engine/ir/ir.h"
#include "engine/x64/x64.h"

enum { TEST_BASE = 0x40000000, TEST_PAGES = 2, TEST_MEM_BYTES = (TEST_PAGES + 1) * 4096, TEST_EXITS = 64 };

struct test_event {
    uint32_t helper, a, b, c;
};

/* What blocks can change besides the vCPU. */
struct test_world {
    uint8_t mem[TEST_MEM_BYTES];
    struct test_event events[64];
    unsigned nevents;
};
extern struct test_world test_world;
extern unsigned test_slow_calls;                     /* slow paths taken */
extern const struct atomics_ops test_atomics;        /* twins only */
extern const struct atomics_ops test_atomics_inline; /* and emitters: compare-and-swap */

struct vcpu *test_vcpu(void);      /* one vCPU, stubs built, code memory mapped; once */
extern struct code_span test_span; /* code memory */
extern struct tb *test_tb;

/* Everything that a run may be compared by. */
struct test_outcome {
    uint32_t r[16], it, nzcv, q, excl_state, excl_addr;
    uint64_t excl_val, env[16];
    bool left, loop;
    int exit;
    struct test_world world;
};
#define TEST_ENV_OFFSET offsetof(struct vcpu, counters[64])

struct test_start {
    uint32_t r[16], nzcv;
    struct test_world world;
};
void test_random_start(struct test_start *s, struct rng *r);
/* A value of the kind that finds mistakes. */
uint32_t test_number(struct rng *r);

/* Blocks side by side, each in its place, for what goes from one to the other. */
struct test_block {
    struct ir_block ir;
    struct x64_code code;
    struct code_span span;
    struct tb *tb;
    uint32_t pc;
};
/* IR that was built with ir_begin(&t->ir)...; place: 0..63. */
void test_place(struct test_block *t, unsigned place, uint32_t pc, uint32_t flags);
const uint8_t *test_entry(const struct test_block *t, uint32_t offset);
void test_link(struct test_block *t, unsigned exit, const uint8_t *target); /* NULL: unlink */
/* Asked at jump cache misses. */
extern const void *(*test_find)(struct vcpu *v, uint32_t pc_t);

void test_run_interp(struct vcpu *v, const struct ir_block *b, const struct test_start *s, struct test_outcome *o);
/* Translate; CHECKs that it fits the bound. flags: TBF_*. */
void test_translate(const struct ir_block *b, uint32_t flags, bool no_chain, const struct atomics_ops *atomics,
                    struct x64_code *code);
void test_run_code(struct vcpu *v, const struct x64_code *code, const struct test_start *s, struct test_outcome *o);

/* At most this many values are live at once (constants excepted). */
unsigned test_pressure(const struct ir_block *b);
void test_print(const struct ir_block *b, const struct x64_code *code);

#endif
