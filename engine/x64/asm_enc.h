/*
 * asm_enc.h — what the assembler's files share: one instruction's bytes while they are put together
 *
 * An instruction is put together in a small buffer and appended whole, so the code never ends in half an instruction.
 */
#ifndef ENGINE_X64_ASM_ENC_H
#define ENGINE_X64_ASM_ENC_H

#include "engine/x64/asm.h"

struct enc {
    uint8_t b[16];
    unsigned n;
};

static inline void put(struct enc *e, unsigned byte)
{
    e->b[e->n++] = (uint8_t)byte;
}

static inline void put32(struct enc *e, uint32_t x)
{
    memcpy(e->b + e->n, &x, 4);
    e->n += 4;
}

/* Byte registers spl..dil need a REX prefix. */
static inline bool byte_rex(unsigned size, int r)
{
    return size == 1 && r >= 4;
}

/* prefix: 0, 0x66, 0xf2 or 0xf3. force: a REX prefix even if it says nothing. */
void enc_prefix_rex(struct enc *e, unsigned prefix, bool w, int reg, int index, int base, bool force);
/* ModRM, SIB and displacement of a memory operand. */
void enc_modrm_mem(struct enc *e, int reg, struct x64_mem m);
/* All of an instruction but its immediate. opcode: one byte, 0x0fXX or 0x0f38XX; size 2 brings its own prefix. */
void enc_rr(struct enc *e, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm, bool force);
void enc_rm(struct enc *e, unsigned size, unsigned prefix, unsigned opcode, int reg, struct x64_mem m, bool force);
/* What has been put together, to the code. */
void enc_append(struct x64_asm *a, const struct enc *e);
/* A whole instruction without immediate. */
void enc_op_rr(struct x64_asm *a, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm);
void enc_op_rm(struct x64_asm *a, unsigned size, unsigned prefix, unsigned opcode, int reg, struct x64_mem m);
void enc_op_byte(struct x64_asm *a, unsigned byte);

#endif
