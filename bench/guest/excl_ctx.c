/* excl_ctx.c — LDREX/STREX across exceptions and across a switch between two contexts on one CPU.
 *
 * Forces: reservations at exception entry and return, CLREX in a context switch, IRQs that land
 *   between the exclusives.
 * Parameters: ops=3000 (atomic adds of each context in each part), slice_us=50 (of the timer that
 *   switches), clrex=1 (0: leave CLREX out of the switch; then the guest breaks the rules, and sums
 *   may be wrong).
 * Metrics: roi_ns, svc_kept, irq_kept (did a reservation outlive an exception: allowed either way),
 *   switches.
 * Self-check: an exclusive pair of the handler, or its CLREX, breaks the interrupted one; the
 *   counters that both contexts of all CPUs add to are exact.
 */
#include "rt.h"

RT_GUEST("excl_ctx");

#define SGI 1
enum { SVC_NOTHING, SVC_CLREX, SVC_PAIR, SVC_ABA, SVC_YIELD, SVC_EXIT };

struct context {
    struct rt_frame *frame; /* while it does not run */
    bool finished;
};
static struct {
    struct context ctx[2];
    struct rt_frame *home; /* who called run_contexts */
    volatile uint32_t cur, switches, call;
    volatile uint32_t cell ALIGNED(64);
    volatile uint32_t elsewhere ALIGNED(64);
    volatile uint32_t irqs ALIGNED(64);
    uint32_t kept_svc, kept_irq, wrong;
} cpus[RT_MAX_CPUS] ALIGNED(64);
static uint8_t stacks[RT_MAX_CPUS][2][8192] ALIGNED(64);
static volatile uint32_t shared[2][RT_LINE / 4] ALIGNED(64);
static uint32_t ops, slice;
static bool use_clrex;

static void add(volatile uint32_t *p, uint32_t n)
{
    uint32_t v, f;
    asm volatile("1: ldrex %0, [%2]\n\tadd %0, %0, %3\n\tstrex %1, %0, [%2]\n\tcmp %1, #0\n\tbne 1b"
                 : "=&r"(v), "=&r"(f)
                 : "r"(p), "r"(n)
                 : "cc", "memory");
}

static struct rt_frame *switch_from(unsigned cpu, struct rt_frame *f)
{
    uint32_t next = cpus[cpu].cur ^ 1;
    if (cpus[cpu].ctx[next].finished)
        return f;
    cpus[cpu].ctx[cpus[cpu].cur].frame = f;
    cpus[cpu].cur = next;
    cpus[cpu].switches++;
    if (use_clrex)
        rt_clrex();
    return cpus[cpu].ctx[next].frame;
}

static struct rt_frame *on_svc(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    (void)kind;
    switch (cpus[cpu].call) {
    case SVC_CLREX: rt_clrex(); break;
    case SVC_PAIR: add(&cpus[cpu].elsewhere, 1); break;
    case SVC_ABA:
        add(&cpus[cpu].cell, 1);
        add(&cpus[cpu].cell, -1u);
        break;
    case SVC_YIELD: return switch_from(cpu, f);
    case SVC_EXIT: {
        struct context *c = cpus[cpu].ctx;
        c[cpus[cpu].cur].finished = true;
        if (c[0].finished && c[1].finished)
            return cpus[cpu].home;
        cpus[cpu].cur ^= 1;
        if (use_clrex)
            rt_clrex();
        return c[cpus[cpu].cur].frame;
    }
    default: break;
    }
    return f;
}

static struct rt_frame *on_irq(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    uint32_t iar = rt_irq_ack();
    (void)kind;
    if ((iar & 0x3ff) >= 1020)
        return f;
    cpus[cpu].irqs++;
    if ((iar & 0x3ff) == RT_IRQ_SPTIMER) {
        rt_ptimer_set(slice, 1);
        rt_dsb();
        rt_irq_eoi(iar);
        return cpus[cpu].home ? switch_from(cpu, f) : f;
    }
    rt_irq_eoi(iar);
    return f;
}

static void call(unsigned cpu, uint32_t what)
{
    cpus[cpu].call = what;
    asm volatile("svc #1" ::: "lr", "memory");
}

/* LDREX, SVC, STREX in one piece; returns STREX's answer. */
static NOINLINE uint32_t pair_around_svc(volatile uint32_t *cell)
{
    uint32_t v, f;
    asm volatile("ldrex %0, [%2]\n\tsvc #1\n\tstrex %1, %0, [%2]" : "=&r"(v), "=&r"(f) : "r"(cell) : "lr", "memory");
    return f;
}

