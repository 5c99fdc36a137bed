/*
 * chaos_test.c — the option --chaos as data, and draws that keep their rate
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/exec/chaos.h"
#include "engine/vcpu/vcpu_alloc.h"

#define DRAWS 100000

static bool parse(const char *text, struct error *e)
{
    memset(chaos_rate, 0, sizeof chaos_rate);
    chaos_seed = 1;
    memset(e, 0, sizeof *e);
    return chaos_parse(text, e);
}

static void options_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seed;
        uint32_t rate[CHAOS_COUNT];
    } rows[] = {
        {"seed=7", 7, {0}},
        {"delay=5", 1, {[CHAOS_DELAY] = 5}},
        {"strex=1000000", 1, {[CHAOS_STREX] = 1000000}},
        {"seed=0x10,flush=3,unchain=4,alloc=5", 16, {[CHAOS_FLUSH] = 3, [CHAOS_UNCHAIN] = 4, [CHAOS_ALLOC] = 5}},
        {"flush=3,flush=0", 1, {0}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error e;
        assert_true(parse(rows[i].text, &e));
        assert_int_equal(chaos_seed, rows[i].seed);
        assert_memory_equal(chaos_rate, rows[i].rate, sizeof chaos_rate);
    }
    struct error e;
    assert_true(parse("all,flush=0,seed=3", &e));
    for (unsigned k = 0; k < CHAOS_COUNT; k++)
        assert_int_equal(chaos_rate[k] == 0, k == CHAOS_FLUSH);
    assert_int_equal(chaos_seed, 3);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",     "gremlins", "delay", "delay=",        "delay=x",  "delay=-1", "delay=1e3", "delay=1,",
        "seed", "seed=",    "all=3", "delay=1000001", "delay=1 ", ",delay=1", "alloc = 3", "seed=99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error e;
        assert_false(parse(rows[i], &e));
        assert_int_equal(e.exit_code, 2);
        assert_non_null(strstr(e.text, "--chaos"));
    }
}

static void draws_keep_their_rate(void **state)
{
    (void)state;
    struct error e = {0};
    static uint8_t drawn[2][DRAWS];
    assert_true(vcpu_alloc(0, &e) && vcpu_alloc(1, &e));
    assert_true(parse("seed=42,strex=100000", &e));
    unsigned hits = 0, same = 0;
    for (unsigned cpu = 0; cpu < 2; cpu++)
        for (unsigned i = 0; i < DRAWS; i++)
            drawn[cpu][i] = chaos_fail(vcpus[cpu], CHAOS_STREX);
    for (unsigned i = 0; i < DRAWS; i++) {
        hits += drawn[0][i];
        same += drawn[0][i] && drawn[1][i];
    }
    assert_in_range(hits, DRAWS / 10 - 600, DRAWS / 10 + 600);   /* six standard deviations are 570 */
    assert_in_range(same, DRAWS / 100 - 200, DRAWS / 100 + 200); /* two vCPUs draw differently */
    assert_false(chaos_fail(vcpus[0], CHAOS_FLUSH));
    vcpu_free_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_understood),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(draws_keep_their_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
