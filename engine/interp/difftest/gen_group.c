/*
 * gen_group.c — instructions that belong together: IT blocks, branches with their targets, calls, exclusives, changes of state
 */
#include "engine/interp/difftest/gen_state.h"

void gen_it(struct gen *g)
{
    unsigned n = 1 + rng_below(g->r, 4);
    uint32_t cond = rng_below(g->r, 14);
    /* mask: n-1 bits "same as firstcond's bit 0 or not", then a 1 */
    uint32_t mask = (rng_below(g->r, 16) & (0xe << (4 - n)) & 0xf) | BIT(4 - n);
    gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0xbf00 | cond << 4 | mask, 0);
    for (unsigned i = 0; i < n; i++)
        gen_plain(g);
}

/* The id of an item to come, after the insns_here of the group that is being made. */
static uint16_t somewhere_ahead(struct gen *g, unsigned insns_here)
{
    return (uint16_t)(g->next_id + insns_here + rng_below(g->r, 4));
}

void gen_branch(struct gen *g)
{
    uint16_t target = somewhere_ahead(g, 1);
    if (!g->thumb) {
        uint32_t cond = rng_below(g->r, 15);
        bool link = rng_one_in(g->r, 3) && !g->role[14];
        gen_put(g, SET_A32, ITEM_BRANCH, NULL, cond << 28 | (link ? 0x0b000000 : 0x0a000000), target);
        return;
    }
    switch (rng_below(g->r, 6)) {
    case 0: gen_put(g, SET_T16, ITEM_BRANCH, NULL, 0xd000 | rng_below(g->r, 14) << 8, target); break;
    case 1: gen_put(g, SET_T16, ITEM_BRANCH, NULL, 0xe000, target); break;
    case 2:
        gen_put(g, SET_T16, ITEM_BRANCH, NULL, (rng_one_in(g->r, 2) ? 0xb100 : 0xb900) | rng_below(g->r, 8), target);
        break;
    case 3: gen_put(g, SET_T32, ITEM_BRANCH, NULL, 0xf0008000 | rng_below(g->r, 14) << 22, target); break;
    case 4: gen_put(g, SET_T32, ITEM_BRANCH, NULL, 0xf0009000, target); break;
    default:
        if (g->role[14])
            gen_put(g, SET_T32, ITEM_BRANCH, NULL, 0xf0009000, target);
        else
            gen_put(g, SET_T32, ITEM_BRANCH, NULL, 0xf000d000, target);
    }
}

static void put_address(struct gen *g, unsigned d, uint16_t target)
{
    if (!g->thumb) {
        gen_put(g, SET_A32, ITEM_MOVW, NULL, 0xe3000000 | d << 12, target);
        gen_put(g, SET_A32, ITEM_MOVT, NULL, 0xe3400000 | d << 12, target);
    } else {
        gen_put(g, SET_T32, ITEM_MOVW, NULL, 0xf2400000 | d << 8, target);
        gen_put(g, SET_T32, ITEM_MOVT, NULL, 0xf2c00000 | d << 8, target);
    }
}

/* Jumps by a register or by a word in memory. */
void gen_indirect(struct gen *g)
{
    unsigned d = gen_any_reg(g, 0, g->thumb ? 8 : 13);
    unsigned p = gen_any_reg(g, POINTER, g->thumb ? 8 : 13);
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
        case 0: gen_put(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x012fff10 | d, 0); break; /* bx */
        case 1: gen_put(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x012fff30 | d, 0); break; /* blx */
        case 2: gen_put(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x01a0f000 | d, 0); break; /* mov pc */
        case 3:
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xe5800000 | p << 16 | d << 12, 0); /* str */
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x0590f000 | p << 16, 0);    /* ldr pc */
            break;
        case 4:
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xe92d0000 | BIT(d), 0); /* push */
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xe8bd8000, 0);          /* pop pc */
            break;
        default:
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xe5800004 | p << 16 | d << 12, 0);       /* str d, [p, #4] */
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, cond | 0x08908000 | p << 16 | BIT(d), 0); /* ldm p, {d, pc} */
        }
        return;
    }
    switch (kind) {
    case 0: gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x4700 | d << 3, 0); break;
    case 1: gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x4780 | d << 3, 0); break;
    case 2: gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x4687 | d << 3, 0); break;
    case 3:
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x6000 | p << 3 | d, 0);
        gen_put(g, SET_T32, ITEM_PLAIN, NULL, 0xf8d0f000 | p << 16, 0);
        break;
    case 4:
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0xb400 | BIT(d), 0);
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0xbd00, 0);
        break;
    default:
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x6040 | p << 3 | d, 0);
        gen_put(g, SET_T32, ITEM_PLAIN, NULL, 0xe8908000 | p << 16 | BIT(d), 0);
    }
}

