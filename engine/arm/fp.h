/*
 * fp.h — floating-point arithmetic of the guest: values as bit patterns, state in an FPSCR
 *
 * Every function takes the address of an FPSCR value: it reads the rounding mode, flush-to-zero, default NaN and
 * alternative half precision from it and sets the cumulative exception bits in it. VFP passes the guest's FPSCR; Advanced
 * SIMD passes a copy in the standard form (fp_standard) and merges the bits afterwards.
 *
 * soft_*   fp_soft.c: the pseudocode of ARM DDI 0406C A2.7 in integers, for every case
 * f32_* f64_*   fp.c: the host's arithmetic where it gives the same result and flags, soft_* elsewhere
 */
#ifndef ENGINE_ARM_FP_H
#define ENGINE_ARM_FP_H

#include "engine/base/base.h"
#include "engine/vcpu/vcpu.h"

enum {
    FPSCR_IOC = BIT(0),
    FPSCR_DZC = BIT(1),
    FPSCR_OFC = BIT(2),
    FPSCR_UFC = BIT(3),
    FPSCR_IXC = VCPU_FPSCR_IXC, /* bit 4 */
    FPSCR_IDC = BIT(7),
    FPSCR_CUMULATIVE = 0x9f,
    FPSCR_LEN = 7u << 16,
    FPSCR_STRIDE = 3u << 20,
    FPSCR_RMODE = 3u << 22,
    FPSCR_FZ = BIT(24),
    FPSCR_DN = BIT(25),
    FPSCR_AHP = BIT(26),
    FPSCR_QC = VCPU_FPSCR_QC, /* bit 27 */
};
#define FPSCR_NZCV 0xf0000000u
/* What VMSR can write: the trap enables do not exist on the A15. */
#define FPSCR_WRITABLE 0xfff7009fu

enum fp_round { FP_NEAREST, FP_UP, FP_DOWN, FP_ZERO, FP_BY_FPSCR };

enum fp_width { FP16, FP32, FP64 };

/* StandardFPSCRValue(): the caller ORs the cumulative bits of the result into the guest's. */
static inline uint32_t fp_standard(uint32_t fpscr)
{
    return (fpscr & (FPSCR_AHP | FPSCR_CUMULATIVE | FPSCR_QC)) | FPSCR_FZ | FPSCR_DN;
}

/* FPSCR's N Z C V in bits 31..28; the rest is v->fpscr. */
static inline uint32_t fp_nzcv(const struct vcpu *v)
{
    return (v->fpcc_nzc & 0xc0u) << 24 | (~v->fpcc_nzc & 1u) << 29 | (v->fpcc_v & 1u) << 28;
}

static inline void fp_set_nzcv(struct vcpu *v, uint32_t x)
{
    v->fpcc_nzc = (uint8_t)((x >> 24 & 0xc0) | (~x >> 29 & 1));
    v->fpcc_v = (uint8_t)(x >> 28 & 1);
}

/* -- fp_soft.c: w is FP32 or FP64 ---------------------------------------------------------------------- */

uint64_t soft_add(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);
uint64_t soft_sub(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);
uint64_t soft_mul(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);
uint64_t soft_div(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);
uint64_t soft_sqrt(uint32_t *fpscr, enum fp_width w, uint64_t a);
/* addend + a * b, rounded once */
uint64_t soft_muladd(uint32_t *fpscr, enum fp_width w, uint64_t addend, uint64_t a, uint64_t b);
/* N Z C V in bits 31..28. */
uint32_t soft_compare(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b, bool signal_quiet);
uint64_t soft_max(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);
uint64_t soft_min(uint32_t *fpscr, enum fp_width w, uint64_t a, uint64_t b);
/* Between widths; FP16 in the form that FPSCR.AHP says. */
uint64_t soft_convert(uint32_t *fpscr, enum fp_width to, enum fp_width from, uint64_t a);
/* To an integer of `bits` bits with `frac` fraction bits, saturated; sign- or zero-extended to 64 bits. */
uint64_t soft_to_fixed(uint32_t *fpscr, enum fp_width w, uint64_t a, unsigned nbits, unsigned frac, bool is_unsigned,
                       enum fp_round how);
/* x: the integer, already extended to 64 bits. */
uint64_t soft_from_fixed(uint32_t *fpscr, enum fp_width w, uint64_t x, unsigned frac, bool is_unsigned,
                         enum fp_round how);

/* Estimates and steps: fpscr in the standard form. */
uint32_t fp_recip_estimate(uint32_t *fpscr, uint32_t a);
uint32_t fp_rsqrt_estimate(uint32_t *fpscr, uint32_t a);
uint32_t fp_recip_step(uint32_t *fpscr, uint32_t a, uint32_t b);
uint32_t fp_rsqrt_step(uint32_t *fpscr, uint32_t a, uint32_t b);
uint32_t fp_unsigned_recip_estimate(uint32_t a);
uint32_t fp_unsigned_rsqrt_estimate(uint32_t a);

/* -- fp.c ------------------------------------------------------------------------------------------------ */

uint32_t f32_add(uint32_t *fpscr, uint32_t a, uint32_t b);
uint32_t f32_sub(uint32_t *fpscr, uint32_t a, uint32_t b);
uint32_t f32_mul(uint32_t *fpscr, uint32_t a, uint32_t b);
uint32_t f32_div(uint32_t *fpscr, uint32_t a, uint32_t b);
uint32_t f32_sqrt(uint32_t *fpscr, uint32_t a);
uint32_t f32_muladd(uint32_t *fpscr, uint32_t addend, uint32_t a, uint32_t b);
uint32_t f32_compare(uint32_t *fpscr, uint32_t a, uint32_t b, bool signal_quiet);
uint64_t f64_add(uint32_t *fpscr, uint64_t a, uint64_t b);
uint64_t f64_sub(uint32_t *fpscr, uint64_t a, uint64_t b);
uint64_t f64_mul(uint32_t *fpscr, uint64_t a, uint64_t b);
uint64_t f64_div(uint32_t *fpscr, uint64_t a, uint64_t b);
uint64_t f64_sqrt(uint32_t *fpscr, uint64_t a);
uint64_t f64_muladd(uint32_t *fpscr, uint64_t addend, uint64_t a, uint64_t b);
uint32_t f64_compare(uint32_t *fpscr, uint64_t a, uint64_t b, bool signal_quiet);
uint64_t f32_to_f64(uint32_t *fpscr, uint32_t a);
uint32_t f64_to_f32(uint32_t *fpscr, uint64_t a);
/* 32-bit integers */
uint32_t f32_to_int(uint32_t *fpscr, uint32_t a, bool is_unsigned, enum fp_round how);
uint32_t f64_to_int(uint32_t *fpscr, uint64_t a, bool is_unsigned, enum fp_round how);
uint32_t f32_from_int(uint32_t *fpscr, uint32_t x, bool is_unsigned);
uint64_t f64_from_int(uint32_t *fpscr, uint32_t x, bool is_unsigned);

static inline uint32_t f32_neg(uint32_t a)
{
    return a ^ 0x80000000u;
}
static inline uint64_t f64_neg(uint64_t a)
{
    return a ^ UINT64_C(1) << 63;
}

#endif
