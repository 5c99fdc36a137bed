/*
 * gen.c — random snippets from the decode tables
 */
#include "engine/interp/difftest/gen.h"

#include <stdio.h>

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

/* -- State of one generation ----------------------------------------------------------------------------- */

enum { POINTER = 1, INDEX = 2, KEEP = 3 /* not written for now */ };
enum { DRIFT_MAX = 1000 };

struct gen {
    struct snippet *s;
    struct rng *r;
    const struct gen_opts *o;
    uint8_t role[16];
    uint32_t drift[16]; /* of pointers: at most this far from the start */
    uint32_t align[16]; /* of pointers: a power of two */
    uint16_t next_id, group;
    bool thumb; /* at present */
};

static void put_item(struct gen *g, enum insn_set set, enum item_kind kind, const struct insn_row *row, uint32_t word,
                     uint16_t target)
{
    CHECK(g->s->n < MAX_ITEMS, "snippet is too long");
    g->s->items[g->s->n++] = (struct item){
        .set = set, .kind = kind, .row = row, .word = word, .id = g->next_id++, .target = target, .group = g->group};
}

static unsigned any_reg_of(struct gen *g, unsigned role, unsigned below)
{
    unsigned found[16], n = 0;
    for (unsigned r = 0; r < below; r++)
        if (g->role[r] == role)
            found[n++] = r;
    return n ? found[rng_below(g->r, n)] : 16;
}

/* -- Fields ------------------------------------------------------------------------------------------------- */

static unsigned slot_of(char letter)
{
    return (unsigned)(letter - 'A');
}

static unsigned field_width(const struct insn_row *row, char letter)
{
    unsigned w = 0;
    for (unsigned i = 0; i < row->nruns; i++)
        if (row->runs[i].slot == slot_of(letter))
            w += row->runs[i].width;
    return w;
}

static bool has(const struct insn_row *row, char letter)
{
    return field_width(row, letter) != 0;
}

static uint32_t get_field(const struct insn_row *row, uint32_t word, char letter)
{
    struct fields f;
    decode_fields(row, word, &f);
    return FIELD(&f, letter);
}

