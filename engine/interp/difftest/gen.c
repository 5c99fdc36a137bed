/*
 * gen.c — random snippets of A32 and T32 code: the state they start from, and what they are made of
 */
#include "engine/interp/difftest/gen_state.h"

void gen_put(struct gen *g, enum insn_set set, enum item_kind kind, const struct insn_row *row, uint32_t word,
             uint16_t target)
{
    CHECK(g->s->n < MAX_ITEMS, "snippet is too long");
    g->s->items[g->s->n++] = (struct item){
        .set = set, .kind = kind, .row = row, .word = word, .id = g->next_id++, .target = target, .group = g->group};
}

unsigned gen_any_reg(struct gen *g, unsigned role, unsigned below)
{
    unsigned found[16], n = 0;
    for (unsigned r = 0; r < below; r++)
        if (g->role[r] == role)
            found[n++] = r;
    return n ? found[rng_below(g->r, n)] : 16;
}

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
