/*
 * tb_cache.h — the axis: who owns translations, where do they go, and how is the next one found?
 */
#ifndef STRATEGIES_TB_CACHE_TB_CACHE_H
#define STRATEGIES_TB_CACHE_TB_CACHE_H

#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "strategies/strategy.h"

struct tb_cache_ops {
    struct strategy head;
    bool (*launch)(unsigned chunks_per_pool, struct error *e);
    bool (*vcpu_init)(struct vcpu *v, struct error *e);
    void (*shutdown)(void);

    /* READ. NULL: not translated yet. */
    struct tb *(*find)(struct vcpu *v, const struct tb_key *key);

    /* PAGES, XLATE begins: serialise as the scheme does, and say whose pool the code goes to. May wait for another vCPU's
     * generate_end, which waits for nobody. The guest's code has been read before, in parallel. */
    struct code_pool *(*generate_begin)(struct vcpu *v);
    void (*generate_end)(struct vcpu *v);

    /* PAGES. Publish tb; returns the block that is in the index afterwards: tb, or an equal one that was there first. */
    struct tb *(*insert)(struct vcpu *v, const struct pages_locked *w, struct tb *tb);
    /* PAGES. */
    void (*remove)(const struct pages_locked *w, struct tb *tb);

    /* QUIESCED: forget all blocks and reset all pools, in time that grows with the living blocks alone. Each is given to
     * dropped, which frees it after a grace period. */
    void (*drop_all)(void (*dropped)(struct tb *tb));
    /* Pools, for walks, statistics and the lifetime scheme: NULL when i is past the last. Every published block is in one. */
    struct code_pool *(*pool)(unsigned i);
};

extern const struct tb_cache_ops *tb_cache; /* the chosen one; const after LAUNCH */

#endif
