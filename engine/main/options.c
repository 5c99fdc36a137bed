/*
 * options.c — parsing, help and printing, made from options.def and the table of axes
 */
#include "engine/main/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "engine/main/json.h"
#include "engine/main/words.h"

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

/* -- Values ---------------------------------------------------------------------------------------------------------------- */

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

static const char *option_name(size_t i)
{
    size_t n = 0;
    for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
        if (!rows[j].section && n++ == i)
            return rows[j].name;
    return i - n < naxes ? axes[i - n].name : NULL;
}

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
