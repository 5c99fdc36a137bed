/*
 * lower_fp.c — VFP arithmetic on the host's scalar SSE, with the helper behind it for what is not common
 *
 * The front end calls helpers with numbers of registers (ir/helpers.def); those here are done in the straight line when
 * the block's key says that FPSCR rounds to nearest and does not flush (not TBF_VFP_MODE), and when at run time:
 *   FPSCR.IXC is set already, where the result may be inexact: the only exception that a result which passes the next check can
 *     raise, so nothing need be known about it;
 *   the result is normal, finite, and above the least normal number in magnitude. Then no operand was a NaN (the result
 *     would be one), nor was there an invalid operation, division by zero or overflow (in rounding to nearest that is an
 *     infinity). Tininess, which ARM detects before rounding and x86 after it, plays no part above the least normal
 *     number. Denormal operands are exact on both sides (MXCSR has DAZ clear, FZ is clear);
 *   or the result is a zero that is exact: of a sum or difference always (no sum of two numbers is tiny and not exact), of a
 *     product, a quotient or a narrowing if an operand is zero, of a root always. The sign is IEEE's on both sides.
 * In all other cases the helper does the whole operation again; the destination has not been written yet. MXCSR is
 * in its default state while translated code runs (arm/fp.c keeps it so), but for sticky flags that nobody reads.
 *
 * Multiply-accumulates round twice: product and sum are checked each. Comparisons cannot be inexact; only unordered ones
 * go to the helper. Conversions to integers: a result that does not fit is a number that sign- or zero-extension does not
 * give back; cvt*2si makes 1 << 63 of it.
 */
#include "engine/x64/emit.h"

#include "engine/ir/helpers.h"
#include "engine/vcpu/key.h"
#include "engine/x64/asm_vex.h"

/* xmm registers above those that vregs.c manages */
enum { TMP0 = KEPT_XMM, TMP1 };

/* -- Pieces ---------------------------------------------------------------------------------------------------- */

static void need_inexact_set(struct xlate *x, struct slow_call *s)
{
    asm_test_mi(&x->a, 1, VFIELD(fpscr), VCPU_FPSCR_IXC);
    asm_jcc(&x->a, CC_E, &s->entry);
}

/* To `to` unless xmm is normal, not infinite, and more than a little above the least normal number. */
static void check(struct x64_asm *a, bool wide, int xmm, int tmp, struct x64_label *to)
{
    /* Twice the (high) word, so without the sign, minus twice the least number that passes. */
    const uint32_t least = wide ? 0x00100001 : 0x00800001, most = wide ? 0x7fefffff : 0x7f7fffff;

    if (wide)
        asm_vex_rrri(a, VX_PEXTRD, xmm, NO_REG, tmp, 1);
    else
        asm_vex_bits(a, false, tmp, xmm);
    asm_lea(a, 4, tmp, mem_bi(tmp, tmp, 1, -(int32_t)(2 * least)));
    asm_alu_ri(a, ALU_CMP, 4, tmp, 2 * (most - least));
    asm_jcc(a, CC_A, to);
}

/* The sign bit(s) of the low element. */
static void sign_mask(struct x64_asm *a, bool wide, int xmm)
{
    asm_vex_rrr(a, VX_PCMPEQD, xmm, xmm, xmm);
    asm_vex_shift(a, wide ? VX_PSLLQ_I : VX_PSLLD_I, xmm, xmm, wide ? 63 : 31);
}

static uint32_t scalar(uint32_t op, bool wide)
{
    return wide ? op : VX_SINGLE(op);
}

struct args {
    bool wide;
    unsigned len;
    uint32_t v[3];
    unsigned n;
};

static unsigned reg_off(unsigned reg, bool wide)
{
    return reg * (wide ? 8 : 4);
}

/* The end of an operation whose result is in s->result and has been checked. */
static void finish(struct xlate *x, struct slow_call *s, unsigned off, unsigned len)
{
    vreg_put(x, s->result, off, len);
    asm_bind(&x->a, &s->back);
    s->reload = true;
    s->off = (uint8_t)off;
    s->len = (uint8_t)len;
}

/* -- Arithmetic -------------------------------------------------------------------------------------------------- */

