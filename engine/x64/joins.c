/*
 * joins.c — flags where two paths of a block meet
 *
 * F4  The state at a label is what both paths have. A jump to it leaves in memory what is needed there, unless a recipe or a known
 *     value is sure to reach the label by both ways: it is the only jump there, a conditional one, and nothing between the two
 *     touches the flag or the registers that the recipe is made of. That is the usual conditional instruction.
 */
#include "engine/x64/emit.h"

/* What the ops between the current one and the label write. */
static void written_until(const struct xlate *x, const struct label *l, uint32_t *gregs, uint8_t *flags)
{
    *gregs = 0;
    *flags = 0;
    for (uint32_t k = x->i + 1; k < l->at; k++) {
        const struct ir_ins *in = &x->ir->ins[k];

        *flags |= in->s;
        switch (in->op) {
        case IR_SET_REG: *gregs |= BIT(in->imm); break;
        case IR_LDM: *gregs |= in->imm & 0x7fff; break;
        case IR_LABEL: /* another join on the way: who knows from where */
            *gregs = 0x7fff;
            *flags = FLAG_ALL;
            return;
        case IR_CALL:
        case IR_CALL64:
            if (ir_helper_info[in->imm].writes_regs)
                *gregs = 0x7fff;
            if (ir_helper_info[in->imm].writes_flags)
                *flags = FLAG_ALL;
            break;
        default: break;
        }
    }
}

/* Recipes that reach the label by the jump and by falling through: the only other way there. */
static void surviving(const struct xlate *x, const struct label *l, bool cond, struct flags *f)
{
    uint32_t gregs;
    uint8_t flags;

    if (l->jumps != 1 || !cond) {
        memset(f->recipe, 0, sizeof f->recipe);
        f->host = 0;
        f->known = f->value = 0;
        return;
    }
    written_until(x, l, &gregs, &flags);
    f->known &= ~flags;
    f->value &= ~flags;
    for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++) {
        struct recipe *r = &f->recipe[k];

        for (unsigned g = 0; g < 15; g++)
            if (gregs & BIT(g))
                *r = recipe_without(*r, g);
        if (r->d >= RG_SCRATCH) /* scratch registers and slots do not cross labels */
            r->d = RG_NONE;
        r->mask &= ~flags & recipe_makes(r);
    }
}

static uint8_t needed_at(const struct xlate *x, const struct label *l)
{
    return flags_live_after(&x->ir->ins[l->at]);
}

void flags_before_jump(struct xlate *x, struct label *l, bool cond)
{
    struct flags f = x->flags;
    uint8_t kept = f.mem;

    surviving(x, l, cond, &f);
    kept |= f.known;
    for (unsigned k = 0; k < ARRAY_SIZE(f.recipe); k++)
        kept |= f.recipe[k].mask;
    flags_save(x, needed_at(x, l) & ~kept);
}

void flags_at_jump(struct xlate *x, struct label *l, bool cond)
{
    struct flags f = x->flags;

    surviving(x, l, cond, &f);
    if (l->seen) {
        l->flags.mem &= f.mem;
        l->flags.known = l->flags.value = 0;
    } else
        l->flags = f;
    l->seen = true;
}

static int8_t both(int8_t a, int8_t b)
{
    return a == b ? a : RG_NONE;
}

void flags_at_label(struct xlate *x, struct label *l)
{
    if (x->dead_end) {
        x->flags = l->seen ? l->flags : (struct flags){.mem = FLAG_ALL};
        return;
    }
    /* Scratch registers and slots end here. */
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        struct recipe r = x->flags.recipe[k];

        if (!r.mask || r.d < RG_SCRATCH)
            continue;
        r.d = RG_NONE;
        flags_save(x, r.mask & ~recipe_makes(&r) & needed_at(x, l));
        r.mask &= recipe_makes(&r);
        x->flags.recipe[k] = r;
    }
    if (!l->seen)
        return;
    flags_save(x, needed_at(x, l) & l->flags.mem);

    struct flags f = {.mem = x->flags.mem & l->flags.mem};
    f.known = x->flags.known & l->flags.known & ~(x->flags.value ^ l->flags.value);
    f.value = x->flags.value & f.known;
    if (x->flags.serial == l->flags.serial && x->flags.carry_inv == l->flags.carry_inv) {
        f.host = x->flags.host & l->flags.host;
        f.carry_inv = x->flags.carry_inv;
        f.serial = x->flags.serial;
    }
    unsigned n = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(f.recipe); k++) {
        const struct recipe *a = &l->flags.recipe[k];

        for (unsigned m = 0; a->mask && m < ARRAY_SIZE(f.recipe); m++) {
            const struct recipe *b = &x->flags.recipe[m];

            if (!(a->mask & b->mask) || a->op != b->op || a->imm != b->imm || a->val != b->val)
                continue;
            struct recipe r = *a;
            r.a = both(a->a, b->a);
            r.b = both(a->b, b->b);
            r.d = both(a->d, b->d);
            r.mask = a->mask & b->mask & recipe_makes(&r);
            r.val = IR_NONE; /* values end at labels */
            if (r.mask)
                f.recipe[n++] = r;
        }
    }
    x->flags = f;
    DCHECK(!(needed_at(x, l) & ~f.mem & ~flags_recoverable(x)), "flags lost at a label of pc %#x", x->pc);
}
