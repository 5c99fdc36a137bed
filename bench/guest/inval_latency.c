/* inval_latency.c — how long one invalidation and one flush take, and how long they stop others.
 *
 * Forces: invalidation with many live blocks: work that grows with them shows.
 * Parameters: blocks=1024 (live blocks, in loops of 64; 64..65536), iters=100 (invalidations),
 *   flushes=iters, gap_us=200 (between two invalidations).
 * Metrics: inval_p50_ns, inval_p99_ns, inval_max_ns (one line rewritten, with its maintenance),
 *   flush_p50_ns, flush_p99_ns, flush_max_ns (ICIALLUIS), stop_p99_ns, stop_max_ns (longest time
 *   another CPU needed for one loop; idle_stop_max_ns: the same while nothing is invalidated),
 *   roi_ns.
 * Self-check: every loop executes exactly its number of blocks.
 *
 * The last CPU invalidates while the others run all loops in turn; with one CPU it does both by
 * turns. Before each flush it runs all loops too, so that as many blocks live then as were asked for,
 * however slow it is to translate them.
 */
#include "loops.h"

RT_GUEST("inval_latency");

#define MAX_BLOCKS  65536
#define MAX_LOOPS   (MAX_BLOCKS / LOOP_MAX)
#define LOOP_BYTES  (LOOP_MAX * LOOP_BLOCK + 64)
#define MAX_SAMPLES 4096
#define MAX_STOPS   65536

static uint8_t code[MAX_LOOPS][LOOP_BYTES] ALIGNED(4096);
static struct loop loops[MAX_LOOPS];
static uint32_t nloops, iters, flushes, gap_us;
static volatile uint32_t phase ALIGNED(64); /* 1: nothing is invalidated, 2: it is, 3: end */
static uint32_t inval_ns[MAX_SAMPLES], flush_ns[MAX_SAMPLES];
static struct {
    uint64_t wrong;
    uint32_t idle_max, max, count;
    uint32_t stops[MAX_STOPS];
} runner[RT_MAX_CPUS] ALIGNED(64);

static void run_loop(unsigned cpu, uint32_t i)
{
    uint32_t got = loop_run(&loops[i], 1);
    runner[cpu].wrong += got != LOOP_MAX;
}

static void run_all(unsigned cpu)
{
    for (uint32_t i = 0; i < nloops; i++)
        run_loop(cpu, i);
}

static void run_until_end(unsigned cpu)
{
    run_all(cpu);
    rt_barrier();
    uint64_t last = rt_ticks();
    for (uint32_t i = 0, ph; (ph = phase) != 3; i = i + 1 < nloops ? i + 1 : 0) {
        run_loop(cpu, i);
        uint64_t now = rt_ticks();
        uint32_t ns = (uint32_t)rt_elapsed_ns(last, now);
        last = now;
        if (ph < 2) {
            if (ns > runner[cpu].idle_max)
                runner[cpu].idle_max = ns;
            continue;
        }
        if (ns > runner[cpu].max)
            runner[cpu].max = ns;
        runner[cpu].stops[runner[cpu].count++ % MAX_STOPS] = ns;
    }
}

static void pause_between(unsigned cpu)
{
    if (rt_ncpus() == 1)
        run_all(cpu);
    else if (gap_us)
        rt_sleep_ns((uint64_t)gap_us * 1000);
}

static void invalidate(unsigned cpu)
{
    uint32_t seed = 9;
    run_all(cpu);
    rt_barrier();
    phase = 1;
    if (rt_ncpus() > 1)
        rt_sleep_ns((uint64_t)iters * gap_us * 1000 + 1000000);
    phase = 2;
    for (uint32_t i = 0; i < iters; i++) {
        uint32_t r = rt_rand(&seed);
        uint64_t t0 = rt_ticks();
        loop_rewrite(code[r % nloops], (r >> 16) % LOOP_MAX, i & 1);
        inval_ns[i % MAX_SAMPLES] = (uint32_t)rt_elapsed_ns(t0, rt_ticks());
        pause_between(cpu);
    }
    for (uint32_t i = 0; i < flushes; i++) {
        run_all(cpu);
        uint64_t t0 = rt_ticks();
        loop_flush_all();
        flush_ns[i % MAX_SAMPLES] = (uint32_t)rt_elapsed_ns(t0, rt_ticks());
    }
    phase = 3;
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == rt_ncpus() - 1)
        invalidate(cpu);
    else
        run_until_end(cpu);
}

static void report(const char *p50, const char *p99, const char *max, uint32_t *v, uint32_t n)
{
    rt_sort(v, n);
    rt_metric(p50, v[n / 2], "ns");
    rt_metric(p99, v[n - 1 - n / 100], "ns");
    rt_metric(max, v[n - 1], "ns");
}

void guest_main(void)
{
    uint32_t blocks = rt_param("blocks", 1024), idle_max = 0, max = 0, p99 = 0;
    uint64_t wrong = 0;
    iters = rt_param("iters", 100);
    flushes = rt_param("flushes", iters);
    gap_us = rt_param("gap_us", 200);
    nloops = blocks / LOOP_MAX;
    if (nloops < 1 || nloops > MAX_LOOPS || !iters || !flushes)
        rt_fail("blocks must be %u..%u, iters and flushes not 0", LOOP_MAX, MAX_BLOCKS);
    for (uint32_t i = 0; i < nloops; i++)
        loop_build(&loops[i], code[i], NULL, LOOP_MAX, LOOP_DIRECT, i + 1);
    rt_sync_code(code, nloops * LOOP_BYTES);
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint32_t n = iters < MAX_SAMPLES ? iters : MAX_SAMPLES, nf = flushes < MAX_SAMPLES ? flushes : MAX_SAMPLES;
    rt_printf("blocks %u iters %u flushes %u\n", nloops * LOOP_MAX, iters, flushes);
    rt_metric("roi_ns", ns, "ns");
    report("inval_p50_ns", "inval_p99_ns", "inval_max_ns", inval_ns, n);
    report("flush_p50_ns", "flush_p99_ns", "flush_max_ns", flush_ns, nf);
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        uint32_t k = runner[c].count < MAX_STOPS ? runner[c].count : MAX_STOPS;
        wrong += runner[c].wrong;
        if (!k)
            continue;
        rt_sort(runner[c].stops, k);
        uint32_t v = runner[c].stops[k - 1 - k / 100];
        p99 = v > p99 ? v : p99;
        max = runner[c].max > max ? runner[c].max : max;
        idle_max = runner[c].idle_max > idle_max ? runner[c].idle_max : idle_max;
    }
    if (rt_ncpus() > 1) {
        rt_metric("stop_p99_ns", p99, "ns");
        rt_metric("stop_max_ns", max, "ns");
        rt_metric("idle_stop_max_ns", idle_max, "ns");
    }
    if (wrong)
        rt_fail("%llu times the number of blocks was wrong", (unsigned long long)wrong);
    rt_pass();
}
