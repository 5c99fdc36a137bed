/*
 * alloc_greg.c — guest registers as places of values: reads, writes, and results that are computed there at once
 *
 * A get_reg is the guest register's pinned host register, and a result that a set_reg of the same guest instruction will store
 * is computed there.
 *
 * A1  greg_val[g] is a value that guest register g is equal to, or none; several registers may be equal to one value, and
 *     the value may have a scratch register besides. Before g is written, a value that is only there moves if it is
 *     needed afterwards.
 * A2  A result may be written to guest register g before its set_reg only if nothing in between can see the
 *     difference: no fault, no exit, no label, no read or write of g, and no later use of a value that is still in g.
 */
#include "engine/x64/emit.h"

/* How far a set_reg is looked for. */
#define DEF_WINDOW 24

int alloc_holder(const struct xlate *x, ir_val v, int except)
{
    int found = -1;

    for (int g = 0; g < (int)ARRAY_SIZE(x->greg_val); g++)
        if (x->greg_val[g] == v && g != except && (found < 0 || host_of((unsigned)found) < 0))
            found = g;
    return found;
}

/* -- Results --------------------------------------------------------------------------------------------------------- */

/* A2. The guest register to which the current result is going, pinned or not. */
static int def_target(const struct xlate *x)
{
    uint32_t read = 0, written = 0;
    uint32_t end = x->i + DEF_WINDOW < x->ir->n ? x->i + DEF_WINDOW : x->ir->n;

    if (!x->in->uses)
        return -1;
    for (uint32_t k = x->i + 1; k < end; k++) {
        const struct ir_ins *in = &x->ir->ins[k];

        switch (in->op) {
        case IR_NOP: break;
        case IR_GET_REG: read |= BIT(in->imm); break;
        case IR_SET_REG:
            if (in->a == x->i) {
                unsigned g = in->imm;

                if ((read | written) & BIT(g))
                    return -1;
                ir_val old = x->greg_val[g];
                if (old != IR_NONE && alloc_needed(x, old) && x->val[old].kind == VAL_GREG &&
                    alloc_holder(x, old, (int)g) < 0)
                    return -1;
                return (int)g;
            }
            written |= BIT(in->imm);
            break;
        case IR_INSN:
        case IR_LABEL:
        case IR_BR:
        case IR_BRCOND:
        case IR_BRZ:
        case IR_BRNZ:
        case IR_EXIT_IF:
        case IR_EXIT_IFZ:
        case IR_EXIT_IFNZ:
        case IR_CALL:
        case IR_CALL64: return -1;
        default:
            if (ir_op_info[in->op].f || ir_op_info[in->op].e)
                return -1;
        }
    }
    return -1;
}

void alloc_begin_op(struct xlate *x)
{
    x->def_greg = ir_op_info[x->in->op].type == 'w' ? def_target(x) : -1;
    x->def_memory = -1;
    if (x->def_greg >= 0 && host_of((unsigned)x->def_greg) < 0) {
        x->def_memory = x->def_greg;
        x->def_greg = -1;
    }
    if (x->def_greg >= 0 && !ir_op_info[x->in->op].f)
        flags_greg_save(x, (unsigned)x->def_greg, (ir_val)x->i, false);
}

int alloc_def(struct xlate *x, int prefer)
{
    struct value *val = &x->val[x->i];

    if (x->def_greg >= 0) {
        flags_greg_drop(x, (unsigned)x->def_greg, (ir_val)x->i);
        alloc_greg_written(x, (unsigned)x->def_greg); /* emits nothing: def_target() */
        val->kind = VAL_GREG;
        val->at = (int8_t)x->def_greg;
        x->greg_val[x->def_greg] = (ir_val)x->i;
        return host_of((unsigned)x->def_greg);
    }
    int r = alloc_temp(x, prefer);
    if (x->in->uses)
        alloc_bind(x, (ir_val)x->i, r);
    return r;
}

