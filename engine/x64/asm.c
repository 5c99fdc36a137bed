/*
 * asm.c — the assembler's encodings
 *
 * Source: Intel SDM volume 2. An instruction is put together in a small buffer and appended whole, so the code
 * never ends in half an instruction.
 */
#include "engine/x64/asm.h"

#include "engine/base/base.h"
#include "engine/x64/asm_enc.h"

#define append        enc_append
#define put_modrm_mem enc_modrm_mem

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

static void put_prefix_rex(struct enc *e, unsigned prefix, bool w, int reg, int index, int base, bool force)
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

/* Byte registers spl..dil need a REX prefix. */
static bool byte_rex(unsigned size, int r)
{
    return size == 1 && r >= 4;
}

static void enc_rr(struct enc *e, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm, bool force)
{
    put_prefix_rex(e, size == 2 && !prefix ? 0x66 : prefix, size == 8, reg, 0, rm, force);
    put_opcode(e, opcode);
    put(e, 0xc0 | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
}

static void enc_rm(struct enc *e, unsigned size, unsigned prefix, unsigned opcode, int reg, struct x64_mem m,
                   bool force)
{
    put_prefix_rex(e, size == 2 && !prefix ? 0x66 : prefix, size == 8, reg, m.index >= 0 ? m.index : 0,
                   m.base >= 0 ? m.base : 0, force);
    put_opcode(e, opcode);
    put_modrm_mem(e, reg, m);
}

static void op_rr(struct x64_asm *a, unsigned size, unsigned prefix, unsigned opcode, int reg, int rm)
{
    struct enc e = {.n = 0};

    enc_rr(&e, size, prefix, opcode, reg, rm, byte_rex(size, reg) || byte_rex(size, rm));
    append(a, &e);
}

static void op_rm(struct x64_asm *a, unsigned size, unsigned prefix, unsigned opcode, int reg, struct x64_mem m)
{
    struct enc e = {.n = 0};

    enc_rm(&e, size, prefix, opcode, reg, m, byte_rex(size, reg));
    append(a, &e);
}

void asm_init(struct x64_asm *a, uint8_t *rw, const uint8_t *rx, size_t cap)
{
    *a = (struct x64_asm){.rw = rw, .rx = rx, .cap = (uint32_t)cap};
}

/* -- Moves -------------------------------------------------------------------------------------------------------- */

void asm_mov_rr(struct x64_asm *a, unsigned size, int dst, int src)
{
    op_rr(a, size, 0, 0x89, src, dst);
}

void asm_mov_ri(struct x64_asm *a, int dst, uint32_t imm)
{
    struct enc e = {.n = 0};

    put_prefix_rex(&e, 0, false, 0, 0, dst, false);
    put(&e, 0xb8 | ((unsigned)dst & 7));
    put32(&e, imm);
    append(a, &e);
}

void asm_mov_ri64(struct x64_asm *a, int dst, uint64_t imm)
{
    struct enc e = {.n = 0};

    if (imm <= UINT32_MAX) {
        asm_mov_ri(a, dst, (uint32_t)imm);
        return;
    }
    put_prefix_rex(&e, 0, true, 0, 0, dst, false);
    if ((int64_t)imm == (int32_t)imm) {
        put(&e, 0xc7);
        put(&e, 0xc0 | ((unsigned)dst & 7));
        put32(&e, (uint32_t)imm);
    } else {
        put(&e, 0xb8 | ((unsigned)dst & 7));
        put32(&e, (uint32_t)imm);
        put32(&e, (uint32_t)(imm >> 32));
    }
    append(a, &e);
}

void asm_load(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    if (size <= 2)
        op_rm(a, 4, 0, size == 1 ? 0x0fb6 : 0x0fb7, dst, m);
    else
        op_rm(a, size, 0, 0x8b, dst, m);
}

void asm_loads(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    op_rm(a, 4, 0, size == 1 ? 0x0fbe : 0x0fbf, dst, m);
}

void asm_store(struct x64_asm *a, unsigned size, struct x64_mem m, int src)
{
    op_rm(a, size, 0, size == 1 ? 0x88 : 0x89, src, m);
}

void asm_store_i(struct x64_asm *a, unsigned size, struct x64_mem m, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_rm(&e, size, 0, size == 1 ? 0xc6 : 0xc7, 0, m, false);
    if (size == 1) {
        put(&e, imm & 0xff);
    } else if (size == 2) {
        put(&e, imm & 0xff);
        put(&e, imm >> 8 & 0xff);
    } else {
        put32(&e, imm);
    }
    append(a, &e);
}

void asm_movzx(struct x64_asm *a, unsigned size, int dst, int src)
{
    struct enc e = {.n = 0};

    enc_rr(&e, 4, 0, size == 1 ? 0x0fb6 : 0x0fb7, dst, src, byte_rex(size, src));
    append(a, &e);
}

void asm_movsx(struct x64_asm *a, unsigned size, int dst, int src)
{
    struct enc e = {.n = 0};

    enc_rr(&e, 4, 0, size == 1 ? 0x0fbe : 0x0fbf, dst, src, byte_rex(size, src));
    append(a, &e);
}

void asm_movsxd(struct x64_asm *a, int dst, int src)
{
    op_rr(a, 8, 0, 0x63, dst, src);
}

void asm_lea(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    op_rm(a, size, 0, 0x8d, dst, m);
}

void asm_cmov(struct x64_asm *a, enum x64_cc cc, int dst, int src)
{
    op_rr(a, 4, 0, 0x0f40 | cc, dst, src);
}

void asm_cmov_m(struct x64_asm *a, enum x64_cc cc, int dst, struct x64_mem m)
{
    op_rm(a, 4, 0, 0x0f40 | cc, dst, m);
}

void asm_setcc(struct x64_asm *a, enum x64_cc cc, int dst)
{
    op_rr(a, 1, 0, 0x0f90 | cc, 0, dst);
}

void asm_setcc_m(struct x64_asm *a, enum x64_cc cc, struct x64_mem m)
{
    op_rm(a, 1, 0, 0x0f90 | cc, 0, m);
}

void asm_bswap(struct x64_asm *a, unsigned size, int r)
{
    struct enc e = {.n = 0};

    put_prefix_rex(&e, 0, size == 8, 0, 0, r, false);
    put(&e, 0x0f);
    put(&e, 0xc8 | ((unsigned)r & 7));
    append(a, &e);
}

void asm_not(struct x64_asm *a, int r)
{
    op_rr(a, 4, 0, 0xf7, 2, r);
}

void asm_xchg(struct x64_asm *a, unsigned size, int r, int s)
{
    op_rr(a, size, 0, 0x87, r, s);
}

static void op_short(struct x64_asm *a, unsigned opcode, int r)
{
    struct enc e = {.n = 0};

    put_prefix_rex(&e, 0, false, 0, 0, r, false);
    put(&e, opcode | ((unsigned)r & 7));
    append(a, &e);
}

void asm_push(struct x64_asm *a, int r)
{
    op_short(a, 0x50, r);
}

void asm_pop(struct x64_asm *a, int r)
{
    op_short(a, 0x58, r);
}

void asm_push_i(struct x64_asm *a, uint32_t imm)
{
    struct enc e = {.n = 0};

    put(&e, 0x68);
    put32(&e, imm);
    append(a, &e);
}

/* -- BMI ------------------------------------------------------------------------------------------------------------- */

/* VEX.LZ.pp.map.W opcode /r; the third operand in vvvv. */
static void enc_vex(struct enc *e, unsigned size, unsigned map, unsigned pp, unsigned opcode, int reg, int vvvv, int rm)
{
    put(e, 0xc4);
    put(e, (~(unsigned)reg >> 3 & 1) << 7 | 1u << 6 | (~(unsigned)rm >> 3 & 1) << 5 | map);
    put(e, (unsigned)(size == 8) << 7 | (~(unsigned)vvvv & 15) << 3 | pp);
    put(e, opcode);
    put(e, 0xc0 | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
}

static void op_vex(struct x64_asm *a, unsigned size, unsigned pp, unsigned opcode, int reg, int vvvv, int rm)
{
    struct enc e = {.n = 0};

    enc_vex(&e, size, 2, pp, opcode, reg, vvvv, rm);
    append(a, &e);
}

void asm_shlx(struct x64_asm *a, unsigned size, int dst, int src, int count)
{
    op_vex(a, size, 1, 0xf7, dst, count, src);
}

void asm_sarx(struct x64_asm *a, unsigned size, int dst, int src, int count)
{
    op_vex(a, size, 2, 0xf7, dst, count, src);
}

void asm_shrx(struct x64_asm *a, unsigned size, int dst, int src, int count)
{
    op_vex(a, size, 3, 0xf7, dst, count, src);
}

void asm_rorx(struct x64_asm *a, unsigned size, int dst, int src, unsigned n)
{
    struct enc e = {.n = 0};

    enc_vex(&e, size, 3, 3, 0xf0, dst, 0, src);
    put(&e, n);
    append(a, &e);
}

void asm_andn(struct x64_asm *a, int dst, int inverted, int src)
{
    op_vex(a, 4, 0, 0xf2, dst, inverted, src);
}

/* -- Arithmetic ------------------------------------------------------------------------------------------------------ */

void asm_alu_rr(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, int src)
{
    op_rr(a, size, 0, (unsigned)op << 3 | (size == 1 ? 0 : 1), src, dst);
}

static void put_imm(struct enc *e, unsigned size, uint32_t imm)
{
    if (size == 1) {
        put(e, imm & 0xff);
    } else if (size == 2) {
        put(e, imm & 0xff);
        put(e, imm >> 8 & 0xff);
    } else {
        put32(e, imm);
    }
}

static bool imm8(uint32_t imm)
{
    return (int32_t)imm >= -128 && (int32_t)imm < 128;
}

void asm_alu_ri(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, uint32_t imm)
{
    struct enc e = {.n = 0};

    if (size != 1 && imm8(imm)) {
        enc_rr(&e, size, 0, 0x83, (int)op, dst, false);
        put(&e, imm & 0xff);
    } else if (dst == RAX) {
        put_prefix_rex(&e, size == 2 ? 0x66 : 0, size == 8, 0, 0, 0, false);
        put(&e, (unsigned)op << 3 | (size == 1 ? 4 : 5));
        put_imm(&e, size, imm);
    } else {
        enc_rr(&e, size, 0, size == 1 ? 0x80 : 0x81, (int)op, dst, byte_rex(size, dst));
        put_imm(&e, size, imm);
    }
    append(a, &e);
}

void asm_alu_rm(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, struct x64_mem m)
{
    op_rm(a, size, 0, (unsigned)op << 3 | (size == 1 ? 2 : 3), dst, m);
}

void asm_alu_mr(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, int src)
{
    op_rm(a, size, 0, (unsigned)op << 3 | (size == 1 ? 0 : 1), src, m);
}

static void enc_alu_mi(struct enc *e, enum x64_alu op, unsigned size, struct x64_mem m, uint32_t imm)
{
    if (size != 1 && imm8(imm)) {
        enc_rm(e, size, 0, 0x83, (int)op, m, false);
        put(e, imm & 0xff);
    } else {
        enc_rm(e, size, 0, size == 1 ? 0x80 : 0x81, (int)op, m, false);
        put_imm(e, size, imm);
    }
}

void asm_alu_mi(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_alu_mi(&e, op, size, m, imm);
    append(a, &e);
}

void asm_test_rr(struct x64_asm *a, unsigned size, int r, int s)
{
    op_rr(a, size, 0, size == 1 ? 0x84 : 0x85, s, r);
}

void asm_test_ri(struct x64_asm *a, int r, uint32_t imm)
{
    struct enc e = {.n = 0};
    unsigned size = imm < 128 ? 1 : 4; /* bit 7 clear: SF is the same for both */

    if (r == RAX) {
        put(&e, size == 1 ? 0xa8 : 0xa9);
    } else {
        enc_rr(&e, size, 0, size == 1 ? 0xf6 : 0xf7, 0, r, byte_rex(size, r));
    }
    put_imm(&e, size, imm);
    append(a, &e);
}

void asm_test_mi(struct x64_asm *a, unsigned size, struct x64_mem m, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_rm(&e, size, 0, size == 1 ? 0xf6 : 0xf7, 0, m, false);
    put_imm(&e, size, imm);
    append(a, &e);
}

void asm_neg(struct x64_asm *a, unsigned size, int r)
{
    op_rr(a, size, 0, 0xf7, 3, r);
}

void asm_shift_ri(struct x64_asm *a, enum x64_shift op, unsigned size, int r, unsigned n)
{
    struct enc e = {.n = 0};

    if (n == 1) {
        enc_rr(&e, size, 0, 0xd1, (int)op, r, false);
    } else {
        enc_rr(&e, size, 0, 0xc1, (int)op, r, false);
        put(&e, n);
    }
    append(a, &e);
}

void asm_shift_cl(struct x64_asm *a, enum x64_shift op, unsigned size, int r)
{
    op_rr(a, size, 0, 0xd3, (int)op, r);
}

void asm_imul_rr(struct x64_asm *a, unsigned size, int dst, int src)
{
    op_rr(a, size, 0, 0x0faf, dst, src);
}

void asm_imul_rm(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    op_rm(a, size, 0, 0x0faf, dst, m);
}

void asm_imul_rri(struct x64_asm *a, unsigned size, int dst, int src, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_rr(&e, size, 0, imm8(imm) ? 0x6b : 0x69, dst, src, false);
    put_imm(&e, imm8(imm) ? 1 : 4, imm);
    append(a, &e);
}

void asm_div(struct x64_asm *a, unsigned size, int r)
{
    op_rr(a, size, 0, 0xf7, 6, r);
}

void asm_idiv(struct x64_asm *a, unsigned size, int r)
{
    op_rr(a, size, 0, 0xf7, 7, r);
}

static void op_byte(struct x64_asm *a, unsigned byte)
{
    struct enc e = {.n = 0};

    put(&e, byte);
    append(a, &e);
}

void asm_cdq(struct x64_asm *a)
{
    op_byte(a, 0x99);
}

void asm_lzcnt(struct x64_asm *a, int dst, int src)
{
    op_rr(a, 4, 0xf3, 0x0fbd, dst, src);
}

void asm_bt_ri(struct x64_asm *a, unsigned size, int r, unsigned n)
{
    struct enc e = {.n = 0};

    enc_rr(&e, size, 0, 0x0fba, 4, r, false);
    put(&e, n);
    append(a, &e);
}

void asm_cmc(struct x64_asm *a)
{
    op_byte(a, 0xf5);
}

void asm_stc(struct x64_asm *a)
{
    op_byte(a, 0xf9);
}

void asm_clc(struct x64_asm *a)
{
    op_byte(a, 0xf8);
}

void asm_lahf(struct x64_asm *a)
{
    op_byte(a, 0x9f);
}

void asm_sahf(struct x64_asm *a)
{
    op_byte(a, 0x9e);
}

void asm_mov_ri8(struct x64_asm *a, int dst, uint8_t imm)
{
    struct enc e = {.n = 0};

    put(&e, 0xb0 | ((unsigned)dst & 3));
    put(&e, imm);
    append(a, &e);
}

/* -- Atomic ----------------------------------------------------------------------------------------------------------- */

/* LOCK comes before a 0x66 prefix and REX. */
static void op_lock_rm(struct x64_asm *a, unsigned size, unsigned opcode, int reg, struct x64_mem m)
{
    struct enc e = {.n = 0};

    put(&e, 0xf0);
    enc_rm(&e, size, 0, opcode, reg, m, byte_rex(size, reg));
    append(a, &e);
}

void asm_lock_cmpxchg(struct x64_asm *a, unsigned size, struct x64_mem m, int src)
{
    op_lock_rm(a, size, size == 1 ? 0x0fb0 : 0x0fb1, src, m);
}

void asm_lock_xadd(struct x64_asm *a, unsigned size, struct x64_mem m, int src)
{
    op_lock_rm(a, size, size == 1 ? 0x0fc0 : 0x0fc1, src, m);
}

void asm_lock_alu_mi(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, uint32_t imm)
{
    struct enc e = {.n = 0};

    put(&e, 0xf0);
    enc_alu_mi(&e, op, size, m, imm);
    append(a, &e);
}

void asm_lock_alu_mr(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, int src)
{
    op_lock_rm(a, size, (unsigned)op << 3 | (size != 1), src, m);
}

void asm_xchg_m(struct x64_asm *a, unsigned size, struct x64_mem m, int src)
{
    op_rm(a, size, 0, size == 1 ? 0x86 : 0x87, src, m);
}

void asm_mfence(struct x64_asm *a)
{
    struct enc e = {.b = {0x0f, 0xae, 0xf0}, .n = 3};

    append(a, &e);
}

void asm_pause(struct x64_asm *a)
{
    struct enc e = {.b = {0xf3, 0x90}, .n = 2};

    append(a, &e);
}

/* -- Control flow ----------------------------------------------------------------------------------------------------- */

static void poke32(struct x64_asm *a, uint32_t off, uint32_t x)
{
    memcpy(a->rw + off, &x, 4);
}

static uint32_t peek32(const struct x64_asm *a, uint32_t off)
{
    uint32_t x;

    memcpy(&x, a->rw + off, 4);
    return x;
}

void asm_bind(struct x64_asm *a, struct x64_label *l)
{
    int32_t at = l->chain;

    l->pos = (int32_t)a->off;
    if (a->overflow)
        return;
    while (at >= 0) {
        int32_t prev = (int32_t)peek32(a, (uint32_t)at);

        poke32(a, (uint32_t)at, a->off - ((uint32_t)at + 4));
        at = prev;
    }
    l->chain = -1;
}

/* The rel32 that ends an instruction. Returns its offset. */
static uint32_t append_rel32(struct x64_asm *a, struct enc *e, struct x64_label *l)
{
    uint32_t at = a->off + e->n;

    put32(e, l->pos >= 0 ? (uint32_t)l->pos - (at + 4) : (uint32_t)l->chain);
    append(a, e);
    if (l->pos < 0 && !a->overflow)
        l->chain = (int32_t)at;
    return at;
}

static bool near_back(const struct x64_asm *a, const struct x64_label *l)
{
    return l->pos >= 0 && l->pos - (int32_t)(a->off + 2) >= -128;
}

void asm_jmp(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.n = 0};

    if (near_back(a, l)) {
        put(&e, 0xeb);
        put(&e, (unsigned)(l->pos - (int32_t)(a->off + 2)) & 0xff);
        append(a, &e);
        return;
    }
    put(&e, 0xe9);
    append_rel32(a, &e, l);
}

void asm_jcc(struct x64_asm *a, enum x64_cc cc, struct x64_label *l)
{
    struct enc e = {.n = 0};

    if (near_back(a, l)) {
        put(&e, 0x70 | cc);
        put(&e, (unsigned)(l->pos - (int32_t)(a->off + 2)) & 0xff);
        append(a, &e);
        return;
    }
    put(&e, 0x0f);
    put(&e, 0x80 | cc);
    append_rel32(a, &e, l);
}

void asm_call(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.n = 0};

    put(&e, 0xe8);
    append_rel32(a, &e, l);
}

