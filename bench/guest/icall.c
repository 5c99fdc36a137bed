/* icall.c — indirect calls to one function, to 16 in order, to 16 in random order.
 *
 * Forces: indirect branches: jump cache or inline prediction that hits always, by pattern, or
 *   hardly.
 * Parameters: calls=5000000, kind=all (one, seq, random or all).
 * Metrics: roi_ns (all kinds), <kind>_calls_per_s (all CPUs together).
 * Self-check: the sum of what the functions return is known.
 */
#include "rt.h"

RT_GUEST("icall");

#define F(i)                                    \
 static NOINLINE uint32_t f##i(uint32_t x)      \
 {                                              \
  return (x ^ (0x2468acf2u * (i + 1))) + i + 1; \
 }
/* clang-format off */
F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
    /* clang-format on */

    typedef uint32_t (*fn)(uint32_t);
static const fn table[16] = {f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15};

#define PATTERN 1024
static fn pattern[PATTERN];
static uint8_t which[PATTERN];
static uint32_t calls;
static uint32_t result[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);

static void work(unsigned cpu, void *arg)
{
    uint32_t x = 1;
    (void)arg;
    for (uint32_t i = 0; i < calls; i++)
        x = pattern[i % PATTERN](x);
    result[cpu][0] = x;
}

static uint64_t run(const char *kind)
{
    uint32_t seed = 12345, want = 1;
    char name[32];
    for (unsigned i = 0; i < PATTERN; i++) {
        which[i] = kind[0] == 'o' ? 0 : kind[0] == 's' ? i % 16 : rt_rand(&seed) >> 28;
        pattern[i] = table[which[i]];
    }
    uint64_t ns = rt_parallel_roi(work, NULL);
    for (uint32_t i = 0; i < calls; i++)
        want = (want ^ (0x2468acf2u * (which[i % PATTERN] + 1))) + which[i % PATTERN] + 1;
    rt_printf("%s %08x\n", kind, result[0][0]);
    strcpy(name, kind);
    strcpy(name + strlen(name), "_calls_per_s");
    rt_metric_rate(name, (uint64_t)calls * rt_ncpus(), ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (result[c][0] != want)
            rt_fail("%s: cpu %u has %08x, not %08x", kind, c, result[c][0], want);
    return ns;
}

void guest_main(void)
{
    static const char *const kinds[] = {"one", "seq", "random"};
    const char *kind = rt_param_str("kind", "all");
    uint64_t ns = 0;
    calls = rt_param("calls", 5000000);
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        if (rt_streq(kind, "all") || rt_streq(kind, kinds[i]))
            ns += run(kinds[i]);
    if (!ns)
        rt_fail("kind must be one, seq, random or all");
    rt_metric("roi_ns", ns, "ns");
    rt_pass();
}