static uint32_t set_field(const struct insn_row *row, uint32_t word, char letter, uint32_t val)
{
    unsigned left = field_width(row, letter);
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

static bool is_dual(const struct insn_row *row)
{
    return row->fn == op_dual_imm || row->fn == op_dual_reg || row->fn == op_dual_t32;
}

static bool is_multiple(const struct insn_row *row)
{
    return row->fn == op_ldm || row->fn == op_stm || row->fn == op_ldm_t16 || row->fn == op_stm_t16 ||
           row->fn == op_push_t16 || row->fn == op_pop_t16;
}

static bool touches_memory(const struct insn_row *row)
{
    return is_mem(row) || is_dual(row) || is_multiple(row) || row->fn == op_swp;
}

static bool is_dp(const struct insn_row *row)
{
    return row->fn == op_dp_reg || row->fn == op_dp_rsr || row->fn == op_dp_imm_a32 || row->fn == op_dp_imm_t32 ||
           row->fn == op_dp_imm_plain;
}

static bool free_to_write(const struct gen *g, unsigned reg)
{
    return reg < 15 && !g->role[reg];
}

/* Registers other than the PC that this encoding lets an operand be; 13 is UNPREDICTABLE nearly everywhere in T32. */
static bool operand_ok(const struct insn_row *row, enum insn_set set, char letter, unsigned reg)
{
    if (set == SET_T16) {
        if (row->fn == op_dp_reg && field_width(row, letter) == 4)
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
        if (has(row, *l) && !operand_ok(row, set, *l, FIELD(&f, *l)))
            return false;
    for (const char *l = "de"; *l; l++) {
        if (!has(row, *l))
            continue;
        unsigned d = FIELD(&f, *l);
        if (!free_to_write(g, d))
            return false;
        if (set == SET_T32 && d == 13)
            return false;
    }
    if (has(row, 'd') && has(row, 'e') && FIELD(&f, 'd') == FIELD(&f, 'e'))
        return false;
    if (row->fn == op_add_sp && !has(row, 'd') && !free_to_write(g, 13))
        return false;
    if (set == SET_T16 && row->fn == op_dp_reg && field_width(row, 'n') == 4 && FIELD(&f, 'n') < 8 &&
        FIELD(&f, 'm') < 8)
        return false; /* CMP of two low registers has another encoding */
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

/* -- Memory --------------------------------------------------------------------------------------------------------- */

struct mem_shape {
    unsigned base;
    int64_t offset; /* of the access or the write-back, whichever is further */
    bool writeback;
    uint32_t need_align; /* 1, 4, 8 */
};

/* Offset by a shifted index register, or INT64_MIN if it cannot be told. */
static int64_t index_offset(const struct gen *g, const struct insn_row *row, const struct fields *f)
{
    unsigned m = FIELD(f, 'm');
    if (m > 14 || g->role[m] != INDEX)
        return INT64_MIN;
    uint32_t x = g->s->regs[m], k = FIELD(f, 'k');
    switch (has(row, 'y') ? FIELD(f, 'y') : SH_LSL) {
    case SH_LSL: x = x << k; break;
    case SH_LSR: x = k ? x >> k : 0; break;
    case SH_ASR: x = k ? x >> k : 0; break;
    default:
        if (!k)
            return INT64_MIN;
        x = ror32(x, k);
    }
    return x > 4095 ? INT64_MIN : (int64_t)x;
}

static bool mem_ok(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word, struct mem_shape *m)
{
    struct fields f;
    decode_fields(row, word, &f);
    uint32_t arg = row->arg;
    bool dual = is_dual(row), load = arg & MEMF_LOAD;
    unsigned t = FIELD(&f, 't'), t2 = dual ? (has(row, 'e') ? FIELD(&f, 'e') : t + 1) : 16;
    unsigned n = arg & MEMF_SP ? 13 : arg & MEMF_LITERAL ? 15 : FIELD(&f, 'n');
    bool post = arg & MEMF_POST || (has(row, 'p') && !FIELD(&f, 'p'));
    m->base = n;
    m->writeback = !(arg & MEMF_OFFSET) && !(arg & MEMF_LITERAL) && (post || FIELD(&f, 'w'));
    if (set == SET_T32 && has(row, 'p') && !FIELD(&f, 'p') && !FIELD(&f, 'w'))
        return false; /* Undefined */
    if (set != SET_T32 && post && has(row, 'w') && FIELD(&f, 'w'))
        return false; /* the unprivileged forms have rows of their own */

    bool by_reg = row->fn == op_mem_reg || row->fn == op_dual_reg;
    if (by_reg) {
        m->offset = index_offset(g, row, &f);
        if (m->offset == INT64_MIN)
            return false;
    } else {
        uint32_t scale = row->fn == op_dual_t32 ? 2 : arg >> MEMF_SCALE_SHIFT & 3;
        m->offset = (int64_t)FIELD(&f, 'i') << scale;
    }
    m->need_align = dual ? 4 : 1;

    if (dual && !has(row, 'e') && (t & 1))
        return false;
    if (t == 15 || t2 == 15 || (set == SET_T32 && (t == 13 || t2 == 13)))
        return false;
    if (dual && load && t == t2)
        return false;
    if (load && (!free_to_write(g, t) || (t2 < 16 && !free_to_write(g, t2))))
        return false;
    if (dual && by_reg && (FIELD(&f, 'm') == t || FIELD(&f, 'm') == t2))
        return false;
    if (n == 15) {
        if (!load || m->writeback || by_reg)
            return false;
        return true; /* a literal: code bytes, the same for all */
    }
    if (g->role[n] != POINTER)
        return false;
    if (m->writeback && (t == n || t2 == n))
        return false;
    return true;
}

static bool multiple_ok(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word,
                        struct mem_shape *m)
{
    struct fields f;
    decode_fields(row, word, &f);
    bool push = row->fn == op_push_t16, pop = row->fn == op_pop_t16;
    bool load = row->fn == op_ldm || row->fn == op_ldm_t16 || pop;
    uint32_t list = FIELD(&f, 'L');
    if (push && FIELD(&f, 'v'))
        list |= BIT(14);
    if (pop && FIELD(&f, 'v'))
        return false; /* the PC: gen_indirect() */
    unsigned words = (unsigned)__builtin_popcount(list);
    m->base = push || pop ? 13 : FIELD(&f, 'n');
    m->need_align = 4;
    m->offset = 4 * words;
    if (set == SET_T16)
        m->writeback = push || pop || !load || !(list & BIT(m->base));
    else
        m->writeback = FIELD(&f, 'w');
    if (m->base == 15 || g->role[m->base] != POINTER || !words || (list & BIT(15)))
        return false;
    if (set == SET_T32 && (words < 2 || (list & BIT(13))))
        return false;
    if (m->writeback && (list & BIT(m->base)))
        return false;
    for (unsigned r = 0; load && r < 15; r++)
        if ((list & BIT(r)) && !free_to_write(g, r))
            return false;
    return true;
}

/* Keep the access in the arena, and remember what write-back does. */
static bool shape_fits(struct gen *g, const struct mem_shape *m)
{
    if (m->base == 15)
        return m->offset % m->need_align == 0;
    if (m->offset % m->need_align || g->align[m->base] < m->need_align)
        return false;
    if (m->writeback && g->drift[m->base] + m->offset > DRIFT_MAX)
        return false;
    return true;
}

static void note_writeback(struct gen *g, const struct mem_shape *m)
{
    if (m->base == 15 || !m->writeback || !m->offset)
        return;
    g->drift[m->base] += (uint32_t)m->offset;
    uint32_t low = (uint32_t)m->offset & -(uint32_t)m->offset;
    if (low < g->align[m->base])
        g->align[m->base] = low;
}

static uint32_t patch_memory(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word)
{
    unsigned below = set == SET_T16 ? 8 : 15;
    if (has(row, 'n') && !(set == SET_A32 && rng_one_in(g->r, 16)))
        word = set_field(row, word, 'n', any_reg_of(g, POINTER, below) & 15);
    if (has(row, 'm') && row->fn != op_swp)
        word = set_field(row, word, 'm', any_reg_of(g, INDEX, below) & 15);
    if (has(row, 'k') && rng_below(g->r, 4))
        word = set_field(row, word, 'k', rng_below(g->r, 4));
    if (has(row, 'i') && rng_below(g->r, 4)) { /* small offsets mostly, so that write-back can happen */
        uint32_t i = rng_below(g->r, 256);
        if (is_dual(row))
            i &= ~3u;
        word = set_field(row, word, 'i', i & (BIT(field_width(row, 'i')) - 1));
    }
    if (has(row, 'L') && row->fn != op_push_t16) {
        uint32_t list = get_field(row, word, 'L');
        if (rng_one_in(g->r, 2))
            list &= rng_u32(g->r);
        for (unsigned r = 0; r < 16; r++)
            if (g->role[r] || r == 15 || (set == SET_T32 && r == 13))
                list &= ~BIT(r);
        word = set_field(row, word, 'L', list & (BIT(field_width(row, 'L')) - 1));
    }
    return word;
}

static bool swp_ok(struct gen *g, const struct insn_row *row, uint32_t word, struct mem_shape *m)
{
    struct fields f;
    decode_fields(row, word, &f);
    unsigned n = FIELD(&f, 'n'), t = FIELD(&f, 't'), t2 = FIELD(&f, 'm');
    *m = (struct mem_shape){.base = n, .need_align = row->arg == MEM_32 ? 4 : 1};
    return n != 15 && g->role[n] == POINTER && free_to_write(g, t) && t2 != 15 && n != t && n != t2;
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
        if (is_excluded(row) || (g->o->no_memory && touches_memory(row)))
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
    if (set == SET_A32 && has(row, 'c'))
        word = set_field(row, word, 'c', rng_below(g->r, 5) < 3 ? 14 : rng_below(g->r, 15));
    if (set == SET_T32 && row->fn == op_unary)
        word = set_field(row, word, 'n', get_field(row, word, 'm'));

    struct mem_shape shape = {0};
    bool memory = touches_memory(row);
    if (memory) {
        word = patch_memory(g, row, set, word);
        bool ok = is_multiple(row)    ? multiple_ok(g, row, set, word, &shape)
                  : row->fn == op_swp ? swp_ok(g, row, word, &shape)
                                      : mem_ok(g, row, set, word, &shape);
        if (!ok || !shape_fits(g, &shape))
            return false;
    } else if (!plain_ok(g, row, set, word)) {
        return false;
    }
    if (decode(set, word) != row)
        return false; /* a more special row's */
    if (memory)
        note_writeback(g, &shape);
    put_item(g, set, ITEM_PLAIN, row, word, 0);
    if (g->o->used[set]) {
        unsigned n;
        g->o->used[set][row - decode_rows(set, &n)]++;
    }
    return true;
}

static void gen_plain(struct gen *g)
{
    for (;;) {
        enum insn_set set;
        const struct insn_row *row = pick_row(g, &set);
        for (unsigned tries = 0; tries < 60; tries++)
            if (try_row(g, row, set))
                return;
    }
}

/* -- Groups ------------------------------------------------------------------------------------------------------------- */

static void gen_it(struct gen *g)
{
    unsigned n = 1 + rng_below(g->r, 4);
    uint32_t cond = rng_below(g->r, 14);
    /* mask: n-1 bits "same as firstcond's bit 0 or not", then a 1 */
    uint32_t mask = (rng_below(g->r, 16) & (0xe << (4 - n)) & 0xf) | BIT(4 - n);
    put_item(g, SET_T16, ITEM_PLAIN, NULL, 0xbf00 | cond << 4 | mask, 0);
    for (unsigned i = 0; i < n; i++)
        gen_plain(g);
}

/* The id of an item to come, after the insns_here of the group that is being made. */
static uint16_t somewhere_ahead(struct gen *g, unsigned insns_here)
{
    return (uint16_t)(g->next_id + insns_here + rng_below(g->r, 4));
}

static void gen_branch(struct gen *g)
{
    uint16_t target = somewhere_ahead(g, 1);
    if (!g->thumb) {
        uint32_t cond = rng_below(g->r, 15);
        bool link = rng_one_in(g->r, 3) && !g->role[14];
        put_item(g, SET_A32, ITEM_BRANCH, NULL, cond << 28 | (link ? 0x0b000000 : 0x0a000000), target);
        return;
    }
    switch (rng_below(g->r, 6)) {
    case 0: put_item(g, SET_T16, ITEM_BRANCH, NULL, 0xd000 | rng_below(g->r, 14) << 8, target); break;
    case 1: put_item(g, SET_T16, ITEM_BRANCH, NULL, 0xe000, target); break;
    case 2:
        put_item(g, SET_T16, ITEM_BRANCH, NULL, (rng_one_in(g->r, 2) ? 0xb100 : 0xb900) | rng_below(g->r, 8), target);
        break;
    case 3: put_item(g, SET_T32, ITEM_BRANCH, NULL, 0xf0008000 | rng_below(g->r, 14) << 22, target); break;
    case 4: put_item(g, SET_T32, ITEM_BRANCH, NULL, 0xf0009000, target); break;
    default:
        if (g->role[14])
            put_item(g, SET_T32, ITEM_BRANCH, NULL, 0xf0009000, target);
        else
            put_item(g, SET_T32, ITEM_BRANCH, NULL, 0xf000d000, target);
    }
}

static void put_address(struct gen *g, unsigned d, uint16_t target)
{
    if (!g->thumb) {
        put_item(g, SET_A32, ITEM_MOVW, NULL, 0xe3000000 | d << 12, target);
        put_item(g, SET_A32, ITEM_MOVT, NULL, 0xe3400000 | d << 12, target);
    } else {
        put_item(g, SET_T32, ITEM_MOVW, NULL, 0xf2400000 | d << 8, target);
        put_item(g, SET_T32, ITEM_MOVT, NULL, 0xf2c00000 | d << 8, target);
    }
}

/* Jumps by a register or by a word in memory. */
static void gen_indirect(struct gen *g)
{
    unsigned d = any_reg_of(g, 0, g->thumb ? 8 : 13);
    unsigned p = any_reg_of(g, POINTER, g->thumb ? 8 : 13);
    if (d == 16)
        return;
    uint16_t target = somewhere_ahead(g, 4);
    put_address(g, d, target);
    unsigned kind = rng_below(g->r, 6);
    if (kind == 1 && g->role[14])
        kind = 0;
    if (kind >= 3 && (p == 16 || g->align[p] < 4))
        kind = 2;
    if (kind == 4 && (g->role[13] != POINTER || g->align[13] < 4 || g->drift[13] + 4 > DRIFT_MAX))
        kind = 3;
    if (!g->thumb) {
        uint32_t cond = (rng_one_in(g->r, 2) ? 14 : rng_below(g->r, 14)) << 28;
        switch (kind) {
        case 0: put_item(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x012fff10 | d, 0); break; /* bx */
        case 1: put_item(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x012fff30 | d, 0); break; /* blx */
        case 2: put_item(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x01a0f000 | d, 0); break; /* mov pc */
        case 3:
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xe5800000 | p << 16 | d << 12, 0); /* str */
            put_item(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x0590f000 | p << 16, 0);    /* ldr pc */
            break;
        case 4:
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xe92d0000 | BIT(d), 0); /* push */
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xe8bd8000, 0);          /* pop pc */
            break;
        default:
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xe5800004 | p << 16 | d << 12, 0);       /* str d, [p, #4] */
            put_item(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x08908000 | p << 16 | BIT(d), 0); /* ldm p, {d, pc} */
        }
        return;
    }
    switch (kind) {
    case 0: put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x4700 | d << 3, 0); break;
    case 1: put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x4780 | d << 3, 0); break;
    case 2: put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x4687 | d << 3, 0); break;
    case 3:
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x6000 | p << 3 | d, 0);
        put_item(g, SET_T32, ITEM_PLAIN, NULL, 0xf8d0f000 | p << 16, 0);
        break;
    case 4:
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 0xb400 | BIT(d), 0);
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 0xbd00, 0);
        break;
    default:
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x6040 | p << 3 | d, 0);
        put_item(g, SET_T32, ITEM_PLAIN, NULL, 0xe8908000 | p << 16 | BIT(d), 0);
    }
}

