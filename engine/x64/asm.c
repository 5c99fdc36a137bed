/*
 * asm.c — the assembler's general-purpose instructions: moves, arithmetic, atomics
 *
 * Source: Intel SDM volume 2.
 */
#include "engine/x64/asm.h"

#include "engine/x64/asm_enc.h"

void asm_init(struct x64_asm *a, uint8_t *rw, const uint8_t *rx, size_t cap)
{
    *a = (struct x64_asm){.rw = rw, .rx = rx, .cap = (uint32_t)cap};
}

/* -- Moves -------------------------------------------------------------------------------------------------------- */

void asm_mov_rr(struct x64_asm *a, unsigned size, int dst, int src)
{
    enc_op_rr(a, size, 0, 0x89, src, dst);
}

void asm_mov_ri(struct x64_asm *a, int dst, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_prefix_rex(&e, 0, false, 0, 0, dst, false);
    put(&e, 0xb8 | ((unsigned)dst & 7));
    put32(&e, imm);
    enc_append(a, &e);
}

void asm_mov_ri64(struct x64_asm *a, int dst, uint64_t imm)
{
    struct enc e = {.n = 0};

    if (imm <= UINT32_MAX) {
        asm_mov_ri(a, dst, (uint32_t)imm);
        return;
    }
    enc_prefix_rex(&e, 0, true, 0, 0, dst, false);
    if ((int64_t)imm == (int32_t)imm) {
        put(&e, 0xc7);
        put(&e, 0xc0 | ((unsigned)dst & 7));
        put32(&e, (uint32_t)imm);
    } else {
        put(&e, 0xb8 | ((unsigned)dst & 7));
        put32(&e, (uint32_t)imm);
        put32(&e, (uint32_t)(imm >> 32));
    }
    enc_append(a, &e);
}

void asm_load(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    if (size <= 2)
        enc_op_rm(a, 4, 0, size == 1 ? 0x0fb6 : 0x0fb7, dst, m);
    else
        enc_op_rm(a, size, 0, 0x8b, dst, m);
}

void asm_loads(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    enc_op_rm(a, 4, 0, size == 1 ? 0x0fbe : 0x0fbf, dst, m);
}

void asm_store(struct x64_asm *a, unsigned size, struct x64_mem m, int src)
{
    enc_op_rm(a, size, 0, size == 1 ? 0x88 : 0x89, src, m);
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
    enc_append(a, &e);
}

void asm_movzx(struct x64_asm *a, unsigned size, int dst, int src)
{
    struct enc e = {.n = 0};

    enc_rr(&e, 4, 0, size == 1 ? 0x0fb6 : 0x0fb7, dst, src, byte_rex(size, src));
    enc_append(a, &e);
}

void asm_movsx(struct x64_asm *a, unsigned size, int dst, int src)
{
    struct enc e = {.n = 0};

    enc_rr(&e, 4, 0, size == 1 ? 0x0fbe : 0x0fbf, dst, src, byte_rex(size, src));
    enc_append(a, &e);
}

void asm_movsxd(struct x64_asm *a, int dst, int src)
{
    enc_op_rr(a, 8, 0, 0x63, dst, src);
}

void asm_lea(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    enc_op_rm(a, size, 0, 0x8d, dst, m);
}

void asm_cmov(struct x64_asm *a, enum x64_cc cc, int dst, int src)
{
    enc_op_rr(a, 4, 0, 0x0f40 | cc, dst, src);
}

void asm_cmov_m(struct x64_asm *a, enum x64_cc cc, int dst, struct x64_mem m)
{
    enc_op_rm(a, 4, 0, 0x0f40 | cc, dst, m);
}

void asm_setcc(struct x64_asm *a, enum x64_cc cc, int dst)
{
    enc_op_rr(a, 1, 0, 0x0f90 | cc, 0, dst);
}

void asm_setcc_m(struct x64_asm *a, enum x64_cc cc, struct x64_mem m)
{
    enc_op_rm(a, 1, 0, 0x0f90 | cc, 0, m);
}

void asm_bswap(struct x64_asm *a, unsigned size, int r)
{
    struct enc e = {.n = 0};

    enc_prefix_rex(&e, 0, size == 8, 0, 0, r, false);
    put(&e, 0x0f);
    put(&e, 0xc8 | ((unsigned)r & 7));
    enc_append(a, &e);
}

void asm_not(struct x64_asm *a, int r)
{
    enc_op_rr(a, 4, 0, 0xf7, 2, r);
}

void asm_xchg(struct x64_asm *a, unsigned size, int r, int s)
{
    enc_op_rr(a, size, 0, 0x87, r, s);
}

static void op_short(struct x64_asm *a, unsigned opcode, int r)
{
    struct enc e = {.n = 0};

    enc_prefix_rex(&e, 0, false, 0, 0, r, false);
    put(&e, opcode | ((unsigned)r & 7));
    enc_append(a, &e);
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
    enc_append(a, &e);
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
    enc_append(a, &e);
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
    enc_append(a, &e);
}

void asm_andn(struct x64_asm *a, int dst, int inverted, int src)
{
    op_vex(a, 4, 0, 0xf2, dst, inverted, src);
}

/* -- Arithmetic ------------------------------------------------------------------------------------------------------ */

