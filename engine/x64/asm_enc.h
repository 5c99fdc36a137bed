/*
 * asm_enc.h — what the assembler's files share: one instruction's bytes while they are put together
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

/* ModRM, SIB and displacement of a memory operand. */
void enc_modrm_mem(struct enc *e, int reg, struct x64_mem m);
/* The whole instruction to the code. */
void enc_append(struct x64_asm *a, const struct enc *e);

#endif
