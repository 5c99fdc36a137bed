/*
 * emit.h — the state of one translation, shared by the files of the backend
 *
 * One forward walk over the IR. alloc*.c know where values are, flags.c where guest flags are, lower_*.c turn ops
 * into code, flow.c and cold.c what leaves the straight line. Code that is rarely run is described by a
 * struct cold when its place in the hot code is passed, and emitted after the hot code.
 */
#ifndef ENGINE_X64_EMIT_H
#define ENGINE_X64_EMIT_H

#include "engine/ir/ir.h"
#include "engine/x64/abi.h"
#include "engine/x64/asm.h"
#include "engine/x64/stubs.h"
#include "engine/x64/x64.h"

/* -- Values -------------------------------------------------------------------------------------------------------- */

enum value_kind {
    VAL_NONE,
    VAL_CONST,
    VAL_GREG,  /* equal to guest register `at`, which has not been written since */
    VAL_REG,   /* in scratch register `at` */
    VAL_SPILL, /* in v->spill[at] */
    VAL_SHL,   /* base << n, not computed yet: becomes part of an address */
    VAL_LEA,   /* base + imm, not computed yet: the address of one access */
};
/* In reg_val and slot_val, what is no value: the host address of a group of accesses (group.c); the result of an op that only
 * a recipe for its flags still wants. */
#define GROUPS    2
#define VAL_GROUP ((ir_val)0xfff0)
#define VAL_FLAGS ((ir_val)0xfff8)
static inline bool is_value(ir_val v)
{
    return v < IR_MAX_INS;
}
static inline bool is_group(ir_val v)
{
    return v >= VAL_GROUP && v < VAL_GROUP + GROUPS;
}

struct value {
    uint8_t kind;
    int8_t at;
    uint8_t n;
    bool wide;     /* 64 bits */
    uint16_t last; /* index of the last user */
    ir_val same;   /* another value that this one is equal to, or IR_NONE */
    ir_val base;   /* VAL_SHL, VAL_LEA */
    uint32_t imm;  /* VAL_CONST, VAL_LEA */
};

/* An operand as an instruction can take it. */
struct opnd {
    enum { OPND_REG, OPND_IMM, OPND_MEM } kind;
    int reg;
    uint32_t imm;
    struct x64_mem mem;
};

/* -- Flags ------------------------------------------------------------------------------------------------------------ */

/* How to make flags again: do the operation again on operands that have not changed. Operands are guest
 * registers; a, b may be the constant imm. */
enum {
    RG_NONE = -1, /* 0..14: guest registers */
    RG_IMM = 15,
    RG_SCRATCH = 16, /* d only: rax rcx rdx, with VAL_FLAGS there */
    RG_SLOT = 24,    /* d only: a spill slot, likewise */
};
enum recipe_op { RE_NONE, RE_ADD, RE_SUB, RE_AND, RE_XOR, RE_SHL, RE_SHR, RE_SAR, RE_BIT };
struct recipe {
    uint8_t mask;   /* flags it is responsible for */
    uint8_t op;     /* shifts: by imm; RE_BIT: C is bit imm of a, N and Z are d's */
    int8_t a, b, d; /* d: the result */
    ir_val val;     /* the op's value: when a set_reg stores it, d is known */
    uint32_t imm;
};

struct flags {
    uint8_t mem;     /* whose byte in struct vcpu is right */
    uint8_t host;    /* in EFLAGS */
    uint8_t known;   /* the same on every run through this point: */
    uint8_t value;   /* ... their values; 0 for others */
    bool carry_inv;  /* CF is !C, as after a subtraction */
    uint16_t serial; /* which setting of EFLAGS */
    struct recipe recipe[4];
};

/* -- Cold code --------------------------------------------------------------------------------------------------------- */

enum cold_kind {
    COLD_LOAD,
    COLD_STORE,
    COLD_LDM,
    COLD_STM,
    COLD_EXCL,     /* slow paths */
    COLD_EXIT,     /* a static exit's unlinked stub, with flags to save before it if `save` */
    COLD_RAS,      /* shadow stack too deep */
    COLD_INDIRECT, /* jump cache miss */
    COLD_RETURN,   /* shadow stack mispredicts */
    COLD_CALL_INDIRECT,
};

