/*
 * ir.h — the intermediate representation between the ARM front end and its two consumers
 *
 * One translation block is a linear array of instructions in single-assignment form: a value is the
 * index of the instruction that made it, and is used only later and only in the same *segment*
 * (segments end at labels: no value is live across one; guest registers are how state crosses).
 * Consumers: engine/x64 (JIT) and engine/interp (the reference that sanitizers can see).
 *
 * Guest state that ops read and write implicitly:
 *   registers r0..r14    get_reg / set_reg / ldm / stm
 *   flags N Z C V        each op that can set flags carries a mask `s` of those it writes; the others
 *                        keep their value. C has the ARM sense (after a subtraction: 1 = no borrow).
 *   everything else      ld_env / st_env by offset into struct vcpu, or helpers
 * The PC is not stored while a block runs: an op that can leave the block knows its own
 * instruction's address from the `insn` marker before it (pc and ITSTATE).
 *
 * Faults. An op with attribute F may raise a guest exception or restart its instruction. At such an op all guest
 * registers must hold the values from before the *instruction* (the front end places set_reg after the last
 * faulting op of an instruction, apart from what ldm does itself), and the flags must be recoverable
 * (live_exc below).
 *
 * Liveness (ir/passes.c) fills for each instruction: live, the flags that a later op in this block or
 * its exits reads on the normal path after this op; live_exc, the same with every F op counted as a
 * reader of all four. A backend may keep flags of live_exc & ~live only in a way that its cold paths
 * can recover.
 */
#ifndef ENGINE_IR_IR_H
#define ENGINE_IR_IR_H

#include "engine/base/base.h"

typedef uint16_t ir_val;
#define IR_NONE ((ir_val)0xffff)

enum { FLAG_V = 1, FLAG_C = 2, FLAG_Z = 4, FLAG_N = 8, FLAG_NZ = 12, FLAG_NZC = 14, FLAG_ALL = 15 };

/* clang-format off */
enum ir_cond { /* as encoded in A32 */
    COND_EQ, COND_NE, COND_CS, COND_CC, COND_MI, COND_PL, COND_VS, COND_VC,
    COND_HI, COND_LS, COND_GE, COND_LT, COND_GT, COND_LE, COND_AL, COND_NV
};
/* clang-format on */

/* ld/st aux: low 2 bits log2 of the size */
/* clang-format off */
enum {
    MEM_8 = 0, MEM_16 = 1, MEM_32 = 2, MEM_64 = 3, MEM_SIZE = 3,
    MEM_SIGNED = 4,  /* ld: sign-extend to 32 */
    MEM_USER = 8,    /* LDRT and friends: check as unprivileged */
    MEM_ALIGN = 16,  /* alignment fault if not a multiple of the size, whatever SCTLR.A says.
                        (With SCTLR.A=1 the front end sets this on all.) */
    MEM_ALIGN4 = 32, /* must be a multiple of 4 (LDRD/STRD, LDM): alignment fault */
    MEM_ALIGN16 = 64, /* ... of 16 (the first doubleword of VLDn, VSTn with :128) */
};
/* clang-format on */

/* exit_* aux */
enum { EXIT_JUMP = 0, EXIT_CALL = 1 /* BL, BLX: imm2 in `c`-less ops is the return address */, EXIT_RETURN = 2 };

/* One row: name, result type, number of value operands, attributes, meaning.
 * Types: - none, w 32-bit, d 64-bit.
 * Attributes: F may fault; S may set flags by mask s; R reads flags (C of adc.., cond ones all they need);
 * E ends the block (nothing after it but a label); X side effect (never dead). */
