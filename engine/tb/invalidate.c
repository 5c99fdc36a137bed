/*
 * invalidate.c — how blocks die: the primitives, one by one, and all at once
 */
#include <stdlib.h>

#include "engine/base/histogram.h"
#include "engine/base/log.h"
#include "engine/sync/rcu.h"
#include "engine/sync/sync.h"
#include "engine/tb/link.h"
#include "strategies/invalidation/invalidation.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

struct histogram tb_flush_latency_ns, tb_inval_latency_ns;
static pthread_mutex_t hist_lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static _Atomic uint64_t live, flushes;

static void measured(struct histogram *h, uint64_t begin)
{
    uint64_t ns = now_ns() - begin;
    pthread_mutex_lock(&hist_lock);
    hist_add(h, ns);
    pthread_mutex_unlock(&hist_lock);
}

/* -- Struct ------------------------------------------------------------------------------------------------------------------- */

struct tb *tb_alloc(unsigned exits_max)
{
    struct tb *tb = calloc(1, sizeof *tb + exits_max * sizeof tb->exits[0]);
    CHECK(tb, "out of memory");
    tb->exits_max = (uint8_t)exits_max;
    tb->canon_next = UINT64_MAX;
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return tb;
}

void tb_release(struct tb *tb)
{
    free(tb->ir);
    free(tb);
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
}

uint64_t tb_live_count(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

/* -- Primitives ----------------------------------------------------------------------------------------------------------------- */

bool tb_mark_dead(struct tb *tb)
{
    spin_lock(&tb->jmp, RANK_TB_JMP);
    bool was = atomic_exchange_explicit(&tb->dead, true, memory_order_relaxed); /* T2 */
    spin_unlock(&tb->jmp, RANK_TB_JMP);
    return !was;
}

void tb_unhook(const struct pages_locked *w, struct tb *tb)
{
    tb_cache->remove(w, tb);
    tb_pages_remove(w, tb);
    /* Pairs with the fence in exec/lookup.c: a vCPU that enters the block in its jump cache after this scan sees dead. */
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t pc_t = tb->key.pc | (tb->key.flags & 1);
    for (unsigned i = 0; i < nvcpus; i++) {
        for (unsigned m = 0; m < MMU_MODES; m++) {
            unsigned at = (pc_t >> 1) & (JC_ENTRIES - 1);
            struct jc_entry *e = &vcpus[i]->jc[m][at];
            uint32_t key = pc_t;
            atomic_compare_exchange_strong_explicit(&e->key, &key, JC_EMPTY(at), memory_order_relaxed,
                                                    memory_order_relaxed);
        }
    }
}

void tb_unchain(struct tb *tb)
{
    tb_unchain_incoming(tb);
    tb_unchain_outgoing(tb);
}

void tb_free_later(struct tb *tb)
{
    tb_lifetime->retire(tb);
}

void tb_retire(const struct pages_locked *w, struct tb *tb)
{
    if (!tb_mark_dead(tb))
        return;
    tb_unhook(w, tb);
    tb_unchain(tb);
    tb_free_later(tb);
}

/* -- One ------------------------------------------------------------------------------------------------------------------------- */

void tb_invalidate(const struct pages_locked *w, struct tb *tb)
{
    uint64_t begin = now_ns();
    dlog(INVAL, "block %08x dies", tb->key.pc);
    if (current_vcpu)
        count(current_vcpu, TB_INVALIDATED);
    invalidation->retire(w, tb);
    measured(&tb_inval_latency_ns, begin);
}

void tb_invalidate_unlocked(struct tb *tb)
{
    struct pages_locked w = tb_pages_lock(tb->key.canon, tb->canon_next);
    if (!tb_is_dead(tb))
        tb_invalidate(&w, tb);
    tb_pages_unlock(&w);
}

/* -- All --------------------------------------------------------------------------------------------------------------------------- */

struct batch {
    struct deferred rcu;
    uint64_t blocks;
    struct tb *first;
};
static struct batch *collecting; /* QUIESCED */

static void collect(struct tb *tb)
{
    tb->page_next[0] = collecting->first;
    collecting->first = tb;
    collecting->blocks++;
}

static void free_batch(struct deferred *head)
{
    struct batch *b = container_of(head, struct batch, rcu);
    for (struct tb *tb = b->first, *next; tb; tb = next) {
        next = tb->page_next[0];
        tb_release(tb);
    }
    free(b);
}

void tb_for_each(void (*fn)(struct tb *tb))
{
    struct code_pool *p;
    for (unsigned i = 0; (p = tb_cache->pool(i)); i++)
        code_pool_each(p, fn);
}

void tb_flush_quiesced(struct vcpu *v)
{
    uint64_t begin = now_ns();
    CHECK(quiesced_by_me(), "flush without quiescence");
    mutex_lock(&tb_foreign_lock);
    invalidation->flush(tb_for_each);
    for (unsigned i = 0; i < nvcpus; i++)
        jc_clear(vcpus[i]);
    tb_pages_drop_all();
    /* The structs outlive the flush until every vCPU has dropped its pointers (T4); the code does not. */
    collecting = calloc(1, sizeof *collecting);
    CHECK(collecting, "out of memory");
    tb_cache->drop_all(collect);
    if (v)
        v->counters[CNT_TB_FLUSHED] += collecting->blocks;
    rcu_defer(&collecting->rcu, free_batch);
    mutex_unlock(&tb_foreign_lock);
    atomic_fetch_add_explicit(&flushes, 1, memory_order_relaxed);
    if (v)
        count(v, TB_FLUSHES);
    measured(&tb_flush_latency_ns, begin);
    dlog(INVAL, "flush");
}

static void flush_work(struct vcpu *v, uintptr_t seen)
{
    /* Coalesce: somebody flushed since the request. Relaxed: all flushes are QUIESCED, as we are. */
    if (seen == UINTPTR_MAX || atomic_load_explicit(&flushes, memory_order_relaxed) == seen)
        tb_flush_quiesced(v);
}

void tb_flush_now(struct vcpu *v)
{
    sync_safe_work(v, flush_work, atomic_load_explicit(&flushes, memory_order_relaxed));
}

bool tb_iciallu_flushes;

void tb_icache_maintenance(struct vcpu *v, bool all)
{
    dlog(INVAL, "vcpu%u: I-cache maintenance", v->index);
    if (all && tb_iciallu_flushes)
        sync_safe_work_async(flush_work, UINTPTR_MAX);
}
