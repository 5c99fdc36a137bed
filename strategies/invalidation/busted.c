/*
 * busted.c — never notices a flush: the exit of a block that is gone is patched all the same: for tests
 */
#include "engine/exec/loop.h"
#include "strategies/invalidation/invalidation.h"

static inline bool may_chain(struct vcpu *v, struct exec_state *x)
{
    (void)v, (void)x;
    return true;
}

static bool loop(struct vcpu *v)
{
    return exec_loop(v, NULL, may_chain, NULL);
}

static void cpu_exec(struct vcpu *v)
{
    exec_run(v, loop);
}

static void flush(void (*for_each)(void (*fn)(struct tb *tb)))
{
    (void)for_each;
}

const struct invalidation_ops invalidation_busted = {
    .head = {.name = "busted",
             .summary = "wrong: a flush goes unnoticed",
             .source = "",
             .needs = NEEDS_(QUIESCENCE),
             .gives = GIVES(PARTIAL) | GIVES(NO_HOT_COST),
             .busted = true},
    .cpu_exec = cpu_exec,
    .cpu_exec_bounded = exec_bounded,
    .retire = tb_retire,
    .flush = flush,
};
