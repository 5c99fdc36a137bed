/*
 * page.c — which blocks have code in a RAM frame: lists, locks, and stores to them
 *
 * Frames are found in a two-level radix tree over the canonical frame number, filled in by compare-and-swap and never
 * emptied, so looking one up takes no lock (Cota 2017, "remove tb_lock"). Each frame has a mutex: it is held while
 * a block of the frame is translated, which may take tens of microseconds.
 *
 * A store kills the blocks whose dependency range it hits. Blocks that lie in two frames (one T32 instruction across a
 * page end) can only be killed under both locks, taken in ascending order: they are left for a second round.
 */
#include <stdlib.h>

#include "engine/base/histogram.h"
#include "engine/base/log.h"
#include "engine/mem/softmmu.h"
#include "engine/tb/tb.h"
#include "strategies/atomics/atomics.h"

struct tb_page {
    pthread_mutex_t lock;
    gpa frame;
    struct tb *first;           /* guarded by lock; linked by page_next[0 or 1]: see next_of() */
    uint64_t lines;             /* bit n: bytes 64n..64n+63 may belong to a block; guarded by lock */
    bool listed;                /* in `coded`; guarded by lock */
    struct tb_page *next_coded; /* const while listed */
};

/* Frames that have had a block since the last flush. W: push by whoever holds the frame's lock; emptied QUIESCED with
 * tb_foreign_lock held. A frame whose last block has died stays until then, so that smc does not fight for the list; what a flush
 * pays for it was paid before by a translation. */
static _Atomic(struct tb_page *) coded CACHE_ALIGNED;

struct mutex tb_foreign_lock = MUTEX_INIT(RANK_FOREIGN);

#define LEVEL_BITS 14
#define LEVEL_SIZE (1u << LEVEL_BITS)

struct level2 {
    _Atomic(struct tb_page *) page[LEVEL_SIZE];
};
static _Atomic(struct level2 *) root[LEVEL_SIZE];

/* -- The tree ---------------------------------------------------------------------------------------------------------------- */

static struct tb_page *page_of(gpa canon, bool create)
{
    uint64_t frame = canon >> GUEST_PAGE_BITS;
    CHECK(frame >> (2 * LEVEL_BITS) == 0, "physical address %#" PRIx64 " has more than 40 bits", canon);
    _Atomic(struct level2 *) *slot2 = &root[frame >> LEVEL_BITS];
    /* Acquire pairs with the release of the exchange that put it there, by whichever thread. */
    struct level2 *l2 = atomic_load_explicit(slot2, memory_order_acquire);
    if (!l2) {
        if (!create)
            return NULL;
        struct level2 *fresh = calloc(1, sizeof *fresh);
        CHECK(fresh, "out of memory");
        if (atomic_compare_exchange_strong_explicit(slot2, &l2, fresh, memory_order_acq_rel, memory_order_acquire))
            l2 = fresh;
        else
            free(fresh);
    }
    _Atomic(struct tb_page *) *slot = &l2->page[frame & (LEVEL_SIZE - 1)];
    struct tb_page *p = atomic_load_explicit(slot, memory_order_acquire);
    if (!p && create) {
        struct tb_page *fresh = calloc(1, sizeof *fresh);
        CHECK(fresh, "out of memory");
        fresh->lock = (pthread_mutex_t)PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
        fresh->frame = canon & ~(gpa)(GUEST_PAGE_SIZE - 1);
        if (atomic_compare_exchange_strong_explicit(slot, &p, fresh, memory_order_acq_rel, memory_order_acquire))
            p = fresh;
        else
            free(fresh);
    }
    return p;
}

/* -- Locks ------------------------------------------------------------------------------------------------------------------- */

struct pages_locked tb_pages_lock(gpa a, gpa b)
{
    struct pages_locked w = {{NULL, NULL}, {a & ~(gpa)0xfff, UINT64_MAX}};
    if (b != UINT64_MAX && (b & ~(gpa)0xfff) != w.canon[0]) {
        w.canon[1] = b & ~(gpa)0xfff;
        if (w.canon[1] < w.canon[0]) {
            gpa t = w.canon[0];
            w.canon[0] = w.canon[1];
            w.canon[1] = t;
        }
    }
    w.page[0] = page_of(w.canon[0], true);
    lock_rank_take(RANK_PAGE_LOW);
    pthread_mutex_lock(&w.page[0]->lock);
    if (w.canon[1] != UINT64_MAX) {
        w.page[1] = page_of(w.canon[1], true);
        lock_rank_take(RANK_PAGE_HIGH);
        pthread_mutex_lock(&w.page[1]->lock);
    }
    return w;
}