uint32_t asm_jcc_short(struct x64_asm *a, enum x64_cc cc)
{
    struct enc e = {.n = 0};

    put(&e, 0x70 | cc);
    put(&e, 0);
    append(a, &e);
    return a->off;
}

uint32_t asm_jmp_short(struct x64_asm *a)
{
    struct enc e = {.n = 0};

    put(&e, 0xeb);
    put(&e, 0);
    append(a, &e);
    return a->off;
}

void asm_bind_short(struct x64_asm *a, uint32_t jump)
{
    if (a->overflow)
        return;
    CHECK(a->off - jump < 128, "short jump over %u bytes", a->off - jump);
    a->rw[jump - 1] = (uint8_t)(a->off - jump);
}

static bool append_abs(struct x64_asm *a, struct enc *e, const void *target)
{
    int64_t rel = (int64_t)((uintptr_t)target - ((uintptr_t)a->rx + a->off + e->n + 4));

    if (rel != (int32_t)rel)
        return false;
    put32(e, (uint32_t)rel);
    append(a, e);
    return true;
}

bool asm_jmp_abs(struct x64_asm *a, const void *target)
{
    struct enc e = {.b = {0xe9}, .n = 1};

    return append_abs(a, &e, target);
}

bool asm_jcc_abs(struct x64_asm *a, enum x64_cc cc, const void *target)
{
    struct enc e = {.b = {0x0f, (uint8_t)(0x80 | cc)}, .n = 2};

    return append_abs(a, &e, target);
}

