/*
 * asm_vex.h — the assembler for xmm registers: VEX.128 encodings, three operands, memory unaligned
 *
 * Needs AVX2 (x64_host.avx2); the FMA ones x64_host.fma. Registers are 0..15. None but vucomis* touches EFLAGS. 128-bit VEX
 * forms clear the upper halves of ymm registers, so C compiled for plain SSE pays no transition.
 */
#ifndef ENGINE_X64_ASM_VEX_H
#define ENGINE_X64_ASM_VEX_H

#include "engine/x64/asm.h"

/* Opcode | pp << 8 | map << 10 | W << 12 | extension << 13 (the forms with an immediate that have no third register). */
#define VX_NP     (0u << 8)
#define VX_66     (1u << 8)
#define VX_F3     (2u << 8)
#define VX_F2     (3u << 8)
#define VX_0F     (1u << 10)
#define VX_38     (2u << 10)
#define VX_3A     (3u << 10)
#define VX_W      (1u << 12)
#define VX_EXT(n) ((unsigned)(n) << 13)

/* clang-format off */
enum vex_op {
    /* Moves. movs* loads clear the rest of the register. */
    VX_MOVSS_LD = VX_F3 | VX_0F | 0x10, VX_MOVSS_ST = VX_F3 | VX_0F | 0x11,
    VX_MOVSD_LD = VX_F2 | VX_0F | 0x10, VX_MOVSD_ST = VX_F2 | VX_0F | 0x11,
    VX_MOVUPS_LD = VX_NP | VX_0F | 0x10, VX_MOVUPS_ST = VX_NP | VX_0F | 0x11,
    VX_MOVAPS = VX_NP | VX_0F | 0x28,
    VX_MOVHPS_LD = VX_NP | VX_0F | 0x16,  /* src1's low half, memory's high */
    VX_MOVD_LD = VX_66 | VX_0F | 0x6e, VX_MOVD_ST = VX_66 | VX_0F | 0x7e, /* dst is in reg of _ST's source */
    VX_MOVQ_LD = VX_66 | VX_0F | VX_W | 0x6e, VX_MOVQ_ST = VX_66 | VX_0F | VX_W | 0x7e,
    VX_MOVQ = VX_F3 | VX_0F | 0x7e, /* clears the upper half */
    VX_PEXTRD = VX_66 | VX_3A | 0x16,
    /* Scalar arithmetic: F2 double, F3 single (VX_SINGLE) */
    VX_ADDSD = VX_F2 | VX_0F | 0x58, VX_MULSD = VX_F2 | VX_0F | 0x59, VX_SUBSD = VX_F2 | VX_0F | 0x5c,
    VX_DIVSD = VX_F2 | VX_0F | 0x5e, VX_SQRTSD = VX_F2 | VX_0F | 0x51,
    VX_CVTSD2SS = VX_F2 | VX_0F | 0x5a, VX_CVTSS2SD = VX_F3 | VX_0F | 0x5a,
    VX_CVTSI2SD = VX_F2 | VX_0F | 0x2a, VX_CVTTSD2SI = VX_F2 | VX_0F | 0x2c, VX_CVTSD2SI = VX_F2 | VX_0F | 0x2d,
    VX_UCOMISD = VX_66 | VX_0F | 0x2e, VX_UCOMISS = VX_NP | VX_0F | 0x2e,
    /* dst = +-(src1 * src2) +- dst; W: double */
    VX_FMADD231SS = VX_66 | VX_38 | 0xb9, VX_FMSUB231SS = VX_66 | VX_38 | 0xbb,
    VX_FNMADD231SS = VX_66 | VX_38 | 0xbd, VX_FNMSUB231SS = VX_66 | VX_38 | 0xbf,
    /* Integers */
    VX_PXOR = VX_66 | VX_0F | 0xef, VX_PAND = VX_66 | VX_0F | 0xdb, VX_PANDN = VX_66 | VX_0F | 0xdf,
    VX_POR = VX_66 | VX_0F | 0xeb, VX_PCMPEQD = VX_66 | VX_0F | 0x76,
    VX_PSLLD_I = VX_66 | VX_0F | VX_EXT(6) | 0x72, VX_PSLLQ_I = VX_66 | VX_0F | VX_EXT(6) | 0x73, VX_PSRLQ_I = VX_66 | VX_0F | VX_EXT(2) | 0x73,
    VX_PBROADCASTB = VX_66 | VX_38 | 0x78, VX_PBROADCASTW = VX_66 | VX_38 | 0x79, VX_PBROADCASTD = VX_66 | VX_38 | 0x58,
    VX_PTEST = VX_66 | VX_38 | 0x17, VX_MOVMSKPS = VX_NP | VX_0F | 0x50,
    VX_PADDB = VX_66 | VX_0F | 0xfc, VX_PADDW = VX_66 | VX_0F | 0xfd, VX_PADDD = VX_66 | VX_0F | 0xfe, VX_PADDQ = VX_66 | VX_0F | 0xd4,
    VX_PSUBB = VX_66 | VX_0F | 0xf8, VX_PSUBW = VX_66 | VX_0F | 0xf9, VX_PSUBD = VX_66 | VX_0F | 0xfa, VX_PSUBQ = VX_66 | VX_0F | 0xfb,
    VX_PADDSB = VX_66 | VX_0F | 0xec, VX_PADDSW = VX_66 | VX_0F | 0xed, VX_PADDUSB = VX_66 | VX_0F | 0xdc, VX_PADDUSW = VX_66 | VX_0F | 0xdd,
    VX_PSUBSB = VX_66 | VX_0F | 0xe8, VX_PSUBSW = VX_66 | VX_0F | 0xe9, VX_PSUBUSB = VX_66 | VX_0F | 0xd8, VX_PSUBUSW = VX_66 | VX_0F | 0xd9,
    VX_PAVGB = VX_66 | VX_0F | 0xe0, VX_PAVGW = VX_66 | VX_0F | 0xe3,
    VX_PMULLW = VX_66 | VX_0F | 0xd5, VX_PMULHW = VX_66 | VX_0F | 0xe5, VX_PMULHUW = VX_66 | VX_0F | 0xe4,
    VX_PMULHRSW = VX_66 | VX_38 | 0x0b,
    VX_PMULLD = VX_66 | VX_38 | 0x40, VX_PMULDQ = VX_66 | VX_38 | 0x28, VX_PMULUDQ = VX_66 | VX_0F | 0xf4,
    VX_PCMPEQB = VX_66 | VX_0F | 0x74, VX_PCMPEQW = VX_66 | VX_0F | 0x75,
    VX_PCMPGTB = VX_66 | VX_0F | 0x64, VX_PCMPGTW = VX_66 | VX_0F | 0x65, VX_PCMPGTD = VX_66 | VX_0F | 0x66, VX_PCMPGTQ = VX_66 | VX_38 | 0x37,
    VX_PMAXSB = VX_66 | VX_38 | 0x3c, VX_PMAXSW = VX_66 | VX_0F | 0xee, VX_PMAXSD = VX_66 | VX_38 | 0x3d,
    VX_PMAXUB = VX_66 | VX_0F | 0xde, VX_PMAXUW = VX_66 | VX_38 | 0x3e, VX_PMAXUD = VX_66 | VX_38 | 0x3f,
    VX_PMINSB = VX_66 | VX_38 | 0x38, VX_PMINSW = VX_66 | VX_0F | 0xea, VX_PMINSD = VX_66 | VX_38 | 0x39,
    VX_PMINUB = VX_66 | VX_0F | 0xda, VX_PMINUW = VX_66 | VX_38 | 0x3a, VX_PMINUD = VX_66 | VX_38 | 0x3b,
    VX_PABSB = VX_66 | VX_38 | 0x1c, VX_PABSW = VX_66 | VX_38 | 0x1d, VX_PABSD = VX_66 | VX_38 | 0x1e,
    VX_PSLLW_I = VX_66 | VX_0F | VX_EXT(6) | 0x71, VX_PSRLW_I = VX_66 | VX_0F | VX_EXT(2) | 0x71, VX_PSRAW_I = VX_66 | VX_0F | VX_EXT(4) | 0x71,
    VX_PSRLD_I = VX_66 | VX_0F | VX_EXT(2) | 0x72, VX_PSRAD_I = VX_66 | VX_0F | VX_EXT(4) | 0x72, VX_PSRLDQ_I = VX_66 | VX_0F | VX_EXT(3) | 0x73,
    VX_PSLLVD = VX_66 | VX_38 | 0x47, VX_PSRLVD = VX_66 | VX_38 | 0x45, VX_PSRAVD = VX_66 | VX_38 | 0x46,
    VX_BLENDVPS = VX_66 | VX_3A | 0x4a, /* immediate: register of the mask << 4 */
    VX_PSHUFB = VX_66 | VX_38 | 0x00, VX_PSHUFD = VX_66 | VX_0F | 0x70, VX_PSHUFHW = VX_F3 | VX_0F | 0x70, VX_PSHUFLW = VX_F2 | VX_0F | 0x70,
    VX_SHUFPS = VX_NP | VX_0F | 0xc6, VX_PALIGNR = VX_66 | VX_3A | 0x0f,
    VX_PUNPCKLBW = VX_66 | VX_0F | 0x60, VX_PUNPCKLWD = VX_66 | VX_0F | 0x61, VX_PUNPCKLDQ = VX_66 | VX_0F | 0x62, VX_PUNPCKLQDQ = VX_66 | VX_0F | 0x6c,
    VX_PUNPCKHBW = VX_66 | VX_0F | 0x68, VX_PUNPCKHWD = VX_66 | VX_0F | 0x69, VX_PUNPCKHDQ = VX_66 | VX_0F | 0x6a, VX_PUNPCKHQDQ = VX_66 | VX_0F | 0x6d,
    VX_PACKSSWB = VX_66 | VX_0F | 0x63, VX_PACKSSDW = VX_66 | VX_0F | 0x6b, VX_PACKUSWB = VX_66 | VX_0F | 0x67, VX_PACKUSDW = VX_66 | VX_38 | 0x2b,
    VX_PMOVSXBW = VX_66 | VX_38 | 0x20, VX_PMOVSXWD = VX_66 | VX_38 | 0x23, VX_PMOVSXDQ = VX_66 | VX_38 | 0x25,
    VX_PMOVZXBW = VX_66 | VX_38 | 0x30, VX_PMOVZXWD = VX_66 | VX_38 | 0x33, VX_PMOVZXDQ = VX_66 | VX_38 | 0x35,
    /* Vectors of single precision */
    VX_ADDPS = VX_NP | VX_0F | 0x58, VX_MULPS = VX_NP | VX_0F | 0x59, VX_SUBPS = VX_NP | VX_0F | 0x5c,
    VX_MINPS = VX_NP | VX_0F | 0x5d, VX_MAXPS = VX_NP | VX_0F | 0x5f, VX_CMPPS = VX_NP | VX_0F | 0xc2,
    VX_CVTDQ2PS = VX_NP | VX_0F | 0x5b, VX_CVTTPS2DQ = VX_F3 | VX_0F | 0x5b,
    VX_FMADD231PS = VX_66 | VX_38 | 0xb8, VX_FNMADD231PS = VX_66 | VX_38 | 0xbc,
};
/* clang-format on */
/* The single-precision form of a scalar double-precision operation. */
#define VX_SINGLE(op) ((op) ^ (VX_F2 ^ VX_F3))

/* op dst, src1, src2; src1 NO_REG: it has none. */
void asm_vex_rrr(struct x64_asm *a, uint32_t op, int dst, int src1, int src2);
void asm_vex_rrm(struct x64_asm *a, uint32_t op, int dst, int src1, struct x64_mem m);
void asm_vex_rrri(struct x64_asm *a, uint32_t op, int dst, int src1, int src2, uint8_t imm);
/* The second source is 16 bytes at an address (of the executable view) within reach of the code. */
void asm_vex_pool(struct x64_asm *a, uint32_t op, int dst, int src1, const uint8_t *at);
/* dst = src op imm: opcodes with an extension. */
void asm_vex_shift(struct x64_asm *a, uint32_t op, int dst, int src, uint8_t imm);

/* The low 4 or 8 bytes of xmm to a general register. */
static inline void asm_vex_bits(struct x64_asm *a, bool wide, int dst, int xmm)
{
    asm_vex_rrr(a, wide ? VX_MOVQ_ST : VX_MOVD_ST, xmm, NO_REG, dst);
}

#endif
