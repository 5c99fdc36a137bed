/*
 * helpers_media.c — saturating and parallel arithmetic called from translated code (ARM DDI 0406C A8.8)
 *
 * Pure but for v->q (sticky) and v->ge.
 */
#include "engine/arm/helpers.h"

/* -- Saturation ------------------------------------------------------------------------------------------------------------ */

static uint32_t sat_s32(struct vcpu *v, int64_t x)
{
    if (x > INT32_MAX) {
        v->q = 1;
        return INT32_MAX;
    }
    if (x < INT32_MIN) {
        v->q = 1;
        return (uint32_t)INT32_MIN;
    }
    return (uint32_t)x;
}

uint32_t helper_qadd(struct vcpu *v, uint32_t a, uint32_t b)
{
    return sat_s32(v, (int64_t)(int32_t)a + (int32_t)b);
}

uint32_t helper_qsub(struct vcpu *v, uint32_t a, uint32_t b)
{
    return sat_s32(v, (int64_t)(int32_t)a - (int32_t)b);
}

uint32_t helper_qdadd(struct vcpu *v, uint32_t a, uint32_t b)
{
    return helper_qadd(v, a, sat_s32(v, (int64_t)(int32_t)b * 2));
}

uint32_t helper_qdsub(struct vcpu *v, uint32_t a, uint32_t b)
{
    return helper_qsub(v, a, sat_s32(v, (int64_t)(int32_t)b * 2));
}

static int32_t clamp(int32_t x, int32_t lo, int32_t hi, uint32_t *q)
{
    if (x < lo || x > hi)
        *q = 1;
    return x < lo ? lo : x > hi ? hi : x;
}

static int32_t sat_signed(struct vcpu *v, int32_t x, unsigned width)
{
    int32_t hi = (int32_t)((UINT32_C(1) << (width - 1)) - 1);
    return clamp(x, -hi - 1, hi, &v->q);
}

static int32_t sat_unsigned(struct vcpu *v, int32_t x, unsigned width)
{
    return clamp(x, 0, (int32_t)((UINT32_C(1) << width) - 1), &v->q);
}

uint32_t helper_ssat(struct vcpu *v, uint32_t a, uint32_t b)
{
    return (uint32_t)sat_signed(v, (int32_t)a, b);
}

uint32_t helper_usat(struct vcpu *v, uint32_t a, uint32_t b)
{
    return (uint32_t)sat_unsigned(v, (int32_t)a, b);
}

static uint32_t pack16(uint32_t lo, uint32_t hi)
{
    return (lo & 0xffff) | hi << 16;
}

uint32_t helper_ssat16(struct vcpu *v, uint32_t a, uint32_t b)
{
    int32_t lo = sat_signed(v, (int16_t)a, b), hi = sat_signed(v, (int16_t)(a >> 16), b);
    return pack16((uint32_t)lo, (uint32_t)hi);
}

uint32_t helper_usat16(struct vcpu *v, uint32_t a, uint32_t b)
{
    int32_t lo = sat_unsigned(v, (int16_t)a, b), hi = sat_unsigned(v, (int16_t)(a >> 16), b);
    return pack16((uint32_t)lo, (uint32_t)hi);
}

/* -- Dual multiplies: the exact sum, of which the result is the low word ---------------------------------------------- */

static uint32_t low_word_q(struct vcpu *v, int64_t sum)
{
    if (sum != (int32_t)sum)
        v->q = 1;
    return (uint32_t)sum;
}

static int64_t low_product(uint32_t a, uint32_t b)
{
    return (int64_t)(int16_t)a * (int16_t)b;
}