/* An IT block that ends in a branch: the only place where one may be. */
static void gen_it_branch(struct gen *g)
{
    unsigned d = any_reg_of(g, 0, 8), n = 1 + rng_below(g->r, 3);
    if (d == 16)
        return;
    put_address(g, d, (uint16_t)(g->next_id + n + 3 + rng_below(g->r, 4)));
    uint32_t mask = (rng_below(g->r, 16) & (0xe << (4 - n)) & 0xf) | BIT(4 - n);
    put_item(g, SET_T16, ITEM_PLAIN, NULL, 0xbf00 | rng_below(g->r, 14) << 4 | mask, 0);
    g->role[d] = KEEP;
    for (unsigned i = 1; i < n; i++)
        gen_plain(g);
    g->role[d] = 0;
    switch (rng_below(g->r, 4)) {
    case 0: put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x4700 | d << 3, 0); break; /* bx */
    case 1: put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x4687 | d << 3, 0); break; /* mov pc */
    case 2: put_item(g, SET_T16, ITEM_BRANCH, NULL, 0xe000, (uint16_t)(g->next_id + 1 + rng_below(g->r, 4))); break;
    default: put_item(g, SET_T32, ITEM_BRANCH, NULL, 0xf0009000, (uint16_t)(g->next_id + 1 + rng_below(g->r, 4)));
    }
}

