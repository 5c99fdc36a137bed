/* smc_cross.c — one CPU rewrites a branch-to-self under CPUs that spin on it.
 *
 * Forces: a block chained to itself that must be left in bounded time when another CPU rewrites it;
 *   a store that lands while its page is being translated (a translator that loses it spins for
 *   ever).
 * Parameters: iters=300, delay=2000 (longest wait of the writer, in ns), timeout_ms=3000 (then
 *   FAIL).
 * Metrics: roi_ns, leave_p50_ns, leave_max_ns (from the store to the last CPU out).
 * Self-check: all CPUs leave within the time allowed, every time.
 *
 * B to B with maintenance is allowed while others run it: ARM DDI 0406C A3.5.4. Needs two CPUs.
 */
#include "gen.h"

RT_GUEST("smc_cross");

#define MAX_SAMPLES 4096
static uint8_t code[RT_PAGE] ALIGNED(4096);
static struct {
    volatile uint32_t ready, out;
    uint32_t pad[RT_LINE / 4 - 2];
} runner[RT_MAX_CPUS] ALIGNED(64);
static volatile uint32_t go ALIGNED(64);
static uint32_t samples[MAX_SAMPLES];
static uint32_t iters, delay, timeout_ms;

static bool wait_all(bool out, uint32_t want)
{
    uint64_t t0 = rt_ticks(), limit = rt_ns_to_ticks((uint64_t)timeout_ms * 1000000u);
    for (unsigned c = 0; c + 1 < rt_ncpus(); c++)
        while ((out ? runner[c].out : runner[c].ready) != want)
            if (rt_ticks() - t0 > limit)
                return false;
    return true;
}

static void work(unsigned cpu, void *arg)
{
    uint8_t *spin = code + 64, *leave = code + 256;
    uint32_t seed = 42;
    (void)arg;
    if (cpu + 1 < rt_ncpus()) {
        for (uint32_t i = 1; i <= iters; i++) {
            while (go != i)
                ;
            rt_dmb();
            rt_isb();
            runner[cpu].ready = i;
            gen_callable(spin)(0, 0, 0, 0);
            runner[cpu].out = i;
        }
        return;
    }
    for (uint32_t i = 1; i <= iters; i++) {
        gen_cross_b(spin, spin);
        rt_sync_code(spin, 4);
        go = i;
        if (!wait_all(false, i))
            rt_fail("round %u: no start", i);
        uint64_t t0 = rt_ticks(), wait = delay ? rt_ns_to_ticks(rt_rand(&seed) % delay) : 0;
        while (rt_ticks() - t0 < wait)
            ;
        t0 = rt_ticks();
        gen_cross_b(spin, leave);
        rt_sync_code(spin, 4);
        if (!wait_all(true, i))
            rt_fail("round %u: a CPU still spins on the old branch after %u ms", i, timeout_ms);
        samples[(i - 1) % MAX_SAMPLES] = (uint32_t)rt_elapsed_ns(t0, rt_ticks());
    }
}

void guest_main(void)
{
    iters = rt_param("iters", 300);
    delay = rt_param("delay", 2000);
    timeout_ms = rt_param("timeout_ms", 3000);
    if (rt_ncpus() < 2 || !iters)
        rt_fail("needs two CPUs and iters");
    uint8_t *p = code + 256;
    gen_put(&p, gen_bx(14));
    rt_sync_code(code, sizeof(code));
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint32_t n = iters < MAX_SAMPLES ? iters : MAX_SAMPLES;
    rt_sort(samples, n);
    rt_printf("iters %u\n", iters);
    rt_metric("roi_ns", ns, "ns");
    rt_metric("leave_p50_ns", samples[n / 2], "ns");
    rt_metric("leave_max_ns", samples[n - 1], "ns");
    rt_pass();
}
