/*
 * random_testlib.h — random well-formed blocks, for fuzzing whoever consumes IR
 */
#ifndef ENGINE_IR_RANDOM_TESTLIB_H
#define ENGINE_IR_RANDOM_TESTLIB_H

#include "engine/base/rng.h"
#include "engine/ir/ir.h"

struct ir_random_opts {
    unsigned max_ops;               /* about how many ops */
    uint32_t base, mask;            /* addresses of accesses: base + (random & mask); mask 0: no accesses */
    bool calls;                     /* helpers, any */
    bool ends_any;                  /* exit_ind, exit_loop.. as well as exit */
    unsigned env_offset, env_words; /* ld_env/st_env use these words; 0: none */
};

/* A block as no builder would make it: nothing folded, flags masks at random. It verifies. */
void ir_random_block(struct ir_block *b, struct rng *r, const struct ir_random_opts *o);

/* The same block through the builder's folding. */
void ir_rebuild(struct ir_block *out, const struct ir_block *in);

#endif
