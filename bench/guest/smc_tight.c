/* smc_tight.c — rewrites instructions in a loop of chained blocks, by every width of store.
 *
 * Forces: stores to pages with translations, unchaining of a block in the middle of a chain, code
 *   that rewrites the instruction after its own barriers.
 * Parameters: iters=20000 (rewrites on each CPU), blocks=8 (1..32).
 * Metrics: roi_ns, rewrites_per_s (all CPUs together).
 * Self-check: every call returns the sum of the immediates last written.
 */
#include "expect.h"
#include "gen.h"

RT_GUEST("smc_tight");

#define MAX_BLOCKS 32
static uint8_t code[RT_MAX_CPUS][RT_PAGE] ALIGNED(4096);
static uint8_t self_code[RT_MAX_CPUS][RT_PAGE] ALIGNED(4096);
static uint32_t iters, blocks;

/* r0 += sum of immediates, r1 times. Fills at[] with the places of the immediates. */
static void build(uint8_t *p, uint8_t **at)
{
    uint8_t *start = p;
    for (uint32_t i = 0; i < blocks; i++) {
        at[i] = p;
        gen_put(&p, gen_movw(2, 0));
        gen_put(&p, gen_add(0, 0, 2));
        gen_put(&p, gen_b(p, p + 8));
        gen_put(&p, gen_nop());
    }
    gen_put(&p, gen_subs_imm(1, 1, 1));
    gen_put(&p, gen_bne(p, start));
    gen_put(&p, gen_bx(14));
    rt_sync_code(start, (size_t)(p - start));
}

/* r0: instruction, r1: address of the last but one. Stores it, does the maintenance, runs it. */
static uint8_t *build_self(uint8_t *p)
{
    gen_put(&p, gen_str(0, 1, 0));
    gen_put(&p, gen_mcr_c7(1, 11, 1)); /* DCCMVAU */
    gen_put(&p, gen_dsb());
    gen_put(&p, gen_mcr_c7(1, 5, 1)); /* ICIMVAU */
    gen_put(&p, gen_mcr_c7(1, 5, 6)); /* BPIALL */
    gen_put(&p, gen_dsb());
    gen_put(&p, gen_isb());
    uint8_t *target = p;
    gen_put(&p, gen_movw(0, 1));
    gen_put(&p, gen_bx(14));
    return target;
}

static void work(unsigned cpu, void *arg)
{
    uint8_t *at[MAX_BLOCKS];
    uint32_t value[MAX_BLOCKS] = {0}, sum = 0, seed = cpu + 1;
    (void)arg;
    build(code[cpu], at);
    uint8_t *target = build_self(self_code[cpu]);
    rt_sync_code(self_code[cpu], 64);
    for (uint32_t i = 0; i < iters; i++) {
        uint32_t r = rt_rand(&seed), b = r % blocks, v = r >> 16;
        sum -= value[b];
        if (r & 0x100) {
            gen_at(at[b], gen_movw(2, v));
        } else if (r & 0x200) {
            /* Only the byte that holds the immediate's low 8 bits. */
            v = (value[b] & 0xff00) | (v & 0xff);
            *(volatile uint8_t *)(at[b] + (RT_THUMB ? 2 : 0)) = (uint8_t)v;
        } else {
            uint32_t w = gen_movw(2, v);
            *(volatile uint16_t *)at[b] = (uint16_t)w;
            *(volatile uint16_t *)(at[b] + 2) = (uint16_t)(w >> 16);
        }
        value[b] = v;
        sum += v;
        rt_sync_code(at[b], 4);
        expect(cpu, "chain", i, gen_callable(code[cpu])(0, 2, 0, 0), sum * 2);
        if (i % 8 == 0)
            expect(cpu, "self", i, gen_callable(self_code[cpu])(gen_movw(0, v), (uint32_t)(uintptr_t)target, 0, 0), v);
    }
}

void guest_main(void)
{
    iters = rt_param("iters", 20000);
    blocks = rt_param("blocks", 8);
    if (blocks < 1 || blocks > MAX_BLOCKS)
        rt_fail("blocks must be 1..%u", MAX_BLOCKS);
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_printf("iters %u blocks %u\n", iters, blocks);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("rewrites_per_s", (uint64_t)iters * rt_ncpus(), ns, "1/s");
    expect_end();
    rt_pass();
}
