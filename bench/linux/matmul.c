/* matmul.c — products of matrices of doubles: multiplications and additions in long rows.
 *
 * Forces: VFP arithmetic of double precision with loads and stores beside it, no sharing.
 * Parameters: n=96 (rows), loops=4, expect=checksum (of the default sizes, if not given).
 * Self-check: a checksum of every bit of the result, as an x86-64 computes it (SSE2, no contraction).
 * Metrics: roi_ns.
 */
#include "rt.h"

RT_GUEST("matmul");

#define MAX_N 256

static double a[MAX_N][MAX_N], b[MAX_N][MAX_N], c[MAX_N][MAX_N];
static uint32_t n, loops;

static NOINLINE void product(void)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++)
            c[i][j] = 0;
        for (uint32_t k = 0; k < n; k++) {
            double f = a[i][k];
            for (uint32_t j = 0; j < n; j++)
                c[i][j] += f * b[k][j];
        }
    }
}

static uint32_t checksum(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            uint32_t w[2];
            memcpy(w, &c[i][j], 8);
            sum = (sum ^ w[0]) * 16777619u;
            sum = (sum ^ w[1]) * 16777619u;
        }
    return sum;
}

static void work(unsigned cpu, void *arg)
{
    (void)cpu, (void)arg;
    for (uint32_t l = 0; l < loops; l++) {
        product();
        /* The next one depends on this one, and stays near 1. */
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < n; j++)
                a[i][j] = 0.5 * a[i][j] + c[i][j] / (4.0 * n);
    }
}

void guest_main(void)
{
    uint32_t seed = 1;
    n = rt_param("n", 96);
    loops = rt_param("loops", 4);
    if (n > MAX_N)
        rt_fail("n is at most %d", MAX_N);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            a[i][j] = (double)(rt_rand(&seed) >> 8) / 8388608.0;
            b[i][j] = (double)(rt_rand(&seed) >> 8) / 8388608.0;
        }
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint32_t sum = checksum(), expect = rt_param("expect", n == 96 && loops == 4 ? 0xcaf4fa3d : sum);
    rt_printf("n %u loops %u checksum %08x\n", n, loops, sum);
    rt_metric("roi_ns", ns, "ns");
    if (sum != expect)
        rt_fail("the checksum is not %08x", expect);
    rt_pass();
}
