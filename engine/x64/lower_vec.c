/*
 * lower_vec.c — Advanced SIMD on the host's vectors: operations lane by lane
 *
 * The front end calls helpers with the number of the operation (ir/vec_ops.def) and those of the registers; what is not here,
 * in lower_vec_wide.c or in lower_vec_fp.c stays a call. Integer operations are exact for all operands, so there is
 * no slow path: that an element was saturated (FPSCR.QC) is found by doing the operation both ways.
 */
#include "engine/x64/vec.h"

#include "engine/ir/helpers.h"

/* -- Sums, comparisons, products -------------------------------------------------------------------------------------- */

/* t = n op m */
static bool simple(struct vec *v, uint32_t op)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    vx(v, op, t, n, m);
    return vec_done(v, t);
}

static bool bitwise(struct vec *v)
{
    int n = vec_n(v), m = vec_m(v), t;

    switch (v->op) {
    case VOP_and: return simple(v, VX_PAND);
    case VOP_eor: return simple(v, VX_PXOR);
    case VOP_orr: return simple(v, VX_POR);
    case VOP_bic:
        t = vreg_temp(v->x);
        vx(v, VX_PANDN, t, m, n);
        break;
    case VOP_orn:
        t = vreg_temp(v->x);
        vx(v, VX_PCMPEQD, X0, X0, X0);
        vx(v, VX_PXOR, X0, X0, m);
        vx(v, VX_POR, t, X0, n);
        break;
    default: { /* a selection: ((x ^ y) & mask) ^ y */
        int d = vec_d(v), x = n, y = v->op == VOP_bsl ? m : d, mask = v->op == VOP_bsl ? d : m;

        if (v->op == VOP_bif) {
            x = d;
            y = n;
        }
        t = vreg_temp(v->x);
        vx(v, VX_PXOR, t, x, y);
        vx(v, VX_PAND, t, t, mask);
        vx(v, VX_PXOR, t, t, y);
    }
    }
    return vec_done(v, t);
}

/* Saturating and plain: do they differ? */
static bool saturating(struct vec *v, uint32_t op, uint32_t plain)
{
    flags_clobber(v->x);
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    vx(v, op, t, n, m);
    vx(v, plain, X0, n, m);
    vx(v, VX_PXOR, X0, X0, t);
    vec_saturated(v, X0, v->dq);
    return vec_done(v, t);
}

static const uint32_t gt_op[3] = {VX_PCMPGTB, VX_PCMPGTW, VX_PCMPGTD};

static void invert(struct vec *v, int t)
{
    vx(v, VX_PCMPEQD, X6, X6, X6);
    vx(v, VX_PXOR, t, t, X6);
}

/* n > m, n >= m */
static bool greater(struct vec *v, unsigned log2, bool is_unsigned, bool or_equal)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    if (or_equal) {
        vx(v, vec_max_op[is_unsigned][log2], t, n, m);
        vx(v, vec_cmpeq_op(log2), t, t, n);
    } else if (is_unsigned) {
        vx(v, vec_max_op[1][log2], t, n, m);
        vx(v, vec_cmpeq_op(log2), t, t, m);
        invert(v, t);
    } else {
        vx(v, gt_op[log2], t, n, m);
    }
    return vec_done(v, t);
}

static bool with_zero(struct vec *v, unsigned log2, uint32_t kind)
{
    int n = vec_n(v), t = vreg_temp(v->x);

    vx(v, VX_PXOR, X0, X0, X0);
    switch (kind) {
    case VOP_ceq0_8: vx(v, vec_cmpeq_op(log2), t, n, X0); break;
    case VOP_cgt0_8: vx(v, gt_op[log2], t, n, X0); break;
    case VOP_clt0_8: vx(v, gt_op[log2], t, X0, n); break;
    case VOP_cle0_8:
        vx(v, gt_op[log2], t, n, X0);
        invert(v, t);
        break;
    case VOP_cge0_8:
        vx(v, gt_op[log2], t, X0, n);
        invert(v, t);
        break;
    default: vx(v, vec_add_op(log2, true), t, X0, n); break; /* neg */
    }
    return vec_done(v, t);
}