/* A table branch with two entries: over an instruction, or not. */
static void gen_table_branch(struct gen *g)
{
    unsigned d = any_reg_of(g, 0, 8);
    if (d == 16)
        return;
    put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x2000 | d << 8 | rng_below(g->r, 2), 0); /* movs d, #0 or 1 */
    if (rng_one_in(g->r, 2)) {
        put_item(g, SET_T32, ITEM_PLAIN, NULL, 0xe8dff000 | d, 0); /* tbb */
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x0201, 0);
    } else {
        put_item(g, SET_T32, ITEM_PLAIN, NULL, 0xe8dff010 | d, 0); /* tbh */
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 2, 0);
        put_item(g, SET_T16, ITEM_PLAIN, NULL, 3, 0);
    }
    put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x3000 | d << 8 | 77, 0); /* adds d, #77 */
}

/* A call of a little function that lies before the call: b over; f: insn; bx lr; over: bl f. */
static void gen_call(struct gen *g)
{
    if (g->role[14])
        return;
    bool thumb = g->thumb;
    unsigned at = g->s->n;
    put_item(g, thumb ? SET_T16 : SET_A32, ITEM_BRANCH, NULL, thumb ? 0xe000 : 0xea000000, 0);
    uint16_t f = g->next_id;
    g->role[14] = KEEP;
    gen_plain(g);
    g->role[14] = 0;
    put_item(g, thumb ? SET_T16 : SET_A32, ITEM_PLAIN, NULL, thumb ? 0x4770 : 0xe12fff1e, 0);
    g->s->items[at].target = g->next_id;
    put_item(g, thumb ? SET_T32 : SET_A32, ITEM_BRANCH, NULL, thumb ? 0xf000d000 : 0xeb000000, f);
}

