/*
 * fp_test.c — floating-point arithmetic: vectors, and the host's results against those in integers
 *
 * Seeded: DBT_SEED in the environment, printed on failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/arm/fp.h"
#include "engine/base/rng.h"

enum { RN = 0, RP = 1 << 22, RM = 2 << 22, RZ = 3 << 22, FZ = FPSCR_FZ, DN = FPSCR_DN, AHP = FPSCR_AHP };
enum { IO = FPSCR_IOC, DZ = FPSCR_DZC, OF = FPSCR_OFC, UF = FPSCR_UFC, IX = FPSCR_IXC, ID = FPSCR_IDC };

/* -- Vectors: by the manual, A2.7 ---------------------------------------------------------------------------- */

typedef uint64_t op3(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);

static const struct {
    const char *what;
    op3 *op;
    enum fp_width w;
    uint32_t mode;
    uint64_t a, b, result;
    uint32_t flags;
} two[] = {
    {"1 + 2", soft_add, FP32, RN, 0x3f800000, 0x40000000, 0x40400000, 0},
    {"1 - 1", soft_sub, FP32, RN, 0x3f800000, 0x3f800000, 0, 0},
    {"1 - 1 down", soft_sub, FP32, RM, 0x3f800000, 0x3f800000, 0x80000000, 0},
    {"-0 + -0", soft_add, FP32, RN, 0x80000000, 0x80000000, 0x80000000, 0},
    {"inf - inf", soft_sub, FP32, RN, 0x7f800000, 0x7f800000, 0x7fc00000, IO},
    {"halfway to even", soft_add, FP32, RN, 0x3f800000, 0x33800000, 0x3f800000, IX},
    {"halfway up", soft_add, FP32, RP, 0x3f800000, 0x33800000, 0x3f800001, IX},
    {"overflow", soft_add, FP32, RN, 0x7f7fffff, 0x7f7fffff, 0x7f800000, OF | IX},
    {"overflow to zero", soft_add, FP32, RZ, 0x7f7fffff, 0x7f7fffff, 0x7f7fffff, OF | IX},
    {"the first NaN", soft_add, FP32, RN, 0x7fc00001, 0xffc00002, 0x7fc00001, 0},
    {"a signalling NaN first", soft_add, FP32, RN, 0x7fc00001, 0xff800002, 0xffc00002, IO},
    {"default NaN", soft_add, FP32, RN | DN, 0xffc00001, 0x3f800000, 0x7fc00000, 0},
    {"denormals add", soft_add, FP32, RN, 1, 2, 3, 0},
    {"denormals are zero", soft_add, FP32, RN | FZ, 1, 0x3f800000, 0x3f800000, ID},
    {"tiny and inexact", soft_mul, FP32, RN, 0x00800001, 0x3f000000, 0x00400000, UF | IX},
    {"tiny and exact", soft_mul, FP32, RN, 0x00800000, 0x3f000000, 0x00400000, 0},
    {"flushed: no Inexact", soft_mul, FP32, RN | FZ, 0x80800001, 0x3f000000, 0x80000000, UF},
    {"tiny before rounding, though not after", soft_mul, FP32, RN, 0x3f7fffff, 0x00800000, 0x00800000, UF | IX},
    {"the same flushed", soft_mul, FP32, RN | FZ, 0x3f7fffff, 0x00800000, 0, UF},
    {"0 * inf", soft_mul, FP64, RN, 0, 0x7ff0000000000000, 0x7ff8000000000000, IO},
    {"1 / 0", soft_div, FP64, RN, 0xbff0000000000000, 0, 0xfff0000000000000, DZ},
    {"0 / 0", soft_div, FP64, RN, 0, 0, 0x7ff8000000000000, IO},
    {"1 / 3", soft_div, FP64, RN, 0x3ff0000000000000, 0x4008000000000000, 0x3fd5555555555555, IX},
    {"1 / 3 up", soft_div, FP64, RP, 0x3ff0000000000000, 0x4008000000000000, 0x3fd5555555555556, IX},
    {"max of zeros", soft_max, FP32, RN, 0x80000000, 0, 0, 0},
    {"min of zeros", soft_min, FP32, RN, 0, 0x80000000, 0x80000000, 0},
    {"max of a denormal, flushed", soft_max, FP32, RN | FZ, 1, 0xbf800000, 0, ID},
};

