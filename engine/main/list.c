/*
 * list.c — --list-strategies: the table of axes for people and for programs
 */
#include "engine/main/list.h"

#include "engine/main/json.h"
#include "strategies/axes.h"

static void names(FILE *out, const char *label, uint32_t word, const struct trait *t, unsigned n)
{
    if (!word)
        return;
    fprintf(out, "      %s", label);
    const char *between = " ";
    for (unsigned i = 0; i < n; i++) {
        if (word & BIT(i)) {
            fprintf(out, "%s%s", between, t[i].name);
            between = ", ";
        }
    }
    fputc('\n', out);
}

void list_strategies(FILE *out)
{
    for (unsigned a = 0; a < naxes; a++) {
        fprintf(out, "%s--%s=  %s\n", a ? "\n" : "", axes[a].name, axes[a].question);
        for (unsigned i = 0; axes[a].schemes[i]; i++) {
            const struct strategy *s = axes[a].schemes[i];
            fprintf(out, "  %s%s%s\n      %s\n", s->name, i == axes[a].def ? " (default)" : "",
                    s->unsound ? " (unsound: needs --allow-unsound)" : "", s->summary);
            names(out, "gives:", s->gives, guarantee_traits, nguarantees);
            names(out, "needs:", s->needs, need_traits, nneeds);
            for (const struct param *p = s->params; p && p->name; p++)
                fprintf(out, "      :%s=%" PRIu64 "  %s (%" PRIu64 "..%" PRIu64 " %s)\n", p->name, p->def, p->help,
                        p->min, p->max, p->unit);
            if (s->source)
                fprintf(out, "      source: %s\n", s->source);
        }
    }
    fputs("\nWhat a scheme may give:\n", out);
    for (unsigned i = 0; i < nguarantees; i++)
        fprintf(out, "  %-22s %s\n", guarantee_traits[i].name, guarantee_traits[i].help);
}

static void json_names(FILE *out, uint32_t word, const struct trait *t, unsigned n)
{
    fputc('[', out);
    const char *between = "";
    for (unsigned i = 0; i < n; i++) {
        if (word & BIT(i)) {
            fputs(between, out);
            json_string(out, t[i].name);
            between = ", ";
        }
    }
    fputc(']', out);
}

static void json_scheme(FILE *out, const struct strategy *s)
{
    fputs("{\"name\": ", out);
    json_string(out, s->name);
    fputs(", \"summary\": ", out);
    json_string(out, s->summary);
    fputs(", \"source\": ", out);
    json_string(out, s->source);
    fprintf(out, ", \"unsound\": %s, \"busted\": %s", s->unsound ? "true" : "false", s->busted ? "true" : "false");
    fputs(", \"gives\": ", out);
    json_names(out, s->gives, guarantee_traits, nguarantees);
    fputs(", \"needs\": ", out);
    json_names(out, s->needs, need_traits, nneeds);
    fputs(", \"params\": [", out);
    for (const struct param *p = s->params; p && p->name; p++) {
        fputs(p == s->params ? "{\"name\": " : ", {\"name\": ", out);
        json_string(out, p->name);
        fprintf(out, ", \"default\": %" PRIu64 ", \"min\": %" PRIu64 ", \"max\": %" PRIu64 ", \"unit\": ", p->def,
                p->min, p->max);
        json_string(out, p->unit);
        fputs(", \"help\": ", out);
        json_string(out, p->help);
        fputc('}', out);
    }
    fputs("]}", out);
}

void list_strategies_json(FILE *out)
{
    fputs("{\"axes\": [", out);
    for (unsigned a = 0; a < naxes; a++) {
        fputs(a ? ",\n  {\"name\": " : "\n  {\"name\": ", out);
        json_string(out, axes[a].name);
        fputs(", \"question\": ", out);
        json_string(out, axes[a].question);
        fputs(", \"default\": ", out);
        json_string(out, axes[a].schemes[axes[a].def]->name);
        fputs(", \"schemes\": [", out);
        for (unsigned i = 0; axes[a].schemes[i]; i++) {
            fputs(i ? ",\n    " : "\n    ", out);
            json_scheme(out, axes[a].schemes[i]);
        }
        fputs("]}", out);
    }
    fputs("]}\n", out);
}
