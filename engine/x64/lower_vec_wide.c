/*
 * lower_vec_wide.c — vector operations that widen, narrow, or move elements between lanes
 */
#include "engine/x64/vec.h"

/* -- Widening ---------------------------------------------------------------------------------------------------- */

/* Lanes of 8 << log2 bits of src's low half to twice the width. */
static void extend(struct vec *v, unsigned log2, bool is_unsigned, int dst, int src)
{
    static const uint32_t op[2][3] = {{VX_PMOVSXBW, VX_PMOVSXWD, VX_PMOVSXDQ}, {VX_PMOVZXBW, VX_PMOVZXWD, VX_PMOVZXDQ}};

    vx2(v, op[is_unsigned][log2], dst, src);
}

/* n, perhaps already wide, plus or minus m */
static bool add_wide(struct vec *v, unsigned log2, bool is_unsigned, bool sub)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    extend(v, log2, is_unsigned, X0, m);
    if (!v->nq) {
        extend(v, log2, is_unsigned, X1, n);
        n = X1;
    }
    vx(v, vec_add_op(log2 + 1, sub), t, n, X0);
    return vec_done(v, t);
}

static bool multiply_wide(struct vec *v, unsigned log2, bool is_unsigned, int accumulate)
{
    int n = vec_n(v), m = vec_m(v), d = accumulate ? vec_d(v) : NO_REG, t = vreg_temp(v->x);

    switch (log2) {
    case 0:
        extend(v, 0, is_unsigned, X0, n);
        extend(v, 0, is_unsigned, X1, m);
        vx(v, VX_PMULLW, t, X0, X1);
        break;
    case 1:
        vx(v, VX_PMULLW, X0, n, m);
        vx(v, is_unsigned ? VX_PMULHUW : VX_PMULHW, X1, n, m);
        vx(v, VX_PUNPCKLWD, t, X0, X1);
        break;
    default:
        extend(v, 2, true, X0, n);
        extend(v, 2, true, X1, m);
        vx(v, is_unsigned ? VX_PMULUDQ : VX_PMULDQ, t, X0, X1);
    }
    if (accumulate)
        vx(v, vec_add_op(log2 + 1, accumulate < 0), t, d, t);
    return vec_done(v, t);
}

/* Polynomials: exclusive or of n shifted by each bit that is set in m. */
static bool multiply_polynomials(struct vec *v)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    extend(v, 0, true, X0, n);
    extend(v, 0, true, X1, m);
    vx(v, VX_PXOR, t, t, t);
    for (unsigned k = 0; k < 8; k++) {
        vec_shl(v, 1, X2, X1, 15 - k);
        vec_shr(v, 1, false, X2, X2, 15);
        vx(v, VX_PAND, X2, X2, X0);
        vx(v, VX_PXOR, t, t, X2);
        if (k < 7)
            vec_shl(v, 1, X0, X0, 1);
    }
    return vec_done(v, t);
}

static bool shift_wide(struct vec *v, unsigned log2, bool is_unsigned)
{
    int n = vec_n(v), t = vreg_temp(v->x);

    extend(v, log2, is_unsigned, t, n);
    if (v->imm)
        vec_shl(v, log2 + 1, t, t, v->imm);
    return vec_done(v, t);
}

/* -- Narrowing ----------------------------------------------------------------------------------------------------- */

/* The low halves of src's elements, of 8 << log2 bits. */
static void narrow(struct vec *v, unsigned log2, int dst, int src)
{
    if (log2 == 2) {
        vxi(v, VX_PSHUFD, dst, NO_REG, src, 0x88);
        return;
    }
    vec_shl(v, log2 + 1, dst, src, 8u << log2);
    vec_shr(v, log2 + 1, log2 == 0, dst, dst, 8u << log2);
    vx(v, log2 == 0 ? VX_PACKUSWB : VX_PACKSSDW, dst, dst, dst);
}

static bool shift_narrow(struct vec *v, unsigned log2, bool round)
{
    int n = vec_n(v), t = vreg_temp(v->x);

    if (v->imm) {
        if (round)
            vec_shr_rounded(v, log2 + 1, true, X0, n, v->imm);
        else
            vec_shr(v, log2 + 1, true, X0, n, v->imm);
        n = X0;
    }
    narrow(v, log2, t, n);
    return vec_done(v, t);
}

