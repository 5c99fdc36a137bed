/*
 * fp.c — guest arithmetic on the host's SSE where that is exact, else in integers (fp_soft.c)
 *
 * When result and flags of the host are the guest's:
 *   - no operand is a NaN or infinity, nor a denormal while FZ is set;
 *   - the result is zero without rounding, or its magnitude is above the least normal number and finite. There
 *     tininess before (ARM) and after rounding (x86) and flushing make no difference, and the only exceptions there can
 *     be are Inexact and, when the largest number is the result of a directed rounding, Overflow.
 * All else is rare and goes to soft_*, which is right for every case.
 *
 * Two ways of being fast. If FPSCR.IXC is set already and rounding is to nearest, nothing need be known of the host's flags
 * and its default MXCSR does: plain C arithmetic. Otherwise MXCSR is set to the rounding mode with clear flags for one
 * instruction, and its PE bit read. Whoever calls has the default MXCSR (0x1f80, flags aside), and keeps it.
 */
#include "engine/arm/fp.h"

#define MXCSR_DEFAULT 0x1f80u
#define MXCSR_PE      0x20u
#define MXCSR_OE      0x08u
#define MXCSR_FLAGS   0x3fu

typedef uint32_t f32;
typedef uint64_t f64;

static inline float float_of(f32 x)
{
    float r;
    memcpy(&r, &x, sizeof r);
    return r;
}

static inline double double_of(f64 x)
{
    double r;
    memcpy(&r, &x, sizeof r);
    return r;
}

static inline f32 bits_of_float(float x)
{
    f32 r;
    memcpy(&r, &x, sizeof r);
    return r;
}

static inline f64 bits_of_double(double x)
{
    f64 r;
    memcpy(&r, &x, sizeof r);
    return r;
}

/* -- What goes the fast way ------------------------------------------------------------------------------------ */

/* Zero or normal, without the sign. */
static inline bool plain32(f32 x)
{
    x &= 0x7fffffff;
    return x == 0 || x - 0x00800000 < 0x7f000000;
}

static inline bool plain64(f64 x)
{
    x &= INT64_MAX;
    return x == 0 || x - (UINT64_C(1) << 52) < UINT64_C(0x7fe) << 52;
}

/* Normal, and not the least one. */
static inline bool safe32(f32 x)
{
    x &= 0x7fffffff;
    return x - 0x00800001 < 0x7effffff;
}

static inline bool safe64(f64 x)
{
    x &= INT64_MAX;
    return x - ((UINT64_C(1) << 52) + 1) < (UINT64_C(0x7fe) << 52) - 1;
}

static inline bool quiet(uint32_t fpscr)
{
    return (fpscr & (FPSCR_IXC | FPSCR_RMODE)) == FPSCR_IXC;
}

static inline uint32_t mxcsr_of(uint32_t fpscr)
{
    static const uint16_t rc[4] = {0, 2 << 13, 1 << 13, 3 << 13}; /* nearest, up, down, zero */
    return MXCSR_DEFAULT | rc[(fpscr & FPSCR_RMODE) >> 22];
}

/* r = r op b under the MXCSR in `state`, which is then the one after it. */
#define HOST_OP(insn, r, b, state)                                             \
 do {                                                                          \
  const uint32_t normal_ = MXCSR_DEFAULT;                                      \
  __asm__ volatile("ldmxcsr %1\n\t" insn " %2, %0\n\tstmxcsr %1\n\tldmxcsr %3" \
                   : "+x"(r), "+m"(state)                                      \
                   : "x"(b), "m"(normal_));                                    \
 } while (0)

static inline void note(uint32_t *fpscr, uint32_t state)
{
    if (state & MXCSR_PE)
        *fpscr |= FPSCR_IXC;
    if (state & MXCSR_OE)
        *fpscr |= FPSCR_OFC;
}

/* -- Two operands -------------------------------------------------------------------------------------------------- */