/* An IT block that ends in a branch: the only place where one may be. */
void gen_it_branch(struct gen *g)
{
    unsigned d = gen_any_reg(g, 0, 8), n = 1 + rng_below(g->r, 3);
    if (d == 16)
        return;
    put_address(g, d, (uint16_t)(g->next_id + n + 3 + rng_below(g->r, 4)));
    uint32_t mask = (rng_below(g->r, 16) & (0xe << (4 - n)) & 0xf) | BIT(4 - n);
    gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0xbf00 | rng_below(g->r, 14) << 4 | mask, 0);
    g->role[d] = KEEP;
    for (unsigned i = 1; i < n; i++)
        gen_plain(g);
    g->role[d] = 0;
    switch (rng_below(g->r, 4)) {
    case 0: gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x4700 | d << 3, 0); break; /* bx */
    case 1: gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x4687 | d << 3, 0); break; /* mov pc */
    case 2: gen_put(g, SET_T16, ITEM_BRANCH, NULL, 0xe000, (uint16_t)(g->next_id + 1 + rng_below(g->r, 4))); break;
    default: gen_put(g, SET_T32, ITEM_BRANCH, NULL, 0xf0009000, (uint16_t)(g->next_id + 1 + rng_below(g->r, 4)));
    }
}

/* A table branch with two entries: over an instruction, or not. */
void gen_table_branch(struct gen *g)
{
    unsigned d = gen_any_reg(g, 0, 8);
    if (d == 16)
        return;
    gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x2000 | d << 8 | rng_below(g->r, 2), 0); /* movs d, #0 or 1 */
    if (rng_one_in(g->r, 2)) {
        gen_put(g, SET_T32, ITEM_PLAIN, NULL, 0xe8dff000 | d, 0); /* tbb */
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x0201, 0);
    } else {
        gen_put(g, SET_T32, ITEM_PLAIN, NULL, 0xe8dff010 | d, 0); /* tbh */
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 2, 0);
        gen_put(g, SET_T16, ITEM_PLAIN, NULL, 3, 0);
    }
    gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x3000 | d << 8 | 77, 0); /* adds d, #77 */
}

/* A call of a little function that lies before the call: b over; f: insn; bx lr; over: bl f. */
void gen_call(struct gen *g)
{
    if (g->role[14])
        return;
    bool thumb = g->thumb;
    unsigned at = g->s->n;
    gen_put(g, thumb ? SET_T16 : SET_A32, ITEM_BRANCH, NULL, thumb ? 0xe000 : 0xea000000, 0);
    uint16_t f = g->next_id;
    g->role[14] = KEEP;
    gen_plain(g);
    g->role[14] = 0;
    gen_put(g, thumb ? SET_T16 : SET_A32, ITEM_PLAIN, NULL, thumb ? 0x4770 : 0xe12fff1e, 0);
    g->s->items[at].target = g->next_id;
    gen_put(g, thumb ? SET_T32 : SET_A32, ITEM_BRANCH, NULL, thumb ? 0xf000d000 : 0xeb000000, f);
}

