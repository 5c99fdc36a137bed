/*
 * resolve.c — what launch makes of the options: names looked up, lists parsed, combinations refused
 */
#include "engine/main/options.h"

#include <stdlib.h>

#include "engine/base/log.h"
#include "engine/exec/chaos.h"
#include "engine/exec/exec.h"
#include "engine/gdb/server.h"
#include "engine/main/pin.h"
#include "engine/main/words.h"

#define RAM_MIN (UINT64_C(1) << 20)

static const char *machine_name(size_t i)
{
    return machine_types[i] ? machine_types[i]->name : NULL;
}

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