/* Load-exclusive, something, store-exclusive to the same place; sometimes the second fails for a reason. */
static void gen_exclusive(struct gen *g)
{
    unsigned p = any_reg_of(g, POINTER, 13), t, d, v;
    if (p == 16 || g->align[p] < 8)
        return;
    bool thumb = g->thumb;
    unsigned size = rng_below(g->r, 4); /* byte, half, word, double */
    do {
        t = any_reg_of(g, 0, 12) & ~(size == 3 ? 1u : 0u);
        d = any_reg_of(g, 0, 13);
        v = rng_below(g->r, 12) & ~(size == 3 ? 1u : 0u);
    } while (g->role[t] || (size == 3 && g->role[t + 1]) || d == v || d == p || (size == 3 && d == v + 1));
    static const uint32_t ldrex_a32[] = {0xe1d00f9f, 0xe1f00f9f, 0xe1900f9f, 0xe1b00f9f};
    static const uint32_t strex_a32[] = {0xe1c00f90, 0xe1e00f90, 0xe1800f90, 0xe1a00f90};
    static const uint32_t ldrex_t32[] = {0xe8d00f4f, 0xe8d00f5f, 0xe8500f00, 0xe8d0007f};
    static const uint32_t strex_t32[] = {0xe8c00f40, 0xe8c00f50, 0xe8400000, 0xe8c00070};
    enum insn_set set = thumb ? SET_T32 : SET_A32;
    if (!thumb)
        put_item(g, set, ITEM_PLAIN, NULL, ldrex_a32[size] | p << 16 | t << 12, 0);
    else
        put_item(g, set, ITEM_PLAIN, NULL, ldrex_t32[size] | p << 16 | t << 12 | (size == 3 ? (t + 1) << 8 : 0), 0);
    uint32_t drift = g->drift[p], align = g->align[p];
    if (rng_one_in(g->r, 3)) {
        unsigned n = g->s->n;
        gen_plain(g);
        if (g->drift[p] != drift || (g->s->items[n].row && touches_memory(g->s->items[n].row)))
            g->s->n = n; /* a store between is implementation defined, another address UNPREDICTABLE */
        g->drift[p] = drift;
        g->align[p] = align;
    }
    if (rng_one_in(g->r, 4))
        put_item(g, set, ITEM_PLAIN, NULL, thumb ? 0xf3bf8f2f : 0xf57ff01f, 0); /* clrex */
    if (!thumb)
        put_item(g, set, ITEM_PLAIN, NULL, strex_a32[size] | p << 16 | d << 12 | v, 0);
    else if (size == 2)
        put_item(g, set, ITEM_PLAIN, NULL, strex_t32[2] | p << 16 | v << 12 | d << 8, 0);
    else
        put_item(g, set, ITEM_PLAIN, NULL, strex_t32[size] | p << 16 | v << 12 | (size == 3 ? (v + 1) << 8 : 0) | d, 0);
}

