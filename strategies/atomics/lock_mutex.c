/*
 * lock_mutex.c — one global lock around exclusives, a mutex that sleeps
 */
#include "engine/sync/lock.h"

static struct mutex global = MUTEX_INIT(RANK_MONITOR);

static void lock_all(void)
{
    mutex_lock(&global);
}

static void unlock_all(void)
{
    mutex_unlock(&global);
}

#define SYMBOL  atomics_lock_mutex
#define NAME    "lock-mutex"
#define SUMMARY "one global mutex around exclusives, compare-and-swap under it; open to ABA"
#include "strategies/atomics/global_lock.h"
