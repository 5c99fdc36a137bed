/*
 * invalidation.h — the axis: how does a vCPU learn that a block it found, linked or runs has died?
 *
 * Two questions (Fedorov, qemu-devel 2016-03-30): may the block that just ran be patched to jump to the one found
 * now, although the search for it may have translated, and translating may have flushed everything? And is a found block
 * still alive? Each scheme's file instantiates the execution loop (engine/exec/loop.h) over its own small inline
 * functions, so that what it costs per pass is in the machine code of its loop and nothing else is.
 */
#ifndef STRATEGIES_INVALIDATION_INVALIDATION_H
#define STRATEGIES_INVALIDATION_INVALIDATION_H

#include "engine/tb/tb.h"
#include "strategies/strategy.h"

struct invalidation_ops {
    struct strategy head;
    bool (*launch)(struct error *e);
    bool (*vcpu_init)(struct vcpu *v, struct error *e);

    /* SAFEPOINT at entry. The specialised loop: runs guest code until the machine ends. */
    void (*cpu_exec)(struct vcpu *v);
    /* The same loop for exactly n guest instructions (single step, icount), n > 0, by bounded throw-away blocks.
     * Returns the number run (fewer if the vCPU went to sleep or the machine ends). */
    uint64_t (*cpu_exec_bounded)(struct vcpu *v, uint64_t n);

    /* PAGES: one block dies. Composes tb_mark_dead / tb_unhook / tb_unchain / tb_free_later. */
    void (*retire)(const struct pages_locked *w, struct tb *tb);
    /* QUIESCED: everything dies. for_each visits all living blocks of the cache. */
    void (*flush)(void (*for_each)(void (*fn)(struct tb *tb)));
};

extern const struct invalidation_ops *invalidation; /* the chosen one; const after LAUNCH */

#endif
