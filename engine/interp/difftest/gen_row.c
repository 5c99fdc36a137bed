/*
 * gen_row.c — one random instruction from the decode tables
 */
#include "engine/interp/difftest/gen_state.h"

#include "engine/arm/operands.h"

#define I(name, pattern, fn, arg) void fn(struct xlate *x, uint32_t arg_);
#include "engine/arm/a32.def"
#include "engine/arm/a32_uncond.def"
#include "engine/arm/t32_16.def"
#include "engine/arm/t32_32.def"
#undef I

/* -- What is left out ------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *why; /* name: of a row; a trailing * stands for any ending */
} excluded[] = {
    {"svc", "leaves the program: tested by the guests"},
    {"hvc", "Undefined in User mode here, a hypercall elsewhere"},
    {"smc", "Undefined in User mode"},
    {"udf", "Undefined exception: tested by the guests"},
    {"bkpt", "debug exception: tested by the guests"},
    {"v*", "VFP and Advanced SIMD: made by gen_fp_snippet()"},
    {"eret", "privileged"},
    {"cps", "no effect in User mode; the privileged one is tested by the guests"},
    {"srs*", "privileged"},
    {"rfe*", "privileged"},
    {"mrs_banked", "privileged"},
    {"msr_banked", "privileged"},
    {"subs_pc_lr", "privileged"},
    {"ldm_user", "privileged"},
    {"stm_user", "privileged"},
    {"ldm_exc", "privileged"},
    {"mcr*", "system registers: tested by the guests"},
    {"mrc", "system registers: tested by the guests"},
    {"mrrc", "system registers: tested by the guests"},
    {"wfi", "waits; may be a NOP or not in a user process"},
    {"wfe", "waits; may be a NOP or not in a user process"},
    {"sev", "wakes others; nothing to compare"},
    {"setend", "made with what runs big-endian by gen_big_endian()"},
    {"tbb", "made with its table by gen_table_branch()"},
    {"tbh", "made with its table by gen_table_branch()"},
    {"blx_imm", "made by gen_interwork()"},
    {"bxj", "UNPREDICTABLE use apart from that as BX"},
    {"bx", "made with its target by gen_indirect()"},
    {"blx_reg", "made with its target by gen_indirect()"},
    {"b", "made with its target by gen_branch()"},
    {"b_cond", "made with its target by gen_branch()"},
    {"bl", "made with its target by gen_branch()"},
    {"cbz", "made with its target by gen_branch()"},
    {"cbnz", "made with its target by gen_branch()"},
    {"it", "made with its instructions by gen_it()"},
    {"ldrex*", "made with their store by gen_exclusive()"},
    {"strex*", "made with their load by gen_exclusive()"},
    {"pldw*", "a multiprocessing hint that the reference decodes by feature: nothing to compare"},
    {"memhint*", "unallocated hints: nothing to compare"},
};

static bool name_is(const char *name, const char *pattern)
{
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*')
        return !strncmp(name, pattern, n - 1);
    return !strcmp(name, pattern);
}

static bool is_excluded(const struct insn_row *row)
{
    for (unsigned i = 0; i < ARRAY_SIZE(excluded); i++)
        if (name_is(row->name, excluded[i].name))
            return true;
    return false;
}

void gen_exclusions(void (*fn)(const char *name, const char *why))
{
    for (unsigned i = 0; i < ARRAY_SIZE(excluded); i++)
        fn(excluded[i].name, excluded[i].why);
}

/* -- Fields ------------------------------------------------------------------------------------------------- */

static unsigned slot_of(char letter)
{
    return (unsigned)(letter - 'A');
}

unsigned row_width(const struct insn_row *row, char letter)
{
    unsigned w = 0;
    for (unsigned i = 0; i < row->nruns; i++)
        if (row->runs[i].slot == slot_of(letter))
            w += row->runs[i].width;
    return w;
}

bool row_has(const struct insn_row *row, char letter)
{
    return row_width(row, letter) != 0;
}

