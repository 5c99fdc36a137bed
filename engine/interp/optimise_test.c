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

#include "engine/arm/helpers.h"
#include "engine/interp/interp.h"
#include "engine/ir/random_testlib.h"
#include "engine/mem/softmmu.h"
#include "engine/vcpu/vcpu_alloc.h"

/* -- Stand-ins for what lies above -------------------------------------------------------------------- */

enum { BASE = 0x40000000, FLAT_PAGES = 1, PAGES = 2, MEM_BYTES = (PAGES + 1) * 4096 };

struct event {
    uint32_t helper, a, b, c;
};
static struct world {
    uint8_t mem[MEM_BYTES];
    struct event events[4096];
    unsigned nevents;
} world;

static uint64_t mix(uint64_t h, uint64_t x)
{
    uint64_t s = h ^ (x * UINT64_C(0x9e3779b97f4a7c15));
    return rng_splitmix(&s);
}

/* Do whatever the attributes allow, depending on whatever they say is read. */
static uint64_t stand_in(struct vcpu *v, unsigned id, uint32_t a, uint32_t b, uint32_t c)
{
    const struct ir_helper_info *h = &ir_helper_info[id];
    world.events[world.nevents++ % ARRAY_SIZE(world.events)] = (struct event){id, a, b, c};
    uint64_t x = mix(mix(mix(id, a), b), c);
    if (h->reads_regs)
        for (unsigned r = 0; r < 15; r++)
            x = mix(x, v->r[r]);
    if (h->reads_flags)
        x = mix(x, (uint64_t)v->nf << 3 | v->zf << 2 | v->cf << 1 | v->vf);
    if (h->writes_regs)
        v->r[x % 15] = (uint32_t)(x >> 8);
    if (h->writes_flags) {
        v->nf = x >> 40 & 1;
        v->cf = x >> 41 & 1;
    }
    if (h->leaves && (x >> 50) % 16 == 0)
        vcpu_leave(v, LEAVE_EXCEPTION);
    return x;
}