struct cold {
    uint8_t kind;
    bool probe_again; /* an unaligned access within the page may go back to the probe */
    uint8_t size;     /* bytes; LDM, STM: words */
    uint8_t preserve; /* scratch registers with values needed afterwards */
    int8_t slot[3];   /* where they are saved */
    int8_t addr, dst, tmp;
    bool has_data, wide;
    bool keep_xmm;           /* vregs.c, V3 */
    struct opnd data;        /* value to be stored */
    int8_t exit;             /* COLD_EXIT: index of the exit, -1: not chainable */
    uint8_t save;            /* COLD_EXIT: flags to be stored */
    uint8_t op;              /* enum ir_op */
    uint32_t mem, imm, mask; /* MEM_*; exit target, STM's last word; LDM, STM registers */
    uint32_t pc, it;
    bool it_stale;
    int8_t group_reg[GROUPS], group_slot[GROUPS]; /* where groups are that end when C was called, or -1 */
    int8_t member;  /* register of the group that the access belongs to, or NO_REG: it has a probe of its own here */
    uint8_t low;    /* ... low bits of the address that must be 0 */
    struct opnd at; /* ... its address: at + off */
    int32_t off;
    struct flags flags;
    int8_t guess, index;     /* register of the guess, with the page's number in index; NO_REG: none was made */
    bool stack, guess_store; /* ... of a stack page; in the store table */
    struct x64_label entry, unaligned, back, probe, wrong, right;
};

/* Accesses at small constant distances from each other (group.c). */
struct group {
    int8_t reg,
        slot; /* scratch register or spill slot: host address of root + at, or 0 at run time; both -1: no group */
    bool store, user;
    uint16_t last; /* index of the last member */
    uint8_t align; /* root + at is a multiple of it */
    ir_val root;
    int32_t at, lo, hi; /* offsets from root: where reg points, what has been checked to be in the page */
};

/* Which zeros are exact: none; all; those whose operand n, or n or m, or n in double precision is zero. */
enum zero_kind { ZERO_NEVER, ZERO_EXACT, ZERO_OF_N, ZERO_OF_EITHER, ZERO_OF_WIDE_N };

/* An operation of VFP or Advanced SIMD that its helper does instead when the operands are not of the common kind. */
struct slow_call {
    struct x64_label entry; /* jumped to from the straight line */
    struct x64_label zero;  /* the result is not normal; if it is an exact zero, on at back_ok */
    struct x64_label back_ok, back;
    struct x64_label product_zero, product_ok; /* the same for the product in a multiply-accumulate */
    uint8_t helper, nargs;                     /* enum helper_id */
    uint8_t keep;                              /* scratch registers with values */
    uint8_t kind;                              /* enum zero_kind */
    int8_t tmp, n, m;                          /* a scratch register; xmm registers of the operands */
    int8_t result, product;                    /* xmm registers; product -1: none */
    bool wide, reload;                         /* double precision; the result's register is loaded before back */
    uint8_t off, len;                          /* ... from these bytes of v->vfp[] */
    uint32_t arg[3];
};

/* What an xmm register holds: vregs.c. */
#define KEPT_XMM 8
struct vreg {
    uint8_t off, len; /* len 0: nothing */
    bool plain;       /* no element is a denormal: lower_vec_fp.c */
    uint32_t used;
};

struct label {
    uint16_t at;    /* index of its LABEL */
    uint16_t jumps; /* to it */
    bool seen;
    struct flags flags;
    struct x64_label l;
};

struct xlate {
    struct x64_asm a;
    const struct ir_block *ir;
    const struct x64_request *req;
    struct x64_code *out;
    unsigned mode; /* MMU_USER or MMU_PRIV */

    uint32_t i; /* current instruction */
    const struct ir_ins *in;
    uint32_t pc, it; /* of the guest instruction */
    bool it_stale;   /* v->it may not be 0, though no IT block runs: the front end clears it when it sees fit */
    uint8_t need;    /* flags that must survive the current op, or that it reads */

    struct value val[IR_MAX_INS];
    ir_val reg_val[3]; /* what rax rcx rdx hold, or IR_NONE */
    ir_val slot_val[8];
    ir_val greg_val[15]; /* the value known to be equal to a guest register */
    uint32_t locked;     /* scratch registers of the current op */
    bool hold;           /* EFLAGS are in use by the current op: constants by mov, not xor */
    struct group group[GROUPS];
    int def_greg;   /* pinned guest register that the current op's result goes to directly, or -1 */
    int def_memory; /* one in memory that a later set_reg will store it to, or -1 */

