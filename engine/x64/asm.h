/*
 * asm.h — the assembler: small, typed, encodes exactly what the backend and the schemes' emitters use
 *
 * One call makes one instruction. Operand sizes are in bytes (1, 2, 4, 8). A 32-bit write to a register
 * clears its upper half, which the whole backend relies on. Running out of room sets a sticky flag and drops
 * what follows: emitters do not check, the caller does once at the end.
 *
 * Code is written through the rw view and runs in the rx view; all displacements are relative, so only
 * targets outside the buffer need to know rx.
 */
#ifndef ENGINE_X64_ASM_H
#define ENGINE_X64_ASM_H

#include "engine/base/base.h"

enum x64_reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REG = -1 };

/* Condition codes as encoded. */
enum x64_cc { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

enum x64_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
enum x64_shift { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAR = 7 };

struct x64_asm {
    uint8_t *rw;       /* where bytes are written */
    const uint8_t *rx; /* where they will run */
    uint32_t off, cap;
    bool overflow;  /* sticky */
    uint32_t insns; /* instructions so far, for budgets */
};

/* [base + index * scale + disp]; one of base and index may be NO_REG. */
struct x64_mem {
    int8_t base, index;
    uint8_t scale; /* 1 2 4 8 */
    int32_t disp;
};

/* A place in the code. Jumps to it may come before it is bound: they are chained through their displacement. */
struct x64_label {
    int32_t pos;   /* offset when bound, else -1 */
    int32_t chain; /* offset of the last unresolved rel32, or -1 */
};
#define X64_LABEL_INIT \
 {                     \
  -1, -1               \
 }

static inline struct x64_mem mem_b(int base, int32_t disp)
{
    return (struct x64_mem){(int8_t)base, NO_REG, 1, disp};
}

static inline struct x64_mem mem_bi(int base, int index, unsigned scale, int32_t disp)
{
    return (struct x64_mem){(int8_t)base, (int8_t)index, (uint8_t)scale, disp};
}

void asm_init(struct x64_asm *a, uint8_t *rw, const uint8_t *rx, size_t cap);

/* -- Moves (no flags touched) ----------------------------------------------------------------------------------- */

void asm_mov_rr(struct x64_asm *a, unsigned size, int dst, int src); /* size 4 or 8; emitted even if dst == src */
void asm_mov_ri(struct x64_asm *a, int dst, uint32_t imm);           /* zero-extended */
void asm_mov_ri64(struct x64_asm *a, int dst, uint64_t imm);         /* the shortest of three forms */
void asm_load(struct x64_asm *a, unsigned size, int dst, struct x64_mem m);  /* 1 and 2 zero-extend to 64 */
void asm_loads(struct x64_asm *a, unsigned size, int dst, struct x64_mem m); /* sign-extend 1, 2 to 32 bits */
void asm_store(struct x64_asm *a, unsigned size, struct x64_mem m, int src);
void asm_store_i(struct x64_asm *a, unsigned size, struct x64_mem m, uint32_t imm); /* size 8: sign-extended */
void asm_movzx(struct x64_asm *a, unsigned size, int dst, int src);                 /* from the low 1 or 2 bytes */
void asm_movsx(struct x64_asm *a, unsigned size, int dst, int src);                 /* to 32 bits */
void asm_movsxd(struct x64_asm *a, int dst, int src);
void asm_lea(struct x64_asm *a, unsigned size, int dst, struct x64_mem m);
void asm_cmov(struct x64_asm *a, enum x64_cc cc, int dst, int src); /* 32 bits */
void asm_cmov_m(struct x64_asm *a, enum x64_cc cc, int dst, struct x64_mem m);
void asm_setcc(struct x64_asm *a, enum x64_cc cc, int dst); /* low byte only */
void asm_setcc_m(struct x64_asm *a, enum x64_cc cc, struct x64_mem m);
void asm_bswap(struct x64_asm *a, unsigned size, int r);
void asm_not(struct x64_asm *a, int r);
void asm_xchg(struct x64_asm *a, unsigned size, int r, int s);
void asm_push(struct x64_asm *a, int r);
void asm_push_i(struct x64_asm *a, uint32_t imm); /* always the 5-byte form; sign-extended */
void asm_pop(struct x64_asm *a, int r);

/* -- BMI: shifts that leave the flags alone ------------------------------------------------------------------- */

void asm_shlx(struct x64_asm *a, unsigned size, int dst, int src, int count);
void asm_shrx(struct x64_asm *a, unsigned size, int dst, int src, int count);
void asm_sarx(struct x64_asm *a, unsigned size, int dst, int src, int count);
void asm_rorx(struct x64_asm *a, unsigned size, int dst, int src, unsigned n);

/* -- Arithmetic (flags set) --------------------------------------------------------------------------------------- */

void asm_alu_rr(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, int src);
void asm_alu_ri(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, uint32_t imm); /* 8: sign-extended */
void asm_alu_rm(struct x64_asm *a, enum x64_alu op, unsigned size, int dst, struct x64_mem m);
void asm_alu_mr(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, int src);
void asm_alu_mi(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, uint32_t imm);
void asm_test_rr(struct x64_asm *a, unsigned size, int r, int s);
void asm_test_ri(struct x64_asm *a, int r, uint32_t imm); /* byte form when imm < 128 */
void asm_test_mi(struct x64_asm *a, unsigned size, struct x64_mem m, uint32_t imm);
void asm_andn(struct x64_asm *a, int dst, int inverted, int src); /* dst = ~inverted & src; 32 bits */
void asm_neg(struct x64_asm *a, unsigned size, int r);
void asm_shift_ri(struct x64_asm *a, enum x64_shift op, unsigned size, int r, unsigned n);
void asm_shift_cl(struct x64_asm *a, enum x64_shift op, unsigned size, int r);
void asm_imul_rr(struct x64_asm *a, unsigned size, int dst, int src);
void asm_imul_rm(struct x64_asm *a, unsigned size, int dst, struct x64_mem m);
void asm_imul_rri(struct x64_asm *a, unsigned size, int dst, int src, uint32_t imm);
void asm_div(struct x64_asm *a, unsigned size, int r);
void asm_idiv(struct x64_asm *a, unsigned size, int r);
void asm_cdq(struct x64_asm *a);
void asm_lzcnt(struct x64_asm *a, int dst, int src);
void asm_bt_ri(struct x64_asm *a, unsigned size, int r, unsigned n);
void asm_cmc(struct x64_asm *a);
void asm_stc(struct x64_asm *a);
void asm_clc(struct x64_asm *a);
void asm_lahf(struct x64_asm *a);                          /* ah = SF ZF 0 AF 0 PF 1 CF; flags survive */
void asm_sahf(struct x64_asm *a);                          /* and back; OF stays */
void asm_mov_ri8(struct x64_asm *a, int dst, uint8_t imm); /* al, cl, dl, bl only; flags survive */

/* -- Atomic; each a full barrier ------------------------------------------------------------------------------ */

void asm_lock_cmpxchg(struct x64_asm *a, unsigned size, struct x64_mem m, int src); /* compares with rax */
void asm_lock_xadd(struct x64_asm *a, unsigned size, struct x64_mem m, int src);
void asm_lock_alu_mi(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, uint32_t imm);
void asm_lock_alu_mr(struct x64_asm *a, enum x64_alu op, unsigned size, struct x64_mem m, int src);
void asm_xchg_m(struct x64_asm *a, unsigned size, struct x64_mem m, int src); /* locked by itself */
void asm_mfence(struct x64_asm *a);
void asm_pause(struct x64_asm *a);

/* -- Control flow (asm_flow.c) ---------------------------------------------------------------------------------------- */

void asm_bind(struct x64_asm *a, struct x64_label *l);
void asm_jmp(struct x64_asm *a, struct x64_label *l); /* rel8 if bound and near, else rel32 */
void asm_jcc(struct x64_asm *a, enum x64_cc cc, struct x64_label *l);
void asm_call(struct x64_asm *a, struct x64_label *l);
/* For very near forward targets: rel8. The label must be bound within 127 bytes and have no other jumps. */
uint32_t asm_jcc_short(struct x64_asm *a, enum x64_cc cc);
uint32_t asm_jmp_short(struct x64_asm *a);
void asm_bind_short(struct x64_asm *a, uint32_t jump);
/* Outside the buffer: false if not within reach of rel32 (nothing is emitted then). */
bool asm_jmp_abs(struct x64_asm *a, const void *target);
bool asm_jcc_abs(struct x64_asm *a, enum x64_cc cc, const void *target);
bool asm_call_abs(struct x64_asm *a, const void *target);
/* Through an 8-byte literal in the same buffer that holds an address. */
void asm_jmp_lit(struct x64_asm *a, struct x64_label *literal);
void asm_call_lit(struct x64_asm *a, struct x64_label *literal);
void asm_jmp_r(struct x64_asm *a, int r);
void asm_jmp_m(struct x64_asm *a, struct x64_mem m);
void asm_call_r(struct x64_asm *a, int r);
void asm_call_m(struct x64_asm *a, struct x64_mem m);
void asm_ret(struct x64_asm *a);
void asm_ud2(struct x64_asm *a);

/* Jumps that will be patched while others run through them: the rel32 lies within one aligned 8-byte word, so its
 * replacement is one store. Padding goes before the instruction: asm_patch_pad() first if flags must stay fused.
 * Return the offset of the rel32. */
unsigned asm_patch_pad(const struct x64_asm *a, uint32_t off, unsigned opcode_bytes); /* nops wanted at off */
void asm_insert_nops(struct x64_asm *a, uint32_t at,
                     unsigned bytes); /* what follows must not be relative or labelled */
uint32_t asm_jmp_patch(struct x64_asm *a, struct x64_label *l);
uint32_t asm_jcc_patch(struct x64_asm *a, enum x64_cc cc, struct x64_label *l);
uint32_t asm_call_patch(struct x64_asm *a, struct x64_label *l);

void asm_nop(struct x64_asm *a, unsigned bytes);
void asm_align(struct x64_asm *a, unsigned to);
void asm_u64(struct x64_asm *a, uint64_t x);

#endif
