/*
 * base_test.c — bits, errors, log categories, random numbers, histograms
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/base/base.h"
#include "engine/base/histogram.h"
#include "engine/base/log.h"
#include "engine/base/rng.h"

static void test_bits(void **state)
{
    (void)state;
    assert_int_equal(bits(0xdeadbeef, 15, 8), 0xbe);
    assert_int_equal(bits(0xdeadbeef, 31, 0), 0xdeadbeef);
    assert_int_equal(bit(0x80000000, 31), 1);
    assert_int_equal(sext(0xff, 8), -1);
    assert_int_equal(sext(0x7f, 8), 127);
    assert_int_equal(ror32(1, 1), 0x80000000);
    assert_int_equal(ror32(0x1234, 0), 0x1234);
    assert_int_equal(ror32(0x1234, 32), 0x1234);
    assert_int_equal(ALIGN_UP(5u, 4), 8);
}

static void test_first_error_stays(void **state)
{
    (void)state;
    struct error e = {0};
    error_set(&e, 2, "first %d", 1);
    error_set(&e, 1, "second");
    assert_int_equal(e.exit_code, 2);
    assert_string_equal(e.text, "first 1");
}

static void test_log_parse(void **state)
{
    (void)state;
    struct error e = {0};
    assert_true(log_parse("tb,mmu", &e));
    assert_int_equal(log_mask, BIT(LOG_BIT_TB) | BIT(LOG_BIT_MMU));
    assert_true(log_parse("all", &e));
    assert_int_equal(log_mask, BIT(LOG_BIT_DEV + 1) - 1);
    assert_false(log_parse("tb,nonsense", &e));
    assert_int_equal(e.exit_code, 2);
    assert_non_null(strstr(e.text, "nonsense"));
    assert_non_null(strstr(e.text, "inval"));
    memset(&e, 0, sizeof e);
    assert_false(log_parse("", &e));
    assert_false(log_parse("tb,", &e));
    log_mask = 0;
}

static void test_rng_is_reproducible(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    bool differs = false;
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_u64(&a);
        assert_true(x == rng_u64(&b));
        differs |= x != rng_u64(&c);
        uint32_t k = rng_below(&a, 10);
        assert_true(k < 10);
        rng_below(&b, 10);
        seen |= BIT(k);
    }
    assert_true(differs);
    assert_int_equal(seen, 0x3ff);
}

static void test_now_goes_forward(void **state)
{
    (void)state;
    uint64_t t = now_ns();
    assert_true(now_ns() >= t);
}

static void test_percentiles(void **state)
{
    (void)state;
    static struct histogram h;
    for (uint64_t i = 1; i <= 100000; i++)
        hist_add(&h, i);
    assert_in_range(hist_percentile(&h, 50), 45000, 55000);
    assert_in_range(hist_percentile(&h, 99), 93000, 100000);
    assert_int_equal(h.max, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_first_error_stays),
        cmocka_unit_test(test_log_parse),
        cmocka_unit_test(test_rng_is_reproducible),
        cmocka_unit_test(test_now_goes_forward),
        cmocka_unit_test(test_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