/* To the other instruction set and back. */
static void gen_interwork(struct gen *g)
{
    unsigned x = any_reg_of(g, 0, 8), n = 1 + rng_below(g->r, 3);
    if (x == 16)
        return;
    bool link = !g->role[14] && rng_one_in(g->r, 2);
    bool was_thumb = g->thumb;
    for (unsigned pass = 0; pass < 2; pass++) {
        if (g->thumb) {
            put_item(g, SET_T16, ITEM_ALIGN, NULL, 0xbf00, 0);
            if (link) {
                put_item(g, SET_T32, ITEM_PLAIN, NULL, 0xf000e800, 0); /* blx: to what follows */
            } else {
                put_item(g, SET_T16, ITEM_PLAIN, NULL, 0x4778, 0); /* bx pc */
                put_item(g, SET_T16, ITEM_PLAIN, NULL, 0xbf00, 0);
            }
        } else if (link) {
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xfaffffff, 0); /* blx: to what follows */
        } else {
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xe28f0001 | x << 12, 0); /* add x, pc, #1 */
            put_item(g, SET_A32, ITEM_PLAIN, NULL, 0xe12fff10 | x, 0);       /* bx x */
        }
        g->thumb = !g->thumb;
        for (unsigned i = 0; pass == 0 && i < n; i++)
            gen_plain(g);
    }
    CHECK(g->thumb == was_thumb, "interworking");
}

