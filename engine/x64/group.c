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
 * G3  If a scratch register is wanted, the group's is given up first: what comes after makes its own probe.
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
        case IR_CALL:
        case IR_CALL64:
        case IR_LDREX:
        case IR_LDREX64:
        case IR_STREX:
        case IR_STREX64:
        case IR_CLREX:
        case IR_SWP: return n;
        default:
            if (ir_op_info[in->op].e)
                return n;
        }
        int32_t off;
        if (is_access(in) && group_root(x, in->a, &off) == g->root)
            n += join(g, in, off);
    }
    return n;
}

void group_drop(struct xlate *x)
{
    if (x->group.reg >= 0)
        x->reg_val[x->group.reg] = IR_NONE;
    x->group.reg = NO_REG;
}

bool group_plan(const struct xlate *x, struct group *plan)
{
    const struct ir_ins *in = x->in;
    int32_t off;
    ir_val root = group_root(x, in->a, &off);

    *plan = (struct group){
        .reg = NO_REG,
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
        return false;
    if (x->group.reg >= 0) { /* which of the two is worth more? */
        struct group old = x->group;

        if (members_ahead(x, &old) >= n)
            return false;
    }
    return true;
}

bool group_has(const struct xlate *x, int32_t *delta)
{
    const struct ir_ins *in = x->in;
    const struct group *g = &x->group;
    uint8_t align = required_align(in);
    int32_t off;

    if (g->reg < 0 || group_root(x, in->a, &off) != g->root)
        return false;
    *delta = off - g->at;
    return off >= g->lo && off + (int32_t)(1u << (in->aux & MEM_SIZE)) <= g->hi && (in->aux & MEM_USER ? 1 : 0) == g->user &&
           (g->store || !is_store(in)) && align <= g->align && !((uint32_t)*delta & (align - 1u));
}