void tb_pages_unlock(const struct pages_locked *w)
{
    if (w->page[1]) {
        pthread_mutex_unlock(&w->page[1]->lock);
        lock_rank_drop(RANK_PAGE_HIGH);
    }
    pthread_mutex_unlock(&w->page[0]->lock);
    lock_rank_drop(RANK_PAGE_LOW);
}

/* -- Lists: page locks held ---------------------------------------------------------------------------------------------------- */

static unsigned side_of(const struct tb *tb, gpa frame)
{
    return (tb->key.canon & ~(gpa)0xfff) == frame ? 0 : 1;
}

/* Offsets in frame that tb depends on. */
static void range_in(const struct tb *tb, gpa frame, unsigned *lo, unsigned *hi)
{
    if (side_of(tb, frame) == 0) {
        *lo = tb->dep_lo;
        *hi = tb->dep_hi;
    } else {
        *lo = 0;
        *hi = (unsigned)((tb->key.canon & 0xfff) + tb->nbytes - GUEST_PAGE_SIZE);
    }
}

static uint64_t line_mask(unsigned lo, unsigned hi)
{
    unsigned first = lo / 64, last = (hi - 1) / 64;
    return (~UINT64_C(0) >> (63 - last)) & (~UINT64_C(0) << first);
}

static void list_frame(struct tb_page *p)
{
    if (p->listed)
        return;
    p->listed = true;
    p->next_coded = atomic_load_explicit(&coded, memory_order_relaxed);
    /* Release: a later flush may run in any thread, and comes to the frame through the list. */
    while (
        !atomic_compare_exchange_weak_explicit(&coded, &p->next_coded, p, memory_order_release, memory_order_relaxed))
        ;
}

void tb_pages_add(const struct pages_locked *w, struct tb *tb)
{
    for (unsigned i = 0; i < 2 && w->page[i]; i++) {
        struct tb_page *p = w->page[i];
        unsigned side = side_of(tb, p->frame), lo, hi;
        range_in(tb, p->frame, &lo, &hi);
        tb->page_next[side] = p->first;
        p->first = tb;
        p->lines |= line_mask(lo, hi);
        list_frame(p);
    }
}

void tb_pages_remove(const struct pages_locked *w, struct tb *tb)
{
    for (unsigned i = 0; i < 2 && w->page[i]; i++) {
        struct tb_page *p = w->page[i];
        for (struct tb **at = &p->first; *at; at = &(*at)->page_next[side_of(*at, p->frame)]) {
            if (*at == tb) {
                *at = tb->page_next[side_of(tb, p->frame)];
                break;
            }
        }
        if (!p->first && p->lines) {
            p->lines = 0;
            page_clear_flag(p->frame, PAGE_CODE);
        }
    }
}

/* -- Stores ------------------------------------------------------------------------------------------------------------------------ */

struct plain_store {
    struct vcpu *v;
    gpa canon;
    uint8_t *host;
    const void *val;
    unsigned bytes;
};

static bool store_bytes(void *ctx)
{
    const struct plain_store *s = ctx;
    if (!s->val)
        return true; /* a device's bytes are there already */
    /* Relaxed: a flag set after this load is followed by a quiescent section before anyone relies on it. Devices are never
     * quiescent. */
    if (atomics->store && ((atomic_load_explicit(page_state(s->canon), memory_order_relaxed) & PAGE_EXCL) ||
                           (!s->v && atomics->watches_devices)))
        atomics->store(s->v, s->canon, s->host, s->val, s->bytes);
    else
        host_store(s->host, s->val, s->bytes);
    return true;
}

