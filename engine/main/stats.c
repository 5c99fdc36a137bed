/*
 * stats.c — what a run counted: a table on stderr, or a JSON file
 *
 * The file is written under another name in the same folder and renamed when it is whole.
 */
#include "engine/main/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/histogram.h"
#include "engine/exec/exec.h"
#include "engine/main/json.h"
#include "engine/sync/sync.h"
#include "engine/tb/tb.h"
#include "strategies/tb-cache/tb_cache.h"

static const struct {
    const char *name, *unit, *help;
} counters[] = {
#define X(id, name, unit, help) {name, unit, help},
    COUNTERS(X)
#undef X
};

static const struct {
    const char *name, *help;
    const struct histogram *h;
} histograms[] = {
    {"flush_latency_ns", "a flush of all code, others standing still", &tb_flush_latency_ns},
    {"inval_latency_ns", "invalidating one block", &tb_inval_latency_ns},
    {"stop_latency_ns", "one vCPU stood still for another's quiescent section", &sync_stop_latency_ns},
    {"request_latency_ns", "from asking for quiescence to having it", &sync_request_latency_ns},
};

/* The slow-path hooks of strategies: calls that a scheme's inline code could not avoid. */
static const enum counter_id hooks[] = {CNT_LDREX,      CNT_STREX_OK,     CNT_STREX_FAIL,     CNT_EXCL_BREAKS,
                                        CNT_EXCL_PAGES, CNT_SAFE_WORK,    CNT_SLOW_LOADS,     CNT_SLOW_STORES,
                                        CNT_SMC_STORES, CNT_TB_FIND,      CNT_TB_INVALIDATED, CNT_TB_FLUSHES,
                                        CNT_JC_MISS,    CNT_HELPER_CALLS, CNT_EXCL_ARMS};

static uint64_t total(enum counter_id id)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < nvcpus; i++)
        sum += vcpus[i]->counters[id];
    return sum;
}

/* -- For people ----------------------------------------------------------------------------------------------------------- */

static void print_table(FILE *out, uint64_t wall_ns)
{
    fprintf(out, "\n%-22s %14s", "counter", "sum");
    for (unsigned i = 0; nvcpus > 1 && i < nvcpus; i++)
        fprintf(out, "        vcpu%u", i);
    fprintf(out, "\n");
    for (unsigned c = 0; c < CNT_COUNT; c++) {
        if (!total((enum counter_id)c))
            continue;
        fprintf(out, "%-22s %14" PRIu64, counters[c].name, total((enum counter_id)c));
        for (unsigned i = 0; nvcpus > 1 && i < nvcpus; i++)
            fprintf(out, " %12" PRIu64, vcpus[i]->counters[c]);
        fprintf(out, "  %s\n", counters[c].help);
    }
    for (size_t i = 0; i < ARRAY_SIZE(histograms); i++) {
        const struct histogram *h = histograms[i].h;
        if (h->count)
            fprintf(out, "%-22s %14" PRIu64 "  p50 %" PRIu64 ", p99 %" PRIu64 ", max %" PRIu64 "  %s\n",
                    histograms[i].name, h->count, hist_percentile(h, 50), hist_percentile(h, 99), h->max,
                    histograms[i].help);
    }
    fprintf(out, "%-22s %14.3f  s\n", "wall time", (double)wall_ns / 1e9);
}

/* -- For programs -------------------------------------------------------------------------------------------------------- */

static void json_counters(FILE *out)
{
    fputs("\"counters\": {", out);
    for (unsigned c = 0; c < CNT_COUNT; c++) {
        fprintf(out, "%s\n  \"%s\": {\"value\": %" PRIu64 ", \"unit\": ", c ? "," : "", counters[c].name,
                total((enum counter_id)c));
        json_string(out, counters[c].unit);
        fputs(", \"help\": ", out);
        json_string(out, counters[c].help);
        fputc('}', out);
    }
    fputs("}", out);
}

static void json_histograms(FILE *out)
{
    fputs("\"histograms\": {", out);
    for (size_t i = 0; i < ARRAY_SIZE(histograms); i++) {
        const struct histogram *h = histograms[i].h;
        fprintf(out,
                "%s\n  \"%s\": {\"unit\": \"ns\", \"count\": %" PRIu64 ", \"sum\": %" PRIu64 ", \"p50\": %" PRIu64
                ", \"p99\": %" PRIu64 ", \"max\": %" PRIu64 ", \"help\": ",
                i ? "," : "", histograms[i].name, h->count, h->sum, hist_percentile(h, 50), hist_percentile(h, 99),
                h->max);
        json_string(out, histograms[i].help);
        fputc('}', out);
    }
    fputs("}", out);
}

