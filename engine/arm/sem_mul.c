/*
 * sem_mul.c — multiply, multiply-accumulate, divide (ARM DDI 0406C A4.4.3, A4.4.8)
 *
 * Q is sticky and lives in v->q as 0 or 1.
 */
#include "engine/arm/xlate.h"

/* The two halves of a 64-bit value to RdLo (d) and RdHi (e). */
static void put_pair(struct xlate *x, ir_val v)
{
    ir_val lo = emit1(x, IR_LO32, v), hi = emit1(x, IR_HI32, v);
    put_reg(x, F('d'), lo);
    put_reg(x, F('e'), hi);
}

static ir_val get_pair(struct xlate *x)
{
    return emit2(x, IR_PACK64, get_reg(x, F('d')), get_reg(x, F('e')));
}

/* Signed halfword of a register: top or bottom. */
static ir_val half(struct xlate *x, unsigned reg, bool top)
{
    ir_val v = get_reg(x, reg);
    return top ? ir_shift(x->b, IR_SAR, v, 16, 0) : ir_un(x->b, IR_SXTH, v);
}

/* Set Q if the signed 32-bit addition sum = a + b overflowed. */
static void q_on_add_overflow(struct xlate *x, ir_val a, ir_val b, ir_val sum)
{
    ir_val over = emit2(x, IR_AND, emit2(x, IR_XOR, a, sum), emit2(x, IR_XOR, b, sum));
    ir_val q = ld_env(x, offsetof(struct vcpu, q));
    st_env(x, offsetof(struct vcpu, q), emit2(x, IR_OR, q, ir_shift(x->b, IR_SHR, over, 31, 0)));
}

void op_mul(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnm");
    bool s = arg & DP_S_OUTSIDE_IT ? x->it == 0 : F('s');
    unsigned n = arg & DP_RDN ? F('d') : F('n');
    ir_val r = emit2(x, IR_MUL, get_reg(x, n), get_reg(x, F('m')));
    if (s)
        set_nz(x, r);
    put_reg(x, F('d'), r);
}

void op_mla(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnma");
    ir_val p = emit2(x, IR_MUL, get_reg(x, F('n')), get_reg(x, F('m')));
    ir_val r = emit2(x, IR_ADD, p, get_reg(x, F('a')));
    if (F('s'))
        set_nz(x, r);
    put_reg(x, F('d'), r);
}

void op_mls(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnma");
    ir_val p = emit2(x, IR_MUL, get_reg(x, F('n')), get_reg(x, F('m')));
    put_reg(x, F('d'), emit2(x, IR_SUB, get_reg(x, F('a')), p));
}

void op_mull(struct xlate *x, uint32_t arg)
{
    UNPRED15("denm");
    if (F('d') == F('e')) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    ir_val r = emit2(x, arg & MULL_S ? IR_MULS64 : IR_MULU64, get_reg(x, F('n')), get_reg(x, F('m')));
    if (arg & MULL_ACC)
        r = emit2(x, IR_ADD64, r, get_pair(x));
    if (F('s'))
        ir_emit(x->b, IR_SET_NZ64, FLAG_NZ, 0, r, IR_NONE, IR_NONE, 0, 0);
    put_pair(x, r);
}

void op_umaal(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("denm");
    if (F('d') == F('e')) {
        undefined(x);
        return;
    }
    ir_val zero = imm32(x, 0);
    ir_val r = emit2(x, IR_MULU64, get_reg(x, F('n')), get_reg(x, F('m')));
    r = emit2(x, IR_ADD64, r, emit2(x, IR_PACK64, get_reg(x, F('d')), zero));
    r = emit2(x, IR_ADD64, r, emit2(x, IR_PACK64, get_reg(x, F('e')), zero));
    put_pair(x, r);
}

/* -- Halfwords -------------------------------------------------------------------------------------------------------------- */

/* d = p + Ra, Q on overflow of the sum. */
static void accumulate_q(struct xlate *x, ir_val p)
{
    ir_val a = get_reg(x, F('a'));
    ir_val r = emit2(x, IR_ADD, p, a);
    q_on_add_overflow(x, p, a, r);
    put_reg(x, F('d'), r);
}

static ir_val halves_product(struct xlate *x)
{
    return emit2(x, IR_MUL, half(x, F('n'), F('x')), half(x, F('m'), F('z')));
}

