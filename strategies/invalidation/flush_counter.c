/*
 * flush_counter.c — invalidation by a global count of flushes
 *
 * Idea: the loop remembers how many flushes there had been when it found the block that it then ran. If there has been
 * one since, the exit it came out of belongs to no living block and must not be patched.
 * Source: Fedorov, "reworking tb_invalidated_flag", qemu-devel 2016-03-30, first approach.
 *
 * F1  flushes changes only QUIESCED, so between two safepoints of a vCPU it is stable, and a value captured after the search for a
 *     block is the value under which the block was found.
 * Cost: one load of a shared line per pass (read-mostly: it stays in every core's cache until a flush).
 * A merely invalidated block is not noticed: patching one is harmless, the links rules (T3) refuse it.
 */
#include "engine/exec/loop.h"
#include "strategies/invalidation/invalidation.h"

/* W: QUIESCED. R: every vCPU's loop, relaxed; ordered by the safepoint that it passed to come back. */
static _Atomic uint64_t flushes CACHE_ALIGNED;

static inline bool may_chain(struct vcpu *v, struct exec_state *x)
{
    (void)v;
    return x->token == atomic_load_explicit(&flushes, memory_order_relaxed);
}

/* The capture, after the search: its own function so that the load is seen to happen once a pass. */
static inline void found(struct vcpu *v, struct exec_state *x)
{
    (void)v;
    x->token = atomic_load_explicit(&flushes, memory_order_relaxed);
}

static bool loop(struct vcpu *v)
{
    return exec_loop(v, NULL, may_chain, found);
}

static void cpu_exec(struct vcpu *v)
{
    exec_run(v, loop);
}

static void flush(void (*for_each)(void (*fn)(struct tb *tb)))
{
    (void)for_each;
    atomic_fetch_add_explicit(&flushes, 1, memory_order_relaxed); /* F1 */
}

const struct invalidation_ops invalidation_flush_counter = {
    .head = {.name = "flush-counter",
             .summary = "a global count of flushes, compared on every pass of the loop",
             .source = "Fedorov 2016, approach 1",
             .needs = NEEDS_(QUIESCENCE),
             .gives = GIVES(PARTIAL)},
    .cpu_exec = cpu_exec,
    .cpu_exec_bounded = exec_bounded,
    .retire = tb_retire,
    .flush = flush,
};
