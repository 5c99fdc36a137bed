/* timer_irq.c — interrupts of the generic timers and of the SP804 timers.
 *
 * Forces: timers as event sources, WFI that ends by a timer, level-sensitive PPIs, SPI routing by
 *   ITARGETSR.
 * Parameters: ticks=20 (interrupts of each timer), period_us=500.
 * Metrics: roi_ns, late_p50_ns and late_max_ns (CPU 0's secure physical timer: from due to
 *   handled).
 * Self-check: each timer interrupts the right CPU exactly so often, and never early.
 */
#include "rt.h"

RT_GUEST("timer_irq");

#define SP804_01    0x1c110000u
#define SP804_23    0x1c120000u
#define MAX_SAMPLES 1024

static uint32_t ticks, period_us, period;
static uint32_t samples[MAX_SAMPLES];
static struct {
    volatile uint32_t virt, phys, sp804[2], stray, early;
    volatile uint64_t due;
    uint32_t pad[RT_LINE / 4 - 8];
} seen[RT_MAX_CPUS] ALIGNED(64);

static struct rt_frame *on_irq(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    uint32_t iar = rt_irq_ack(), id = iar & 0x3ff;
    (void)kind;
    if (id >= 1020)
        return f;
    if (id == RT_IRQ_SPTIMER) {
        uint64_t now = rt_ticks();
        uint32_t n = seen[cpu].phys++;
        if (!(RT_MRC(0, c14, c2, 1) & 4))
            seen[cpu].early++;
        if (cpu == 0 && n < MAX_SAMPLES)
            samples[n] = now > seen[0].due ? (uint32_t)rt_elapsed_ns(seen[0].due, now) : 0;
        if (n + 1 < ticks) {
            seen[cpu].due = now + period;
            rt_ptimer_set(period, 1);
        } else {
            rt_ptimer_set(0, 0);
        }
    } else if (id == RT_IRQ_VTIMER) {
        if (!(RT_MRC(0, c14, c3, 1) & 4))
            seen[cpu].early++;
        if (++seen[cpu].virt < ticks)
            rt_vtimer_set(period, 1);
        else
            rt_vtimer_set(0, 0);
    } else if (id == RT_IRQ_SP804_01 || id == RT_IRQ_SP804_23) {
        uint32_t k = id == RT_IRQ_SP804_23, base = k ? SP804_23 : SP804_01;
        RT_WR32(base + 0x0c, 1);
        if (++seen[cpu].sp804[k] == ticks)
            RT_WR32(base + 0x08, 0);
    } else {
        seen[cpu].stray++;
    }
    rt_dsb();
    rt_irq_eoi(iar);
    return f;
}

static bool sp804_done(unsigned cpu)
{
    return (cpu != 0 || seen[cpu].sp804[0] >= ticks) && (cpu != rt_ncpus() - 1 || seen[cpu].sp804[1] >= ticks);
}

static void sp804_start(uint32_t base)
{
    RT_WR32(base + 0x08, 0);
    RT_WR32(base + 0x0c, 1);
    RT_WR32(base + 0x00, period_us); /* the board's timer clock is 1 MHz */
    RT_WR32(base + 0x08, 0xe2);      /* on, periodic, interrupt, 32 bits */
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    rt_irq_enable(RT_IRQ_SPTIMER, 0);
    rt_irq_enable(RT_IRQ_VTIMER, 0);
    uint64_t t0 = rt_ticks();
    if (cpu == 0) {
        rt_irq_enable(RT_IRQ_SP804_01, 1);
        rt_irq_enable(RT_IRQ_SP804_23, 1u << (rt_ncpus() - 1));
        sp804_start(SP804_01);
        sp804_start(SP804_23);
    }
    seen[cpu].due = t0 + period;
    rt_ptimer_set(period, 1);
    rt_vtimer_set(period, 1);
    while (seen[cpu].phys < ticks || seen[cpu].virt < ticks || !sp804_done(cpu)) {
        rt_wfi();
        rt_irq_on();
        rt_isb();
        rt_irq_off();
    }
    if (rt_ticks() - t0 < (uint64_t)period * ticks)
        seen[cpu].early++;
}

void guest_main(void)
{
    ticks = rt_param("ticks", 20);
    period_us = rt_param("period_us", 500);
    period = (uint32_t)rt_ns_to_ticks((uint64_t)period_us * 1000);
    if (!ticks || !period)
        rt_fail("ticks and period_us must not be 0");
    rt_set_hook(RT_IRQ, on_irq);
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint32_t n = ticks < MAX_SAMPLES ? ticks : MAX_SAMPLES;
    rt_sort(samples, n);
    rt_printf("ticks %u period_us %u\n", ticks, period_us);
    rt_metric("roi_ns", ns, "ns");
    rt_metric("late_p50_ns", samples[n / 2], "ns");
    rt_metric("late_max_ns", samples[n - 1], "ns");
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        uint32_t a = c == 0 ? ticks : 0, b = c == rt_ncpus() - 1 ? ticks : 0;
        rt_printf("cpu %u: physical %u virtual %u sp804 %u %u\n", c, seen[c].phys, seen[c].virt, seen[c].sp804[0],
                  seen[c].sp804[1]);
        if (seen[c].phys != ticks || seen[c].virt != ticks || seen[c].sp804[0] != a || seen[c].sp804[1] != b)
            rt_fail("cpu %u: a timer's interrupts do not add up", c);
        if (seen[c].stray || seen[c].early)
            rt_fail("cpu %u: %u stray, %u early", c, seen[c].stray, seen[c].early);
    }
    if (ns < (uint64_t)ticks * period_us * 1000)
        rt_fail("the SP804 was early");
    rt_pass();
}