static bool add_narrow(struct vec *v, unsigned log2, bool sub, bool round)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    vx(v, vec_add_op(log2 + 1, sub), X0, n, m);
    if (round)
        vec_shr_rounded(v, log2 + 1, true, X0, X0, 8u << log2);
    else
        vec_shr(v, log2 + 1, true, X0, X0, 8u << log2);
    narrow(v, log2, t, X0);
    return vec_done(v, t);
}

/* Saturated: what comes out, made wide again, is the same unless something was. */
enum from_to { S_TO_S, U_TO_U, S_TO_U };

static bool saturate_narrow(struct vec *v, unsigned log2, enum from_to how, bool round)
{
    if (log2 == 2)
        return false;
    flags_clobber(v->x);
    int n = vec_n(v), t = vreg_temp(v->x);
    if (v->imm) {
        if (round)
            vec_shr_rounded(v, log2 + 1, how == U_TO_U, X0, n, v->imm);
        else
            vec_shr(v, log2 + 1, how == U_TO_U, X0, n, v->imm);
        n = X0;
    }
    if (how == U_TO_U) {
        vx(v, VX_PCMPEQD, X1, X1, X1);
        vec_shr(v, log2 + 1, true, X1, X1, 8u << log2);
        vx(v, log2 == 0 ? VX_PMINUW : VX_PMINUD, X1, X1, n);
        vx(v, log2 == 0 ? VX_PACKUSWB : VX_PACKUSDW, t, X1, X1);
    } else {
        if (how == S_TO_S)
            vx(v, log2 == 0 ? VX_PACKSSWB : VX_PACKSSDW, t, n, n);
        else
            vx(v, log2 == 0 ? VX_PACKUSWB : VX_PACKUSDW, t, n, n);
        extend(v, log2, how == S_TO_U, X1, t);
    }
    vx(v, VX_PXOR, X1, X1, n);
    vec_saturated(v, X1, true);
    return vec_done(v, t);
}

/* -- Pairs ----------------------------------------------------------------------------------------------------------- */

static bool pairs_long(struct vec *v, unsigned log2, bool is_unsigned, bool accumulate)
{
    int n = vec_n(v), d = accumulate ? vec_d(v) : NO_REG, t = vreg_temp(v->x);
    unsigned half = 8u << log2;

    vec_shl(v, log2 + 1, X0, n, half);
    vec_shr(v, log2 + 1, is_unsigned, X0, X0, half);
    vec_shr(v, log2 + 1, is_unsigned, X1, n, half);
    vx(v, vec_add_op(log2 + 1, false), t, X0, X1);
    if (accumulate)
        vx(v, vec_add_op(log2 + 1, false), t, t, d);
    return vec_done(v, t);
}

/* Elements of even number to the low half, of odd number to the high one. */
static void even_odd(struct vec *v, unsigned log2, int dst, int src)
{
    if (log2 == 2)
        vxi(v, VX_PSHUFD, dst, NO_REG, src, 0xd8);
    else
        vxp(v, VX_PSHUFB, dst, src, log2 == 0 ? POOL_EVEN_ODD_8 : POOL_EVEN_ODD_16);
}

static bool pairwise(struct vec *v, unsigned log2, uint32_t op)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    vx(v, VX_PUNPCKLQDQ, X0, n, m);
    even_odd(v, log2, X0, X0);
    vx(v, VX_PUNPCKHQDQ, X1, X0, X0);
    vx(v, op, t, X0, X1);
    return vec_done(v, t);
}

/* -- Between two registers --------------------------------------------------------------------------------------------- */

static const uint32_t low_op[3] = {VX_PUNPCKLBW, VX_PUNPCKLWD, VX_PUNPCKLDQ};
static const uint32_t high_op[3] = {VX_PUNPCKHBW, VX_PUNPCKHWD, VX_PUNPCKHDQ};

