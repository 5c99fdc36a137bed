/* litmus.h — two CPUs run the two sides of a litmus test over and over, with and without a fence
 *
 * A guest defines left() and right(), which store to and load from slots[p][s] with maybe_fence() in between and put
 * what they loaded into r[0] and r[1]; forbidden, the outcome 2 * r[0] + r[1] that a fence must rule out; and calls
 * litmus_main(). Parameters: iters=20000. Metrics: dmb_XY and plain_XY, roi_ns.
 */
#ifndef LITMUS_H
#define LITMUS_H

#include "rt.h"

#define SLOTS 256
static struct {
    volatile uint32_t x;
    uint32_t pad_x[RT_LINE / 4 - 1];
    volatile uint32_t y;
    uint32_t pad_y[RT_LINE / 4 - 1];
    volatile uint32_t r[2];
    uint32_t pad_r[RT_LINE / 4 - 2];
} slots[RT_MAX_CPUS / 2][SLOTS] ALIGNED(64);
static struct {
    volatile uint32_t at;
    uint32_t pad[RT_LINE / 4 - 1];
} progress[RT_MAX_CPUS] ALIGNED(64);
static uint32_t histogram[RT_MAX_CPUS / 2][2][4];
static uint32_t iters;
static bool fence;

static inline void maybe_fence(void)
{
    if (fence)
        rt_dmb();
    else
        asm volatile("" ::: "memory");
}

static inline void left(unsigned p, unsigned s);
static inline void right(unsigned p, unsigned s);
static const uint32_t forbidden;

static void tally(unsigned pair)
{
    for (unsigned s = 0; s < SLOTS; s++) {
        uint32_t a = slots[pair][s].r[0], b = slots[pair][s].r[1];
        if (a > 1 || b > 1)
            rt_fail("a load gave %u %u, which nobody stored", a, b);
        histogram[pair][fence][a * 2 + b]++;
    }
}

static void clear(unsigned pair)
{
    for (unsigned s = 0; s < SLOTS; s++) {
        slots[pair][s].x = slots[pair][s].y = 0;
        slots[pair][s].r[0] = slots[pair][s].r[1] = 7;
    }
}

static void work(unsigned cpu, void *arg)
{
    unsigned pair = cpu / 2, other = cpu ^ 1;
    uint32_t seed = cpu + 1, step = 0;
    (void)arg;
    /* An odd CPU at the end has no partner. */
    if (other >= rt_ncpus() && rt_ncpus() > 1)
        pair = RT_MAX_CPUS;
    progress[cpu].at = 0;
    for (uint32_t done = 0; done < iters; done += SLOTS) {
        if (pair < RT_MAX_CPUS && !(cpu & 1))
            clear(pair);
        rt_barrier();
        for (unsigned s = 0; pair < RT_MAX_CPUS && s < SLOTS; s++) {
            if (rt_ncpus() == 1) {
                if (rt_rand(&seed) & 1)
                    left(0, s), right(0, s);
                else
                    right(0, s), left(0, s);
                continue;
            }
            /* Meet, then start up to a few dozen instructions apart. A partner that does not come,
             * because its host thread is not running, is not waited for. */
            progress[cpu].at = ++step;
            for (unsigned k = 0; (int32_t)(progress[other].at - step) < 0 && k < 2000; k++)
                ;
            for (uint32_t k = rt_rand(&seed) & 15; k; k--)
                asm volatile("");
            if (cpu & 1)
                right(pair, s);
            else
                left(pair, s);
        }
        rt_barrier();
        if (pair < RT_MAX_CPUS && !(cpu & 1))
            tally(pair);
    }
}

static void litmus_main(void)
{
    uint64_t ns = 0;
    char name[16];
    iters = rt_param("iters", 20000);
    iters = (iters + SLOTS - 1) / SLOTS * SLOTS;
    for (int f = 1; f >= 0; f--) {
        fence = f;
        for (unsigned c = 0; c < RT_MAX_CPUS; c++)
            progress[c].at = 0;
        ns += rt_parallel_roi(work, NULL);
    }
    rt_printf("iters %u\n", iters);
    for (int f = 1; f >= 0; f--)
        for (unsigned k = 0; k < 4; k++) {
            uint32_t n = 0;
            for (unsigned p = 0; p < RT_MAX_CPUS / 2; p++)
                n += histogram[p][f][k];
            strcpy(name, f ? "dmb_" : "plain_");
            size_t len = strlen(name);
            name[len] = (char)('0' + k / 2);
            name[len + 1] = (char)('0' + k % 2);
            name[len + 2] = 0;
            rt_metric(name, n, "1");
            if (f && k == forbidden && n)
                rt_fail("forbidden outcome %s seen %u times", name, n);
        }
    rt_metric("roi_ns", ns, "ns");
    rt_pass();
}

#endif
