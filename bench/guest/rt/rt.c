/* rt.c — the guests' runtime in C: see rt.h for the contract of each function. */
#include "rt.h"

#define UART        0x1c090000u
#define COUNT_24MHZ 0x1c01005cu
#define SYS_CFGCTRL 0x1c0100a4u

extern uint32_t rt_boot;
static unsigned ncpus = 1;
static uint32_t cnt_hz;
static bool mmu, cfg_idle_wfi;
static enum { RELAX_WFE, RELAX_YIELD, RELAX_BUSY } cfg_relax;

/* -- semihosting and end ----------------------------------------------------------------------- */

uint32_t rt_semi(uint32_t op, const void *arg)
{
    register uint32_t r0 asm("r0") = op;
    register const void *r1 asm("r1") = arg;
    /* lr: the call is an SVC from SVC mode; a debugger on hardware overwrites it. */
#ifdef __thumb__
    asm volatile("svc 0xab" : "+r"(r0) : "r"(r1) : "lr", "cc", "memory");
#else
    asm volatile("svc 0x123456" : "+r"(r0) : "r"(r1) : "lr", "cc", "memory");
#endif
    return r0;
}

void rt_exit(int code)
{
    uint32_t block[2] = {0x20026, (uint32_t)code};
    rt_semi(0x20, block); /* SYS_EXIT_EXTENDED, absent from old implementations */
    rt_semi(0x18, (void *)(code ? 0x20023u : 0x20026u));
    RT_WR32(SYS_CFGCTRL, 0xc0800000u);
    for (;;)
        rt_wfi();
}

/* -- output ------------------------------------------------------------------------------------ */

void rt_putc(char c)
{
    RT_WR32(UART, (uint8_t)c);
}

/* -- time -------------------------------------------------------------------------------------- */

uint32_t rt_tick_hz(void)
{
    return cnt_hz ? cnt_hz : 24000000;
}