/* A row gives its result, and FPSCR with its mode and flags. */
static void check_row(const char *what, unsigned row, uint64_t got, uint32_t fpscr, uint64_t want, uint32_t want_fpscr)
{
    if (got != want || fpscr != want_fpscr)
        fail_msg("%s, row %u: %" PRIx64 ", fpscr %x", what, row, got, fpscr);
}

static void test_two_operands(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(two); i++) {
        uint32_t fpscr = two[i].mode;
        uint64_t r = two[i].op(&fpscr, two[i].w, two[i].a, two[i].b);
        check_row(two[i].what, i, r, fpscr, two[i].result, two[i].mode | two[i].flags);
    }
}

static void test_muladd(void **state)
{
    (void)state;
    uint32_t f = 0;
    /* (1 + 2^-12)^2 - 1 = 2^-11 + 2^-24: two roundings lose the second term. */
    assert_int_equal(soft_muladd(&f, FP32, 0xbf800000, 0x3f800800, 0x3f800800), 0x3a000400);
    assert_int_equal(f, 0);
    f = 0;
    /* inf * 0 + a quiet NaN is invalid, and the default NaN; with a signalling NaN that one is taken. */
    assert_int_equal(soft_muladd(&f, FP32, 0xffc00123, 0x7f800000, 0), 0x7fc00000);
    assert_int_equal(f, IO);
    f = 0;
    assert_int_equal(soft_muladd(&f, FP32, 0xff800123, 0x7f800000, 0), 0xffc00123);
    assert_int_equal(f, IO);
    f = 0;
    assert_int_equal(soft_muladd(&f, FP64, 0x7ff8000000000001, 0x7ff8000000000002, 0x7ff0000000000003),
                     0x7ff8000000000003);
    assert_int_equal(f, IO);
    f = RM;
    assert_int_equal(soft_muladd(&f, FP64, 0xbff0000000000000, 0x3ff0000000000000, 0x3ff0000000000000),
                     0x8000000000000000);
}

static void test_half(void **state)
{
    (void)state;
    static const struct {
        enum fp_width to, from;
        uint32_t mode;
        uint64_t x, result;
        uint32_t flags;
    } t[] = {
        {FP16, FP32, 0, 0x3f800000, 0x3c00, 0},
        {FP16, FP32, 0, 0x477fefff, 0x7bff, IX},
        {FP16, FP32, 0, 0x477ff000, 0x7c00, OF | IX},
        {FP16, FP32, RZ, 0x7f7fffff, 0x7bff, OF | IX},
        {FP16, FP32, 0, 0x33000001, 0x0001, UF | IX},
        {FP16, FP32, FZ, 0x33800000, 0x0001, 0}, /* half precision is not flushed */
        {FP16, FP32, 0, 0x7f802000, 0x7e01, IO},
        {FP16, FP32, 0, 0xffc00000, 0xfe00, 0},
        {FP16, FP32, AHP, 0x7f800000, 0x7fff, IO},
        {FP16, FP32, AHP, 0xffc00000, 0x8000, IO},
        {FP16, FP32, AHP, 0x477ff000, 0x7c00, IX},
        {FP16, FP32, AHP, 0x48000000, 0x7fff, IO},
        {FP32, FP16, 0, 0x7c00, 0x7f800000, 0},
        {FP32, FP16, 0, 0x7c01, 0x7fc02000, IO},
        {FP32, FP16, FZ, 0x0001, 0x33800000, 0},
        {FP32, FP16, AHP, 0x7c00, 0x47800000, 0},
        {FP32, FP16, AHP, 0xffff, 0xc7ffe000, 0},
        {FP32, FP64, 0, 0x7ff0000000000001, 0x7fc00000, IO},
        {FP32, FP64, 0, 0xfff8000020000000, 0xffc00001, 0},
        {FP64, FP32, 0, 0x7f800001, 0x7ff8000020000000, IO},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        uint32_t f = t[i].mode;
        uint64_t r = soft_convert(&f, t[i].to, t[i].from, t[i].x);
        check_row("half", i, r, f, t[i].result, t[i].mode | t[i].flags);
    }
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        uint32_t mode;
        uint64_t x;
        unsigned nbits, frac;
        bool is_unsigned;
        enum fp_round how;
        uint64_t result;
        uint32_t flags;
    } t[] = {
        {0, 0x3fc00000, 32, 0, false, FP_ZERO, 1, IX},
        {0, 0x40200000, 32, 0, false, FP_NEAREST, 2, IX},
        {RP, 0x3f800001, 32, 0, false, FP_BY_FPSCR, 2, IX},
        {0, 0x4f000000, 32, 0, false, FP_ZERO, INT32_MAX, IO},
        {0, 0xcf000000, 32, 0, false, FP_ZERO, (uint64_t)INT32_MIN, 0},
        {0, 0x4f000000, 32, 0, true, FP_ZERO, 0x80000000, 0},
        {0, 0xbf000000, 32, 0, true, FP_ZERO, 0, IX},
        {0, 0xbf800000, 32, 0, true, FP_ZERO, 0, IO},
        {0, 0x7fc00000, 32, 0, false, FP_ZERO, 0, IO},
        {0, 0xff800000, 16, 0, false, FP_ZERO, (uint64_t)INT16_MIN, IO},
        {0, 0x3fa00000, 16, 4, false, FP_ZERO, 20, 0},
        {FZ, 0x00000001, 32, 0, false, FP_UP, 0, ID},
        {0, 0x00000001, 32, 0, false, FP_UP, 1, IX},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        uint32_t f = t[i].mode;
        uint64_t r = soft_to_fixed(&f, FP32, t[i].x, t[i].nbits, t[i].frac, t[i].is_unsigned, t[i].how);
        check_row("to an integer", i, r, f, t[i].result, t[i].mode | t[i].flags);
    }
    uint32_t f = 0;
    assert_int_equal(soft_from_fixed(&f, FP32, 0x01000001, 0, true, FP_NEAREST), 0x4b800000);
    assert_int_equal(f, IX);
    assert_int_equal(soft_from_fixed(&f, FP64, (uint64_t)-3, 1, false, FP_NEAREST), 0xbff8000000000000);
}

