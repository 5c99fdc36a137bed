/* excl.h — a load-exclusive, something meanwhile, the store-exclusive: no luck needed.
 *
 * CPU 0 does the LDREX, tells CPU 1 by a plain store to another page (which by ARM DDI 0406C A3.4.1
 * does not affect its own reservation), and waits by plain loads until CPU 1 has done its part;
 * only then it tries the STREX. So the order is the same in every run. Operations by the CPU itself
 * happen in the same place.
 */
#ifndef EXCL_H
#define EXCL_H

#include "rt.h"

#define EXCL_ALIAS 0x58000000u /* with the MMU on: another name of the page of the cell */
#define EXCL_A     0x11223344u
#define EXCL_B     0x55667788u

/* What happens between the exclusives. The first group is done by the CPU itself. */
enum excl_op {
    OWN_NONE,
    OWN_CLREX,
    OWN_STORE_SAME,
    OWN_STORE_OTHER_PAGE,
    OWN_LDREX_ELSEWHERE,
    OWN_STREX_TWICE, /* one store-exclusive that may succeed, then the one that counts */
    OWN_STREX_ELSEWHERE,
    OWN_ALIAS_STORE,
    OWN_GROUP_END,
    NOTHING,
    LOAD,
    LDREX_ONLY,
    CLREX_THERE,
    STREX_FAILING,
    STORE_OTHER_LINE,
    STORE_OTHER_PAGE,
    STORE_ABA,
    STORE_SAME,
    STORE_OTHER_VALUE,
    STORE_BYTE0,
    STORE_BYTE3,
    STORE_HALF2,
    STORE_HIGH, /* the second word of a doubleword */
    STORE_DOUBLE,
    STORE_MULTIPLE,
    STORE_UNALIGNED, /* only its first byte falls into the cell */
    STREX_ABA,
    STREX_SAME,
    STREX_OTHER_VALUE,
    STREXB_SAME,
    ALIAS_STORE_SAME,
    ALIAS_BYTE,
    ALIAS_STREX_SAME,
};

enum excl_expect {
    MUST_FAIL,
    MAY_FAIL,   /* the architecture leaves it open */
    CAN_SUCCEED /* may fail now and then, but not always */
};

struct excl_check {
    const char *name;
    unsigned width; /* 8, 16, 32, 64 */
    enum excl_op op;
    enum excl_expect expect;
};

static uint32_t excl_page[2 * RT_PAGE / 4] ALIGNED(4096);
#define excl_cell       (&excl_page[16])
#define excl_other_line (&excl_page[16 + 512])
#define excl_other_page (&excl_page[16 + 1024])
static uint32_t excl_l2[256] ALIGNED(1024);
static struct {
    volatile uint32_t op, ready, done, quit;
} excl_sync ALIGNED(4096);
static uint32_t excl_round;

static inline uint32_t excl_cas(volatile uint32_t *p, uint32_t v)
{
    uint32_t old, f;
    asm volatile("1: ldrex %0, [%2]\n\tstrex %1, %3, [%2]\n\tcmp %1, #0\n\tbne 1b"
                 : "=&r"(old), "=&r"(f)
                 : "r"(p), "r"(v)
                 : "cc", "memory");
    return old;
}

