/*
 * jit_fuzz_test.c — random blocks: emitted code against the interpreter
 *
 * All ops, all mixes of flag producers, destroyers and readers, side exits, faults in the middle, helpers. Registers, flags
 * (at a fault: all four), memory, the calls made, the exit taken must be the same.
 *
 * Environment: DBT_SEED, DBT_COUNT; DBT_DUMP=1 prints every block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/ir/random_testlib.h"
#include "engine/x64/x64_testlib.h"

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);

    return s ? strtoull(s, NULL, 0) : otherwise;
}

/* Flags that nobody may look at any more need not be the same; after a fault all count. */
static uint8_t flags_that_count(const struct test_outcome *o, uint8_t at_exit)
{
    return o->left ? FLAG_ALL : at_exit;
}

static void differ(uint64_t seed, const struct ir_block *b, const struct x64_code *code, const struct test_outcome *x,
                   const struct test_outcome *y)
{
    test_print(b, code);
    for (unsigned r = 0; r < 16; r++)
        if (x->r[r] != y->r[r])
            fprintf(stderr, "r%u: %08x, code %08x\n", r, x->r[r], y->r[r]);
    fprintf(stderr, "nzcv %x, %x; it %x, %x; left %d, %d; exit %d, %d; calls %u, %u; memory %s; env %s; excl %s\n",
            x->nzcv, y->nzcv, x->it, y->it, x->left, y->left, x->exit, y->exit, x->world.nevents, y->world.nevents,
            memcmp(x->world.mem, y->world.mem, TEST_MEM_BYTES) ? "differs" : "same",
            memcmp(x->env, y->env, sizeof x->env) ? "differs" : "same",
            x->excl_state != y->excl_state || x->excl_addr != y->excl_addr || x->excl_val != y->excl_val ? "differs"
                                                                                                         : "same");
    fail_msg("seed %" PRIu64 ": code and interpreter differ", seed);
}

static void compare(uint64_t seed, const struct ir_block *b, const struct x64_code *code, struct test_outcome *x,
                    struct test_outcome *y, uint8_t at_exit)
{
    uint8_t flags = flags_that_count(x, at_exit);

    /* What the code need not keep: which exit it was when that is beyond the table, ITSTATE on normal ways out, where it
     * is 0 in code and the front end's in the interpreter. */
    if (x->exit >= TB_MAX_EXITS)
        x->exit = -1;
    x->loop = y->loop;
    if (!x->left)
        x->it = y->it;
    x->nzcv &= flags;
    y->nzcv &= flags;
    if (memcmp(x, y, sizeof *x))
        differ(seed, b, code, x, y);
}

static uint8_t peek_nothing(void *ctx, uint32_t pc_t)
{
    (void)ctx;
    return (pc_t >> 2) & FLAG_ALL; /* as good a choice of flags as any */
}

/* A guest instruction begins on all paths or on none: emitted code knows pc and ITSTATE from the place. */
static void drop_conditional_insns(struct ir_block *b)
{
    bool wanted[IR_MAX_LABELS] = {false};
    unsigned open = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_ins *in = &b->ins[i];

        switch (in->op) {
        case IR_BR:
        case IR_BRCOND:
        case IR_BRZ:
        case IR_BRNZ:
            open += !wanted[in->imm];
            wanted[in->imm] = true;
            break;
        case IR_LABEL: open -= wanted[in->imm]; break;
        case IR_INSN:
            if (open)
                *in = (struct ir_ins){.op = IR_NOP, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE};
            break;
        default: break;
        }
    }
}

static void run_seeds(uint64_t seed, uint64_t count, bool peek)
{
    static struct ir_block raw, b;
    static struct test_start start;
    static struct test_outcome x, y;
    struct vcpu *v = test_vcpu();
    uint64_t run = 0;

    for (uint64_t k = 0; run < count; k++, seed++) {
        struct rng r;
        rng_seed(&r, seed);
        const struct ir_random_opts o = {
            .max_ops = 3 + rng_below(&r, rng_one_in(&r, 4) ? 60 : 25),
            .base = TEST_BASE,
            .mask = rng_one_in(&r, 3) ? 0 : 0x1fff,
            .calls = rng_one_in(&r, 4),
            .ends_any = true,
            .env_offset = TEST_ENV_OFFSET,
            .env_words = 16,
        };
        ir_random_block(&raw, &r, &o);
        drop_conditional_insns(&raw);
        if (rng_one_in(&r, 2))
            ir_rebuild(&b, &raw);
        else
            b = raw;
        ir_optimise(&b, peek ? peek_nothing : NULL, NULL);
        const char *why = ir_verify(&b);
        if (why)
            fail_msg("seed %" PRIu64 ": %s", seed, why);
        if (test_pressure(&b) > 9) /* no guest instruction comes near */
            continue;
        run++;
        bool no_chain = rng_one_in(&r, 10);
        struct x64_code code;
        test_translate(&b, rng_one_in(&r, 2) ? 2 : 0, no_chain, &test_atomics, &code);
        if (getenv("DBT_DUMP"))
            test_print(&b, &code);
        for (unsigned n = 0; n < 4; n++) {
            test_random_start(&start, &r);
            test_run_interp(v, &b, &start, &x);
            test_run_code(v, &code, &start, &y);
            uint8_t at_exit = FLAG_ALL;
            if (peek && x.exit >= 0)
                at_exit = peek_nothing(NULL, x.r[15]);
            if (no_chain)
                x.exit = y.exit;
            compare(seed, &b, &code, &x, &y, at_exit);
        }
    }
}

static void test_all_flags(void **state)
{
    (void)state;
    uint64_t seed = from_env("DBT_SEED", 1), count = from_env("DBT_COUNT", 20000);

    printf("seed %" PRIu64 ", %" PRIu64 " blocks\n", seed, count);
    run_seeds(seed, count, false);
}

static void test_some_flags(void **state)
{
    (void)state;
    run_seeds(from_env("DBT_SEED", 1) + 1000000, from_env("DBT_COUNT", 20000), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_flags),
        cmocka_unit_test(test_some_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
