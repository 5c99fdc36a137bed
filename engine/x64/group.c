/*
 * group.c — accesses near each other share one probe of the flat tables
 *
 * Fields of a structure, words of a stack frame: addresses that are one value plus small constants. The first access of
 * such a group checks that everything from the lowest to the highest of them lies in one page and keeps the host address in
 * a scratch register; the others test it and use it. If the check fails the register is 0, and each access goes its
 * own way in cold code.
 *
 * G1  The tables change only in C or while this vCPU is quiescent, that is, outside translated code. So the register holds
 *     from the probe to the next call of C: cold code makes it 0 when it comes back, ops that call C in the straight
 *     line end the group.
 * G2  A group with stores in it is probed in the store table. An entry there can be read too: the same page, the same
 *     difference (a page that may be written but not read does not exist on ARMv7 without execute-never tricks).
 * G3  If a scratch register is wanted, a group's is given up first; a spill slot keeps it while it has members to come.
 * Two groups at a time: copying from one structure to another.
 */
#include "engine/x64/emit.h"

enum {
    LOOK_AHEAD = 48, /* IR instructions */
    REACH = 256,     /* bytes between the first and the last */
};

static bool is_access(const struct ir_ins *in)
{
    return in->op == IR_LD || in->op == IR_LD64 || in->op == IR_ST || in->op == IR_ST64;
}

static bool is_store(const struct ir_ins *in)
{
    return in->op == IR_ST || in->op == IR_ST64;
}

ir_val group_root(const struct xlate *x, ir_val v, int32_t *off)
{
    uint32_t sum = 0, k;

    for (;;) {
        const struct ir_ins *def = &x->ir->ins[v];

        if (def->op == IR_ADD && ir_is_const(x->ir, def->b, &k))
            sum += k;
        else if (def->op == IR_SUB && ir_is_const(x->ir, def->b, &k))
            sum -= k;
        else
            break;
        v = def->a;
    }
    *off = (int32_t)sum;
    return v;
}

static uint8_t required_align(const struct ir_ins *in)
{
    if (in->aux & MEM_ALIGN16)
        return 16;
    if (in->aux & MEM_ALIGN)
        return (uint8_t)(1u << (in->aux & MEM_SIZE));
    return in->aux & MEM_ALIGN4 ? 4 : 1;
}

/* Would `in`, at off from the root, fit into the group? Then widen it. */
static bool join(struct group *g, const struct ir_ins *in, int32_t off)
{
    int32_t end = off + (int32_t)(1u << (in->aux & MEM_SIZE));
    uint8_t align = required_align(in);

    if (off < g->at - REACH || end > g->at + REACH || (in->aux & MEM_USER ? 1 : 0) != g->user ||
        ((uint32_t)(off - g->at) & (align - 1u)))
        return false;
    int32_t lo = off < g->lo ? off : g->lo, hi = end > g->hi ? end : g->hi;
    if (hi - lo > REACH)
        return false;
    g->lo = lo;
    g->hi = hi;
    if (align > g->align)
        g->align = align;
    g->store |= is_store(in);
    return true;
}

/* How many accesses after the current one belong to g; widens it. */
static unsigned members_ahead(const struct xlate *x, struct group *g)
{
    unsigned n = 0;

    for (uint32_t k = x->i + 1; k < x->ir->n && k < x->i + LOOK_AHEAD; k++) {
        const struct ir_ins *in = &x->ir->ins[k];

        switch (in->op) {
        case IR_LABEL:
        case IR_BR:
        case IR_CALL64:
        case IR_LDREX:
        case IR_LDREX64:
        case IR_STREX:
        case IR_STREX64:
        case IR_CLREX:
        case IR_SWP: return n;
        case IR_CALL: /* those of lower_fp.c and lower_vec.c leave groups alone, the others end them */
            if (!x64_host.avx2 || !x64_stubs.helper_keep[in->imm])
                return n;
            break;
        default:
            if (ir_op_info[in->op].e)
                return n;
        }
        int32_t off;
        if (is_access(in) && group_root(x, in->a, &off) == g->root && join(g, in, off)) {
            n++;
            g->last = (uint16_t)k;
        }
    }
    return n;
}

/* -- Where groups are ---------------------------------------------------------------------------------------------- */