static void excl_other_cpu(enum excl_op op)
{
    volatile uint32_t *c = excl_cell, *alias = (volatile uint32_t *)(EXCL_ALIAS + 64);
    uint32_t t;
    switch (op) {
    case LOAD: (void)*c; break;
    case LDREX_ONLY: asm volatile("ldrex %0, [%1]\n\tclrex" : "=&r"(t) : "r"(c) : "memory"); break;
    case CLREX_THERE: rt_clrex(); break;
    case STREX_FAILING: asm volatile("clrex\n\tstrex %0, %1, [%2]" : "=&r"(t) : "r"(EXCL_A), "r"(c) : "memory"); break;
    case STORE_OTHER_LINE: *(volatile uint32_t *)excl_other_line = EXCL_B; break;
    case STORE_OTHER_PAGE: *(volatile uint32_t *)excl_other_page = EXCL_B; break;
    case STORE_ABA:
        *c = EXCL_B;
        rt_dmb();
        *c = EXCL_A;
        break;
    case STORE_SAME: *c = EXCL_A; break;
    case STORE_OTHER_VALUE: *c = EXCL_B; break;
    case STORE_BYTE0: *(volatile uint8_t *)c = (uint8_t)EXCL_A; break;
    case STORE_BYTE3: *((volatile uint8_t *)c + 3) = (uint8_t)(EXCL_A >> 24); break;
    case STORE_HALF2: *((volatile uint16_t *)c + 1) = (uint16_t)(EXCL_A >> 16); break;
    case STORE_HIGH: c[1] = EXCL_A; break;
    case STORE_DOUBLE:
        asm volatile("mov r2, %1\n\tmov r3, %1\n\tstrd r2, r3, [%0]" ::"r"(c), "r"(EXCL_A) : "r2", "r3", "memory");
        break;
    case STORE_MULTIPLE:
        asm volatile("mov r1, %1\n\tmov r2, %1\n\tmov r3, %1\n\tstmia %0, {r1, r2, r3}" ::"r"(c - 2), "r"(EXCL_A)
                     : "r1", "r2", "r3", "memory");
        break;
    case STORE_UNALIGNED: asm volatile("str %1, [%0]" ::"r"((char *)c + 3), "r"(EXCL_A >> 24) : "memory"); break;
    case STREX_ABA:
        excl_cas(c, EXCL_B);
        excl_cas(c, EXCL_A);
        break;
    case STREX_SAME: excl_cas(c, EXCL_A); break;
    case STREX_OTHER_VALUE: excl_cas(c, EXCL_B); break;
    case STREXB_SAME:
        asm volatile("1: ldrexb %0, [%1]\n\tstrexb r3, %0, [%1]\n\tcmp r3, #0\n\tbne 1b"
                     : "=&r"(t)
                     : "r"(c)
                     : "r3", "cc", "memory");
        break;
    case ALIAS_STORE_SAME: *alias = EXCL_A; break;
    case ALIAS_BYTE: *((volatile uint8_t *)alias + 1) = (uint8_t)(EXCL_A >> 8); break;
    case ALIAS_STREX_SAME: excl_cas(alias, EXCL_A); break;
    default: break;
    }
}

/* The store-exclusive's answer: 0 stored, 1 not. between: r4 = round, r5 = &ready, r6 = &done, r0 =
 * cell. */
#define EXCL_PAIR(name, ld, st, between)                            \
 static NOINLINE uint32_t name(uint32_t round)                      \
 {                                                                  \
  register void *cell asm("r0") = excl_cell;                        \
  register uint32_t fail asm("r1") = 1;                             \
  register uint32_t rnd asm("r4") = round;                          \
  register const volatile void *ready asm("r5") = &excl_sync.ready; \
  register const volatile void *done asm("r6") = &excl_sync.done;   \
  asm volatile(ld "\n\t" between "\n\t" st                          \
               : "+r"(fail)                                         \
               : "r"(cell), "r"(rnd), "r"(ready), "r"(done)         \
               : "r2", "r3", "r12", "cc", "memory");                \
  return fail;                                                      \
 }
#define EXCL_LD8  "ldrexb r2, [r0]"
#define EXCL_ST8  "strexb r1, r2, [r0]"
#define EXCL_LD16 "ldrexh r2, [r0]"
#define EXCL_ST16 "strexh r1, r2, [r0]"
#define EXCL_LD32 "ldrex r2, [r0]"
#define EXCL_ST32 "strex r1, r2, [r0]"
#define EXCL_LD64 "ldrexd r2, r3, [r0]"
#define EXCL_ST64 "strexd r1, r2, r3, [r0]"
#define EXCL_PARK "str r4, [r5]\n1: ldr r12, [r6]\n\tcmp r12, r4\n\tbne 1b\n\tdmb ish"
EXCL_PAIR(excl_park8, EXCL_LD8, EXCL_ST8, EXCL_PARK)
EXCL_PAIR(excl_park16, EXCL_LD16, EXCL_ST16, EXCL_PARK)
EXCL_PAIR(excl_park32, EXCL_LD32, EXCL_ST32, EXCL_PARK)
EXCL_PAIR(excl_park64, EXCL_LD64, EXCL_ST64, EXCL_PARK)
EXCL_PAIR(excl_own8, EXCL_LD8, EXCL_ST8, "nop")
EXCL_PAIR(excl_own16, EXCL_LD16, EXCL_ST16, "nop")
EXCL_PAIR(excl_own32, EXCL_LD32, EXCL_ST32, "nop")
EXCL_PAIR(excl_own64, EXCL_LD64, EXCL_ST64, "nop")
EXCL_PAIR(excl_own_clrex, EXCL_LD32, EXCL_ST32, "clrex")
EXCL_PAIR(excl_own_store, EXCL_LD32, EXCL_ST32, "str r2, [r0]")
EXCL_PAIR(excl_own_store_far, EXCL_LD32, EXCL_ST32, "str r4, [r5]")
EXCL_PAIR(excl_own_ldrex_far, EXCL_LD32, EXCL_ST32, "add r12, r0, #4096\n\tldrex r3, [r12]")
EXCL_PAIR(excl_own_twice, EXCL_LD32, EXCL_ST32, "strex r1, r2, [r0]")
EXCL_PAIR(excl_own_strex_far, EXCL_LD32, "add r12, r0, #4096\n\tstrex r1, r2, [r12]", "nop")
EXCL_PAIR(excl_own_alias, EXCL_LD32, EXCL_ST32, "mov r12, #0x58000000\n\tstr r2, [r12, #64]")

