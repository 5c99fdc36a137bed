/*
 * per_cpu.c — a pool and an index for each vCPU
 *
 * Idea: no vCPU ever waits for another one to translate, and none runs another's code; the price is that shared guest code is
 * translated, and kept, once a vCPU, and that a store to code must visit the blocks of all of them.
 * Source: PQEMU's separate code caches (Ding et al., ICPADS 2011); COREMU (Wang et al., PPoPP 2011).
 *
 * V1  Only the owner inserts into its index; any thread may remove, under the page locks of the block. The frame lists of
 *     tb/page.c hold the blocks of all vCPUs, so a store finds them in one place.
 * V2  Blocks are linked only to blocks of the same owner, since a search returns no others.
 */
#include "strategies/tb-cache/index.h"
#include "strategies/tb-cache/tb_cache.h"

static struct {
    struct tb_index blocks;
} CACHE_ALIGNED caches[MAX_VCPUS];

static bool launch(unsigned chunks_per_pool, struct error *e)
{
    for (unsigned i = 0; i < nvcpus; i++)
        if (!tb_index_init(&caches[i].blocks, 14, i, nvcpus, chunks_per_pool, e))
            return false;
    return true;
}

static void shutdown(void)
{
    for (unsigned i = 0; i < nvcpus; i++)
        tb_index_free(&caches[i].blocks);
}

static struct tb *find(struct vcpu *v, const struct tb_key *key)
{
    return tb_index_find(&caches[v->index].blocks, key);
}

static struct code_pool *generate_begin(struct vcpu *v)
{
    return &caches[v->index].blocks.pool;
}

static void generate_end(struct vcpu *v)
{
    (void)v;
}

static struct tb *insert(struct vcpu *v, const struct pages_locked *w, struct tb *tb)
{
    (void)w;
    return tb_index_insert(&caches[v->index].blocks, tb); /* V1 */
}

static void remove_block(const struct pages_locked *w, struct tb *tb)
{
    (void)w;
    tb_index_remove(&caches[tb->owner].blocks, tb);
}

static void drop_all(void (*dropped)(struct tb *tb))
{
    for (unsigned i = 0; i < nvcpus; i++)
        tb_index_drop_all(&caches[i].blocks, dropped);
}

static struct code_pool *pool(unsigned i)
{
    return i < nvcpus ? &caches[i].blocks.pool : NULL;
}

const struct tb_cache_ops tb_cache_per_cpu = {
    .head = {.name = "per-cpu",
             .summary = "a pool and an index a vCPU; no lock, but shared code is translated by each",
             .source = "PQEMU, ICPADS 2011; COREMU, PPoPP 2011",
             .needs = NEEDS_(RCU),
             .gives = GIVES(PARALLEL_GEN)},
    .launch = launch,
    .shutdown = shutdown,
    .find = find,
    .generate_begin = generate_begin,
    .generate_end = generate_end,
    .insert = insert,
    .remove = remove_block,
    .drop_all = drop_all,
    .pool = pool,
};
