/*
 * difftest.c — random A32 and T32 code: interpreter and JIT against qemu-arm, and against each other
 *
 *   difftest --isa=a32|t32|both --engine=interp|jit --against=qemu|interp --seed=N --count=N
 *
 * count: instructions to generate; 0: until stopped. Batches of snippets are made from consecutive seeds, so that the
 * seed in a report alone makes the snippet again: --seed=S --snippets=1. A mismatch is shrunk by leaving out
 * groups of instructions, printed with code, IR, expected and got, and ends the run with status 1.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/arm/arm.h"
#include "engine/interp/difftest/local.h"

enum { BATCH = 400 };

static struct {
    const char *isa, *engine, *against, *qemu, *only;
    uint64_t seed, count, snippets;
    unsigned insns;
    bool no_memory, faults, fp, keep_going, verbose, coverage;
} opt = {
    .isa = "both", .engine = "interp", .against = "qemu", .qemu = "qemu-arm", .seed = 1, .count = 200000, .insns = 12};

static struct batch now;
static struct outcome *expected;
static struct outcome got, wanted;
static uint64_t *used[INSN_SETS];

/* -- Making -------------------------------------------------------------------------------------------- */

static void make(struct snippet *s, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    bool both = !strcmp(opt.isa, "both");
    struct gen_opts o = {
        .thumb = both ? rng_one_in(&r, 2) : !strcmp(opt.isa, "t32"),
        .insns = 1 + rng_below(&r, 2 * opt.insns),
        .only = opt.only,
        .no_memory = opt.no_memory,
    };
    memcpy(o.used, used, sizeof used);
    if (opt.fp)
        gen_fp_snippet(s, &r, &o);
    else
        gen_snippet(s, &r, &o);
}

/* -- Comparing ------------------------------------------------------------------------------------------- */

static bool same(const struct outcome *a, const struct outcome *b)
{
    return !memcmp(a->regs, b->regs, sizeof a->regs) && a->cpsr == b->cpsr && !memcmp(a->arena, b->arena, ARENA_BYTES);
}

static void print_difference(const struct outcome *want, const struct outcome *have)
{
    for (unsigned r = 0; r < 15; r++)
        if (want->regs[r] != have->regs[r])
            fprintf(stderr, "  r%-2u expected %08x, got %08x\n", r, want->regs[r], have->regs[r]);
    if (want->cpsr != have->cpsr)
        fprintf(stderr, "  cpsr expected %08x, got %08x (N Z C V Q bits 31..27, GE 19..16)\n", want->cpsr, have->cpsr);
    unsigned shown = 0;
    for (unsigned i = 0; i < ARENA_BYTES && shown < 16; i++) {
        if (want->arena[i] != have->arena[i]) {
            fprintf(stderr, "  [%08x] expected %02x, got %02x\n", LAYOUT_ARENA + i, want->arena[i], have->arena[i]);
            shown++;
        }
    }
}

static enum local_engine engine_of(const char *name)
{
    return !strcmp(name, "jit") ? LOCAL_JIT : LOCAL_INTERP;
}

/* Run the batch's snippet i in both. False: they differ; the outcomes are in wanted and got, why if one broke off. */
static bool agree(const struct batch *im, unsigned i, const struct outcome *reference, uint64_t split, char why[400])
{
    char wanted_why[160] = "", got_why[160] = "";
    if (reference)
        wanted = *reference;
    else
        local_run(im, i, LOCAL_INTERP, split, &wanted, wanted_why);
    local_run(im, i, engine_of(opt.engine), split, &got, got_why);
    why[0] = 0;
    if (same(&wanted, &got) && !strcmp(wanted_why, got_why))
        return true;
    snprintf(why, 400, "expected %s; got %s", wanted_why[0] ? wanted_why : "the end", got_why[0] ? got_why : "the end");
    return false;
}

/* A program with this snippet alone, at the same offset in its page. */
static bool agree_alone(const struct snippet *s, uint32_t pc, uint64_t split, char why[400])
{
    static struct batch one;
    if (!one.max)
        batch_init(&one, BATCH, 1);
    batch_clear(&one);
    memcpy(one.template, now.template, ARENA_BYTES);
    one.code_bytes += pc & 0xffc;
    batch_add(&one, s);
    local_load(&one);
    struct outcome *ref = NULL;
    if (!strcmp(opt.against, "qemu")) {
        static struct outcome from_qemu;
        struct error e = {0};
        unsigned done;
        why[0] = 0;
        if (!reference_run(&one, opt.qemu, &from_qemu, &done, &e)) {
            snprintf(why, 160, "%.150s", e.text);
            return false;
        }
        ref = &from_qemu;
    }
    return agree(&one, 0, ref, split, why);
}

/* -- Shrinking ---------------------------------------------------------------------------------------------- */

static void without_group(struct snippet *out, const struct snippet *s, uint16_t group)
{
    *out = *s;
    out->n = 0;
    for (unsigned i = 0; i < s->n; i++)
        if (s->items[i].group != group)
            out->items[out->n++] = s->items[i];
}