static int64_t high_product(uint32_t a, uint32_t b)
{
    return (int64_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
}

uint32_t helper_smlad(struct vcpu *v, uint32_t a, uint32_t b, uint32_t c)
{
    return low_word_q(v, low_product(a, b) + high_product(a, b) + (int32_t)c);
}

uint32_t helper_smlsd(struct vcpu *v, uint32_t a, uint32_t b, uint32_t c)
{
    return low_word_q(v, low_product(a, b) - high_product(a, b) + (int32_t)c);
}

/* -- Bytes and bits ------------------------------------------------------------------------------------------------------------ */

uint32_t helper_usad8(struct vcpu *v, uint32_t a, uint32_t b)
{
    (void)v;
    uint32_t sum = 0;
    for (int i = 0; i < 32; i += 8) {
        int d = (int)(a >> i & 0xff) - (int)(b >> i & 0xff);
        sum += (uint32_t)(d < 0 ? -d : d);
    }
    return sum;
}

uint32_t helper_sel_ge(struct vcpu *v, uint32_t a, uint32_t b)
{
    /* Bit i of GE to all bits of byte i: spread to bits 0, 8, 16, 24, then times 255. */
    uint32_t mask = (((v->ge & 0xf) * 0x00204081) & 0x01010101) * 0xff;
    return (a & mask) | (b & ~mask);
}

uint32_t helper_rbit(struct vcpu *v, uint32_t a)
{
    (void)v;
    a = (a >> 1 & 0x55555555) | (a & 0x55555555) << 1;
    a = (a >> 2 & 0x33333333) | (a & 0x33333333) << 2;
    a = (a >> 4 & 0x0f0f0f0f) | (a & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(a);
}

/* -- Parallel add and subtract -------------------------------------------------------------------------------------------------
 *
 * Each of the six kinds says how two lanes are read and how their exact sum or difference becomes a lane and
 * GE bits. ASX: low = a.lo - b.hi, high = a.hi + b.lo; SAX: the other way round.
 */

enum lane_kind { K_S, K_Q, K_SH, K_U, K_UQ, K_UH };

ALWAYS_INLINE int32_t lane(enum lane_kind k, uint32_t x, unsigned at, unsigned width)
{
    x >>= at;
    if (k == K_S || k == K_Q || k == K_SH)
        return sext(x, width);
    return (int32_t)(x & (BIT(width) - 1));
}

/* r: exact result. Returns the lane's bits; *ge: r is not negative (signed), carries or does not borrow (unsigned). */
ALWAYS_INLINE uint32_t lane_result(enum lane_kind k, int32_t r, bool sub, unsigned width, bool *ge)
{
    uint32_t mask = BIT(width) - 1, ignored;
    int32_t half = (int32_t)BIT(width - 1);
    switch (k) {
    case K_S: *ge = r >= 0; break;
    case K_U: *ge = sub ? r >= 0 : r > (int32_t)mask; break;
    case K_Q: r = clamp(r, -half, half - 1, &ignored); break;
    case K_UQ: r = clamp(r, 0, (int32_t)mask, &ignored); break;
    case K_SH:
    case K_UH: r >>= 1; break;
    }
    return (uint32_t)r & mask;
}

ALWAYS_INLINE uint32_t lane_op(enum lane_kind k, uint32_t a, unsigned at_a, uint32_t b, unsigned at_b, bool sub,
                               unsigned width, bool *ge)
{
    int32_t p = lane(k, a, at_a, width), q = lane(k, b, at_b, width);
    return lane_result(k, sub ? p - q : p + q, sub, width, ge);
}

ALWAYS_INLINE uint32_t par16(struct vcpu *v, enum lane_kind k, uint32_t a, uint32_t b, bool sub_lo, bool sub_hi,
                             bool cross)
{
    bool ge_lo = false, ge_hi = false;
    uint32_t lo = lane_op(k, a, 0, b, cross ? 16 : 0, sub_lo, 16, &ge_lo);
    uint32_t hi = lane_op(k, a, 16, b, cross ? 0 : 16, sub_hi, 16, &ge_hi);
    if (k == K_S || k == K_U)
        v->ge = (ge_lo ? 3u : 0) | (ge_hi ? 0xcu : 0);
    return lo | hi << 16;
}

ALWAYS_INLINE uint32_t par8(struct vcpu *v, enum lane_kind k, uint32_t a, uint32_t b, bool sub)
{
    uint32_t r = 0, ge = 0;
    for (unsigned i = 0; i < 4; i++) {
        bool g = false;
        r |= lane_op(k, a, i * 8, b, i * 8, sub, 8, &g) << (i * 8);
        ge |= (uint32_t)g << i;
    }
    if (k == K_S || k == K_U)
        v->ge = ge;
    return r;
}

#define KIND(p, K)                                                  \
 uint32_t helper_##p##add16(struct vcpu *v, uint32_t a, uint32_t b) \
 {                                                                  \
  return par16(v, K, a, b, false, false, false);                    \
 }                                                                  \
 uint32_t helper_##p##asx(struct vcpu *v, uint32_t a, uint32_t b)   \
 {                                                                  \
  return par16(v, K, a, b, true, false, true);                      \
 }                                                                  \
 uint32_t helper_##p##sax(struct vcpu *v, uint32_t a, uint32_t b)   \
 {                                                                  \
  return par16(v, K, a, b, false, true, true);                      \
 }                                                                  \
 uint32_t helper_##p##sub16(struct vcpu *v, uint32_t a, uint32_t b) \
 {                                                                  \
  return par16(v, K, a, b, true, true, false);                      \
 }                                                                  \
 uint32_t helper_##p##add8(struct vcpu *v, uint32_t a, uint32_t b)  \
 {                                                                  \
  return par8(v, K, a, b, false);                                   \
 }                                                                  \
 uint32_t helper_##p##sub8(struct vcpu *v, uint32_t a, uint32_t b)  \
 {                                                                  \
  return par8(v, K, a, b, true);                                    \
 }

KIND(s, K_S)
KIND(q, K_Q)
KIND(sh, K_SH)
KIND(u, K_U)
KIND(uq, K_UQ)
KIND(uh, K_UH)
