/*
 * lock.c — lock ranks: who holds what
 */
#include "engine/sync/lock.h"

_Thread_local uint32_t lock_ranks_held;

static const char *const names[] = {
#define RANK(id, name, what) name,
#include "engine/sync/ranks.def"
#undef RANK
};

const char *lock_rank_name(enum lock_rank r)
{
    return names[r];
}

void lock_rank_failed(enum lock_rank r)
{
    unsigned top = 31 - (unsigned)__builtin_clz(lock_ranks_held);
    CHECK(false, "lock order: taking \"%s\" while holding \"%s\" (engine/sync/ranks.def)", names[r], names[top]);
    __builtin_unreachable();
}
