/*
 * timers.c — virtual time, the timer thread, and the device lock
 *
 * Armed timers form one list in order of deadlines, guarded by the device lock. A machine has a few
 * dozen timers and most are off, so a list is shorter than any heap.
 *
 * T1: a timer is in the list exactly while deadline_ns != UINT64_MAX.
 * T2: a timer leaves the list before its callback runs, so the callback may arm it again.
 * T3: one wake-up runs each timer at most once: a device that arms itself in the past over and over
 *     delays other users of the device lock, but does not keep them out.
 */
#include "machines/timers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "engine/sync/lock.h"

static struct mutex lock = MUTEX_INIT(RANK_DEVICE);

static struct dev_timer *armed; /* guarded by device lock; sorted */
static pthread_cond_t wake;     /* an earlier deadline, or stop */
static bool stopping;           /* guarded by device lock */
static bool running;            /* W: LAUNCH and timers_stop */
static pthread_t thread;

/* Host time of virtual time 0, set once by the first caller of virtual_now_ns. Any thread, relaxed:
 * nothing else is published with it. */
static _Atomic uint64_t origin_ns;
static _Atomic bool manual;            /* const after LAUNCH */
static _Atomic uint64_t manual_now_ns; /* W: the test's thread */

/* -- The device lock ----------------------------------------------------------------------------- */

void device_lock(void)
{
    mutex_lock(&lock);
}

void device_unlock(void)
{
    CHECK(mutex_held(&lock), "device lock released by a thread that does not hold it");
    mutex_unlock(&lock);
}

bool device_lock_held(void)
{
    return mutex_held(&lock);
}

/* -- Time ---------------------------------------------------------------------------------------- */

uint64_t virtual_now_ns(void)
{
    if (UNLIKELY(atomic_load_explicit(&manual, memory_order_relaxed)))
        return atomic_load_explicit(&manual_now_ns, memory_order_relaxed);

    uint64_t now = now_ns();
    uint64_t origin = atomic_load_explicit(&origin_ns, memory_order_relaxed);
    if (UNLIKELY(origin == 0)) {
        if (atomic_compare_exchange_strong_explicit(&origin_ns, &origin, now, memory_order_relaxed,
                                                    memory_order_relaxed))
            origin = now;
    }
    /* Two first callers may race; the loser's clock reading can be the earlier one. */
    return now > origin ? now - origin : 0;
}

/* -- The list ------------------------------------------------------------------------------------ */

void timer_init(struct dev_timer *t, void (*expired)(void *), void *opaque)
{
    *t = (struct dev_timer){.expired = expired, .opaque = opaque, .deadline_ns = UINT64_MAX};
}

static void unlink_locked(struct dev_timer *t)
{
    if (t->deadline_ns == UINT64_MAX)
        return;
    struct dev_timer **p = &armed;
    while (*p != t) {
        CHECK(*p, "armed timer is not in the list");
        p = &(*p)->next;
    }
    *p = t->next;
    t->next = NULL;
    t->deadline_ns = UINT64_MAX;
}

void timer_set(struct dev_timer *t, uint64_t deadline_ns)
{
    DCHECK(device_lock_held(), "timer_set without the device lock");
    if (t->deadline_ns == deadline_ns)
        return;
    unlink_locked(t);
    if (deadline_ns == UINT64_MAX)
        return;
    t->deadline_ns = deadline_ns;
    struct dev_timer **p = &armed;
    while (*p && (*p)->deadline_ns <= deadline_ns)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    if (armed == t && running)
        pthread_cond_signal(&wake);
}

/* Run what is due at now. New deadlines in the past wait for the next call (T3). */
static void run_due_locked(uint64_t now)
{
    /* Callbacks may disarm timers that are due as well, so they stay in the list until their turn. */
    unsigned n = 0;
    for (struct dev_timer *t = armed; t && t->deadline_ns <= now; t = t->next)
        n++;
    while (n-- && armed && armed->deadline_ns <= now) {
        struct dev_timer *t = armed;
        unlink_locked(t);
        t->expired(t->opaque);
    }
}

void timers_reset(void)
{
    DCHECK(device_lock_held(), "timers_reset without the device lock");
    while (armed)
        unlink_locked(armed);
}

/* -- The thread ---------------------------------------------------------------------------------- */

static void *timer_thread(void *unused)
{
    (void)unused;
    device_lock();
    while (!stopping) {
        if (!armed) {
            pthread_cond_wait(&wake, &lock.m);
            continue;
        }
        uint64_t now = virtual_now_ns();
        if (armed->deadline_ns > now) {
            /* Far deadlines are cut to an hour, so that the sum does not overflow. */
            uint64_t wait = armed->deadline_ns - now;
            if (wait > UINT64_C(3600000000000))
                wait = UINT64_C(3600000000000);
            uint64_t until = now_ns() + wait;
            struct timespec ts = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
            pthread_cond_timedwait(&wake, &lock.m, &ts);
            continue;
        }
        run_due_locked(now);
        /* Let others in: a mutex is not fair, and a timer may be due again at once. */
        device_unlock();
        device_lock();
    }
    device_unlock();
    return NULL;
}

bool timers_start(struct error *e)
{
    CHECK(!running, "timers_start twice");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &attr);
    pthread_condattr_destroy(&attr);

    (void)virtual_now_ns();
    device_lock();
    stopping = false;
    running = true;
    device_unlock();
    int err = pthread_create(&thread, NULL, timer_thread, NULL);
    if (err) {
        running = false;
        error_set(e, 1, "cannot start the timer thread: %s", strerror(err));
        return false;
    }
    pthread_setname_np(thread, "timers");
    return true;
}

void timers_stop(void)
{
    device_lock();
    bool was = running;
    stopping = true;
    if (was)
        pthread_cond_signal(&wake);
    device_unlock();
    if (!was)
        return;
    pthread_join(thread, NULL);
    device_lock();
    running = false;
    device_unlock();
    pthread_cond_destroy(&wake);
}

/* -- Manual time --------------------------------------------------------------------------------- */

void timers_manual(uint64_t start_ns)
{
    device_lock();
    timers_reset();
    atomic_store_explicit(&manual_now_ns, start_ns, memory_order_relaxed);
    atomic_store_explicit(&manual, true, memory_order_relaxed);
    device_unlock();
}

void timers_advance(uint64_t ns)
{
    uint64_t end = virtual_now_ns() + ns;
    device_lock();
    while (armed && armed->deadline_ns <= end) {
        uint64_t at = armed->deadline_ns;
        if (at > virtual_now_ns())
            atomic_store_explicit(&manual_now_ns, at, memory_order_relaxed);
        run_due_locked(virtual_now_ns());
    }
    atomic_store_explicit(&manual_now_ns, end, memory_order_relaxed);
    device_unlock();
}
