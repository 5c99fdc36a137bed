/* tlb_remote.c — TLB flushes that other CPUs must obey, one at a time and all at once.
 *
 * Forces: the inner-shareable TLB operations: cross-CPU work that must be finished when DSB is,
 *   also when all CPUs ask each other at the same time.
 * Parameters: rounds=500 (CPU 0 remaps, all read), storm=1000 (remaps on each CPU, all at once),
 *   flush=mix (mva, mvaa, asid, all or mix).
 * Metrics: roi_ns, rounds_per_s, storm_flushes_per_s (all CPUs together), flush_p50_ns,
 *   flush_max_ns (CPU 0's rounds).
 * Self-check: after the round is published each CPU reads the new page; in the storm each CPU sees
 *   its own remap, and a page nobody remaps stays what it was. Needs mmu=1.
 */
#include "expect.h"
#include "rt.h"

RT_GUEST("tlb_remote");

#define WINDOW      0x50000000u
#define PAGES       16
#define FRAMES      24
#define MAX_SAMPLES 4096

static uint32_t frames[FRAMES][RT_PAGE / 4] ALIGNED(4096);
static uint32_t own_frames[RT_MAX_CPUS][2][RT_PAGE / 4] ALIGNED(4096);
static uint32_t l2[256] ALIGNED(1024);
static volatile uint32_t round_page, round_id;
static uint32_t rounds, storm, samples[MAX_SAMPLES];
static int how;

static const char *const kinds[] = {"mva", "mvaa", "asid", "all", "mix"};
enum { MVA, MVAA, ASID, ALL, MIX };

static void map(uint32_t page, const void *frame)
{
    *(volatile uint32_t *)&l2[page] = frame ? (uint32_t)(uintptr_t)frame | RT_PAGE_NORMAL | 0x800 : 0;
}

static void flush(uint32_t va, uint32_t r)
{
    rt_dsb();
    switch (how == MIX ? (int)(r >> 30) : how) {
    case MVA: RT_MCR(0, c8, c3, 1, va); break;
    case MVAA: RT_MCR(0, c8, c3, 3, va); break;
    case ASID: RT_MCR(0, c8, c3, 2, 0); break;
    default: RT_MCR(0, c8, c3, 0, 0);
    }
    rt_dsb();
    rt_isb();
}

static void remap_rounds(unsigned cpu, void *arg)
{
    uint32_t seed = 5;
    (void)arg;
    for (uint32_t i = 0; i < rounds; i++) {
        if (cpu == 0) {
            uint32_t r = rt_rand(&seed);
            round_page = r % PAGES;
            round_id = (r >> 8) % FRAMES;
        }
        rt_barrier();
        /* Copied now: CPU 0 may already have gone on to the next round when this one is checked. */
        uint32_t page = round_page, id = round_id, va = WINDOW + page * RT_PAGE;
        volatile uint32_t *p = (volatile uint32_t *)va;
        /* Everybody has the old translation at hand. */
        (void)*p;
        rt_barrier();
        if (cpu == 0) {
            uint64_t t0 = rt_ticks();
            /* Break before make: no CPU may hold two translations of one page. */
            map(page, NULL);
            flush(va, seed);
            samples[i % MAX_SAMPLES] = (uint32_t)rt_elapsed_ns(t0, rt_ticks());
            map(page, frames[id]);
            rt_dsb();
        }
        rt_barrier();
        rt_isb();
        expect(cpu, "round", i, *p, 0xf0000000u | id);
    }
}

static void remap_storm(unsigned cpu, void *arg)
{
    uint32_t va = WINDOW + (64 + cpu) * RT_PAGE, seed = cpu + 1;
    volatile uint32_t *p = (volatile uint32_t *)va, *fixed = (volatile uint32_t *)(WINDOW + 128 * RT_PAGE);
    (void)arg;
    for (uint32_t i = 0; i < storm; i++) {
        map(64 + cpu, NULL);
        flush(va, rt_rand(&seed));
        map(64 + cpu, own_frames[cpu][i & 1]);
        rt_dsb();
        rt_isb();
        expect(cpu, "storm", i, *p, cpu * 2 + (i & 1));
        p[1] = i;
        expect(cpu, "storm store", i, *(volatile uint32_t *)&own_frames[cpu][i & 1][1], i);
        expect(cpu, "fixed page", i, *fixed, 0xf0000000u);
    }
}

void guest_main(void)
{
    const char *name = rt_param_str("flush", "mix");
    rounds = rt_param("rounds", 500);
    storm = rt_param("storm", 1000);
    for (how = 0; how <= MIX && !rt_streq(name, kinds[how]); how++)
        ;
    if (how > MIX)
        rt_fail("flush must be mva, mvaa, asid, all or mix");
    if (!rt_mmu_on())
        rt_fail("needs mmu=1");
    for (uint32_t f = 0; f < FRAMES; f++)
        frames[f][0] = 0xf0000000u | f;
    for (uint32_t c = 0; c < RT_MAX_CPUS; c++) {
        own_frames[c][0][0] = c * 2;
        own_frames[c][1][0] = c * 2 + 1;
    }
    for (uint32_t p = 0; p < PAGES; p++)
        map(p, frames[p]);
    map(128, frames[0]);
    rt_map_table(WINDOW, l2);
    rt_tlb_flush_all();
    uint64_t ns = rt_parallel_roi(remap_rounds, NULL);
    uint64_t storm_ns = rt_parallel_roi(remap_storm, NULL);
    uint32_t n = rounds < MAX_SAMPLES ? rounds : MAX_SAMPLES;
    rt_sort(samples, n);
    rt_printf("rounds %u storm %u flush %s\n", rounds, storm, name);
    rt_metric("roi_ns", ns + storm_ns, "ns");
    rt_metric_rate("rounds_per_s", rounds, ns, "1/s");
    rt_metric_rate("storm_flushes_per_s", (uint64_t)storm * rt_ncpus(), storm_ns, "1/s");
    if (n) {
        rt_metric("flush_p50_ns", samples[n / 2], "ns");
        rt_metric("flush_max_ns", samples[n - 1], "ns");
    }
    expect_end();
    rt_pass();
}
