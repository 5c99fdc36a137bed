/*
 * axes.h — the axes, one row each: the only list of schemes there is
 *
 * The parser, --list-strategies, --help, the conformance tests and the benchmark runner all read it.
 */
#ifndef STRATEGIES_AXES_H
#define STRATEGIES_AXES_H

#include "strategies/strategy.h"

struct axis {
    const char *name, *question;
    const struct strategy *const *schemes;    /* NULL-terminated; each is the head of the axis's ops struct */
    unsigned def;                             /* index of the default */
    void (*choose)(const struct strategy *s); /* LAUNCH */
};

extern const struct axis axes[];
extern const unsigned naxes;
#define MAX_AXES 8

/* "scheme" or "scheme:param=value,...". NULL: e says what the choices are. LAUNCH. */
const struct strategy *axis_parse(const struct axis *a, const char *text, bool allow_unsound, struct error *e);

/* Can these run together (one scheme per axis, in the order of axes[])? NULL: yes; else one sentence in buf. */
const char *axes_conflict(const struct strategy *const chosen[], char *buf, size_t n);

/* Names of a needs or gives word, in the order of the tables; returns how many. */
struct trait {
    const char *name, *help;
};
extern const struct trait guarantee_traits[], need_traits[];
extern const unsigned nguarantees, nneeds;

#endif
