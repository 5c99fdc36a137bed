/*
 * decode.h — instruction tables: one row per instruction, found by pattern
 *
 * A row is I(name, "pattern", handler, arg). The pattern has one character per bit, most significant first (T32
 * 32-bit: first halfword, second halfword):
 *   0 1       fixed
 *   O I       should be 0, should be 1: (0) and (1) in the manual. Fixed too: violating it is UNPREDICTABLE, here
 *             Undefined
 *   -         any (a hint's spare bits)
 *   letters   a field; bits of the same letter are joined in order, wherever they stand
 *   N T D A   a field that may not be all ones, and belongs to the field of the small letter: Rn, Rt, Rd, Ra
 *             that say "see another instruction" when they are 15
 *
 * Because fields go by letter, A32 and T32 share their handlers: whatever the encoding, `d` is Rd, `n` Rn,
 * `i` the immediate. A field that a pattern does not have reads as 0.
 *   c cond   s S bit   d n m a t registers   e second register (Rt2, RdHi)   S Rs, the shift amount's register
 *   i immediate   k shift amount   y shift type   q rotation   L register list   v extra list bit
 *   p u w   index, add, write back   j lsb   b msb or width-1   x z halves   f g masks, SYSm
 *   o opcodes of coprocessors   C CRm/coproc
 *
 * Two rows may overlap only when one is the other with more bits fixed: the more special one wins.
 */
#ifndef ENGINE_ARM_DECODE_H
#define ENGINE_ARM_DECODE_H

#include "engine/base/base.h"

struct xlate;
typedef void insn_fn(struct xlate *x, uint32_t arg);

/* Slots for 'A'..'z'. */
struct fields {
    uint32_t f['z' - 'A' + 1];
};
#define FIELD(fields, letter) ((fields)->f[(letter) - 'A'])

struct field_run {
    uint8_t slot, shift, width; /* value = value << width | bits */
};

struct insn_row {
    const char *name;
    const char *pattern;
    insn_fn *fn;
    uint32_t arg;
    /* compiled from the pattern */
    uint32_t mask, value;
    uint32_t should;   /* bits of mask that are O or I */
    uint32_t not15[2]; /* bits that may not all be set; 0: no such rule */
    uint8_t nruns;
    struct field_run runs[12];
};

enum insn_set { SET_A32, SET_A32_UNCOND, SET_T16, SET_T32, INSN_SETS };

/* The row of an instruction word, or NULL: Undefined. T16: the halfword; T32: first halfword in the top half.
 * The tables are compiled at the first call (pthread_once); const afterwards. */
const struct insn_row *decode(enum insn_set set, uint32_t word);
/* Extract the fields of a row. */
void decode_fields(const struct insn_row *row, uint32_t word, struct fields *out);
bool row_matches(const struct insn_row *row, uint32_t word);

/* All rows of a table, for tests and tools. */
const struct insn_row *decode_rows(enum insn_set set, unsigned *n);

/* Is this the first halfword of a 32-bit T32 instruction? */
static inline bool t32_is_wide(uint32_t hw)
{
    return (hw >> 11) >= 0x1d;
}

#endif
