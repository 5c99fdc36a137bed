/*
 * rcu.c — code memory comes back chunk by chunk, after a grace period; no vCPU stops
 *
 * Idea: a pool is a ring of chunks filled in turn. Before the last free one is used up, the blocks of the oldest full chunk are
 * killed one by one like any invalidated block, and when every vCPU has since passed a safepoint the chunk is free again.
 * Source: DynamoRIO's two-step deletion (Bruening et al., CGO 2006), with liburcu's grace periods.
 *
 * R1  A chunk is handed to rcu_defer() only when its block list is empty: no new jump leads into it (T2), and whoever is still
 *     inside leaves before its next safepoint.
 * R2  A vCPU that finds no free chunk waits for the grace period at a safepoint, offline, holding nothing: it holds up nobody,
 *     and the others run on. It loses its own pointers to blocks by that, and says so (exec_blocks_lost).
 */
#include <stdlib.h>

#include "engine/exec/exec.h"
#include "engine/sync/rcu.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

#define CHUNKS 16
#define SPARE  2 /* free chunks to keep ahead */

struct returned {
    struct deferred rcu;
    struct code_chunk *chunk;
};

static void free_struct(struct deferred *head)
{
    tb_release(container_of(head, struct tb, rcu));
}

static void retire(struct tb *tb)
{
    code_pool_forget(tb);
    rcu_defer(&tb->rcu, free_struct);
}

/* -- Chunks ---------------------------------------------------------------------------------------------------------------- */

static void chunk_free(struct deferred *head)
{
    struct returned *r = container_of(head, struct returned, rcu);
    mutex_lock(&r->chunk->pool->lock);
    r->chunk->state = CHUNK_FREE;
    r->chunk->fill = 0;
    mutex_unlock(&r->chunk->pool->lock);
    free(r);
}

/* Take the oldest full chunk out of use; NULL: there is none. */
static struct code_chunk *claim_oldest(struct code_pool *p, unsigned *nfree)
{
    struct code_chunk *oldest = NULL;
    mutex_lock(&p->lock);
    *nfree = 0;
    for (unsigned i = 0; i < p->nchunks; i++) {
        struct code_chunk *c = &p->chunk[i];
        *nfree += c->state == CHUNK_FREE || c->state == CHUNK_RETIRING;
        if (c->state == CHUNK_FULL && (!oldest || c->serial < oldest->serial))
            oldest = c;
    }
    if (oldest && *nfree < SPARE)
        oldest->state = CHUNK_RETIRING;
    else
        oldest = NULL;
    mutex_unlock(&p->lock);
    return oldest;
}

static void retire_chunk(struct code_chunk *c)
{
    for (;;) {
        mutex_lock(&c->pool->lock);
        struct tb *tb = c->blocks; /* stays readable: this thread is in a read section */
        mutex_unlock(&c->pool->lock);
        if (!tb)
            break;
        tb_invalidate_unlocked(tb);
        code_pool_forget(tb); /* if another thread killed it but has not come to that yet */
    }
    struct returned *r = malloc(sizeof *r);
    CHECK(r, "out of memory");
    r->chunk = c;
    rcu_defer(&r->rcu, chunk_free); /* R1 */
}

static void ahead(struct vcpu *v, struct code_pool *p)
{
    (void)v;
    unsigned nfree;
    struct code_chunk *c = claim_oldest(p, &nfree);
    if (c)
        retire_chunk(c);
}

static void make_room(struct vcpu *v, struct code_pool *p, size_t bytes)
{
    (void)bytes;
    ahead(v, p);
    exec_blocks_lost(v); /* R2 */
    rcu_wait_deferred();
}

const struct tb_lifetime_ops tb_lifetime_rcu = {
    .head = {.name = "rcu",
             .summary = "the oldest blocks retire one by one and come back after a grace period",
             .source = "Bruening et al., CGO 2006; liburcu",
             .needs = NEEDS_(RCU) | NEEDS_(FREE_SINGLE),
             .gives = GIVES(NO_STOP)},
    .chunks_per_pool = CHUNKS,
    .retire = retire,
    .make_room = make_room,
    .ahead = ahead,
};