void asm_alu_rr(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, int src)
{
    enc_op_rr(a, size, 0, (unsigned)op << 3 | (size == 1 ? 0 : 1), src, dst);
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
        enc_prefix_rex(&e, size == 2 ? 0x66 : 0, size == 8, 0, 0, 0, false);
        put(&e, (unsigned)op << 3 | (size == 1 ? 4 : 5));
        put_imm(&e, size, imm);
    } else {
        enc_rr(&e, size, 0, size == 1 ? 0x80 : 0x81, (int)op, dst, byte_rex(size, dst));
        put_imm(&e, size, imm);
    }
    enc_append(a, &e);
}

void asm_alu_rm(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, struct x64_mem m)
{
    enc_op_rm(a, size, 0, (unsigned)op << 3 | (size == 1 ? 2 : 3), dst, m);
}

void asm_alu_mr(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, int src)
{
    enc_op_rm(a, size, 0, (unsigned)op << 3 | (size == 1 ? 0 : 1), src, m);
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
    enc_append(a, &e);
}

void asm_test_rr(struct x64_asm *a, unsigned size, int r, int s)
{
    enc_op_rr(a, size, 0, size == 1 ? 0x84 : 0x85, s, r);
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
    enc_append(a, &e);
}

void asm_test_mi(struct x64_asm *a, unsigned size, struct x64_mem m, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_rm(&e, size, 0, size == 1 ? 0xf6 : 0xf7, 0, m, false);
    put_imm(&e, size, imm);
    enc_append(a, &e);
}

void asm_neg(struct x64_asm *a, unsigned size, int r)
{
    enc_op_rr(a, size, 0, 0xf7, 3, r);
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
    enc_append(a, &e);
}

void asm_shift_cl(struct x64_asm *a, enum x64_shift op, unsigned size, int r)
{
    enc_op_rr(a, size, 0, 0xd3, (int)op, r);
}

void asm_imul_rr(struct x64_asm *a, unsigned size, int dst, int src)
{
    enc_op_rr(a, size, 0, 0x0faf, dst, src);
}

void asm_imul_rm(struct x64_asm *a, unsigned size, int dst, struct x64_mem m)
{
    enc_op_rm(a, size, 0, 0x0faf, dst, m);
}

void asm_imul_rri(struct x64_asm *a, unsigned size, int dst, int src, uint32_t imm)
{
    struct enc e = {.n = 0};

    enc_rr(&e, size, 0, imm8(imm) ? 0x6b : 0x69, dst, src, false);
    put_imm(&e, imm8(imm) ? 1 : 4, imm);
    enc_append(a, &e);
}

void asm_div(struct x64_asm *a, unsigned size, int r)
{
    enc_op_rr(a, size, 0, 0xf7, 6, r);
}

void asm_idiv(struct x64_asm *a, unsigned size, int r)
{
    enc_op_rr(a, size, 0, 0xf7, 7, r);
}

void asm_cdq(struct x64_asm *a)
{
    enc_op_byte(a, 0x99);
}

void asm_lzcnt(struct x64_asm *a, int dst, int src)
{
    enc_op_rr(a, 4, 0xf3, 0x0fbd, dst, src);
}

void asm_bt_ri(struct x64_asm *a, unsigned size, int r, unsigned n)
{
    struct enc e = {.n = 0};

    enc_rr(&e, size, 0, 0x0fba, 4, r, false);
    put(&e, n);
    enc_append(a, &e);
}

void asm_cmc(struct x64_asm *a)
{
    enc_op_byte(a, 0xf5);
}

void asm_stc(struct x64_asm *a)
{
    enc_op_byte(a, 0xf9);
}

void asm_clc(struct x64_asm *a)
{
    enc_op_byte(a, 0xf8);
}

void asm_lahf(struct x64_asm *a)
{
    enc_op_byte(a, 0x9f);
}

void asm_sahf(struct x64_asm *a)
{
    enc_op_byte(a, 0x9e);
}

void asm_mov_ri8(struct x64_asm *a, int dst, uint8_t imm)
{
    struct enc e = {.n = 0};

    put(&e, 0xb0 | ((unsigned)dst & 3));
    put(&e, imm);
    enc_append(a, &e);
}

/* -- Atomic ----------------------------------------------------------------------------------------------------------- */

/* LOCK comes before a 0x66 prefix and REX. */
static void op_lock_rm(struct x64_asm *a, unsigned size, unsigned opcode, int reg, struct x64_mem m)
{
    struct enc e = {.n = 0};

    put(&e, 0xf0);
    enc_rm(&e, size, 0, opcode, reg, m, byte_rex(size, reg));
    enc_append(a, &e);
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
    enc_append(a, &e);
}

void asm_lock_alu_mr(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, int src)
{
    op_lock_rm(a, size, (unsigned)op << 3 | (size != 1), src, m);
}

void asm_xchg_m(struct x64_asm *a, unsigned size, struct x64_mem m, int src)
{
    enc_op_rm(a, size, 0, size == 1 ? 0x86 : 0x87, src, m);
}

void asm_mfence(struct x64_asm *a)
{
    struct enc e = {.b = {0x0f, 0xae, 0xf0}, .n = 3};

    enc_append(a, &e);
}

void asm_pause(struct x64_asm *a)
{
    struct enc e = {.b = {0xf3, 0x90}, .n = 2};

    enc_append(a, &e);
}