/* -- Estimates: the pseudocode of A2.7.6 in the host's doubles ------------------------------------------------ */

static double recip_estimate(double a)
{
    int q = (int)(a * 512.0);
    double r = 1.0 / (((double)q + 0.5) / 512.0);
    int s = (int)(256.0 * r + 0.5);
    return (double)s / 256.0;
}

static void test_estimates(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 512; i++) {
        uint32_t a = 0x80000000u + (i << 22);
        assert_int_equal(fp_unsigned_recip_estimate(a), (uint32_t)(recip_estimate(a / 4294967296.0) * 256) << 23);
    }
    assert_int_equal(fp_unsigned_recip_estimate(0x7fffffff), UINT32_MAX);
    assert_int_equal(fp_unsigned_rsqrt_estimate(0x3fffffff), UINT32_MAX);
    assert_int_equal(fp_unsigned_rsqrt_estimate(0x40000000), 0xff800000);
    assert_int_equal(fp_unsigned_rsqrt_estimate(0xffffffff), 0x80000000);
    uint32_t f = fp_standard(0);
    assert_int_equal(fp_recip_estimate(&f, 0x3f800000), 0x3f7f8000);
    assert_int_equal(fp_rsqrt_estimate(&f, 0x3f800000), 0x3f7f8000);
    assert_int_equal(fp_recip_step(&f, 0x7f800000, 0), 0x40000000);
    assert_int_equal(fp_rsqrt_step(&f, 0, 0xff800000), 0x3fc00000);
    assert_int_equal(f & FPSCR_CUMULATIVE, 0);
    assert_int_equal(fp_recip_estimate(&f, 0x80000001), 0xff800000);
    assert_int_equal(f & FPSCR_CUMULATIVE, DZ | ID);
}

/* -- The host against the integers -------------------------------------------------------------------------------- */

static struct rng rng;

static uint64_t any(enum fp_width w)
{
    unsigned fbits = w == FP32 ? 23 : 52, ebits = w == FP32 ? 8 : 11;
    uint64_t frac = rng_u64(&rng) & ((UINT64_C(1) << fbits) - 1), e = rng_below(&rng, 1u << ebits);
    switch (rng_below(&rng, 8)) {
    case 0: frac = 0; break;
    case 1: frac = (UINT64_C(1) << fbits) - 1; break;
    case 2: frac &= rng_u64(&rng) & rng_u64(&rng); break;
    case 3: frac = 1; break;
    }
    switch (rng_below(&rng, 6)) {
    case 0: e = 0; break;
    case 1: e = (1u << ebits) - 1 - rng_below(&rng, 2); break;
    case 2: e = 1 + rng_below(&rng, 2); break;
    case 3:
    case 4: e = (1u << (ebits - 1)) - 16 + rng_below(&rng, 32); break;
    }
    return (uint64_t)rng_below(&rng, 2) << (fbits + ebits) | e << fbits | frac;
}

