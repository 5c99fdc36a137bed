/*
 * flush.c — code memory comes back all at once, when every vCPU stands still
 *
 * Idea: dead blocks are left where they are. When code memory is full, safe work stops every vCPU and starts over.
 * Source: QEMU's tb_flush since 2016 (Fedorov's safe work, 3359baad36).
 *
 * Structs of single dead blocks are freed after a grace period (T4); their code bytes wait for the next flush.
 */
#include "engine/sync/rcu.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

static void free_struct(struct deferred *head)
{
    tb_release(container_of(head, struct tb, rcu));
}

static void retire(struct tb *tb)
{
    code_pool_forget(tb);
    rcu_defer(&tb->rcu, free_struct);
}

static void make_room(struct vcpu *v, struct code_pool *pool, size_t bytes)
{
    (void)pool, (void)bytes;
    tb_flush_now(v);
}

const struct tb_lifetime_ops tb_lifetime_flush = {
    .head = {.name = "flush",
             .summary = "when code memory is full, all vCPUs stop and everything is reset",
             .source = "QEMU tb_flush; Fedorov 2016",
             .needs = NEEDS_(QUIESCENCE) | NEEDS_(RCU)},
    .chunks_per_pool = 1,
    .retire = retire,
    .make_room = make_room,
};
