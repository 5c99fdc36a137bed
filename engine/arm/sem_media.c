/*
 * sem_media.c — extensions, bit fields, saturation, parallel arithmetic, reversals (ARM DDI 0406C A4.4.4 .. A4.4.7)
 */
#include "engine/arm/xlate.h"

void op_extend(struct xlate *x, uint32_t arg)
{
    UNPRED15("dm");
    struct ir_block *b = x->b;
    ir_val v = get_reg(x, F('m'));
    unsigned rot = F('q') * 8;
    ir_val n = arg & EXT_ADD ? get_reg(x, F('n')) : IR_NONE;
    ir_val r, lo, hi;
    switch (arg & EXT_KIND) {
    case EXT_SXTB: r = rot ? ir_field(b, IR_SBFX, v, rot, 8) : ir_un(b, IR_SXTB, v); break;
    case EXT_UXTB: r = rot ? ir_field(b, IR_UBFX, v, rot, 8) : ir_un(b, IR_UXTB, v); break;
    case EXT_SXTH:
    case EXT_UXTH:
        if (rot)
            v = ir_shift(b, IR_ROR, v, rot, 0);
        r = ir_un(b, (arg & EXT_KIND) == EXT_SXTH ? IR_SXTH : IR_UXTH, v);
        break;
    default: { /* bytes 0 and 2 to halfwords */
        if (rot)
            v = ir_shift(b, IR_ROR, v, rot, 0);
        bool sign = (arg & EXT_KIND) == EXT_SXTB16;
        if (!sign && !(arg & EXT_ADD)) {
            r = emit2(x, IR_AND, v, imm32(x, 0x00ff00ff));
            break;
        }
        enum ir_op field = sign ? IR_SBFX : IR_UBFX;
        lo = ir_field(b, field, v, 0, 8);
        hi = ir_field(b, field, v, 16, 8);
        if (arg & EXT_ADD) {
            lo = emit2(x, IR_ADD, lo, n);
            hi = emit2(x, IR_ADD, hi, ir_shift(b, IR_SHR, n, 16, 0));
        }
        lo = ir_un(b, IR_UXTH, lo);
        put_reg(x, F('d'), emit2(x, IR_OR, lo, ir_shift(b, IR_SHL, hi, 16, 0)));
        return;
    }
    }
    if (arg & EXT_ADD)
        r = emit2(x, IR_ADD, n, r);
    put_reg(x, F('d'), r);
}

void op_unary(struct xlate *x, uint32_t arg)
{
    UNPRED15("dm");
    ir_val v = get_reg(x, F('m'));
    switch (arg) {
    case UN_REV: v = ir_un(x->b, IR_REV, v); break;
    case UN_REV16: v = ir_un(x->b, IR_REV16, v); break;
    case UN_REVSH: v = ir_un(x->b, IR_SXTH, ir_un(x->b, IR_REV16, v)); break;
    case UN_CLZ: v = ir_un(x->b, IR_CLZ, v); break;
    case UN_RBIT: v = call(x, HELPER_RBIT, v, IR_NONE, IR_NONE); break;
    }
    put_reg(x, F('d'), v);
}

/* -- Bit fields: an lsb and width that leave the word are UNPREDICTABLE: Undefined ------------------------------------ */

void op_bfx(struct xlate *x, uint32_t arg)
{
    UNPRED15("dn");
    unsigned lsb = F('j'), width = F('b') + 1;
    if (lsb + width > 32) {
        undefined(x);
        return;
    }
    ir_val v = get_reg(x, F('n'));
    if (width < 32)
        v = ir_field(x->b, (enum ir_op)arg, v, lsb, width);
    put_reg(x, F('d'), v);
}

void op_bfi(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dn");
    unsigned lsb = F('j'), msb = F('b');
    if (msb < lsb) {
        undefined(x);
        return;
    }
    ir_val v = get_reg(x, F('n'));
    if (msb - lsb < 31)
        v = ir_emit(x->b, IR_BFI, 0, 0, get_reg(x, F('d')), v, IR_NONE, lsb, msb - lsb + 1);
    put_reg(x, F('d'), v);
}

void op_bfc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("d");
    unsigned lsb = F('j'), msb = F('b');
    if (msb < lsb) {
        undefined(x);
        return;
    }
    uint32_t mask = (uint32_t)((UINT64_C(1) << (msb - lsb + 1)) - 1) << lsb;
    put_reg(x, F('d'), emit2(x, IR_AND, get_reg(x, F('d')), imm32(x, ~mask)));
}

/* y: the top half is Rn's (PKHBT) or Rm's comes below (PKHTB). */
void op_pkh(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    ir_val n = get_reg(x, F('n'));
    ir_val m = shift_imm(x, get_reg(x, F('m')), F('y') ? SH_ASR : SH_LSL, F('k'), 0);
    ir_val low = F('y') ? m : n, high = F('y') ? n : m;
    put_reg(x, F('d'), emit2(x, IR_OR, ir_un(x->b, IR_UXTH, low), emit2(x, IR_AND, high, imm32(x, 0xffff0000))));
}

/* -- Saturation, parallel arithmetic: helpers ------------------------------------------------------------------------------ */

void op_qarith(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnm");
    put_reg(x, F('d'), call(x, (enum helper_id)arg, get_reg(x, F('m')), get_reg(x, F('n')), IR_NONE));
}

void op_parallel(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnm");
    put_reg(x, F('d'), call(x, (enum helper_id)arg, get_reg(x, F('n')), get_reg(x, F('m')), IR_NONE));
}

/* SSAT's field is the width less one, USAT's the width. */
static ir_val sat_width(struct xlate *x, uint32_t arg)
{
    return imm32(x, F('i') + (arg == HELPER_SSAT || arg == HELPER_SSAT16));
}

void op_sat(struct xlate *x, uint32_t arg)
{
    UNPRED15("dn");
    if (x->thumb && F('y') && !F('k')) { /* SSAT16 or USAT16 with a should-be bit wrong */
        undefined(x);
        return;
    }
    ir_val v = shift_imm(x, get_reg(x, F('n')), F('y') ? SH_ASR : SH_LSL, F('k'), 0);
    put_reg(x, F('d'), call(x, (enum helper_id)arg, v, sat_width(x, arg), IR_NONE));
}

void op_sat16(struct xlate *x, uint32_t arg)
{
    UNPRED15("dn");
    put_reg(x, F('d'), call(x, (enum helper_id)arg, get_reg(x, F('n')), sat_width(x, arg), IR_NONE));
}

void op_usad8(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnm");
    put_reg(x, F('d'), call(x, HELPER_USAD8, get_reg(x, F('n')), get_reg(x, F('m')), IR_NONE));
}

void op_usada8(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("dnma");
    ir_val sum = call(x, HELPER_USAD8, get_reg(x, F('n')), get_reg(x, F('m')), IR_NONE);
    put_reg(x, F('d'), emit2(x, IR_ADD, sum, get_reg(x, F('a'))));
}
