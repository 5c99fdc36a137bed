/*
 * gen_mem.c — operands of loads and stores: inside the arena, aligned, nothing UNPREDICTABLE
 *
 * The base is a register that points into the arena, an index one that is small (gen_state.h); what write-back adds up to
 * is bounded by DRIFT_MAX.
 */
#include "engine/interp/difftest/gen_state.h"

#include "engine/arm/operands.h"

#define I(name, pattern, fn, arg) void fn(struct xlate *x, uint32_t arg_);
#include "engine/arm/a32.def"
#include "engine/arm/a32_uncond.def"
#include "engine/arm/t32_16.def"
#include "engine/arm/t32_32.def"
#undef I

/* Offset by a shifted index register, or INT64_MIN if it cannot be told. */
static int64_t index_offset(const struct gen *g, const struct insn_row *row, const struct fields *f)
{
    unsigned m = FIELD(f, 'm');
    if (m > 14 || g->role[m] != INDEX)
        return INT64_MIN;
    uint32_t x = g->s->regs[m], k = FIELD(f, 'k');
    switch (row_has(row, 'y') ? FIELD(f, 'y') : SH_LSL) {
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

static bool single_ok(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word, struct mem_shape *m)
{
    struct fields f;
    decode_fields(row, word, &f);
    uint32_t arg = row->arg;
    bool dual = row_is_dual(row), load = arg & MEMF_LOAD;
    unsigned t = FIELD(&f, 't'), t2 = dual ? (row_has(row, 'e') ? FIELD(&f, 'e') : t + 1) : 16;
    unsigned n = arg & MEMF_SP ? 13 : arg & MEMF_LITERAL ? 15 : FIELD(&f, 'n');
    bool post = arg & MEMF_POST || (row_has(row, 'p') && !FIELD(&f, 'p'));
    m->base = n;
    m->writeback = !(arg & MEMF_OFFSET) && !(arg & MEMF_LITERAL) && (post || FIELD(&f, 'w'));
    if (set == SET_T32 && row_has(row, 'p') && !FIELD(&f, 'p') && !FIELD(&f, 'w'))
        return false; /* Undefined */
    if (set != SET_T32 && post && row_has(row, 'w') && FIELD(&f, 'w'))
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

    if (dual && !row_has(row, 'e') && (t & 1))
        return false;
    if (t == 15 || t2 == 15 || (set == SET_T32 && (t == 13 || t2 == 13)))
        return false;
    if (dual && load && t == t2)
        return false;
    if (load && (!gen_may_write(g, t) || (t2 < 16 && !gen_may_write(g, t2))))
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
        if ((list & BIT(r)) && !gen_may_write(g, r))
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

void gen_note_writeback(struct gen *g, const struct mem_shape *m)
{
    if (m->base == 15 || !m->writeback || !m->offset)
        return;
    g->drift[m->base] += (uint32_t)m->offset;
    uint32_t low = (uint32_t)m->offset & -(uint32_t)m->offset;
    if (low < g->align[m->base])
        g->align[m->base] = low;
}

uint32_t gen_patch_memory(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word)
{
    unsigned below = set == SET_T16 ? 8 : 15;
    if (row_has(row, 'n') && !(set == SET_A32 && rng_one_in(g->r, 16)))
        word = row_set(row, word, 'n', gen_any_reg(g, POINTER, below) & 15);
    if (row_has(row, 'm') && row->fn != op_swp)
        word = row_set(row, word, 'm', gen_any_reg(g, INDEX, below) & 15);
    if (row_has(row, 'k') && rng_below(g->r, 4))
        word = row_set(row, word, 'k', rng_below(g->r, 4));
    if (row_has(row, 'i') && rng_below(g->r, 4)) { /* small offsets mostly, so that write-back can happen */
        uint32_t i = rng_below(g->r, 256);
        if (row_is_dual(row))
            i &= ~3u;
        word = row_set(row, word, 'i', i & (BIT(row_width(row, 'i')) - 1));
    }
    if (row_has(row, 'L') && row->fn != op_push_t16) {
        uint32_t list = row_get(row, word, 'L');
        if (rng_one_in(g->r, 2))
            list &= rng_u32(g->r);
        for (unsigned r = 0; r < 16; r++)
            if (g->role[r] || r == 15 || (set == SET_T32 && r == 13))
                list &= ~BIT(r);
        word = row_set(row, word, 'L', list & (BIT(row_width(row, 'L')) - 1));
    }
    return word;
}

static bool swp_ok(struct gen *g, const struct insn_row *row, uint32_t word, struct mem_shape *m)
{
    struct fields f;
    decode_fields(row, word, &f);
    unsigned n = FIELD(&f, 'n'), t = FIELD(&f, 't'), t2 = FIELD(&f, 'm');
    *m = (struct mem_shape){.base = n, .need_align = row->arg == MEM_32 ? 4 : 1};
    return n != 15 && g->role[n] == POINTER && gen_may_write(g, t) && t2 != 15 && n != t && n != t2;
}

bool gen_mem_ok(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word, struct mem_shape *m)
{
    bool ok = row_is_multiple(row) ? multiple_ok(g, row, set, word, m)
              : row->fn == op_swp  ? swp_ok(g, row, word, m)
                                   : single_ok(g, row, set, word, m);
    return ok && shape_fits(g, m);
}
