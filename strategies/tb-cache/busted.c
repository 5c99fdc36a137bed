/*
 * busted.c — an index that removals do not reach: dead blocks are found again: for tests
 *
 * And each vCPU has its own while the scheme says that blocks are shared and made in parallel, which they are not either.
 */
#include "strategies/tb-cache/tb_cache.h"

#define SLOTS (1u << 14)

/* guarded by generate; read without, which may see half an entry: the key is compared again in the block's own words */
static struct {
    struct tb_key key;
    struct tb *tb;
} slots[MAX_VCPUS][SLOTS];
static struct code_pool pool_all;
static struct mutex generate = MUTEX_INIT(RANK_GENERATE);

static bool launch(unsigned chunks_per_pool, struct error *e)
{
    (void)e;
    code_pool_init(&pool_all, 0, 1, chunks_per_pool);
    return true;
}

static void drop_all(void (*dropped)(struct tb *tb))
{
    memset(slots, 0, sizeof slots);
    code_pool_reset(&pool_all, dropped);
}

static void shutdown(void)
{
    memset(slots, 0, sizeof slots);
    code_pool_free(&pool_all);
}

static struct tb *find(struct vcpu *v, const struct tb_key *key)
{
    unsigned i = tb_key_hash(key) % SLOTS;
    return slots[v->index][i].tb && tb_key_eq(&slots[v->index][i].key, key) ? slots[v->index][i].tb : NULL;
}

static struct code_pool *generate_begin(struct vcpu *v)
{
    (void)v;
    mutex_lock(&generate);
    return &pool_all;
}

static void generate_end(struct vcpu *v)
{
    (void)v;
    mutex_unlock(&generate);
}

static struct tb *insert(struct vcpu *v, const struct pages_locked *w, struct tb *tb)
{
    (void)w;
    unsigned i = tb_key_hash(&tb->key) % SLOTS;
    slots[v->index][i].key = tb->key;
    slots[v->index][i].tb = tb;
    return tb;
}

static void remove_block(const struct pages_locked *w, struct tb *tb)
{
    (void)w, (void)tb;
}

static struct code_pool *pool(unsigned i)
{
    return i == 0 ? &pool_all : NULL;
}

const struct tb_cache_ops tb_cache_busted = {
    .head = {.name = "busted",
             .summary = "wrong: blocks that died are found again",
             .source = "",
             .needs = NEEDS_(RCU),
             .gives = GIVES(SHARED) | GIVES(PARALLEL_GEN),
             .busted = true},
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
