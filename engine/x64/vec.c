/*
 * vec.c — pieces of vector operations: operands, opcodes by the size of an element, shifts by a constant
 *
 * Operations on D registers are done on whole xmm registers, whose upper halves then hold anything; only eight bytes
 * are stored.
 */
#include "engine/x64/vec.h"

/* -- Operands ---------------------------------------------------------------------------------------------------- */

int vec_n(struct vec *v)
{
    return vreg_get(v->x, v->n, v->nq ? 16 : 8);
}

int vec_d(struct vec *v)
{
    return vreg_get(v->x, v->d, v->dq ? 16 : 8);
}

int vec_m(struct vec *v)
{
    if (v->regs & VREG_SCALAR) {
        unsigned log2 = v->regs >> VREG_SCALAR_SIZE & 3, index = v->regs >> VREG_SCALAR_INDEX & 7;

        asm_vex_rrm(v->a, log2 == 1 ? VX_PBROADCASTW : VX_PBROADCASTD, XSCALAR, NO_REG,
                    vmem(offsetof(struct vcpu, vfp) + v->m + (index << log2)));
        return XSCALAR;
    }
    return vreg_get(v->x, v->m, v->mq ? 16 : 8);
}

bool vec_done(struct vec *v, int t)
{
    vreg_put(v->x, t, v->d, v->dq ? 16 : 8);
    return true;
}

void vec_saturated(struct vec *v, int xmm, bool q)
{
    struct x64_asm *a = v->a;

    if (!q)
        vx2(v, VX_MOVQ, xmm, xmm);
    vx2(v, VX_PTEST, xmm, xmm);
    uint32_t none = asm_jcc_short(a, CC_E);
    asm_alu_mi(a, ALU_OR, 4, VFIELD(fpscr), VCPU_FPSCR_QC);
    asm_bind_short(a, none);
}

/* -- Opcodes ------------------------------------------------------------------------------------------------------- */

const uint32_t vec_max_op[2][3] = {{VX_PMAXSB, VX_PMAXSW, VX_PMAXSD}, {VX_PMAXUB, VX_PMAXUW, VX_PMAXUD}};
const uint32_t vec_min_op[2][3] = {{VX_PMINSB, VX_PMINSW, VX_PMINSD}, {VX_PMINUB, VX_PMINUW, VX_PMINUD}};

uint32_t vec_add_op(unsigned log2, bool sub)
{
    static const uint32_t op[2][4] = {{VX_PADDB, VX_PADDW, VX_PADDD, VX_PADDQ},
                                      {VX_PSUBB, VX_PSUBW, VX_PSUBD, VX_PSUBQ}};

    return op[sub][log2];
}

uint32_t vec_cmpeq_op(unsigned log2)
{
    static const uint32_t op[3] = {VX_PCMPEQB, VX_PCMPEQW, VX_PCMPEQD};

    return op[log2];
}

/* -- Shifts by a constant ---------------------------------------------------------------------------------------- */

void vec_shl(struct vec *v, unsigned log2, int dst, int src, unsigned k)
{
    static const uint32_t op[4] = {VX_PSLLW_I, VX_PSLLW_I, VX_PSLLD_I, VX_PSLLQ_I};

    asm_vex_shift(v->a, op[log2], dst, src, (uint8_t)k);
    if (log2 == 0)
        vxp(v, VX_PAND, dst, dst, POOL_SHL_8 + k);
}

void vec_shr(struct vec *v, unsigned log2, bool is_unsigned, int dst, int src, unsigned k)
{
    static const uint32_t op[2][4] = {{0, VX_PSRAW_I, VX_PSRAD_I, 0}, {VX_PSRLW_I, VX_PSRLW_I, VX_PSRLD_I, VX_PSRLQ_I}};

    if (!is_unsigned && k == 8u << log2)
        k--; /* as well all copies of the sign */
    if (op[is_unsigned][log2]) {
        asm_vex_shift(v->a, op[is_unsigned][log2], dst, src, (uint8_t)k);
        if (log2 == 0)
            vxp(v, VX_PAND, dst, dst, POOL_SHR_8 + k);
    } else if (log2 == 0) {
        vec_shr(v, 0, true, dst, src, k);
        vxp(v, VX_PXOR, dst, dst, POOL_SIGN_8 + k);
        vxp(v, VX_PSUBB, dst, dst, POOL_SIGN_8 + k);
    } else {
        vx(v, VX_PXOR, X5, X5, X5);
        vx(v, VX_PCMPGTQ, X5, X5, src);
        vec_shl(v, 3, X5, X5, 64 - k);
        asm_vex_shift(v->a, VX_PSRLQ_I, dst, src, (uint8_t)k);
        vx(v, VX_POR, dst, dst, X5);
    }
}

/* The last bit that goes is added. */
void vec_shr_rounded(struct vec *v, unsigned log2, bool is_unsigned, int dst, int src, unsigned k)
{
    unsigned size = 8u << log2;

    if (log2 == 0) {
        asm_vex_shift(v->a, VX_PSRLW_I, X6, src, (uint8_t)(k - 1));
        vxp(v, VX_PAND, X6, X6, POOL_SHR_8 + 7);
    } else {
        vec_shl(v, log2, X6, src, size - k);
        vec_shr(v, log2, true, X6, X6, size - 1);
    }
    if (is_unsigned && k == size) {
        vx2(v, VX_MOVAPS, dst, X6);
        return;
    }
    vec_shr(v, log2, is_unsigned, dst, src, k);
    vx(v, vec_add_op(log2, false), dst, dst, X6);
}
