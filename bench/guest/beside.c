/* beside.c — one CPU of a pair adds by LDREX/STREX, the other stores plainly to bytes of the same cell.
 *
 * Forces: plain stores that land between the parts of another CPU's exclusives: the store-exclusive
 *   must fail, or it writes the old byte back.
 * Parameters: ops=200000 (additions on each even CPU), width=32 (or 64).
 * Metrics: roi_ns, plain_stores, retries (store-exclusives that failed).
 * Self-check: a plain store stands until its CPU stores again, STM beside the cell too; each counter
 *   holds its exact count.
 */
#include "rt.h"

RT_GUEST("beside");

struct cell {
    union {
        struct {
            volatile uint16_t count;
            volatile uint8_t byte, zero;
        } narrow;
        struct {
            volatile uint32_t count, word;
        } wide;
        uint64_t all;
    } u;
    volatile uint32_t done ALIGNED(64);
    volatile uint32_t many[32] ALIGNED(64);
} ALIGNED(4096); /* pairs do not watch each other's frames */

static struct cell cells[RT_MAX_CPUS / 2];
static uint32_t retries[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);
static uint32_t stores[RT_MAX_CPUS][RT_LINE / 4] ALIGNED(64);
static uint32_t ops, width;

static void add(unsigned cpu, struct cell *c)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < ops; i++) {
        uint64_t v;
        uint32_t x, y, f;
        do {
            if (width == 64)
                asm volatile("ldrexd %Q0, %R0, [%2]\n\tadd %Q0, %Q0, #1\n\tstrexd %1, %Q0, %R0, [%2]"
                             : "=&r"(v), "=&r"(f)
                             : "r"(&c->u)
                             : "memory");
            else
                asm volatile("ldrex %0, [%3]\n\tadd %1, %0, #1\n\tuxth %1, %1\n\tbic %0, %0, #0xff\n\t"
                             "bic %0, %0, #0xff00\n\torr %0, %0, %1\n\tstrex %2, %0, [%3]"
                             : "=&r"(x), "=&r"(y), "=&r"(f)
                             : "r"(&c->u)
                             : "memory");
            failed += f;
        } while (f);
    }
    retries[cpu][0] = failed;
    c->done = 1;
}

/* Four words, across a boundary of 64 bytes or beside it, and nothing else. */
static void store_many(unsigned cpu, struct cell *c, uint32_t n)
{
    volatile uint32_t *p = &c->many[11 + n % 6];
    register uint32_t r4 asm("r4") = n, r5 asm("r5") = n + 1, r6 asm("r6") = n + 2, r8 asm("r8") = ~n;
    p[-1] = p[4] = 0x5a5a5a5a;
    asm volatile("stmia %0, {r4, r5, r6, r8}" ::"r"(p), "r"(r4), "r"(r5), "r"(r6), "r"(r8) : "memory");
    if (p[0] != n || p[1] != n + 1 || p[2] != n + 2 || p[3] != ~n || p[-1] != 0x5a5a5a5a || p[4] != 0x5a5a5a5a)
        rt_fail("CPU %u: STM to %x: %x %x %x %x", cpu, (unsigned)(uintptr_t)p, p[0], p[1], p[2], p[3]);
}

static void store(unsigned cpu, struct cell *c)
{
    uint32_t n = 0;
    while (!c->done) {
        n++;
        uint32_t seen, want;
        if (width == 64) {
            c->u.wide.word = want = n;
            seen = c->u.wide.word;
        } else {
            c->u.narrow.byte = (uint8_t)n;
            want = (uint8_t)n;
            seen = c->u.narrow.byte;
        }
        if (seen != want)
            rt_fail("CPU %u stored %u and found %u", cpu, want, seen);
        if (n % 4 == 0)
            store_many(cpu, c, n);
        /* Look once more a little later. */
        for (uint32_t k = n & 15; k; k--)
            asm volatile("" ::: "memory");
        seen = width == 64 ? c->u.wide.word : c->u.narrow.byte;
        if (seen != want)
            rt_fail("CPU %u stored %u and later found %u", cpu, want, seen);
    }
    stores[cpu][0] = n;
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu & 1)
        store(cpu, &cells[cpu / 2]);
    else
        add(cpu, &cells[cpu / 2]);
}

void guest_main(void)
{
    ops = rt_param("ops", 200000);
    width = rt_param("width", 32);
    if (width != 32 && width != 64)
        rt_fail("width must be 32 or 64");
    uint64_t ns = rt_parallel_roi(work, NULL);
    uint64_t failed = 0, plain = 0;
    for (unsigned c = 0; c < rt_ncpus(); c++) {
        failed += retries[c][0];
        plain += stores[c][0];
    }
    rt_printf("ops %u width %u\n", ops, width);
    rt_metric("roi_ns", ns, "ns");
    rt_metric("plain_stores", plain, "1");
    rt_metric("retries", failed, "1");
    for (unsigned c = 0; c < rt_ncpus(); c += 2) {
        struct cell *p = &cells[c / 2];
        uint32_t count = width == 64 ? p->u.wide.count : p->u.narrow.count;
        uint32_t want = width == 64 ? ops : (uint16_t)ops;
        if (count != want)
            rt_fail("the counter of CPU %u is %u, not %u", c, count, want);
        if (width == 32 && p->u.narrow.zero)
            rt_fail("the byte beside CPU %u's is %u", c + 1, p->u.narrow.zero);
    }
    rt_pass();
}