/* Operands n, of binary operations m, and unless NULL *d; a register for the result; IXC is looked at. */
static struct slow_call *begin(struct xlate *x, const struct args *g, enum zero_kind kind, int *d)
{
    flags_clobber(x);
    int tmp = alloc_temp(x, NO_REG);
    int n = vreg_get(x, reg_off(g->v[1], g->wide), g->len);
    int m = g->n > 2 ? vreg_get(x, reg_off(g->v[2], g->wide), g->len) : NO_REG;
    if (d)
        *d = vreg_get(x, reg_off(g->v[0], g->wide), g->len);
    int t = vreg_temp(x);
    struct slow_call *s = slow_new(x, g->n, g->v);
    s->kind = kind;
    s->wide = g->wide;
    s->tmp = (int8_t)tmp;
    s->n = (int8_t)n;
    s->m = (int8_t)m;
    s->result = (int8_t)t;
    need_inexact_set(x, s);
    return s;
}

static void check_result(struct x64_asm *a, struct slow_call *s)
{
    check(a, s->wide, s->result, s->tmp, &s->zero);
    asm_bind(a, &s->back_ok);
}

static bool binary(struct xlate *x, const struct args *g, uint32_t op, enum zero_kind kind, bool negate)
{
    struct x64_asm *a = &x->a;
    struct slow_call *s = begin(x, g, kind, NULL);

    asm_vex_rrr(a, scalar(op, g->wide), s->result, s->n, s->m);
    check_result(a, s);
    if (negate) {
        sign_mask(a, g->wide, TMP0);
        asm_vex_rrr(a, VX_PXOR, s->result, s->result, TMP0);
    }
    finish(x, s, reg_off(g->v[0], g->wide), g->len);
    return true;
}

static bool root(struct xlate *x, const struct args *g)
{
    struct slow_call *s = begin(x, g, ZERO_EXACT, NULL);

    asm_vex_rrr(&x->a, scalar(VX_SQRTSD, g->wide), s->result, s->n, s->n);
    check_result(&x->a, s);
    finish(x, s, reg_off(g->v[0], g->wide), g->len);
    return true;
}

/* d = (negate_d ? -d : d) + (negate_product ? -(n * m) : n * m), rounded twice. x - y is x + -y in all cases but NaNs. */
static bool accumulate(struct xlate *x, const struct args *g, bool negate_d, bool negate_product)
{
    struct x64_asm *a = &x->a;
    int d;
    struct slow_call *s = begin(x, g, ZERO_EXACT, &d);
    int t = s->result;

    s->product = TMP0;
    s->product_zero = s->product_ok = (struct x64_label)X64_LABEL_INIT;
    asm_vex_rrr(a, scalar(VX_MULSD, g->wide), TMP0, s->n, s->m);
    check(a, g->wide, TMP0, s->tmp, &s->product_zero);
    asm_bind(a, &s->product_ok);
    if (negate_d && negate_product) {
        sign_mask(a, g->wide, TMP1);
        asm_vex_rrr(a, VX_PXOR, TMP1, TMP1, d);
        asm_vex_rrr(a, scalar(VX_SUBSD, g->wide), t, TMP1, TMP0);
    } else if (negate_d) {
        asm_vex_rrr(a, scalar(VX_SUBSD, g->wide), t, TMP0, d);
    } else {
        asm_vex_rrr(a, scalar(negate_product ? VX_SUBSD : VX_ADDSD, g->wide), t, d, TMP0);
    }
    check_result(a, s);
    finish(x, s, reg_off(g->v[0], g->wide), g->len);
    return true;
}

/* The same rounded once. A zero may be what is left of a tiny product: to the helper. */
static bool fused(struct xlate *x, const struct args *g, uint32_t op)
{
    struct x64_asm *a = &x->a;
    int d;

    if (!x64_host.fma)
        return false;
    struct slow_call *s = begin(x, g, ZERO_NEVER, &d);
    asm_vex_rrr(a, VX_MOVAPS, s->result, NO_REG, d);
    asm_vex_rrr(a, g->wide ? op | VX_W : op, s->result, s->n, s->m);
    check_result(a, s);
    finish(x, s, reg_off(g->v[0], g->wide), g->len);
    return true;
}

/* Moves of bits: any FPSCR, any value. */
enum sign { SIGN_KEEP, SIGN_CLEAR, SIGN_FLIP };

static bool move(struct xlate *x, const struct args *g, enum sign how)
{
    struct x64_asm *a = &x->a;
    int m = vreg_get(x, reg_off(g->v[1], g->wide), g->len), t = vreg_temp(x);

    if (how == SIGN_KEEP) {
        asm_vex_rrr(a, VX_MOVAPS, t, NO_REG, m);
    } else {
        sign_mask(a, g->wide, TMP0);
        asm_vex_rrr(a, how == SIGN_CLEAR ? VX_PANDN : VX_PXOR, t, TMP0, m);
    }
    vreg_put(x, t, reg_off(g->v[0], g->wide), g->len);
    return true;
}