/* Some instructions in big-endian state. */
static void gen_big_endian(struct gen *g)
{
    for (unsigned big = 1, n = 1 + rng_below(g->r, 4);; big = 0) {
        if (g->thumb)
            put_item(g, SET_T16, ITEM_PLAIN, NULL, 0xb650 | big << 3, 0);
        else
            put_item(g, SET_A32_UNCOND, ITEM_PLAIN, NULL, 0xf1010000 | big << 9, 0);
        if (!big)
            return;
        for (unsigned i = 0; i < n; i++)
            gen_plain(g);
    }
}

/* -- Snippets ------------------------------------------------------------------------------------------------------------- */

static uint32_t random_value(struct rng *r)
{
    switch (rng_below(r, 6)) {
    case 0: return rng_below(r, 3) - 1; /* -1, 0, 1 */
    case 1: return rng_below(r, 64);
    case 2: return BIT(rng_below(r, 32));
    case 3: return 0x7fffffff + rng_below(r, 3);
    case 4: return rng_u32(r) & 0x80ff80ff;
    default: return rng_u32(r);
    }
}

static void make_pointer(struct gen *g, unsigned reg)
{
    g->role[reg] = POINTER;
    g->drift[reg] = 0;
    g->align[reg] = 8;
    g->s->regs[reg] = LAYOUT_ARENA + 4096 + 1032 + (rng_below(g->r, 4096 - 2048 - 256) & ~7u);
}

void gen_snippet(struct snippet *s, struct rng *r, const struct gen_opts *o)
{
    struct gen g = {.s = s, .r = r, .o = o, .thumb = o->thumb};
    memset(s, 0, sizeof *s);
    s->thumb = o->thumb;
    for (unsigned i = 0; i < 15; i++)
        s->regs[i] = random_value(r);
    s->cpsr = rng_u32(r) & 0xf80f0000;

    make_pointer(&g, rng_below(r, 8));
    make_pointer(&g, rng_below(r, 13));
    if (rng_one_in(r, 2))
        make_pointer(&g, 13);
    unsigned x;
    do
        x = rng_below(r, 8);
    while (g.role[x]);
    g.role[x] = INDEX;
    s->regs[x] = rng_below(r, 256) & ~(rng_one_in(r, 2) ? 7u : 0u);

    while (s->n < o->insns) {
        g.group++;
        unsigned kind = o->only ? 99 : rng_below(r, 40);
        if (kind < 3 && s->thumb)
            gen_it(&g);
        else if (kind == 3 && s->thumb)
            rng_one_in(r, 2) ? gen_it_branch(&g) : gen_table_branch(&g);
        else if (kind == 4 || kind == 5)
            gen_branch(&g);
        else if (kind == 6)
            gen_indirect(&g);
        else if (kind == 7)
            gen_call(&g);
        else if (kind == 8 && !o->no_memory)
            gen_exclusive(&g);
        else if (kind == 9)
            gen_interwork(&g);
        else if (kind == 10 && !o->no_memory)
            gen_big_endian(&g);
        else
            gen_plain(&g);
    }
}

/* -- Layout --------------------------------------------------------------------------------------------------------------- */

