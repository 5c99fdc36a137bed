/*
 * mmu_test.c — page walks over hand-made tables: each kind of mapping, each kind of fault, both formats
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/arm/state_testlib.h"

static struct vcpu *v;
static struct walk_result w;

#define L1  (TEST_RAM + 0x4000) /* TTBR0's table, 16 KiB */
#define L1B (TEST_RAM + 0x8000) /* TTBR1's */
#define L2  (TEST_RAM + 0xc000)

static int setup(void **state)
{
    (void)state;
    v = test_vcpu();
    v->sys.ttbr0 = L1;
    v->sys.ttbr1 = L1B;
    v->sys.dacr = 0x55555555; /* client everywhere */
    v->sys.sctlr |= SCTLR_M;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vcpu_free();
    return 0;
}

static bool walk(gva va, enum access acc, unsigned mode)
{
    return arm_translate(v, va, acc, mode, &w);
}

static void l1(gva va, uint32_t desc)
{
    put32(L1 + (va >> 20) * 4, desc);
}

static void l2(gva va, uint32_t desc)
{
    put32(L2 + ((va >> 12) & 0xff) * 4, desc);
}

enum { SECTION = 2, TABLE = 1, SMALL = 2, LARGE = 1 };
#define AP1(ap)           (((ap)&3u) << 10 | ((ap) >> 2 & 1) << 15) /* of a section */
#define AP2(ap)           (((ap)&3u) << 4 | ((ap) >> 2 & 1) << 9)   /* of a page */
#define TEXCB1(tex, c, b) ((tex) << 12 | (c) << 3 | (b) << 2)

static void mmu_off(void **state)
{
    (void)state;
    v->sys.sctlr &= ~(uint32_t)SCTLR_M;
    assert_true(walk(0x12345678, ACC_FETCH, MMU_USER));
    assert_int_equal(w.pa, 0x12345000);
    assert_true(w.read && w.write && w.exec && w.global && !w.device);
}

static void section(void **state)
{
    (void)state;
    l1(0x12300000, 0xabc00000 | SECTION | AP1(3) | 5 << 5 | TEXCB1(0, 1, 1));
    assert_true(walk(0x123fedcb, ACC_STORE, MMU_USER));
    assert_int_equal(w.pa, 0xabcfe000);
    assert_int_equal(w.page_shift, 20);
    assert_int_equal(w.domain, 5);
    assert_true(w.global && w.read && w.write && w.exec && !w.device);
    l1(0x12300000, 0xabc00000 | SECTION | AP1(3) | BIT(17) | BIT(4));
    assert_true(walk(0x12300000, ACC_LOAD, MMU_PRIV));
    assert_false(w.global || w.exec);
    assert_true(w.device); /* TEX C B = 0: strongly-ordered */
    assert_false(walk(0x12300000, ACC_FETCH, MMU_PRIV));
    assert_int_equal(w.fsr, 0x0d);
}

