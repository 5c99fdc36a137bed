/* fib.c — recursive Fibonacci numbers; one copy a vCPU.
 *
 * Forces: calls and returns (return prediction), push and pop of registers with pc.
 * Parameters: n=24, loops=25.
 * Metrics: roi_ns, calls_per_s (all CPUs together).
 * Self-check: equals the iterative result on every CPU.
 */
#include "rt.h"

RT_GUEST("fib");

static uint32_t n, loops;
static uint32_t result[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);

/* Without these options the compiler turns most of the recursion into loops. */
static __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls", "no-inline", "no-tree-tail-merge")))
uint32_t
fib(uint32_t k)
{
    if (k < 2)
        return k;
    uint32_t a = fib(k - 1);
    asm volatile("" : "+r"(a));
    return a + fib(k - 2);
}

static void work(unsigned cpu, void *arg)
{
    uint32_t sum = 0;
    (void)arg;
    for (uint32_t i = 0; i < loops; i++)
        sum += fib(n);
    result[cpu][0] = sum;
}

void guest_main(void)
{
    n = rt_param("n", 24);
    loops = rt_param("loops", 25);
    uint32_t a = 0, b = 1, calls0 = 1, calls1 = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = a + b, c = calls0 + calls1 + 1;
        a = b;
        b = t;
        calls0 = calls1;
        calls1 = c;
    }
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_printf("fib(%u) = %u, loops %u\n", n, a, loops);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("calls_per_s", (uint64_t)calls0 * loops * rt_ncpus(), ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (result[c][0] != a * loops)
            rt_fail("cpu %u: %u, not %u", c, result[c][0], a * loops);
    rt_pass();
}
