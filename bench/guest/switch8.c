/* switch8.c — jump tables: a compiled switch of 8 cases and hand-written ones; one copy a vCPU.
 *
 * Forces: writes to pc other than returns: A32 LDR pc and ADD pc with a shifted index, T32 TBB and
 *   TBH.
 * Parameters: steps=5000000, kind=all (c, asm or all), order=random (random or seq).
 * Metrics: roi_ns, <kind>_steps_per_s (all CPUs together).
 * Self-check: equals the result of the same steps by arithmetic without a table.
 */
#include "rt.h"

RT_GUEST("switch8");

#define PATTERN 1024
static uint8_t cases[PATTERN];
static uint32_t steps;
static bool by_asm;
static uint32_t result[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);

static NOINLINE uint32_t step_c(uint32_t x, unsigned which)
{
    /* The empty asm keeps the compiler from turning cases into a table of values. */
    switch (which) {
    case 0: asm volatile(""); return x + 0x11;
    case 1: asm volatile(""); return x ^ 0x2200;
    case 2: asm volatile(""); return x - 0x330;
    case 3: asm volatile(""); return x << 1 | x >> 31;
    case 4: asm volatile(""); return ~x;
    case 5: asm volatile(""); return x * 5;
    case 6: asm volatile(""); return x ^ x >> 7;
    case 7: asm volatile(""); return -x;
    }
    return 0;
}

static NOINLINE uint32_t step_asm(uint32_t x, unsigned which)
{
#ifdef __thumb__
    /* Even steps by TBB, odd ones by TBH. */
    asm volatile("tst %1, #1\n\t"
                 "bne 1f\n\t"
                 "tbb [pc, %1]\n"
                 "2:\n\t"
                 ".byte (20f-2b)/2, 0, (22f-2b)/2, 0, (24f-2b)/2, 0, (26f-2b)/2, 0\n\t"
                 "1: tbh [pc, %1, lsl #1]\n"
                 "3:\n\t"
                 ".hword 0, (21f-3b)/2, 0, (23f-3b)/2, 0, (25f-3b)/2, 0, (27f-3b)/2\n\t"
#else
    /* pc reads as the branch + 8, which is the second slot: the first is never reached. */
    asm volatile("add pc, pc, %1, lsl #2\n\t"
                 "nop\n\t"
                 "b 20f\n\tb 21f\n\tb 22f\n\tb 23f\n\tb 24f\n\tb 25f\n\tb 26f\n\tb 27f\n"
#endif
                 "20: add %0, %0, #0x11\n\tb 9f\n"
                 "21: eor %0, %0, #0x2200\n\tb 9f\n"
                 "22: sub %0, %0, #0x330\n\tb 9f\n"
                 "23: ror %0, %0, #31\n\tb 9f\n"
                 "24: mvn %0, %0\n\tb 9f\n"
                 "25: add %0, %0, %0, lsl #2\n\tb 9f\n"
                 "26: eor %0, %0, %0, lsr #7\n\tb 9f\n"
                 "27: rsb %0, %0, #0\n"
                 "9:"
                 : "+r"(x)
                 : "r"(which)
                 : "cc");
    return x;
}

static uint32_t step_plain(uint32_t x, unsigned which)
{
    uint32_t v[8] = {x + 0x11, x ^ 0x2200, x - 0x330, x << 1 | x >> 31, ~x, x * 5, x ^ x >> 7, -x};
    return v[which];
}

static void work(unsigned cpu, void *arg)
{
    uint32_t x = 1;
    (void)arg;
    if (by_asm)
        for (uint32_t i = 0; i < steps; i++)
            x = step_asm(x, cases[i % PATTERN]);
    else
        for (uint32_t i = 0; i < steps; i++)
            x = step_c(x, cases[i % PATTERN]);
    result[cpu][0] = x;
}

static uint64_t run(bool use_asm)
{
    uint32_t want = 1;
    by_asm = use_asm;
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (uint32_t i = 0; i < steps; i++)
        want = step_plain(want, cases[i % PATTERN]);
    rt_printf("%s %08x\n", use_asm ? "asm" : "c", result[0][0]);
    rt_metric_rate(use_asm ? "asm_steps_per_s" : "c_steps_per_s", (uint64_t)steps * rt_ncpus(), ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (result[c][0] != want)
            rt_fail("cpu %u has %08x, not %08x", c, result[c][0], want);
    return ns;
}

void guest_main(void)
{
    const char *kind = rt_param_str("kind", "all");
    bool seq = rt_streq(rt_param_str("order", "random"), "seq");
    uint32_t seed = 4711;
    uint64_t ns = 0;
    steps = rt_param("steps", 5000000);
    for (unsigned i = 0; i < PATTERN; i++)
        cases[i] = seq ? i % 8 : rt_rand(&seed) >> 29;
    if (!rt_streq(kind, "asm"))
        ns += run(false);
    if (!rt_streq(kind, "c"))
        ns += run(true);
    rt_metric("roi_ns", ns, "ns");
    rt_pass();
}