    struct flags flags;
    uint16_t flags_serial;
    bool pad_jcc; /* the next flag-setting instruction is followed by a patched jcc */

    unsigned exit_no, exit_extra; /* next static exit; next of the exits that calls return to */
    struct label label[IR_MAX_LABELS];
    unsigned ncold;
    struct cold *cold;
    struct vreg vreg[KEPT_XMM];
    uint32_t vlocked, vpieces; /* of the current op; vregs.c */
    unsigned nslow;
    struct slow_call *slow;
    bool dead_end; /* the previous op ended the path */
};

/* -- alloc.c, alloc_greg.c ------------------------------------------------------------------------------------------------- */

void alloc_begin(struct xlate *x);
ir_val alloc_rep(const struct xlate *x, ir_val v); /* the value that stands for v */
bool alloc_const(const struct xlate *x, ir_val v, uint32_t *out);
bool value_not_negative(const struct xlate *x, ir_val v); /* bit 31 is 0 for sure */
bool alloc_needed(const struct xlate *x, ir_val v);       /* after the current op */

/* A scratch register for the current op, prefer if possible; NO_REG: any. Spills if need be. */
int alloc_temp(struct xlate *x, int prefer);
/* This very scratch register: its value moves away. */
void alloc_take(struct xlate *x, int reg);
void alloc_unlock(struct xlate *x, int reg);

/* Operands. The scratch registers used are locked until the op ends or alloc_done() gives them up. */
int alloc_reg(struct xlate *x, ir_val v);                /* in some register; do not write to it */
int alloc_reg_in(struct xlate *x, ir_val v, int prefer); /* the same; loads go there */
struct opnd alloc_opnd(struct xlate *x, ir_val v);       /* register, constant or memory */
int alloc_copy(struct xlate *x, ir_val v, int prefer);   /* a scratch register with v that may be overwritten */
void alloc_done(struct xlate *x, ir_val v); /* operand read: if this was its last use its register is free */

/* The result. alloc_begin_op() has chosen x->def_greg and made sure that flags which depend on its old value are
 * safe (ops that may fault do that themselves, flags_greg_save). alloc_def gives the host register: that guest
 * register's, or a scratch register, perhaps that of an operand given up before. */
void alloc_begin_op(struct xlate *x);
int alloc_def(struct xlate *x, int prefer);
/* The guest register in memory that the result is going to, if it is the operand v: the op may work on memory. -1: no. */
int alloc_memory_target(struct xlate *x, ir_val v);
void alloc_def_memory(struct xlate *x, unsigned g);
void alloc_def_in(struct xlate *x, int reg); /* the result is already in this scratch register of the op */
void alloc_def_const(struct xlate *x, uint32_t imm);

void alloc_get_reg(struct xlate *x, unsigned g);
void alloc_set_reg(struct xlate *x, unsigned g, ir_val v);
/* Guest register g is about to be written by other means: a value equal to it that is still needed moves. */
void alloc_greg_written(struct xlate *x, unsigned g);
/* Everything in scratch registers to memory (a call follows); regs too: also what is only in guest registers. */
void alloc_spill_all(struct xlate *x, bool regs);
void alloc_spill_value(struct xlate *x, ir_val v); /* out of its scratch register, if in one */
void alloc_end_op(struct xlate *x);
void alloc_label(struct xlate *x);
/* For cold code: which scratch registers hold values needed later, and where they may be saved. */
void alloc_keep_flags(struct xlate *x, int reg); /* VAL_FLAGS in this scratch register of the op */
void alloc_snapshot(struct xlate *x, struct cold *c, int except);

/* Between the two files. A value is in this scratch register from here on; a guest register other than `except` that is
 * equal to v, or -1, pinned ones first. */
void alloc_bind(struct xlate *x, ir_val v, int reg);
int alloc_holder(const struct xlate *x, ir_val v, int except);

/* -- emit.c ----------------------------------------------------------------------------------------------------------- */