bool asm_call_abs(struct x64_asm *a, const void *target)
{
    struct enc e = {.b = {0xe8}, .n = 1};

    return append_abs(a, &e, target);
}

void asm_jmp_lit(struct x64_asm *a, struct x64_label *literal)
{
    struct enc e = {.b = {0xff, 0x25}, .n = 2};

    append_rel32(a, &e, literal);
}

void asm_call_lit(struct x64_asm *a, struct x64_label *literal)
{
    struct enc e = {.b = {0xff, 0x15}, .n = 2};

    append_rel32(a, &e, literal);
}

/* Near indirect branches are 64-bit without REX.W. */
void asm_jmp_r(struct x64_asm *a, int r)
{
    op_rr(a, 4, 0, 0xff, 4, r);
}

void asm_jmp_m(struct x64_asm *a, struct x64_mem m)
{
    op_rm(a, 4, 0, 0xff, 4, m);
}

void asm_call_r(struct x64_asm *a, int r)
{
    op_rr(a, 4, 0, 0xff, 2, r);
}

void asm_call_m(struct x64_asm *a, struct x64_mem m)
{
    op_rm(a, 4, 0, 0xff, 2, m);
}

void asm_ret(struct x64_asm *a)
{
    op_byte(a, 0xc3);
}

void asm_ud2(struct x64_asm *a)
{
    struct enc e = {.b = {0x0f, 0x0b}, .n = 2};

    append(a, &e);
}

