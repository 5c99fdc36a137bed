/*
 * helpers_neon.c — Advanced SIMD called from translated code: operations on lanes, and moves of elements (ARM DDI 0406C A8.8)
 */
#include "engine/arm/fp.h"
#include "engine/arm/helpers.h"
#include "engine/arm/neon_lanes.h"

static neon_fn *const functions[VOP_COUNT] = {
#define OP(name) neon_##name,
#include "engine/ir/vec_ops.def"
#undef OP
};

static void get(const struct vcpu *v, union vec *x, unsigned reg, bool q)
{
    x->u64[0] = v->vfp[reg];
    x->u64[1] = q ? v->vfp[reg + 1] : 0;
}

static void put(struct vcpu *v, const union vec *x, unsigned reg, bool q)
{
    v->vfp[reg] = x->u64[0];
    if (q)
        v->vfp[reg + 1] = x->u64[1];
}

static void get_scalar(const struct vcpu *v, union vec *x, u32 regs)
{
    unsigned index = bits(regs, VREG_SCALAR_INDEX + 2, VREG_SCALAR_INDEX);
    u64 whole = v->vfp[bits(regs, VREG_M + 4, VREG_M)];
    u64 s = bits(regs, VREG_SCALAR_SIZE + 1, VREG_SCALAR_SIZE) == 1
                ? (whole >> 16 * index & 0xffff) * 0x0001000100010001
                : (whole >> 32 * index & 0xffffffff) * 0x0000000100000001;
    x->u64[0] = x->u64[1] = s;
}

void helper_vec(struct vcpu *v, u32 op, u32 regs, u32 imm)
{
    union vec d, n, m;
    struct vec_ctx c = {.fpscr = fp_standard(v->fpscr), .imm = imm, .bytes = regs & VREG_DQ ? 16 : 8};
    get(v, &d, bits(regs, 4, 0), regs & VREG_DQ);
    get(v, &n, bits(regs, VREG_N + 4, VREG_N), regs & VREG_NQ);
    if (regs & VREG_SCALAR)
        get_scalar(v, &m, regs);
    else if (regs & VREG_IMM)
        m.u64[0] = m.u64[1] = (imm & 0xff) * UINT64_C(0x0101010101010101);
    else if (regs & VREG_NONE)
        m.u64[0] = m.u64[1] = 0;
    else
        get(v, &m, bits(regs, VREG_M + 4, VREG_M), regs & VREG_MQ);
    functions[op](&c, &d, &n, &m);
    put(v, &d, bits(regs, 4, 0), regs & VREG_DQ);
    v->fpscr |= c.fpscr & (FPSCR_CUMULATIVE | FPSCR_QC);
}

void helper_vec_imm(struct vcpu *v, u32 regs, u32 low, u32 high)
{
    union vec d = {.u32 = {low, high, low, high}};
    put(v, &d, bits(regs, 4, 0), regs & VREG_DQ);
}

void helper_vec_dup_core(struct vcpu *v, u32 regs, u32 log2, u32 x)
{
    u64 all = log2 == 0   ? (x & 0xff) * UINT64_C(0x0101010101010101)
              : log2 == 1 ? (x & 0xffff) * UINT64_C(0x0001000100010001)
                          : x * UINT64_C(0x0000000100000001);
    union vec d = {.u64 = {all, all}};
    put(v, &d, bits(regs, 4, 0), regs & VREG_DQ);
}

void helper_vec_dup(struct vcpu *v, u32 regs, u32 log2, u32 lane)
{
    helper_vec_dup_core(v, regs, log2, (u32)(v->vfp[bits(regs, VREG_M + 4, VREG_M)] >> (8 * lane << log2)));
}

