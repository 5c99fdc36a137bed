/* tlb_local.c — every CPU remaps its own pages and flushes its own TLB, by each operation.
 *
 * Forces: TLBIMVA, TLBIMVAA, TLBIASID, TLBIALL and a change of ASID; the walk after each.
 * Parameters: iters=20000 (remaps on each CPU), flush=mix (mva, mvaa, asid, all, switch or mix).
 * Metrics: roi_ns, flushes_per_s (all CPUs together).
 * Self-check: after each flush the page reads as the new physical page, a store through it arrives
 *   there, and a page that was not remapped still reads as before. Needs mmu=1.
 */
#include "expect.h"
#include "rt.h"

RT_GUEST("tlb_local");

#define WINDOW     0x50000000u
#define PAGES      32 /* virtual */
#define FRAMES     48 /* physical */
#define NOT_GLOBAL 0x800u

static uint32_t frames[RT_MAX_CPUS][FRAMES][RT_PAGE / 4] ALIGNED(4096);
static uint32_t l2[RT_MAX_CPUS][256] ALIGNED(1024);
static uint32_t iters;
static int how;

static const char *const kinds[] = {"mva", "mvaa", "asid", "all", "switch", "mix"};
enum { MVA, MVAA, ASID, ALL, SWITCH, MIX };

static void map(unsigned cpu, uint32_t page, uint32_t frame)
{
    *(volatile uint32_t *)&l2[cpu][page] = (uint32_t)(uintptr_t)frames[cpu][frame] | RT_PAGE_NORMAL | NOT_GLOBAL;
}

static void work(unsigned cpu, void *arg)
{
    uint32_t base = WINDOW + cpu * 0x100000u, seed = cpu + 11, asid = 1;
    uint32_t now[PAGES];
    (void)arg;
    for (uint32_t f = 0; f < FRAMES; f++)
        frames[cpu][f][0] = cpu << 16 | f;
    for (uint32_t p = 0; p < PAGES; p++)
        map(cpu, p, now[p] = p);
    rt_dsb();
    RT_MCR(0, c8, c7, 0, 0);
    RT_MCR(0, c13, c0, 1, asid);
    rt_dsb();
    rt_isb();
    for (uint32_t i = 0; i < iters; i++) {
        uint32_t r = rt_rand(&seed), page = r % PAGES, other = (r >> 8) % PAGES, frame = (r >> 16) % FRAMES;
        uint32_t va = base + page * RT_PAGE;
        volatile uint32_t *p = (volatile uint32_t *)va;
        expect(cpu, "before", i, p[0], cpu << 16 | now[page]);
        map(cpu, page, frame);
        now[page] = frame;
        rt_dsb();
        switch (how == MIX ? (int)(r >> 29) : how) {
        case MVAA: RT_MCR(0, c8, c7, 3, va); break;
        case ASID: RT_MCR(0, c8, c7, 2, asid); break;
        case ALL: RT_MCR(0, c8, c7, 0, 0); break;
        case SWITCH:
            /* A fresh ASID has no entries yet; before one is used again, all go. */
            if (++asid == 256) {
                asid = 1;
                RT_MCR(0, c8, c7, 0, 0);
            }
            RT_MCR(0, c13, c0, 1, asid);
            break;
        default: RT_MCR(0, c8, c7, 1, va | asid);
        }
        rt_dsb();
        rt_isb();
        expect(cpu, "after", i, p[0], cpu << 16 | frame);
        p[1] = i;
        rt_dmb();
        expect(cpu, "store", i, *(volatile uint32_t *)&frames[cpu][frame][1], i);
        expect(cpu, "other page", i, *(volatile uint32_t *)(base + other * RT_PAGE), cpu << 16 | now[other]);
    }
    RT_MCR(0, c13, c0, 1, 0);
    rt_isb();
}

void guest_main(void)
{
    const char *name = rt_param_str("flush", "mix");
    iters = rt_param("iters", 20000);
    for (how = 0; how <= MIX && !rt_streq(name, kinds[how]); how++)
        ;
    if (how > MIX)
        rt_fail("flush must be mva, mvaa, asid, all, switch or mix");
    if (!rt_mmu_on())
        rt_fail("needs mmu=1");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        rt_map_table(WINDOW + c * 0x100000u, l2[c]);
    rt_tlb_flush_all();
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_printf("iters %u flush %s\n", iters, name);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("flushes_per_s", (uint64_t)iters * rt_ncpus(), ns, "1/s");
    expect_end();
    rt_pass();
}
