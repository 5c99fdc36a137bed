/*
 * sem_branch.c — branches, IT (ARM DDI 0406C A4.3)
 *
 * Kinds of indirect exits tell the backend what to predict: BX LR, a pop of PC and MOV PC, LR are returns.
 */
#include "engine/arm/xlate.h"

/* -- Direct ------------------------------------------------------------------------------------------------------------------ */

static void branch_and_link(struct xlate *x, uint32_t target_t)
{
    put_reg(x, 14, imm32(x, next_pc_t(x)));
    exit_call(x, target_t);
}

static uint32_t a32_offset(const struct xlate *x)
{
    return (uint32_t)sext(F('i'), 24) << 2;
}

void op_b_a32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch(x, pc_value(x) + a32_offset(x));
}

void op_bl_a32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch_and_link(x, pc_value(x) + a32_offset(x));
}

void op_blx_a32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch_and_link(x, (pc_value(x) + a32_offset(x) + F('v') * 2) | 1);
}

void op_bcond_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch(x, (pc_value(x) + (uint32_t)sext(F('i') << 1, 9)) | 1);
}

void op_b_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch(x, (pc_value(x) + (uint32_t)sext(F('i') << 1, 12)) | 1);
}

/* S:J2:J1:imm6:imm11:0 */
void op_bcond_t32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (F('c') >= COND_AL) { /* unallocated control instructions */
        x->cond = COND_AL;
        undefined(x);
        return;
    }
    uint32_t off = F('g') << 20 | F('z') << 19 | F('x') << 18 | F('i') << 1;
    branch(x, (pc_value(x) + (uint32_t)sext(off, 21)) | 1);
}

/* S:I1:I2:imm:0, where I = not (J xor S) */
static uint32_t t32_long_offset(const struct xlate *x, unsigned imm_bits)
{
    uint32_t s = F('g'), i1 = !(F('x') ^ s), i2 = !(F('z') ^ s);
    uint32_t off = s << 24 | i1 << 23 | i2 << 22 | F('i') << (22 - imm_bits);
    return (uint32_t)sext(off, 25);
}

void op_b_t32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch(x, (pc_value(x) + t32_long_offset(x, 21)) | 1);
}

void op_bl_t32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch_and_link(x, (pc_value(x) + t32_long_offset(x, 21)) | 1);
}

void op_blx_t32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    branch_and_link(x, (pc_value(x) & ~3u) + t32_long_offset(x, 20));
}

void op_cbz(struct xlate *x, uint32_t arg)
{
    uint32_t target = (pc_value(x) + F('i') * 2) | 1;
    sync_it(x, 0);
    ir_emit(x->b, arg ? IR_EXIT_IFNZ : IR_EXIT_IFZ, 0, 0, get_reg(x, F('n')), IR_NONE, IR_NONE, target, 0);
}

/* -- Indirect ---------------------------------------------------------------------------------------------------------------- */

/* BXJ too: without Jazelle it is BX. */
void op_bx(struct xlate *x, uint32_t arg)
{
    (void)arg;
    bx_write_pc(x, get_reg(x, F('m')), F('m') == 14 ? EXIT_RETURN : EXIT_JUMP);
}

void op_blx_reg(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("m");
    ir_val target = get_reg(x, F('m'));
    put_reg(x, 14, imm32(x, next_pc_t(x)));
    exit_indirect(x, target, EXIT_CALL);
}

/* TBB, TBH: the table holds halfword offsets. arg: log2 of the entry's size. */
void op_tb(struct xlate *x, uint32_t arg)
{
    UNPRED15("m");
    ir_val base = get_reg(x, F('n'));
    ir_val index = get_reg(x, F('m'));
    if (arg)
        index = ir_shift(x->b, IR_SHL, index, 1, 0);
    uint8_t mem = arg ? MEM_16 : MEM_8;
    if (arg && xlate_flag(x, TBF_ALIGN))
        mem |= MEM_ALIGN;
    ir_val entry = ir_load(x->b, emit2(x, IR_ADD, base, index), mem);
    if (arg && xlate_flag(x, TBF_BE))
        entry = ir_un(x->b, IR_REV16, entry);
    ir_val off = ir_shift(x->b, IR_SHL, entry, 1, 0);
    exit_indirect(x, emit2(x, IR_ADD, off, imm32(x, pc_value(x) | 1)), EXIT_JUMP);
}

/* -- IT ------------------------------------------------------------------------------------------------------------------------ */

void op_it(struct xlate *x, uint32_t arg)
{
    (void)arg;
    x->it = (uint8_t)(F('f') << 4 | F('g'));
}
