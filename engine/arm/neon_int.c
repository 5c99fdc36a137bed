/*
 * neon_int.c — Advanced SIMD on integers, lane by lane (ARM DDI 0406C A8.8)
 */
#include "engine/arm/neon_lanes.h"

#include "engine/arm/fp.h"

/* Rows of macros: their layout is a table's. */
/* clang-format off */

/* For each lane d = expr of n's a, m's b, d's old value o. */
#define EACH(name, T, expr)                                                                        \
    FN(name)                                                                                       \
    {                                                                                              \
        for (unsigned i = 0; i < LANES(T); i++) {                                                  \
            MAYBE const T a = n->T[i], b = m->T[i], o = d->T[i];                                   \
            MAYBE const unsigned nbits = 8 * sizeof(T);                                            \
            d->T[i] = (T)(expr);                                                                   \
        }                                                                                          \
    }

#define EACH_SIZES2(name, expr) EACH(name##_16, u16, expr) EACH(name##_32, u32, expr)
#define EACH_SIZES3(name, expr) EACH(name##_8, u8, expr) EACH_SIZES2(name, expr)
#define EACH_SIZES4(name, expr) EACH_SIZES3(name, expr) EACH(name##_64, u64, expr)
#define EACH_S_SIZES3(name, expr) EACH(name##_8, s8, expr) EACH(name##_16, s16, expr) EACH(name##_32, s32, expr)
#define EACH_S3(name, expr) EACH(name##_s8, s8, expr) EACH(name##_s16, s16, expr) EACH(name##_s32, s32, expr)
#define EACH_U3(name, expr) EACH(name##_u8, u8, expr) EACH(name##_u16, u16, expr) EACH(name##_u32, u32, expr)
#define EACH_SIGNED3(name, expr) EACH_S3(name, expr) EACH_U3(name, expr)
#define EACH_S4(name, expr) EACH_S3(name, expr) EACH(name##_s64, s64, expr)
#define EACH_U4(name, expr) EACH_U3(name, expr) EACH(name##_u64, u64, expr)

/* -- Saturation -------------------------------------------------------------------------------------------------- */

static inline s64 sat_s(struct vec_ctx *c, s64 x, unsigned nbits)
{
    s64 max = (s64)(UINT64_MAX >> (65 - nbits));
    if (x > max || x < -max - 1) {
        c->fpscr |= FPSCR_QC;
        return x > max ? max : -max - 1;
    }
    return x;
}

/* x signed, the result unsigned */
static inline u64 sat_u(struct vec_ctx *c, s64 x, unsigned nbits)
{
    u64 max = UINT64_MAX >> (64 - nbits);
    if (x < 0 || (u64)x > max) {
        c->fpscr |= FPSCR_QC;
        return x < 0 ? 0 : max;
    }
    return (u64)x;
}

static inline u64 sat_uu(struct vec_ctx *c, u64 x, unsigned nbits)
{
    u64 max = UINT64_MAX >> (64 - nbits);
    if (x > max) {
        c->fpscr |= FPSCR_QC;
        return max;
    }
    return x;
}

