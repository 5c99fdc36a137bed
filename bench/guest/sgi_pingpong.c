/* sgi_pingpong.c — pairs of CPUs pass a ball: by SGI to WFI or to an IRQ handler, by SEV to WFE.
 *
 * Forces: wake-up of a sleeping vCPU, GIC SGIs, IRQ entry and return, the event register.
 * Parameters: rounds=2000 (there and back), mode=all (wfi, irq, wfe or all).
 * Metrics: roi_ns, <mode>_roundtrip_ns.
 * Self-check: each CPU gets the ball exactly once a round, from its partner. A CPU without one
 *   plays with itself.
 */
#include "rt.h"

RT_GUEST("sgi_pingpong");

#define SGI 3
static uint32_t rounds;
static int mode;
static const char *const modes[] = {"wfi", "irq", "wfe"};
enum { WFI, IRQ, WFE };
static struct {
    volatile uint32_t got, wrong, ball;
    uint32_t pad[RT_LINE / 4 - 3];
} player[RT_MAX_CPUS] ALIGNED(64);

static unsigned partner_of(unsigned cpu)
{
    return (cpu ^ 1) < rt_ncpus() ? cpu ^ 1 : cpu;
}

/* Counts the SGI if one is pending. */
static bool take(unsigned cpu)
{
    uint32_t iar = rt_irq_ack();
    if ((iar & 0x3ff) >= 1020)
        return false;
    if ((iar & 0x3ff) == SGI && (iar >> 10 & 7) == partner_of(cpu))
        player[cpu].got++;
    else
        player[cpu].wrong++;
    rt_irq_eoi(iar);
    return true;
}

static struct rt_frame *on_irq(struct rt_frame *f, enum rt_kind kind)
{
    (void)kind;
    take(rt_cpu());
    return f;
}

static void send(unsigned cpu)
{
    unsigned to = partner_of(cpu);
    if (mode == WFE) {
        player[to].ball++;
        rt_sev();
    } else {
        rt_sgi(1u << to, SGI);
    }
}

/* Until the CPU has the ball for the n-th time. */
static void await(unsigned cpu, uint32_t n)
{
    switch (mode) {
    case WFI:
        while (player[cpu].got != n) {
            rt_wfi();
            while (take(cpu))
                ;
        }
        break;
    case IRQ:
        /* Looked at with IRQs masked, and WFI wakes for a masked one: no wake-up gets lost in
         * between. */
        while (player[cpu].got < n) {
            rt_wfi();
            rt_irq_on();
            rt_isb();
            rt_irq_off();
        }
        break;
    default:
        while (player[cpu].ball < n)
            rt_wfe();
        player[cpu].got++;
        rt_dmb();
    }
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    player[cpu].got = player[cpu].ball = 0;
    rt_irq_enable(SGI, 0);
    rt_barrier();
    for (uint32_t i = 1; i <= rounds; i++) {
        if (!(cpu & 1))
            send(cpu);
        await(cpu, i);
        if (cpu & 1)
            send(cpu);
    }
}

void guest_main(void)
{
    static const char *const metrics[] = {"wfi_roundtrip_ns", "irq_roundtrip_ns", "wfe_roundtrip_ns"};
    const char *which = rt_param_str("mode", "all");
    uint64_t total = 0;
    rounds = rt_param("rounds", 2000);
    rt_set_hook(RT_IRQ, on_irq);
    for (mode = 0; mode < 3; mode++) {
        if (!rt_streq(which, "all") && !rt_streq(which, modes[mode]))
            continue;
        uint64_t ns = rt_parallel_roi(work, NULL);
        total += ns;
        rt_printf("%s: %u rounds\n", modes[mode], rounds);
        rt_metric(metrics[mode], rounds ? ns / rounds : 0, "ns");
        for (unsigned c = 0; c < rt_ncpus(); c++)
            if (player[c].got != rounds || player[c].wrong)
                rt_fail("%s: cpu %u got %u balls, %u wrong ones", modes[mode], c, player[c].got, player[c].wrong);
    }
    rt_metric("roi_ns", total, "ns");
    rt_pass();
}