/* Lanes of T: VTRN, VUZP, VZIP of d and m with `lanes` each. */
#define PERMUTE(T)                                                             \
 static void permute_##T(u32 kind, union vec *d, union vec *m, unsigned lanes) \
 {                                                                             \
  const union vec a = *d, b = *m;                                              \
  for (unsigned i = 0; i < lanes; i++) {                                       \
   switch (kind) {                                                             \
   case PERMUTE_TRN:                                                           \
    d->T[i] = i & 1 ? b.T[i - 1] : a.T[i];                                     \
    m->T[i] = i & 1 ? b.T[i] : a.T[i + 1];                                     \
    break;                                                                     \
   case PERMUTE_UZP: {                                                         \
    const union vec *s = 2 * i < lanes ? &a : &b;                              \
    unsigned k = 2 * i % lanes;                                                \
    d->T[i] = s->T[k];                                                         \
    m->T[i] = s->T[k + 1];                                                     \
    break;                                                                     \
   }                                                                           \
   default: {                                                                  \
    const union vec *s = i & 1 ? &b : &a;                                      \
    d->T[i] = s->T[i / 2];                                                     \
    m->T[i] = s->T[(lanes + i) / 2];                                           \
   }                                                                           \
   }                                                                           \
  }                                                                            \
 }
PERMUTE(u8)
PERMUTE(u16)
PERMUTE(u32)

void helper_vec_permute(struct vcpu *v, u32 what, u32 regs)
{
    union vec d, m;
    unsigned rd = bits(regs, 4, 0), rm = bits(regs, VREG_M + 4, VREG_M), bytes = regs & VREG_DQ ? 16 : 8;
    get(v, &d, rd, regs & VREG_DQ);
    get(v, &m, rm, regs & VREG_DQ);
    if ((what & 15) == PERMUTE_SWP) {
        union vec t = d;
        d = m;
        m = t;
    } else if (what >> 4 == 0) {
        permute_u8(what & 15, &d, &m, bytes);
    } else if (what >> 4 == 1) {
        permute_u16(what & 15, &d, &m, bytes / 2);
    } else {
        permute_u32(what & 15, &d, &m, bytes / 4);
    }
    put(v, &m, rm, regs & VREG_DQ);
    put(v, &d, rd, regs & VREG_DQ);
}

/* VTBL, and VTBX if extend, with a table of `length` registers. */
void helper_vec_table(struct vcpu *v, u32 regs, u32 length, u32 extend)
{
    u64 table[4];
    unsigned rn = bits(regs, VREG_N + 4, VREG_N);
    for (unsigned i = 0; i < length; i++)
        table[i] = v->vfp[rn + i];
    u64 index = v->vfp[bits(regs, VREG_M + 4, VREG_M)], old = extend ? v->vfp[bits(regs, 4, 0)] : 0, r = 0;
    for (unsigned i = 0; i < 8; i++) {
        u8 k = (u8)(index >> 8 * i);
        u64 byte = k < 8 * length ? table[k / 8] >> k % 8 * 8 : old >> 8 * i;
        r |= (byte & 0xff) << 8 * i;
    }
    v->vfp[bits(regs, 4, 0)] = r;
}

/* VLD2..4: registers d, d + step.. hold the structures in memory's order; sort their elements. */
void helper_vec_deinterleave(struct vcpu *v, u32 d, u32 how)
{
    unsigned count = how & 15, step = how >> 4 & 15, size = 1u << (how >> 8);
    u8 in[32], out[4][8];
    for (unsigned k = 0; k < count; k++)
        memcpy(in + 8 * k, &v->vfp[d + k * step], 8);
    for (unsigned i = 0; i < 8 * count / size; i++)
        memcpy(&out[i % count][i / count * size], in + i * size, size);
    for (unsigned k = 0; k < count; k++)
        memcpy(&v->vfp[d + k * step], out[k], 8);
}

/* VST2..4: the other way, into v->vtmp. */
void helper_vec_interleave(struct vcpu *v, u32 d, u32 how)
{
    unsigned count = how & 15, step = how >> 4 & 15, size = 1u << (how >> 8);
    u8 in[4][8], out[32];
    for (unsigned k = 0; k < count; k++)
        memcpy(in[k], &v->vfp[d + k * step], 8);
    for (unsigned i = 0; i < 8 * count / size; i++)
        memcpy(out + i * size, &in[i % count][i / count * size], size);
    memcpy(v->vtmp, out, 8 * count);
}