unsigned asm_patch_pad(const struct x64_asm *a, uint32_t off, unsigned opcode_bytes)
{
    unsigned in_word = (unsigned)((uintptr_t)a->rx + off + opcode_bytes) & 7;

    return in_word > 4 ? 8 - in_word : 0;
}

uint32_t asm_jmp_patch(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.b = {0xe9}, .n = 1};

    asm_nop(a, asm_patch_pad(a, a->off, 1));
    return append_rel32(a, &e, l);
}

uint32_t asm_jcc_patch(struct x64_asm *a, enum x64_cc cc, struct x64_label *l)
{
    struct enc e = {.b = {0x0f, (uint8_t)(0x80 | cc)}, .n = 2};

    asm_nop(a, asm_patch_pad(a, a->off, 2));
    return append_rel32(a, &e, l);
}

uint32_t asm_call_patch(struct x64_asm *a, struct x64_label *l)
{
    struct enc e = {.b = {0xe8}, .n = 1};

    asm_nop(a, asm_patch_pad(a, a->off, 1));
    return append_rel32(a, &e, l);
}

/* Intel SDM 2B, table 4-12: recommended multi-byte forms. */
void asm_nop(struct x64_asm *a, unsigned bytes)
{
    static const uint8_t forms[9][8] = {
        {0},
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (bytes) {
        unsigned n = bytes < 8 ? bytes : 8;
        struct enc e = {.n = n};

        memcpy(e.b, forms[n], n);
        append(a, &e);
        a->insns--;
        bytes -= n;
    }
}

void asm_insert_nops(struct x64_asm *a, uint32_t at, unsigned bytes)
{
    uint8_t moved[64];
    uint32_t n = a->off - at;

    if (a->overflow || !bytes)
        return;
    CHECK(n <= sizeof moved, "%u bytes", n);
    memcpy(moved, a->rw + at, n);
    a->off = at;
    asm_nop(a, bytes);
    if (a->off + n > a->cap) {
        a->overflow = true;
        return;
    }
    memcpy(a->rw + a->off, moved, n);
    a->off += n;
}

void asm_align(struct x64_asm *a, unsigned to)
{
    asm_nop(a, (unsigned)-((uintptr_t)a->rx + a->off) & (to - 1));
}

void asm_u64(struct x64_asm *a, uint64_t x)
{
    struct enc e = {.n = 8};

    memcpy(e.b, &x, 8);
    append(a, &e);
    a->insns--;
}
