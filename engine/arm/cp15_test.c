/*
 * cp15_test.c — the rows of CP15 and CP14: values, rights, effects
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/arm/state_testlib.h"

static struct vcpu *v;

/* enc as helpers get it: MRC p, opc1, r0, CRn, CRm, opc2 */
#define ENC(cp, opc1, crn, crm, opc2) (0x0e000010u | (opc1) << 21 | (crn) << 16 | (cp) << 8 | (opc2) << 5 | (crm))
#define P15(opc1, crn, crm, opc2)     ENC(15u, opc1##u, crn##u, crm##u, opc2##u)
#define ENC64(cp, opc1, crm)          (0x0c400000u | (cp) << 8 | (opc1) << 4 | (crm))

static uint64_t timer[4][3], counter = 1000, voff = 100;

static uint64_t cntpct(unsigned cpu)
{
    return (void)cpu, counter;
}
static uint64_t timer_read(unsigned cpu, unsigned which, unsigned reg)
{
    return (void)cpu, timer[which][reg];
}
static void timer_write(unsigned cpu, unsigned which, unsigned reg, uint64_t val)
{
    (void)cpu, timer[which][reg] = val;
}
static uint64_t cntvoff_read(unsigned cpu)
{
    return (void)cpu, voff;
}
static void cntvoff_write(unsigned cpu, uint64_t val)
{
    (void)cpu, voff = val;
}

static bool pmu_level;
static uint64_t pmu_after;
static void pmu_line(unsigned cpu, bool level, uint64_t after_ns)
{
    (void)cpu, pmu_level = level, pmu_after = after_ns;
}

static const struct machine_cpu_ops cpu_ops = {
    cntpct, timer_read, timer_write, cntvoff_read, cntvoff_write, pmu_line, 62500000, 0x2c000000,
};

static int setup(void **state)
{
    (void)state;
    v = test_vcpu();
    v->cpu_ops = &cpu_ops;
    cp15_reset(v);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vcpu_free();
    return 0;
}

static uint32_t get(uint32_t enc)
{
    uint32_t val = 0xdeadbeef;
    if (!cp15_read(v, enc, &val))
        fail_msg("%s (%#x) is undefined", cp15_name(enc, false) ? cp15_name(enc, false) : "?", enc);
    return val;
}

static void set(uint32_t enc, uint32_t val)
{
    if (!cp15_write(v, enc, val))
        fail_msg("%s (%#x) is undefined", cp15_name(enc, false) ? cp15_name(enc, false) : "?", enc);
}

