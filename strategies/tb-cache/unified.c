/*
 * unified.c — one pool and one index for all vCPUs; one block is generated at a time
 *
 * Idea: what one vCPU has translated serves all. Look-ups are lock-free, and guest code is read in parallel; making host code in
 * the one pool is serialised by one mutex, as QEMU's tb_lock did, for whole translations, until 2018.
 * Source: PQEMU's unified code cache (Ding et al., ICPADS 2011); Konrad's MTTCG v6, 2015.
 *
 * U1  generate is taken under the page locks of the block and never held while waiting for another page lock or for vCPUs, so a
 *     vCPU that waits for it waits for the code of one block, bounded.
 */
#include "strategies/tb-cache/index.h"
#include "strategies/tb-cache/tb_cache.h"

static struct tb_index blocks;
static struct mutex generate = MUTEX_INIT(RANK_GENERATE);

static bool launch(unsigned chunks_per_pool, struct error *e)
{
    return tb_index_init(&blocks, 16, 0, 1, chunks_per_pool, e);
}

static void shutdown(void)
{
    tb_index_free(&blocks);
}

static struct tb *find(struct vcpu *v, const struct tb_key *key)
{
    (void)v;
    return tb_index_find(&blocks, key);
}

static struct code_pool *generate_begin(struct vcpu *v)
{
    (void)v;
    mutex_lock(&generate); /* U1 */
    return &blocks.pool;
}

static void generate_end(struct vcpu *v)
{
    (void)v;
    mutex_unlock(&generate);
}

static struct tb *insert(struct vcpu *v, const struct pages_locked *w, struct tb *tb)
{
    (void)v, (void)w;
    return tb_index_insert(&blocks, tb);
}

static void remove_block(const struct pages_locked *w, struct tb *tb)
{
    (void)w;
    tb_index_remove(&blocks, tb);
}

static void drop_all(void (*dropped)(struct tb *tb))
{
    tb_index_drop_all(&blocks, dropped);
}

static struct code_pool *pool(unsigned i)
{
    return i == 0 ? &blocks.pool : NULL;
}

const struct tb_cache_ops tb_cache_unified = {
    .head = {.name = "unified",
             .summary = "one pool and one index for all; generation serialised by a lock",
             .source = "PQEMU, ICPADS 2011; Konrad 2015",
             .needs = NEEDS_(RCU),
             .gives = GIVES(SHARED)},
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
