/*
 * options.c — parsing, help and printing, made from options.def and the table of axes
 */
#include "engine/main/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "engine/base/log.h"
#include "engine/exec/chaos.h"
#include "engine/exec/exec.h"
#include "engine/gdb/server.h"
#include "engine/main/json.h"
#include "engine/main/pin.h"

#define RAM_MIN (UINT64_C(1) << 20)

enum kind { FLAG, NUM, SIZE, CHOICE, TEXT, MAYBE };

struct option_row {
    enum kind kind;
    size_t offset; /* in struct run_options */
    const char *name, *arg, *def;
    uint64_t lo, hi;
    const char *unit, *help;
    const char *section; /* not NULL: a title and nothing else */
};

static const struct option_row rows[] = {
#define SECTION(title) {.section = (title)},
#define OPTION(kind, field, name, arg, def, lo, hi, unit, help) \
 {kind, offsetof(struct run_options, field), name, arg, def, lo, hi, unit, help, NULL},
#include "engine/main/options.def"
#undef OPTION
#undef SECTION
};

/* -- Names that are nearly right ------------------------------------------------------------------------------------------ */

/* Edit distance, at most 31 characters each. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[32], na = (unsigned)strlen(a), nb = (unsigned)strlen(b);
    if (na > 31 || nb > 31)
        return UINT32_MAX;
    for (unsigned j = 0; j <= nb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

const char *nearest_name(const char *typed, const char *(*name)(size_t i))
{
    const char *best = NULL, *s;
    unsigned least = strlen(typed) / 3 + 2;
    for (size_t i = 0; (s = name(i)); i++) {
        unsigned d = distance(typed, s);
        if (d < least) {
            least = d;
            best = s;
        }
    }
    return best;
}

static const char *option_name(size_t i)
{
    size_t n = 0;
    for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
        if (!rows[j].section && n++ == i)
            return rows[j].name;
    return i - n < naxes ? axes[i - n].name : NULL;
}

static const char *machine_name(size_t i)
{
    return machine_types[i] ? machine_types[i]->name : NULL;
}

/* -- Values ---------------------------------------------------------------------------------------------------------------- */

/* A size in the largest unit that it is a multiple of. */
static const char *size_text(uint64_t x, char *buf, size_t n)
{
    static const char *const units[] = {"", "K", "M", "G"};
    unsigned unit = 0;
    for (; unit < 3 && x && !(x & 1023); unit++)
        x >>= 10;
    snprintf(buf, n, "%" PRIu64 "%s", x, units[unit]);
    return buf;
}

static bool parse_number(const struct option_row *r, const char *text, uint64_t *out, struct error *e)
{
    char *end;
    errno = 0;
    uint64_t x = strtoull(text, &end, 0);
    bool bad = errno || end == text || !isdigit((unsigned char)text[0]);
    if (r->kind == SIZE && !bad && *end) {
        static const char letters[] = "KMG";
        const char *at = strchr(letters, toupper((unsigned char)*end));
        bad = !at || end[1];
        unsigned shift = at ? 10 * (unsigned)(at - letters + 1) : 0;
        if (!bad && x << shift >> shift != x)
            bad = true;
        x <<= shift;
    } else if (*end) {
        bad = true;
    }
    if (!bad && x >= r->lo && x <= r->hi) {
        *out = x;
        return true;
    }
    char lo[32], hi[32];
    if (r->kind == SIZE && r->hi == UINT64_MAX)
        error_set(e, 2, "--%s=%s is not a size (a number, with K, M or G behind it)", r->name, text);
    else if (r->kind == SIZE)
        error_set(e, 2, "--%s=%s is not a size from %s to %s (a number, with K, M or G behind it)", r->name, text,
                  size_text(r->lo, lo, sizeof lo), size_text(r->hi, hi, sizeof hi));
    else if (r->hi == UINT64_MAX)
        error_set(e, 2, "--%s=%s is not a whole number", r->name, text);
    else
        error_set(e, 2, "--%s=%s is not a whole number from %" PRIu64 " to %" PRIu64, r->name, text, r->lo, r->hi);
    return false;
}

