/* litmus_sb.c — store buffering: can both CPUs miss each other's store?
 *
 * Forces: the one reordering that an x86 host shows by itself: a store and a later load; DMB must
 *   become a full fence.
 * Parameters: iters=20000 (with and again without DMB; CPUs play in pairs).
 * Metrics: dmb_XY and plain_XY: how often the two loads gave X and Y; roi_ns.
 * Self-check: the forbidden outcome, both loads read 0 (0,0), with DMB, never happens; every
 *   outcome is made of values that were stored. With one CPU the two sides run one after the other.
 */
#include "rt.h"

RT_GUEST("litmus_sb");

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

static inline void left(unsigned p, unsigned s)
{
    slots[p][s].x = 1;
    maybe_fence();
    slots[p][s].r[0] = slots[p][s].y;
}

static inline void right(unsigned p, unsigned s)
{
    slots[p][s].y = 1;
    maybe_fence();
    slots[p][s].r[1] = slots[p][s].x;
}

#define FORBIDDEN 0 /* both 0 */

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

void guest_main(void)
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
            if (f && k == FORBIDDEN && n)
                rt_fail("forbidden outcome %s seen %u times", name, n);
        }
    rt_metric("roi_ns", ns, "ns");
    rt_pass();
}