int alloc_memory_target(struct xlate *x, ir_val v)
{
    int g = x->def_memory;

    v = alloc_rep(x, v);
    if (g < 0 || x->greg_val[g] != v || x->val[v].kind != VAL_GREG || x->val[v].at != g)
        return -1;
    flags_greg_save(x, (unsigned)g, (ir_val)x->i, false);
    return g;
}

void alloc_def_memory(struct xlate *x, unsigned g)
{
    flags_greg_drop(x, g, (ir_val)x->i);
    alloc_greg_written(x, g);
    x->val[x->i].kind = VAL_GREG;
    x->val[x->i].at = (int8_t)g;
    x->greg_val[g] = (ir_val)x->i;
}

void alloc_def_in(struct xlate *x, int reg)
{
    if (x->def_greg >= 0)
        emit_mov(x, alloc_def(x, NO_REG), reg);
    else if (x->in->uses)
        alloc_bind(x, (ir_val)x->i, reg);
}

void alloc_def_const(struct xlate *x, uint32_t imm)
{
    x->val[x->i].kind = VAL_CONST;
    x->val[x->i].imm = imm;
}

static void alloc_def_same(struct xlate *x, ir_val v)
{
    v = alloc_rep(x, v);
    x->val[x->i].same = v;
    if (x->val[v].last < x->val[x->i].last)
        x->val[v].last = x->val[x->i].last;
    if (x->val[v].kind == VAL_SHL && x->val[x->val[v].base].last < x->val[v].last)
        x->val[x->val[v].base].last = x->val[v].last;
}

/* -- Guest registers ------------------------------------------------------------------------------------------------- */

void alloc_get_reg(struct xlate *x, unsigned g)
{
    struct value *val = &x->val[x->i];

    if (x->greg_val[g] != IR_NONE) {
        alloc_def_same(x, x->greg_val[g]);
        return;
    }
    val->kind = VAL_GREG;
    val->at = (int8_t)g;
    x->greg_val[g] = (ir_val)x->i;
}

void alloc_greg_written(struct xlate *x, unsigned g)
{
    ir_val v = x->greg_val[g];

    x->greg_val[g] = IR_NONE;
    if (v == IR_NONE || x->val[v].kind != VAL_GREG || x->val[v].at != (int)g)
        return;
    int other = alloc_holder(x, v, -1);
    if (other >= 0) {
        x->val[v].at = (int8_t)other;
        return;
    }
    if (!alloc_needed(x, v))
        return;
    int r = alloc_temp(x, NO_REG);
    if (host_of(g) >= 0)
        asm_mov_rr(&x->a, 4, r, host_of(g));
    else
        asm_load(&x->a, 4, r, greg_mem(g));
    alloc_bind(x, v, r);
    alloc_unlock(x, r);
}

void alloc_set_reg(struct xlate *x, unsigned g, ir_val v)
{
    v = alloc_rep(x, v);
    struct value *val = &x->val[v];

    if (x->greg_val[g] == v)
        return;
    flags_greg_save(x, g, v, false);
    struct opnd o = alloc_opnd(x, v);
    if (host_of(g) < 0 && o.kind == OPND_MEM)
        o = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, v)};
    alloc_greg_written(x, g);
    flags_greg_drop(x, g, v);
    if (host_of(g) < 0) {
        if (o.kind == OPND_IMM)
            asm_store_i(&x->a, 4, greg_mem(g), o.imm);
        else
            asm_store(&x->a, 4, greg_mem(g), o.reg);
    } else {
        emit_mov_opnd(x, host_of(g), o);
    }
    if (val->kind == VAL_CONST)
        return;
    x->greg_val[g] = v;
    /* From here on a pinned guest register is the better place, and any is better than a slot. */
    if (val->kind == VAL_SPILL || (val->kind == VAL_REG && host_of(g) >= 0)) {
        if (val->kind == VAL_REG)
            x->reg_val[val->at] = IR_NONE;
        else
            x->slot_val[val->at] = IR_NONE;
        val->kind = VAL_GREG;
        val->at = (int8_t)g;
    }
}