static void json_vcpus(FILE *out)
{
    fputs("\"pinning\": [", out);
    for (unsigned i = 0; i < nvcpus; i++) {
        const struct vcpu_thread *t = vcpu_thread(vcpus[i]);
        fprintf(out, "%s{\"vcpu\": %u, \"asked\": ", i ? ", " : "", i);
        if (t->pin < 0)
            fputs("null", out);
        else
            fprintf(out, "%d", t->pin);
        fprintf(out, ", \"observed\": %d}", t->observed_cpu);
    }
    fputs("],\n\"per_vcpu\": [", out);
    for (unsigned i = 0; i < nvcpus; i++) {
        fputs(i ? ",\n  {" : "\n  {", out);
        for (unsigned c = 0; c < CNT_COUNT; c++)
            fprintf(out, "%s\"%s\": %" PRIu64, c ? ", " : "", counters[c].name, vcpus[i]->counters[c]);
        fputc('}', out);
    }
    fputs("]", out);
}

/* null: translated code counts instructions only when asked, as each one pays for it. */
static void json_hooks(FILE *out)
{
    uint64_t insns = total(CNT_GUEST_INSNS);
    fputs("\"hooks_per_minsn\": ", out);
    if (!insns) {
        fputs("null", out);
        return;
    }
    fputc('{', out);
    for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
        fprintf(out, "%s\"%s\": %.3f", i ? ", " : "", counters[hooks[i]].name,
                (double)total(hooks[i]) * 1e6 / (double)insns);
    fputc('}', out);
}

static void json_pools(FILE *out)
{
    fputs("\"code_pools\": [", out);
    struct code_pool *p;
    for (unsigned i = 0; tb_cache->pool && (p = tb_cache->pool(i)); i++)
        fprintf(out, "%s{\"used_bytes\": %zu, \"peak_bytes\": %zu, \"chunks\": %u}", i ? ", " : "", p->used_bytes,
                p->peak_bytes, p->nchunks);
    fputs("]", out);
}

static void print_json(FILE *out, const struct run_options *o, const struct resolved *r, uint64_t wall_ns)
{
    fputs("{\"config\": ", out);
    options_print_json(out, o, r);
    fprintf(out, ",\n\"wall_ns\": %" PRIu64 ",\n\"live_blocks\": %" PRIu64 ",\n", wall_ns, tb_live_count());
    json_counters(out);
    fputs(",\n", out);
    json_histograms(out);
    fputs(",\n", out);
    json_hooks(out);
    fputs(",\n", out);
    json_pools(out);
    fputs(",\n", out);
    json_vcpus(out);
    fputs("}\n", out);
}

bool stats_check(const struct run_options *o, struct error *e)
{
    if (!*o->stats)
        return true;
    const char *path = o->stats + strlen("json:"), *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    struct stat st;
    bool ok = folder && !access(folder, W_OK | X_OK);
    if (!ok) {
        error_set(e, 1, "--stats: cannot write %s: %s", path, strerror(errno));
    } else if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
        error_set(e, 1, "--stats: %s is a folder", path);
        ok = false;
    }
    free(folder);
    return ok;
}

bool stats_write(const struct run_options *o, const struct resolved *r, uint64_t wall_ns, struct error *e)
{
    if (!*o->stats) {
        print_table(stderr, wall_ns);
        return true;
    }
    const char *path = o->stats + strlen("json:");
    char *temp = NULL;
    if (asprintf(&temp, "%s.%ld.part", path, (long)getpid()) < 0) {
        error_set(e, 1, "out of memory");
        return false;
    }
    FILE *out = fopen(temp, "w");
    bool ok = out;
    if (out) {
        print_json(out, o, r, wall_ns);
        ok = !ferror(out);
        ok = !fclose(out) && ok;
        ok = ok && !rename(temp, path);
    }
    if (!ok) {
        error_set(e, 1, "--stats: cannot write %s: %s", path, strerror(errno));
        if (out)
            unlink(temp);
    }
    free(temp);
    return ok;
}