static void supersection(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        l1(0x40000000 + i * 0x100000, 0xcd000000 | SECTION | BIT(18) | AP1(1) | 3 << 20 | 0xa << 5);
    assert_true(walk(0x40abcdef, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, UINT64_C(0xa3cdabc000));
    assert_int_equal(w.page_shift, 24);
    assert_int_equal(w.domain, 0);
}

static void pages(void **state)
{
    (void)state;
    l1(0x00500000, L2 | TABLE | 2 << 5);
    l2(0x00512000, 0x77777000 | SMALL | AP2(3) | BIT(11));
    assert_true(walk(0x00512abc, ACC_STORE, MMU_USER));
    assert_int_equal(w.pa, 0x77777000);
    assert_int_equal(w.page_shift, 12);
    assert_int_equal(w.domain, 2);
    assert_true(w.exec && !w.global);
    l2(0x00512000, 0x77777000 | SMALL | AP2(3) | 1); /* XN */
    assert_true(walk(0x00512abc, ACC_LOAD, MMU_USER));
    assert_false(w.exec);

    for (unsigned i = 0; i < 16; i++)
        l2(0x00520000 + i * 0x1000, 0x99990000 | LARGE | AP2(2) | 1 << 12);
    assert_true(walk(0x0052dabc, ACC_LOAD, MMU_USER));
    assert_int_equal(w.pa, 0x9999d000);
    assert_int_equal(w.page_shift, 16);
    assert_false(w.device); /* TEX 001 */
    assert_true(w.exec);
    assert_false(walk(0x0052dabc, ACC_STORE, MMU_USER));
    assert_int_equal(w.fsr, 0x2f);
    l2(0x0052d000, 0x99990000 | LARGE | AP2(2) | BIT(15));
    assert_false(walk(0x0052dabc, ACC_FETCH, MMU_USER));
}

static void pxn(void **state)
{
    (void)state;
    l1(0x00500000, L2 | TABLE | BIT(2));
    l2(0x00512000, 0x77777000 | SMALL | AP2(3));
    assert_false(walk(0x00512000, ACC_FETCH, MMU_PRIV));
    assert_true(walk(0x00512000, ACC_FETCH, MMU_USER));
    l1(0x00600000, 0x00600000 | SECTION | 1 | AP1(3));
    assert_false(walk(0x00600000, ACC_FETCH, MMU_PRIV));
    assert_true(walk(0x00600000, ACC_FETCH, MMU_USER));
}

static void faults(void **state)
{
    (void)state;
    assert_false(walk(0x00100000, ACC_LOAD, MMU_PRIV)); /* L1 entry 0 */
    assert_int_equal(w.fsr, 0x05);
    l1(0x00500000, L2 | TABLE | 3 << 5);
    assert_false(walk(0x00500000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x37);
    l2(0x00500000, 0x77777000 | SMALL | AP2(0));
    assert_false(walk(0x00500000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x3f);
    v->sys.dacr &= ~(3u << 6);
    assert_false(walk(0x00500000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x3b);
    v->sys.dacr |= 2u << 6; /* reserved: as no access */
    assert_false(walk(0x00500000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x3b);
    v->sys.dacr |= 3u << 6; /* manager: all allowed, XN ignored */
    l2(0x00500000, 0x77777000 | SMALL | AP2(0) | 1);
    assert_true(walk(0x00500000, ACC_FETCH, MMU_USER));
    assert_true(w.read && w.write && w.exec);

    l1(0x00600000, 0x00600000 | SECTION | AP1(3) | 4 << 5);
    v->sys.dacr &= ~(3u << 8);
    assert_false(walk(0x00600000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x49);
    l1(0x00700000, 0x10000000 | TABLE); /* a table where there is no RAM */
    assert_false(walk(0x00700000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x0e);
    v->sys.ttbr0 = 0x10000000;
    assert_false(walk(0x00700000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x0c);
}

static void access_permissions(void **state)
{
    (void)state;
    /* user r w, privileged r w by AP[2:0] */
    static const char *const plain[8] = {"----", "--rw", "r-rw", "rwrw", "----", "--r-", "r-r-", "r-r-"};
    /* with the access flag: AP[0] is it; -: fault of its own */
    static const char *const afe[8] = {"f", "--rw", "f", "rwrw", "f", "--r-", "f", "r-r-"};
    for (unsigned ap = 0; ap < 16; ap++) {
        const char *want = ap < 8 ? plain[ap] : afe[ap - 8];
        v->sys.sctlr = ap < 8 ? v->sys.sctlr & ~(uint32_t)SCTLR_AFE : v->sys.sctlr | SCTLR_AFE;
        l1(0x00600000, 0x00600000 | SECTION | AP1(ap & 7));
        for (unsigned i = 0; i < 4; i++) {
            bool ok = walk(0x00600000, i & 1 ? ACC_STORE : ACC_LOAD, i < 2 ? MMU_USER : MMU_PRIV);
            if (want[0] == 'f') {
                assert_false(ok);
                assert_int_equal(w.fsr, 0x03);
            } else if (ok != (want[i] != '-')) {
                fail_msg("AP %u%s, case %u: %d, wanted %s", ap & 7, ap < 8 ? "" : " AFE", i, ok, want);
            } else if (!ok) {
                assert_int_equal(w.fsr, 0x0d);
            }
        }
    }
    l1(0x00500000, L2 | TABLE);
    l2(0x00500000, 0x77777000 | SMALL | AP2(2));
    assert_false(walk(0x00500000, ACC_LOAD, MMU_PRIV)); /* AFE is still on */
    assert_int_equal(w.fsr, 0x06);
}

static void write_implies_xn(void **state)
{
    (void)state;
    l1(0x00600000, 0x00600000 | SECTION | AP1(3));
    l1(0x00700000, 0x00700000 | SECTION | AP1(1));
    v->sys.sctlr |= SCTLR_UWXN;
    assert_true(walk(0x00600000, ACC_FETCH, MMU_USER));
    assert_false(walk(0x00600000, ACC_FETCH, MMU_PRIV));
    assert_true(walk(0x00700000, ACC_FETCH, MMU_PRIV));
    v->sys.sctlr = (v->sys.sctlr & ~(uint32_t)SCTLR_UWXN) | SCTLR_WXN;
    assert_false(walk(0x00600000, ACC_FETCH, MMU_USER));
    assert_false(walk(0x00700000, ACC_FETCH, MMU_PRIV));
    l1(0x00700000, 0x00700000 | SECTION | AP1(7));
    assert_true(walk(0x00700000, ACC_FETCH, MMU_PRIV));
}

static void two_tables(void **state)
{
    (void)state;
    v->sys.ttbcr = 2; /* TTBR0: below 1 GiB, table of 4 KiB */
    v->sys.ttbr0 = L2;
    put32(L2 + (0x12300000u >> 20) * 4, 0x11100000 | SECTION | AP1(3));
    put32(L1B + (0x52300000u >> 20) * 4, 0x22200000 | SECTION | AP1(3));
    assert_true(walk(0x12345678, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0x11145000);
    assert_true(walk(0x52345678, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0x22245000);
    v->sys.ttbcr = 2 | BIT(5);
    assert_false(walk(0x52345678, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x05);
    assert_true(walk(0x12345678, ACC_LOAD, MMU_PRIV));
    v->sys.ttbcr = 2 | BIT(4);
    assert_false(walk(0x12345678, ACC_LOAD, MMU_PRIV));
    assert_true(walk(0x52345678, ACC_LOAD, MMU_PRIV));
}

static void memory_types(void **state)
{
    (void)state;
    /* device by TEX C B without remapping */
    for (unsigned i = 0; i < 32; i++) {
        l1(0x00600000, 0x00600000 | SECTION | AP1(3) | (i >> 2) << 12 | (i & 3) << 2);
        assert_true(walk(0x00600000, ACC_LOAD, MMU_PRIV));
        assert_int_equal(w.device, i == 0 || i == 1 || i == 8);
    }
    v->sys.sctlr |= SCTLR_TRE;
    v->sys.prrr = 0xff0a81a8; /* what Linux uses: 0 SO, 1..3 normal, 4 device, ... */
    for (unsigned i = 0; i < 8; i++) {
        l1(0x00600000, 0x00600000 | SECTION | AP1(3) | (i >> 2) << 12 | (i & 3) << 2);
        assert_true(walk(0x00600000, ACC_LOAD, MMU_PRIV));
        if (w.device != (bits(v->sys.prrr, 2 * i + 1, 2 * i) < 2))
            fail_msg("attribute %u", i);
    }
}

static void big_endian_tables(void **state)
{
    (void)state;
    v->sys.sctlr |= SCTLR_EE;
    l1(0x00600000, __builtin_bswap32(0x33300000 | SECTION | AP1(3)));
    assert_true(walk(0x00600000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0x33300000);
}

/* -- Long descriptors ------------------------------------------------------------------------------ */

#define LV1 (TEST_RAM + 0x10000)
#define LV2 (TEST_RAM + 0x11000)
#define LV3 (TEST_RAM + 0x12000)
#define AF  BIT(10)
enum { L_BLOCK = 1, L_TABLE = 3, L_PAGE = 3, L_USER = 0x40, L_RO = 0x80 };

static void lpae(void)
{
    v->sys.ttbcr = TTBCR_EAE;
    v->sys.ttbr0 = LV1;
    v->sys.prrr = 0xff440400; /* 0 SO, 1 device, 2 non-cacheable, 3 write-back */
    v->sys.nmrr = 0;
    put64(LV1 + 8 * 0, UINT64_C(0x4040000000) | L_BLOCK | AF | L_USER | 2 << 2);
    put64(LV1 + 8 * 1, LV2 | L_TABLE);
    put64(LV2 + 8 * 5, UINT64_C(0x80200000) | L_BLOCK | AF | BIT(11) | 3 << 2);
    put64(LV2 + 8 * 6, LV3 | L_TABLE);
    put64(LV3 + 8 * 7, UINT64_C(0xab80007000) | L_PAGE | AF | L_USER | L_RO | 3 << 2);
}

static void long_mappings(void **state)
{
    (void)state;
    lpae();
    assert_true(walk(0x3abcdef0, ACC_STORE, MMU_USER));
    assert_int_equal(w.pa, UINT64_C(0x407abcd000));
    assert_int_equal(w.page_shift, 30);
    assert_true(w.global && !w.device && w.exec);
    gva block = 0x40000000 + 5 * 0x200000;
    assert_true(walk(block + 0x12345, ACC_STORE, MMU_PRIV));
    assert_int_equal(w.pa, 0x80212000);
    assert_int_equal(w.page_shift, 21);
    assert_false(w.global);
    assert_false(walk(block, ACC_LOAD, MMU_USER));
    assert_int_equal(w.fsr, 0x200 | 0x0e);
    gva page = 0x40000000 + 6 * 0x200000 + 7 * 0x1000;
    assert_true(walk(page + 0x123, ACC_FETCH, MMU_USER));
    assert_int_equal(w.pa, UINT64_C(0xab80007000));
    assert_int_equal(w.page_shift, 12);
    assert_false(walk(page, ACC_STORE, MMU_PRIV));
    assert_int_equal(w.fsr, 0x200 | 0x0f);
}

static void long_faults(void **state)
{
    (void)state;
    lpae();
    assert_false(walk(0x80000000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x205);
    assert_false(walk(0x40000000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x206);
    gva page = 0x40000000 + 6 * 0x200000;
    assert_false(walk(page, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x207);
    put64(LV3, 0x80000000 | L_BLOCK | AF); /* no such thing at level 3 */
    assert_false(walk(page, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x207);
    put64(LV3, 0x80000000 | L_PAGE);
    assert_false(walk(page, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x20b);
    put64(LV1 + 8, UINT64_C(0x10000000) | L_TABLE);
    assert_false(walk(page, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x216);
}

static void long_attributes(void **state)
{
    (void)state;
    lpae();
    gva page = 0x40000000 + 6 * 0x200000 + 7 * 0x1000;
    uint64_t p = UINT64_C(0x80007000) | L_PAGE | AF | L_USER | 3 << 2;
    put64(LV3 + 56, p);
    assert_true(walk(page, ACC_STORE, MMU_USER));
    put64(LV2 + 48, LV3 | L_TABLE | UINT64_C(1) << 62); /* APTable: no writes below */
    assert_false(walk(page, ACC_STORE, MMU_PRIV));
    put64(LV2 + 48, LV3 | L_TABLE | UINT64_C(1) << 61); /* no User access below */
    assert_false(walk(page, ACC_LOAD, MMU_USER));
    assert_true(walk(page, ACC_STORE, MMU_PRIV));
    put64(LV2 + 48, LV3 | L_TABLE | UINT64_C(1) << 60);
    assert_false(walk(page, ACC_FETCH, MMU_USER));
    put64(LV2 + 48, LV3 | L_TABLE | UINT64_C(1) << 59);
    assert_true(walk(page, ACC_FETCH, MMU_USER));
    assert_false(walk(page, ACC_FETCH, MMU_PRIV));
    put64(LV2 + 48, LV3 | L_TABLE);
    put64(LV3 + 56, p | UINT64_C(1) << 54);
    assert_false(walk(page, ACC_FETCH, MMU_USER));
    put64(LV3 + 56, p | UINT64_C(1) << 53);
    assert_false(walk(page, ACC_FETCH, MMU_PRIV));
    for (unsigned i = 0; i < 8; i++) {
        put64(LV3 + 56, (p & ~UINT64_C(0x1c)) | i << 2);
        assert_true(walk(page, ACC_LOAD, MMU_PRIV));
        assert_int_equal(w.device, i != 2 && i != 3);
    }
}

static void long_two_tables(void **state)
{
    (void)state;
    lpae();
    put64(LV3 + 8, UINT64_C(0x90000000) | L_BLOCK | AF);
    /* T0SZ 2: TTBR0 points at a level 2 table for the first GiB; TTBR1 for all above, from level 1. */
    v->sys.ttbcr = TTBCR_EAE | 2;
    v->sys.ttbr0 = LV3;
    v->sys.ttbr1 = LV1;
    assert_true(walk(0x00212345, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0x90012000);
    gva block = 0x40000000 + 5 * 0x200000;
    assert_true(walk(block, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0x80200000);
    /* T1SZ 1: the upper half, from level 1 with 2 entries; between them nothing. */
    v->sys.ttbcr = TTBCR_EAE | 2 | 1 << 16;
    v->sys.ttbr1 = LV1;
    put64(LV1, UINT64_C(0xc0000000) | L_BLOCK | AF);
    assert_true(walk(0x80012345, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0xc0012000);
    assert_false(walk(0x50000000, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.fsr, 0x205);
    /* EPD */
    v->sys.ttbcr |= BIT(23);
    assert_false(walk(0x80012345, ACC_LOAD, MMU_PRIV));
    v->sys.ttbcr |= BIT(7);
    assert_false(walk(0x00212345, ACC_LOAD, MMU_PRIV));
    /* T0SZ 0, T1SZ 2: only the top GiB is TTBR1's, from level 2. */
    v->sys.ttbcr = TTBCR_EAE | 2 << 16;
    v->sys.ttbr0 = LV1;
    v->sys.ttbr1 = LV3;
    assert_true(walk(0xc0212345, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0x90012000);
    assert_true(walk(0x00212345, ACC_LOAD, MMU_PRIV));
    assert_int_equal(w.pa, 0xc0212000);
}

/* Through the softmmu: an abort with the address and status, then the repaired access. */
static void through_the_tlb(void **state)
{
    (void)state;
    l1(0x00500000, L2 | TABLE | 3 << 5);
    assert_true(LEFT(v, slow_store(v, 0x00501004, 7, 2)));
    assert_int_equal(v->leave_reason, LEAVE_EXCEPTION);
    assert_int_equal(v->sys.dfar, 0x00501004);
    assert_int_equal(v->sys.dfsr, 0x837);
    assert_int_equal(v->r[14], 0x80001008);
    l2(0x00501000, (TEST_RAM + 0x1000) | SMALL | AP2(3) | TEXCB1(0, 1, 1));
    v->cpsr = MODE_SVC;
    assert_false(LEFT(v, slow_store(v, 0x00501004, 7, 2)));
    assert_int_not_equal(v->flat.store[MMU_PRIV][0x501], 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(mmu_off),     T(section),         T(supersection),       T(pages),
        T(pxn),         T(faults),          T(access_permissions), T(write_implies_xn),
        T(two_tables),  T(memory_types),    T(big_endian_tables),  T(long_mappings),
        T(long_faults), T(long_attributes), T(long_two_tables),    T(through_the_tlb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
