/*
 * asm_vex.c — VEX.128 encodings (Intel SDM volume 2, 2.3)
 */
#include "engine/x64/asm_vex.h"

#include "engine/x64/asm_enc.h"

/* W, map, prefix; x, b: the extension bits of index and base (or of the register in their place). */
static void put_vex(struct enc *e, uint32_t op, int reg, int vvvv, int index, int base)
{
    unsigned r = ~(unsigned)reg >> 3 & 1, x = ~(unsigned)index >> 3 & 1, b = ~(unsigned)base >> 3 & 1;
    unsigned map = op >> 10 & 3, w = op >> 12 & 1, pp = op >> 8 & 3;
    unsigned v = vvvv < 0 ? 15 : ~(unsigned)vvvv & 15;

    if (x && b && map == 1 && !w) {
        put(e, 0xc5);
        put(e, r << 7 | v << 3 | pp);
    } else {
        put(e, 0xc4);
        put(e, r << 7 | x << 6 | b << 5 | map);
        put(e, w << 7 | v << 3 | pp);
    }
    put(e, op & 0xff);
}

static void put_rrr(struct enc *e, uint32_t op, int reg, int vvvv, int rm)
{
    put_vex(e, op, reg, vvvv, 0, rm);
    put(e, 0xc0 | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
}

static void put_rrm(struct enc *e, uint32_t op, int reg, int vvvv, struct x64_mem m)
{
    put_vex(e, op, reg, vvvv, m.index >= 0 ? m.index : 0, m.base >= 0 ? m.base : 0);
    enc_modrm_mem(e, reg, m);
}

void asm_vex_rrr(struct x64_asm *a, uint32_t op, int dst, int src1, int src2)
{
    struct enc e = {.n = 0};

    put_rrr(&e, op, dst, src1, src2);
    enc_append(a, &e);
}

void asm_vex_rrm(struct x64_asm *a, uint32_t op, int dst, int src1, struct x64_mem m)
{
    struct enc e = {.n = 0};

    put_rrm(&e, op, dst, src1, m);
    enc_append(a, &e);
}

void asm_vex_rrri(struct x64_asm *a, uint32_t op, int dst, int src1, int src2, uint8_t imm)
{
    struct enc e = {.n = 0};

    put_rrr(&e, op, dst, src1, src2);
    put(&e, imm);
    enc_append(a, &e);
}

void asm_vex_pool(struct x64_asm *a, uint32_t op, int dst, int src1, const uint8_t *at)
{
    struct enc e = {.n = 0};

    put_vex(&e, op, dst, src1, 0, 0);
    put(&e, ((unsigned)dst & 7) << 3 | 5); /* relative to the next instruction */
    ptrdiff_t off = at - (a->rx + a->off + e.n + 4);
    CHECK(off == (int32_t)off, "constants are out of reach of code memory");
    put32(&e, (uint32_t)off);
    enc_append(a, &e);
}

void asm_vex_shift(struct x64_asm *a, uint32_t op, int dst, int src, uint8_t imm)
{
    struct enc e = {.n = 0};

    put_rrr(&e, op, (int)(op >> 13 & 7), dst, src);
    put(&e, imm);
    enc_append(a, &e);
}