void group_begin(struct xlate *x)
{
    for (unsigned k = 0; k < GROUPS; k++)
        x->group[k].reg = x->group[k].slot = -1;
}

static bool exists(const struct group *g)
{
    return g->reg >= 0 || g->slot >= 0;
}

static void drop(struct xlate *x, struct group *g)
{
    if (g->reg >= 0)
        x->reg_val[g->reg] = IR_NONE;
    if (g->slot >= 0)
        x->slot_val[g->slot] = IR_NONE;
    g->reg = g->slot = -1;
}

void group_drop_all(struct xlate *x)
{
    for (unsigned k = 0; k < GROUPS; k++)
        drop(x, &x->group[k]);
}

static struct x64_mem slot_mem(int slot)
{
    return vmem(offsetof(struct vcpu, spill) + 8 * (size_t)slot);
}

void group_spill(struct xlate *x, unsigned k)
{
    struct group *g = &x->group[k];
    int reg = g->reg, slot = -1;

    /* Values need slots more: the last ones are theirs. */
    for (unsigned s = 0; s < SPILL_SLOTS / 2 && slot < 0; s++)
        if (x->slot_val[s] == IR_NONE)
            slot = (int)s;
    drop(x, g);
    if (slot < 0 || g->last <= x->i)
        return;
    asm_store(&x->a, 8, slot_mem(slot), reg);
    x->slot_val[slot] = (ir_val)(VAL_GROUP + k);
    g->slot = (int8_t)slot;
}

void group_end_op(struct xlate *x)
{
    for (unsigned k = 0; k < GROUPS; k++)
        if (exists(&x->group[k]) && x->group[k].last <= x->i)
            drop(x, &x->group[k]);
}

/* -- Members --------------------------------------------------------------------------------------------------------- */

int group_plan(struct xlate *x, struct group *plan)
{
    const struct ir_ins *in = x->in;
    int32_t off;
    ir_val root = group_root(x, in->a, &off);
    int where = -1;

    *plan = (struct group){
        .store = is_store(in),
        .user = in->aux & MEM_USER,
        .align = required_align(in),
        .root = root,
        .at = off,
        .lo = off,
        .hi = off + (int32_t)(1u << (in->aux & MEM_SIZE)),
    };
    unsigned n = members_ahead(x, plan);
    if (!n)
        return -1;
    for (unsigned k = 0; k < GROUPS; k++)
        if (!exists(&x->group[k]))
            where = (int)k;
    for (unsigned k = 0; k < GROUPS && where < 0; k++) { /* is one worth less? */
        struct group old = x->group[k];

        if (members_ahead(x, &old) < n) {
            drop(x, &x->group[k]);
            where = (int)k;
        }
    }
    return where;
}

void group_start(struct xlate *x, unsigned k, const struct group *plan, int reg)
{
    x->group[k] = *plan;
    x->group[k].reg = (int8_t)reg;
    x->group[k].slot = -1;
    x->reg_val[reg] = (ir_val)(VAL_GROUP + k);
}

int group_of(const struct xlate *x, int32_t *delta)
{
    const struct ir_ins *in = x->in;
    uint8_t align = required_align(in);
    int32_t off;
    ir_val root = group_root(x, in->a, &off);

    for (unsigned k = 0; k < GROUPS; k++) {
        const struct group *g = &x->group[k];

        if (!exists(g) || root != g->root)
            continue;
        *delta = off - g->at;
        if (off >= g->lo && off + (int32_t)(1u << (in->aux & MEM_SIZE)) <= g->hi &&
            (in->aux & MEM_USER ? 1 : 0) == g->user && (g->store || !is_store(in)) && align <= g->align &&
            !((uint32_t)*delta & (align - 1u)))
            return (int)k;
    }
    return -1;
}

int group_reg(struct xlate *x, unsigned k)
{
    struct group *g = &x->group[k];

    if (g->reg < 0) {
        int reg = alloc_temp(x, NO_REG);

        asm_load(&x->a, 8, reg, slot_mem(g->slot));
        x->slot_val[g->slot] = IR_NONE;
        g->slot = -1;
        g->reg = (int8_t)reg;
        x->reg_val[reg] = (ir_val)(VAL_GROUP + k);
    }
    x->locked |= BIT(g->reg);
    return g->reg;
}
