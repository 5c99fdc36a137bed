/*
 * lock_spin.c — one global lock around exclusives, a spin lock
 */
#include "engine/sync/lock.h"

static struct {
    struct spin lock;
} CACHE_ALIGNED global;

static void lock_all(void)
{
    spin_lock(&global.lock, RANK_MONITOR);
}

static void unlock_all(void)
{
    spin_unlock(&global.lock, RANK_MONITOR);
}

#define SYMBOL  atomics_lock_spin
#define NAME    "lock-spin"
#define SUMMARY "one global spin lock around exclusives, compare-and-swap under it; open to ABA"
#include "strategies/atomics/global_lock.h"
