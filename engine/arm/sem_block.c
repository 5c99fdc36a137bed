/*
 * sem_block.c — block transfers: LDM, STM, PUSH, POP, those of the User bank; SRS and RFE (ARM DDI 0406C A4.7, B9.3)
 *
 * The order within an instruction is that of sem_mem.c.
 */
#include "engine/arm/sem_mem.h"

enum lm_mode { LM_DA, LM_IA, LM_DB, LM_IB }; /* P << 1 | U */

struct block {
    unsigned n;
    uint32_t list;
    enum lm_mode mode;
    bool wback;
};

static unsigned words(const struct block *t)
{
    return (unsigned)__builtin_popcount(t->list);
}

static ir_val plus(struct xlate *x, ir_val v, int32_t k)
{
    return k < 0 ? emit2(x, IR_SUB, v, imm32(x, (uint32_t)-k)) : emit2(x, IR_ADD, v, imm32(x, (uint32_t)k));
}

static ir_val lowest_address(struct xlate *x, const struct block *t, ir_val base)
{
    int32_t size = (int32_t)words(t) * 4;
    switch (t->mode) {
    case LM_IA: return base;
    case LM_IB: return plus(x, base, 4);
    case LM_DB: return plus(x, base, -size);
    default: return plus(x, base, 4 - size);
    }
}

/* addr: the lowest address. */
static ir_val moved_base(struct xlate *x, const struct block *t, ir_val base, ir_val addr)
{
    int32_t size = (int32_t)words(t) * 4;
    return t->mode == LM_DB ? addr : plus(x, base, t->mode & 1 ? size : -size);
}

static void block_writeback(struct xlate *x, const struct block *t, ir_val base, ir_val addr)
{
    if (t->wback)
        put_reg(x, t->n, moved_base(x, t, base, addr));
}

/* An empty list and PC as the base are UNPREDICTABLE: Undefined. */
static bool block_ok(struct xlate *x, const struct block *t)
{
    if (t->list && t->n != 15)
        return true;
    undefined(x);
    return false;
}

#define ALIGNED_WORD (MEM_32 | MEM_ALIGN)

/* Base in the list with write-back is UNPREDICTABLE unless it is the lowest register; the old base is stored always,
 * as QEMU does. */
static void stm(struct xlate *x, const struct block *t)
{
    if (!block_ok(x, t))
        return;
    ir_val base = get_reg(x, t->n);
    ir_val addr = lowest_address(x, t, base);
    if (words(t) == 1) {
        guest_store(x, addr, get_reg(x, (unsigned)__builtin_ctz(t->list)), ALIGNED_WORD);
    } else if (big_endian(x)) {
        int32_t at = 0;
        for (unsigned r = 0; r < 16; r++) {
            if (bit(t->list, r)) {
                guest_store(x, plus(x, addr, at), get_reg(x, r), ALIGNED_WORD);
                at += 4;
            }
        }
    } else {
        ir_emit(x->b, IR_STM, 0, MEM_32 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, t->list, pc_value(x));
    }
    block_writeback(x, t, base, addr);
}

/* Loads r0..r14 of the list; returns the value for the PC if that is in it. */
static ir_val ldm_registers(struct xlate *x, const struct block *t, ir_val base)
{
    ir_val addr = lowest_address(x, t, base);
    bool base_loaded = bit(t->list, t->n);
    ir_val pc = IR_NONE;
    if (words(t) == 1) {
        unsigned r = (unsigned)__builtin_ctz(t->list);
        ir_val v = guest_load(x, addr, ALIGNED_WORD);
        if (r == 15)
            pc = v;
        else
            put_reg(x, r, v);
    } else {
        pc = ir_emit(x->b, IR_LDM, 0, MEM_32 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, t->list, 0);
        if (big_endian(x)) {
            /* Nothing can fault any more. */
            for (unsigned r = 0; r < 15; r++)
                if (bit(t->list, r))
                    put_reg(x, r, ir_un(x->b, IR_REV, get_reg(x, r)));
            if (bit(t->list, 15))
                pc = ir_un(x->b, IR_REV, pc);
        }
    }
    /* Base in the list with write-back is UNPREDICTABLE: the loaded value stays, as in QEMU. */
    if (!base_loaded)
        block_writeback(x, t, base, addr);
    return pc;
}

static void ldm(struct xlate *x, const struct block *t)
{
    if (!block_ok(x, t))
        return;
    ir_val pc = ldm_registers(x, t, get_reg(x, t->n));
    if (bit(t->list, 15))
        load_write_pc(x, pc, true);
}

/* arg: LM_* of T32, 0 for A32 which has P and U fields. T32 with base and write-back, or less than two registers, is
 * UNPREDICTABLE: Undefined (QEMU does the same). */
static bool block_fields(struct xlate *x, uint32_t arg, struct block *t)
{
    t->n = F('n');
    t->list = F('L');
    t->wback = F('w');
    t->mode = (enum lm_mode)(F('p') << 1 | F('u'));
    if (!(arg & MEMF_T32))
        return true;
    t->mode = (enum lm_mode)(arg & 3);
    if ((t->wback && bit(t->list, t->n)) || words(t) < 2) {
        undefined(x);
        return false;
    }
    return true;
}

