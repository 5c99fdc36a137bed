/*
 * lower_vec_fp.c — Advanced SIMD in single precision on packed SSE, with the helper behind it for what is not common
 *
 * These instructions use the standard FPSCR: to nearest, denormals flushed, default NaNs, whatever the guest's FPSCR says.
 * What lower_fp.c says about results holds for each element, but flushing makes operands matter too:
 *   no operand is denormal (it would count as a zero, and set FPSCR.IDC);
 *   FPSCR.IXC is set, where the result may be inexact;
 *   each result is normal, finite and above the least normal number, or a zero that is exact.
 * Results are flushed, so they are no denormals, those of the helper neither: the xmm register remembers it (vreg.plain), and
 * as the operand of another operation it is not looked at again.
 * Elements above a D register's are not looked at.
 */
#include "engine/ir/helpers.h"
#include "engine/x64/vec.h"

static struct slow_call *slow(struct vec *v, int t)
{
    struct slow_call *s = slow_new(v->x, 3, v->arg);

    s->result = (int8_t)t;
    return s;
}

static void need_inexact_set(struct vec *v, struct slow_call *s)
{
    asm_test_mi(v->a, 1, VFIELD(fpscr), VCPU_FPSCR_IXC);
    asm_jcc(v->a, CC_E, &s->entry);
}

static bool is_plain(const struct vec *v, int xmm)
{
    return xmm < KEPT_XMM && v->x->vreg[xmm].plain;
}

/* X1 = all ones in each element where neither a nor b is denormal; X0, X2 are used. b may be NO_REG. Twice a denormal less 1 is
 * below 0x00ffffff; of a zero it is the largest number. Returns false, having done nothing, when all is known. */
static bool not_denormal(struct vec *v, int a, int b)
{
    if (is_plain(v, a))
        a = NO_REG;
    if (b >= 0 && is_plain(v, b))
        b = NO_REG;
    if (a == NO_REG) {
        a = b;
        b = NO_REG;
    }
    if (a == NO_REG)
        return false;
    vx(v, VX_PCMPEQD, X2, X2, X2);
    vx(v, VX_PADDD, X0, a, a);
    vx(v, VX_PADDD, X0, X0, X2);
    if (b != NO_REG && b != a) {
        vx(v, VX_PADDD, X1, b, b);
        vx(v, VX_PADDD, X1, X1, X2);
        vx(v, VX_PMINUD, X0, X0, X1);
    }
    vxp(v, VX_PMAXUD, X1, X0, POOL_FP_DENORMAL);
    vx(v, VX_PCMPEQD, X1, X1, X0);
    return true;
}

/* To the slow path unless mask is all ones, as far as the destination goes. */
static void require(struct vec *v, struct slow_call *s, int mask, int tmp)
{
    vx2(v, VX_MOVMSKPS, tmp, mask);
    if (!v->dq)
        asm_alu_ri(v->a, ALU_AND, 4, tmp, 3);
    asm_alu_ri(v->a, ALU_CMP, 4, tmp, v->dq ? 15 : 3);
    asm_jcc(v->a, CC_NE, &s->entry);
}

/* Operands a, b and the result t of a sum (product = false) or a product. */
static void check(struct vec *v, struct slow_call *s, int t, int a, int b, bool product, int tmp)
{
    bool operands = not_denormal(v, a, b);

    vx(v, VX_PADDD, X2, t, t);
    vxp(v, VX_PSUBD, X3, X2, POOL_FP_LEAST);
    vxp(v, VX_PMINUD, X4, X3, POOL_FP_SPAN);
    vx(v, VX_PCMPEQD, X3, X3, X4);
    if (product) { /* zero because an operand is */
        vx(v, VX_PADDD, X4, a, a);
        vx(v, VX_PADDD, X5, b, b);
        vx(v, VX_PMINUD, X4, X4, X5);
        vx(v, VX_PMAXUD, X2, X2, X4);
    }
    vx(v, VX_PXOR, X4, X4, X4);
    vx(v, VX_PCMPEQD, X2, X2, X4);
    vx(v, VX_POR, X2, X2, X3);
    if (operands)
        vx(v, VX_PAND, X2, X2, X1);
    require(v, s, X2, tmp);
}

static bool finish(struct vec *v, struct slow_call *s, int t, bool plain)
{
    vec_done(v, t);
    v->x->vreg[t].plain = plain;
    asm_bind(&v->x->a, &s->back);
    s->reload = true;
    s->off = (uint8_t)v->d;
    s->len = v->dq ? 16 : 8;
    return true;
}

static bool arithmetic(struct vec *v, uint32_t op)
{
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    need_inexact_set(v, s);
    vx(v, op, t, n, m);
    check(v, s, t, n, m, op == VX_MULPS, tmp);
    return finish(v, s, t, true);
}

static bool accumulate(struct vec *v, bool sub)
{
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), m = vec_m(v), d = vec_d(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    need_inexact_set(v, s);
    vx(v, VX_MULPS, X6, n, m);
    check(v, s, X6, n, m, true, tmp);
    vx(v, sub ? VX_SUBPS : VX_ADDPS, t, d, X6);
    check(v, s, t, d, d, false, tmp);
    return finish(v, s, t, true);
}

