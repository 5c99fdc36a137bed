/*
 * rcu.c — grace periods (liburcu, QSBR flavour) as the engine uses them
 */
#include <urcu-qsbr.h> /* before rcu.h: it chooses the flavour of <urcu/call-rcu.h> */

#include "engine/sync/rcu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/annotate.h"
#include "engine/sync/sync.h"

/* ThreadSanitizer does not see into liburcu: say what a grace period orders. */
static char grace __attribute__((unused));
#define before_quiescent() annotate_release(&grace)
#define after_grace_period() annotate_acquire(&grace)

/* Callbacks that have not run. W: rcu_defer() and the callbacks, atomic; R: vCPUs at safepoints. */
static _Atomic uint64_t outstanding;
static _Thread_local unsigned entered;

struct deferred {
    struct rcu_head head;
    struct rcu_head *user;
    void (*fn)(struct rcu_head *head);
};

void rcu_engine_init(void)
{
    rcu_thread_enter();
    /* The thread that launches then waits for the end of the run: online, it would hold up every grace period. */
    rcu_go_offline();
}

void rcu_engine_stop(void)
{
    rcu_wait_deferred();
    rcu_thread_exit();
}

void rcu_thread_enter(void)
{
    if (entered++ == 0)
        urcu_qsbr_register_thread();
}

void rcu_thread_exit(void)
{
    before_quiescent();
    if (--entered == 0)
        urcu_qsbr_unregister_thread();
}

void rcu_go_offline(void)
{
    before_quiescent();
    urcu_qsbr_thread_offline();
}

void rcu_go_online(void)
{
    urcu_qsbr_thread_online();
}

void rcu_safepoint(struct vcpu *v)
{
    /* Clear first: a deferral that comes after the load below sets the bit again. */
    atomic_fetch_and_explicit(&v->poll, ~(uint32_t)POLL_FLUSH, memory_order_relaxed);
    before_quiescent();
    urcu_qsbr_quiescent_state();
    /* Relaxed: a count seen too high costs one more pass. */
    if (atomic_load_explicit(&outstanding, memory_order_relaxed))
        atomic_fetch_or_explicit(&v->poll, POLL_FLUSH, memory_order_relaxed);
}

static void run_deferred(struct rcu_head *head)
{
    struct deferred *d = caa_container_of(head, struct deferred, head);
    after_grace_period();
    d->fn(d->user);
    free(d);
    atomic_fetch_sub_explicit(&outstanding, 1, memory_order_relaxed);
}

void rcu_defer(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
    struct deferred *d = malloc(sizeof *d);
    CHECK(d, "out of memory");
    d->user = head;
    d->fn = fn;
    before_quiescent();
    atomic_fetch_add_explicit(&outstanding, 1, memory_order_relaxed);
    call_rcu(&d->head, run_deferred);
    vcpu_kick_all(POLL_FLUSH);
}

void rcu_wait_deferred(void)
{
    struct vcpu *v = current_vcpu;
    /* Who wants quiescence waits, online, for us; the grace period waits for whoever is online. So we must not be waited for. */
    if (v)
        sync_wait_begin(v);
    rcu_go_offline(); /* we wait in the callbacks' thread's stead: do not hold it up */
    rcu_barrier();
    rcu_go_online();
    if (v)
        sync_wait_end(v);
}
