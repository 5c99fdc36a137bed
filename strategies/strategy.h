/*
 * strategy.h — the head that all schemes share, and the axes
 *
 * A strategy acts in three places only: at launch, while a block is translated (it emits host code inline), and
 * in the slow path (C functions). Never through a pointer between two guest instructions. Every inline
 * sequence has a C twin, which the interpreter and all C callers use.
 *
 * Contexts in which hooks are called:
 *   LAUNCH     main thread, no vCPU thread exists; anything, may fail with an error
 *   XLATE      a vCPU's own thread, read section held, code span reserved; emit, no blocking
 *   READ       a vCPU's own thread, read section held, no locks; loads and own state
 *   GUEST      a vCPU's own thread, called from translated code or the interpreter, state saved; may raise
 *   SAFEPOINT  a vCPU's own thread, between blocks, no read section, no locks; may lock and sleep
 *   CHAIN      a vCPU's own thread, the destination's jmp lock held; atomics only
 *   PAGES      any thread, page lock(s) held in ascending order; no waiting for vCPUs
 *   QUIESCED   any thread, every other vCPU is outside translated code, read sections and twins until it returns
 *   FOREIGN    any thread, perhaps no vCPU, no locks but the device lock; atomics, short own locks, posting work
 */
#ifndef STRATEGIES_STRATEGY_H
#define STRATEGIES_STRATEGY_H

#include "engine/base/base.h"

struct param {
    const char *name, *unit, *help;
    uint64_t def, min, max;
    uint64_t *value; /* where the parsed value goes; const after LAUNCH */
};

/* What a scheme may claim; the conformance test holds it to this. */
#define GUARANTEES(X)                                                                   \
 X(ABA, "aba", "a store-exclusive fails after A->B->A by anyone")                       \
 X(PLAIN_STORES, "plain-stores", "sees plain stores of other vCPUs, of any value")      \
 X(DEVICE_STORES, "device-stores", "sees stores by devices")                            \
 X(ALIASES, "aliases", "sees stores through other mappings of the page")                \
 X(PROGRESS, "progress", "a bounded LDREX/STREX loop succeeds in the end on some vCPU") \
 X(WAKES_WFE, "wakes-wfe", "losing a reservation sets the event register")              \
 X(NO_STOP, "no-stop", "never stops other vCPUs")                                       \
 X(NO_HOT_COST, "no-hot-cost", "adds nothing to a pass of the execution loop")          \
 X(PARTIAL, "partial", "one block can die without the others")                          \
 X(SHARED, "shared", "a block translated by one vCPU serves all")                       \
 X(PARALLEL_GEN, "parallel-generation", "vCPUs translate at the same time")

/* What a scheme may need from engine and host. */
#define NEEDS(X)                                                                      \
 X(PAGE_EXCL, "page-exclusive", "store table entries that can be withheld (softmmu)") \
 X(QUIESCENCE, "quiescence", "safe work")                                             \
 X(CMPXCHG64, "cmpxchg64", "host compare-and-swap of 64 bits")                        \
 X(RCU, "rcu", "grace periods (liburcu)")                                             \
 X(FREE_SINGLE, "free-single-blocks", "a cache whose blocks can be removed one by one")

enum {
#define X(id, name, help) GIVES_BIT_##id,
    GUARANTEES(X)
#undef X
};
enum {
#define X(id, name, help) NEEDS_BIT_##id,
    NEEDS(X)
#undef X
};
#define GIVES(id)  BIT(GIVES_BIT_##id)
#define NEEDS_(id) BIT(NEEDS_BIT_##id)

struct strategy {
    const char *name, *summary, *source; /* as typed; one line for --help; paper or thread */
    uint32_t needs, gives;               /* NEEDS_(...), GIVES(...) */
    const struct param *params;          /* ends with name == NULL; may be NULL */
    bool unsound;                        /* refuses to start without --allow-unsound */
    bool busted;                         /* only for tests: conformance must fail it */
};

#endif
