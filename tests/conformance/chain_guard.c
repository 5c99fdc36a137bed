/*
 * chain_guard.c — aborts when a block that a flush has removed is linked: for the program of the conformance tests
 *
 * What a scheme of the invalidation axis must prevent seldom shows in what a guest prints: the patch goes to code memory that
 * is free, or soon overwritten. So the linker puts these functions between the engine's files (--wrap).
 *
 * Birth and flush are counted QUIESCED or before publication, so a block's number is stable while anyone may link it.
 */
#include <pthread.h>
#include <stdlib.h>

#include "engine/tb/tb.h"

bool __real_tb_chain(struct vcpu *v, struct tb_exit *e, struct tb *dest);
struct tb *__real_tb_alloc(unsigned exits_max);
void __real_tb_pages_drop_all(void);
bool __wrap_tb_chain(struct vcpu *v, struct tb_exit *e, struct tb *dest);
struct tb *__wrap_tb_alloc(unsigned exits_max);
void __wrap_tb_pages_drop_all(void);

#define SLOTS (1u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t flushes; /* guarded by lock, like all here */
static struct {
    const struct tb *tb;
    uint64_t born;
} births[SLOTS]; /* by address; open addressing, an address that comes again is overwritten */

static unsigned slot_of(const struct tb *tb)
{
    unsigned i = (unsigned)(((uintptr_t)tb >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 44);
    unsigned n = 0;
    for (; births[i].tb && births[i].tb != tb; i = (i + 1) % SLOTS)
        CHECK(n++ < SLOTS, "too many blocks for the guard");
    return i;
}

struct tb *__wrap_tb_alloc(unsigned exits_max)
{
    struct tb *tb = __real_tb_alloc(exits_max);
    pthread_mutex_lock(&lock);
    unsigned i = slot_of(tb);
    births[i].tb = tb;
    births[i].born = flushes;
    pthread_mutex_unlock(&lock);
    return tb;
}

void __wrap_tb_pages_drop_all(void)
{
    pthread_mutex_lock(&lock);
    flushes++;
    pthread_mutex_unlock(&lock);
    __real_tb_pages_drop_all();
}

bool __wrap_tb_chain(struct vcpu *v, struct tb_exit *e, struct tb *dest)
{
    pthread_mutex_lock(&lock);
    uint64_t from = births[slot_of(e->from)].born, to = births[slot_of(dest)].born, now = flushes;
    pthread_mutex_unlock(&lock);
    CHECK(from == now && to == now, "a block is linked that a flush has removed: born after %lu and %lu flushes of %lu",
          from, to, now);
    return __real_tb_chain(v, e, dest);
}
