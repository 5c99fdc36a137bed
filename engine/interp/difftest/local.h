/*
 * local.h — running snippets in this process: decoder, IR, and the interpreter or the JIT
 */
#ifndef ENGINE_INTERP_DIFFTEST_LOCAL_H
#define ENGINE_INTERP_DIFFTEST_LOCAL_H

#include "engine/interp/difftest/reference.h"

enum local_engine { LOCAL_INTERP, LOCAL_JIT };

/* jit: that engine will be used too. faults: parts of the arena cannot be written, or read. */
bool local_init(bool jit, bool faults, struct error *e);
/* The batch's code and template become guest memory. */
void local_load(const struct batch *im);
/* Run snippet i of the loaded batch. split: seed of the block sizes. False: it did not come out at LAYOUT_DONE; why
 * says what happened instead, with the state of the exception if it was one. */
bool local_run(const struct batch *im, unsigned i, enum local_engine engine, uint64_t split, struct outcome *out,
               char why[160]);

/* The same, printing each block's IR (and host code) to standard error on the way. */
extern bool local_verbose;

/* The IR of the block that was translated last. */
void local_print_ir(void);

#endif