/* A block in two frames that [lo, hi) of p hits. */
static struct tb *find_crossing(struct tb_page *p, unsigned lo, unsigned hi)
{
    for (struct tb *tb = p->first; tb; tb = tb->page_next[side_of(tb, p->frame)]) {
        unsigned a, b;
        range_in(tb, p->frame, &a, &b);
        if (a < hi && lo < b && tb->canon_next != UINT64_MAX)
            return tb;
    }
    return NULL;
}

/* Under the lock of its one frame: kill what [lo, hi) hits. crossing: a block in two frames is hit too. */
static bool kill_hits(const struct pages_locked *w, unsigned lo, unsigned hi, bool *crossing)
{
    struct tb_page *p = w->page[0];
    bool died = false;
    for (struct tb *tb = p->first, *next; tb; tb = next) {
        unsigned a, b;
        next = tb->page_next[side_of(tb, p->frame)]; /* a scheme kills this block and no other */
        range_in(tb, p->frame, &a, &b);
        if (a >= hi || lo >= b)
            continue;
        if (tb->canon_next != UINT64_MAX) {
            *crossing = true;
        } else {
            tb_invalidate(w, tb);
            died = true;
        }
    }
    return died;
}

/* Are all frames of tb locked? */
static bool pages_cover(const struct pages_locked *w, const struct tb *tb)
{
    gpa a = tb->key.canon & ~(gpa)0xfff, b = tb->canon_next;
    if (b == UINT64_MAX || b == a)
        return w->canon[0] == a || w->canon[1] == a;
    return (w->canon[0] == a && w->canon[1] == b) || (w->canon[0] == b && w->canon[1] == a);
}

/* Returns whether it stored; *died: whether something died. */
static bool modify_code(struct vcpu *v, gpa canon, unsigned bytes, bool (*modify)(void *ctx), void *ctx, bool *died)
{
    unsigned lo = canon & 0xfff, hi = lo + bytes;
    bool crossing = false;
    *died = false;
    struct tb *tb;
    CHECK(hi <= GUEST_PAGE_SIZE, "store across frames at %#" PRIx64, canon);

    struct pages_locked w = tb_pages_lock(canon, UINT64_MAX);
    bool stored = modify(ctx);
    if (stored && (w.page[0]->lines & line_mask(lo, hi)))
        *died = kill_hits(&w, lo, hi, &crossing);
    tb_pages_unlock(&w);

    while (crossing) {
        w = tb_pages_lock(canon, UINT64_MAX);
        tb = find_crossing(w.page[0], lo, hi);
        gpa a = tb ? tb->key.canon : 0, b = tb ? tb->canon_next : 0;
        tb_pages_unlock(&w);
        if (!tb)
            break;
        w = tb_pages_lock(a, b);
        unsigned mine = w.canon[0] == (canon & ~(gpa)0xfff) ? 0 : 1;
        struct tb *again = find_crossing(w.page[mine], lo, hi);
        /* Same frames as those locked, or leave it to the next round. */
        if (again && pages_cover(&w, again)) {
            tb_invalidate(&w, again);
            *died = true;
        }
        tb_pages_unlock(&w);
    }
    if (v && *died)
        count(v, SMC_STORES);
    return stored;
}

bool tb_modify_code(struct vcpu *v, gpa canon, unsigned bytes, bool (*modify)(void *ctx), void *ctx)
{
    bool died;
    DCHECK(v, "only a device's plain stores are kept apart from flushes");
    return modify_code(v, canon, bytes, modify, ctx, &died);
}

bool tb_store_code(struct vcpu *v, gpa canon, uint8_t *host, const void *val, unsigned bytes)
{
    struct plain_store s = {v, canon, host, val, bytes};
    bool died;
    if (!v)
        mutex_lock(&tb_foreign_lock);
    modify_code(v, canon, bytes, store_bytes, &s, &died);
    if (!v)
        mutex_unlock(&tb_foreign_lock);
    return died;
}

void tb_pages_drop_all(void)
{
    /* Acquire pairs with the release in list_frame(). */
    struct tb_page *p = atomic_exchange_explicit(&coded, NULL, memory_order_acquire);
    for (struct tb_page *next; p; p = next) {
        next = p->next_coded;
        p->listed = false;
        p->first = NULL;
        if (p->lines) {
            p->lines = 0;
            page_clear_flag(p->frame, PAGE_CODE);
        }
    }
}
