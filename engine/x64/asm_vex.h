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
#define VX_NP  (0u << 8)
#define VX_66  (1u << 8)
#define VX_F3  (2u << 8)
#define VX_F2  (3u << 8)
#define VX_0F  (1u << 10)
#define VX_38  (2u << 10)
#define VX_3A  (3u << 10)
#define VX_W   (1u << 12)
#define VX_EXT(n) ((unsigned)(n) << 13)

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
};
/* The single-precision form of a scalar double-precision operation. */
#define VX_SINGLE(op) ((op) ^ (VX_F2 ^ VX_F3))

/* op dst, src1, src2; src1 NO_REG: it has none. */
void asm_vex_rrr(struct x64_asm *a, uint32_t op, int dst, int src1, int src2);
void asm_vex_rrm(struct x64_asm *a, uint32_t op, int dst, int src1, struct x64_mem m);
void asm_vex_rrri(struct x64_asm *a, uint32_t op, int dst, int src1, int src2, uint8_t imm);
void asm_vex_rrmi(struct x64_asm *a, uint32_t op, int dst, int src1, struct x64_mem m, uint8_t imm);
/* dst = src op imm: opcodes with an extension. */
void asm_vex_shift(struct x64_asm *a, uint32_t op, int dst, int src, uint8_t imm);

#endif
