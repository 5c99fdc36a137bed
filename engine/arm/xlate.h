/*
 * xlate.h — the state of one translation, and what the semantic functions share
 *
 * A handler (op_*) gets the fields of its encoding and emits IR. It is called with the condition already dealt
 * with (translate.c), except for branches, which make side exits of it.
 *
 * UNPREDICTABLE encodings (ARM DDI 0406C): where a general register may not be the PC and is, Undefined (UNPRED15);
 * elsewhere what the A15's text suggests, said at the place.
 */
#ifndef ENGINE_ARM_XLATE_H
#define ENGINE_ARM_XLATE_H

#include "engine/arm/arm.h"
#include "engine/arm/decode.h"
#include "engine/arm/operands.h"

/* One fetched and decoded instruction. */
struct insn {
    uint32_t pc, word;
    unsigned len;               /* bytes */
    const struct insn_row *row; /* NULL: Undefined */
    struct fields f;
    enum ir_cond cond;
    bool is_branch; /* handles its own condition */
};

struct xlate {
    struct ir_block *b;
    const struct arm_translate_req *req;
    struct insn insn; /* the present one */
    struct fields f;  /* its fields */
    uint32_t pc;      /* its address */
    bool thumb;
    uint8_t it;         /* its ITSTATE */
    bool it_stored;     /* v->it may be other than 0: a fault path, or the start of the block, may have set it */
    enum ir_cond cond;  /* for branches: COND_AL or the condition of the side exit */
    enum ir_cond sel;   /* not COND_AL: register writes are conditional moves */
    uint32_t first_ins; /* its first operation in b */
    bool end;           /* the handler ended the block (or the conditional part of it) */

    /* The open group of instructions under one condition. */
    enum ir_cond group; /* COND_AL: none */
    uint32_t group_label;
    bool group_flags; /* flags were written inside */

    bool peeking;
    uint8_t peek_needed, peek_written;
    bool peek_skip; /* in a conditional part: writes do not count */
    uint32_t peek_pos;
};

#define F(letter) FIELD(&x->f, letter)

static inline uint32_t xlate_flag(const struct xlate *x, uint32_t flag)
{
    return x->req->flags & flag;
}

static inline bool big_endian(const struct xlate *x)
{
    return xlate_flag(x, TBF_BE) != 0;
}

/* Address | T of the next instruction. */
static inline uint32_t next_pc_t(const struct xlate *x)
{
    return (x->pc + x->insn.len) | x->thumb;
}

/* What reading the PC gives. */
static inline uint32_t pc_value(const struct xlate *x)
{
    return x->pc + (x->thumb ? 4 : 8);
}

/* ITSTATE after an instruction (A2.5.2). */
static inline uint8_t it_advance(uint8_t it)
{
    return it & 7 ? (uint8_t)((it & 0xe0) | (it << 1 & 0x1f)) : 0;
}

/* Operations out of which there is a path that stores pc and ITSTATE in the vCPU. */
static inline bool may_leave(const struct ir_ins *i)
{
    return ir_op_info[i->op].f || ((i->op == IR_CALL || i->op == IR_CALL64) && ir_helper_info[i->imm].leaves);
}

/* -- xlate.c ----------------------------------------------------------------------------------------------------- */

ir_val get_reg(struct xlate *x, unsigned n);         /* 0..15 */
void put_reg(struct xlate *x, unsigned d, ir_val v); /* 0..14 */
ir_val imm32(struct xlate *x, uint32_t v);
/* Base of PC-relative addresses. */
ir_val literal_base(struct xlate *x);

static inline ir_val emit1(struct xlate *x, enum ir_op op, ir_val a)
{
    return ir_emit(x->b, op, 0, 0, a, IR_NONE, IR_NONE, 0, 0);
}
static inline ir_val emit2(struct xlate *x, enum ir_op op, ir_val a, ir_val b)
{
    return ir_emit(x->b, op, 0, 0, a, b, IR_NONE, 0, 0);
}
void set_nz(struct xlate *x, ir_val v);
void set_c(struct xlate *x, ir_val v);
ir_val ld_env(struct xlate *x, size_t offset);
void st_env(struct xlate *x, size_t offset, ir_val v);
ir_val call(struct xlate *x, enum helper_id id, ir_val a, ir_val b, ir_val c);
ir_val call64(struct xlate *x, enum helper_id id, ir_val a, ir_val b, ir_val c);

/* Ends of the block, or of its conditional part. */
void undefined(struct xlate *x);
void exit_call(struct xlate *x, uint32_t pc_t);
void exit_indirect(struct xlate *x, ir_val pc_t, uint8_t kind);
void exit_loop_next(struct xlate *x);
void exit_after_exception_return(struct xlate *x);
/* Branch under x->cond, which may be COND_AL. */
void branch(struct xlate *x, uint32_t pc_t);
/* Before an exit after which v->it has to be `it`. */
void sync_it(struct xlate *x, uint8_t it);

/* BXWritePC (A2.3.1): state by bit 0. */
void bx_write_pc(struct xlate *x, ir_val v, uint8_t kind);
/* ALUWritePC: like BX in A32, a plain branch in T32. */
void alu_write_pc(struct xlate *x, ir_val v, uint8_t kind);

/* True, having emitted an Undefined exception, if one of the fields is 15. */
bool unpred15(struct xlate *x, const char *fields);
#define UNPRED15(fields)   \
 do {                      \
  if (unpred15(x, fields)) \
   return;                 \
 } while (0)

/* -- sem_alu.c --------------------------------------------------------------------------------------------------- */

/* Shift by an immediate as encoded (A8.4.3: 0 means 32 or RRX). s: 0, FLAG_C or FLAG_NZC. */
ir_val shift_imm(struct xlate *x, ir_val v, enum shift_type type, uint32_t k, uint8_t s);
/* S variant with PC as destination: return from exception. */
void exception_return(struct xlate *x, ir_val new_pc);
/* Can this instruction be made of conditional moves? */
bool sel_candidate(const struct insn *in, bool in_it);

#define I(name, pattern, fn, arg) insn_fn fn;
#include "engine/arm/a32.def"
#include "engine/arm/a32_uncond.def"
#include "engine/arm/t32_16.def"
#include "engine/arm/t32_32.def"
#undef I

#endif