static uint32_t with_offset(const struct item *it, int32_t off)
{
    uint32_t w = it->word, u = (uint32_t)off;
    if (it->set == SET_A32)
        return w | (u >> 2 & 0xffffff);
    if (it->set == SET_T16) {
        if ((w & 0xf800) == 0xe000)
            return w | (u >> 1 & 0x7ff);
        if ((w & 0xf000) == 0xd000)
            return w | (u >> 1 & 0xff);
        if (off < 0)
            return 0xbf00; /* cbz to the next instruction cannot be said: nop */
        return w | (u >> 6 & 1) << 9 | (u >> 1 & 0x1f) << 3;
    }
    uint32_t s = u >> 31;
    if ((w & 0xd000) == 0x8000) /* b<c> */
        return w | s << 26 | (u >> 12 & 0x3f) << 16 | (u >> 18 & 1) << 13 | (u >> 19 & 1) << 11 | (u >> 1 & 0x7ff);
    uint32_t j1 = (~(u >> 23) ^ s) & 1, j2 = (~(u >> 22) ^ s) & 1;
    return w | s << 26 | (u >> 12 & 0x3ff) << 16 | j1 << 13 | j2 << 11 | (u >> 1 & 0x7ff);
}

static uint32_t with_imm16(const struct item *it, uint32_t imm)
{
    if (it->set == SET_A32)
        return it->word | (imm >> 12) << 16 | (imm & 0xfff);
    return it->word | (imm >> 12) << 16 | (imm >> 11 & 1) << 26 | (imm >> 8 & 7) << 12 | (imm & 0xff);
}

static void put16(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static void put32(uint8_t *p, uint32_t x)
{
    put16(p, x);
    put16(p + 2, x >> 16);
}

/* The item that a branch goes to, or s->n for the end. From another group that is never the middle of one. */
static unsigned find_target(const struct snippet *s, const struct item *it)
{
    unsigned k = 0;
    while (k < s->n && s->items[k].id < it->target)
        k++;
    if (k < s->n && s->items[k].group == it->group)
        return k;
    while (k > 0 && k < s->n && s->items[k].group == s->items[k - 1].group)
        k++;
    return k;
}

static unsigned item_bytes(const struct item *it, uint32_t at)
{
    if (it->kind == ITEM_ALIGN)
        return at & 2;
    return it->set == SET_T16 ? 2 : 4;
}

unsigned gen_layout(const struct snippet *s, uint32_t pc, uint8_t *out, uint32_t *pcs)
{
    uint32_t at[MAX_ITEMS + 1];
    at[0] = pc;
    for (unsigned i = 0; i < s->n; i++)
        at[i + 1] = at[i] + item_bytes(&s->items[i], at[i]);
    if (pcs)
        memcpy(pcs, at, sizeof at);

    for (unsigned i = 0; i < s->n; i++) {
        const struct item *it = &s->items[i];
        uint32_t word = it->word;
        uint8_t *p = out + (at[i] - pc);
        if (at[i] == at[i + 1])
            continue;
        if (it->kind != ITEM_PLAIN && it->kind != ITEM_ALIGN) {
            uint32_t target = at[find_target(s, it)];
            if (it->kind == ITEM_BRANCH)
                word = with_offset(it, (int32_t)(target - at[i] - (item_is_thumb(it) ? 4 : 8)));
            else
                word = with_imm16(it, it->kind == ITEM_MOVW ? ((target | s->thumb) & 0xffff) : target >> 16);
        }
        if (it->set == SET_T16) {
            put16(p, word);
        } else if (it->set == SET_T32) {
            put16(p, word >> 16);
            put16(p + 2, word);
        } else {
            put32(p, word);
        }
    }
    uint32_t end = at[s->n];
    if (s->thumb) {
        if (end & 2) {
            put16(out + (end - pc), 0xbf00); /* nop */
            end += 2;
        }
        put16(out + (end - pc), 0x4778); /* bx pc: to A32, 4 bytes on */
        put16(out + (end - pc) + 2, 0xbf00);
        end += 4;
    }
    put32(out + (end - pc), 0xea000000 | ((LAYOUT_DONE - end - 8) >> 2 & 0xffffff));
    return end + 4 - pc;
}
