/*
 * index.h — one lock-free index of blocks (liburcu's cds_lfht) and the pool of their code, for the schemes to own one or many
 *
 * Look-ups run in the caller's read section. The table does not resize: a resize waits for grace periods in a thread of
 * liburcu's own, and vCPUs announce quiescent states only when the engine asks (sync/rcu.h).
 */
#ifndef STRATEGIES_TB_CACHE_INDEX_H
#define STRATEGIES_TB_CACHE_INDEX_H

#include "engine/tb/code.h"
#include "engine/tb/tb.h"

struct cds_lfht;
struct tb_index {
    struct cds_lfht *table;
    struct code_pool pool;
};

/* LAUNCH. The pool is share i of n of code memory. */
bool tb_index_init(struct tb_index *x, unsigned bucket_bits, unsigned i, unsigned n, unsigned nchunks, struct error *e);
void tb_index_free(struct tb_index *x);
struct tb *tb_index_find(const struct tb_index *x, const struct tb_key *key);
/* Returns tb, or the equal block that was there first. */
struct tb *tb_index_insert(struct tb_index *x, struct tb *tb);
void tb_index_remove(struct tb_index *x, struct tb *tb);
/* QUIESCED: all blocks leave the index and then their pool, and are dropped's. */
void tb_index_drop_all(struct tb_index *x, void (*dropped)(struct tb *tb));

#endif
