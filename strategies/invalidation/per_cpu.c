/*
 * per_cpu.c — invalidation by a flag in each vCPU
 *
 * Idea: a flush raises a flag in every vCPU. The loop looks at its own before the search (then the exit it came out of is
 * gone) and once more after it (the search itself may have flushed).
 * Source: Fedorov, "reworking tb_invalidated_flag", qemu-devel 2016-03-30, second approach; QEMU 6f789be56d.
 *
 * P1  The flag is raised only QUIESCED, so it cannot change between a safepoint and the next one; the test after the search
 *     and the patch that follows it are one such stretch.
 * Cost: two tests of a line that is the vCPU's own.
 */
#include "engine/exec/loop.h"
#include "strategies/invalidation/invalidation.h"

/* W: QUIESCED (raise), owner (clear). */
struct flag {
    _Atomic bool flushed;
} CACHE_ALIGNED;
_Static_assert(sizeof(struct flag) == CACHE_LINE, "one line a vCPU");

static struct flag flags[MAX_VCPUS];

static inline void before_find(struct vcpu *v, struct exec_state *x)
{
    struct flag *f = &flags[v->index];
    if (UNLIKELY(atomic_load_explicit(&f->flushed, memory_order_relaxed))) {
        x->last = NULL;
        atomic_store_explicit(&f->flushed, false, memory_order_relaxed);
    }
}

static inline bool may_chain(struct vcpu *v, struct exec_state *x)
{
    (void)x;
    return !atomic_load_explicit(&flags[v->index].flushed, memory_order_relaxed);
}

static bool loop(struct vcpu *v)
{
    return exec_loop(v, before_find, may_chain, NULL);
}

static void cpu_exec(struct vcpu *v)
{
    exec_run(v, loop);
}

static void flush(void (*for_each)(void (*fn)(struct tb *tb)))
{
    (void)for_each;
    for (unsigned i = 0; i < nvcpus; i++)
        atomic_store_explicit(&flags[i].flushed, true, memory_order_relaxed); /* P1 */
}

const struct invalidation_ops invalidation_per_cpu = {
    .head = {.name = "per-cpu",
             .summary = "a flag in each vCPU, raised for all of them by a flush",
             .source = "Fedorov 2016, approach 2",
             .needs = NEEDS_(QUIESCENCE),
             .gives = GIVES(PARTIAL)},
    .cpu_exec = cpu_exec,
    .cpu_exec_bounded = exec_bounded,
    .retire = tb_retire,
    .flush = flush,
};
