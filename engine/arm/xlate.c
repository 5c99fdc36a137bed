/*
 * xlate.c — what the semantic functions emit with: registers, flags, calls of helpers, ends of the block
 */
#include "engine/arm/xlate.h"

/* -- Values ----------------------------------------------------------------------------------------------------------- */

ir_val imm32(struct xlate *x, uint32_t v)
{
    return ir_const(x->b, v);
}

ir_val get_reg(struct xlate *x, unsigned n)
{
    return n == 15 ? imm32(x, pc_value(x)) : ir_get_reg(x->b, n);
}

ir_val literal_base(struct xlate *x)
{
    return imm32(x, pc_value(x) & ~3u);
}

void put_reg(struct xlate *x, unsigned d, ir_val v)
{
    CHECK(d < 15, "%s at %08x writes PC as a plain register", x->insn.row->name, x->pc);
    if (x->sel != COND_AL)
        v = ir_sel(x->b, x->sel, v, ir_get_reg(x->b, d));
    ir_set_reg(x->b, d, v);
}

void set_nz(struct xlate *x, ir_val v)
{
    ir_emit(x->b, IR_SET_NZ, FLAG_NZ, 0, v, IR_NONE, IR_NONE, 0, 0);
}

void set_c(struct xlate *x, ir_val v)
{
    ir_emit(x->b, IR_SET_C, FLAG_C, 0, v, IR_NONE, IR_NONE, 0, 0);
}

ir_val ld_env(struct xlate *x, size_t offset)
{
    return ir_emit(x->b, IR_LD_ENV, 0, 0, IR_NONE, IR_NONE, IR_NONE, (uint32_t)offset, 0);
}

void st_env(struct xlate *x, size_t offset, ir_val v)
{
    ir_emit(x->b, IR_ST_ENV, 0, 0, v, IR_NONE, IR_NONE, (uint32_t)offset, 0);
}

ir_val call(struct xlate *x, enum helper_id id, ir_val a, ir_val b, ir_val c)
{
    return ir_emit(x->b, IR_CALL, 0, 0, a, b, c, id, 0);
}

ir_val call64(struct xlate *x, enum helper_id id, ir_val a, ir_val b, ir_val c)
{
    return ir_emit(x->b, IR_CALL64, 0, 0, a, b, c, id, 0);
}

/* -- Ends of the block ------------------------------------------------------------------------------------------------ */

void sync_it(struct xlate *x, uint8_t it)
{
    bool stored = x->it_stored || it;
    for (uint32_t i = x->first_ins; x->it && i < x->b->n; i++)
        stored |= may_leave(&x->b->ins[i]);
    if (stored)
        st_env(x, offsetof(struct vcpu, it), imm32(x, it));
}

static void exit_static(struct xlate *x, uint32_t pc_t)
{
    sync_it(x, 0);
    ir_exit(x->b, pc_t);
    x->end = true;
}

void exit_call(struct xlate *x, uint32_t pc_t)
{
    sync_it(x, 0);
    ir_exit_call(x->b, pc_t, next_pc_t(x));
    x->end = true;
}

void exit_indirect(struct xlate *x, ir_val pc_t, uint8_t kind)
{
    sync_it(x, 0);
    ir_exit_ind(x->b, pc_t, kind, kind == EXIT_CALL ? next_pc_t(x) : 0);
    x->end = true;
}

void exit_loop_next(struct xlate *x)
{
    sync_it(x, it_advance(x->it));
    ir_exit_loop(x->b, next_pc_t(x));
    x->end = true;
}

/* The helper has set v->r[15] and v->it. */
void exit_after_exception_return(struct xlate *x)
{
    ir_val pc_t = ld_env(x, offsetof(struct vcpu, r[15]));
    ir_emit(x->b, IR_EXIT_LOOP_IND, 0, 0, pc_t, IR_NONE, IR_NONE, 0, 0);
    x->end = true;
}

void undefined(struct xlate *x)
{
    call(x, HELPER_UNDEF, IR_NONE, IR_NONE, IR_NONE);
    exit_loop_next(x); /* not reached */
}

void branch(struct xlate *x, uint32_t pc_t)
{
    if (x->cond == COND_AL) {
        exit_static(x, pc_t);
        return;
    }
    sync_it(x, 0);
    ir_exit_if(x->b, x->cond, pc_t);
}

void bx_write_pc(struct xlate *x, ir_val v, uint8_t kind)
{
    uint32_t k;
    if (kind == EXIT_JUMP && ir_is_const(x->b, v, &k))
        exit_static(x, k & 1 ? k : k & ~3u);
    else
        exit_indirect(x, v, kind);
}

void alu_write_pc(struct xlate *x, ir_val v, uint8_t kind)
{
    if (x->thumb)
        v = emit2(x, IR_OR, v, imm32(x, 1));
    bx_write_pc(x, v, kind);
}

bool unpred15(struct xlate *x, const char *fields)
{
    for (; *fields; fields++) {
        if (F(*fields) == 15) {
            undefined(x);
            return true;
        }
    }
    return false;
}