void emit_mov(struct xlate *x, int dst, int src); /* 32 bits; nothing if equal */
void emit_mov_opnd(struct xlate *x, int dst, struct opnd o);
void emit_const(struct xlate *x, int dst, uint32_t imm); /* flags survive */
void emit_alu(struct xlate *x, enum x64_alu op, int dst, struct opnd o);
void emit_address(struct xlate *x, int dst, struct opnd at, int32_t off); /* dst = at + off, 32 bits */

/* -- flags.c --------------------------------------------------------------------------------------------------------------- */

void flags_begin(struct xlate *x);
void flags_op(struct xlate *x); /* a new op: what it and its successors need */
/* The next instruction destroys EFLAGS. */
void flags_clobber(struct xlate *x);
/* These flags to memory. EFLAGS may be used for it. */
void flags_save(struct xlate *x, uint8_t mask);
/* All four recoverable without EFLAGS: a fault may happen. */
void flags_before_fault(struct xlate *x);
/* Guest register g is about to get a new value: flags that are made again from the old one move to EFLAGS, or to
 * memory. flags_greg_drop is the book-keeping when it has happened. */
void flags_greg_save(struct xlate *x, unsigned g, ir_val incoming, bool to_memory);
void flags_gregs_save(struct xlate *x, uint32_t gregs); /* several at once, to memory */
void flags_greg_drop(struct xlate *x, unsigned g, ir_val incoming);
/* An op has set flags s: host of them are in EFLAGS; r says how to make them again (may be NULL). */
void flags_set(struct xlate *x, uint8_t s, uint8_t host, bool carry_inv, const struct recipe *r);
void flags_set_lazy(struct xlate *x, uint8_t s, const struct recipe *r); /* by recipe only: nothing was emitted */
void flags_set_mem(struct xlate *x, uint8_t s);                          /* their bytes are right */
void flags_set_known(struct xlate *x, uint8_t s, uint8_t value);         /* constants; nothing need be emitted */
void flags_learn(struct xlate *x, uint8_t mask, uint8_t value);          /* of flags that are elsewhere too */
/* What follows for the flags if cond is true. */
void flags_given(struct flags *f, enum ir_cond cond);
void flags_reads_done(struct xlate *x);     /* the op has what it reads; from here on only what comes later counts */
bool flags_precious(const struct xlate *x); /* would flags_clobber() have to save something? */
/* EFLAGS such that the condition code returned is true when cond is. */
enum x64_cc flags_cond(struct xlate *x, enum ir_cond cond);
/* CF = C, or !C. */
void flags_carry(struct xlate *x, bool inverted);
bool flags_in_host(const struct xlate *x, uint8_t mask);
uint8_t flags_recoverable(const struct xlate *x); /* by recipes */
/* In cold code: store the bytes of mask, as far as they are not right yet. tmp may be overwritten. */
void flags_save_cold(struct xlate *x, const struct flags *f, uint8_t mask, int tmp);
uint8_t flags_live_after(const struct ir_ins *in); /* on the normal path or at a fault */
/* Results kept for recipes: in use? moved; some scratch register that is none of f's. */
bool flags_keeps(const struct xlate *x, int place);
void flags_kept_moved(struct xlate *x, int from, int to);
int flags_free_tmp(const struct flags *f);
/* Joins (joins.c). Before the condition of a jump is made; when EFLAGS are as they will be at the jump; at the label. */
void flags_before_jump(struct xlate *x, struct label *l, bool cond);
void flags_at_jump(struct xlate *x, struct label *l, bool cond);
void flags_at_label(struct xlate *x, struct label *l);
struct x64_mem flag_mem(unsigned flag);

/* -- recipe.c ------------------------------------------------------------------------------------ */

/* For the flags of the current op, after alloc_def; b may be IR_NONE. */
struct recipe recipe_of_op(const struct xlate *x, enum recipe_op op, ir_val a, ir_val b, uint32_t imm);
uint8_t recipe_makes(const struct recipe *r);                            /* which flags */
struct recipe recipe_without(struct recipe r, unsigned g);               /* guest register g lost */
struct recipe recipe_after_write(struct recipe r, unsigned g, ir_val v); /* g has become value v */
/* Does making `want` take a scratch register? */
bool recipe_needs_tmp(const struct recipe *r, uint8_t want);
/* Set EFLAGS so that they hold as much of want as one instruction sequence can. Returns what they hold. */
uint8_t recipe_emit(struct x64_asm *a, const struct recipe *r, uint8_t want, int tmp, bool *carry_inv);

