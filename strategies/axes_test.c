/*
 * axes_test.c — the table of axes: rows, parsing, refusals
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "strategies/axes.h"
#include "strategies/atomics/atomics.h"
#include "strategies/invalidation/invalidation.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

static const struct axis *axis(const char *name)
{
    for (unsigned a = 0; a < naxes; a++)
        if (!strcmp(axes[a].name, name))
            return &axes[a];
    fail_msg("no axis %s", name);
    return NULL;
}

static void rows_are_complete(void **state)
{
    (void)state;
    assert_int_equal(naxes, 4);
    for (unsigned a = 0; a < naxes; a++) {
        unsigned n = 0;
        for (const struct strategy *const *s = axes[a].schemes; *s; s++, n++) {
            assert_non_null((*s)->summary);
            assert_non_null((*s)->source);
            assert_true((*s)->source[0]);
            assert_int_equal(strspn((*s)->name, "abcdefghijklmnopqrstuvwxyz-"), strlen((*s)->name));
            assert_int_equal((*s)->gives >> nguarantees, 0);
            assert_int_equal((*s)->needs >> nneeds, 0);
            assert_false((*s)->busted); /* only in tests that link it */
            for (const struct strategy *const *t = axes[a].schemes; t < s; t++)
                assert_string_not_equal((*t)->name, (*s)->name);
            for (const struct param *p = (*s)->params; p && p->name; p++)
                assert_true(p->value && p->min <= p->def && p->def <= p->max);
        }
        assert_true(n >= 2);
        assert_true(axes[a].def < n);
    }
}

static void every_scheme_can_be_chosen(void **state)
{
    (void)state;
    struct error e = {0};
    for (unsigned a = 0; a < naxes; a++)
        for (const struct strategy *const *s = axes[a].schemes; *s; s++) {
            assert_ptr_equal(axis_parse(&axes[a], (*s)->name, false, &e), *s);
            axes[a].choose(*s);
            const void *now[] = {invalidation, atomics, tb_cache, tb_lifetime}; /* the head is their first field */
            assert_ptr_equal(now[a], *s);
        }
}

/* axis, text, what the error says; NULL: accepted */
static const struct {
    const char *axis, *text, *error;
} texts[] = {
    {"atomics", "llsc", NULL},
    {"atomics", "llsc:pages=1", NULL},
    {"atomics", "llsc:pages=0x40", NULL},
    {"atomics", "llsc:pages=65536", NULL},
    {"atomics", "llsc:", NULL},
    {"atomics", "llsc:pages=0", "pages=0 is not a number from 1 to 65536 (frames)"},
    {"atomics", "llsc:pages=65537", "pages=65537 is not a number from 1 to 65536"},
    {"atomics", "llsc:pages=-1", "pages=-1 is not a number"},
    {"atomics", "llsc:pages=", "is not a number"},
    {"atomics", "llsc:pages=12x", "pages=12x is not a number"},
    {"atomics", "llsc:pages=99999999999999999999", "is not a number"},
    {"atomics", "llsc:pages", "write name=value"},
    {"atomics", "llsc:page=1", "no parameter \"page\"; it takes: pages"},
    {"atomics", "llsc:pages=1,x=2", "no parameter \"x\""},
    {"atomics", "cmpxchg:pages=1", "--atomics=cmpxchg takes no parameters"},
    {"atomics", "LLSC", "no such scheme; choose one of: llsc, cmpxchg, lock-mutex, lock-spin"},
    {"atomics", "", "choose one of: llsc"},
    {"atomics", "busted", "no such scheme"},
    {"invalidation", "per_tb", "choose one of: flush-counter, per-cpu, per-tb"},
    {"tb-cache", "llsc", "choose one of: unified, per-cpu"},
    {"tb-lifetime", "never", "choose one of: flush, rcu"},
};

static void texts_are_parsed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        struct error e = {0};
        const struct strategy *s = axis_parse(axis(texts[i].axis), texts[i].text, false, &e);
        if (!texts[i].error) {
            assert_non_null(s);
            continue;
        }
        assert_null(s);
        assert_int_equal(e.exit_code, 2);
        if (!strstr(e.text, texts[i].error))
            fail_msg("--%s=%s: \"%s\" does not say \"%s\"", texts[i].axis, texts[i].text, e.text, texts[i].error);
    }
}

static void parameters_are_set_and_go_back(void **state)
{
    (void)state;
    struct error e = {0};
    const struct strategy *s = axis_parse(axis("atomics"), "llsc:pages=7", false, &e);
    assert_int_equal(*s->params[0].value, 7);
    s = axis_parse(axis("atomics"), "llsc", false, &e);
    assert_int_equal(*s->params[0].value, s->params[0].def);
}

static void long_text_is_refused(void **state)
{
    (void)state;
    struct error e = {0};
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_null(axis_parse(axis("atomics"), text, false, &e));
    memcpy(text, "llsc:pages=", 11);
    memset(text + 11, '1', sizeof text - 12);
    assert_null(axis_parse(axis("atomics"), text, false, &e));
}

static void unsound_needs_consent(void **state)
{
    (void)state;
    static const struct strategy shaky = {.name = "shaky", .summary = "loses stores", .unsound = true};
    static const struct strategy *const rows[] = {&shaky, NULL};
    static const struct axis one = {"test", "?", rows, 0, NULL};
    struct error e = {0};
    assert_null(axis_parse(&one, "shaky", false, &e));
    assert_int_equal(e.exit_code, 2);
    assert_non_null(strstr(e.text, "loses stores"));
    assert_non_null(strstr(e.text, "--allow-unsound"));
    assert_ptr_equal(axis_parse(&one, "shaky", true, &e), &shaky);
}

static void all_combinations_start(void **state)
{
    (void)state;
    const struct strategy *chosen[MAX_AXES] = {0};
    unsigned at[MAX_AXES] = {0}, n = 0;
    char buf[300];
    for (;;) {
        for (unsigned a = 0; a < naxes; a++)
            chosen[a] = axes[a].schemes[at[a]];
        assert_null(axes_conflict(chosen, buf, sizeof buf));
        n++;
        unsigned a = 0;
        while (a < naxes && !axes[a].schemes[++at[a]])
            at[a++] = 0;
        if (a == naxes)
            break;
    }
    assert_int_equal(n, 3 * 4 * 2 * 2);
}

static void conflict_is_one_sentence(void **state)
{
    (void)state;
    static const struct strategy all_or_nothing = {.name = "all-or-nothing", .summary = "", .gives = 0};
    const struct strategy *chosen[MAX_AXES] = {0};
    char buf[300];
    for (unsigned a = 0; a < naxes; a++)
        chosen[a] = axes[a].schemes[0];
    chosen[0] = &all_or_nothing; /* gives no partial */
    struct error e = {0};
    chosen[3] = axis_parse(axis("tb-lifetime"), "rcu", false, &e);
    assert_ptr_equal(axes_conflict(chosen, buf, sizeof buf), buf);
    assert_string_equal(buf,
                        "--tb-lifetime=rcu needs free-single-blocks (a cache whose blocks can be removed one by one), "
                        "which no chosen scheme offers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),      cmocka_unit_test(every_scheme_can_be_chosen),
        cmocka_unit_test(texts_are_parsed),       cmocka_unit_test(parameters_are_set_and_go_back),
        cmocka_unit_test(long_text_is_refused),   cmocka_unit_test(unsound_needs_consent),
        cmocka_unit_test(all_combinations_start), cmocka_unit_test(conflict_is_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
