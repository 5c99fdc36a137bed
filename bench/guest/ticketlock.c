/* ticketlock.c — ticket lock: the ticket by LDREX/STREX, the turn by a plain store.
 *
 * Forces: contended exclusive adds, spinning on plain loads, strict hand-over between CPUs (dear
 *   when CPUs outnumber the host's cores), WFE/SEV.
 * Parameters: ops=1000000 (lock+unlock pairs on each CPU), wait=busy (busy, yield or wfe).
 * Metrics: roi_ns, ops_per_s (all CPUs together), violations.
 * Self-check: the protected counter is exact; no CPU saw another in the critical section; tickets
 *   are all used up.
 */
#include "rt.h"

RT_GUEST("ticketlock");

static volatile uint32_t next_ticket ALIGNED(64);
static volatile uint32_t now_serving ALIGNED(64);
static volatile uint32_t owner ALIGNED(64), guarded;
static uint32_t violations[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);
static uint32_t ops;
static enum { BUSY, YIELD, WFE } how;

static inline uint32_t take_ticket(void)
{
    uint32_t mine, next, f;
    asm volatile("1: ldrex %0, [%3]\n\tadd %1, %0, #1\n\tstrex %2, %1, [%3]\n\tcmp %2, #0\n\tbne 1b"
                 : "=&r"(mine), "=&r"(next), "=&r"(f)
                 : "r"(&next_ticket)
                 : "cc", "memory");
    return mine;
}

static void work(unsigned cpu, void *arg)
{
    uint32_t bad = 0;
    (void)arg;
    for (uint32_t i = 0; i < ops; i++) {
        uint32_t mine = take_ticket();
        while (now_serving != mine) {
            if (how == WFE)
                rt_wfe();
            else if (how == YIELD)
                rt_yield();
        }
        rt_dmb();
        bad += owner != 0;
        owner = cpu + 1;
        guarded++;
        bad += owner != cpu + 1;
        owner = 0;
        rt_dmb();
        now_serving = mine + 1;
        if (how == WFE)
            rt_sev();
    }
    violations[cpu][0] = bad;
}

void guest_main(void)
{
    const char *w = rt_param_str("wait", "busy");
    ops = rt_param("ops", 1000000);
    how = rt_streq(w, "wfe") ? WFE : rt_streq(w, "yield") ? YIELD : BUSY;
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint32_t bad = 0, total = ops * rt_ncpus();
    for (unsigned c = 0; c < rt_ncpus(); c++)
        bad += violations[c][0];
    rt_printf("ops %u wait %s\n", ops, w);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("ops_per_s", total, ns, "1/s");
    rt_metric("violations", bad, "1");
    if (guarded != total || next_ticket != total || now_serving != total)
        rt_fail("counter %u, tickets %u, served %u, not %u", guarded, next_ticket, now_serving, total);
    if (bad)
        rt_fail("%u violations", bad);
    rt_pass();
}