uint64_t rt_ticks(void)
{
    uint32_t lo, hi;
    if (!cnt_hz)
        return RT_RD32(COUNT_24MHZ);
    asm volatile("isb\n\tmrrc p15, 1, %0, %1, c14" : "=r"(lo), "=r"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

uint64_t rt_elapsed_ns(uint64_t from, uint64_t to)
{
    uint64_t t = cnt_hz ? to - from : (uint32_t)(to - from);
    uint32_t hz = rt_tick_hz();
    return t / hz * 1000000000u + t % hz * 1000000000u / hz;
}

uint64_t rt_ns_to_ticks(uint64_t ns)
{
    return ns / 1000000000u * rt_tick_hz() + ns % 1000000000u * rt_tick_hz() / 1000000000u;
}

void rt_delay_ns(uint64_t ns)
{
    uint64_t t0 = rt_ticks();
    while (rt_elapsed_ns(t0, rt_ticks()) < ns)
        rt_yield();
}

void rt_sleep_ns(uint64_t ns)
{
    uint64_t ticks = rt_ns_to_ticks(ns);
    rt_irq_enable(RT_IRQ_SPTIMER, 0);
    rt_ptimer_set(ticks > 0x7fffffff ? 0x7fffffff : (uint32_t)ticks, 1);
    /* The interrupt line wakes WFI; turning the timer off takes it down again, so nothing needs
     * acknowledging. */
    while (!(RT_MRC(0, c14, c2, 1) & 4))
        rt_wfi();
    rt_ptimer_set(0, 0);
    rt_irq_disable(RT_IRQ_SPTIMER);
}

/* -- GIC --------------------------------------------------------------------------------------- */

static void gic_init_cpu(unsigned cpu)
{
    if (cpu == 0)
        RT_WR32(RT_GICD + 0x000, 1);
    RT_WR32(RT_GICC + 0x04, 0xff);
    RT_WR32(RT_GICC + 0x00, 1);
}

void rt_irq_enable(unsigned id, unsigned cpu_mask)
{
    if (id >= 32) {
        volatile uint8_t *target = (volatile uint8_t *)(RT_GICD + 0x800 + id);
        *target = (uint8_t)cpu_mask;
    }
    RT_WR32(RT_GICD + 0x100 + id / 32 * 4, 1u << (id % 32));
    rt_dsb();
}

void rt_irq_disable(unsigned id)
{
    RT_WR32(RT_GICD + 0x180 + id / 32 * 4, 1u << (id % 32));
    rt_dsb();
}

/* -- MMU --------------------------------------------------------------------------------------- */

uint32_t rt_l1[4096] ALIGNED(16384);

bool rt_mmu_on(void)
{
    return mmu;
}

void rt_map_table(uint32_t va, uint32_t *l2)
{
    rt_l1[va >> 20] = (uint32_t)(uintptr_t)l2 | 1;
}

void rt_tlb_flush_page(uint32_t va)
{
    rt_dsb();
    RT_MCR(0, c8, c3, 3, va & ~0xfffu); /* TLBIMVAAIS */
    RT_MCR(0, c7, c1, 6, 0);            /* BPIALLIS */
    rt_dsb();
    rt_isb();
}

void rt_sort(uint32_t *v, uint32_t n)
{
    for (uint32_t gap = n / 2; gap; gap /= 2)
        for (uint32_t i = gap; i < n; i++) {
            uint32_t x = v[i], j = i;
            for (; j >= gap && v[j - gap] > x; j -= gap)
                v[j] = v[j - gap];
            v[j] = x;
        }
}

static void build_tables(void)
{
    for (uint32_t i = 0; i < 4096; i++) {
        uint32_t base = i << 20;
        if (i >= 0x800 && i < 0x900)
            rt_l1[i] = base | RT_SECT_NORMAL;
        else if ((i >= 0x1a0 && i < 0x200) || i == 0x2c0)
            rt_l1[i] = base | RT_SECT_DEVICE;
        else
            rt_l1[i] = 0;
    }
}

static void enable_mmu(void)
{
    RT_MCR(0, c7, c5, 0, 0); /* ICIALLU */
    RT_MCR(0, c7, c5, 6, 0); /* BPIALL */
    RT_MCR(0, c8, c7, 0, 0); /* TLBIALL */
    rt_dsb();
    RT_MCR(0, c2, c0, 2, 0);                                 /* TTBCR: TTBR0 only, short descriptors */
    RT_MCR(0, c2, c0, 0, (uint32_t)(uintptr_t)rt_l1 | 0x4a); /* walks: write-back, shareable */
    RT_MCR(0, c3, c0, 0, 1);                                 /* DACR: domain 0 client */
    RT_MCR(0, c13, c0, 1, 0);                                /* CONTEXTIDR: ASID 0 */
    rt_isb();
    RT_MCR(0, c1, c0, 0, RT_MRC(0, c1, c0, 0) | 0x1805); /* I, Z, C, M */
    rt_isb();
}

void rt_sync_code(const void *start, size_t bytes)
{
    uintptr_t a = (uintptr_t)start & ~(uintptr_t)(RT_LINE - 1), end = (uintptr_t)start + bytes;
    for (uintptr_t p = a; p < end; p += RT_LINE)
        RT_MCR(0, c7, c11, 1, p); /* DCCMVAU */
    rt_dsb();
    for (uintptr_t p = a; p < end; p += RT_LINE)
        RT_MCR(0, c7, c5, 1, p); /* ICIMVAU */
    RT_MCR(0, c7, c1, 6, 0);     /* BPIALLIS */
    rt_dsb();
    rt_isb();
}

/* -- exceptions -------------------------------------------------------------------------------- */

static rt_hook hooks[RT_NKINDS];

void rt_set_hook(enum rt_kind kind, rt_hook hook)
{
    hooks[kind] = hook;
}

struct rt_frame *rt_exception(struct rt_frame *f, enum rt_kind kind);
struct rt_frame *rt_exception(struct rt_frame *f, enum rt_kind kind)
{
    static const char *const names[] = {"reset",      "undefined", "svc", "prefetch abort",
                                        "data abort", "hyp",       "irq", "fiq"};
    if (hooks[kind])
        return hooks[kind](f, kind);
    rt_fail("cpu %u: unexpected %s at %08x cpsr %08x dfsr %08x dfar %08x ifsr %08x lr %08x", rt_cpu(), names[kind],
            f->pc, f->cpsr, RT_MRC(0, c5, c0, 0), RT_MRC(0, c6, c0, 0), RT_MRC(0, c5, c0, 1), f->lr);
}

/* -- CPUs -------------------------------------------------------------------------------------- */

#define SGI_WAKE 15

/* Written by CPU 0, read by all. */
static struct {
    volatile uint32_t gen;
    void (*fn)(unsigned, void *);
    void *arg;
    bool roi;
} job ALIGNED(64);
static volatile uint32_t job_done ALIGNED(64);
static volatile uint32_t barrier_count ALIGNED(64);
static volatile uint32_t barrier_gen ALIGNED(64);
static volatile uint32_t cpus_up ALIGNED(64);

unsigned rt_ncpus(void)
{
    return ncpus;
}

void rt_relax(void)
{
    if (cfg_relax == RELAX_WFE)
        rt_wfe();
    else if (cfg_relax == RELAX_YIELD)
        rt_yield();
}

void rt_barrier(void)
{
    uint32_t gen = barrier_gen;
    if (rt_atomic_add(&barrier_count, 1) == ncpus - 1) {
        barrier_count = 0;
        rt_dmb();
        barrier_gen = gen + 1;
        rt_sev();
    } else {
        while (barrier_gen == gen)
            rt_relax();
    }
    rt_dmb();
}

static void idle_until(uint32_t seen)
{
    if (!cfg_idle_wfi) {
        while (job.gen == seen)
            rt_wfe();
        return;
    }
    /* Each job sends one SGI: taking exactly one keeps it from surprising the guest's own IRQ hook. */
    for (;;) {
        rt_wfi();
        uint32_t iar = rt_irq_ack();
        if ((iar & 0x3ff) < 1020)
            rt_irq_eoi(iar);
        if ((iar & 0x3ff) == SGI_WAKE)
            break;
    }
    while (job.gen == seen)
        rt_yield();
}

static _Noreturn void secondary(unsigned cpu)
{
    uint32_t seen = 0;
    rt_atomic_add(&cpus_up, 1);
    rt_sev();
    for (;;) {
        idle_until(seen);
        rt_dmb();
        seen = job.gen;
        if (job.roi)
            rt_barrier();
        job.fn(cpu, job.arg);
        rt_atomic_add(&job_done, 1);
        rt_sev();
    }
}

static uint64_t run_job(void (*fn)(unsigned, void *), void *arg, bool roi)
{
    uint64_t t0;
    job.fn = fn;
    job.arg = arg;
    job.roi = roi;
    job_done = 0;
    rt_dmb();
    job.gen = job.gen + 1;
    rt_sev();
    if (cfg_idle_wfi && ncpus > 1)
        rt_sgi(((1u << ncpus) - 1) & ~1u, SGI_WAKE);
    if (roi)
        rt_barrier();
    t0 = rt_ticks();
    fn(0, arg);
    while (job_done != ncpus - 1)
        rt_relax();
    rt_dmb();
    return rt_elapsed_ns(t0, rt_ticks());
}

void rt_parallel(void (*fn)(unsigned, void *), void *arg)
{
    run_job(fn, arg, false);
}

uint64_t rt_parallel_roi(void (*fn)(unsigned, void *), void *arg)
{
    return run_job(fn, arg, true);
}

/* -- start ------------------------------------------------------------------------------------- */

static void read_config(void)
{
    uint32_t block[2] = {(uint32_t)(uintptr_t)rt_cmdline, RT_CMDLINE};
    const char *s;
    if (rt_semi(0x15, block) != 0) /* SYS_GET_CMDLINE */
        rt_cmdline[0] = 0;
    ncpus = (RT_RD32(RT_GICD + 4) >> 5 & 7) + 1;
    cnt_hz = RT_MRC(0, c14, c0, 0);
    uint32_t want = rt_param("cpus", ncpus);
    if (want >= 1 && want < ncpus)
        ncpus = want;
    mmu = rt_param("mmu", 1) != 0;
    cfg_idle_wfi = rt_streq(rt_param_str("idle", "wfe"), "wfi");
    s = rt_param_str("relax", "wfe");
    cfg_relax = rt_streq(s, "busy") ? RELAX_BUSY : rt_streq(s, "yield") ? RELAX_YIELD : RELAX_WFE;
}

_Noreturn void rt_start(unsigned cpu);
_Noreturn void rt_start(unsigned cpu)
{
    if (cpu == 0) {
        read_config();
        build_tables();
        rt_dsb();
        *(volatile uint32_t *)&rt_boot = 1;
        rt_sev();
    } else if (cpu >= ncpus) {
        for (;;)
            rt_wfi();
    }
    if (mmu)
        enable_mmu();
    gic_init_cpu(cpu);
    if (cpu)
        secondary(cpu);
    while (cpus_up != ncpus - 1)
        rt_relax();
    guest_main();
    rt_fail("guest_main returned");
}
