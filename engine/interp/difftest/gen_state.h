/*
 * gen_state.h — the state of one generation, and what the files that generate A32 and T32 code share
 */
#ifndef ENGINE_INTERP_DIFFTEST_GEN_STATE_H
#define ENGINE_INTERP_DIFFTEST_GEN_STATE_H

#include "engine/interp/difftest/gen.h"

/* Roles of registers; 0: free. */
enum { POINTER = 1, INDEX = 2, KEEP = 3 /* not written for now */ };
enum { DRIFT_MAX = 1000 };

struct gen {
    struct snippet *s;
    struct rng *r;
    const struct gen_opts *o;
    uint8_t role[16];
    uint32_t drift[16]; /* of pointers: at most this far from the start */
    uint32_t align[16]; /* of pointers: a power of two */
    uint16_t next_id, group;
    bool thumb; /* at present */
};

void gen_put(struct gen *g, enum insn_set set, enum item_kind kind, const struct insn_row *row, uint32_t word,
             uint16_t target);
/* A random register of r0..r(below - 1) with this role; 16: there is none. */
unsigned gen_any_reg(struct gen *g, unsigned role, unsigned below);

static inline bool gen_may_write(const struct gen *g, unsigned reg)
{
    return reg < 15 && !g->role[reg];
}

/* -- Instructions from the tables (gen_row.c) ------------------------------------------------------------------ */

/* An instruction of any row that is not left out, under the state at present. */
void gen_plain(struct gen *g);

/* Fields of an encoding by their letter. */
unsigned row_width(const struct insn_row *row, char letter);
bool row_has(const struct insn_row *row, char letter);
uint32_t row_get(const struct insn_row *row, uint32_t word, char letter);
uint32_t row_set(const struct insn_row *row, uint32_t word, char letter, uint32_t val);

/* Classes of instructions. */
bool row_is_dual(const struct insn_row *row);
bool row_is_multiple(const struct insn_row *row);
bool row_touches_memory(const struct insn_row *row);

/* -- Their memory operands (gen_mem.c) -------------------------------------------------------------------------- */

struct mem_shape {
    unsigned base;
    int64_t offset; /* of the access or the write-back, whichever is further */
    bool writeback;
    uint32_t need_align; /* 1, 4, 8 */
};

/* The word with operands that are likely to do. */
uint32_t gen_patch_memory(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word);
/* Does the access stay in the arena, and is nothing about it UNPREDICTABLE? What it does is left in m. */
bool gen_mem_ok(struct gen *g, const struct insn_row *row, enum insn_set set, uint32_t word, struct mem_shape *m);
/* The instruction is taken: remember what write-back does to the base. */
void gen_note_writeback(struct gen *g, const struct mem_shape *m);

/* -- Groups (gen_group.c): nothing is put if the registers that are needed are taken ------------------------------ */

void gen_it(struct gen *g);
void gen_it_branch(struct gen *g);
void gen_table_branch(struct gen *g);
void gen_branch(struct gen *g);
void gen_indirect(struct gen *g);
void gen_call(struct gen *g);
void gen_exclusive(struct gen *g);
void gen_interwork(struct gen *g);
void gen_big_endian(struct gen *g);

#endif