/* zero_ok: a result of zero that is exact. */
#define BINARY(type, fp, name, op, insn, width, zero_ok)                             \
 type type##_##name(uint32_t *fpscr, type a, type b)                                 \
 {                                                                                   \
  if (LIKELY(PLAIN(type)(a) && PLAIN(type)(b))) {                                    \
   type r;                                                                           \
   if (LIKELY(quiet(*fpscr))) {                                                      \
    r = bits_of_##fp(fp##_of(a) op fp##_of(b));                                      \
    if (LIKELY(SAFE(type)(r)) || (!(type)(r << 1) && (zero_ok)))                     \
     return r;                                                                       \
   } else {                                                                          \
    fp x = fp##_of(a);                                                               \
    uint32_t state = mxcsr_of(*fpscr);                                               \
    HOST_OP(insn, x, fp##_of(b), state);                                             \
    r = bits_of_##fp(x);                                                             \
    if (SAFE(type)(r) || (!(type)(r << 1) && (zero_ok) && !(state & MXCSR_FLAGS))) { \
     note(fpscr, state);                                                             \
     return r;                                                                       \
    }                                                                                \
   }                                                                                 \
  }                                                                                  \
  return (type)soft_##name(fpscr, width, a, b);                                      \
 }
#define PLAIN(type) PLAIN_##type
#define PLAIN_f32   plain32
#define PLAIN_f64   plain64
#define SAFE(type)  SAFE_##type
#define SAFE_f32    safe32
#define SAFE_f64    safe64

/* A sum of normal numbers that is zero is exact; a product may have vanished. */
BINARY(f32, float, add, +, "addss", FP32, true)
BINARY(f32, float, sub, -, "subss", FP32, true)
BINARY(f32, float, mul, *, "mulss", FP32, !(f32)(a << 1) || !(f32)(b << 1))
BINARY(f64, double, add, +, "addsd", FP64, true)
BINARY(f64, double, sub, -, "subsd", FP64, true)
BINARY(f64, double, mul, *, "mulsd", FP64, !(f64)(a << 1) || !(f64)(b << 1))
/* 0/0 is a NaN and x/0 infinite, so not taken. */
BINARY(f32, float, div, /, "divss", FP32, !(f32)(a << 1) && (f32)(b << 1))
BINARY(f64, double, div, /, "divsd", FP64, !(f64)(a << 1) && (f64)(b << 1))

/* -- Square root ------------------------------------------------------------------------------------------------------ */

f32 f32_sqrt(uint32_t *fpscr, f32 a)
{
    if (LIKELY(plain32(a) && !(a >> 31))) {
        float x = 0;
        uint32_t state = mxcsr_of(*fpscr);
        HOST_OP("sqrtss", x, float_of(a), state);
        note(fpscr, state);
        return bits_of_float(x);
    }
    return (f32)soft_sqrt(fpscr, FP32, a);
}

f64 f64_sqrt(uint32_t *fpscr, f64 a)
{
    if (LIKELY(plain64(a) && !(a >> 63))) {
        double x = 0;
        uint32_t state = mxcsr_of(*fpscr);
        HOST_OP("sqrtsd", x, double_of(a), state);
        note(fpscr, state);
        return bits_of_double(x);
    }
    return soft_sqrt(fpscr, FP64, a);
}

/* -- Fused multiply-add: the host's if it has one --------------------------------------------------------------------- */

static int host_fma = -1; /* the same whoever sets it */

static inline bool have_fma(void)
{
    int h = __atomic_load_n(&host_fma, __ATOMIC_RELAXED);
    if (UNLIKELY(h < 0)) {
        h = __builtin_cpu_supports("fma") != 0;
        __atomic_store_n(&host_fma, h, __ATOMIC_RELAXED);
    }
    return h;
}

#define HOST_FMA(insn, r, a, b, state)                                             \
 do {                                                                              \
  const uint32_t normal_ = MXCSR_DEFAULT;                                          \
  __asm__ volatile("ldmxcsr %1\n\t" insn " %3, %2, %0\n\tstmxcsr %1\n\tldmxcsr %4" \
                   : "+x"(r), "+m"(state)                                          \
                   : "x"(a), "x"(b), "m"(normal_));                                \
 } while (0)

f32 f32_muladd(uint32_t *fpscr, f32 c, f32 a, f32 b)
{
    if (LIKELY(plain32(a) && plain32(b) && plain32(c) && have_fma())) {
        float x = float_of(c);
        uint32_t state = mxcsr_of(*fpscr);
        HOST_FMA("vfmadd231ss", x, float_of(a), float_of(b), state);
        f32 r = bits_of_float(x);
        if (LIKELY(safe32(r))) {
            note(fpscr, state);
            return r;
        }
    }
    return (f32)soft_muladd(fpscr, FP32, c, a, b);
}

f64 f64_muladd(uint32_t *fpscr, f64 c, f64 a, f64 b)
{
    if (LIKELY(plain64(a) && plain64(b) && plain64(c) && have_fma())) {
        double x = double_of(c);
        uint32_t state = mxcsr_of(*fpscr);
        HOST_FMA("vfmadd231sd", x, double_of(a), double_of(b), state);
        f64 r = bits_of_double(x);
        if (LIKELY(safe64(r))) {
            note(fpscr, state);
            return r;
        }
    }
    return soft_muladd(fpscr, FP64, c, a, b);
}

/* -- Comparison --------------------------------------------------------------------------------------------------------- */

#define COMPARE(type, fp, width)                                             \
 uint32_t type##_compare(uint32_t *fpscr, type a, type b, bool signal_quiet) \
 {                                                                           \
  if (LIKELY(PLAIN(type)(a) && PLAIN(type)(b))) {                            \
   fp x = fp##_of(a), y = fp##_of(b);                                        \
   return x == y ? 0x60000000 : x < y ? 0x80000000 : 0x20000000;             \
  }                                                                          \
  return soft_compare(fpscr, width, a, b, signal_quiet);                     \
 }
COMPARE(f32, float, FP32)
COMPARE(f64, double, FP64)

/* -- Conversions -------------------------------------------------------------------------------------------------------- */

f64 f32_to_f64(uint32_t *fpscr, f32 a)
{
    if (LIKELY(plain32(a)))
        return bits_of_double((double)float_of(a));
    return soft_convert(fpscr, FP64, FP32, a);
}

f32 f64_to_f32(uint32_t *fpscr, f64 a)
{
    if (LIKELY(plain64(a))) {
        float x = 0;
        uint32_t state = mxcsr_of(*fpscr);
        HOST_OP("cvtsd2ss", x, double_of(a), state);
        f32 r = bits_of_float(x);
        if (LIKELY(safe32(r)) || !(a << 1)) {
            note(fpscr, state);
            return r;
        }
    }
    return (f32)soft_convert(fpscr, FP32, FP64, a);
}

/* Towards zero and in range: what is left over says whether it was exact. */
#define TO_INT(type, fp, width)                                                                                     \
 uint32_t type##_to_int(uint32_t *fpscr, type a, bool is_unsigned, enum fp_round how)                               \
 {                                                                                                                  \
  if (LIKELY(PLAIN(type)(a) && how == FP_ZERO)) {                                                                   \
   fp x = fp##_of(a);                                                                                               \
   if (x > (is_unsigned ? (fp)-1 : (fp)-2147483648.0) && x < (is_unsigned ? (fp)4294967296.0 : (fp)2147483648.0)) { \
    int64_t i = (int64_t)x;                                                                                         \
    if ((fp)i != x)                                                                                                 \
     *fpscr |= FPSCR_IXC;                                                                                           \
    return (uint32_t)i;                                                                                             \
   }                                                                                                                \
  }                                                                                                                 \
  return (uint32_t)soft_to_fixed(fpscr, width, a, 32, 0, is_unsigned, how);                                         \
 }
TO_INT(f32, float, FP32)
TO_INT(f64, double, FP64)

f32 f32_from_int(uint32_t *fpscr, uint32_t x, bool is_unsigned)
{
    int64_t i = is_unsigned ? (int64_t)x : (int32_t)x;
    if (LIKELY(quiet(*fpscr)) || (i < 1 << 24 && i > -(1 << 24)))
        return bits_of_float((float)i);
    return (f32)soft_from_fixed(fpscr, FP32, (uint64_t)i, 0, is_unsigned, FP_BY_FPSCR);
}

f64 f64_from_int(uint32_t *fpscr, uint32_t x, bool is_unsigned)
{
    (void)fpscr; /* always exact */
    return bits_of_double(is_unsigned ? (double)x : (double)(int32_t)x);
}