static bool parse_choice(const struct option_row *r, const char *text, unsigned *out, struct error *e)
{
    size_t len = strlen(text);
    unsigned i = 0;
    for (const char *p = r->arg; *p; i++) {
        size_t n = strcspn(p, "|");
        if (n == len && !memcmp(p, text, n)) {
            *out = i;
            return true;
        }
        p += n;
        p += *p == '|';
    }
    error_set(e, 2, "--%s=%s: choose one of %s", r->name, text, r->arg);
    return false;
}

/* text: NULL when nothing was given behind the name. */
static bool set_option(struct run_options *o, const struct option_row *r, const char *text, struct error *e)
{
    void *at = (char *)o + r->offset;
    if (r->kind == FLAG) {
        if (text) {
            error_set(e, 2, "--%s takes no value", r->name);
            return false;
        }
        *(bool *)at = true;
        return true;
    }
    if (r->kind == MAYBE) {
        *(const char **)at = text ? text : "";
        return true;
    }
    if (!text || !*text) {
        error_set(e, 2, "--%s needs a value: --%s=%s", r->name, r->name, r->arg);
        return false;
    }
    switch (r->kind) {
    case NUM:
    case SIZE: return parse_number(r, text, at, e);
    case CHOICE: return parse_choice(r, text, at, e);
    default: *(const char **)at = text; return true;
    }
}

/* -- The command line -------------------------------------------------------------------------------------------------------- */

static bool parse_word(struct run_options *o, const char *word, struct error *e)
{
    char name[32];
    const char *text = strchr(word, '=');
    size_t n = text ? (size_t)(text - word) : strlen(word);
    if (text)
        text++;
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), word);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!rows[i].section && !strcmp(rows[i].name, name))
            return set_option(o, &rows[i], text, e);
    for (unsigned i = 0; i < naxes; i++) {
        if (strcmp(axes[i].name, name))
            continue;
        if (!text || !*text) {
            error_set(e, 2, "--%s needs a value: --%s=%s, or another one of --list-strategies", name, name,
                      axes[i].schemes[axes[i].def]->name);
            return false;
        }
        o->axis[i] = text;
        return true;
    }
    const char *near = nearest_name(name, option_name);
    error_set(e, 2, "there is no option --%s%s%s%s; `dbtlab help run` lists them all", name,
              near ? "; do you mean --" : "", near ? near : "", near ? "?" : "");
    return false;
}

bool options_parse(struct run_options *o, char **argv, struct error *e)
{
    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].def && !set_option(o, &rows[i], rows[i].def, e))
            return false;
    for (; *argv; argv++) {
        const char *word = *argv;
        bool over = !strcmp(word, "--");
        if (!over && word[0] == '-' && word[1]) {
            if (word[1] != '-') {
                error_set(e, 2, "%s: options begin with two dashes; `dbtlab help run` lists them", word);
                return false;
            }
            if (!parse_word(o, word + 2, e))
                return false;
            continue;
        }
        argv += over;
        if (*argv) {
            o->image = *argv;
            o->guest_args = (const char *const *)argv;
        }
        break;
    }
    return true;
}

/* -- Resolving ------------------------------------------------------------------------------------------------------------------ */