/* Rounded once; any zero goes to the helper, it may be what is left of a tiny product. */
static bool fused(struct vec *v, uint32_t op)
{
    if (!x64_host.fma)
        return false;
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), m = vec_m(v), d = vec_d(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    need_inexact_set(v, s);
    vx2(v, VX_MOVAPS, t, d);
    vx(v, op, t, n, m);
    if (not_denormal(v, n, m))
        vx2(v, VX_MOVAPS, X6, X1);
    else
        vx(v, VX_PCMPEQD, X6, X6, X6);
    if (not_denormal(v, d, NO_REG))
        vx(v, VX_PAND, X6, X6, X1);
    vx(v, VX_PADDD, X2, t, t);
    vxp(v, VX_PSUBD, X3, X2, POOL_FP_LEAST);
    vxp(v, VX_PMINUD, X4, X3, POOL_FP_SPAN);
    vx(v, VX_PCMPEQD, X3, X3, X4);
    vx(v, VX_PAND, X6, X6, X3);
    require(v, s, X6, tmp);
    return finish(v, s, t, true);
}

/* No NaNs and no denormals. */
static void check_ordered(struct vec *v, struct slow_call *s, int n, int m, int tmp)
{
    vxi(v, VX_CMPPS, X3, n, m, 7); /* ordered */
    if (not_denormal(v, n, m))
        vx(v, VX_PAND, X3, X3, X1);
    require(v, s, X3, tmp);
}

/* Of zeros of both signs, maxps and minps give the second: the two ways round differ in the sign only. */
static bool extreme(struct vec *v, bool min)
{
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    check_ordered(v, s, n, m, tmp);
    vx(v, min ? VX_MINPS : VX_MAXPS, X0, n, m);
    vx(v, min ? VX_MINPS : VX_MAXPS, t, m, n);
    vx(v, min ? VX_POR : VX_PAND, t, t, X0);
    return finish(v, s, t, true);
}

enum { CMP_EQ = 0, CMP_LT = 1, CMP_LE = 2 };

static bool compare(struct vec *v, unsigned how)
{
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    check_ordered(v, s, n, m, tmp);
    vxi(v, VX_CMPPS, t, m, n, how); /* m < n */
    return finish(v, s, t, true);
}

static bool compare_zero(struct vec *v, unsigned how, bool swap)
{
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    check_ordered(v, s, n, n, tmp);
    vx(v, VX_PXOR, X0, X0, X0);
    vxi(v, VX_CMPPS, t, swap ? X0 : n, swap ? n : X0, how);
    return finish(v, s, t, true);
}

static bool sign(struct vec *v, uint32_t op, enum pool_entry p)
{
    int n = vec_n(v), t = vreg_temp(v->x);

    vxp(v, op, t, n, p);
    return vec_done(v, t);
}

/* Without fraction bits. */
static bool from_int(struct vec *v)
{
    if (v->imm)
        return false;
    flags_clobber(v->x);
    int n = vec_n(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    need_inexact_set(v, s);
    vx2(v, VX_CVTDQ2PS, t, n);
    return finish(v, s, t, true);
}

/* What does not fit, and NaNs, become 0x80000000; the helper does that number too. */
static bool to_int(struct vec *v)
{
    if (v->imm)
        return false;
    flags_clobber(v->x);
    int tmp = alloc_temp(v->x, NO_REG), n = vec_n(v), t = vreg_temp(v->x);
    struct slow_call *s = slow(v, t);

    need_inexact_set(v, s);
    vx2(v, VX_CVTTPS2DQ, t, n);
    vxp(v, VX_PCMPEQD, X3, t, POOL_SIGN32);
    vx(v, VX_PCMPEQD, X4, X4, X4);
    vx(v, VX_PXOR, X3, X3, X4);
    if (not_denormal(v, n, NO_REG))
        vx(v, VX_PAND, X3, X3, X1);
    require(v, s, X3, tmp);
    return finish(v, s, t, false);
}

bool lower_vec_fp(struct vec *v)
{
    switch (v->op) {
    case VOP_add_f: return arithmetic(v, VX_ADDPS);
    case VOP_sub_f: return arithmetic(v, VX_SUBPS);
    case VOP_mul_f: return arithmetic(v, VX_MULPS);
    case VOP_mla_f: return accumulate(v, false);
    case VOP_mls_f: return accumulate(v, true);
    case VOP_fma_f: return fused(v, VX_FMADD231PS);
    case VOP_fms_f: return fused(v, VX_FNMADD231PS);
    case VOP_max_f: return extreme(v, false);
    case VOP_min_f: return extreme(v, true);
    case VOP_ceq_f: return compare(v, CMP_EQ);
    case VOP_cge_f: return compare(v, CMP_LE);
    case VOP_cgt_f: return compare(v, CMP_LT);
    case VOP_ceq0_f: return compare_zero(v, CMP_EQ, false);
    case VOP_cge0_f: return compare_zero(v, CMP_LE, true);
    case VOP_cgt0_f: return compare_zero(v, CMP_LT, true);
    case VOP_cle0_f: return compare_zero(v, CMP_LE, false);
    case VOP_clt0_f: return compare_zero(v, CMP_LT, false);
    case VOP_abs_f: return sign(v, VX_PAND, POOL_ABS32);
    case VOP_neg_f: return sign(v, VX_PXOR, POOL_SIGN32);
    case VOP_cvt_single_s32: return from_int(v);
    case VOP_cvt_s32_single: return to_int(v);
    default: return false;
    }
}
