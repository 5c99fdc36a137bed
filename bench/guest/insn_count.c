/* insn_count.c — runs the same instructions each time: no clock, no times printed.
 *
 * Forces: every way in which a block is left: exits straight on, conditional, by calls, returns and
 *   indirect branches, exceptions in its midst, exclusives that start over, pages that are left
 *   and come back to. For tests of instruction counts.
 * Parameters: rounds=40.
 * Self-check: a checksum of all results, and the number of exceptions.
 */
#include "rt.h"

RT_GUEST("insn_count");

#ifdef __thumb__
# define LOAD "ldr.w" /* the handler steps over 4 bytes */
#else
# define LOAD "ldr"
#endif

static uint32_t exceptions;

/* lr_und is behind the instruction already. */
static struct rt_frame *skip(struct rt_frame *f, enum rt_kind kind)
{
    exceptions++;
    if (kind == RT_SVC)
        f->r[0] += 3;
    else if (kind == RT_DABT)
        f->pc += 4;
    return f;
}

static NOINLINE uint32_t fib(uint32_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static NOINLINE uint32_t twice(uint32_t x)
{
    return 2 * x;
}

static NOINLINE uint32_t dec(uint32_t x)
{
    return x - 1;
}

static NOINLINE uint32_t choose(uint32_t x)
{
    switch (x % 9) {
    case 0: return x + 1;
    case 1: return x ^ 0x55;
    case 2: return x * 7;
    case 3: return x >> 3;
    case 4: return ~x;
    case 5: return x - 9;
    case 6: return x << 2 | x >> 30;
    case 7: return x | 0x100;
    default: return 77;
    }
}

static uint32_t shared ALIGNED(64);

static NOINLINE uint32_t one_round(uint32_t i)
{
    static uint32_t (*const fns[])(uint32_t) = {fib, twice, dec, choose};
    uint32_t sum = fib(i % 11), a[32], seed = i;
    for (unsigned k = 0; k < 32; k++)
        a[k] = rt_rand(&seed) >> (k % 3);
    rt_sort(a, 32);
    for (unsigned k = 0; k < 32; k++) {
        sum = choose(sum + a[k]) + fns[a[k] % 4](a[k] % 13);
        if (sum & 1)
            sum += 3;
    }
    register uint32_t r0 asm("r0") = sum;
    asm volatile("svc #5" : "+r"(r0)::"lr", "cc", "memory");
    /* An abort between instructions of one block: 0x40000000 is mapped nowhere. */
    register uint32_t bad asm("r1") = 0x40000000;
    register uint32_t n asm("r2") = r0;
    asm volatile("adds r2, r2, #1\n\t" LOAD " r3, [r1]\n\tadds r2, r2, #2\n\tudf #1\n\tadds r2, r2, #4"
                 : "+r"(n)
                 : "r"(bad)
                 : "r3", "lr", "cc", "memory");
    rt_atomic_add(&shared, n);
    return n ^ shared;
}

void guest_main(void)
{
    uint32_t rounds = rt_param("rounds", 40), sum = 0;
    rt_set_hook(RT_SVC, skip);
    rt_set_hook(RT_DABT, skip);
    rt_set_hook(RT_UND, skip);
    for (uint32_t i = 0; i < rounds; i++)
        sum = sum * 31 + one_round(i);
    rt_printf("sum %x\n", sum);
    if (exceptions != 3 * rounds)
        rt_fail("%u exceptions", exceptions);
    rt_pass();
}