static bool find_machine(struct resolved *r, const char *name, struct error *e)
{
    char names[256] = "";
    for (unsigned i = 0; machine_types[i]; i++) {
        if (!strcmp(machine_types[i]->name, name)) {
            r->machine = machine_types[i];
            return true;
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", machine_types[i]->name);
    }
    const char *near = nearest_name(name, machine_name);
    error_set(e, 2, "--machine=%s: no such machine%s%s%s; choose one of: %s", name, near ? "; do you mean " : "",
              near ? near : "", near ? "?" : "", names);
    return false;
}

static bool parse_dump(struct resolved *r, const struct run_options *o, struct error *e)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } parts[] = {{"guest", DUMP_GUEST}, {"ir", DUMP_IR}, {"host", DUMP_HOST}};

    r->dump_hi = UINT32_MAX;
    for (const char *p = o->dump; p && *p;) {
        size_t n = strcspn(p, ",");
        uint32_t bit = 0;
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
            if (strlen(parts[i].name) == n && !memcmp(parts[i].name, p, n))
                bit = parts[i].bit;
        if (!bit) {
            error_set(e, 2, "--dump=%s: write a list of guest, ir, host", o->dump);
            return false;
        }
        r->dump |= bit;
        p += n;
        p += *p == ',';
    }
    if (!o->dump_pc)
        return true;
    const char *text = o->dump_pc, *dots = strstr(text, "..");
    char *end = NULL, *end2 = NULL;
    uint64_t lo = strtoull(text, &end, 16), hi = dots ? strtoull(dots + 2, &end2, 16) : lo;
    if (end == text || (dots ? end != dots || end2 == dots + 2 || *end2 : *end) || lo > hi || hi > UINT32_MAX) {
        error_set(e, 2, "--dump-pc=%s: write two addresses in hexadecimal, the lower one first: 80000000..800000ff",
                  text);
        return false;
    }
    r->dump_lo = (uint32_t)lo;
    r->dump_hi = (uint32_t)hi;
    if (!r->dump)
        r->dump = DUMP_GUEST;
    return true;
}

static bool check_combination(const struct run_options *o, const struct resolved *r, struct error *e)
{
    char why[400];
    if (axes_conflict(r->scheme, why, sizeof why)) {
        error_set(e, 2, "%s", why);
        return false;
    }
    if (o->smp > r->machine->cpus_max) {
        error_set(e, 2, "--smp=%" PRIu64 ": %s has at most %u CPUs", o->smp, r->machine->name, r->machine->cpus_max);
        return false;
    }
    if (o->memory < RAM_MIN || o->memory > r->machine->ram_max || o->memory % RAM_MIN) {
        char size[32], max[32];
        error_set(e, 2, "--memory=%s: %s takes 1M to %s of RAM in whole M", size_text(o->memory, size, sizeof size),
                  r->machine->name, size_text(r->machine->ram_max, max, sizeof max));
        return false;
    }
    if (o->insns && o->smp != 1) {
        error_set(e, 2, "--insns=%" PRIu64 " counts on one vCPU: use it with --smp=1", o->insns);
        return false;
    }
    if (o->gdb && (o->insns || o->step)) {
        error_set(e, 2, "--gdb steps by itself: leave out --%s", o->insns ? "insns" : "step");
        return false;
    }
    if (o->gdb_nowait && !o->gdb) {
        error_set(e, 2, "--gdb-nowait says how --gdb begins; give --gdb=PORT or --gdb=unix:PATH too");
        return false;
    }
    if (o->stats && *o->stats && (strncmp(o->stats, "json:", 5) || !o->stats[5])) {
        error_set(e, 2, "--stats=%s: write --stats for a table or --stats=json:FILE for a file", o->stats);
        return false;
    }
    if (o->print_config && *o->print_config && strcmp(o->print_config, "json")) {
        error_set(e, 2, "--print-config=%s: the only form is json", o->print_config);
        return false;
    }
    return true;
}

bool options_resolve(struct resolved *r, const struct run_options *o, struct error *e)
{
    memset(r, 0, sizeof *r);
    if (!find_machine(r, o->machine, e))
        return false;
    for (unsigned i = 0; i < naxes; i++) {
        const char *text = o->axis[i] ? o->axis[i] : axes[i].schemes[axes[i].def]->name;
        r->scheme[i] = axis_parse(&axes[i], text, o->allow_unsound, e);
        if (!r->scheme[i])
            return false;
    }
    return parse_dump(r, o, e) && (!o->log || log_parse(o->log, e)) && (!o->chaos || chaos_parse(o->chaos, e)) &&
           (!o->gdb || gdb_address_check(o->gdb, e)) && pin_check(o->pin, e) && check_combination(o, r, e);
}

