/*
 * neon_fp.c — Advanced SIMD in floating point and its conversions, lane by lane (ARM DDI 0406C A8.8)
 *
 * Only lanes that the destination has are computed: the zeros beyond them could set a cumulative bit.
 */
#include "engine/arm/neon_lanes.h"

#include "engine/arm/fp.h"

/* Rows of macros: their layout is a table's. */
/* clang-format off */

#define EACH_F(name, expr)                                                                         \
    FN(name)                                                                                       \
    {                                                                                              \
        u32 *fp = &c->fpscr;                                                                       \
        (void)fp;                                                                                  \
        for (unsigned i = 0; i < c->bytes / 4; i++) {                                              \
            MAYBE const u32 a = n->u32[i], b = m->u32[i], o = d->u32[i];                           \
            d->u32[i] = (u32)(expr);                                                               \
        }                                                                                          \
    }
#define F_ABS(x) ((x) & 0x7fffffffu)

static u32 max_f(u32 *fpscr, u32 a, u32 b)
{
    return (u32)soft_max(fpscr, FP32, a, b);
}

static u32 min_f(u32 *fpscr, u32 a, u32 b)
{
    return (u32)soft_min(fpscr, FP32, a, b);
}

static u32 equal_f(u32 *fpscr, u32 a, u32 b)
{
    return f32_compare(fpscr, a, b, false) == 0x60000000 ? UINT32_MAX : 0;
}

static u32 greater_f(u32 *fpscr, u32 a, u32 b)
{
    return f32_compare(fpscr, a, b, true) == 0x20000000 ? UINT32_MAX : 0;
}

static u32 not_less_f(u32 *fpscr, u32 a, u32 b)
{
    u32 nzcv = f32_compare(fpscr, a, b, true);
    return nzcv == 0x20000000 || nzcv == 0x60000000 ? UINT32_MAX : 0;
}

EACH_F(add_f, f32_add(fp, a, b))
EACH_F(sub_f, f32_sub(fp, a, b))
EACH_F(mul_f, f32_mul(fp, a, b))
EACH_F(abd_f, F_ABS(f32_sub(fp, a, b)))
EACH_F(mla_f, f32_add(fp, o, f32_mul(fp, a, b)))
EACH_F(mls_f, f32_add(fp, o, f32_neg(f32_mul(fp, a, b))))
EACH_F(fma_f, f32_muladd(fp, o, a, b))
EACH_F(fms_f, f32_muladd(fp, o, f32_neg(a), b))
EACH_F(ceq_f, equal_f(fp, a, b))
EACH_F(cge_f, not_less_f(fp, a, b))
EACH_F(cgt_f, greater_f(fp, a, b))
EACH_F(acge_f, not_less_f(fp, F_ABS(a), F_ABS(b)))
EACH_F(acgt_f, greater_f(fp, F_ABS(a), F_ABS(b)))
EACH_F(max_f, max_f(fp, a, b))
EACH_F(min_f, min_f(fp, a, b))
EACH_F(recps_f, fp_recip_step(fp, a, b))
EACH_F(rsqrts_f, fp_rsqrt_step(fp, a, b))
EACH_F(cgt0_f, greater_f(fp, a, 0))
EACH_F(cge0_f, not_less_f(fp, a, 0))
EACH_F(ceq0_f, equal_f(fp, a, 0))
EACH_F(cle0_f, not_less_f(fp, 0, a))
EACH_F(clt0_f, greater_f(fp, 0, a))
EACH_F(abs_f, F_ABS(a))
EACH_F(neg_f, f32_neg(a))
EACH_F(recpe_f, fp_recip_estimate(fp, a))
EACH_F(rsqrte_f, fp_rsqrt_estimate(fp, a))
EACH_F(recpe_u, fp_unsigned_recip_estimate(a))
EACH_F(rsqrte_u, fp_unsigned_rsqrt_estimate(a))

static u32 from_fixed(struct vec_ctx *c, u32 x, bool is_unsigned)
{
    if (!c->imm)
        return f32_from_int(&c->fpscr, x, is_unsigned);
    return (u32)soft_from_fixed(&c->fpscr, FP32, is_unsigned ? x : (u64)(s64)(s32)x, c->imm, is_unsigned, FP_NEAREST);
}

static u32 to_fixed(struct vec_ctx *c, u32 x, bool is_unsigned)
{
    if (!c->imm)
        return f32_to_int(&c->fpscr, x, is_unsigned, FP_ZERO);
    return (u32)soft_to_fixed(&c->fpscr, FP32, x, 32, c->imm, is_unsigned, FP_ZERO);
}

EACH_F(cvt_single_s32, from_fixed(c, a, false))
EACH_F(cvt_single_u32, from_fixed(c, a, true))
EACH_F(cvt_s32_single, to_fixed(c, a, false))
EACH_F(cvt_u32_single, to_fixed(c, a, true))

FN(cvt_half_single)
{
    for (unsigned i = 0; i < 4; i++)
        d->u16[i] = (u16)soft_convert(&c->fpscr, FP16, FP32, n->u32[i]);
}

FN(cvt_single_half)
{
    for (unsigned i = 0; i < 4; i++)
        d->u32[i] = (u32)soft_convert(&c->fpscr, FP32, FP16, n->u16[i]);
}

/* Pairs of n, then of m; 8 bytes. */
#define PAIRWISE_F(name, f)                                                                        \
    FN(name)                                                                                       \
    {                                                                                              \
        d->u32[0] = f(&c->fpscr, n->u32[0], n->u32[1]);                                            \
        d->u32[1] = f(&c->fpscr, m->u32[0], m->u32[1]);                                            \
    }
PAIRWISE_F(padd_f, f32_add)
PAIRWISE_F(pmax_f, max_f)
PAIRWISE_F(pmin_f, min_f)

/* clang-format on */
