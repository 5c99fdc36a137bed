/*
 * sem_system.c — status registers, exceptions, hints, barriers, coprocessors (ARM DDI 0406C A8.8, B9.3)
 *
 * Whatever may change what a block's key depends on ends the block by exit_loop.
 */
#include "engine/arm/xlate.h"

static bool is_user(const struct xlate *x)
{
    return !xlate_flag(x, TBF_PRIV);
}

void op_nop(struct xlate *x, uint32_t arg)
{
    (void)x;
    (void)arg;
}

/* -- Exceptions ---------------------------------------------------------------------------------------------------------------- */

/* The helper does not return. */
static void raise_with(struct xlate *x, enum helper_id id, uint32_t imm)
{
    call(x, id, imm32(x, imm), IR_NONE, IR_NONE);
    exit_loop_next(x);
}

void op_svc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    raise_with(x, HELPER_SVC, F('i'));
}

void op_bkpt(struct xlate *x, uint32_t arg)
{
    (void)arg;
    raise_with(x, HELPER_BKPT, F('i'));
}

/* HVC and SMC are Undefined in User mode. */
void op_hvc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (is_user(x))
        undefined(x);
    else
        raise_with(x, HELPER_HVC, F('i'));
}

void op_smc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (is_user(x))
        undefined(x);
    else
        raise_with(x, HELPER_SMC, F('i'));
}

void op_udf(struct xlate *x, uint32_t arg)
{
    (void)arg;
    undefined(x);
}

void op_subs_pc_lr(struct xlate *x, uint32_t arg)
{
    (void)arg;
    exception_return(x, emit2(x, IR_SUB, get_reg(x, 14), imm32(x, F('i'))));
}

/* Outside Hyp mode ERET returns to LR. */
void op_eret(struct xlate *x, uint32_t arg)
{
    (void)arg;
    exception_return(x, get_reg(x, 14));
}

/* -- Status registers ---------------------------------------------------------------------------------------------------------- */

#define CPSR_NZCVQ 0xf8000000u
#define CPSR_GE    0x000f0000u

static bool no_spsr(const struct xlate *x)
{
    return is_user(x) || xlate_flag(x, TBF_SYSMODE);
}

static uint32_t field_mask(uint32_t f)
{
    return (bit(f, 0) ? 0xffu : 0) | (bit(f, 1) ? 0xff00u : 0) | (bit(f, 2) ? 0xff0000u : 0) |
           (bit(f, 3) ? 0xff000000u : 0);
}

/* What MSR may write in the CPSR (B1.3.3, CPSRWriteByInstr): T, J and IT never, the rest by privilege. */
static uint32_t cpsr_writable(const struct xlate *x)
{
    uint32_t m = CPSR_NZCVQ | CPSR_GE | CPSR_E;
    return is_user(x) ? m : m | CPSR_A | CPSR_I | CPSR_F | 0x1f;
}

static void msr(struct xlate *x, ir_val v)
{
    uint32_t mask = field_mask(F('f'));
    if (!mask || (F('r') && no_spsr(x))) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    if (F('r')) {
        call(x, HELPER_MSR_SPSR, v, imm32(x, mask), IR_NONE);
        return;
    }
    mask &= cpsr_writable(x);
    if (mask & ~(CPSR_NZCVQ | CPSR_GE)) {
        call(x, HELPER_MSR_CPSR, v, imm32(x, mask), IR_NONE);
        exit_loop_next(x);
        return;
    }
    if (mask & CPSR_NZCVQ) {
        ir_emit(x->b, IR_SET_NZCV, FLAG_ALL, 0, v, IR_NONE, IR_NONE, 0, 0);
        st_env(x, offsetof(struct vcpu, q), ir_field(x->b, IR_UBFX, v, 27, 1));
    }
    if (mask & CPSR_GE)
        st_env(x, offsetof(struct vcpu, ge), ir_field(x->b, IR_UBFX, v, 16, 4));
}

void op_msr_reg(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("n");
    msr(x, get_reg(x, F('n')));
}

void op_msr_imm(struct xlate *x, uint32_t arg)
{
    (void)arg;
    msr(x, imm32(x, ror32(F('i') & 0xff, (F('i') >> 8) * 2)));
}

void op_mrs(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("d");
    if (F('r') && no_spsr(x)) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    enum helper_id id = F('r') ? HELPER_MRS_SPSR : HELPER_MRS_CPSR;
    put_reg(x, F('d'), call(x, id, IR_NONE, IR_NONE, IR_NONE));
}

/* SYSm | R << 5: M is the fifth bit of SYSm. */
static ir_val banked_code(struct xlate *x)
{
    return imm32(x, F('f') | F('g') << 4 | F('r') << 5);
}

void op_mrs_banked(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("d");
    if (is_user(x))
        undefined(x);
    else
        put_reg(x, F('d'), call(x, HELPER_MRS_BANKED, banked_code(x), IR_NONE, IR_NONE));
}

void op_msr_banked(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("n");
    if (is_user(x))
        undefined(x);
    else
        call(x, HELPER_MSR_BANKED, banked_code(x), get_reg(x, F('n')), IR_NONE);
}

static void cps(struct xlate *x, uint32_t imod, bool set_mode, uint32_t mode)
{
    if (is_user(x)) /* B9.3.2: NOP */
        return;
    uint32_t code = imod << 9 | F('f') << 6 | (uint32_t)set_mode << 5 | mode;
    call(x, HELPER_CPS, imm32(x, code), IR_NONE, IR_NONE);
    exit_loop_next(x);
}