/* LDREX, an SGI to this CPU that is taken before anything else, STREX. */
static NOINLINE uint32_t pair_around_irq(volatile uint32_t *cell, volatile uint32_t *count)
{
    uint32_t v, f, t, before = *count, sgi = 2u << 24 | SGI;
    asm volatile("ldrex %0, [%3]\n\tstr %4, [%5]\n1: ldr %2, [%6]\n\tcmp %2, %7\n\tbeq 1b\n\tstrex %1, %0, [%3]"
                 : "=&r"(v), "=&r"(f), "=&r"(t)
                 : "r"(cell), "r"(sgi), "r"(RT_GICD + 0xf00), "r"(count), "r"(before)
                 : "cc", "memory");
    return f;
}

static void body(unsigned cpu)
{
    for (uint32_t i = 0; i < ops; i++) {
        add(&shared[i & 1][0], 1);
        if (i % 16 == 0) {
            rt_irq_off();
            call(cpu, SVC_YIELD);
            rt_irq_on();
        }
    }
    rt_irq_off();
    call(cpu, SVC_EXIT);
}

static void new_context(unsigned cpu, unsigned which)
{
    struct rt_frame *f = (struct rt_frame *)(void *)(stacks[cpu][which] + sizeof(stacks[0][0])) - 1;
    memset(f, 0, sizeof(*f));
    f->r[0] = cpu;
    f->pc = (uint32_t)(uintptr_t)body & ~1u;
    f->cpsr = 0x13 | RT_THUMB << 5; /* SVC, IRQs on */
    cpus[cpu].ctx[which].frame = f;
    cpus[cpu].ctx[which].finished = false;
}

/* Enters context 0 by an exception so that the last SVC_EXIT comes back here. */
static struct rt_frame *on_undef(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    (void)kind;
    /* Resume behind the UDF (T32: the 16-bit form, and lr points behind it; A32: lr points behind
     * it). */
    cpus[cpu].home = f;
    cpus[cpu].cur = 0;
    rt_ptimer_set(slice, 1);
    return cpus[cpu].ctx[0].frame;
}

static void work(unsigned cpu, void *arg)
{
    volatile uint32_t *cell = &cpus[cpu].cell;
    (void)arg;
    rt_irq_enable(SGI, 0);
    rt_irq_enable(RT_IRQ_SPTIMER, 0);
    for (unsigned i = 0; i < 20; i++) {
        cpus[cpu].call = SVC_NOTHING;
        cpus[cpu].kept_svc += pair_around_svc(cell) == 0;
        cpus[cpu].call = SVC_CLREX;
        cpus[cpu].wrong += (pair_around_svc(cell) == 0) << 0;
        cpus[cpu].call = SVC_PAIR;
        cpus[cpu].wrong += (pair_around_svc(cell) == 0) << 8;
        cpus[cpu].call = SVC_ABA;
        cpus[cpu].wrong += (pair_around_svc(cell) == 0) << 16;
        rt_irq_on();
        cpus[cpu].kept_irq += pair_around_irq(cell, &cpus[cpu].irqs) == 0;
        rt_irq_off();
    }
    new_context(cpu, 0);
    new_context(cpu, 1);
    asm volatile("udf #0" ::: "lr", "memory");
    rt_ptimer_set(0, 0);
    cpus[cpu].home = NULL;
}

void guest_main(void)
{
    uint32_t kept_svc = 0, kept_irq = 0, switches = 0;
    ops = rt_param("ops", 3000);
    slice = (uint32_t)rt_ns_to_ticks((uint64_t)rt_param("slice_us", 50) * 1000);
    use_clrex = rt_param("clrex", 1) != 0;
    rt_set_hook(RT_SVC, on_svc);
    rt_set_hook(RT_IRQ, on_irq);
    rt_set_hook(RT_UND, on_undef);
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        kept_svc += cpus[c].kept_svc;
        kept_irq += cpus[c].kept_irq;
        switches += cpus[c].switches;
    }
    rt_set_hook(RT_SVC, NULL);
    rt_printf("ops %u clrex %u\n", ops, use_clrex);
    rt_metric("roi_ns", ns, "ns");
    rt_metric("svc_kept", kept_svc, "1");
    rt_metric("irq_kept", kept_irq, "1");
    rt_metric("switches", switches, "1");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (cpus[c].wrong)
            rt_fail("cpu %u: a reservation outlived the handler's CLREX, pair or A-B-A: %06x", c, cpus[c].wrong);
    uint32_t total = ops * 2 * rt_ncpus();
    if (shared[0][0] + shared[1][0] != total)
        rt_fail("the counters add up to %u, not %u", shared[0][0] + shared[1][0], total);
    rt_pass();
}