static bool test_bits(struct vec *v, unsigned log2)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    vx(v, VX_PAND, t, n, m);
    vx(v, VX_PXOR, X0, X0, X0);
    vx(v, vec_cmpeq_op(log2), t, t, X0);
    invert(v, t);
    return vec_done(v, t);
}

static bool difference(struct vec *v, unsigned log2, bool is_unsigned, bool accumulate)
{
    int n = vec_n(v), m = vec_m(v), d = accumulate ? vec_d(v) : NO_REG, t = vreg_temp(v->x);

    vx(v, vec_max_op[is_unsigned][log2], t, n, m);
    vx(v, vec_min_op[is_unsigned][log2], X0, n, m);
    vx(v, vec_add_op(log2, true), t, t, X0);
    if (accumulate)
        vx(v, vec_add_op(log2, false), t, t, d);
    return vec_done(v, t);
}

/* Products; bytes: of the even and of the odd ones apart. */
static bool multiply(struct vec *v, unsigned log2, int accumulate)
{
    int n = vec_n(v), m = vec_m(v), d = accumulate ? vec_d(v) : NO_REG, t = vreg_temp(v->x);

    if (log2 == 0) {
        vx(v, VX_PMULLW, X0, n, m);
        vec_shl(v, 1, X0, X0, 8);
        vec_shr(v, 1, true, X0, X0, 8);
        vec_shr(v, 1, true, X1, n, 8);
        vec_shr(v, 1, true, X2, m, 8);
        vec_shl(v, 1, X2, X2, 8);
        vx(v, VX_PMULLW, X1, X1, X2);
        vx(v, VX_POR, t, X0, X1);
    } else {
        vx(v, log2 == 1 ? VX_PMULLW : VX_PMULLD, t, n, m);
    }
    if (accumulate)
        vx(v, vec_add_op(log2, accumulate < 0), t, d, t);
    return vec_done(v, t);
}

/* The high half of twice the product. Only two least numbers give 0x8000, which is one too many. */
static bool multiply_doubling(struct vec *v, bool round)
{
    flags_clobber(v->x);
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    if (round) {
        vx(v, VX_PMULHRSW, t, n, m);
    } else {
        vx(v, VX_PMULHW, t, n, m);
        vx(v, VX_PMULLW, X0, n, m);
        vec_shl(v, 1, t, t, 1);
        vec_shr(v, 1, true, X0, X0, 15);
        vx(v, VX_POR, t, t, X0);
    }
    vx(v, VX_PCMPEQD, X0, X0, X0);
    vec_shl(v, 1, X0, X0, 15);
    vx(v, VX_PCMPEQW, X0, X0, t);
    vx(v, VX_PXOR, t, t, X0);
    vec_saturated(v, X0, v->dq);
    return vec_done(v, t);
}

/* -- Shifts --------------------------------------------------------------------------------------------------------- */

/* The front end gives immediate shifts as those by a register of equal bytes: left if positive. */
static bool shift_imm(struct vec *v, unsigned log2, bool is_unsigned, bool round, bool accumulate)
{
    int by = (int8_t)v->imm;
    unsigned size = 8u << log2;

    if (by >= (int)size || -by > (int)size)
        return false;
    int n = vec_n(v), d = accumulate ? vec_d(v) : NO_REG, t = vreg_temp(v->x);
    if (by >= 0)
        vec_shl(v, log2, t, n, (unsigned)by);
    else if (round)
        vec_shr_rounded(v, log2, is_unsigned, t, n, (unsigned)-by);
    else
        vec_shr(v, log2, is_unsigned, t, n, (unsigned)-by);
    if (accumulate)
        vx(v, vec_add_op(log2, false), t, t, d);
    return vec_done(v, t);
}

