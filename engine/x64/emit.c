/*
 * emit.c — instructions whose source is an operand: a register, a constant, or memory
 */
#include "engine/x64/emit.h"

void emit_mov(struct xlate *x, int dst, int src)
{
    if (dst != src)
        asm_mov_rr(&x->a, 4, dst, src);
}

void emit_const(struct xlate *x, int dst, uint32_t imm)
{
    if (imm == 0 && !x->flags.host && !x->hold)
        asm_alu_rr(&x->a, ALU_XOR, 4, dst, dst);
    else
        asm_mov_ri(&x->a, dst, imm);
}

void emit_mov_opnd(struct xlate *x, int dst, struct opnd o)
{
    switch (o.kind) {
    case OPND_REG: emit_mov(x, dst, o.reg); break;
    case OPND_IMM: emit_const(x, dst, o.imm); break;
    case OPND_MEM: asm_load(&x->a, 4, dst, o.mem); break;
    }
}

void emit_alu(struct xlate *x, enum x64_alu op, int dst, struct opnd o)
{
    switch (o.kind) {
    case OPND_REG: asm_alu_rr(&x->a, op, 4, dst, o.reg); break;
    case OPND_IMM: asm_alu_ri(&x->a, op, 4, dst, o.imm); break;
    case OPND_MEM: asm_alu_rm(&x->a, op, 4, dst, o.mem); break;
    }
}

void emit_address(struct xlate *x, int dst, struct opnd at, int32_t off)
{
    if (at.kind == OPND_REG && off) {
        asm_lea(&x->a, 4, dst, mem_b(at.reg, off));
        return;
    }
    if (at.kind == OPND_REG)
        emit_mov(x, dst, at.reg);
    else
        asm_load(&x->a, 4, dst, at.mem);
    if (off)
        asm_lea(&x->a, 4, dst, mem_b(dst, off));
}
