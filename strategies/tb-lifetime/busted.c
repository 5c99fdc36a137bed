/*
 * busted.c — dead blocks are freed at once, whoever may still look at them: for tests
 */
#include "strategies/tb-lifetime/tb_lifetime.h"

static void retire(struct tb *tb)
{
    code_pool_forget(tb);
    tb_release(tb);
}

static void make_room(struct vcpu *v, struct code_pool *pool, size_t bytes)
{
    (void)pool, (void)bytes;
    tb_flush_now(v);
}

const struct tb_lifetime_ops tb_lifetime_busted = {
    .head = {.name = "busted",
             .summary = "wrong: no grace period",
             .source = "",
             .needs = NEEDS_(QUIESCENCE),
             .gives = GIVES(NO_STOP),
             .busted = true},
    .chunks_per_pool = 1,
    .retire = retire,
    .make_room = make_room,
};
