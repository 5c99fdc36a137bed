/*
 * options_test.c — parsing in place: what stays, what is refused, what the nearest name is
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/main/json.h"
#include "engine/main/options.h"
#include "engine/main/words.h"

#define WORDS_MAX 8

static bool parse(struct run_options *o, struct error *e, const char *const *words)
{
    static char copies[WORDS_MAX][64];
    static char *argv[WORDS_MAX + 1];
    unsigned n = 0;
    for (; words[n]; n++) {
        assert_true(n < WORDS_MAX);
        snprintf(copies[n], sizeof copies[n], "%s", words[n]);
        argv[n] = copies[n];
    }
    argv[n] = NULL;
    memset(e, 0, sizeof *e);
    return options_parse(o, argv, e);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } rows[] = {{"1", 1},
                {"4096", 4096},
                {"0x10", 16},
                {"1K", 1 << 10},
                {"3k", 3 << 10},
                {"256M", 256 << 20},
                {"2G", UINT64_C(2) << 30},
                {"17179869183G", UINT64_C(17179869183) << 30},
                {"17179869184G", 0},
                {"K", 0},
                {"1T", 0},
                {"1KB", 0},
                {"-1", 0},
                {"+1", 0},
                {" 1", 0},
                {"1 ", 0},
                {"1.5G", 0},
                {"18446744073709551616", 0}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char word[64];
        struct run_options o;
        struct error e;
        snprintf(word, sizeof word, "--memory=%s", rows[i].text);
        assert_int_equal(parse(&o, &e, (const char *const[]){word, NULL}), rows[i].bytes != 0);
        if (rows[i].bytes)
            assert_int_equal(o.memory, rows[i].bytes);
        else
            assert_int_equal(e.exit_code, 2);
    }
}

static void the_rest_belongs_to_the_guest(void **state)
{
    (void)state;
    struct run_options o;
    struct error e;
    assert_true(parse(&o, &e, (const char *const[]){"--raw", "a.elf", "--smp=4", "--", "-x", NULL}));
    assert_true(o.raw);
    assert_int_equal(o.smp, 1);
    assert_string_equal(o.image, "a.elf");
    assert_string_equal(o.guest_args[1], "--smp=4");
    assert_string_equal(o.guest_args[3], "-x");
    assert_null(o.guest_args[4]);

    assert_true(parse(&o, &e, (const char *const[]){"--smp=2", "--", "--odd-name.elf", NULL}));
    assert_int_equal(o.smp, 2);
    assert_string_equal(o.image, "--odd-name.elf");

    assert_true(parse(&o, &e, (const char *const[]){"--smp=2", "--smp=3", NULL}));
    assert_int_equal(o.smp, 3);
    assert_null(o.image);
}

static const char *fruit(size_t i)
{
    static const char *const names[] = {"apple", "banana", "cherry", "fig"};
    return i < ARRAY_SIZE(names) ? names[i] : NULL;
}

static void nearest(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *name;
    } rows[] = {{"aple", "apple"},   {"banan", "banana"},
                {"cerry", "cherry"}, {"figs", "fig"},
                {"apple", "apple"},  {"zzzzzz", NULL},
                {"", NULL},          {"a name that is very much longer than any option is", NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = nearest_name(rows[i].typed, fruit);
        if (rows[i].name)
            assert_string_equal(got, rows[i].name);
        else
            assert_null(got);
    }
}

/* Any words at all: parsed or refused with a sentence, never more. */
static void noise(void **state)
{
    (void)state;
    static const char letters[] = "-=,:.0123456789KMGabcdefghijklmnopqrstuvwxyz";
    static const char *const starts[] = {"--smp=",     "--memory=",       "--dump-pc=", "--chaos=", "--pin=", "--log=",
                                         "--atomics=", "--atomics=llsc:", "--stats=",   "--",       "-",      ""};
    struct rng r;
    rng_seed(&r, 20160330);
    for (unsigned i = 0; i < 20000; i++) {
        char word[64];
        struct run_options o;
        struct resolved res;
        struct error e = {0};
        size_t n = (size_t)snprintf(word, sizeof word, "%s", starts[rng_below(&r, ARRAY_SIZE(starts))]);
        for (uint32_t more = rng_below(&r, 12); more--;)
            word[n++] = letters[rng_below(&r, sizeof letters - 1)];
        word[n] = 0;
        bool ok = parse(&o, &e, (const char *const[]){word, NULL}) && options_resolve(&res, &o, &e);
        assert_int_equal(ok, e.exit_code == 0);
        assert_true(ok || (e.exit_code == 2 && strlen(e.text) > 10));
    }
}

static void json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *s, *json;
    } rows[] = {{NULL, "null"},
                {"", "\"\""},
                {"a b", "\"a b\""},
                {"q\"b\\", "\"q\\\"b\\\\\""},
                {"\n\t\x7f", "\"\\u000a\\u0009\\u007f\""},
                {"\xc3\xa9", "\"\\u00c3\\u00a9\""}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *text = NULL;
        size_t bytes;
        FILE *f = open_memstream(&text, &bytes);
        json_string(f, rows[i].s);
        fclose(f);
        assert_string_equal(text, rows[i].json);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),        cmocka_unit_test(the_rest_belongs_to_the_guest),
        cmocka_unit_test(nearest),      cmocka_unit_test(noise),
        cmocka_unit_test(json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
