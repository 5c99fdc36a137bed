/* lock_stress.c — vCPUs toggle two globals under one lock, and count when they differ.
 *
 * Forces: a bare-metal lock under stress: LDREX/STREX with the barriers real code uses, short
 *   critical sections.
 * Parameters: ops=1000000 (lock+unlock pairs on each CPU), barriers=1 (0: leave out the DMBs, which
 *   on a strongly ordered host must do no harm, but may fail on hardware).
 * Metrics: roi_ns, ops_per_s (all CPUs together), errors.
 * Self-check: no error seen, both globals show the parity of all toggles.
 */
#include "rt.h"

RT_GUEST("lock_stress");

static volatile uint32_t lock ALIGNED(64);
static volatile uint32_t first ALIGNED(64);
static volatile uint32_t second ALIGNED(64);
static uint32_t errors[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);
static uint32_t ops;
static bool barriers;

static void work(unsigned cpu, void *arg)
{
    uint32_t bad = 0;
    (void)arg;
    for (uint32_t i = 0; i < ops; i++) {
        uint32_t v, one = 1;
        asm volatile("1: ldrex %0, [%1]\n\tteq %0, #0\n\tit eq\n\tstrexeq %0, %2, [%1]\n\tteq %0, #0\n\tbne 1b"
                     : "=&r"(v)
                     : "r"(&lock), "r"(one)
                     : "cc", "memory");
        if (barriers)
            rt_dmb();
        bad += first != second;
        first = !first;
        second = !second;
        if (barriers)
            rt_dmb();
        lock = 0;
    }
    errors[cpu][0] = bad;
}

void guest_main(void)
{
    uint32_t bad = 0;
    ops = rt_param("ops", 1000000);
    barriers = rt_param("barriers", 1) != 0;
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (unsigned c = 0; c < rt_ncpus(); c++)
        bad += errors[c][0];
    rt_printf("ops %u barriers %u\n", ops, barriers);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("ops_per_s", (uint64_t)ops * rt_ncpus(), ns, "1/s");
    rt_metric("errors", bad, "1");
    if (bad)
        rt_fail("%u errors", bad);
    if (first != second || first != ((ops & rt_ncpus() & 1) != 0))
        rt_fail("toggles were lost: %u %u", first, second);
    rt_pass();
}