uint32_t row_get(const struct insn_row *row, uint32_t word, char letter)
{
    struct fields f;
    decode_fields(row, word, &f);
    return FIELD(&f, letter);
}

uint32_t row_set(const struct insn_row *row, uint32_t word, char letter, uint32_t val)
{
    unsigned left = row_width(row, letter);
    for (unsigned i = 0; i < row->nruns; i++) {
        const struct field_run *run = &row->runs[i];
        if (run->slot != slot_of(letter))
            continue;
        left -= run->width;
        uint32_t mask = (BIT(run->width) - 1) << run->shift;
        word = (word & ~mask) | ((val >> left) << run->shift & mask);
    }
    return word;
}

/* -- Classes of instructions ---------------------------------------------------------------------------------- */

static bool is_mem(const struct insn_row *row)
{
    return row->fn == op_mem_imm || row->fn == op_mem_reg;
}

bool row_is_dual(const struct insn_row *row)
{
    return row->fn == op_dual_imm || row->fn == op_dual_reg || row->fn == op_dual_t32;
}

bool row_is_multiple(const struct insn_row *row)
{
    return row->fn == op_ldm || row->fn == op_stm || row->fn == op_ldm_t16 || row->fn == op_stm_t16 ||
           row->fn == op_push_t16 || row->fn == op_pop_t16;
}

bool row_touches_memory(const struct insn_row *row)
{
    return is_mem(row) || row_is_dual(row) || row_is_multiple(row) || row->fn == op_swp;
}

static bool is_dp(const struct insn_row *row)
{
    return row->fn == op_dp_reg || row->fn == op_dp_rsr || row->fn == op_dp_imm_a32 || row->fn == op_dp_imm_t32 ||
           row->fn == op_dp_imm_plain;
}

/* Registers other than the PC that this encoding lets an operand be; 13 is UNPREDICTABLE nearly everywhere in T32. */
static bool operand_ok(const struct insn_row *row, enum insn_set set, char letter, unsigned reg)
{
    if (set == SET_T16) {
        if (row->fn == op_dp_reg && row_width(row, letter) == 4)
            return reg != 15 || (letter == 'm' && (row->arg & DP_OP) != DP_CMP);
        return true;
    }
    if (set == SET_T32) {
        unsigned op = row->arg & DP_OP;
        if (reg == 13 && letter == 'n' && is_dp(row) && row->fn != op_dp_rsr &&
            (op == DP_ADD || op == DP_SUB || op == DP_CMP || op == DP_CMN))
            return true;
        return reg != 13 && reg != 15;
    }
    if (reg != 15)
        return true;
    return (row->fn == op_dp_reg || row->fn == op_dp_imm_a32) && (letter == 'n' || letter == 'm');
}

/* -- Plain register operations ---------------------------------------------------------------------------------- */