static inline s64 qadd_s64(struct vec_ctx *c, s64 a, s64 b)
{
    s64 r;
    if (!__builtin_add_overflow(a, b, &r))
        return r;
    c->fpscr |= FPSCR_QC;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

static inline s64 qsub_s64(struct vec_ctx *c, s64 a, s64 b)
{
    s64 r;
    if (!__builtin_sub_overflow(a, b, &r))
        return r;
    c->fpscr |= FPSCR_QC;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

static inline u64 qadd_u64(struct vec_ctx *c, u64 a, u64 b)
{
    u64 r;
    if (!__builtin_add_overflow(a, b, &r))
        return r;
    c->fpscr |= FPSCR_QC;
    return UINT64_MAX;
}

static inline u64 qsub_u64(struct vec_ctx *c, u64 a, u64 b)
{
    if (a >= b)
        return a - b;
    c->fpscr |= FPSCR_QC;
    return 0;
}

/* -- Shifts of one lane by -128..127, left if positive (VSHL, VRSHL, VQSHL, VQRSHL) ------------------------- */

static inline s64 shift_s(s64 x, int by, int nbits, bool round)
{
    if (by >= nbits)
        return 0;
    if (by >= 0)
        return (s64)((u64)x << by);
    if (-by >= nbits)
        return round ? 0 : x >> 63;
    return (x >> -by) + (round ? (x >> (-by - 1)) & 1 : 0);
}

static inline u64 shift_u(u64 x, int by, int nbits, bool round)
{
    if (by >= nbits || -by > nbits)
        return 0;
    if (by >= 0)
        return x << by;
    if (-by == nbits)
        return round ? x >> (nbits - 1) : 0;
    return (x >> -by) + (round ? (x >> (-by - 1)) & 1 : 0);
}

static inline s64 qshift_s(struct vec_ctx *c, s64 x, int by, int nbits, bool round)
{
    if (by <= 0 || x == 0)
        return shift_s(x, by, nbits, round);
    s64 max = (s64)(UINT64_MAX >> (65 - nbits));
    if (by < nbits && x <= max >> by && x >= (-max - 1) >> by)
        return (s64)((u64)x << by);
    c->fpscr |= FPSCR_QC;
    return x < 0 ? -max - 1 : max;
}

static inline u64 qshift_u(struct vec_ctx *c, u64 x, int by, int nbits, bool round)
{
    if (by <= 0 || x == 0)
        return shift_u(x, by, nbits, round);
    u64 max = UINT64_MAX >> (64 - nbits);
    if (by < nbits && x <= max >> by)
        return x << by;
    c->fpscr |= FPSCR_QC;
    return max;
}

/* -- Three of a length: integers --------------------------------------------------------------------------------- */

EACH_SIGNED3(hadd, ((s64)a + b) >> 1)
EACH_SIGNED3(rhadd, ((s64)a + b + 1) >> 1)
EACH_SIGNED3(hsub, ((s64)a - b) >> 1)
EACH_S3(qadd, sat_s(c, (s64)a + b, nbits))
EACH_U3(qadd, sat_u(c, (s64)a + b, nbits))
EACH(qadd_s64, s64, qadd_s64(c, a, b))
EACH(qadd_u64, u64, qadd_u64(c, a, b))
EACH_S3(qsub, sat_s(c, (s64)a - b, nbits))
EACH_U3(qsub, sat_u(c, (s64)a - b, nbits))
EACH(qsub_s64, s64, qsub_s64(c, a, b))
EACH(qsub_u64, u64, qsub_u64(c, a, b))

EACH(and, u64, a & b)
EACH(bic, u64, a & ~b)
EACH(orr, u64, a | b)
EACH(orn, u64, a | ~b)
EACH(eor, u64, a ^ b)
EACH(bsl, u64, (a & o) | (b & ~o))
EACH(bit, u64, (a & b) | (o & ~b))
EACH(bif, u64, (o & b) | (a & ~b))

EACH_SIGNED3(cgt, a > b ? -1 : 0)
EACH_SIGNED3(cge, a >= b ? -1 : 0)
EACH_SIZES3(ceq, a == b ? -1 : 0)
EACH_SIZES3(tst, a & b ? -1 : 0)
EACH_SIGNED3(max, a > b ? a : b)
EACH_SIGNED3(min, a < b ? a : b)
EACH_SIGNED3(abd, a > b ? (s64)a - b : (s64)b - a)
EACH_SIGNED3(aba, o + (a > b ? (s64)a - b : (s64)b - a))

EACH_S4(shl, shift_s(a, (s8)b, nbits, false))
EACH_U4(shl, shift_u(a, (s8)b, nbits, false))
EACH_S4(rshl, shift_s(a, (s8)b, nbits, true))
EACH_U4(rshl, shift_u(a, (s8)b, nbits, true))
EACH_S4(qshl, qshift_s(c, a, (s8)b, nbits, false))
EACH_U4(qshl, qshift_u(c, a, (s8)b, nbits, false))
EACH_S4(qrshl, qshift_s(c, a, (s8)b, nbits, true))
EACH_U4(qrshl, qshift_u(c, a, (s8)b, nbits, true))

EACH_SIZES4(add, a + b)
EACH_SIZES4(sub, a - b)
EACH_SIZES3(mul, (u64)a * b)
EACH_SIZES3(mla, o + (u64)a * b)
EACH_SIZES3(mls, o - (u64)a * b)

static inline u32 poly_mul(u32 a, u32 b)
{
    u32 r = 0;
    for (unsigned i = 0; i < 8; i++)
        r ^= b >> i & 1 ? a << i : 0;
    return r;
}

EACH(pmul, u8, poly_mul(a, b))

#define PAIRWISE(name, T, expr)                                                                    \
    FN(name)                                                                                       \
    {                                                                                              \
        const unsigned half = LANES(T) / 4;                                                        \
        for (unsigned i = 0; i < LANES(T) / 2; i++) {                                              \
            const union vec *s = i < half ? n : m;                                                 \
            const T a = s->T[i % half * 2], b = s->T[i % half * 2 + 1];                            \
            d->T[i] = (T)(expr);                                                                   \
        }                                                                                          \
    }
#define PAIRWISE3(name, t, expr)                                                                   \
    PAIRWISE(name##_##t##8, t##8, expr)                                                            \
    PAIRWISE(name##_##t##16, t##16, expr)                                                          \
    PAIRWISE(name##_##t##32, t##32, expr)
PAIRWISE3(pmax, s, a > b ? a : b)
PAIRWISE3(pmax, u, a > b ? a : b)
PAIRWISE3(pmin, s, a < b ? a : b)
PAIRWISE3(pmin, u, a < b ? a : b)
PAIRWISE(padd_8, u8, a + b)
PAIRWISE(padd_16, u16, a + b)
PAIRWISE(padd_32, u32, a + b)

/* The high half of the doubled product; only the product of the two least numbers does not fit. */
static inline s32 doubling_high(struct vec_ctx *c, s32 a, s32 b, unsigned nbits, bool round)
{
    s64 p = (s64)a * b, least = -((s64)1 << (nbits - 1));
    if (a == least && b == least) {
        c->fpscr |= FPSCR_QC;
        return (s32)(-least - 1);
    }
    return (s32)((2 * p + (round ? (s64)1 << (nbits - 1) : 0)) >> nbits);
}

EACH(qdmulh_16, s16, doubling_high(c, a, b, nbits, false))
EACH(qdmulh_32, s32, doubling_high(c, a, b, nbits, false))
EACH(qrdmulh_16, s16, doubling_high(c, a, b, nbits, true))
EACH(qrdmulh_32, s32, doubling_high(c, a, b, nbits, true))

/* -- Three of different lengths ------------------------------------------------------------------------------------------ */

/* Wide lanes from narrow ones of n and m. */
#define WIDEN(name, W, T, expr)                                                                    \
    FN(name)                                                                                       \
    {                                                                                              \
        for (unsigned i = 0; i < LANES(W); i++) {                                                  \
            MAYBE const W a = n->T[i], b = m->T[i], wa = n->W[i], o = d->W[i];                     \
            MAYBE const unsigned nbits = 8 * sizeof(W);                                            \
            d->W[i] = (W)(expr);                                                                   \
        }                                                                                          \
    }
#define WIDEN_S3(name, expr)                                                                       \
    WIDEN(name##_s8, s16, s8, expr) WIDEN(name##_s16, s32, s16, expr) WIDEN(name##_s32, s64, s32, expr)
#define WIDEN_U3(name, expr)                                                                       \
    WIDEN(name##_u8, u16, u8, expr) WIDEN(name##_u16, u32, u16, expr) WIDEN(name##_u32, u64, u32, expr)
#define WIDEN_SIGNED3(name, expr) WIDEN_S3(name, expr) WIDEN_U3(name, expr)

WIDEN_SIGNED3(addl, a + b)
WIDEN_SIGNED3(addw, (u64)wa + (u64)b)
WIDEN_SIGNED3(subl, a - b)
WIDEN_SIGNED3(subw, (u64)wa - (u64)b)
WIDEN_SIGNED3(abdl, a > b ? a - b : b - a)
WIDEN_SIGNED3(abal, (u64)o + (u64)(a > b ? a - b : b - a))
WIDEN_SIGNED3(mull, a * b)
WIDEN_SIGNED3(mlal, (u64)o + (u64)a * (u64)b)
WIDEN_SIGNED3(mlsl, (u64)o - (u64)a * (u64)b)
WIDEN_SIGNED3(shll, (u64)a << c->imm)
WIDEN(pmull, u16, u8, poly_mul(a, b))

/* The doubled product of two least numbers does not fit. */
static inline s64 doubling_long(struct vec_ctx *c, s64 a, s64 b, unsigned nbits)
{
    s64 p = a * b;
    return nbits == 64 ? qadd_s64(c, p, p) : sat_s(c, 2 * p, nbits);
}

static inline s64 qadd_wide(struct vec_ctx *c, s64 a, s64 b, unsigned nbits)
{
    return nbits == 64 ? qadd_s64(c, a, b) : sat_s(c, a + b, nbits);
}

static inline s64 qsub_wide(struct vec_ctx *c, s64 a, s64 b, unsigned nbits)
{
    return nbits == 64 ? qsub_s64(c, a, b) : sat_s(c, a - b, nbits);
}

#define WIDEN_Q(name, expr) WIDEN(name##_16, s32, s16, expr) WIDEN(name##_32, s64, s32, expr)
WIDEN_Q(qdmull, doubling_long(c, a, b, nbits))
WIDEN_Q(qdmlal, qadd_wide(c, o, doubling_long(c, a, b, nbits), nbits))
WIDEN_Q(qdmlsl, qsub_wide(c, o, doubling_long(c, a, b, nbits), nbits))

/* Narrow lanes from wide ones of n and m. */
#define NARROW(name, T, W, expr)                                                                   \
    FN(name)                                                                                       \
    {                                                                                              \
        for (unsigned i = 0; i < LANES(W); i++) {                                                  \
            MAYBE const W a = n->W[i], b = m->W[i];                                                \
            MAYBE const unsigned nbits = 8 * sizeof(T);                                            \
            d->T[i] = (T)(expr);                                                                   \
        }                                                                                          \
    }
#define NARROW3(name, expr)                                                                        \
    NARROW(name##_8, u8, u16, expr) NARROW(name##_16, u16, u32, expr) NARROW(name##_32, u32, u64, expr)
#define NARROW_S_SIZES3(name, expr)                                                                \
    NARROW(name##_8, u8, s16, expr) NARROW(name##_16, u16, s32, expr) NARROW(name##_32, u32, s64, expr)
#define NARROW_S3(name, expr)                                                                      \
    NARROW(name##_s8, s8, s16, expr) NARROW(name##_s16, s16, s32, expr) NARROW(name##_s32, s32, s64, expr)
#define NARROW_U3(name, expr)                                                                      \
    NARROW(name##_u8, u8, u16, expr) NARROW(name##_u16, u16, u32, expr) NARROW(name##_u32, u32, u64, expr)
#define HALF (UINT64_C(1) << (nbits - 1))

NARROW3(addhn, ((u64)a + b) >> nbits)
NARROW3(raddhn, ((u64)a + b + HALF) >> nbits)
NARROW3(subhn, ((u64)a - b) >> nbits)
NARROW3(rsubhn, ((u64)a - b + HALF) >> nbits)
NARROW3(shrn, a >> c->imm)
NARROW3(rshrn, shift_u(a, -(int)c->imm, 2 * nbits, true))
NARROW_S3(qshrn, sat_s(c, shift_s(a, -(int)c->imm, 2 * nbits, false), nbits))
NARROW_U3(qshrn, sat_uu(c, shift_u(a, -(int)c->imm, 2 * nbits, false), nbits))
NARROW_S3(qrshrn, sat_s(c, shift_s(a, -(int)c->imm, 2 * nbits, true), nbits))
NARROW_U3(qrshrn, sat_uu(c, shift_u(a, -(int)c->imm, 2 * nbits, true), nbits))
NARROW_S_SIZES3(qshrun, sat_u(c, shift_s(a, -(int)c->imm, 2 * nbits, false), nbits))
NARROW_S_SIZES3(qrshrun, sat_u(c, shift_s(a, -(int)c->imm, 2 * nbits, true), nbits))
NARROW3(movn, a)
NARROW_S3(qmovn, sat_s(c, a, nbits))
NARROW_U3(qmovn, sat_uu(c, a, nbits))
NARROW_S_SIZES3(qmovun, sat_u(c, a, nbits))

/* -- Shifts by an immediate -------------------------------------------------------------------------------------------------- */

EACH_S4(sra, (u64)o + (u64)shift_s(a, (s8)b, nbits, false))
EACH_U4(sra, o + shift_u(a, (s8)b, nbits, false))
EACH_S4(rsra, (u64)o + (u64)shift_s(a, (s8)b, nbits, true))
EACH_U4(rsra, o + shift_u(a, (s8)b, nbits, true))
/* imm: 1 .. nbits for SRI, 0 .. nbits - 1 for SLI */
EACH_SIZES4(sri, c->imm == nbits ? (u64)o : ((u64)o & ~(((UINT64_MAX >> (64 - nbits)) >> c->imm))) | (u64)a >> c->imm)
EACH_SIZES4(sli, ((u64)o & ((UINT64_C(1) << c->imm) - 1)) | (u64)a << c->imm)

static inline u64 qshlu(struct vec_ctx *c, s64 x, unsigned by, unsigned nbits)
{
    if (x >= 0)
        return qshift_u(c, (u64)x, (int)by, (int)nbits, false);
    c->fpscr |= FPSCR_QC;
    return 0;
}
EACH_S_SIZES3(qshlu, qshlu(c, a, c->imm, nbits))
EACH(qshlu_64, s64, qshlu(c, a, c->imm, nbits))

/* -- Two registers ------------------------------------------------------------------------------------------------------------- */

#define REVERSE(name, T, group)                                                                    \
    FN(name)                                                                                       \
    {                                                                                              \
        for (unsigned i = 0; i < LANES(T); i++)                                                    \
            d->T[i] = n->T[i ^ (group / sizeof(T) - 1)];                                           \
    }
REVERSE(rev64_8, u8, 8)
REVERSE(rev64_16, u16, 8)
REVERSE(rev64_32, u32, 8)
REVERSE(rev32_8, u8, 4)
REVERSE(rev32_16, u16, 4)
REVERSE(rev16_8, u8, 2)

#define PAIRS_LONG(name, W, T, expr)                                                               \
    FN(name)                                                                                       \
    {                                                                                              \
        for (unsigned i = 0; i < LANES(W); i++) {                                                  \
            MAYBE const u64 o = (u64)d->W[i];                                                      \
            const W sum = (W)((W)n->T[2 * i] + (W)n->T[2 * i + 1]);                                \
            d->W[i] = (W)(expr);                                                                   \
        }                                                                                          \
    }
#define PAIRS_LONG_SIGNED3(name, expr)                                                             \
    PAIRS_LONG(name##_s8, s16, s8, expr) PAIRS_LONG(name##_s16, s32, s16, expr)                    \
    PAIRS_LONG(name##_s32, s64, s32, expr) PAIRS_LONG(name##_u8, u16, u8, expr)                    \
    PAIRS_LONG(name##_u16, u32, u16, expr) PAIRS_LONG(name##_u32, u64, u32, expr)
PAIRS_LONG_SIGNED3(paddl, sum)
PAIRS_LONG_SIGNED3(padal, o + (u64)sum)

static inline u32 leading_zeros(u32 x, unsigned nbits)
{
    return x ? (u32)__builtin_clz(x) - (32 - nbits) : nbits;
}

EACH_SIZES3(clz, leading_zeros(a, nbits))
EACH_S_SIZES3(cls, __builtin_clrsb(a) - (32 - (int)nbits))
EACH(cnt, u8, __builtin_popcount(a))
EACH(mvn, u64, ~a)
EACH_S_SIZES3(qabs, sat_s(c, a < 0 ? -(s64)a : a, nbits))
EACH_S_SIZES3(qneg, sat_s(c, -(s64)a, nbits))
EACH_S_SIZES3(abs, a < 0 ? -(s64)a : a)
EACH_SIZES3(neg, -(u64)a)
EACH_S_SIZES3(cgt0, a > 0 ? -1 : 0)
EACH_S_SIZES3(cge0, a >= 0 ? -1 : 0)
EACH_S_SIZES3(ceq0, a == 0 ? -1 : 0)
EACH_S_SIZES3(cle0, a <= 0 ? -1 : 0)
EACH_S_SIZES3(clt0, a < 0 ? -1 : 0)

/* Bytes from number imm on of n followed by m. */
FN(ext)
{
    for (unsigned i = 0; i < c->bytes; i++) {
        unsigned k = i + c->imm;
        d->u8[i] = k < c->bytes ? n->u8[k] : m->u8[k - c->bytes];
    }
}

/* clang-format on */
