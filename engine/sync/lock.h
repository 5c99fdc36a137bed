/*
 * lock.h — mutexes and spin locks with ranks that are checked
 *
 * A thread's held ranks are a bit set in thread-local storage: taking a lock is one test and one or. That
 * is cheap enough to stay on in the build that is measured.
 */
#ifndef ENGINE_SYNC_LOCK_H
#define ENGINE_SYNC_LOCK_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/base/base.h"

enum lock_rank {
#define RANK(id, name, what) RANK_##id,
#include "engine/sync/ranks.def"
#undef RANK
};

extern _Thread_local uint32_t lock_ranks_held;
const char *lock_rank_name(enum lock_rank r);
NORETURN void lock_rank_failed(enum lock_rank r);

static inline void lock_rank_take(enum lock_rank r)
{
    if (UNLIKELY(lock_ranks_held >> r))
        lock_rank_failed(r);
    lock_ranks_held |= BIT(r);
}

static inline void lock_rank_drop(enum lock_rank r)
{
    lock_ranks_held &= ~BIT(r);
}

struct mutex {
    pthread_mutex_t m;
    enum lock_rank rank;
};

/* Most sections are shorter than going to sleep and coming back: glibc's adaptive kind spins a little before it sleeps. */
#define MUTEX_INIT(r)                                     \
 {                                                        \
  .m = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP, .rank = (r) \
 }

static inline void mutex_init(struct mutex *m, enum lock_rank rank)
{
    *m = (struct mutex)MUTEX_INIT(rank);
}

static inline void mutex_lock(struct mutex *m)
{
    lock_rank_take(m->rank);
    pthread_mutex_lock(&m->m);
}

static inline void mutex_unlock(struct mutex *m)
{
    pthread_mutex_unlock(&m->m);
    lock_rank_drop(m->rank);
}

static inline bool mutex_held(const struct mutex *m)
{
    return lock_ranks_held & BIT(m->rank);
}

/* A spin lock of 4 bytes, for short sections without system calls (one per block: a mutex would be 40). */
struct spin {
    _Atomic uint32_t locked;
};

static inline void spin_lock(struct spin *s, enum lock_rank rank)
{
    lock_rank_take(rank);
    /* Acquire pairs with the release in spin_unlock(). */
    while (atomic_exchange_explicit(&s->locked, 1, memory_order_acquire))
        while (atomic_load_explicit(&s->locked, memory_order_relaxed))
            __builtin_ia32_pause();
}

static inline void spin_unlock(struct spin *s, enum lock_rank rank)
{
    atomic_store_explicit(&s->locked, 0, memory_order_release); /* pairs with spin_lock() */
    lock_rank_drop(rank);
}

#endif
