/*
 * helpers_vfp.c — VFP operations called from translated code, and the system registers of the unit
 *
 * ARM DDI 0406C A8.8, B4.1.57 (FPEXC), B4.1.58 (FPSCR). Registers come by number; doubles are v->vfp[], singles its halves.
 */
#include "engine/arm/arm.h"
#include "engine/arm/fp.h"
#include "engine/arm/helpers.h"
#include "engine/arm/state.h"
#include "engine/mem/softmmu.h"

static inline uint32_t get_s(const struct vcpu *v, uint32_t n)
{
    return (uint32_t)(v->vfp[n >> 1] >> 32 * (n & 1));
}

static inline void put_s(struct vcpu *v, uint32_t n, uint32_t x)
{
    memcpy((char *)&v->vfp[n >> 1] + 4 * (n & 1), &x, sizeof x);
}

static inline uint64_t get_d(const struct vcpu *v, uint32_t n)
{
    return v->vfp[n];
}

static inline void put_d(struct vcpu *v, uint32_t n, uint64_t x)
{
    v->vfp[n] = x;
}

/* -- Arithmetic: d = n op m; the result's name is o for the old d ---------------------------------------------- */

#define THREE(name, letter, type, expr)                                               \
 void helper_##name##_##letter(struct vcpu *v, uint32_t rd, uint32_t rn, uint32_t rm) \
 {                                                                                    \
  uint32_t *fp = &v->fpscr;                                                           \
  const type a = get_##letter(v, rn), b = get_##letter(v, rm);                        \
  __attribute__((unused)) const type o = get_##letter(v, rd);                         \
  put_##letter(v, rd, expr);                                                          \
 }
THREE(vadd, s, uint32_t, f32_add(fp, a, b))
THREE(vsub, s, uint32_t, f32_sub(fp, a, b))
THREE(vmul, s, uint32_t, f32_mul(fp, a, b))
THREE(vnmul, s, uint32_t, f32_neg(f32_mul(fp, a, b)))
THREE(vdiv, s, uint32_t, f32_div(fp, a, b))
THREE(vmla, s, uint32_t, f32_add(fp, o, f32_mul(fp, a, b)))
THREE(vmls, s, uint32_t, f32_add(fp, o, f32_neg(f32_mul(fp, a, b))))
THREE(vnmla, s, uint32_t, f32_add(fp, f32_neg(o), f32_neg(f32_mul(fp, a, b))))
THREE(vnmls, s, uint32_t, f32_add(fp, f32_neg(o), f32_mul(fp, a, b)))
THREE(vfma, s, uint32_t, f32_muladd(fp, o, a, b))
THREE(vfms, s, uint32_t, f32_muladd(fp, o, f32_neg(a), b))
THREE(vfnma, s, uint32_t, f32_muladd(fp, f32_neg(o), f32_neg(a), b))
THREE(vfnms, s, uint32_t, f32_muladd(fp, f32_neg(o), a, b))
THREE(vadd, d, uint64_t, f64_add(fp, a, b))
THREE(vsub, d, uint64_t, f64_sub(fp, a, b))
THREE(vmul, d, uint64_t, f64_mul(fp, a, b))
THREE(vnmul, d, uint64_t, f64_neg(f64_mul(fp, a, b)))
THREE(vdiv, d, uint64_t, f64_div(fp, a, b))
THREE(vmla, d, uint64_t, f64_add(fp, o, f64_mul(fp, a, b)))
THREE(vmls, d, uint64_t, f64_add(fp, o, f64_neg(f64_mul(fp, a, b))))
THREE(vnmla, d, uint64_t, f64_add(fp, f64_neg(o), f64_neg(f64_mul(fp, a, b))))
THREE(vnmls, d, uint64_t, f64_add(fp, f64_neg(o), f64_mul(fp, a, b)))
THREE(vfma, d, uint64_t, f64_muladd(fp, o, a, b))
THREE(vfms, d, uint64_t, f64_muladd(fp, o, f64_neg(a), b))
THREE(vfnma, d, uint64_t, f64_muladd(fp, f64_neg(o), f64_neg(a), b))
THREE(vfnms, d, uint64_t, f64_muladd(fp, f64_neg(o), a, b))

void helper_vsqrt_s(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_s(v, rd, f32_sqrt(&v->fpscr, get_s(v, rm)));
}

void helper_vsqrt_d(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_d(v, rd, f64_sqrt(&v->fpscr, get_d(v, rm)));
}

/* how: 1 quiet NaNs signal too, 2 with zero instead of m */
void helper_vcmp_s(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t how)
{
    uint32_t nzcv = f32_compare(&v->fpscr, get_s(v, rd), how & 2 ? 0 : get_s(v, rm), how & 1);
    fp_set_nzcv(v, nzcv);
}

void helper_vcmp_d(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t how)
{
    uint32_t nzcv = f64_compare(&v->fpscr, get_d(v, rd), how & 2 ? 0 : get_d(v, rm), how & 1);
    fp_set_nzcv(v, nzcv);
}

void helper_vabs_s(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_s(v, rd, get_s(v, rm) & 0x7fffffff);
}

void helper_vabs_d(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_d(v, rd, get_d(v, rm) & INT64_MAX);
}

void helper_vneg_s(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_s(v, rd, f32_neg(get_s(v, rm)));
}

void helper_vneg_d(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_d(v, rd, f64_neg(get_d(v, rm)));
}

void helper_vmov_s(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_s(v, rd, get_s(v, rm));
}

