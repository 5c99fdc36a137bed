/* exec_loop.c — loops of tiny blocks under a steady rate of flushes or rewritten lines.
 *
 * Forces: passes of the execution loop: lookup and chaining after each invalidation, and with
 *   chaining off at every block; indirect blocks go through the jump cache.
 * Parameters: ms=100 (how long), blocks=32 (2..64 in the loop), mode=direct (direct, indirect or
 *   mix), flushes=0 (ICIALLUIS a second), invals=0 (rewrites of a line of the loop a second),
 *   by=extra (extra: the last CPU only flushes and sleeps in WFI between; self: CPU 0 does it
 *   between its rounds, as with one CPU), chunk=256 (rounds of the loop between two looks at the
 *   clock), rounds=0 (not 0: so many rounds on each CPU, no clock: then with by=extra the flusher
 *   goes on until the others end).
 * Metrics: blocks_per_s (all running CPUs together), roi_ns, blocks, flushes_done, invals_done.
 * Self-check: every round of the loop executes exactly its number of blocks.
 */
#include "loops.h"

RT_GUEST("exec_loop");

static uint8_t code[RT_MAX_CPUS][RT_PAGE] ALIGNED(4096);
static uint32_t table[RT_MAX_CPUS][LOOP_MAX] ALIGNED(64);
static struct loop loops[RT_MAX_CPUS];
static struct {
    uint64_t blocks, wrong;
    uint32_t pad[RT_LINE / 4 - 4];
} stats[RT_MAX_CPUS] ALIGNED(64);
static volatile uint32_t stop ALIGNED(64);
static volatile uint32_t running ALIGNED(64);
static uint32_t ms, blocks, flushes, invals, chunk, rounds, flushes_done, invals_done;
static bool extra;

/* One event that is due; the two kinds are spread evenly. */
static void do_event(uint32_t n)
{
    uint32_t f = flushes, v = invals;
    if (f && (!v || n % (f + v) < f)) {
        loop_flush_all();
        flushes_done++;
    } else {
        /* With by=extra the lines of the others, in turn. */
        uint32_t cpus = extra ? rt_ncpus() - 1 : 1;
        loop_rewrite(code[n % cpus], n / cpus % blocks, (n / cpus / blocks & 1) == 0);
        invals_done++;
    }
}

static void flusher(void)
{
    uint32_t rate = flushes + invals;
    uint64_t t0 = rt_ticks();
    for (uint32_t n = 0; !stop && running;) {
        uint64_t now = rt_elapsed_ns(t0, rt_ticks());
        if (!rounds && now >= (uint64_t)ms * 1000000)
            break;
        uint64_t due = rate ? (uint64_t)(n + 1) * 1000000000u / rate : UINT64_MAX;
        if (now >= due) {
            do_event(n++);
            continue;
        }
        /* Never longer than 1 ms, so that the end is not missed by much. */
        uint64_t wait = due - now;
        rt_sleep_ns(wait < 1000000 ? wait : 1000000);
    }
    stop = 1;
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    if (extra && cpu == rt_ncpus() - 1) {
        flusher();
        return;
    }
    uint64_t done = 0, wrong = 0, t0 = rt_ticks();
    uint32_t rate = !extra && cpu == 0 ? flushes + invals : 0, n = 0, left = rounds;
    while (!stop) {
        uint32_t r = rounds && left < chunk ? left : chunk;
        uint32_t got = loop_run(&loops[cpu], r);
        done += got;
        wrong += got != r * blocks;
        if (rounds && (left -= r) == 0)
            break;
        if (!extra && cpu == 0) {
            uint64_t now = rt_elapsed_ns(t0, rt_ticks());
            if (!rounds && now >= (uint64_t)ms * 1000000)
                stop = 1;
            if (rate && now >= (uint64_t)(n + 1) * 1000000000u / rate)
                do_event(n++);
        }
    }
    stats[cpu].blocks = done;
    stats[cpu].wrong = wrong;
    rt_atomic_add(&running, -1u);
}

void guest_main(void)
{
    const char *mode = rt_param_str("mode", "direct");
    uint64_t total = 0, wrong = 0;
    ms = rt_param("ms", 100);
    blocks = rt_param("blocks", 32);
    flushes = rt_param("flushes", 0);
    invals = rt_param("invals", 0);
    chunk = rt_param("chunk", 256);
    rounds = rt_param("rounds", 0);
    extra = rt_streq(rt_param_str("by", "extra"), "extra") && rt_ncpus() > 1 && flushes + invals > 0;
    if (blocks < 2 || blocks > LOOP_MAX || !chunk)
        rt_fail("blocks must be 2..%u, chunk not 0", LOOP_MAX);
    enum loop_mode m = rt_streq(mode, "indirect") ? LOOP_INDIRECT : rt_streq(mode, "mix") ? LOOP_MIX : LOOP_DIRECT;
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        loop_build(&loops[c], code[c], table[c], blocks, m, 17);
        rt_sync_code(code[c], RT_PAGE);
    }
    running = rt_ncpus() - extra;
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        total += stats[c].blocks;
        wrong += stats[c].wrong;
    }
    rt_printf("mode %s blocks %u flushes %u invals %u by %s\n", mode, blocks, flushes, invals,
              extra ? "extra" : "self");
    rt_metric_rate("blocks_per_s", total, ns, "1/s");
    rt_metric("roi_ns", ns, "ns");
    rt_metric("blocks", total, "1");
    rt_metric("flushes_done", flushes_done, "1");
    rt_metric("invals_done", invals_done, "1");
    if (wrong)
        rt_fail("%llu times the number of blocks was wrong", (unsigned long long)wrong);
    if (rounds && total != (uint64_t)rounds * blocks * (rt_ncpus() - extra))
        rt_fail("%llu blocks executed", (unsigned long long)total);
    rt_pass();
}