/* -- Comparison ---------------------------------------------------------------------------------------------------- */

/* ucomis* tells more, less and equal by CF and ZF; a comparison of the bytes more and less sets all flags as ARM's. */
static bool compare(struct xlate *x, const struct args *g)
{
    struct x64_asm *a = &x->a;
    bool with_zero = g->v[2] & 2;

    flags_clobber(x);
    alloc_take(x, RAX);
    int less = alloc_temp(x, NO_REG);
    int n = vreg_get(x, reg_off(g->v[0], g->wide), g->len);
    int m = with_zero ? TMP0 : vreg_get(x, reg_off(g->v[1], g->wide), g->len);
    struct slow_call *s = slow_new(x, g->n, g->v);
    s->kind = ZERO_NEVER;
    if (with_zero)
        asm_vex_rrr(a, VX_PXOR, m, m, m);
    asm_vex_rrr(a, g->wide ? VX_UCOMISD : VX_UCOMISS, n, NO_REG, m);
    asm_jcc(a, CC_P, &s->entry);
    asm_setcc(a, CC_A, RAX);
    asm_setcc(a, CC_B, less);
    asm_alu_rr(a, ALU_CMP, 1, RAX, less);
    asm_lahf(a);
    asm_mov_ri8(a, RAX, 0);
    asm_store(a, 2, VFIELD(fpcc_v), RAX);
    asm_bind(a, &s->back);
    return true;
}

/* Flags from FPSCR, as comparisons leave them. 127 + V overflows if V is 1. */
void lower_fp_flags(struct xlate *x)
{
    if (!x->in->s)
        return;
    flags_clobber(x);
    alloc_take(x, RAX);
    asm_load(&x->a, 2, RAX, VFIELD(fpcc_v));
    asm_alu_ri(&x->a, ALU_ADD, 1, RAX, 0x7f);
    asm_sahf(&x->a);
    flags_set(x, x->in->s, FLAG_ALL, true, NULL);
}

/* -- Conversions --------------------------------------------------------------------------------------------------- */

/* g->wide: of the source */
static bool to_int(struct xlate *x, const struct args *g)
{
    struct x64_asm *a = &x->a;
    bool is_unsigned = g->v[2] & 1;
    unsigned to = reg_off(g->v[0], false);

    flags_clobber(x);
    int r = alloc_temp(x, NO_REG), t = alloc_temp(x, NO_REG);
    int m = vreg_get(x, reg_off(g->v[1], g->wide), g->len);
    struct slow_call *s = slow_new(x, g->n, g->v);
    s->kind = ZERO_NEVER;
    need_inexact_set(x, s);
    asm_vex_rrr(a, scalar(g->v[2] & 2 ? VX_CVTTSD2SI : VX_CVTSD2SI, g->wide) | VX_W, r, NO_REG, m);
    if (is_unsigned)
        asm_mov_rr(a, 4, t, r);
    else
        asm_movsxd(a, t, r);
    asm_alu_rr(a, ALU_CMP, 8, t, r);
    asm_jcc(a, CC_NE, &s->entry);
    asm_store(a, 4, vmem(offsetof(struct vcpu, vfp) + to), r);
    asm_bind(a, &s->back);
    vreg_wrote(x, to, 4);
    return true;
}

/* g->wide: of the result, which then is exact */
static bool from_int(struct xlate *x, const struct args *g)
{
    struct x64_asm *a = &x->a;
    struct x64_mem from = vmem(offsetof(struct vcpu, vfp) + reg_off(g->v[1], false));
    bool is_unsigned = g->v[2] & 1;
    struct slow_call *s = NULL;

    if (!g->wide)
        flags_clobber(x);
    int r = is_unsigned ? alloc_temp(x, NO_REG) : NO_REG, t = vreg_temp(x);
    if (!g->wide) {
        s = slow_new(x, g->n, g->v);
        s->kind = ZERO_NEVER;
        s->result = (int8_t)t;
        need_inexact_set(x, s);
    }
    asm_vex_rrr(a, VX_PXOR, t, t, t); /* what it was is no operand */
    if (is_unsigned) {
        asm_load(a, 4, r, from);
        asm_vex_rrr(a, scalar(VX_CVTSI2SD, g->wide) | VX_W, t, t, r);
    } else {
        asm_vex_rrm(a, scalar(VX_CVTSI2SD, g->wide), t, t, from);
    }
    if (s)
        finish(x, s, reg_off(g->v[0], g->wide), g->len);
    else
        vreg_put(x, t, reg_off(g->v[0], g->wide), g->len);
    return true;
}