void helper_vmov_d(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_d(v, rd, get_d(v, rm));
}

/* -- Conversions ------------------------------------------------------------------------------------------------------ */

void helper_vcvt_d_s(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_d(v, rd, f32_to_f64(&v->fpscr, get_s(v, rm)));
}

void helper_vcvt_s_d(struct vcpu *v, uint32_t rd, uint32_t rm)
{
    put_s(v, rd, f64_to_f32(&v->fpscr, get_d(v, rm)));
}

/* how: 1 unsigned, 2 round towards zero */
void helper_vcvt_int_s(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t how)
{
    put_s(v, rd, f32_to_int(&v->fpscr, get_s(v, rm), how & 1, how & 2 ? FP_ZERO : FP_BY_FPSCR));
}

void helper_vcvt_int_d(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t how)
{
    put_s(v, rd, f64_to_int(&v->fpscr, get_d(v, rm), how & 1, how & 2 ? FP_ZERO : FP_BY_FPSCR));
}

void helper_vcvt_s_int(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t is_unsigned)
{
    put_s(v, rd, f32_from_int(&v->fpscr, get_s(v, rm), is_unsigned));
}

void helper_vcvt_d_int(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t is_unsigned)
{
    put_d(v, rd, f64_from_int(&v->fpscr, get_s(v, rm), is_unsigned));
}

/* how: 1 unsigned, 2 to fixed point, 4 of 32 bits rather than 16. The register is whole: what is narrower than it is
 * extended when written. */
static uint64_t fixed(struct vcpu *v, enum fp_width w, uint64_t x, uint32_t how, uint32_t frac)
{
    bool is_unsigned = how & 1;
    unsigned nbits = how & 4 ? 32 : 16;
    if (how & 2)
        return soft_to_fixed(&v->fpscr, w, x, nbits, frac, is_unsigned, FP_ZERO);
    uint64_t i = is_unsigned ? bits((uint32_t)x, nbits - 1, 0) : (uint64_t)(int64_t)sext((uint32_t)x, nbits);
    return soft_from_fixed(&v->fpscr, w, i, frac, is_unsigned, FP_NEAREST);
}

void helper_vcvt_fixed_s(struct vcpu *v, uint32_t rd, uint32_t how, uint32_t frac)
{
    put_s(v, rd, (uint32_t)fixed(v, FP32, get_s(v, rd), how, frac));
}

void helper_vcvt_fixed_d(struct vcpu *v, uint32_t rd, uint32_t how, uint32_t frac)
{
    put_d(v, rd, fixed(v, FP64, get_d(v, rd), how, frac));
}

/* how: 1 the top half, 2 to half precision */
void helper_vcvt_half(struct vcpu *v, uint32_t rd, uint32_t rm, uint32_t how)
{
    unsigned shift = how & 1 ? 16 : 0;
    if (how & 2) {
        uint32_t h = (uint32_t)soft_convert(&v->fpscr, FP16, FP32, get_s(v, rm));
        put_s(v, rd, (get_s(v, rd) & ~(0xffffu << shift)) | h << shift);
    } else {
        put_s(v, rd, (uint32_t)soft_convert(&v->fpscr, FP32, FP16, get_s(v, rm) >> shift & 0xffff));
    }
}

/* -- System registers ------------------------------------------------------------------------------------------------- */

static uint32_t key_of(uint32_t fpscr)
{
    return (fpscr & (FPSCR_LEN | FPSCR_STRIDE) ? 1 : 0) | (fpscr & (FPSCR_RMODE | FPSCR_FZ) ? 2 : 0);
}

/* Returns whether what block keys depend on has changed. */
uint32_t helper_vmsr_fpscr(struct vcpu *v, uint32_t val)
{
    uint32_t old = v->fpscr;
    v->fpscr = val & FPSCR_WRITABLE & ~FPSCR_NZCV;
    fp_set_nzcv(v, val);
    return key_of(old) ^ key_of(v->fpscr);
}

uint32_t helper_vmrs_fpscr(struct vcpu *v)
{
    return v->fpscr | fp_nzcv(v);
}

enum { REG_FPSID = 0, REG_MVFR1 = 6, REG_MVFR0 = 7, REG_FPEXC = 8 };

/* Those other than FPSCR: of privileged code that CPACR lets in, even with FPEXC.EN = 0. FPINST and FPINST2 do not
 * exist. Identification as in the Cortex-A15 TRM (ARM DDI 0438, 10.2). */
static bool may_access(const struct vcpu *v)
{
    return arm_mode(v) != MODE_USR && arm_vfp_allowed(v);
}

uint32_t helper_vmrs(struct vcpu *v, uint32_t reg)
{
    if (may_access(v)) {
        switch (reg) {
        case REG_FPSID: return 0x410430f0;
        case REG_MVFR1: return 0x11111111;
        case REG_MVFR0: return 0x10110222;
        case REG_FPEXC: return v->sys.fpexc;
        }
    }
    helper_undef(v);
    return 0; /* not reached */
}

void helper_vmsr(struct vcpu *v, uint32_t reg, uint32_t val)
{
    if (!may_access(v) || (reg != REG_FPEXC && reg != REG_FPSID))
        helper_undef(v);
    if (reg == REG_FPEXC)
        v->sys.fpexc = val & FPEXC_EN;
}

/* An access with an explicit alignment that it does not have. */
void helper_alignment_fault(struct vcpu *v, uint32_t va, uint32_t write)
{
    arm_alignment_fault(v, va, write);
}