#define IR_OPS(OP)                                                                                                \
 /* -- structure -- */                                                                                            \
 OP(NOP, "nop", '-', 0, "", "nothing (a removed op)")                                                             \
 OP(INSN, "insn", '-', 0, "X", "imm: pc of the guest instruction that follows; imm2: its ITSTATE")                \
 OP(LABEL, "label", '-', 0, "X", "imm: label number; values do not cross it")                                     \
 OP(BR, "br", '-', 0, "X", "jump forward to label imm")                                                           \
 OP(BRCOND, "brcond", '-', 0, "XR", "if cond: forward to label imm")                                              \
 OP(BRZ, "brz", '-', 1, "X", "if a == 0: forward to label imm")                                                   \
 OP(BRNZ, "brnz", '-', 1, "X", "if a != 0: forward to label imm")                                                 \
 /* -- state -- */                                                                                                \
 OP(CONST, "const", 'w', 0, "", "imm")                                                                            \
 OP(GET_REG, "get_reg", 'w', 0, "", "guest register imm (0..14), as of this point")                               \
 OP(SET_REG, "set_reg", '-', 1, "X", "guest register imm (0..14) = a")                                            \
 OP(LD_ENV, "ld_env", 'w', 0, "", "32-bit field of struct vcpu at offset imm")                                    \
 OP(ST_ENV, "st_env", '-', 1, "X", "32-bit field of struct vcpu at offset imm = a")                               \
 OP(LD_ENV64, "ld_env64", 'd', 0, "", "64-bit field")                                                             \
 OP(ST_ENV64, "st_env64", '-', 1, "X", "64-bit field")                                                            \
 OP(GET_NZCV, "get_nzcv", 'w', 0, "R", "flags in bits 31..28, rest 0")                                            \
 OP(SET_NZCV, "set_nzcv", '-', 1, "XS", "flags of mask s from bits 31..28 of a")                                  \
 OP(FP_FLAGS, "fp_flags", '-', 0, "XS", "flags of mask s from FPSCR (v->fpcc_v, fpcc_nzc)")                       \
 OP(GET_C, "get_c", 'w', 0, "R", "C as 0 or 1")                                                                   \
 OP(SET_C, "set_c", '-', 1, "XS", "C = bit 0 of a (s = FLAG_C)")                                                  \
 OP(SET_NZ, "set_nz", '-', 1, "XS", "N, Z from the 32-bit a (s within FLAG_NZ)")                                  \
 OP(SET_NZ64, "set_nz64", '-', 1, "XS", "N, Z from the 64-bit a")                                                 \
 /* -- arithmetic; S ones set N Z C V by mask -- */                                                               \
 OP(ADD, "add", 'w', 2, "S", "a + b")                                                                             \
 OP(SUB, "sub", 'w', 2, "S", "a - b; C = no borrow")                                                              \
 OP(ADC, "adc", 'w', 2, "SR", "a + b + C")                                                                        \
 OP(SBC, "sbc", 'w', 2, "SR", "a - b - !C")                                                                       \
 OP(AND, "and", 'w', 2, "S", "a & b; s within N Z")                                                               \
 OP(OR, "or", 'w', 2, "S", "a | b; s within N Z")                                                                 \
 OP(XOR, "xor", 'w', 2, "S", "a ^ b; s within N Z")                                                               \
 OP(BIC, "bic", 'w', 2, "S", "a & ~b; s within N Z")                                                              \
 OP(NOT, "not", 'w', 1, "", "~a")                                                                                 \
 OP(MUL, "mul", 'w', 2, "", "low 32 bits of a * b")                                                               \
 OP(MULU64, "mulu64", 'd', 2, "", "64-bit product, unsigned")                                                     \
 OP(MULS64, "muls64", 'd', 2, "", "64-bit product, signed")                                                       \
 OP(ADD64, "add64", 'd', 2, "", "a + b")                                                                          \
 OP(SUB64, "sub64", 'd', 2, "", "a - b")                                                                          \
 OP(PACK64, "pack64", 'd', 2, "", "a | b << 32")                                                                  \
 OP(LO32, "lo32", 'w', 1, "", "low half of the 64-bit a")                                                         \
 OP(HI32, "hi32", 'w', 1, "", "high half of the 64-bit a")                                                        \
 OP(UDIV, "udiv", 'w', 2, "", "a / b, 0 for b = 0")                                                               \
 OP(SDIV, "sdiv", 'w', 2, "", "a / b towards 0; 0 for b = 0; INT_MIN / -1 = INT_MIN")                             \
 /* -- shifts: by imm 1..31 (the front end turns 0 and 32 into other ops); C = last bit out -- */                 \
 OP(SHL, "shl", 'w', 1, "S", "a << imm; s within N Z C")                                                          \
 OP(SHR, "shr", 'w', 1, "S", "a >> imm, zeros; s within N Z C")                                                   \
 OP(SAR, "sar", 'w', 1, "S", "a >> imm, sign; s within N Z C")                                                    \
 OP(ROR, "ror", 'w', 1, "S", "rotate right; s within N Z C (C = bit 31 of the result)")                           \
 OP(RRX, "rrx", 'w', 1, "SR", "C:a >> 1; s within N Z C (C = bit 0 of a)")                                        \
 /* -- shifts by register: amount = low 8 bits of b, ARM rules for 0 and >= 32;                 \
     * C (if in s) unchanged for amount 0; s within C only (N Z by set_nz) -- */                 \
 OP(SHL_R, "shl_r", 'w', 2, "SR", "a << b")                                                                       \
 OP(SHR_R, "shr_r", 'w', 2, "SR", "a >> b, zeros")                                                                \
 OP(SAR_R, "sar_r", 'w', 2, "SR", "a >> b, sign")                                                                 \
 OP(ROR_R, "ror_r", 'w', 2, "SR", "rotate right by b")                                                            \
 /* -- bit fields, extensions, counts -- */                                                                       \
 OP(UBFX, "ubfx", 'w', 1, "", "imm2 bits of a from bit imm, zero-extended")                                       \
 OP(SBFX, "sbfx", 'w', 1, "", "the same, sign-extended")                                                          \
 OP(BFI, "bfi", 'w', 2, "", "a with imm2 bits from bit imm replaced by the low bits of b")                        \
 OP(SXTB, "sxtb", 'w', 1, "", "sign-extend 8")                                                                    \
 OP(SXTH, "sxth", 'w', 1, "", "sign-extend 16")                                                                   \
 OP(UXTB, "uxtb", 'w', 1, "", "zero-extend 8")                                                                    \
 OP(UXTH, "uxth", 'w', 1, "", "zero-extend 16")                                                                   \
 OP(REV, "rev", 'w', 1, "", "reverse bytes")                                                                      \
 OP(REV64, "rev64", 'd', 1, "", "reverse the 8 bytes")                                                            \
 OP(REV16, "rev16", 'w', 1, "", "reverse bytes in each halfword")                                                 \
 OP(CLZ, "clz", 'w', 1, "", "leading zeros, 32 for 0")                                                            \
 OP(SEL, "sel", 'w', 2, "R", "cond ? a : b")                                                                      \
 OP(SELNZ, "selnz", 'w', 3, "", "c != 0 ? a : b")                                                                 \
 OP(SETCOND, "setcond", 'w', 0, "R", "cond as 0 or 1")                                                            \
 /* -- memory: a = virtual address; aux = size and rules -- */                                                    \
 OP(LD, "ld", 'w', 1, "FX", "load 8, 16, 32 bits, extended to 32")                                                \
 OP(LD64, "ld64", 'd', 1, "FX", "load 64 bits")                                                                   \
 OP(ST, "st", '-', 2, "FX", "store the low 8, 16, 32 bits of b")                                                  \
 OP(ST64, "st64", '-', 2, "FX", "store the 64-bit b")                                                             \
 OP(LDM, "ldm", 'w', 1, "FX",                                                                                     \
    "word loads from a up into the registers of mask imm (bits 0..14), in order; "                                \
    "bit 15: the last word is the result. Word-aligned. All or nothing on a fault")                               \
 OP(STM, "stm", '-', 1, "FX", "word stores of the registers of mask imm (bits 0..14), then imm2 if bit 15")       \
 OP(LDREX, "ldrex", 'w', 1, "FX", "load-exclusive of 8, 16, 32 bits")                                             \
 OP(LDREX64, "ldrex64", 'd', 1, "FX", "load-exclusive doubleword")                                                \
 OP(STREX, "strex", 'w', 2, "FX", "store-exclusive of b; result 0 stored, 1 not")                                 \
 OP(STREX64, "strex64", 'w', 2, "FX", "store-exclusive of the 64-bit b")                                          \
 OP(CLREX, "clrex", '-', 0, "X", "clear the local monitor")                                                       \
 OP(SWP, "swp", 'w', 2, "FX", "atomically exchange 8 or 32 bits with b; result: old")                             \
 OP(BARRIER, "barrier", '-', 0, "X", "DMB/DSB: all earlier accesses before all later ones")                       \
 /* -- helpers: imm = enum helper_id (engine/ir/helpers.def) -- */                                                \
 OP(CALL, "call", 'w', 3, "X", "helper imm with up to three values (IR_NONE: absent); 32-bit result or none")     \
 OP(CALL64, "call64", 'd', 3, "X", "the same with a 64-bit result")                                               \
 /* -- exits: static target pc in imm with bit 0 = Thumb -- */                                                    \
 OP(EXIT, "exit", '-', 0, "XE", "to pc imm; aux EXIT_JUMP or EXIT_CALL (imm2: return address | T)")               \
 OP(EXIT_IF, "exit_if", '-', 0, "XR", "if cond: to pc imm")                                                       \
 OP(EXIT_IFZ, "exit_ifz", '-', 1, "X", "if a == 0: to pc imm")                                                    \
 OP(EXIT_IFNZ, "exit_ifnz", '-', 1, "X", "if a != 0: to pc imm")                                                  \
 OP(EXIT_IND, "exit_ind", '-', 1, "XE",                                                                           \
    "to pc a, bit 0 = Thumb; aux EXIT_JUMP, _CALL (imm2: return address | T), _RETURN")                           \
 OP(EXIT_LOOP, "exit_loop", '-', 0, "XE",                                                                         \
    "to the execution loop with r15 = imm (bit 0 = Thumb): state that the block key depends on may have changed") \
 OP(EXIT_LOOP_IND, "exit_loop_ind", '-', 1, "XE", "the same, to pc a")