static void shrink(struct snippet *s, uint32_t pc, uint64_t split)
{
    static struct snippet smaller;
    char why[400];
    for (bool again = true; again && s->n > 1;) {
        again = false;
        for (unsigned i = s->n; i-- > 0 && s->n > 1;) {
            if (i >= s->n)
                continue;
            without_group(&smaller, s, s->items[i].group);
            if (smaller.n && !agree_alone(&smaller, pc, split, why)) {
                *s = smaller;
                again = true;
            }
        }
    }
}

static void print_code(const struct snippet *s, uint32_t pc)
{
    uint8_t code[MAX_CODE_BYTES + 64];
    uint32_t pcs[MAX_ITEMS + 1];
    gen_layout(s, pc & ~3u, code, pcs);
    for (unsigned i = 0; i < s->n; i++) {
        const struct item *it = &s->items[i];
        char text[128];
        unsigned len = pcs[i + 1] - pcs[i];
        const uint8_t *p = code + (pcs[i] - pcs[0]);
        arm_disasm(pcs[i], item_is_thumb(it), p, len, text, sizeof text);
        fprintf(stderr, "  %08x  ", pcs[i]);
        for (unsigned k = 0; k < 4; k += 2)
            k < len ? fprintf(stderr, "%02x%02x ", p[k + 1], p[k]) : fprintf(stderr, "     ");
        fprintf(stderr, " %-36s %s\n", text, it->row ? it->row->name : "");
    }
}

static void report(struct snippet *s, uint64_t seed, uint32_t pc)
{
    char why[400];
    fprintf(stderr, "seed %" PRIu64 " (%s, %s against %s): mismatch\n", seed, s->thumb ? "t32" : "a32", opt.engine,
            opt.against);
    if (agree_alone(s, pc, seed, why))
        fprintf(stderr, "  but not when it runs alone: the whole batch is needed\n");
    else
        shrink(s, pc, seed);
    fprintf(stderr, "shrunk to:\n");
    print_code(s, LAYOUT_CODE + (pc & 0xffc));
    fprintf(stderr, "from:\n ");
    for (unsigned r = 0; r < 15; r++)
        fprintf(stderr, " r%u=%08x%s", r, s->regs[r], r == 7 ? "\n " : "");
    fprintf(stderr, " cpsr=%08x\n", s->cpsr);
    local_verbose = true;
    agree_alone(s, pc, seed, why);
    local_verbose = false;
    if (why[0])
        fprintf(stderr, "  %s\n", why);
    print_difference(&wanted, &got);
}

/* Where we are, for a failed check of the engine's. */
static struct {
    const struct snippet *s;
    uint64_t seed;
    uint32_t pc;
} current;

static void on_failed_check(void)
{
    if (!current.s)
        return;
    fprintf(stderr, "while running seed %" PRIu64 " (%s, %s against %s):\n", current.seed,
            current.s->thumb ? "t32" : "a32", opt.engine, opt.against);
    print_code(current.s, current.pc);
    local_print_ir();
}

/* -- Batches ------------------------------------------------------------------------------------------------- */

static uint64_t generated, compared, bad;

/* Returns false to stop. */
static bool run_batch(uint64_t seed, unsigned n)
{
    static struct snippet snippets[BATCH];
    struct error e = {0};
    batch_clear(&now);
    for (unsigned i = 0; i < n; i++) {
        make(&snippets[i], seed + i);
        batch_add(&now, &snippets[i]);
        generated += snippets[i].n;
    }
    bool qemu = !strcmp(opt.against, "qemu");
    unsigned done = n;
    if (qemu && !reference_run(&now, opt.qemu, expected, &done, &e)) {
        fprintf(stderr, "%s\n", e.text);
        if (done == 0 && n > 1)
            return false;
        if (done < n) {
            fprintf(stderr, "seed %" PRIu64 ": the reference did not survive this:\n", seed + done);
            print_code(&snippets[done], now.pcs[done]);
            bad++;
        }
    }
    local_load(&now);
    for (unsigned i = 0; i < done; i++) {
        char why[400];
        compared++;
        current.s = &snippets[i];
        current.seed = seed + i;
        current.pc = now.pcs[i];
        if (agree(&now, i, qemu ? &expected[i] : NULL, seed + i, why))
            continue;
        bad++;
        report(&snippets[i], seed + i, now.pcs[i]);
        local_load(&now);
        if (!opt.keep_going)
            return false;
    }
    return done == n || opt.keep_going;
}

static void print_coverage(void)
{
    static const char *const names[] = {"a32", "a32 unconditional", "t16", "t32"};
    for (unsigned set = 0; set < INSN_SETS; set++) {
        unsigned n;
        const struct insn_row *rows = decode_rows((enum insn_set)set, &n);
        for (unsigned i = 0; i < n; i++)
            printf("%-18s %-14s %" PRIu64 "\n", names[set], rows[i].name, used[set][i]);
    }
}

static void print_exclusion(const char *name, const char *why)
{
    printf("%-14s %s\n", name, why);
}

/* -- Options --------------------------------------------------------------------------------------------------- */