/* Bits 47..16 of Rn times a half of Rm. */
static ir_val word_half_product(struct xlate *x)
{
    ir_val p = emit2(x, IR_MULS64, get_reg(x, F('n')), half(x, F('m'), F('z')));
    ir_val lo = ir_shift(x->b, IR_SHR, emit1(x, IR_LO32, p), 16, 0);
    ir_val hi = ir_shift(x->b, IR_SHL, emit1(x, IR_HI32, p), 16, 0);
    return emit2(x, IR_OR, lo, hi);
}

void op_smulxy(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    put_reg(x, F('d'), halves_product(x));
}

void op_smlaxy(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnma");
    accumulate_q(x, halves_product(x));
}

void op_smulwy(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    put_reg(x, F('d'), word_half_product(x));
}

void op_smlawy(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnma");
    accumulate_q(x, word_half_product(x));
}

void op_smlalxy(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("denm");
    if (F('d') == F('e')) {
        undefined(x);
        return;
    }
    ir_val p = emit2(x, IR_MULS64, half(x, F('n'), F('x')), half(x, F('m'), F('z')));
    put_pair(x, emit2(x, IR_ADD64, p, get_pair(x)));
}

/* -- Dual halfwords: z swaps the halves of Rm ------------------------------------------------------------------------------ */

static ir_val rm_maybe_swapped(struct xlate *x)
{
    ir_val m = get_reg(x, F('m'));
    return F('z') ? ir_shift(x->b, IR_ROR, m, 16, 0) : m;
}

void op_smlad(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnma");
    ir_val m = rm_maybe_swapped(x);
    put_reg(x, F('d'), call(x, (enum helper_id)arg, get_reg(x, F('n')), m, get_reg(x, F('a'))));
}

static void dual_products(struct xlate *x, ir_val *low, ir_val *high)
{
    bool swap = F('z');
    *low = emit2(x, IR_MUL, half(x, F('n'), false), half(x, F('m'), swap));
    *high = emit2(x, IR_MUL, half(x, F('n'), true), half(x, F('m'), !swap));
}

void op_smuad(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    ir_val p1, p2;
    dual_products(x, &p1, &p2);
    ir_val r = emit2(x, IR_ADD, p1, p2);
    q_on_add_overflow(x, p1, p2, r);
    put_reg(x, F('d'), r);
}

void op_smusd(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    ir_val p1, p2;
    dual_products(x, &p1, &p2);
    put_reg(x, F('d'), emit2(x, IR_SUB, p1, p2)); /* cannot overflow */
}

void op_smlald(struct xlate *x, uint32_t arg)
{
    UNPRED15("denm");
    if (F('d') == F('e')) {
        undefined(x);
        return;
    }
    bool swap = F('z');
    ir_val p1 = emit2(x, IR_MULS64, half(x, F('n'), false), half(x, F('m'), swap));
    ir_val p2 = emit2(x, IR_MULS64, half(x, F('n'), true), half(x, F('m'), !swap));
    ir_val p = emit2(x, (enum ir_op)arg, p1, p2);
    put_pair(x, emit2(x, IR_ADD64, get_pair(x), p));
}

/* -- Most significant word: z rounds ------------------------------------------------------------------------------------------ */

static void put_high_word(struct xlate *x, ir_val v)
{
    if (F('z')) {
        ir_val half_unit = emit2(x, IR_PACK64, imm32(x, 0x80000000), imm32(x, 0));
        v = emit2(x, IR_ADD64, v, half_unit);
    }
    put_reg(x, F('d'), emit1(x, IR_HI32, v));
}

void op_smmul(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    put_high_word(x, emit2(x, IR_MULS64, get_reg(x, F('n')), get_reg(x, F('m'))));
}

void op_smmla(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnma");
    ir_val p = emit2(x, IR_MULS64, get_reg(x, F('n')), get_reg(x, F('m')));
    ir_val a = emit2(x, IR_PACK64, imm32(x, 0), get_reg(x, F('a')));
    put_high_word(x, emit2(x, (enum ir_op)arg, a, p));
}

/* SCTLR.DZ exists in the R profile only: division by zero gives 0. */
void op_divide(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnm");
    put_reg(x, F('d'), emit2(x, (enum ir_op)arg, get_reg(x, F('n')), get_reg(x, F('m'))));
}
