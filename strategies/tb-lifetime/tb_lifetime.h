/*
 * tb_lifetime.h — the axis: when may the memory of a dead block be used again?
 */
#ifndef STRATEGIES_TB_LIFETIME_TB_LIFETIME_H
#define STRATEGIES_TB_LIFETIME_TB_LIFETIME_H

#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "strategies/strategy.h"

struct tb_lifetime_ops {
    struct strategy head;
    bool (*launch)(struct error *e);

    /* Into how many chunks a pool is cut. */
    unsigned chunks_per_pool;

    /* PAGES. tb is dead, unhooked and unchained. Frees the struct after a grace period; what becomes of its code memory
     * is the scheme's business. */
    void (*retire)(struct tb *tb);
    /* SAFEPOINT, no block held: pool could not give `bytes`. On return a retry may succeed. May flush, may sleep. */
    void (*make_room)(struct vcpu *v, struct code_pool *pool, size_t bytes);
    /* SAFEPOINT, no block held, after each translation: keep ahead of the need. May be NULL. */
    void (*ahead)(struct vcpu *v, struct code_pool *pool);
};

extern const struct tb_lifetime_ops *tb_lifetime; /* the chosen one; const after LAUNCH */

#endif