static const struct option options[] = {
    {"isa", 1, NULL, 'i'},        {"engine", 1, NULL, 'e'},   {"against", 1, NULL, 'a'},   {"seed", 1, NULL, 's'},
    {"count", 1, NULL, 'c'},      {"snippets", 1, NULL, 'n'}, {"fp", 0, NULL, 'F'},        {"insns", 1, NULL, 'l'},
    {"qemu", 1, NULL, 'q'},       {"only", 1, NULL, 'o'},     {"no-memory", 0, NULL, 'm'}, {"faults", 0, NULL, 'f'},
    {"keep-going", 0, NULL, 'k'}, {"verbose", 0, NULL, 'v'},  {"coverage", 0, NULL, 'C'},  {"exclusions", 0, NULL, 'x'},
    {"help", 0, NULL, 'h'},       {NULL, 0, NULL, 0},
};

static const char usage[] = "difftest [options]: random ARM code, compared\n"
                            "  --isa=a32|t32|both      default both\n"
                            "  --engine=interp|jit     what is tested (interp)\n"
                            "  --against=qemu|interp   the reference (qemu)\n"
                            "  --count=N               instructions; 0: without end (200000)\n"
                            "  --seed=N                of the first snippet (1)\n"
                            "  --snippets=N            instead of --count\n"
                            "  --insns=N               mean length of a snippet (12)\n"
                            "  --only=PREFIX           rows of the decode tables whose name begins so\n"
                            "  --no-memory             no loads and stores\n"
                            "  --fp                    VFP and Advanced SIMD\n"
                            "  --faults                make accesses fault now and then; only against interp\n"
                            "  --keep-going            report every mismatch\n"
                            "  --verbose               print each snippet, its IR and host code\n"
                            "  --coverage              how often each row was generated\n"
                            "  --exclusions            rows that are left out, and why\n"
                            "  --qemu=PROGRAM          (qemu-arm)\n";

static bool one_of(const char *what, const char *value, const char *a, const char *b, const char *c)
{
    if (!strcmp(value, a) || !strcmp(value, b) || (c && !strcmp(value, c)))
        return true;
    fprintf(stderr, "difftest: --%s=%s: choose %s%s%s or %s\n", what, value, a, c ? ", " : "", c ? c : "", b);
    return false;
}

int main(int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (c) {
        case 'i': opt.isa = optarg; break;
        case 'e': opt.engine = optarg; break;
        case 'a': opt.against = optarg; break;
        case 's': opt.seed = strtoull(optarg, NULL, 0); break;
        case 'c': opt.count = strtoull(optarg, NULL, 0); break;
        case 'n': opt.snippets = strtoull(optarg, NULL, 0); break;
        case 'l': opt.insns = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'q': opt.qemu = optarg; break;
        case 'o': opt.only = optarg; break;
        case 'm': opt.no_memory = true; break;
        case 'f': opt.faults = true; break;
        case 'F': opt.fp = true; break;
        case 'k': opt.keep_going = true; break;
        case 'v': opt.verbose = true; break;
        case 'C': opt.coverage = true; break;
        case 'x': gen_exclusions(print_exclusion); return 0;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (!one_of("isa", opt.isa, "a32", "both", "t32") || !one_of("engine", opt.engine, "interp", "jit", NULL) ||
        !one_of("against", opt.against, "qemu", "interp", NULL))
        return 2;
    if (opt.insns < 1 || opt.insns > MAX_ITEMS / 4) {
        fprintf(stderr, "difftest: --insns must be 1 to %d\n", MAX_ITEMS / 4);
        return 2;
    }

    if (opt.faults && strcmp(opt.against, "interp")) {
        fprintf(stderr, "difftest: --faults needs --against=interp: the reference has no page tables\n");
        return 2;
    }

    struct error e = {0};
    if (!local_init(engine_of(opt.engine) == LOCAL_JIT, opt.faults, &e)) {
        fprintf(stderr, "difftest: %s\n", e.text);
        return 1;
    }
    for (unsigned set = 0; set < INSN_SETS; set++) {
        unsigned n;
        decode_rows((enum insn_set)set, &n);
        used[set] = calloc(n, sizeof *used[set]);
    }
    batch_init(&now, BATCH, 1);
    expected = calloc(BATCH, sizeof *expected);
    CHECK(expected, "out of memory");
    printf("seed %" PRIu64 ", %s, %s against %s\n", opt.seed, opt.isa, opt.engine, opt.against);
    fflush(stdout);

    local_verbose = opt.verbose;
    check_failed_hook = on_failed_check;
    uint64_t seed = opt.seed, left = opt.snippets ? opt.snippets : UINT64_MAX;
    while (left && (opt.snippets || !opt.count || generated < opt.count)) {
        unsigned n = left < BATCH ? (unsigned)left : BATCH;
        if (opt.verbose)
            n = 1;
        if (!run_batch(seed, n))
            break;
        seed += n;
        left -= n;
    }
    if (opt.coverage)
        print_coverage();
    printf("%" PRIu64 " instructions in %" PRIu64 " snippets, seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64
           " mismatches\n",
           generated, compared, opt.seed, seed - 1, bad);
    return bad || e.exit_code ? 1 : 0;
}