/* Load-exclusive, something, store-exclusive to the same place; sometimes the second fails for a reason. */
void gen_exclusive(struct gen *g)
{
    unsigned p = gen_any_reg(g, POINTER, 13), t, d, v;
    if (p == 16 || g->align[p] < 8)
        return;
    bool thumb = g->thumb;
    unsigned size = rng_below(g->r, 4); /* byte, half, word, double */
    do {
        t = gen_any_reg(g, 0, 12) & ~(size == 3 ? 1u : 0u);
        d = gen_any_reg(g, 0, 13);
        v = rng_below(g->r, 12) & ~(size == 3 ? 1u : 0u);
    } while (g->role[t] || (size == 3 && g->role[t + 1]) || d == v || d == p || (size == 3 && d == v + 1));
    static const uint32_t ldrex_a32[] = {0xe1d00f9f, 0xe1f00f9f, 0xe1900f9f, 0xe1b00f9f};
    static const uint32_t strex_a32[] = {0xe1c00f90, 0xe1e00f90, 0xe1800f90, 0xe1a00f90};
    static const uint32_t ldrex_t32[] = {0xe8d00f4f, 0xe8d00f5f, 0xe8500f00, 0xe8d0007f};
    static const uint32_t strex_t32[] = {0xe8c00f40, 0xe8c00f50, 0xe8400000, 0xe8c00070};
    enum insn_set set = thumb ? SET_T32 : SET_A32;
    if (!thumb)
        gen_put(g, set, ITEM_PLAIN, NULL, ldrex_a32[size] | p << 16 | t << 12, 0);
    else
        gen_put(g, set, ITEM_PLAIN, NULL, ldrex_t32[size] | p << 16 | t << 12 | (size == 3 ? (t + 1) << 8 : 0), 0);
    uint32_t drift = g->drift[p], align = g->align[p];
    if (rng_one_in(g->r, 3)) {
        unsigned n = g->s->n;
        gen_plain(g);
        if (g->drift[p] != drift || (g->s->items[n].row && row_touches_memory(g->s->items[n].row)))
            g->s->n = n; /* a store between is implementation defined, another address UNPREDICTABLE */
        g->drift[p] = drift;
        g->align[p] = align;
    }
    if (rng_one_in(g->r, 4))
        gen_put(g, set, ITEM_PLAIN, NULL, thumb ? 0xf3bf8f2f : 0xf57ff01f, 0); /* clrex */
    if (!thumb)
        gen_put(g, set, ITEM_PLAIN, NULL, strex_a32[size] | p << 16 | d << 12 | v, 0);
    else if (size == 2)
        gen_put(g, set, ITEM_PLAIN, NULL, strex_t32[2] | p << 16 | v << 12 | d << 8, 0);
    else
        gen_put(g, set, ITEM_PLAIN, NULL, strex_t32[size] | p << 16 | v << 12 | (size == 3 ? (v + 1) << 8 : 0) | d, 0);
}

/* To the other instruction set and back. */
void gen_interwork(struct gen *g)
{
    unsigned x = gen_any_reg(g, 0, 8), n = 1 + rng_below(g->r, 3);
    if (x == 16)
        return;
    bool link = !g->role[14] && rng_one_in(g->r, 2);
    bool was_thumb = g->thumb;
    for (unsigned pass = 0; pass < 2; pass++) {
        if (g->thumb) {
            gen_put(g, SET_T16, ITEM_ALIGN, NULL, 0xbf00, 0);
            if (link) {
                gen_put(g, SET_T32, ITEM_PLAIN, NULL, 0xf000e800, 0); /* blx: to what follows */
            } else {
                gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0x4778, 0); /* bx pc */
                gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0xbf00, 0);
            }
        } else if (link) {
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xfaffffff, 0); /* blx: to what follows */
        } else {
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xe28f0001 | x << 12, 0); /* add x, pc, #1 */
            gen_put(g, SET_A32, ITEM_PLAIN, NULL, 0xe12fff10 | x, 0);       /* bx x */
        }
        g->thumb = !g->thumb;
        for (unsigned i = 0; pass == 0 && i < n; i++)
            gen_plain(g);
    }
    CHECK(g->thumb == was_thumb, "interworking");
}

/* Some instructions in big-endian state. */
void gen_big_endian(struct gen *g)
{
    for (unsigned big = 1, n = 1 + rng_below(g->r, 4);; big = 0) {
        if (g->thumb)
            gen_put(g, SET_T16, ITEM_PLAIN, NULL, 0xb650 | big << 3, 0);
        else
            gen_put(g, SET_A32_UNCOND, ITEM_PLAIN, NULL, 0xf1010000 | big << 9, 0);
        if (!big)
            return;
        for (unsigned i = 0; i < n; i++)
            gen_plain(g);
    }
}
