/*
 * interp.h — runs IR in C: the oracle of the JIT, and what the sanitizers can see
 */
#ifndef ENGINE_INTERP_INTERP_H
#define ENGINE_INTERP_INTERP_H

#include "engine/ir/ir.h"
#include "engine/vcpu/vcpu.h"

struct atomics_ops;

/* What happened at the end of a block. */
struct interp_end {
    int exit;  /* index in order of the static exits (EXIT, EXIT_IF*: counted in the order of the block), or -1 */
    bool loop; /* exit_loop: key state may have changed */
};

/* Run one block with state in v; on return v->r[15] holds the next pc | T. Faults and helpers leave by
 * vcpu_leave(). Memory accesses use the flat tables and the slow paths of mem/, atomically for aligned sizes (relaxed);
 * exclusives go to the atomics scheme's twins. */
struct interp_end interp_run(struct vcpu *v, const struct ir_block *b, const struct atomics_ops *atomics);

#endif