void op_stm(struct xlate *x, uint32_t arg)
{
    struct block t;
    if (block_fields(x, arg, &t))
        stm(x, &t);
}

void op_ldm(struct xlate *x, uint32_t arg)
{
    struct block t;
    if (block_fields(x, arg, &t))
        ldm(x, &t);
}

void op_push_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    stm(x, &(struct block){13, F('L') | F('v') << 14, LM_DB, true});
}

void op_pop_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    ldm(x, &(struct block){13, F('L') | F('v') << 15, LM_IA, true});
}

void op_stm_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    stm(x, &(struct block){F('n'), F('L'), LM_IA, true});
}

void op_ldm_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    ldm(x, &(struct block){F('n'), F('L'), LM_IA, !bit(F('L'), F('n'))});
}

/* -- Block transfers of the User bank, and return from exception (B9.3.5, B9.3.6, B9.3.17) --------------------------- */

/* UNPREDICTABLE in User and System mode: there, like the plain form of the registers. */
static bool user_bank_block(struct xlate *x, struct block *t)
{
    t->n = F('n');
    t->list = F('L');
    t->mode = (enum lm_mode)(F('p') << 1 | F('u'));
    t->wback = false;
    return block_ok(x, t);
}

void op_stm_user(struct xlate *x, uint32_t arg)
{
    (void)arg;
    struct block t;
    if (!user_bank_block(x, &t))
        return;
    ir_val addr = lowest_address(x, &t, get_reg(x, t.n));
    int32_t at = 0;
    for (unsigned r = 0; r < 16; r++) {
        if (!bit(t.list, r))
            continue;
        ir_val v = r < 8 || r == 15 ? get_reg(x, r) : call(x, HELPER_GET_USER_REG, imm32(x, r), IR_NONE, IR_NONE);
        guest_store(x, plus(x, addr, at), v, ALIGNED_WORD);
        at += 4;
    }
}

/* Not all or nothing: after a fault some registers hold their new value, which the architecture allows; the base is loaded
 * last, so the instruction can be run again. */
void op_ldm_user(struct xlate *x, uint32_t arg)
{
    (void)arg;
    struct block t;
    if (!user_bank_block(x, &t))
        return;
    ir_val addr = lowest_address(x, &t, get_reg(x, t.n));
    for (int pass = 0; pass < 2; pass++) {
        int32_t at = 0;
        for (unsigned r = 0; r < 15; r++) {
            if (!bit(t.list, r))
                continue;
            if ((r == t.n) == (pass == 1)) {
                ir_val v = guest_load(x, plus(x, addr, at), ALIGNED_WORD);
                if (r < 8)
                    put_reg(x, r, v);
                else
                    call(x, HELPER_SET_USER_REG, imm32(x, r), v, IR_NONE);
            }
            at += 4;
        }
    }
}

void op_ldm_exc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    struct block t = {F('n'), F('L') | 0x8000, (enum lm_mode)(F('p') << 1 | F('u')), F('w')};
    if (!block_ok(x, &t))
        return;
    if (!xlate_flag(x, TBF_PRIV) || xlate_flag(x, TBF_SYSMODE)) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    exception_return(x, ldm_registers(x, &t, get_reg(x, t.n)));
}

/* arg: LM_* of T32, else P and U fields. */
void op_srs(struct xlate *x, uint32_t arg)
{
    if (!xlate_flag(x, TBF_PRIV) || xlate_flag(x, TBF_SYSMODE)) {
        undefined(x);
        return;
    }
    struct block t = {0, 3, (enum lm_mode)(arg ? arg : F('p') << 1 | F('u')), F('w')};
    ir_val mode = imm32(x, F('m'));
    ir_val spsr = call(x, HELPER_MRS_SPSR, IR_NONE, IR_NONE, IR_NONE);
    ir_val base = call(x, HELPER_SRS_ADDR, mode, IR_NONE, IR_NONE);
    ir_val addr = lowest_address(x, &t, base);
    guest_store_pair(x, addr, get_reg(x, 14), spsr);
    if (t.wback)
        call(x, HELPER_SET_BANKED_SP, mode, moved_base(x, &t, base, addr), IR_NONE);
}

void op_rfe(struct xlate *x, uint32_t arg)
{
    UNPRED15("n");
    if (!xlate_flag(x, TBF_PRIV)) {
        undefined(x);
        return;
    }
    struct block t = {F('n'), 3, (enum lm_mode)(arg ? arg : F('p') << 1 | F('u')), F('w')};
    ir_val base = get_reg(x, t.n), pc, cpsr;
    ir_val addr = lowest_address(x, &t, base);
    guest_load_pair(x, addr, &pc, &cpsr);
    block_writeback(x, &t, base, addr);
    call(x, HELPER_EXCEPTION_RETURN, pc, cpsr, IR_NONE);
    exit_after_exception_return(x);
}