static uint32_t excl_try(const struct excl_check *c)
{
    uint32_t round = ++excl_round;
    for (unsigned i = 0; i < 4; i++)
        excl_page[15 + i] = EXCL_A;
    *excl_other_line = *excl_other_page = EXCL_A;
    excl_sync.op = c->op;
    rt_clrex();
    rt_dmb();
    switch (c->op) {
    case OWN_NONE:
        return c->width == 8    ? excl_own8(round)
               : c->width == 16 ? excl_own16(round)
               : c->width == 64 ? excl_own64(round)
                                : excl_own32(round);
    case OWN_CLREX: return excl_own_clrex(round);
    case OWN_STORE_SAME: return excl_own_store(round);
    case OWN_STORE_OTHER_PAGE: return excl_own_store_far(round);
    case OWN_LDREX_ELSEWHERE: return excl_own_ldrex_far(round);
    case OWN_STREX_TWICE: return excl_own_twice(round);
    case OWN_STREX_ELSEWHERE: return excl_own_strex_far(round);
    case OWN_ALIAS_STORE: return excl_own_alias(round);
    default: break;
    }
    return c->width == 8    ? excl_park8(round)
           : c->width == 16 ? excl_park16(round)
           : c->width == 64 ? excl_park64(round)
                            : excl_park32(round);
}

enum { EXCL_OK, EXCL_WRONG, EXCL_SKIPPED };

/* Runs one check and prints its "#!" line. */
static int excl_run(const struct excl_check *c)
{
    bool alias = c->op >= ALIAS_STORE_SAME || c->op == OWN_ALIAS_STORE;
    if ((c->op > OWN_GROUP_END && rt_ncpus() < 2) || ((alias || c->op == STORE_UNALIGNED) && !rt_mmu_on())) {
        rt_printf("#! check %s skipped\n", c->name);
        return EXCL_SKIPPED;
    }
    /* A spurious failure must not hide a missed one, nor count as wrong. */
    unsigned tries = c->expect == CAN_SUCCEED ? 100 : 10, stored = 0, n = 0;
    while (n < tries && !stored) {
        n++;
        stored += excl_try(c) == 0;
    }
    bool ok = c->expect == MUST_FAIL ? !stored : c->expect == CAN_SUCCEED ? stored : true;
    rt_printf("#! check %s %s %s\n", c->name, stored ? "stored" : "failed", ok ? "ok" : "wrong");
    return ok ? EXCL_OK : EXCL_WRONG;
}

/* The body of CPU 1 while CPU 0 runs checks; ends when CPU 0 sets quit. */
static void excl_serve(void)
{
    uint32_t seen = excl_sync.done;
    while (!excl_sync.quit) {
        uint32_t r = excl_sync.ready;
        if (r == seen || excl_sync.op < OWN_GROUP_END) {
            rt_yield();
            continue;
        }
        rt_dmb();
        excl_other_cpu((enum excl_op)excl_sync.op);
        rt_dmb();
        seen = r;
        excl_sync.done = r;
    }
}

static void excl_init(void)
{
    if (!rt_mmu_on())
        return;
    excl_l2[0] = (uint32_t)(uintptr_t)excl_page | RT_PAGE_NORMAL;
    rt_map_table(EXCL_ALIAS, excl_l2);
    rt_tlb_flush_all();
}

#endif
