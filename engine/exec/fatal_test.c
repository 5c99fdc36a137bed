/*
 * fatal_test.c — which exceptions are a loop that nothing comes of, and which are not
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "engine/arm/arm.h"
#include "engine/exec/fatal.h"
#include "engine/vcpu/vcpu_alloc.h"

/* What fatal_watch() says to n exceptions, each with the pc | T and link register of its vector's entry. */
static char *watch(uint32_t pc_t, uint32_t lr, unsigned n)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *was = stderr;
    stderr = open_memstream(&text, &bytes);
    for (unsigned i = 0; i < n; i++) {
        vcpus[0]->r[15] = pc_t;
        vcpus[0]->r[14] = lr;
        fatal_watch(vcpus[0]);
    }
    fclose(stderr);
    stderr = was;
    return text;
}

static void only_vectors_that_raise_themselves(void **state)
{
    (void)state;
    static const struct {
        uint32_t pc_t, lr;
        bool loop;
    } rows[] = {
        {0x0000000c, 0x00000010, true},                                   /* prefetch abort on its own vector */
        {0x80000004, 0x80000008, true},                                   /* undefined, A32 */
        {0x80000005, 0x80000006, true},                                   /* undefined, T32 */
        {0x80000010, 0x80000018, true},                                   /* data abort */
        {0xffff000c, 0xffff0010, true},  {0x80000008, 0x80000108, false}, /* system calls from one place */
        {0x80000008, 0x8000000a, false},                                  /* A32 has no instructions of two bytes */
        {0x80000018, 0x80000018, false}, /* an interrupt before the first instruction */
        {0x0000000c, 0x80000010, false},
    };
    struct error e = {0};
    assert_true(vcpu_alloc(0, &e));
    vcpus[0]->cpsr = MODE_ABT | CPSR_I;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *text = watch(rows[i].pc_t, rows[i].lr, 1000);
        assert_int_equal(strstr(text, "over and over") != NULL, rows[i].loop);
        if (rows[i].loop) {
            assert_non_null(strstr(text, "vCPU 0: pc "));
            assert_non_null(strstr(text, "mode abt"));
        } else {
            assert_string_equal(text, "");
        }
        free(text);
        free(watch(0x80000008, 0x90000000, 1)); /* progress */
    }
    vcpu_free_all();
}

static void a_few_times_are_no_loop(void **state)
{
    (void)state;
    struct error e = {0};
    assert_true(vcpu_alloc(0, &e));
    for (unsigned i = 0; i < 100; i++) {
        char *text = watch(0xc, 0x10, 5);
        assert_string_equal(text, "");
        free(text);
        free(watch(0x18, 0x80000000, 1));
    }
    vcpu_free_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_vectors_that_raise_themselves),
        cmocka_unit_test(a_few_times_are_no_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