/* Words by the low bytes of m. A count that is out of range, so also a negative one, gives 0 or copies of the sign. */
static bool shift_words(struct vec *v, bool is_unsigned)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    vec_shl(v, 2, X0, m, 24);
    vec_shr(v, 2, false, X0, X0, 24);
    vx(v, VX_PXOR, X1, X1, X1);
    vx(v, VX_PSUBD, X1, X1, X0);
    vx(v, VX_PSLLVD, X2, n, X0);
    if (is_unsigned) {
        vx(v, VX_PSRLVD, X3, n, X1);
        vx(v, VX_POR, t, X2, X3);
    } else {
        vx(v, VX_PSRAVD, X3, n, X1);
        vxi(v, VX_BLENDVPS, t, X2, X3, X0 << 4);
    }
    return vec_done(v, t);
}

/* VSLI, VSRI: the bits that the shift leaves free stay. */
static bool shift_insert(struct vec *v, unsigned log2, bool left)
{
    unsigned k = v->imm, size = 8u << log2;

    int n = vec_n(v), d = vec_d(v), t = vreg_temp(v->x);
    if (log2 == 0) {
        enum pool_entry mask = left ? POOL_SHL_8 + k : POOL_SHR_8 + k;

        if (left)
            vec_shl(v, 0, t, n, k);
        else
            vec_shr(v, 0, true, t, n, k);
        vx(v, VX_PCMPEQD, X0, X0, X0);
        vxp(v, VX_PXOR, X0, X0, mask);
        vx(v, VX_PAND, X0, X0, d);
        vx(v, VX_POR, t, t, X0);
        return vec_done(v, t);
    }
    if (left) {
        vec_shl(v, log2, t, n, k);
        vec_shl(v, log2, X0, d, size - k);
        vec_shr(v, log2, true, X0, X0, size - k);
    } else {
        vec_shr(v, log2, true, t, n, k);
        vec_shr(v, log2, true, X0, d, size - k);
        vec_shl(v, log2, X0, X0, size - k);
    }
    vx(v, VX_POR, t, t, X0);
    return vec_done(v, t);
}

/* -- Reversals, extraction ------------------------------------------------------------------------------------------ */

static bool reverse(struct vec *v)
{
    int n = vec_n(v), t = vreg_temp(v->x);

    switch (v->op) {
    case VOP_rev64_8: vxp(v, VX_PSHUFB, t, n, POOL_REV64_8); break;
    case VOP_rev32_8: vxp(v, VX_PSHUFB, t, n, POOL_REV32_8); break;
    case VOP_rev64_16: vxp(v, VX_PSHUFB, t, n, POOL_REV64_16); break;
    case VOP_rev64_32: vxi(v, VX_PSHUFD, t, NO_REG, n, 0xb1); break;
    case VOP_rev32_16:
        vxi(v, VX_PSHUFLW, t, NO_REG, n, 0xb1);
        vxi(v, VX_PSHUFHW, t, NO_REG, t, 0xb1);
        break;
    default: /* rev16_8 */
        vec_shl(v, 1, X0, n, 8);
        vec_shr(v, 1, true, t, n, 8);
        vx(v, VX_POR, t, t, X0);
    }
    return vec_done(v, t);
}

static bool extract(struct vec *v)
{
    int n = vec_n(v), m = vec_m(v), t = vreg_temp(v->x);

    if (v->dq) {
        vxi(v, VX_PALIGNR, t, m, n, v->imm);
    } else {
        vx(v, VX_PUNPCKLQDQ, t, n, m);
        asm_vex_shift(v->a, VX_PSRLDQ_I, t, t, (uint8_t)v->imm);
    }
    return vec_done(v, t);
}

/* -- All -------------------------------------------------------------------------------------------------------------- */

