/*
 * rcu.h — grace periods (liburcu, QSBR flavour) as the engine uses them
 *
 * A vCPU thread is in a read section from one announced quiescent state to the next. It announces one only
 * when a grace period begins (POLL_FLUSH in its poll word) and only at a safepoint, after dropping every pointer to a block
 * that it holds, so that the hot path pays nothing and a grace period costs each vCPU one pass of the loop.
 * Asleep (WFI, WFE) a vCPU is offline: nobody waits for it.
 */
#ifndef ENGINE_SYNC_RCU_H
#define ENGINE_SYNC_RCU_H

#include "engine/base/base.h"

struct vcpu;

/* Part of what is to be freed; own until fn is called. */
struct deferred {
    struct deferred *next;
    void (*fn)(struct deferred *head);
};

void rcu_engine_init(void); /* LAUNCH */
void rcu_engine_stop(void); /* after all vCPU threads ended: waits for outstanding callbacks */

/* Every thread that looks at blocks: vCPU threads, device threads, the main thread when it invalidates. */
void rcu_thread_enter(void);
void rcu_thread_exit(void);
void rcu_go_offline(void);
void rcu_go_online(void);

/* Own thread, SAFEPOINT, no pointer to a block held. */
void rcu_safepoint(struct vcpu *v);

/* Any registered thread, below RANK_RETIRED. fn(head) runs after a grace period, in a thread of its own, without locks. */
void rcu_defer(struct deferred *head, void (*fn)(struct deferred *head));

/* Registered, at a safepoint, no locks: wait until everything deferred before now has run. It is begun at once. */
void rcu_wait_deferred(void);

#endif