enum ir_op {
#define OP(id, name, type, nargs, attrs, help) IR_##id,
    IR_OPS(OP)
#undef OP
        IR_OP_COUNT
};

struct ir_op_info {
    const char *name;
    char type;
    uint8_t nargs;
    bool f, s, r, e, x;
    const char *help;
};
extern const struct ir_op_info ir_op_info[IR_OP_COUNT];

struct ir_ins {
    uint8_t op;       /* enum ir_op */
    uint8_t cond;     /* enum ir_cond, for ops that take one */
    uint8_t s;        /* FLAG_* written */
    uint8_t aux;      /* MEM_*, EXIT_* */
    ir_val a, b, c;   /* operands or IR_NONE */
    uint8_t live;     /* by passes: flags read later, normal path */
    uint8_t live_exc; /* by passes: with F ops as readers */
    uint32_t imm, imm2;
    uint16_t uses;     /* by passes: how many operands name this value */
    uint16_t last_use; /* by passes: index of the last instruction that uses it */
};

#define IR_MAX_INS    4096
#define IR_MAX_LABELS 256

struct ir_block {
    uint32_t n, labels;
    bool full;               /* sticky: the front end must end the block */
    uint32_t pc, it, nguest; /* current instruction while building; guest instructions so far */
    uint16_t nexits;         /* static exits so far */
    ir_val known[15];        /* while building: the value that r0..r14 have in this segment, or IR_NONE */
    struct ir_ins ins[IR_MAX_INS];
};

