/* churn.c — generates and runs many distinct functions, some anew in each pass.
 *
 * Forces: code memory that fills up, eviction and reuse, translation speed; with a code memory
 *   smaller than the set every pass overflows it.
 * Parameters: funcs=2000 (1..16384 on each CPU), insns=24 (2..60 a function), passes=4, regen=8
 *   (every so many functions are rewritten between passes; 0: none).
 * Metrics: roi_ns, funcs_per_s (calls, all CPUs together).
 * Self-check: the functions' results are computed beside them in C.
 */
#include "gen.h"

RT_GUEST("churn");

#define MAX_FUNCS 16384
#define SLOT      256
static uint8_t code[RT_MAX_CPUS][MAX_FUNCS][SLOT] ALIGNED(4096);
static uint32_t seeds[RT_MAX_CPUS][MAX_FUNCS];
static uint32_t funcs, insns, passes, regen;
static struct {
    uint32_t got, want;
    uint32_t pad[RT_LINE / 4 - 2];
} result[RT_MAX_CPUS] ALIGNED(64);

static void build(uint8_t *p, uint32_t seed)
{
    uint8_t *start = p;
    for (uint32_t i = 0; i < insns; i += 2) {
        uint32_t r = rt_rand(&seed);
        gen_put(&p, gen_movw(1, r >> 16));
        gen_put(&p, r & 1 ? gen_add(0, 0, 1) : gen_eor(0, 0, 1));
    }
    gen_put(&p, gen_bx(14));
    rt_sync_code(start, (size_t)(p - start));
}

static uint32_t model(uint32_t x, uint32_t seed)
{
    for (uint32_t i = 0; i < insns; i += 2) {
        uint32_t r = rt_rand(&seed);
        x = r & 1 ? x + (r >> 16) : x ^ r >> 16;
    }
    return x;
}

static void work(unsigned cpu, void *arg)
{
    uint32_t x = 1, seed = cpu + 1;
    (void)arg;
    for (uint32_t f = 0; f < funcs; f++) {
        seeds[cpu][f] = rt_rand(&seed);
        build(code[cpu][f], seeds[cpu][f]);
    }
    for (uint32_t pass = 0; pass < passes; pass++) {
        for (uint32_t f = 0; f < funcs; f++)
            x = gen_callable(code[cpu][f])(x, 0, 0, 0);
        for (uint32_t f = regen ? pass % regen : funcs; f < funcs; f += regen) {
            seeds[cpu][f] = rt_rand(&seed);
            build(code[cpu][f], seeds[cpu][f]);
        }
    }
    result[cpu].got = x;
}

/* The same without the generated code, after the measured part. */
static void check(unsigned cpu, void *arg)
{
    uint32_t x = 1, seed = cpu + 1;
    (void)arg;
    for (uint32_t f = 0; f < funcs; f++)
        seeds[cpu][f] = rt_rand(&seed);
    for (uint32_t pass = 0; pass < passes; pass++) {
        for (uint32_t f = 0; f < funcs; f++)
            x = model(x, seeds[cpu][f]);
        for (uint32_t f = regen ? pass % regen : funcs; f < funcs; f += regen)
            seeds[cpu][f] = rt_rand(&seed);
    }
    result[cpu].want = x;
}

void guest_main(void)
{
    funcs = rt_param("funcs", 2000);
    insns = rt_param("insns", 24);
    passes = rt_param("passes", 4);
    regen = rt_param("regen", 8);
    if (funcs < 1 || funcs > MAX_FUNCS || insns < 2 || insns > 60)
        rt_fail("funcs must be 1..%u, insns 2..60", MAX_FUNCS);
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_parallel(check, NULL);
    rt_printf("funcs %u insns %u passes %u regen %u: %08x\n", funcs, insns, passes, regen, result[0].got);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("funcs_per_s", (uint64_t)funcs * passes * rt_ncpus(), ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (result[c].got != result[c].want)
            rt_fail("cpu %u has %08x, not %08x", c, result[c].got, result[c].want);
    rt_pass();
}
