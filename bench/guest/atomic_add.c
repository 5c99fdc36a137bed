/* atomic_add.c — every CPU adds one to random counters of a range by LDREX/STREX.
 *
 * Forces: exclusives, from no contention (counters=1024) to all CPUs on one cell (counters=1).
 * Parameters: counters=64 (1..1024, 64 bytes apart), ops=5000000 (on each CPU), width=32 (8, 16, 32
 *   or 64), seed=1, private=0 (1: each CPU has a range of its own).
 * Metrics: roi_ns, ops_per_s (all CPUs together), retries (store-exclusives that failed).
 * Self-check: the choice of counters is replayed afterwards; every counter must hold its exact
 *   count, modulo its width, and the bytes around it must be untouched.
 */
#include "rt.h"

RT_GUEST("atomic_add");

#define MAX_COUNTERS 1024

struct line {
    uint64_t value;
    uint64_t guard[RT_LINE / 8 - 1];
};

static struct line counters[RT_MAX_CPUS * MAX_COUNTERS] ALIGNED(64);
static uint32_t expected[RT_MAX_CPUS * MAX_COUNTERS];
static uint32_t ncounters, ops, width, seed, private;
static uint32_t retries[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);

static uint32_t start_seed(unsigned cpu)
{
    return (seed * 2654435761u) ^ ((cpu + 1) * 0x9e3779b9u) ^ 0x5bd1e995u;
}

static inline uint32_t pick(uint32_t *s)
{
    return (uint32_t)((uint64_t)rt_rand(s) * ncounters >> 32);
}

static inline unsigned first_of(unsigned cpu)
{
    return private ? cpu * MAX_COUNTERS : 0;
}

#define ADDER(name, ld, st)                                                                                         \
 static NOINLINE uint32_t name(unsigned cpu)                                                                        \
 {                                                                                                                  \
  uint32_t s = start_seed(cpu), failed = 0;                                                                         \
  struct line *base = &counters[first_of(cpu)];                                                                     \
  for (uint32_t i = 0; i < ops; i++) {                                                                              \
   void *p = &base[pick(&s)].value;                                                                                 \
   uint32_t v, f;                                                                                                   \
   for (;;) {                                                                                                       \
    asm volatile(ld " %0, [%2]\n\tadd %0, %0, #1\n\t" st " %1, %0, [%2]" : "=&r"(v), "=&r"(f) : "r"(p) : "memory"); \
    if (!f)                                                                                                         \
     break;                                                                                                         \
    failed++;                                                                                                       \
   }                                                                                                                \
  }                                                                                                                 \
  return failed;                                                                                                    \
 }
ADDER(add8, "ldrexb", "strexb")
ADDER(add16, "ldrexh", "strexh")
ADDER(add32, "ldrex", "strex")

static NOINLINE uint32_t add64(unsigned cpu)
{
    uint32_t s = start_seed(cpu), failed = 0;
    struct line *base = &counters[first_of(cpu)];
    for (uint32_t i = 0; i < ops; i++) {
        void *p = &base[pick(&s)].value;
        uint64_t v;
        uint32_t f;
        for (;;) {
            asm volatile("ldrexd %Q0, %R0, [%2]\n\tadds %Q0, %Q0, #1\n\tadc %R0, %R0, #0\n\t"
                         "strexd %1, %Q0, %R0, [%2]"
                         : "=&r"(v), "=&r"(f)
                         : "r"(p)
                         : "cc", "memory");
            if (!f)
                break;
            failed++;
        }
    }
    return failed;
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    retries[cpu][0] = width == 8 ? add8(cpu) : width == 16 ? add16(cpu) : width == 64 ? add64(cpu) : add32(cpu);
}

void guest_main(void)
{
    ncounters = rt_param("counters", 64);
    ops = rt_param("ops", 5000000);
    width = rt_param("width", 32);
    seed = rt_param("seed", 1);
    private = rt_param("private", 0);
    if (ncounters < 1 || ncounters > MAX_COUNTERS)
        rt_fail("counters must be 1..%u", MAX_COUNTERS);
    if (width != 8 && width != 16 && width != 32 && width != 64)
        rt_fail("width must be 8, 16, 32 or 64");

    /* Start just below the carry out of the low half so that 64-bit adds cross it. */
    uint64_t first = width == 64 ? 0xfffffff0u : 0;
    for (unsigned i = 0; i < ARRAY_LEN(counters); i++)
        counters[i].value = first;
    uint64_t ns = rt_parallel_roi(work, NULL);

    for (unsigned c = 0; c < rt_ncpus(); c++) {
        uint32_t s = start_seed(c);
        for (uint32_t i = 0; i < ops; i++)
            expected[first_of(c) + pick(&s)]++;
    }
    uint64_t failed = 0;
    for (unsigned c = 0; c < rt_ncpus(); c++)
        failed += retries[c][0];
    rt_printf("counters %u ops %u width %u private %u\n", ncounters, ops, width, private);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("ops_per_s", (uint64_t)ops * rt_ncpus(), ns, "1/s");
    rt_metric("retries", failed, "1");
    for (unsigned i = 0; i < ARRAY_LEN(counters); i++) {
        uint64_t want = first + expected[i];
        if (width < 64)
            want &= (1ull << width) - 1;
        if (counters[i].value != want)
            rt_fail("counter %u is %llu, not %llu", i, (unsigned long long)counters[i].value, (unsigned long long)want);
        for (unsigned g = 0; g < ARRAY_LEN(counters[i].guard); g++)
            if (counters[i].guard[g])
                rt_fail("bytes after counter %u changed", i);
    }
    rt_pass();
}
