/* smc_paged.c — code across a page boundary, under a second mapping, exchanged by the MMU.
 *
 * Forces: blocks that lie on two pages (in T32 also one instruction on two pages), invalidation by
 *   physical page, a jump cache keyed by virtual address that must not survive a remap.
 * Parameters: iters=2000 (rounds of all kinds on each CPU). With mmu=0 the kinds that need mappings
 *   are left out.
 * Metrics: roi_ns, rounds_per_s (all CPUs together).
 * Self-check: every call returns the value last written or mapped.
 */
#include "expect.h"
#include "gen.h"

RT_GUEST("smc_paged");

#define WINDOW 0x50000000u /* 1 MiB of virtual addresses for each CPU */
static uint8_t code[RT_MAX_CPUS][4 * RT_PAGE] ALIGNED(4096);
static uint32_t l2[RT_MAX_CPUS][256] ALIGNED(1024);
static uint32_t iters;

static void build_returning(uint8_t *p, uint32_t value)
{
    gen_at(p, gen_movw(0, value));
    gen_at(p + 4, gen_bx(14));
}

static void work(unsigned cpu, void *arg)
{
    uint8_t *pages = code[cpu], *edge = pages + RT_PAGE;
    uint32_t seed = cpu + 3, first = 1, second = 2;
    uint32_t va = WINDOW + cpu * 0x100000u;
    /* T32: the second MOVW starts two bytes before the page's end. */
    uint8_t *start = edge - 10, *low = start + (RT_THUMB ? 0 : 2), *high = low + 8;
    uint8_t *p = low;
    (void)arg;

    gen_put(&p, gen_movw(0, first));
    gen_put(&p, gen_add(0, 0, 0));
    gen_put(&p, gen_movw(2, second));
    gen_put(&p, gen_add(0, 0, 2));
    gen_put(&p, gen_bx(14));
    rt_sync_code(low, (size_t)(p - low));
    if (rt_mmu_on()) {
        /* Window page 0: another name of code page 0; page 1: exchanged between code pages 2 and 3. */
        l2[cpu][0] = (uint32_t)(uintptr_t)pages | RT_PAGE_NORMAL;
        build_returning(pages + 2 * RT_PAGE, 0x2222);
        build_returning(pages + 3 * RT_PAGE, 0x3333);
        build_returning(pages, 0);
        rt_sync_code(pages, 4 * RT_PAGE);
    }
    for (uint32_t i = 0; i < iters; i++) {
        uint32_t r = rt_rand(&seed), v = r >> 16;
        if (r & 1) {
            first = v;
            gen_at(low, gen_movw(0, first));
            rt_sync_code(low, 4);
        } else {
            second = v;
            gen_at(high, gen_movw(2, second));
            rt_sync_code(high, 4);
        }
        expect(cpu, "page edge", i, gen_callable(low)(0, 0, 0, 0), first * 2 + second);
        if (!rt_mmu_on())
            continue;

        /* Written under the other name, run under both. Maintenance by either address is enough:
         * the caches of the A15 are physically tagged, but a 64-byte line may be indexed by the
         * address it is run at. */
        gen_at((void *)(uintptr_t)va, gen_movw(0, v));
        rt_sync_code((void *)(uintptr_t)va, 4);
        rt_sync_code(pages, 4);
        expect(cpu, "written by alias", i, gen_callable(pages)(0, 0, 0, 0), v);
        expect(cpu, "run at alias", i, gen_callable((void *)(uintptr_t)va)(0, 0, 0, 0), v);
        gen_at(pages, gen_movw(0, v ^ 0xff));
        rt_sync_code(pages, 4);
        rt_sync_code((void *)(uintptr_t)va, 4);
        expect(cpu, "alias of written", i, gen_callable((void *)(uintptr_t)va)(0, 0, 0, 0), v ^ 0xff);

        uint32_t page = 2 + (r >> 4 & 1);
        *(volatile uint32_t *)&l2[cpu][1] = (uint32_t)(uintptr_t)(pages + page * RT_PAGE) | RT_PAGE_NORMAL;
        if (r & 32) {
            rt_tlb_flush_page(va + RT_PAGE);
        } else {
            rt_dsb();
            RT_MCR(0, c8, c7, 1, va + RT_PAGE); /* TLBIMVA, this CPU */
            RT_MCR(0, c7, c5, 6, 0);            /* BPIALL */
            rt_dsb();
            rt_isb();
        }
        expect(cpu, "remapped", i, gen_callable((void *)(uintptr_t)(va + RT_PAGE))(0, 0, 0, 0), page * 0x1111);
    }
}

void guest_main(void)
{
    iters = rt_param("iters", 2000);
    if (rt_mmu_on()) {
        for (unsigned c = 0; c < rt_ncpus(); c++)
            rt_map_table(WINDOW + c * 0x100000u, l2[c]);
        rt_tlb_flush_all();
    }
    /* Each CPU maps its own window before it uses it; a fresh entry needs no flush, only the
     * barrier. */
    for (unsigned c = 0; c < rt_ncpus(); c++)
        l2[c][0] = (uint32_t)(uintptr_t)code[c] | RT_PAGE_NORMAL;
    rt_dsb();
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_printf("iters %u\n", iters);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("rounds_per_s", (uint64_t)iters * rt_ncpus(), ns, "1/s");
    expect_end();
    rt_pass();
}
