/* spinlock.c — test-and-set lock by LDREX/STREX, waiting busily, by YIELD, by WFE/SEV, or by WFE alone.
 *
 * Forces: contended exclusives, DMB, WFE woken by SEV, plain stores that release a lock others hold
 *   a reservation on.
 * Parameters: ops=1000000 (lock+unlock pairs on each CPU), wait=busy (busy, yield, wfe or turn), cs=4
 *   (length of the critical section in loads and stores). turn: the lock goes from CPU to CPU in order, without SEV:
 *   lost reservations must wake the waiters, which not every engine promises.
 * Metrics: roi_ns, ops_per_s (all CPUs together), violations.
 * Self-check: the counter that the lock protects is exact; no CPU ever saw another in the critical
 *   section.
 */
#include "rt.h"

RT_GUEST("spinlock");

static volatile uint32_t lock ALIGNED(64);
static volatile uint32_t guarded[64] ALIGNED(64);
static volatile uint32_t owner ALIGNED(64);
static uint32_t violations[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);
static uint32_t ops, cs;
static enum { BUSY, YIELD, WFE, TURN } how;

static inline void acquire(unsigned cpu)
{
    uint32_t v, one = 1;
    switch (how) {
    case BUSY:
        asm volatile("1: ldrex %0, [%1]\n\tcmp %0, #0\n\tbne 1b\n\tstrex %0, %2, [%1]\n\tcmp %0, #0\n\tbne 1b"
                     : "=&r"(v)
                     : "r"(&lock), "r"(one)
                     : "cc", "memory");
        break;
    case YIELD:
        asm volatile("1: ldrex %0, [%1]\n\tcmp %0, #0\n\tbeq 2f\n\tyield\n\tb 1b\n"
                     "2: strex %0, %2, [%1]\n\tcmp %0, #0\n\tbne 1b"
                     : "=&r"(v)
                     : "r"(&lock), "r"(one)
                     : "cc", "memory");
        break;
    case WFE:
        asm volatile("1: ldrex %0, [%1]\n\tcmp %0, #0\n\tbeq 2f\n\twfe\n\tb 1b\n"
                     "2: strex %0, %2, [%1]\n\tcmp %0, #0\n\tbne 1b"
                     : "=&r"(v)
                     : "r"(&lock), "r"(one)
                     : "cc", "memory");
        break;
    case TURN:
        asm volatile("1: ldrex %0, [%1]\n\tcmp %0, %2\n\tbeq 2f\n\twfe\n\tb 1b\n2: clrex"
                     : "=&r"(v)
                     : "r"(&lock), "r"(cpu)
                     : "cc", "memory");
        break;
    }
    rt_dmb();
}

static inline void release(unsigned cpu)
{
    rt_dmb();
    lock = how == TURN ? (cpu + 1) % rt_ncpus() : 0;
    if (how == WFE)
        rt_sev();
}

static void work(unsigned cpu, void *arg)
{
    uint32_t bad = 0;
    (void)arg;
    for (uint32_t i = 0; i < ops; i++) {
        acquire(cpu);
        bad += owner != 0;
        owner = cpu + 1;
        for (uint32_t k = 0; k < cs; k++)
            guarded[k]++;
        bad += owner != cpu + 1;
        owner = 0;
        release(cpu);
    }
    violations[cpu][0] = bad;
}

void guest_main(void)
{
    const char *w = rt_param_str("wait", "busy");
    ops = rt_param("ops", 1000000);
    cs = rt_param("cs", 4);
    how = rt_streq(w, "wfe") ? WFE : rt_streq(w, "yield") ? YIELD : rt_streq(w, "turn") ? TURN : BUSY;
    if (cs < 1 || cs > ARRAY_LEN(guarded))
        rt_fail("cs must be 1..%u", (unsigned)ARRAY_LEN(guarded));
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint32_t bad = 0, total = ops * rt_ncpus();
    for (unsigned c = 0; c < rt_ncpus(); c++)
        bad += violations[c][0];
    rt_printf("ops %u wait %s cs %u\n", ops, w, cs);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("ops_per_s", total, ns, "1/s");
    rt_metric("violations", bad, "1");
    for (uint32_t k = 0; k < cs; k++)
        if (guarded[k] != total)
            rt_fail("guarded counter %u is %u, not %u", k, guarded[k], total);
    if (bad)
        rt_fail("%u violations", bad);
    rt_pass();
}
