/* smc_computed.c — rewrites and swaps small functions that are reached by computed jumps only.
 *
 * Forces: jump cache and inline predictions that hold a dead block; indirect branches between
 *   generated blocks.
 * Parameters: iters=20000 (rewrites on each CPU), slots=16 (2..32).
 * Metrics: roi_ns, rewrites_per_s (all CPUs together).
 * Self-check: each walk over all slots returns the sum of the values last written, weighted by
 *   their place.
 */
#include "expect.h"
#include "gen.h"

RT_GUEST("smc_computed");

#define MAX_SLOTS 32
static uint8_t code[RT_MAX_CPUS][2 * RT_PAGE] ALIGNED(4096);
static uint32_t iters, slots;

/* r0 = 2*r0 + value, then jump to the next address of the list in r1. */
static void build(uint8_t *slot, uint32_t value)
{
    uint8_t *p = slot;
    gen_put(&p, gen_movw(3, value));
    gen_put(&p, gen_add(0, 0, 0));
    gen_put(&p, gen_add(0, 0, 3));
    gen_put(&p, gen_ldr(3, 1, 0));
    gen_put(&p, gen_add_imm(1, 1, 4));
    gen_put(&p, gen_bx(3));
    rt_sync_code(slot, (size_t)(p - slot));
}

static void work(unsigned cpu, void *arg)
{
    uint32_t value[MAX_SLOTS + 1], list[MAX_SLOTS + 1], order[MAX_SLOTS], seed = cpu * 77 + 5;
    uint8_t *slot[MAX_SLOTS], *end = code[cpu];
    (void)arg;
    gen_at(end, gen_bx(14));
    rt_sync_code(end, 4);
    for (uint32_t i = 0; i < slots; i++) {
        slot[i] = code[cpu] + (i + 1) * 192;
        value[i] = i * 3 + 1;
        order[i] = i;
        build(slot[i], value[i]);
    }
    for (uint32_t i = 0; i < iters; i++) {
        uint32_t r = rt_rand(&seed), a = r % slots, b = (r >> 8) % slots, want = 0;
        switch (r >> 30) {
        case 0: /* two functions change places */
            value[MAX_SLOTS] = value[a];
            value[a] = value[b];
            value[b] = value[MAX_SLOTS];
            build(slot[a], value[a]);
            build(slot[b], value[b]);
            break;
        case 1: /* another order of jumps, the same code */
            value[MAX_SLOTS] = order[a];
            order[a] = order[b];
            order[b] = value[MAX_SLOTS];
            break;
        default: value[a] = r >> 12 & 0xffff; build(slot[a], value[a]);
        }
        for (uint32_t k = 0; k < slots; k++) {
            list[k] = (uint32_t)(uintptr_t)slot[order[k]] | RT_THUMB;
            want = want * 2 + value[order[k]];
        }
        list[slots] = (uint32_t)(uintptr_t)end | RT_THUMB;
        asm volatile("" ::: "memory");
        uint32_t got = ((gen_fn)(uintptr_t)list[0])(0, (uint32_t)(uintptr_t)&list[1], 0, 0);
        expect(cpu, "walk", i, got, want);
    }
}

void guest_main(void)
{
    iters = rt_param("iters", 20000);
    slots = rt_param("slots", 16);
    if (slots < 2 || slots > MAX_SLOTS)
        rt_fail("slots must be 2..%u", MAX_SLOTS);
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_printf("iters %u slots %u\n", iters, slots);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("rewrites_per_s", (uint64_t)iters * rt_ncpus(), ns, "1/s");
    expect_end();
    rt_pass();
}