#define VALUES_0                                  0, 0, 0
#define VALUES_1                                  a, 0, 0
#define VALUES_2                                  a, b, 0
#define VALUES_3                                  a, b, c
#define RESULT_OF(function, ...)                  __typeof__(function(__VA_ARGS__))
#define HELPER(id, function, args, result, attrs) HELPER_##args(id, function)
#define HELPER_0(id, f)                                          \
 RESULT_OF(f, NULL) f(HELPER_ARGS_0)                             \
 {                                                               \
  return (RESULT_OF(f, NULL))stand_in(v, HELPER_##id, VALUES_0); \
 }
#define HELPER_1(id, f)                                             \
 RESULT_OF(f, NULL, 0) f(HELPER_ARGS_1)                             \
 {                                                                  \
  return (RESULT_OF(f, NULL, 0))stand_in(v, HELPER_##id, VALUES_1); \
 }
#define HELPER_2(id, f)                                                \
 RESULT_OF(f, NULL, 0, 0) f(HELPER_ARGS_2)                             \
 {                                                                     \
  return (RESULT_OF(f, NULL, 0, 0))stand_in(v, HELPER_##id, VALUES_2); \
 }
#define HELPER_3(id, f)                                                   \
 RESULT_OF(f, NULL, 0, 0, 0) f(HELPER_ARGS_3)                             \
 {                                                                        \
  return (RESULT_OF(f, NULL, 0, 0, 0))stand_in(v, HELPER_##id, VALUES_3); \
 }
#include "engine/ir/helpers.def"
#undef HELPER

/* The second page is not in the flat tables; parts of it are not there at all. */
static uint8_t *slow_host(struct vcpu *v, gva va)
{
    if ((va & 0xf0) == 0x40)
        vcpu_leave(v, LEAVE_EXCEPTION);
    return world.mem + (va - BASE);
}

uint32_t slow_load(struct vcpu *v, gva va, uint32_t mem)
{
    uint32_t x = 0;
    unsigned bytes = 1u << (mem & MEM_SIZE);
    memcpy(&x, slow_host(v, va), bytes);
    return mem & MEM_SIGNED ? (uint32_t)sext(x, 8 * bytes) : x;
}

uint64_t slow_load64(struct vcpu *v, gva va, uint32_t mem)
{
    uint64_t x;
    (void)mem;
    memcpy(&x, slow_host(v, va), 8);
    return x;
}

void slow_store(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    memcpy(slow_host(v, va), &val, 1u << (mem & MEM_SIZE));
}

void slow_store64(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    (void)mem;
    memcpy(slow_host(v, va), &val, 8);
}

void slow_ldm(struct vcpu *v, gva va, uint32_t nwords)
{
    memcpy(v->mbuf, slow_host(v, va), 4 * nwords);
}

void slow_stm(struct vcpu *v, gva va, uint32_t nwords)
{
    memcpy(slow_host(v, va), v->mbuf, 4 * nwords);
}

/* -- The comparison ----------------------------------------------------------------------------------- */

struct outcome {
    uint32_t r[16], it, nzcv, env[32];
    bool left, loop;
    struct world world;
};

static uint32_t initial_regs[16], initial_nzcv;
static struct world initial_world;

static void run(struct vcpu *v, const struct ir_block *b, struct outcome *out)
{
    memcpy(v->r, initial_regs, sizeof v->r);
    v->r[15] = 0x8000;
    v->thumb = 0;
    v->it = 0;
    v->nf = initial_nzcv >> 3 & 1;
    v->zf = initial_nzcv >> 2 & 1;
    v->cf = initial_nzcv >> 1 & 1;
    v->vf = initial_nzcv & 1;
    memset(v->spill, 0x5a, sizeof v->spill);
    world = initial_world;
    v->cpsr = MODE_SVC;
    current_vcpu = v;

    memset(out, 0, sizeof *out);
    if (!setjmp(v->leave))
        out->loop = interp_run(v, b, NULL).loop;
    else
        out->left = true;
    memcpy(out->r, v->r, sizeof v->r);
    out->it = v->it;
    out->nzcv = v->nf << 3 | v->zf << 2 | v->cf << 1 | v->vf;
    memcpy(out->env, v->spill, sizeof v->spill);
    out->world = world;
}

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s\n", text);
}

static void compare(struct vcpu *v, uint64_t seed, const struct ir_block *raw, const struct ir_block *opt)
{
    static struct outcome x, y;
    run(v, raw, &x);
    run(v, opt, &y);
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
            memcmp(x.world.mem, y.world.mem, MEM_BYTES) ? "differs" : "same",
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
    struct error e = {0};
    assert_true(vcpu_alloc(0, &e));
    struct vcpu *v = vcpus[0];
    for (unsigned p = 0; p < FLAT_PAGES; p++) {
        uint64_t entry = (uint64_t)(uintptr_t)world.mem - BASE;
        v->flat.load[MMU_PRIV][(BASE >> 12) + p] = entry;
        v->flat.store[MMU_PRIV][(BASE >> 12) + p] = entry;
    }

    uint64_t seed = from_env("DBT_SEED", 1), count = from_env("DBT_COUNT", 20000);
    printf("seeds %" PRIu64 " to %" PRIu64 "\n", seed, seed + count - 1);
    for (uint64_t k = 0; k < count; k++, seed++) {
        struct rng r;
        rng_seed(&r, seed);
        const struct ir_random_opts o = {
            .max_ops = 4 + rng_below(&r, 120),
            .base = BASE,
            .mask = 0x1fff,
            .calls = rng_one_in(&r, 2),
            .ends_any = true,
            .env_offset = offsetof(struct vcpu, spill),
            .env_words = 16,
        };
        for (unsigned i = 0; i < 15; i++)
            initial_regs[i] = rng_one_in(&r, 3) ? rng_below(&r, 64) : rng_u32(&r);
        initial_nzcv = rng_below(&r, 16);
        for (unsigned i = 0; i < MEM_BYTES; i += 8) {
            uint64_t x = rng_u64(&r);
            memcpy(initial_world.mem + i, &x, 8);
        }
        ir_random_block(&raw, &r, &o);
        const char *why = ir_verify(&raw);
        if (why)
            fail_msg("seed %" PRIu64 ": generated: %s", seed, why);
        ir_rebuild(&opt, &raw);
        why = ir_verify(&opt);
        if (why)
            fail_msg("seed %" PRIu64 ": built: %s", seed, why);
        compare(v, seed, &raw, &opt);
        ir_optimise(&opt, NULL, NULL);
        why = ir_verify(&opt);
        if (why)
            fail_msg("seed %" PRIu64 ": optimised: %s", seed, why);
        compare(v, seed, &raw, &opt);
    }
    vcpu_free_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
