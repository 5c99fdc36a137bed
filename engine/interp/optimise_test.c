/*
 * optimise_test.c — folding and the passes change nothing that can be seen: random blocks, run both ways
 *
 * Each random block runs as generated and after builder and ir_optimise. Registers, all flags, memory, the calls made with
 * their arguments, and where the block ends must be the same, also when a memory access or a helper
 * leaves in the middle. Helpers are stand-ins that do what their row's attributes allow.
 *
 * Environment: DBT_SEED, DBT_COUNT.
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

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s\n", text);
}

static void compare(struct vcpu *v, uint64_t seed, const struct test_start *start, const struct ir_block *raw,
                    const struct ir_block *opt)
{
    static struct test_outcome x, y;
    test_run_interp(v, raw, start, &x);
    test_run_interp(v, opt, start, &y);
    x.exit = y.exit = 0; /* their numbers change with the exits that go; r15 says which it was */
    if (!memcmp(&x, &y, sizeof x))
        return;
    fprintf(stderr, "seed %" PRIu64 ": differs\nas generated:\n", seed);
    ir_print(raw, print_line, NULL);
    fprintf(stderr, "optimised:\n");
    ir_print(opt, print_line, NULL);
    for (unsigned r = 0; r < 16; r++)
        if (x.r[r] != y.r[r])
            fprintf(stderr, "r%u: %08x, optimised %08x\n", r, x.r[r], y.r[r]);
    fprintf(stderr, "nzcv %x, %x; it %x, %x; left %d, %d; loop %d, %d; calls %u, %u; memory %s; env %s\n", x.nzcv,
            y.nzcv, x.it, y.it, x.left, y.left, x.loop, y.loop, x.world.nevents, y.world.nevents,
            memcmp(x.world.mem, y.world.mem, TEST_MEM_BYTES) ? "differs" : "same",
            memcmp(x.env, y.env, sizeof x.env) ? "differs" : "same");
    fail_msg("seed %" PRIu64, seed);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);
    return s ? strtoull(s, NULL, 0) : otherwise;
}

static void test_random_blocks(void **state)
{
    (void)state;
    static struct ir_block raw, opt;
    static struct test_start start;
    struct vcpu *v = test_vcpu();

    uint64_t seed = from_env("DBT_SEED", 1), count = from_env("DBT_COUNT", 20000);
    printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + count - 1);
    for (uint64_t k = 0; k < count; k++, seed++) {
        struct rng r;
        rng_seed(&r, seed);
        const struct ir_random_opts o = {
            .max_ops = 4 + rng_below(&r, 120),
            .base = TEST_BASE,
            .mask = 0x1fff,
            .calls = rng_one_in(&r, 2),
            .ends_any = true,
            .env_offset = TEST_ENV_OFFSET,
            .env_words = 16,
        };
        test_random_start(&start, &r);
        ir_random_block(&raw, &r, &o);
        const char *why = ir_verify(&raw);
        if (why)
            fail_msg("seed %" PRIu64 ": generated: %s", seed, why);
        ir_rebuild(&opt, &raw);
        why = ir_verify(&opt);
        if (why)
            fail_msg("seed %" PRIu64 ": built: %s", seed, why);
        compare(v, seed, &start, &raw, &opt);
        ir_optimise(&opt, NULL, NULL);
        why = ir_verify(&opt);
        if (why)
            fail_msg("seed %" PRIu64 ": optimised: %s", seed, why);
        compare(v, seed, &start, &raw, &opt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