void op_cps(struct xlate *x, uint32_t arg)
{
    (void)arg;
    cps(x, F('o'), F('M'), F('m'));
}

void op_cps_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    cps(x, 2 | F('o'), false, 0);
}

void op_setend(struct xlate *x, uint32_t arg)
{
    (void)arg;
    call(x, HELPER_SETEND, imm32(x, F('e')), IR_NONE, IR_NONE);
    exit_loop_next(x);
}

/* -- Hints and barriers ---------------------------------------------------------------------------------------------------------- */

void op_hint(struct xlate *x, uint32_t arg)
{
    static const enum helper_id ids[] = {
        [HINT_YIELD] = HELPER_YIELD, [HINT_WFE] = HELPER_WFE, [HINT_WFI] = HELPER_WFI, [HINT_SEV] = HELPER_SEV};
    if (arg == HINT_NOP)
        return;
    call(x, ids[arg], IR_NONE, IR_NONE, IR_NONE);
    if (arg == HINT_WFE || arg == HINT_WFI)
        exit_loop_next(x);
}

void op_barrier(struct xlate *x, uint32_t arg)
{
    ir_emit(x->b, IR_BARRIER, 0, 0, IR_NONE, IR_NONE, IR_NONE, 0, 0);
    /* TLB maintenance is completed by a DSB for loads and stores (B3.10.1), not by one for stores alone, as an unlock has. */
    if (arg && (x->insn.word & 3) == 3 && (x->req->flags & TBF_PRIV))
        call(x, HELPER_DSB, IR_NONE, IR_NONE, IR_NONE);
}

void op_isb(struct xlate *x, uint32_t arg)
{
    (void)arg;
    call(x, HELPER_ISB, IR_NONE, IR_NONE, IR_NONE);
    exit_loop_next(x);
}

/* -- Coprocessors 14 and 15 ---------------------------------------------------------------------------------------------------
 *
 * Others do not exist: Undefined. The thread ID registers and the barriers of CP15, which programs use often, are
 * inline.
 */

#define CP15(opc1, crn, crm, opc2) ((opc1) << 12 | (crn) << 8 | (crm) << 4 | (opc2))

static uint32_t cp15_code(uint32_t w)
{
    return CP15(bits(w, 23, 21), bits(w, 19, 16), bits(w, 3, 0), bits(w, 7, 5));
}

static bool known_coprocessor(struct xlate *x)
{
    if (bits(x->insn.word, 11, 9) == 7)
        return true;
    undefined(x);
    return false;
}

static bool is_cp15(const struct xlate *x)
{
    return bits(x->insn.word, 11, 8) == 15;
}

static ir_val enc(struct xlate *x)
{
    return imm32(x, x->insn.word & 0x0fffffff);
}

/* Offset of a register that is plain memory for this access, or 0. */
static size_t plain_cp15(const struct xlate *x, bool write)
{
    if (!is_cp15(x))
        return 0;
    switch (cp15_code(x->insn.word)) {
    case CP15(0, 13, 0, 2): return offsetof(struct vcpu, sys.tpidrurw);
    case CP15(0, 13, 0, 3): return write && is_user(x) ? 0 : offsetof(struct vcpu, sys.tpidruro);
    case CP15(0, 13, 0, 4): return is_user(x) ? 0 : offsetof(struct vcpu, sys.tpidrprw);
    case CP15(0, 0, 0, 5): return write || is_user(x) ? 0 : offsetof(struct vcpu, sys.mpidr);
    default: return 0;
    }
}

void op_mrc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!known_coprocessor(x))
        return;
    size_t plain = plain_cp15(x, false);
    ir_val v = plain ? ld_env(x, plain) : call(x, HELPER_MRC, enc(x), IR_NONE, IR_NONE);
    if (F('t') == 15) /* APSR_nzcv */
        ir_emit(x->b, IR_SET_NZCV, FLAG_ALL, 0, v, IR_NONE, IR_NONE, 0, 0);
    else
        put_reg(x, F('t'), v);
}

void op_mcr(struct xlate *x, uint32_t arg)
{
    if (!known_coprocessor(x))
        return;
    if (is_cp15(x)) {
        switch (cp15_code(x->insn.word)) {
        case CP15(0, 7, 5, 4): op_isb(x, arg); return;
        case CP15(0, 7, 10, 5): op_barrier(x, 0); return; /* DMB; DSB completes TLB maintenance, in cp15_mmu.c */
        }
    }
    UNPRED15("t");
    ir_val v = get_reg(x, F('t'));
    size_t plain = plain_cp15(x, true);
    if (plain) {
        st_env(x, plain, v);
        return;
    }
    call(x, HELPER_MCR, enc(x), v, IR_NONE);
    exit_loop_next(x);
}

void op_mrrc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("te");
    if (!known_coprocessor(x))
        return;
    if (F('t') == F('e')) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    ir_val v = call64(x, HELPER_MRRC, enc(x), IR_NONE, IR_NONE);
    ir_val lo = emit1(x, IR_LO32, v), hi = emit1(x, IR_HI32, v);
    put_reg(x, F('t'), lo);
    put_reg(x, F('e'), hi);
}

void op_mcrr(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("te");
    if (!known_coprocessor(x))
        return;
    call(x, HELPER_MCRR, enc(x), get_reg(x, F('t')), get_reg(x, F('e')));
    exit_loop_next(x);
}
