/*
 * per_tb.c — invalidation by a mark in each block
 *
 * Idea: each block says itself whether it is dead. The loop asks the block that it came out of, and only when it is
 * about to patch it: a pass that patches nothing pays nothing. A flush marks every block.
 * Source: Fedorov, "reworking tb_invalidated_flag", qemu-devel 2016-03-30, third approach; QEMU 6d21e4208f.
 *
 * B1  The struct of a dead block stays readable until every vCPU has dropped its pointers (T4 in tb.h), so the mark can be
 *     read from the loop without a lock.
 * B2  A flush marks QUIESCED: no vCPU is between the test and the patch.
 * Cost: none per pass; a flush is O(blocks).
 */
#include "engine/exec/loop.h"
#include "strategies/invalidation/invalidation.h"

static inline bool may_chain(struct vcpu *v, struct exec_state *x)
{
    (void)v;
    return !tb_is_dead(x->last->from); /* B1 */
}

static bool loop(struct vcpu *v)
{
    return exec_loop(v, NULL, may_chain, NULL);
}

static void cpu_exec(struct vcpu *v)
{
    exec_run(v, loop);
}

static void mark(struct tb *tb)
{
    atomic_store_explicit(&tb->dead, true, memory_order_relaxed); /* B2 */
}

static void flush(void (*for_each)(void (*fn)(struct tb *tb)))
{
    for_each(mark);
}

const struct invalidation_ops invalidation_per_tb = {
    .head = {.name = "per-tb",
             .summary = "a mark in each block; nothing on the hot path, a flush marks them all",
             .source = "Fedorov 2016, approach 3",
             .needs = NEEDS_(QUIESCENCE),
             .gives = GIVES(PARTIAL) | GIVES(NO_HOT_COST)},
    .cpu_exec = cpu_exec,
    .cpu_exec_bounded = exec_bounded,
    .retire = tb_retire,
    .flush = flush,
};
