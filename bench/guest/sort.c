/* sort.c — quicksort with insertion sort for short parts, over random words; one copy a vCPU.
 *
 * Forces: unpredictable compare-and-branch, conditional instructions, recursion, loads and stores
 *   with two pointers.
 * Parameters: n=4096 (2..65536), loops=50.
 * Metrics: roi_ns, items_per_s (all CPUs together).
 * Self-check: ascending, and sum and exclusive-or of the items are unchanged.
 */
#include "rt.h"

RT_GUEST("sort");

#define MAX_ITEMS 65536

static uint32_t items[RT_MAX_CPUS][MAX_ITEMS] ALIGNED(64);
static uint32_t n, loops;
static const char *volatile wrong[RT_MAX_CPUS];

static NOINLINE void sort(uint32_t *lo, uint32_t *hi)
{
    while (hi - lo > 12) {
        uint32_t pivot = lo[(hi - lo) / 2], *i = lo - 1, *j = hi;
        for (;;) {
            do
                i++;
            while (*i < pivot);
            do
                j--;
            while (*j > pivot);
            if (i >= j)
                break;
            uint32_t t = *i;
            *i = *j;
            *j = t;
        }
        sort(lo, j + 1);
        lo = j + 1;
    }
    for (uint32_t *p = lo + 1; p < hi; p++) {
        uint32_t v = *p, *q = p;
        for (; q > lo && q[-1] > v; q--)
            *q = q[-1];
        *q = v;
    }
}

static void work(unsigned cpu, void *arg)
{
    uint32_t *a = items[cpu], seed = 2463534242u;
    (void)arg;
    for (uint32_t l = 0; l < loops; l++) {
        uint32_t sum = 0, eor = 0;
        for (uint32_t i = 0; i < n; i++) {
            a[i] = rt_rand(&seed);
            sum += a[i];
            eor ^= a[i];
        }
        sort(a, a + n);
        for (uint32_t i = 0; i < n; i++) {
            sum -= a[i];
            eor ^= a[i];
            if (i && a[i - 1] > a[i])
                wrong[cpu] = "not ascending";
        }
        if (sum || eor)
            wrong[cpu] = "items changed";
    }
}

void guest_main(void)
{
    n = rt_param("n", 4096);
    loops = rt_param("loops", 50);
    if (n < 2 || n > MAX_ITEMS)
        rt_fail("n must be 2..%u", MAX_ITEMS);
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_printf("n %u loops %u median %08x\n", n, loops, items[0][n / 2]);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("items_per_s", (uint64_t)n * loops * rt_ncpus(), ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (wrong[c])
            rt_fail("cpu %u: %s", c, wrong[c]);
    rt_pass();
}
