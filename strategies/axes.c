/*
 * axes.c — the axes, one row each
 */
#include "strategies/axes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "strategies/atomics/atomics.h"
#include "strategies/invalidation/invalidation.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

const struct atomics_ops *atomics;
const struct invalidation_ops *invalidation;
const struct tb_cache_ops *tb_cache;
const struct tb_lifetime_ops *tb_lifetime;

/* -- Rows: each axis's schemes.def says ROW(symbol) in the order of --help ------------------------------------------------ */

/* The last row of each is the busted one, which only tests link: elsewhere the weak symbol is 0, and ends the list. */
#define ROW_BUSTED(sym) __attribute__((weak)) ROW(sym)
#define ROW(sym)        extern const struct atomics_ops sym;
#include "strategies/atomics/schemes.def"
#undef ROW
#define ROW(sym) extern const struct invalidation_ops sym;
#include "strategies/invalidation/schemes.def"
#undef ROW
#define ROW(sym) extern const struct tb_cache_ops sym;
#include "strategies/tb-cache/schemes.def"
#undef ROW
#define ROW(sym) extern const struct tb_lifetime_ops sym;
#include "strategies/tb-lifetime/schemes.def"
#undef ROW

#undef ROW_BUSTED
#define ROW(sym)        &sym.head,
#define ROW_BUSTED(sym) &sym.head,
static const struct strategy *const atomics_schemes[] = {
#include "strategies/atomics/schemes.def"
    NULL};
static const struct strategy *const invalidation_schemes[] = {
#include "strategies/invalidation/schemes.def"
    NULL};
static const struct strategy *const tb_cache_schemes[] = {
#include "strategies/tb-cache/schemes.def"
    NULL};
static const struct strategy *const tb_lifetime_schemes[] = {
#include "strategies/tb-lifetime/schemes.def"
    NULL};
#undef ROW
#undef ROW_BUSTED

static void choose_invalidation(const struct strategy *s)
{
    invalidation = container_of(s, const struct invalidation_ops, head);
}

static void choose_atomics(const struct strategy *s)
{
    atomics = container_of(s, const struct atomics_ops, head);
}

static void choose_tb_cache(const struct strategy *s)
{
    tb_cache = container_of(s, const struct tb_cache_ops, head);
}

static void choose_tb_lifetime(const struct strategy *s)
{
    tb_lifetime = container_of(s, const struct tb_lifetime_ops, head);
}

const struct axis axes[] = {
    {"invalidation", "how does a vCPU learn that a block it found, linked or runs has died?", invalidation_schemes, 2,
     choose_invalidation},
    {"atomics", "when does a store-exclusive succeed?", atomics_schemes, 0, choose_atomics},
    {"tb-cache", "who owns translations, and how is the next one found?", tb_cache_schemes, 0, choose_tb_cache},
    {"tb-lifetime", "when is the memory of a dead block used again?", tb_lifetime_schemes, 0, choose_tb_lifetime},
};
const unsigned naxes = ARRAY_SIZE(axes);

#define X(id, name, help) {name, help},
const struct trait guarantee_traits[] = {GUARANTEES(X)};
const struct trait need_traits[] = {NEEDS(X)};
#undef X
const unsigned nguarantees = ARRAY_SIZE(guarantee_traits), nneeds = ARRAY_SIZE(need_traits);

/* -- Parsing -------------------------------------------------------------------------------------------------------------------- */

static void append(char *buf, size_t n, const char *text)
{
    size_t used = strlen(buf);
    snprintf(buf + used, n - used, "%s%s", used ? ", " : "", text);
}

static bool set_param(const struct axis *a, const struct strategy *s, char *text, struct error *e)
{
    char *eq = strchr(text, '=');
    char names[256] = "";
    if (eq)
        *eq = 0;
    for (const struct param *p = s->params; p && p->name; p++) {
        append(names, sizeof names, p->name);
        if (!eq || strcmp(p->name, text))
            continue;
        char *end;
        errno = 0;
        uint64_t x = strtoull(eq + 1, &end, 0);
        if (errno || end == eq + 1 || *end || eq[1] == '-' || x < p->min || x > p->max) {
            error_set(e, 2, "--%s=%s: %s=%s is not a number from %" PRIu64 " to %" PRIu64 " (%s)", a->name, s->name,
                      p->name, eq + 1, p->min, p->max, p->unit);
            return false;
        }
        *p->value = x;
        return true;
    }
    if (names[0])
        error_set(e, 2, "--%s=%s has no parameter \"%s\"%s; it takes: %s", a->name, s->name, text,
                  eq ? "" : " (write name=value)", names);
    else
        error_set(e, 2, "--%s=%s takes no parameters", a->name, s->name);
    return false;
}

const struct strategy *axis_parse(const struct axis *a, const char *text, bool allow_unsound, struct error *e)
{
    char copy[256], names[256] = "";
    snprintf(copy, sizeof copy, "%s", text);
    char *params = strchr(copy, ':');
    if (params)
        *params++ = 0;
    for (const struct strategy *const *s = a->schemes; *s; s++) {
        append(names, sizeof names, (*s)->name);
        if (strcmp((*s)->name, copy))
            continue;
        if ((*s)->unsound && !allow_unsound) {
            error_set(e, 2, "--%s=%s is unsound (%s); add --allow-unsound if that is what you want to measure", a->name,
                      copy, (*s)->summary);
            return NULL;
        }
        for (const struct param *p = (*s)->params; p && p->name; p++)
            *p->value = p->def;
        for (char *save = NULL, *t = params ? strtok_r(params, ",", &save) : NULL; t; t = strtok_r(NULL, ",", &save))
            if (!set_param(a, *s, t, e))
                return NULL;
        return *s;
    }
    error_set(e, 2, "--%s=%s: no such scheme; choose one of: %s", a->name, copy, names);
    return NULL;
}

/* -- Combinations ------------------------------------------------------------------------------------------------------------------ */

const char *axes_conflict(const struct strategy *const chosen[], char *buf, size_t n)
{
    /* What the engine has on every host it starts on; needs that another axis must give are looked up there. */
    uint32_t engine = NEEDS_(PAGE_EXCL) | NEEDS_(QUIESCENCE) | NEEDS_(CMPXCHG64) | NEEDS_(RCU);
    uint32_t gives = 0;
    for (unsigned i = 0; i < naxes; i++)
        gives |= chosen[i]->gives;
    if (gives & GIVES(PARTIAL))
        engine |= NEEDS_(FREE_SINGLE);
    for (unsigned i = 0; i < naxes; i++) {
        uint32_t missing = chosen[i]->needs & ~engine;
        if (!missing)
            continue;
        unsigned first = (unsigned)__builtin_ctz(missing);
        snprintf(buf, n, "--%s=%s needs %s (%s), which no chosen scheme offers", axes[i].name, chosen[i]->name,
                 need_traits[first].name, need_traits[first].help);
        return buf;
    }
    return NULL;
}
