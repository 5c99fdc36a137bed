/*
 * options.h — the command line of `run` as data
 */
#ifndef ENGINE_MAIN_OPTIONS_H
#define ENGINE_MAIN_OPTIONS_H

#include <stdio.h>

#include "engine/base/base.h"
#include "machines/machine.h"
#include "strategies/axes.h"

typedef bool option_FLAG;
typedef uint64_t option_NUM, option_SIZE;
typedef unsigned option_CHOICE;
typedef const char *option_TEXT, *option_MAYBE;

struct run_options {
#define SECTION(title)
#define OPTION(kind, field, name, arg, def, lo, hi, unit, help) option_##kind field;
#include "engine/main/options.def"
#undef OPTION
#undef SECTION
    const char *axis[MAX_AXES];    /* as typed behind --<axis>=; NULL: the default */
    const char *image;             /* NULL: none given */
    const char *const *guest_args; /* NULL-terminated, the image first; points into argv */
};

enum { SEMIHOSTING_ON, SEMIHOSTING_OFF }; /* in the order of options.def */
enum { OPTION_ENGINE_JIT, OPTION_ENGINE_INTERP };
enum { OPTION_ICIALLU_NONE, OPTION_ICIALLU_FLUSH };

/* argv: what follows `run`, NULL-terminated. What is behind the image belongs to the guest. False: e says which word is wrong
 * and what would be right. */
bool options_parse(struct run_options *o, char **argv, struct error *e);

void options_help(FILE *out);

/* What launch makes of the options (resolve.c). */
struct resolved {
    const struct strategy *scheme[MAX_AXES]; /* in the order of axes[] */
    const struct machine_type *machine;
    uint32_t dump, dump_lo, dump_hi;
};
/* Looks names up, parses the lists, and checks the combination of schemes. LAUNCH. */
bool options_resolve(struct resolved *r, const struct run_options *o, struct error *e);

/* One JSON object, without a line end. */
void options_print_json(FILE *out, const struct run_options *o, const struct resolved *r);

#endif
