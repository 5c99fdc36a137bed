/*
 * asm_enc.c — how an instruction is encoded: prefixes, opcode, ModRM, SIB (Intel SDM volume 2, 2.1 and 2.2)
 */
#include "engine/x64/asm_enc.h"

void enc_append(struct x64_asm *a, const struct enc *e)
{
    a->insns++;
    if (a->off + e->n > a->cap) {
        a->overflow = true;
        return;
    }
    memcpy(a->rw + a->off, e->b, e->n);
    a->off += e->n;
}

/* Opcodes: one byte, 0x0fXX or 0x0f38XX. Prefix: 0, 0x66, 0xf2, 0xf3. */
static void put_opcode(struct enc *e, unsigned opcode)
{
    if (opcode > 0xffff)
        put(e, opcode >> 16);
    if (opcode > 0xff)
        put(e, (opcode >> 8) & 0xff);
    put(e, opcode & 0xff);
}

void enc_prefix_rex(struct enc *e, unsigned prefix, bool w, int reg, int index, int base, bool force)
{
    unsigned rex = 0x40 | (unsigned)w << 3 | ((unsigned)reg >> 3 & 1) << 2 | ((unsigned)index >> 3 & 1) << 1 |
                   ((unsigned)base >> 3 & 1);

    if (prefix)
        put(e, prefix);
    if (rex != 0x40 || force)
        put(e, rex);
}

void enc_modrm_mem(struct enc *e, int reg, struct x64_mem m)
{
    unsigned r = ((unsigned)reg & 7) << 3;
    unsigned base = (unsigned)m.base & 7;

    if (m.base < 0) { /* index only: always with a 32-bit displacement */
        put(e, r | 4);
        put(e, (m.scale == 8   ? 3u
                : m.scale == 4 ? 2u
                : m.scale == 2 ? 1u
                               : 0u)
                       << 6 |
                   ((unsigned)m.index & 7) << 3 | 5);
        put32(e, (uint32_t)m.disp);
        return;
    }
    unsigned mod = m.disp == 0 && base != 5 ? 0 : m.disp >= -128 && m.disp < 128 ? 1 : 2;

    if (m.index >= 0 || base == 4) {
        unsigned index = m.index >= 0 ? (unsigned)m.index & 7 : 4;
        unsigned ss = m.scale == 8 ? 3 : m.scale == 4 ? 2 : m.scale == 2 ? 1 : 0;

        put(e, mod << 6 | r | 4);
        put(e, ss << 6 | index << 3 | base);
    } else {
        put(e, mod << 6 | r | base);
    }
    if (mod == 1)
        put(e, (unsigned)m.disp & 0xff);
    else if (mod == 2)
        put32(e, (uint32_t)m.disp);
}

void enc_rr(struct enc *e, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm, bool force)
{
    enc_prefix_rex(e, size == 2 && !prefix ? 0x66 : prefix, size == 8, reg, 0, rm, force);
    put_opcode(e, opcode);
    put(e, 0xc0 | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
}

void enc_rm(struct enc *e, unsigned size, unsigned prefix, unsigned opcode, int reg, struct x64_mem m, bool force)
{
    enc_prefix_rex(e, size == 2 && !prefix ? 0x66 : prefix, size == 8, reg, m.index >= 0 ? m.index : 0,
                   m.base >= 0 ? m.base : 0, force);
    put_opcode(e, opcode);
    enc_modrm_mem(e, reg, m);
}

void enc_op_rr(struct x64_asm *a, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm)
{
    struct enc e = {.n = 0};

    enc_rr(&e, size, prefix, opcode, reg, rm, byte_rex(size, reg) || byte_rex(size, rm));
    enc_append(a, &e);
}

void enc_op_rm(struct x64_asm *a, unsigned size, unsigned prefix, unsigned opcode, int reg, struct x64_mem m)
{
    struct enc e = {.n = 0};

    enc_rm(&e, size, prefix, opcode, reg, m, byte_rex(size, reg));
    enc_append(a, &e);
}

void enc_op_byte(struct x64_asm *a, unsigned byte)
{
    struct enc e = {.n = 0};

    put(&e, byte);
    enc_append(a, &e);
}