/* -- Builder (ir/build.c): emits are folded on the fly (constants, x+0, ...); never fails. b->full is set while
 * there is still room for the rest of one guest instruction and the block's exits (IR_RESERVE instructions); what
 * is emitted past the end is dropped, and ir_verify() then refuses the block. IR_NONE operands are a CHECK failure.
 * Ops without a result, and calls of helpers without one, return IR_NONE. */
#define IR_RESERVE        512
#define IR_RESERVE_LABELS 16
void ir_begin(struct ir_block *b);
ir_val ir_emit(struct ir_block *b, enum ir_op op, uint8_t s, uint8_t aux, ir_val x, ir_val y, ir_val z, uint32_t imm,
               uint32_t imm2);
void ir_insn(struct ir_block *b, uint32_t pc, uint32_t itstate);
ir_val ir_const(struct ir_block *b, uint32_t v);
bool ir_is_const(const struct ir_block *b, ir_val v, uint32_t *out);
ir_val ir_get_reg(struct ir_block *b, unsigned reg); /* 0..14 */
void ir_set_reg(struct ir_block *b, unsigned reg, ir_val v);
ir_val ir_bin(struct ir_block *b, enum ir_op op, ir_val x, ir_val y); /* s = 0 */
ir_val ir_bin_s(struct ir_block *b, enum ir_op op, ir_val x, ir_val y, uint8_t s);
ir_val ir_un(struct ir_block *b, enum ir_op op, ir_val x);
ir_val ir_shift(struct ir_block *b, enum ir_op op, ir_val x, uint32_t n, uint8_t s);        /* SHL SHR SAR ROR by imm */
ir_val ir_field(struct ir_block *b, enum ir_op op, ir_val x, unsigned lsb, unsigned width); /* UBFX SBFX */
ir_val ir_sel(struct ir_block *b, enum ir_cond c, ir_val yes, ir_val no);
ir_val ir_setcond(struct ir_block *b, enum ir_cond c);
ir_val ir_load(struct ir_block *b, ir_val addr, uint8_t mem);
void ir_store(struct ir_block *b, ir_val addr, ir_val v, uint8_t mem);
uint32_t ir_new_label(struct ir_block *b);
void ir_label(struct ir_block *b, uint32_t label);
void ir_br(struct ir_block *b, uint32_t label);
void ir_brcond(struct ir_block *b, enum ir_cond c, uint32_t label);
void ir_brz(struct ir_block *b, ir_val v, uint32_t label, bool if_nonzero);
ir_val ir_call(struct ir_block *b, uint32_t helper, ir_val x, ir_val y, ir_val z);
void ir_exit(struct ir_block *b, uint32_t pc_t);
void ir_exit_call(struct ir_block *b, uint32_t pc_t, uint32_t ret_t);
void ir_exit_if(struct ir_block *b, enum ir_cond c, uint32_t pc_t);
void ir_exit_ind(struct ir_block *b, ir_val pc_t, uint8_t kind, uint32_t ret_t);
void ir_exit_loop(struct ir_block *b, uint32_t pc_t);