/* -- Printing -------------------------------------------------------------------------------------------------------------------- */

void options_help(FILE *out)
{
    fputs("usage: dbtlab run [options] FILE.elf [arguments of the guest]\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct option_row *r = &rows[i];
        char left[64];
        if (r->section) {
            fprintf(out, "\n%s\n", r->section);
            continue;
        }
        snprintf(left, sizeof left, "--%s%s%s%s%s", r->name, r->kind == MAYBE ? "[" : "", r->arg ? "=" : "",
                 r->arg ? r->arg : "", r->kind == MAYBE ? "]" : "");
        fprintf(out, "  %-26s %s%s", left, strlen(left) > 26 ? "\n                             " : "", r->help);
        if (r->def)
            fprintf(out, " (%s)", r->def);
        fputc('\n', out);
        if (!strcmp(r->name, "machine"))
            for (unsigned m = 0; machine_types[m]; m++)
                fprintf(out, "      %-22s %s\n", machine_types[m]->name, machine_types[m]->summary);
    }
    fputs("\nStrategies: --<axis>=<scheme>[:param=value,...]; --list-strategies tells more\n", out);
    for (unsigned i = 0; i < naxes; i++) {
        fprintf(out, "  --%s=  %s\n", axes[i].name, axes[i].question);
        for (unsigned j = 0; axes[i].schemes[j]; j++)
            fprintf(out, "      %-22s %s%s%s\n", axes[i].schemes[j]->name, axes[i].schemes[j]->summary,
                    axes[i].schemes[j]->unsound ? " [unsound]" : "", j == axes[i].def ? " (default)" : "");
    }
}

static void print_choice(FILE *out, const char *words, unsigned i)
{
    char word[32];
    while (i--)
        words += strcspn(words, "|") + 1;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(words, "|"), words);
    json_string(out, word);
}

static void print_row(FILE *out, const struct option_row *r, const struct run_options *o)
{
    const void *at = (const char *)o + r->offset;
    char key[64];
    snprintf(key, sizeof key, "%s%s%s", r->name, *r->unit ? "_" : "", r->unit);
    for (char *p = key; *p; p++)
        if (*p == '-')
            *p = '_';
    json_string(out, key);
    fputs(": ", out);
    switch (r->kind) {
    case FLAG: fputs(*(const bool *)at ? "true" : "false", out); break;
    case NUM:
    case SIZE: fprintf(out, "%" PRIu64, *(const uint64_t *)at); break;
    case CHOICE: print_choice(out, r->arg, *(const unsigned *)at); break;
    default: json_string(out, *(const char *const *)at); break;
    }
}

void options_print_json(FILE *out, const struct run_options *o, const struct resolved *r)
{
    fputc('{', out);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        /* How the result is told is no part of what is run. */
        if (rows[i].section || rows[i].kind == MAYBE || !strcmp(rows[i].name, "verbose"))
            continue;
        print_row(out, &rows[i], o);
        fputs(", ", out);
    }
    fputs("\"strategies\": {", out);
    for (unsigned i = 0; i < naxes; i++) {
        const struct strategy *s = r->scheme[i];
        fputs(i ? ", " : "", out);
        json_string(out, axes[i].name);
        fputs(": {\"scheme\": ", out);
        json_string(out, s->name);
        fputs(", \"params\": {", out);
        for (const struct param *p = s->params; p && p->name; p++) {
            fputs(p == s->params ? "" : ", ", out);
            json_string(out, p->name);
            fprintf(out, ": %" PRIu64, *p->value);
        }
        fputs("}}", out);
    }
    fputs("}, \"image\": ", out);
    json_string(out, o->image ? o->image : "");
    fputs(", \"guest_args\": [", out);
    for (unsigned i = 1; o->image && o->guest_args[i]; i++) {
        fputs(i > 1 ? ", " : "", out);
        json_string(out, o->guest_args[i]);
    }
    fputs("]}", out);
}