static void values(void **state)
{
    (void)state;
    /* Cortex-A15 TRM, table 4-2 on */
    static const struct {
        uint32_t enc, value;
    } t[] = {
        {P15(0, 0, 0, 0), 0x414fc0f0},  {P15(0, 0, 0, 1), 0x8444c004},          {P15(0, 0, 0, 5), 0x80000000},
        {P15(0, 0, 1, 0), 0x00001131},  {P15(0, 0, 1, 1), 0x00011011},          {P15(0, 0, 1, 4), 0x10201105},
        {P15(0, 0, 1, 5), 0x20000000},  {P15(0, 0, 1, 6), 0x01240000},          {P15(0, 0, 1, 7), 0x02102211},
        {P15(0, 0, 2, 0), 0x02101110},  {P15(0, 0, 2, 1), 0x13112111},          {P15(0, 0, 2, 2), 0x21232041},
        {P15(0, 0, 2, 3), 0x11112131},  {P15(0, 0, 2, 4), 0x10011142},          {P15(1, 0, 0, 1), 0x0a200023},
        {P15(0, 1, 0, 0), 0x00c50078},  {P15(0, 14, 0, 0), 62500000},           {P15(4, 15, 0, 0), 0x2c000000},
        {P15(0, 9, 12, 0), 0x410f3000}, {ENC(14u, 0u, 0u, 0u, 0u), 0x3515f021}, {P15(1, 9, 0, 2), 0x00800000},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        assert_int_equal(get(t[i].enc), t[i].value);
    set(P15(2, 0, 0, 0), 0);
    assert_int_equal(get(P15(1, 0, 0, 0)), 0x701fe00a);
    set(P15(2, 0, 0, 0), 1);
    assert_int_equal(get(P15(1, 0, 0, 0)), 0x201fe00a);
    set(P15(2, 0, 0, 0), 2);
    assert_int_equal(get(P15(1, 0, 0, 0)), 0x711fe07a);
}

static void undefined(void **state)
{
    (void)state;
    uint32_t x;
    uint64_t y;
    static const uint32_t t[] = {
        ENC(10u, 0u, 0u, 0u, 0u), /* not cp14 or cp15 */
        P15(4, 1, 1, 0),          P15(4, 12, 0, 0), P15(0, 11, 0, 0), P15(7, 7, 7, 7), ENC(14u, 3u, 0u, 0u, 0u),
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        assert_false(cp15_read(v, t[i], &x));
        assert_false(cp15_write(v, t[i], 0));
    }
    assert_false(cp15_write(v, P15(0, 0, 0, 0), 0)); /* MIDR is read-only */
    assert_false(cp15_read(v, P15(0, 8, 7, 0), &x)); /* TLBIALL is write-only */
    assert_false(cp15_read64(v, ENC64(15u, 6u, 14u), &y));
    assert_false(cp15_write64(v, ENC64(15u, 0u, 14u), 0)); /* CNTPCT */
    assert_false(cp15_read64(v, ENC64(15u, 4u, 14u), &y)); /* CNTVOFF needs Monitor mode and NS */
    assert_true(LEFT(v, helper_mrc(v, t[1])));
    assert_int_equal(arm_mode(v), MODE_UND);
    assert_int_equal(v->r[15], 4);
}

static void user_rights(void **state)
{
    (void)state;
    uint32_t x;
    uint64_t y;
    set(P15(0, 13, 0, 3), 0x77);
    v->cpsr = MODE_USR;
    assert_false(cp15_read(v, P15(0, 0, 0, 0), &x));
    assert_false(cp15_write(v, P15(0, 8, 7, 0), 0));
    assert_false(cp15_read(v, P15(0, 13, 0, 4), &x));
    assert_int_equal(get(P15(0, 13, 0, 3)), 0x77);
    assert_false(cp15_write(v, P15(0, 13, 0, 3), 1));
    set(P15(0, 13, 0, 2), 0x88);
    assert_int_equal(get(P15(0, 13, 0, 2)), 0x88);
    set(P15(0, 7, 10, 5), 0); /* barriers */
    set(P15(0, 7, 5, 4), 0);
    assert_false(cp15_read(v, P15(0, 9, 13, 0), &x)); /* PMUSERENR */
    assert_int_equal(get(P15(0, 9, 14, 0)), 0);
    assert_false(cp15_read64(v, ENC64(15u, 1u, 14u), &y)); /* CNTKCTL */
    assert_false(cp15_read(v, P15(0, 14, 0, 0), &x));
    v->cpsr = MODE_SVC;
    set(P15(0, 9, 14, 0), 1);
    set(P15(0, 14, 1, 0), 2 | BIT(8));
    set(P15(0, 1, 0, 0), get(P15(0, 1, 0, 0)) & ~(uint32_t)SCTLR_CP15BEN);
    v->cpsr = MODE_USR;
    assert_true(cp15_read(v, P15(0, 9, 13, 0), &x));
    assert_true(cp15_read64(v, ENC64(15u, 1u, 14u), &y));
    assert_false(cp15_read64(v, ENC64(15u, 0u, 14u), &y));
    assert_true(cp15_read(v, P15(0, 14, 0, 0), &x));
    assert_true(cp15_read(v, P15(0, 14, 3, 1), &x));
    assert_false(cp15_read(v, P15(0, 14, 2, 1), &x));
    assert_false(cp15_write(v, P15(0, 7, 10, 5), 0));
}

static void plain_fields(void **state)
{
    (void)state;
    static const struct {
        uint32_t enc, keeps;
    } t[] = {
        {P15(0, 1, 0, 2), 0xc0f00000}, {P15(0, 5, 0, 0), 0x3fff},     {P15(0, 6, 0, 0), ~0u},
        {P15(0, 6, 0, 2), ~0u},        {P15(0, 2, 0, 0), ~0u},        {P15(0, 2, 0, 1), ~0u},
        {P15(0, 12, 0, 0), ~0x1fu},    {P15(0, 13, 0, 0), 0},         {P15(0, 13, 0, 4), ~0u},
        {P15(0, 7, 4, 0), ~0u},        {P15(0, 10, 2, 0), ~0u},       {P15(0, 10, 3, 0), 0},
        {ENC(14u, 6u, 0u, 0u, 0u), 1}, {ENC(14u, 0u, 0u, 3u, 4u), 0}, {P15(0, 1, 1, 0), 0x3ff},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        set(t[i].enc, ~0u);
        if (get(t[i].enc) != t[i].keeps)
            fail_msg("%s keeps %#x", cp15_name(t[i].enc, false), get(t[i].enc));
        set(t[i].enc, 0);
        assert_int_equal(get(t[i].enc), 0);
    }
    set(P15(0, 1, 0, 0), ~0u);
    assert_int_equal(get(P15(0, 1, 0, 0)), 0x00c50078 | 0x72183c27);
}

static void wide(void **state)
{
    (void)state;
    uint64_t y = 0;
    assert_true(cp15_write64(v, ENC64(15u, 0u, 2u), UINT64_C(0x0012003480004000)));
    assert_true(cp15_read64(v, ENC64(15u, 0u, 2u), &y));
    assert_int_equal(y, UINT64_C(0x0012003480004000));
    set(P15(0, 2, 0, 0), 0x80008000);
    assert_int_equal(v->sys.ttbr0, UINT64_C(0x0012003480008000));
    assert_int_equal(helper_mrrc(v, ENC64(15u, 0u, 2u)), UINT64_C(0x0012003480008000));
    helper_mcrr(v, ENC64(15u, 1u, 2u), 1, 2);
    assert_int_equal(v->sys.ttbr1, UINT64_C(0x200000001));
}

static void timers(void **state)
{
    (void)state;
    uint64_t y;
    assert_true(cp15_read64(v, ENC64(15u, 0u, 14u), &y));
    assert_int_equal(y, 1000);
    assert_true(cp15_read64(v, ENC64(15u, 1u, 14u), &y));
    assert_int_equal(y, 900);
    set(P15(0, 14, 2, 1), 1); /* CNTP_CTL: the secure one */
    assert_int_equal(timer[0][0], 1);
    set(P15(0, 14, 3, 0), 50); /* CNTV_TVAL */
    assert_int_equal(timer[3][2], 50);
    assert_true(cp15_write64(v, ENC64(15u, 3u, 14u), 77));
    assert_int_equal(timer[3][1], 77);
    v->sys.scr = SCR_NS;
    set(P15(0, 14, 2, 1), 3);
    assert_int_equal(timer[1][0], 3);
    arm_switch_mode(v, MODE_MON);
    assert_true(cp15_write64(v, ENC64(15u, 4u, 14u), 5));
    assert_int_equal(voff, 5);
    voff = 100;
}

static void pmu(void **state)
{
    (void)state;
    uint32_t pmccntr = P15(0, 9, 13, 0), pmcr = P15(0, 9, 12, 0);
    set(pmccntr, 1234);
    assert_int_equal(get(pmccntr), 1234); /* stands still */
    set(P15(0, 9, 12, 1), 0x80000000);
    assert_int_equal(get(pmccntr), 1234);
    set(pmcr, 1);
    uint32_t a = get(pmccntr), b;
    while ((b = get(pmccntr)) == a)
        ;
    assert_true(b > a && a >= 1234);
    set(P15(0, 9, 12, 2), 0x80000000);
    a = get(pmccntr);
    assert_true(a >= b && get(pmccntr) == a);
    set(pmcr, 1 | 4);
    assert_int_equal(get(pmccntr), 0);
    assert_int_equal(get(pmcr), 0x410f3001);
    /* software increments of counter 2 */
    set(P15(0, 9, 12, 5), 2);
    set(P15(0, 9, 13, 1), 0);
    set(P15(0, 9, 13, 2), 0xffffffff);
    set(P15(0, 9, 12, 1), 4);
    set(P15(0, 9, 12, 4), 4);
    assert_int_equal(get(P15(0, 9, 13, 2)), 0);
    assert_int_equal(get(P15(0, 9, 12, 3)), 4);
    set(P15(0, 9, 12, 3), 4);
    assert_int_equal(get(P15(0, 9, 12, 3)), 0);
}

/* Overflows are found when somebody looks, and the machine knows when to look. */
static void pmu_overflows_and_interrupts(void **state)
{
    uint32_t pmcr = P15(0, 9, 12, 0), enset = P15(0, 9, 12, 1), enclr = P15(0, 9, 12, 2), ovsr = P15(0, 9, 12, 3),
             select = P15(0, 9, 12, 5), pmccntr = P15(0, 9, 13, 0), type = P15(0, 9, 13, 1), count = P15(0, 9, 13, 2),
             intset = P15(0, 9, 14, 1), intclr = P15(0, 9, 14, 2);
    (void)state;
    assert_int_equal(get(P15(0, 9, 12, 6)), 0x20001);
    set(pmcr, 1 | 2 | 4);
    set(select, 3);
    set(type, 0x11);
    set(count, 0xffffff00);
    set(enset, 8);
    while (!(get(ovsr) & 8))
        ;
    assert_true(get(count) < 0x80000000);
    assert_false(pmu_level); /* not enabled */
    set(intset, 8);
    assert_true(pmu_level);
    set(ovsr, 8);
    assert_false(pmu_level);
    assert_in_range(pmu_after, UINT64_C(1) << 31, UINT64_C(1) << 32);
    set(count, 0xf0000000);
    assert_in_range(pmu_after, 0x8000000, 0x10000000);
    set(count, 0xffffffff); /* over before anybody can look */
    assert_int_equal(pmu_after, 0);
    set(intclr, 8);
    assert_true(pmu_after == UINT64_MAX && !pmu_level);
    set(enclr, 8);
    uint32_t a = get(count);
    assert_int_equal(get(count), a);
    set(type, 0x08); /* instructions are not counted */
    set(enset, 8);
    assert_int_equal(get(count), a);

    set(enset, 0x80000000); /* the cycle counter, by 64 */
    set(intset, 0x80000000);
    set(ovsr, 0xffffffff);
    set(pmcr, 1 | 8);
    set(pmccntr, 0xf0000000);
    assert_in_range(pmu_after, 0x3c0000000, 0x400000000);
    set(pmcr, 8);
    assert_true(pmu_after == UINT64_MAX);
    set(pmcr, 1 | 8);
    assert_true(pmu_after != UINT64_MAX);
    uint32_t regs[16] = {0};
    arm_reset(v, regs, MODE_SVC);
    assert_true(pmu_after == UINT64_MAX && !pmu_level);
}

/* -- Effects on the TLB ------------------------------------------------------------------------------- */

#define L1 (TEST_RAM + 0x4000)

/* Two sections: 0x100000 global, 0x200000 not; domain 1. */
static void mmu_on(void)
{
    put32(L1 + 4 * 1, TEST_RAM | 2 | 3 << 10 | 1 << 5 | 0xc);
    put32(L1 + 4 * 2, TEST_RAM | 2 | 3 << 10 | 1 << 5 | 0xc | BIT(17));
    set(P15(0, 2, 0, 0), L1);
    set(P15(0, 3, 0, 0), 0x55555555);
    set(P15(0, 1, 0, 0), get(P15(0, 1, 0, 0)) | SCTLR_M);
}

static void touch(void)
{
    slow_load(v, 0x100000, 2);
    slow_load(v, 0x200000, 2);
}

static unsigned held(void)
{
    return (v->flat.load[MMU_PRIV][0x100] != 0) + 2 * (v->flat.load[MMU_PRIV][0x200] != 0);
}

static void what_flushes(void **state)
{
    (void)state;
    static const struct {
        uint32_t enc, val;
        unsigned stays; /* 1 global, 2 non-global */
    } t[] = {
        {P15(0, 13, 0, 1), 0x1200, 3},                                      /* CONTEXTIDR: same ASID */
        {P15(0, 13, 0, 1), 0x1201, 1},                                      /* another ASID */
        {P15(0, 13, 0, 1), 0x1201, 3},    {P15(0, 3, 0, 0), 0x55555555, 3}, /* DACR unchanged */
        {P15(0, 3, 0, 0), 0x55555554, 3},                                   /* another domain */
        {P15(0, 3, 0, 0), 0x5555555c, 0},                                   /* domain 1 */
        {P15(0, 2, 0, 0), L1, 3},                                           /* TTBR0 */
        {P15(0, 8, 7, 0), 0, 0},                                            /* TLBIALL */
        {P15(0, 8, 7, 1), 0x100001, 2},                                     /* TLBIMVA */
        {P15(0, 8, 7, 1), 0x2ff001, 1},                                     /* anywhere in the section */
        {P15(0, 8, 7, 3), 0x200000, 1},                                     /* TLBIMVAA */
        {P15(0, 8, 7, 2), 0x02, 3},                                         /* TLBIASID: not ours */
        {P15(0, 8, 7, 2), 0x01, 1},       {P15(0, 8, 3, 0), 0, 0},          /* TLBIALLIS */
        {P15(0, 8, 3, 1), 0x100001, 2},   {P15(0, 8, 3, 2), 0x01, 1},       {P15(0, 8, 5, 0), 0, 0},
        {P15(0, 8, 6, 0), 0, 0},          {P15(0, 10, 2, 0), 0x98aa5, 0}, /* PRRR */
        {P15(0, 2, 0, 2), 1, 0},                                          /* TTBCR */
        {P15(0, 7, 5, 0), 0, 3},                                          /* ICIALLU */
        {P15(0, 7, 14, 1), 0x100000, 3},                                  /* DCCIMVAC */
    };
    mmu_on();
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        touch();
        assert_int_equal(held(), 3);
        set(t[i].enc, t[i].val);
        if (held() != t[i].stays)
            fail_msg("%s = %#x leaves %u, not %u", cp15_name(t[i].enc, false), t[i].val, held(), t[i].stays);
    }
    touch();
    set(P15(0, 1, 0, 0), get(P15(0, 1, 0, 0)) & ~(uint32_t)SCTLR_M);
    assert_int_equal(held(), 0);
}