static uint32_t any_fpscr(void)
{
    return rng_below(&rng, 4) << 22 | (rng_u32(&rng) & (FZ | DN | AHP | IX));
}

static uint64_t seed;
static uint64_t compared;

static void same(const char *what, uint32_t mode, const uint64_t in[3], uint64_t got, uint32_t got_f, uint64_t want,
                 uint32_t want_f)
{
    compared++;
    if (got != want || got_f != want_f)
        fail_msg("seed %" PRIu64 ": %s of %" PRIx64 " %" PRIx64 " %" PRIx64 ", fpscr %x: %" PRIx64
                 " %x, in integers %" PRIx64 " %x",
                 seed, what, in[0], in[1], in[2], mode, got, got_f, want, want_f);
}

#define BOTH(name, host, soft)        \
 do {                                 \
  uint32_t f = mode, g = mode;        \
  uint64_t r_ = (host), s_;           \
  uint32_t *fp = &g;                  \
  s_ = (soft);                        \
  same(name, mode, in, r_, f, s_, g); \
 } while (0)

static void test_host(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t mode = any_fpscr();
        uint64_t in[3] = {any(FP32), any(FP32), any(FP32)};
        uint32_t a = (uint32_t)in[0], b = (uint32_t)in[1], c = (uint32_t)in[2];
        bool u = rng_below(&rng, 2);
        enum fp_round how = rng_below(&rng, 2) ? FP_ZERO : FP_BY_FPSCR;
        BOTH("f32_add", f32_add(&f, a, b), soft_add(fp, FP32, a, b));
        BOTH("f32_sub", f32_sub(&f, a, b), soft_sub(fp, FP32, a, b));
        BOTH("f32_mul", f32_mul(&f, a, b), soft_mul(fp, FP32, a, b));
        BOTH("f32_div", f32_div(&f, a, b), soft_div(fp, FP32, a, b));
        BOTH("f32_sqrt", f32_sqrt(&f, a), soft_sqrt(fp, FP32, a));
        BOTH("f32_muladd", f32_muladd(&f, c, a, b), soft_muladd(fp, FP32, c, a, b));
        BOTH("f32_compare", f32_compare(&f, a, b, u), soft_compare(fp, FP32, a, b, u));
        BOTH("f32_to_f64", f32_to_f64(&f, a), soft_convert(fp, FP64, FP32, a));
        BOTH("f32_to_int", f32_to_int(&f, a, u, how), (uint32_t)soft_to_fixed(fp, FP32, a, 32, 0, u, how));
        BOTH("f32_from_int", f32_from_int(&f, a, u),
             soft_from_fixed(fp, FP32, u ? a : (uint64_t)(int64_t)(int32_t)a, 0, u, FP_BY_FPSCR));
        BOTH("f64_from_int", f64_from_int(&f, a, u),
             soft_from_fixed(fp, FP64, u ? a : (uint64_t)(int64_t)(int32_t)a, 0, u, FP_BY_FPSCR));
        in[0] = any(FP64), in[1] = any(FP64), in[2] = any(FP64);
        uint64_t x = in[0], y = in[1], z = in[2];
        BOTH("f64_add", f64_add(&f, x, y), soft_add(fp, FP64, x, y));
        BOTH("f64_sub", f64_sub(&f, x, y), soft_sub(fp, FP64, x, y));
        BOTH("f64_mul", f64_mul(&f, x, y), soft_mul(fp, FP64, x, y));
        BOTH("f64_div", f64_div(&f, x, y), soft_div(fp, FP64, x, y));
        BOTH("f64_sqrt", f64_sqrt(&f, x), soft_sqrt(fp, FP64, x));
        BOTH("f64_muladd", f64_muladd(&f, z, x, y), soft_muladd(fp, FP64, z, x, y));
        BOTH("f64_compare", f64_compare(&f, x, y, u), soft_compare(fp, FP64, x, y, u));
        BOTH("f64_to_f32", f64_to_f32(&f, x), soft_convert(fp, FP32, FP64, x));
        BOTH("f64_to_int", f64_to_int(&f, x, u, how), (uint32_t)soft_to_fixed(fp, FP64, x, 32, 0, u, how));
    }
    print_message("%" PRIu64 " compared\n", compared);
}

int main(void)
{
    const char *s = getenv("DBT_SEED");
    seed = s ? strtoull(s, NULL, 0) : 20110;
    rng_seed(&rng, seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_operands), cmocka_unit_test(test_muladd),    cmocka_unit_test(test_half),
        cmocka_unit_test(test_integers),     cmocka_unit_test(test_estimates), cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