static bool lower_op(struct vec *v)
{
    enum vec_op op = v->op;

    switch (op) {
    case VOP_and ... VOP_bif:
        return bitwise(v);
        EACH_SIZES(add, 64, simple(v, vec_add_op(log2, false)))
        EACH_SIZES(sub, 64, simple(v, vec_add_op(log2, true)))
        EACH_SIZES(ceq, 32, simple(v, vec_cmpeq_op(log2)))
        EACH_SIZES(tst, 32, test_bits(v, log2))
        EACH_SIZES(mul, 32, multiply(v, log2, 0))
        EACH_SIZES(mla, 32, multiply(v, log2, 1))
        EACH_SIZES(mls, 32, multiply(v, log2, -1))
        EACH_SIGNED3(cgt, greater(v, log2, is_unsigned, false))
        EACH_SIGNED3(cge, greater(v, log2, is_unsigned, true))
        EACH_SIGNED3(max, simple(v, vec_max_op[is_unsigned][log2]))
        EACH_SIGNED3(min, simple(v, vec_min_op[is_unsigned][log2]))
        EACH_SIGNED3(abd, difference(v, log2, is_unsigned, false))
        EACH_SIGNED3(aba, difference(v, log2, is_unsigned, true))
    case VOP_qdmulh_16: return multiply_doubling(v, false);
    case VOP_qrdmulh_16: return multiply_doubling(v, true);
    case VOP_rhadd_u8: return simple(v, VX_PAVGB);
    case VOP_rhadd_u16: return simple(v, VX_PAVGW);
    case VOP_qadd_s8: return saturating(v, VX_PADDSB, VX_PADDB);
    case VOP_qadd_s16: return saturating(v, VX_PADDSW, VX_PADDW);
    case VOP_qadd_u8: return saturating(v, VX_PADDUSB, VX_PADDB);
    case VOP_qadd_u16: return saturating(v, VX_PADDUSW, VX_PADDW);
    case VOP_qsub_s8: return saturating(v, VX_PSUBSB, VX_PSUBB);
    case VOP_qsub_s16: return saturating(v, VX_PSUBSW, VX_PSUBW);
    case VOP_qsub_u8: return saturating(v, VX_PSUBUSB, VX_PSUBB);
    case VOP_qsub_u16:
        return saturating(v, VX_PSUBUSW, VX_PSUBW);
        EACH_SIZES(ceq0, 32, with_zero(v, log2, VOP_ceq0_8))
        EACH_SIZES(cgt0, 32, with_zero(v, log2, VOP_cgt0_8))
        EACH_SIZES(cge0, 32, with_zero(v, log2, VOP_cge0_8))
        EACH_SIZES(cle0, 32, with_zero(v, log2, VOP_cle0_8))
        EACH_SIZES(clt0, 32, with_zero(v, log2, VOP_clt0_8))
        EACH_SIZES(neg, 32, with_zero(v, log2, VOP_neg_8))
        EACH_SIGNED4(sra, shift_imm(v, log2, is_unsigned, false, true))
        EACH_SIGNED4(rsra, shift_imm(v, log2, is_unsigned, true, true))
        EACH_SIZES(sri, 64, shift_insert(v, log2, false))
        EACH_SIZES(sli, 64, shift_insert(v, log2, true))
    case VOP_shl_s8 ... VOP_shl_u64: {
        const unsigned log2 = (op - VOP_shl_s8) % 4;
        const bool is_unsigned = op >= VOP_shl_u8;

        if (v->regs & VREG_IMM)
            return shift_imm(v, log2, is_unsigned, false, false);
        return log2 == 2 && shift_words(v, is_unsigned);
    }
    case VOP_rshl_s8 ... VOP_rshl_u64: {
        const unsigned log2 = (op - VOP_rshl_s8) % 4;

        return (v->regs & VREG_IMM) && shift_imm(v, log2, op >= VOP_rshl_u8, true, false);
    }
    case VOP_abs_8 ... VOP_abs_32: {
        static const uint32_t abs_op[3] = {VX_PABSB, VX_PABSW, VX_PABSD};
        int n = vec_n(v), t = vreg_temp(v->x);

        vx2(v, abs_op[op - VOP_abs_8], t, n);
        return vec_done(v, t);
    }
    case VOP_mvn: {
        int n = vec_n(v), t = vreg_temp(v->x);

        vx(v, VX_PCMPEQD, X0, X0, X0);
        vx(v, VX_PXOR, t, n, X0);
        return vec_done(v, t);
    }
    case VOP_rev64_8 ... VOP_rev16_8: return reverse(v);
    case VOP_ext: return extract(v);
    default: return lower_vec_wide(v) || lower_vec_fp(v);
    }
}