static void broadcasts(void **state)
{
    (void)state;
    if (!fakes_in_use())
        skip();
    nvcpus = 2;
    set(P15(0, 8, 7, 1), 0x100000);
    set(P15(0, 7, 1, 0), 0);
    assert_int_equal(fake_broadcasts, 0);
    assert_int_equal(fake_icache, 1);
    mmu_on();
    touch();
    set(P15(0, 8, 3, 3), 0x100000);
    assert_int_equal(fake_broadcasts, 1);
    assert_int_equal(fake_broadcast_arg, 0x100000);
    assert_int_equal(held(), 2);
    touch();
    fake_broadcast_fn(v, fake_broadcast_arg);
    assert_int_equal(held(), 2);
    nvcpus = 1;
}

static void address_translation(void **state)
{
    (void)state;
    mmu_on();
    put32(L1 + 4 * 3, TEST_RAM | 2 | 1 << 10 | 1 << 5); /* privileged only */
    set(P15(0, 7, 8, 0), 0x312345);
    assert_int_equal(get(P15(0, 7, 4, 0)), 0x80012000);
    set(P15(0, 7, 8, 2), 0x312345);
    assert_int_equal(get(P15(0, 7, 4, 0)), 0x0d << 1 | 1);
    set(P15(0, 7, 8, 1), 0x412345);
    assert_int_equal(get(P15(0, 7, 4, 0)), 0x05 << 1 | 1);
}