/* -- Printer, verifier, passes -- */
void ir_print(const struct ir_block *b, void (*line)(void *ctx, const char *text), void *ctx);
/* Always on. Returns NULL if well-formed, else what is wrong (static buffer of the calling thread). */
const char *ir_verify(const struct ir_block *b);

/* Flags a successor at static target pc_t may read before it writes them, found by peeking at guest code in
 * the same page (FLAG_ALL if unknown). NULL: always FLAG_ALL. */
typedef uint8_t (*ir_peek_flags)(void *ctx, uint32_t pc_t);

/* What ops read and may write: shared by passes and backends. */
uint8_t ir_cond_flags(enum ir_cond c);          /* flags that a condition reads */
uint8_t ir_flags_read(const struct ir_ins *in); /* flags that an op reads, as a mask; helpers' attributes included */
uint8_t ir_flags_settable(enum ir_op op);       /* what its s may hold */

/* Simplify one instruction whose operands are in b. Returns the value that replaces it, or IR_NONE when *in, perhaps
 * made simpler, is to stay. may_emit: new constants may be appended to b (the builder). */
ir_val ir_fold(struct ir_block *b, struct ir_ins *in, bool may_emit);

/* Constant folding and dead code, flag liveness (drops dead bits from s), use counts. */
void ir_optimise(struct ir_block *b, ir_peek_flags peek, void *ctx);

#endif