/* VSWP, VTRN, VUZP, VZIP */
bool lower_vec_permute(struct vec *v, uint32_t what)
{
    unsigned kind = what & 15, log2 = what >> 4, half = 8u << log2;

    v->mq = v->dq;
    int d = vec_d(v), m = vec_m(v), t = vreg_temp(v->x), u = vreg_temp(v->x);
    switch (kind) {
    case PERMUTE_SWP:
        vx2(v, VX_MOVAPS, t, m);
        vx2(v, VX_MOVAPS, u, d);
        break;
    case PERMUTE_TRN:
        vec_shl(v, log2 + 1, X0, d, half);
        vec_shr(v, log2 + 1, true, X0, X0, half);
        vec_shl(v, log2 + 1, X1, m, half);
        vx(v, VX_POR, t, X0, X1);
        vec_shr(v, log2 + 1, true, X0, m, half);
        vec_shl(v, log2 + 1, X0, X0, half);
        vec_shr(v, log2 + 1, true, X1, d, half);
        vx(v, VX_POR, u, X0, X1);
        break;
    case PERMUTE_UZP:
        if (v->dq) {
            even_odd(v, log2, X0, d);
            even_odd(v, log2, X1, m);
            vx(v, VX_PUNPCKLQDQ, t, X0, X1);
            vx(v, VX_PUNPCKHQDQ, u, X0, X1);
        } else {
            vx(v, VX_PUNPCKLQDQ, t, d, m);
            even_odd(v, log2, t, t);
            vx(v, VX_PUNPCKHQDQ, u, t, t);
        }
        break;
    default:
        vx(v, low_op[log2], t, d, m);
        if (v->dq)
            vx(v, high_op[log2], u, d, m);
        else
            vx(v, VX_PUNPCKHQDQ, u, t, t);
    }
    vreg_put(v->x, u, v->m, v->dq ? 16 : 8);
    return vec_done(v, t);
}

/* VTBL. An index beyond its table gets its bit 7 set by the saturating addition, for which pshufb gives 0. VTBX: a call. */
bool lower_vec_table(struct vec *v)
{
    unsigned length = v->arg[1];

    if (v->arg[2])
        return false;
    int m = vreg_get(v->x, v->m, 8), n = vreg_get(v->x, v->n, length == 1 ? 8 : 16);
    int high = length == 4 ? vreg_get(v->x, v->n + 16, 16) : X2, t = vreg_temp(v->x);
    if (length == 1) { /* 0..7 become 0x78..0x7f */
        vx(v, VX_PUNPCKLQDQ, X0, n, n);
        n = X0;
    }
    vxp(v, VX_PADDUSB, X1, m, length == 1 ? POOL_BYTES_78 : POOL_BYTES_70);
    vx(v, VX_PSHUFB, t, n, X1);
    if (length > 2) {
        if (length == 3)
            vreg_load(v->x, X2, v->n + 16, 8);  /* zeros above */
        vxp(v, VX_PADDB, X3, m, POOL_BYTES_F0); /* less 16 */
        vxp(v, VX_PADDUSB, X3, X3, POOL_BYTES_70);
        vx(v, VX_PSHUFB, X3, high, X3);
        vx(v, VX_POR, t, t, X3);
    }
    return vec_done(v, t);
}

/* VLD2, VLD4 after their loads, VST2, VST4 before their stores. */
bool lower_vec_structure(struct vec *v, bool load)
{
    struct xlate *x = v->x;
    unsigned count = v->arg[1] & 15, step = 8 * (v->arg[1] >> 4 & 15), log2 = v->arg[1] >> 8;
    unsigned d = v->d;
    struct x64_mem to = vmem(offsetof(struct vcpu, vtmp)), to_high = to;

    to_high.disp += 16;
    if ((count != 2 && count != 4) || log2 > 2)
        return false;
    int a = vreg_get(x, d, 8), b = vreg_get(x, d + step, 8);
    if (count == 2) {
        if (!load) {
            vx(v, low_op[log2], X0, a, b);
            asm_vex_rrm(v->a, VX_MOVUPS_ST, X0, NO_REG, to);
            return true;
        }
        int t = vreg_temp(x), u = vreg_temp(x);
        vx(v, VX_PUNPCKLQDQ, t, a, b);
        even_odd(v, log2, t, t);
        vx(v, VX_PUNPCKHQDQ, u, t, t);
        vreg_put(x, t, d, 8);
        vreg_put(x, u, d + step, 8);
        return true;
    }
    /* Four by four elements of a word's quarter, half or whole. */
    int c = vreg_get(x, d + 2 * step, 8), e = vreg_get(x, d + 3 * step, 8);
    vx(v, VX_PUNPCKLQDQ, X0, a, b);
    vx(v, VX_PUNPCKLQDQ, X1, c, e);
    if (!load) {
        vxi(v, VX_SHUFPS, X2, X0, X1, 0x88);
        vxi(v, VX_SHUFPS, X3, X0, X1, 0xdd);
        if (log2 < 2) {
            vxp(v, VX_PSHUFB, X2, X2, log2 ? POOL_EVEN_ODD_16 : POOL_QUARTERS_8);
            vxp(v, VX_PSHUFB, X3, X3, log2 ? POOL_EVEN_ODD_16 : POOL_QUARTERS_8);
        }
        asm_vex_rrm(v->a, VX_MOVUPS_ST, X2, NO_REG, to);
        asm_vex_rrm(v->a, VX_MOVUPS_ST, X3, NO_REG, to_high);
        return true;
    }
    if (log2 < 2) {
        vxp(v, VX_PSHUFB, X0, X0, log2 ? POOL_QUARTERS_16 : POOL_QUARTERS_8);
        vxp(v, VX_PSHUFB, X1, X1, log2 ? POOL_QUARTERS_16 : POOL_QUARTERS_8);
    }
    vx(v, VX_PUNPCKLDQ, X2, X0, X1);
    vx(v, VX_PUNPCKHDQ, X3, X0, X1);
    for (unsigned k = 0; k < 4; k++) {
        int t = vreg_temp(x), from = k < 2 ? X2 : X3;
        if (k & 1)
            vx(v, VX_PUNPCKHQDQ, t, from, from);
        else
            vx2(v, VX_MOVAPS, t, from);
        vreg_put(x, t, d + k * step, 8);
    }
    return true;
}