static void isr(void **state)
{
    (void)state;
    v->lines = LINE_IRQ | LINE_ABORT;
    assert_int_equal(get(P15(0, 12, 1, 0)), CPSR_I | CPSR_A);
}

/* Every encoding, read and written from each mode: nothing breaks, and User mode gets few. */
static void all_encodings(void **state)
{
    (void)state;
    unsigned n[2] = {0, 0};
    for (unsigned u = 0; u < 2; u++) {
        for (uint32_t code = 0; code < BIT(15); code++) {
            v->cpsr = MODE_SVC;
            cp15_reset(v);
            v->cpsr = u ? MODE_USR : MODE_SVC;
            uint32_t enc =
                ENC(14 + bit(code, 14), bits(code, 13, 11), bits(code, 10, 7), bits(code, 6, 3), bits(code, 2, 0));
            uint32_t x;
            bool r = cp15_read(v, enc, &x), w = cp15_write(v, enc, 0xa5a5a5a5);
            n[u] += r || w;
            assert_int_equal(cp15_name(enc, false) != NULL && !u, (r || w) && !u);
        }
    }
    print_message("%u encodings defined, %u of them for User mode\n", n[0], n[1]);
    assert_true(n[0] > 150 && n[1] < 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(values),
        T(undefined),
        T(user_rights),
        T(plain_fields),
        T(wide),
        T(timers),
        T(pmu),
        T(pmu_overflows_and_interrupts),
        T(what_flushes),
        T(broadcasts),
        T(address_translation),
        T(isr),
        T(all_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
