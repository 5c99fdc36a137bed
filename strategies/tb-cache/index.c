/*
 * index.c — one lock-free index of blocks (liburcu's cds_lfht) and the pool of their code
 */
#include <urcu-qsbr.h> /* before rculfhash.h: it chooses the flavour */

#include <urcu/rculfhash.h>

#include "engine/base/annotate.h"
#include "strategies/tb-cache/index.h"

_Static_assert(sizeof(struct cds_lfht_node) == sizeof(((struct tb *)0)->cache_node), "the node lives in the block");

static struct cds_lfht_node *node_of(struct tb *tb)
{
    return (struct cds_lfht_node *)tb->cache_node;
}

static struct tb *tb_of(struct cds_lfht_node *n)
{
    return n ? container_of((void *)n, struct tb, cache_node) : NULL;
}

/* Who finds a node sees what its inserter wrote before (rculfhash.h: ordering guarantees of lookup and add). */
static int match_key(struct cds_lfht_node *n, const void *key)
{
    annotate_acquire(tb_of(n));
    return tb_key_eq(&tb_of(n)->key, key) && !tb_is_dead(tb_of(n));
}

static int match_block(struct cds_lfht_node *n, const void *other)
{
    const struct tb *a = tb_of(n), *b = other;
    annotate_acquire(a);
    return tb_key_eq(&a->key, &b->key) && a->canon_next == b->canon_next && !tb_is_dead(a);
}

bool tb_index_init(struct tb_index *x, unsigned bucket_bits, unsigned i, unsigned n, unsigned nchunks, struct error *e)
{
    code_pool_init(&x->pool, i, n, nchunks);
    x->table = cds_lfht_new(1ul << bucket_bits, 1ul << bucket_bits, 0, 0, NULL);
    if (!x->table)
        error_set(e, 1, "out of memory for an index of %lu blocks", 1ul << bucket_bits);
    return x->table;
}

void tb_index_free(struct tb_index *x)
{
    if (x->table)
        cds_lfht_destroy(x->table, NULL);
    x->table = NULL;
    code_pool_free(&x->pool);
}

struct tb *tb_index_find(const struct tb_index *x, const struct tb_key *key)
{
    struct cds_lfht_iter it;
    cds_lfht_lookup(x->table, tb_key_hash(key), match_key, key, &it);
    return tb_of(cds_lfht_iter_get_node(&it));
}

struct tb *tb_index_insert(struct tb_index *x, struct tb *tb)
{
    annotate_release(tb);
    return tb_of(cds_lfht_add_unique(x->table, tb_key_hash(&tb->key), match_block, tb, node_of(tb)));
}

void tb_index_remove(struct tb_index *x, struct tb *tb)
{
    cds_lfht_del(x->table, node_of(tb));
}

static struct tb_index *dropping; /* QUIESCED */

static void unindex(struct tb *tb)
{
    tb_index_remove(dropping, tb);
}

void tb_index_drop_all(struct tb_index *x, void (*dropped)(struct tb *tb))
{
    dropping = x;
    code_pool_each(&x->pool, unindex);
    code_pool_reset(&x->pool, dropped);
}