static bool plain_ok(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word)
{
    struct fields f;
    decode_fields(row, word, &f);
    for (const char *l = "nmaS"; *l; l++)
        if (row_has(row, *l) && !operand_ok(row, set, *l, FIELD(&f, *l)))
            return false;
    for (const char *l = "de"; *l; l++) {
        if (!row_has(row, *l))
            continue;
        unsigned d = FIELD(&f, *l);
        if (!gen_may_write(g, d))
            return false;
        if (set == SET_T32 && d == 13)
            return false;
    }
    if (row_has(row, 'd') && row_has(row, 'e') && FIELD(&f, 'd') == FIELD(&f, 'e'))
        return false;
    if (row->fn == op_add_sp && !row_has(row, 'd') && !gen_may_write(g, 13))
        return false;
    if (set == SET_T16 && row->fn == op_dp_reg && row_width(row, 'n') == 4 && FIELD(&f, 'n') < 8 && FIELD(&f, 'm') < 8)
        return false; /* CMP of two low registers row_has another encoding */
    if (row->fn == op_bfx && FIELD(&f, 'j') + FIELD(&f, 'b') > 31)
        return false;
    if ((row->fn == op_bfi || row->fn == op_bfc) && FIELD(&f, 'b') < FIELD(&f, 'j'))
        return false;
    if (row->fn == op_msr_reg || row->fn == op_msr_imm) {
        if (FIELD(&f, 'r') || !FIELD(&f, 'f') || (FIELD(&f, 'f') & 3))
            return false; /* SPSR; control and extension fields */
    }
    if (row->fn == op_mrs && FIELD(&f, 'r'))
        return false;
    if (set == SET_T32 && row->fn == op_unary && FIELD(&f, 'n') != FIELD(&f, 'm'))
        return false;
    /* T32: SSAT, USAT with ASR #0 are SSAT16, USAT16, where bit 4 of the width has to be 0. */
    if (set == SET_T32 && row->fn == op_sat && FIELD(&f, 'y') && !FIELD(&f, 'k'))
        return false;
    /* T32: a modified immediate that repeats a byte of 0 is UNPREDICTABLE. */
    if (row->fn == op_dp_imm_t32) {
        uint32_t i = FIELD(&f, 'i');
        if ((i >> 8) >= 1 && (i >> 8) <= 3 && !(i & 0xff))
            return false;
    }
    /* T32 wants SP + shifted register only with LSL 0..3, and only SP as destination there. */
    if (set == SET_T32 && row->fn == op_dp_reg && FIELD(&f, 'n') == 13)
        return false;
    return true;
}

/* -- One instruction from the tables ------------------------------------------------------------------------------- */

static enum insn_set pick_set(struct gen *g)
{
    if (g->thumb)
        return rng_one_in(g->r, 2) ? SET_T16 : SET_T32;
    return rng_one_in(g->r, 40) ? SET_A32_UNCOND : SET_A32;
}

static const struct insn_row *pick_row(struct gen *g, enum insn_set *set)
{
    for (unsigned tries = 0; tries < 100000; tries++) {
        unsigned n;
        *set = pick_set(g);
        const struct insn_row *rows = decode_rows(*set, &n);
        const struct insn_row *row = &rows[rng_below(g->r, n)];
        if (is_excluded(row) || (g->o->no_memory && row_touches_memory(row)))
            continue;
        if (g->o->only && strncmp(row->name, g->o->only, strlen(g->o->only)))
            continue;
        return row;
    }
    CHECK(false, "no row to generate from (--only=%s)", g->o->only ? g->o->only : "");
}

static bool try_row(struct gen *g, const struct insn_row *row, enum insn_set set)
{
    uint32_t full = set == SET_T16 ? 0xffff : UINT32_MAX;
    uint32_t word = (rng_u32(g->r) & ~row->mask & full) | row->value;
    for (const char *p = row->pattern, *end = p + strlen(p); *p; p++)
        if (*p == '-') /* spare bits of hints */
            word &= ~BIT((unsigned)(end - p - 1));
    if (set == SET_A32 && row_has(row, 'c'))
        word = row_set(row, word, 'c', rng_below(g->r, 5) < 3 ? 14 : rng_below(g->r, 15));
    if (set == SET_T32 && row->fn == op_unary)
        word = row_set(row, word, 'n', row_get(row, word, 'm'));

    struct mem_shape shape = {0};
    bool memory = row_touches_memory(row);
    if (memory) {
        word = gen_patch_memory(g, row, set, word);
        if (!gen_mem_ok(g, row, set, word, &shape))
            return false;
    } else if (!plain_ok(g, row, set, word)) {
        return false;
    }
    if (decode(set, word) != row)
        return false; /* a more special row's */
    if (memory)
        gen_note_writeback(g, &shape);
    gen_put(g, set, ITEM_PLAIN, row, word, 0);
    if (g->o->used[set]) {
        unsigned n;
        g->o->used[set][row - decode_rows(set, &n)]++;
    }
    return true;
}

void gen_plain(struct gen *g)
{
    for (;;) {
        enum insn_set set;
        const struct insn_row *row = pick_row(g, &set);
        for (unsigned tries = 0; tries < 60; tries++)
            if (try_row(g, row, set))
                return;
    }
}
