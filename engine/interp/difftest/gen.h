/*
 * gen.h — random A32 and T32 code with a known end, made from the front end's decode tables
 *
 * A snippet is a handful of instructions with the state they start from. Memory accesses stay inside the arena, control
 * goes forwards and comes out at LAYOUT_DONE, and nothing in it is UNPREDICTABLE, so that any two right
 * implementations agree on registers, flags and memory. How that is kept:
 *   - some registers are pointers into the middle of the arena, one or two are small indices; nothing writes them
 *     but write-back, whose sum is bounded;
 *   - rows that cannot be compared are left out by name, each with a reason (gen_row.c).
 */
#ifndef ENGINE_INTERP_DIFFTEST_GEN_H
#define ENGINE_INTERP_DIFFTEST_GEN_H

#include "engine/arm/decode.h"
#include "engine/base/rng.h"

/* Guest addresses: the same in the process that qemu-arm runs and here. */
enum {
    LAYOUT_RUNTIME = 0x00400000, /* code of the runtime, then a page that it stores to */
    LAYOUT_DONE = LAYOUT_RUNTIME + 0x100,
    LAYOUT_STATES = 0x00402000, /* initial states */
    LAYOUT_CODE = 0x00500000,   /* snippets; a page before and after is there too, for literals */
    LAYOUT_SAVE = 0x20000f80,   /* final state: r0..r14, CPSR; then the arena */
    LAYOUT_ARENA = 0x20001000,
    LAYOUT_TEMPLATE = 0x20008000, /* what the arena starts as */
    ARENA_BYTES = 0x3000,
    SAVE_BYTES = LAYOUT_ARENA - LAYOUT_SAVE,
};

enum { MAX_ITEMS = 96, MAX_CODE_BYTES = MAX_ITEMS * 4 + 32 };

enum item_kind {
    ITEM_PLAIN,  /* word as it is */
    ITEM_BRANCH, /* word's offset field is filled in when the snippet is laid out */
    ITEM_MOVW,   /* word's immediate: low half of the target's address | T */
    ITEM_MOVT,
    ITEM_ALIGN, /* T16: a nop if need be, so that what follows is at a multiple of 4 */
};

struct item {
    enum insn_set set;
    enum item_kind kind;
    const struct insn_row *row; /* NULL for fixed words */
    uint32_t word;
    uint16_t id, target; /* target: the first item whose id is not less */
    uint16_t group;      /* items that stay or go together */
};

static inline bool item_is_thumb(const struct item *it)
{
    return it->set == SET_T16 || it->set == SET_T32;
}

struct snippet {
    bool thumb;
    unsigned n;
    struct item items[MAX_ITEMS];
    uint32_t regs[15];
    uint32_t cpsr; /* NZCVQ and GE */
};

struct gen_opts {
    bool thumb;
    unsigned insns;   /* about how many */
    const char *only; /* rows whose name begins like this; NULL: all */
    bool no_memory;
    uint64_t *used[INSN_SETS]; /* if not NULL: counts by row number */
};

void gen_snippet(struct snippet *s, struct rng *r, const struct gen_opts *o);
/* VFP and Advanced SIMD (gen_fp.c). */
void gen_fp_snippet(struct snippet *s, struct rng *r, const struct gen_opts *o);
/* Operands for them in the arena's template. */
void gen_fp_template(uint8_t *template);

/* gen_layout.c. Code at address pc (a multiple of 4), with the jump to LAYOUT_DONE. Returns its bytes, a multiple of 4. If
 * pcs is not NULL it gets the address of each item. */
unsigned gen_layout(const struct snippet *s, uint32_t pc, uint8_t *out, uint32_t *pcs);

/* Why rows are left out, for the report. Calls fn for each. */
void gen_exclusions(void (*fn)(const char *name, const char *why));

#endif