/* -- vregs.c: xmm registers below KEPT_XMM; off, len: bytes of v->vfp[] ------------------------------ */

int vreg_get(struct xlate *x, unsigned off,
             unsigned len);     /* loaded if need be, locked until the op ends; do not write to it */
int vreg_temp(struct xlate *x); /* to be written, likewise locked */
void vreg_load(struct xlate *x, int reg, unsigned off, unsigned len);
void vreg_put(struct xlate *x, int reg, unsigned off, unsigned len); /* store, and remember */
void vreg_wrote(struct xlate *x, unsigned off, unsigned len);        /* stored by other means */
void vreg_drop_all(struct xlate *x);
void vreg_end_op(struct xlate *x);
bool vreg_any(const struct xlate *x);
bool vreg_env(size_t env, unsigned *off); /* is this offset in struct vcpu one of v->vfp[]'s? */

/* -- slow_call.c ------------------------------------------------------------------------------------ */

/* All registers of the op must have been chosen: what is emitted between here and `back` is not run by the slow path. */
struct slow_call *slow_new(struct xlate *x, unsigned nargs, const uint32_t arg[3]);
void slow_emit_all(struct xlate *x);

/* -- lower_*.c ----------------------------------------------------------------------------------------------------------------- */

void lower_alu(struct xlate *x);
void lower_shift(struct xlate *x);
void lower_state(struct xlate *x);
void lower_mem(struct xlate *x);
void lower_excl(struct xlate *x);
void lower_call(struct xlate *x);
/* Instead of a call, if the host can: lower_fp.c, lower_vec.c. */
bool lower_fp(struct xlate *x);
bool lower_vec(struct xlate *x);
void lower_fp_flags(struct xlate *x);
void lower_flow(struct xlate *x);

/* --count-insns: n more, or fewer, guest instructions were begun. */
void emit_count_insns(struct xlate *x, int n);
/* --count-insns: before the call of a helper; EFLAGS are destroyed, as by the call. */
void emit_count_call(struct xlate *x);

struct cold *cold_new(struct xlate *x, enum cold_kind kind);
/* Everything that translated code leaves to C must know: pc, ITSTATE. */
void emit_where(struct xlate *x, uint32_t pc, uint32_t it, bool it_stale);
void emit_thunk_call(struct xlate *x, const void *thunk);
void emit_thunk_jmp(struct xlate *x, const void *thunk);
/* Check the alignment of addr and probe the flat table. Returns the register, page or spare (which may be NO_REG), that holds
 * host minus guest address of the page. Afterwards EFLAGS are destroyed; c has been told. */
int emit_probe(struct xlate *x, struct cold *c, int addr, int page, int spare, bool store);
int alloc_spare(const struct xlate *x); /* a scratch register that is free at the end of an op's choices, or NO_REG */
void cold_guess(struct xlate *x, struct cold *c); /* lower_mem.c: the guess was wrong */

/* group.c */
void group_begin(struct xlate *x);
void group_drop_all(struct xlate *x);
void group_spill(struct xlate *x, unsigned k); /* out of its scratch register */
void group_end_op(struct xlate *x);
ir_val group_root(const struct xlate *x, ir_val v, int32_t *off); /* v = root + *off */
int group_of(const struct xlate *x, int32_t *delta); /* the group that the current access belongs to, or -1 */
int group_reg(struct xlate *x, unsigned k);          /* its register, locked */
/* Is the current access worth being the first of a group? Then which one; it begins with group_start(). */
int group_plan(struct xlate *x, struct group *plan);
void group_start(struct xlate *x, unsigned k, const struct group *plan, int reg);

/* Cold code by kind: cold.c around lower_mem.c, lower_excl.c, lower_flow.c. */
void cold_emit_all(struct xlate *x);
void cold_mem(struct xlate *x, struct cold *c);
void cold_excl(struct xlate *x, struct cold *c);
void cold_flow(struct xlate *x, struct cold *c);
/* Slow paths: from c->entry until the thunk's arguments are in rcx and rdx and the state is complete but for
 * the pinned registers; then, with the result in rax, back to the hot code. */
void cold_enter(struct xlate *x, struct cold *c);
void cold_leave(struct xlate *x, struct cold *c, bool result);

#endif
