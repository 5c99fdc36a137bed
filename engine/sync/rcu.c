/*
 * rcu.c — grace periods (liburcu, QSBR flavour) as the engine uses them
 *
 * One thread starts grace periods: it lets callbacks gather for BATCH_NS, unless somebody waits for them, asks every vCPU for one
 * quiescent state, and runs what was deferred before. liburcu's own call_rcu() would do, were it not that its thread starts
 * periods when it likes, up to 10 ms later, and does not say when: vCPUs would have to come back to the loop at each
 * polled entry all that time.
 *
 * C1  Nobody else starts a grace period while vCPUs run; so if the period's number is still that of before ours, ours has not begun.
 */
#include <urcu-qsbr.h> /* before the next one */

#include <urcu/static/urcu-qsbr.h>

#include "engine/sync/rcu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/annotate.h"
#include "engine/sync/sync.h"

#define BATCH_NS 1000000

/* ThreadSanitizer does not see into liburcu: say what a grace period orders. */
static char grace __attribute__((unused));
#define before_quiescent()   annotate_release(&grace)
#define after_grace_period() annotate_acquire(&grace)

static _Thread_local unsigned entered;

/* What waits for a grace period, and the thread that starts one for all of it. Guarded by lock. */
static struct mutex lock = MUTEX_INIT(RANK_RETIRED);
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;  /* something is queued, or somebody is in a hurry */
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER; /* done changed */
static struct deferred *first, **last = &first;
static uint64_t queued, done; /* callbacks */
static unsigned waiters;
static bool stopping;
static pthread_t thread;

/* The number of the grace period before the one that is being started; 0: none is. W: the thread; R: vCPUs at safepoints. */
static _Atomic unsigned long started_from;

static unsigned long period(void)
{
    return __atomic_load_n(&urcu_qsbr_gp.ctr, __ATOMIC_RELAXED);
}

/* -- The thread ----------------------------------------------------------------------------------------------------------- */

static void ask_vcpus(void)
{
    /* Not vcpu_kick(): who sleeps is offline, and nobody waits for it. Release pairs with the exchange in rcu_safepoint(). */
    for (unsigned i = 0; i < nvcpus; i++)
        atomic_fetch_or_explicit(&vcpus[i]->poll, POLL_FLUSH, memory_order_release);
}

static void wait_a_little(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += BATCH_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!waiters && !stopping)
        if (pthread_cond_timedwait(&work, &lock.m, &until))
            break;
}

static void *reclaim(void *unused)
{
    (void)unused;
    mutex_lock(&lock);
    for (;;) {
        while (!first && !stopping)
            pthread_cond_wait(&work, &lock.m);
        if (!first)
            break;
        wait_a_little();
        struct deferred *h = first;
        uint64_t upto = queued;
        first = NULL;
        last = &first;
        mutex_unlock(&lock);

        /* Relaxed: ordered by the release of the poll words. */
        atomic_store_explicit(&started_from, period(), memory_order_relaxed);
        ask_vcpus();
        urcu_qsbr_synchronize_rcu();
        atomic_store_explicit(&started_from, 0, memory_order_relaxed);
        after_grace_period();
        for (struct deferred *next; h; h = next) {
            next = h->next;
            h->fn(h);
        }

        mutex_lock(&lock);
        done = upto;
        pthread_cond_broadcast(&ended);
    }
    mutex_unlock(&lock);
    return NULL;
}

/* -- Threads -------------------------------------------------------------------------------------------------------------- */

void rcu_engine_init(void)
{
    rcu_thread_enter();
    /* The thread that launches then waits for the end of the run: online, it would hold up every grace period. */
    rcu_go_offline();
    stopping = false;
    int err = pthread_create(&thread, NULL, reclaim, NULL);
    CHECK(!err, "cannot start the thread of grace periods: %s", strerror(err));
    pthread_setname_np(thread, "reclaim");
}

void rcu_engine_stop(void)
{
    rcu_wait_deferred();
    mutex_lock(&lock);
    stopping = true;
    pthread_cond_signal(&work);
    mutex_unlock(&lock);
    pthread_join(thread, NULL);
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
    /* Acquire pairs with ask_vcpus(): who takes the bit down sees for which grace period it was put up. */
    atomic_fetch_and_explicit(&v->poll, ~(uint32_t)POLL_FLUSH, memory_order_acquire);
    unsigned long now = period();
    before_quiescent();
    urcu_qsbr_quiescent_state();
    /* The period that we are asked for has not begun (it will in a moment: the thread asks right before): this one was too early. */
    if (atomic_load_explicit(&started_from, memory_order_relaxed) == now)
        atomic_fetch_or_explicit(&v->poll, POLL_FLUSH, memory_order_relaxed);
}

/* -- Deferring ------------------------------------------------------------------------------------------------------------ */

void rcu_defer(struct deferred *head, void (*fn)(struct deferred *head))
{
    head->fn = fn;
    before_quiescent();
    mutex_lock(&lock);
    head->next = NULL;
    *last = head;
    last = &head->next;
    if (queued++ == done)
        pthread_cond_signal(&work);
    mutex_unlock(&lock);
}

void rcu_wait_deferred(void)
{
    struct vcpu *v = current_vcpu;
    /* Who wants quiescence waits, online, for us; the grace period waits for whoever is online. So we must not be waited for. */
    if (v)
        sync_wait_begin(v);
    rcu_go_offline();
    mutex_lock(&lock);
    uint64_t mine = queued;
    waiters++;
    pthread_cond_signal(&work);
    while (done < mine)
        pthread_cond_wait(&ended, &lock.m);
    waiters--;
    mutex_unlock(&lock);
    rcu_go_online();
    if (v)
        sync_wait_end(v);
}
