/* memloops.c — word copy, word sum and pointer chase over a buffer; one copy a vCPU.
 *
 * Forces: the memory fast path: sequential pages, and dependent loads over many pages (bytes= above
 *   what a TLB of the engine covers shows its misses).
 * Parameters: bytes=65536 (4096..1048576, a power of two, for each CPU), loops=400, kind=all (copy,
 *   sum, chase or all).
 * Metrics: roi_ns, <kind>_words_per_s (all CPUs together).
 * Self-check: the copy equals its source, the sum is known, the chase visits every line once in
 *   each loop.
 */
#include "rt.h"

RT_GUEST("memloops");

#define MAX_BYTES 1048576

/* The odd number of pages in between keeps source and target from falling on the same entries of a
 * direct-mapped TLB, which would measure nothing but its conflicts. */
static struct {
    uint32_t source[MAX_BYTES / 4];
    uint8_t apart[37 * RT_PAGE];
    uint32_t target[MAX_BYTES / 4];
    uint8_t apart_too[41 * RT_PAGE];
} mem[RT_MAX_CPUS] ALIGNED(4096);
static uint32_t bytes, loops, kind;
static uint32_t result[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);

static NOINLINE void copy(uint32_t *d, const uint32_t *s, uint32_t words)
{
    asm volatile("1: ldr r3, [%1], #4\n\tsubs %2, %2, #1\n\tstr r3, [%0], #4\n\tbne 1b"
                 : "+r"(d), "+r"(s), "+r"(words)
                 :
                 : "r3", "cc", "memory");
}

static NOINLINE uint32_t sum(const uint32_t *s, uint32_t words)
{
    uint32_t t = 0;
    asm volatile("1: ldr r3, [%1], #4\n\tsubs %2, %2, #1\n\tadd %0, %0, r3\n\tbne 1b"
                 : "+r"(t), "+r"(s), "+r"(words)
                 :
                 : "r3", "cc", "memory");
    return t;
}

static NOINLINE const uint32_t *chase(const uint32_t *p, uint32_t steps)
{
    asm volatile("1: ldr %0, [%0]\n\tsubs %1, %1, #1\n\tbne 1b" : "+r"(p), "+r"(steps) : : "cc", "memory");
    return p;
}

static void work(unsigned cpu, void *arg)
{
    uint32_t t = 0, words = bytes / 4;
    const uint32_t *p = mem[cpu].target;
    (void)arg;
    for (uint32_t i = 0; i < loops; i++) {
        if (kind == 0)
            copy(mem[cpu].target, mem[cpu].source, words);
        else if (kind == 1)
            t += sum(mem[cpu].source, words);
        else
            p = chase(p, bytes / RT_LINE);
    }
    result[cpu][0] = kind == 2 ? (uint32_t)(p - mem[cpu].target) : t;
}

static void prepare(unsigned cpu)
{
    uint32_t seed = cpu + 99;
    for (uint32_t i = 0; i < bytes / 4; i++) {
        mem[cpu].source[i] = rt_rand(&seed);
        mem[cpu].target[i] = 0;
    }
    if (kind == 2) {
        /* One cycle through all lines: a linear congruence with full period over a power of two. */
        uint32_t lines = bytes / RT_LINE, at = 0;
        for (uint32_t i = 0; i < lines; i++) {
            uint32_t next = (at * 5 + 12345 * 2 + 1) % lines;
            mem[cpu].target[at * (RT_LINE / 4)] = (uint32_t)(uintptr_t)&mem[cpu].target[next * (RT_LINE / 4)];
            at = next;
        }
    }
}

static void check(unsigned cpu)
{
    uint32_t t = 0;
    if (kind == 0 && memcmp(mem[cpu].source, mem[cpu].target, bytes) != 0)
        rt_fail("cpu %u: the copy differs", cpu);
    for (uint32_t i = 0; i < bytes / 4; i++)
        t += mem[cpu].source[i];
    if (kind == 1 && result[cpu][0] != t * loops)
        rt_fail("cpu %u: sum %08x, not %08x", cpu, result[cpu][0], t * loops);
    if (kind == 2 && result[cpu][0] != 0)
        rt_fail("cpu %u: the chase ended at word %u", cpu, result[cpu][0]);
}

void guest_main(void)
{
    static const char *const kinds[] = {"copy", "sum", "chase"};
    static const char *const metrics[] = {"copy_words_per_s", "sum_words_per_s", "chase_words_per_s"};
    const char *which = rt_param_str("kind", "all");
    uint64_t total = 0;
    bytes = rt_param("bytes", 65536);
    loops = rt_param("loops", 400);
    if (bytes < 4096 || bytes > MAX_BYTES || (bytes & (bytes - 1)))
        rt_fail("bytes must be a power of two, 4096..%u", MAX_BYTES);
    for (kind = 0; kind < 3; kind++) {
        if (!rt_streq(which, "all") && !rt_streq(which, kinds[kind]))
            continue;
        for (unsigned c = 0; c < rt_ncpus(); c++)
            prepare(c);
        uint64_t ns = rt_parallel_roi(work, NULL);
        uint64_t words = (uint64_t)loops * rt_ncpus() * (kind == 2 ? bytes / RT_LINE : bytes / 4);
        for (unsigned c = 0; c < rt_ncpus(); c++)
            check(c);
        rt_printf("%s %u bytes, %u loops\n", kinds[kind], bytes, loops);
        rt_metric_rate(metrics[kind], words, ns, "1/s");
        total += ns;
    }
    rt_metric("roi_ns", total, "ns");
    rt_pass();
}