/* One pattern in all lanes. */
static bool immediate(struct vec *v)
{
    int t;

    if (v->arg[1] == 0 && v->arg[2] == 0) {
        t = vreg_temp(v->x);
        vx(v, VX_PXOR, t, t, t);
        return vec_done(v, t);
    }
    int r = alloc_temp(v->x, NO_REG);
    t = vreg_temp(v->x);
    if (v->arg[1] == v->arg[2]) {
        asm_mov_ri(v->a, r, v->arg[1]);
        vx2(v, VX_MOVD_LD, t, r);
        vx2(v, VX_PBROADCASTD, t, t);
    } else {
        asm_mov_ri64(v->a, r, (uint64_t)v->arg[2] << 32 | v->arg[1]);
        vx2(v, VX_MOVQ_LD, t, r);
        vx(v, VX_PUNPCKLQDQ, t, t, t);
    }
    return vec_done(v, t);
}

static const uint32_t broadcast_op[3] = {VX_PBROADCASTB, VX_PBROADCASTW, VX_PBROADCASTD};

static bool duplicate(struct vec *v)
{
    unsigned log2 = v->arg[1], lane = v->arg[2];
    int t = vreg_temp(v->x);

    asm_vex_rrm(v->a, broadcast_op[log2], t, NO_REG, vmem(offsetof(struct vcpu, vfp) + v->m + (lane << log2)));
    return vec_done(v, t);
}

static bool duplicate_core(struct vec *v)
{
    int r = alloc_reg(v->x, v->x->in->c), t = vreg_temp(v->x);

    vx2(v, VX_MOVD_LD, t, r);
    vx2(v, broadcast_op[v->arg[1]], t, t);
    return vec_done(v, t);
}

bool lower_vec(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    const ir_val arg[3] = {in->a, in->b, in->c};
    struct vec v = {.x = x, .a = &x->a};

    if (!x64_host.avx2 || in->imm < HELPER_VEC || in->imm > HELPER_VEC_INTERLEAVE)
        return false;
    unsigned consts = in->imm == HELPER_VEC_DUP_CORE ? 2 : ir_helper_info[in->imm].nargs;
    for (unsigned k = 0; k < consts; k++)
        if (!alloc_const(x, arg[k], &v.arg[k]))
            return false;
    v.regs = v.arg[in->imm == HELPER_VEC || in->imm == HELPER_VEC_PERMUTE];
    v.d = 8 * (v.regs & 31);
    v.n = 8 * (v.regs >> VREG_N & 31);
    v.m = 8 * (v.regs >> VREG_M & 31);
    v.dq = v.regs & VREG_DQ;
    v.nq = v.regs & VREG_NQ;
    v.mq = v.regs & VREG_MQ;
    switch (in->imm) {
    case HELPER_VEC:
        v.op = v.arg[0];
        v.imm = v.arg[2];
        return lower_op(&v);
    case HELPER_VEC_IMM: return immediate(&v);
    case HELPER_VEC_DUP: return duplicate(&v);
    case HELPER_VEC_DUP_CORE: return duplicate_core(&v);
    case HELPER_VEC_PERMUTE: return lower_vec_permute(&v, v.arg[0]);
    case HELPER_VEC_TABLE: return lower_vec_table(&v);
    case HELPER_VEC_DEINTERLEAVE: return lower_vec_structure(&v, true);
    default: return lower_vec_structure(&v, false);
    }
}