/* Single from double if `narrow`: rounded, tiny or too large perhaps. Double from single: exact but for NaNs. */
static bool change_width(struct xlate *x, const struct args *g, bool narrow)
{
    struct x64_asm *a = &x->a;

    flags_clobber(x);
    int tmp = alloc_temp(x, NO_REG);
    int m = vreg_get(x, reg_off(g->v[1], narrow), narrow ? 8 : 4), t = vreg_temp(x);
    struct slow_call *s = slow_new(x, g->n, g->v);
    s->tmp = (int8_t)tmp;
    s->result = (int8_t)t;
    s->wide = !narrow;
    if (narrow) {
        s->kind = ZERO_OF_WIDE_N;
        s->n = (int8_t)m;
        need_inexact_set(x, s);
        asm_vex_rrr(a, VX_CVTSD2SS, t, m, m);
    } else {
        s->kind = ZERO_EXACT;
        asm_vex_rrr(a, VX_CVTSS2SD, t, m, m);
    }
    check_result(a, s);
    finish(x, s, reg_off(g->v[0], !narrow), narrow ? 4 : 8);
    return true;
}

/* -- All ------------------------------------------------------------------------------------------------------------- */

bool lower_fp(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    const ir_val v[3] = {in->a, in->b, in->c};
    struct args g = {.n = ir_helper_info[in->imm].nargs};
    bool common = !(x->req->flags & TBF_VFP_MODE);

    if (!x64_host.avx2 || !x64_stubs.helper_keep[in->imm])
        return false;
    for (unsigned k = 0; k < g.n; k++)
        if (!alloc_const(x, v[k], &g.v[k]))
            return false;
#define BOTH(id, ...)                                    \
 case HELPER_##id##_D: g.wide = true; /* fall through */ \
 case HELPER_##id##_S: g.len = g.wide ? 8 : 4; __VA_ARGS__
    switch (in->imm) {
        BOTH(VMOV, return move(x, &g, SIGN_KEEP));
        BOTH(VABS, return move(x, &g, SIGN_CLEAR));
        BOTH(VNEG, return move(x, &g, SIGN_FLIP));
        BOTH(VADD, return common && binary(x, &g, VX_ADDSD, ZERO_EXACT, false));
        BOTH(VSUB, return common && binary(x, &g, VX_SUBSD, ZERO_EXACT, false));
        BOTH(VMUL, return common && binary(x, &g, VX_MULSD, ZERO_OF_EITHER, false));
        BOTH(VNMUL, return common && binary(x, &g, VX_MULSD, ZERO_OF_EITHER, true));
        BOTH(VDIV, return common && binary(x, &g, VX_DIVSD, ZERO_OF_N, false));
        BOTH(VSQRT, return common && root(x, &g));
        BOTH(VMLA, return common && accumulate(x, &g, false, false));
        BOTH(VMLS, return common && accumulate(x, &g, false, true));
        BOTH(VNMLA, return common && accumulate(x, &g, true, true));
        BOTH(VNMLS, return common && accumulate(x, &g, true, false));
        BOTH(VFMA, return common && fused(x, &g, VX_FMADD231SS));
        BOTH(VFMS, return common && fused(x, &g, VX_FNMADD231SS));
        BOTH(VFNMA, return common && fused(x, &g, VX_FNMSUB231SS));
        BOTH(VFNMS, return common && fused(x, &g, VX_FMSUB231SS));
        BOTH(VCMP, return common && compare(x, &g));
    case HELPER_VCVT_INT_D: g.wide = true; /* fall through */
    case HELPER_VCVT_INT_S: g.len = g.wide ? 8 : 4; return common && to_int(x, &g);
    case HELPER_VCVT_D_INT: g.wide = true; /* fall through */
    case HELPER_VCVT_S_INT: g.len = g.wide ? 8 : 4; return (common || g.wide) && from_int(x, &g);
    case HELPER_VCVT_D_S: return common && change_width(x, &g, false);
    case HELPER_VCVT_S_D: return common && change_width(x, &g, true);
    default: return false;
    }
#undef BOTH
}
