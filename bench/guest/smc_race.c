/* smc_race.c — a branch changes again and again while others run and retranslate it.
 *
 * Forces: a store that lands while its page is being translated, lookups and chains that race with
 *   invalidation.
 * Parameters: iters=3000 (changes), drop=4 (a runner invalidates the line itself every so many
 *   calls).
 * Metrics: roi_ns, changes_per_s, calls (of all runners), stale (violations).
 * Self-check: a call that starts after change k was published never acts by an older one; the last
 *   change is seen.
 *
 * The last CPU writes, the others run. Needs two CPUs.
 */
#include "gen.h"

RT_GUEST("smc_race");

#define TARGETS 64
static uint8_t code[RT_PAGE] ALIGNED(4096);
static volatile uint32_t published ALIGNED(64);
static volatile uint32_t finished ALIGNED(64);
static struct {
    uint32_t calls, stale, last;
    volatile uint32_t seen;
    uint32_t pad[RT_LINE / 4 - 4];
} runner[RT_MAX_CPUS] ALIGNED(64);
static uint32_t iters, drop;

static void write_changes(void)
{
    uint8_t *entry = code + 1024, *targets = code + 1088;
    uint32_t seed = 7;
    for (uint32_t k = 1; k <= iters; k++) {
        gen_cross_b(entry, targets + k % TARGETS * 8);
        rt_sync_code(entry, 4);
        published = k;
        if (rt_rand(&seed) & 1) {
            /* Let every runner get there once, so that fast and slow runners both take part. */
            for (unsigned c = 0; c + 1 < rt_ncpus(); c++) {
                uint64_t t0 = rt_ticks();
                while (runner[c].seen < k && rt_elapsed_ns(t0, rt_ticks()) < 2000000)
                    rt_yield();
            }
        }
    }
    finished = 1;
}

static void work(unsigned cpu, void *arg)
{
    uint8_t *entry = code + 1024;
    uint32_t calls = 0;
    (void)arg;
    if (cpu + 1 == rt_ncpus()) {
        write_changes();
        return;
    }
    for (bool last = false; !last; calls++) {
        last = finished != 0;
        uint32_t before = published;
        rt_dmb();
        rt_isb();
        uint32_t got = gen_callable(entry)(0, 0, 0, 0);
        rt_dmb();
        uint32_t after = published;
        /* The writer may be one change ahead of what it has published. */
        if (after + 1 - before < TARGETS && ((got - before) & (TARGETS - 1)) > after + 1 - before)
            runner[cpu].stale++;
        if (last)
            runner[cpu].last = got;
        runner[cpu].seen = before;
        if (drop && calls % drop == 0)
            rt_sync_code(entry, 4);
    }
    runner[cpu].calls = calls;
}

void guest_main(void)
{
    uint64_t calls = 0, stale = 0;
    bool lost = false;
    iters = rt_param("iters", 3000);
    drop = rt_param("drop", 4);
    if (rt_ncpus() < 2)
        rt_fail("needs two CPUs");
    uint8_t *p = code + 1088;
    for (uint32_t i = 0; i < TARGETS; i++) {
        gen_put(&p, gen_movw(0, i));
        gen_put(&p, gen_bx(14));
    }
    gen_cross_b(code + 1024, code + 1088);
    rt_sync_code(code, sizeof(code));
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (unsigned c = 0; c + 1 < rt_ncpus(); c++) {
        calls += runner[c].calls;
        stale += runner[c].stale;
        lost |= runner[c].last != iters % TARGETS;
    }
    rt_printf("iters %u drop %u\n", iters, drop);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("changes_per_s", iters, ns, "1/s");
    rt_metric("calls", calls, "1");
    rt_metric("stale", stale, "1");
    if (stale)
        rt_fail("%llu calls acted by an old branch", (unsigned long long)stale);
    if (lost)
        rt_fail("the last change was lost");
    rt_pass();
}