/* -- All --------------------------------------------------------------------------------------------------------------- */

bool lower_vec_wide(struct vec *v)
{
    enum vec_op op = v->op;

#define S_OR_U is_unsigned ? U_TO_U : S_TO_S
    switch (op) {
        EACH_SIGNED3(addl, add_wide(v, log2, is_unsigned, false))
        EACH_SIGNED3(addw, add_wide(v, log2, is_unsigned, false))
        EACH_SIGNED3(subl, add_wide(v, log2, is_unsigned, true))
        EACH_SIGNED3(subw, add_wide(v, log2, is_unsigned, true))
        EACH_SIGNED3(mull, multiply_wide(v, log2, is_unsigned, 0))
        EACH_SIGNED3(mlal, multiply_wide(v, log2, is_unsigned, 1))
        EACH_SIGNED3(mlsl, multiply_wide(v, log2, is_unsigned, -1))
    case VOP_pmull:
        return multiply_polynomials(v);
        EACH_SIGNED3(shll, shift_wide(v, log2, is_unsigned))
        EACH_SIZES(movn, 32, shift_narrow(v, log2, false))
        EACH_SIZES(shrn, 32, shift_narrow(v, log2, false))
        EACH_SIZES(rshrn, 32, shift_narrow(v, log2, true))
        EACH_SIZES(addhn, 32, add_narrow(v, log2, false, false))
        EACH_SIZES(raddhn, 32, add_narrow(v, log2, false, true))
        EACH_SIZES(subhn, 32, add_narrow(v, log2, true, false))
        EACH_SIZES(rsubhn, 32, add_narrow(v, log2, true, true))
        EACH_SIGNED3(qmovn, saturate_narrow(v, log2, S_OR_U, false))
        EACH_SIGNED3(qshrn, saturate_narrow(v, log2, S_OR_U, false))
        EACH_SIGNED3(qrshrn, saturate_narrow(v, log2, S_OR_U, true))
        EACH_SIZES(qmovun, 32, saturate_narrow(v, log2, S_TO_U, false))
        EACH_SIZES(qshrun, 32, saturate_narrow(v, log2, S_TO_U, false))
        EACH_SIZES(qrshrun, 32, saturate_narrow(v, log2, S_TO_U, true))
        EACH_SIGNED3(paddl, pairs_long(v, log2, is_unsigned, false))
        EACH_SIGNED3(padal, pairs_long(v, log2, is_unsigned, true))
        EACH_SIZES(padd, 32, pairwise(v, log2, vec_add_op(log2, false)))
        EACH_SIGNED3(pmax, pairwise(v, log2, vec_max_op[is_unsigned][log2]))
        EACH_SIGNED3(pmin, pairwise(v, log2, vec_min_op[is_unsigned][log2]))
    default: return false;
    }
}
