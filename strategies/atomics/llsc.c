/*
 * llsc.c — load-link / store-conditional as the architecture has it, by withholding fast stores
 *
 * Idea: a frame that holds a reservation is EXCL: no vCPU has it in its flat store table, so every store to it, of any
 * kind and any value, takes the slow path and passes here, where it breaks the reservations that it overlaps. What says
 * "slow path" is the softmmu probe that is there anyway, so stores elsewhere cost nothing more.
 * Source: Rigo, "Slow-path for atomic instruction translation", qemu-devel 2015-05-06, and v5-v8; the filtering by absent
 * store entries is the PTC scheme of Kristien et al., CASES 2020. What was wrong with the former under threads: the
 * flush of the other TLBs was asynchronous. Here a load-link does not complete before they have dropped their entries.
 * Rules: ARM DDI 0406C A3.4.
 *
 * L1  A reservation stands only on an EXCL frame without STORERS of any vCPU: seen under the frame's lock when it is made. So
 *     each later store to the frame by anyone comes through store() or strex().
 * L2  Breaking reservations, and all stores to EXCL frames, happen under the frame's lock. So a store-exclusive that finds its
 *     reservation unbroken stores before anyone else does. A load-link takes no lock, so that spinning on one holds up nobody: it
 *     makes the reservation and then reads, while a store writes and then looks for reservations, each with a full barrier in
 *     between. Either the store sees the reservation and breaks it, or the load-link sees what was stored.
 * L3  When the frame stops to be EXCL (the window of watched frames rolls on), its reservations are broken, under the same lock: a
 *     spurious failure, which the architecture allows. The flag goes first, and a load-link looks at it after it has made its
 *     reservation: the same pair of barriers as in L2.
 * L4  A reservation is canonical physical bytes: aliases and other mappings are seen.
 * L5  A store-exclusive breaks others' reservations only when it stores, and a load-link breaks none: somebody's always
 *     succeeds.
 * L6  With one vCPU there is nobody to watch but devices: its own plain stores do not break its reservation (A3.4.1 leaves that
 *     open), so exclusives are inline compare-and-swaps, and a device's store ends the reservation first. A device that stores the
 *     old value back between the two host instructions that test and swap is taken to have stored before the load-link.
 * Costs: a quiescent section for each frame that becomes EXCL while another vCPU has it in its store table; a C call for each
 * exclusive, and for each plain store to one of the watched frames.
 */
#include <stdlib.h>

#include "engine/sync/sync.h"
#include "strategies/atomics/cas_site.h"

/* W: owner by making one or taking it away; anyone by breaking it, under the lock of the frame that it names (L2).
 * 0: none; else canonical address << 4 | bytes. */
struct reservation {
    _Atomic uint64_t held;
} CACHE_ALIGNED;
_Static_assert(sizeof(struct reservation) == CACHE_LINE, "one line a vCPU");

static struct reservation reservations[MAX_VCPUS];

#define LOCKS 1024
static struct spin locks[LOCKS]; /* by frame; rank MONITOR */

/* The window of watched frames: a ring. */
#define WINDOW_MAX 65536
static uint64_t window_pages;
static gpa *window;            /* guarded by window_lock */
static uint64_t window_next;   /* guarded by window_lock */
static struct mutex window_lock = MUTEX_INIT(RANK_WINDOW);

static const struct param params[] = {
    {"pages", "frames", "how many frames are watched before the oldest is let go", 1024, 1, WINDOW_MAX, &window_pages},
    {0},
};

static gpa frame_of(gpa canon)
{
    return canon & ~(gpa)(GUEST_PAGE_SIZE - 1);
}

static struct spin *lock_of(gpa canon)
{
    return &locks[(canon >> GUEST_PAGE_BITS) % LOCKS];
}

static bool overlaps(uint64_t held, gpa canon, uint64_t bytes)
{
    gpa a = held >> 4;
    return held && a < canon + bytes && canon < a + (held & 15);
}

/* Frame lock held, the bytes are stored. Break the reservations of all vCPUs but v (NULL: of all) on them. */
static void break_others(const struct vcpu *v, struct vcpu *counter, gpa canon, uint64_t bytes)
{
    /* L2, L3: other side is the exchange in ldrex(). */
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < nvcpus; i++) {
        _Atomic uint64_t *r = &reservations[i].held;
        uint64_t held = atomic_load_explicit(r, memory_order_relaxed);
        if (vcpus[i] == v || !overlaps(held, canon, bytes))
            continue;
        /* Fails only if the owner has just cleared it itself. */
        if (atomic_compare_exchange_strong_explicit(r, &held, 0, memory_order_relaxed, memory_order_relaxed)) {
            vcpu_send_event(vcpus[i]); /* ARM DDI 0406C B1.8.13: losing the reservation is an event */
            if (counter)
                count(counter, EXCL_BREAKS);
        }
    }
}

/* -- The window of watched frames -------------------------------------------------------------------------------------- */

static void let_go(gpa frame)
{
    struct spin *l = lock_of(frame);
    spin_lock(l, RANK_MONITOR);
    page_clear_flag(frame, PAGE_EXCL); /* L3 */
    break_others(NULL, NULL, frame, GUEST_PAGE_SIZE);
    spin_unlock(l, RANK_MONITOR);
}

static void watch(gpa frame)
{
    mutex_lock(&window_lock);
    gpa *slot = &window[window_next++ % window_pages];
    gpa oldest = *slot;
    *slot = frame;
    if (oldest != UINT64_MAX && oldest != frame)
        let_go(oldest);
    mutex_unlock(&window_lock);
}

static void drop_storers(struct vcpu *v, uintptr_t frame)
{
    (void)v;
    softmmu_drop_storers((gpa)frame);
}

/* Make sure that the frame is EXCL and nobody can store to it past us. May leave to have the others drop their entries, and
 * the instruction is restarted. */
static void make_exclusive(struct vcpu *v, gpa canon)
{
    _Atomic uint32_t *state = page_state(canon);
    gpa frame = frame_of(canon);
    uint32_t seen = atomic_load_explicit(state, memory_order_acquire);
    if (LIKELY((seen & PAGE_EXCL) && !(seen & PAGE_STORERS)))
        return;
    bool fresh = !(seen & PAGE_EXCL);
    bool alone = page_set_flag(v, frame, PAGE_EXCL);
    if (fresh) {
        count(v, EXCL_PAGES);
        dlog(EXCL, "vcpu%u: frame %#" PRIx64 " is watched", v->index, frame);
        watch(frame);
    }
    if (!alone)
        vcpu_leave_for(v, drop_storers, (uintptr_t)frame);
}

/* -- Twins ------------------------------------------------------------------------------------------------------------------ */

static uint64_t ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    _Atomic uint64_t *mine = &reservations[v->index].held;
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, false, mem, &canon);
    count(v, LDREX);
    atomic_store_explicit(mine, 0, memory_order_relaxed);
    if (!host)
        return excl_device_load(v, va, mem);
    for (;;) {
        make_exclusive(v, canon);
        chaos_delay(v);
        /* L2, L3: an exchange is a full barrier between the reservation and what is read after it. */
        atomic_exchange_explicit(mine, canon << 4 | bytes, memory_order_seq_cst);
        uint32_t seen = atomic_load_explicit(page_state(canon), memory_order_acquire);
        if (LIKELY((seen & PAGE_EXCL) && !(seen & PAGE_STORERS))) { /* L1 */
            uint64_t val = excl_read(host, bytes);
            dlog(EXCL, "vcpu%u: load-link %08x = %#" PRIx64, v->index, va, val);
            return val;
        }
        /* It left the window meanwhile: again. */
        atomic_store_explicit(mine, 0, memory_order_relaxed);
    }
}

struct strex_try {
    struct vcpu *v;
    gpa canon;
    uint8_t *host;
    uint64_t val;
    unsigned bytes;
};

static bool strex_locked(void *ctx)
{
    const struct strex_try *t = ctx;
    _Atomic uint64_t *mine = &reservations[t->v->index].held;
    struct spin *l = lock_of(t->canon);
    spin_lock(l, RANK_MONITOR);
    /* L2, L3: unbroken means that nobody has stored, and that the frame is still watched. */
    bool ok = atomic_load_explicit(mine, memory_order_relaxed) == (t->canon << 4 | t->bytes);
    if (ok) {
        host_store(t->host, &t->val, t->bytes);
        break_others(t->v, t->v, t->canon, t->bytes);
    }
    atomic_store_explicit(mine, 0, memory_order_relaxed);
    spin_unlock(l, RANK_MONITOR);
    return ok;
}

static uint32_t strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, true, mem, &canon);
    _Atomic uint64_t *mine = &reservations[v->index].held;
    bool stored = false;
    /* Early failure without touching the frame: also keeps page_store_begin() from making us a storer of one that is not
     * watched any more. */
    if (host && atomic_load_explicit(mine, memory_order_relaxed) && !chaos_fail(v, CHAOS_STREX)) {
        struct strex_try t = {v, canon, host, val, bytes};
        chaos_delay(v);
        stored = excl_modify(v, canon, bytes, strex_locked, &t);
    }
    atomic_store_explicit(mine, 0, memory_order_relaxed);
    if (stored)
        count(v, STREX_OK);
    else
        count(v, STREX_FAIL);
    dlog(EXCL, "vcpu%u: store-conditional %08x %s", v->index, va, stored ? "stored" : "failed");
    return !stored;
}

struct swap {
    struct vcpu *v;
    gpa canon;
    uint8_t *host;
    uint32_t val, old;
    unsigned bytes;
};

static bool swap_locked(void *ctx)
{
    struct swap *s = ctx;
    struct spin *l = lock_of(s->canon);
    spin_lock(l, RANK_MONITOR);
    s->old = s->bytes == 1 ? __atomic_exchange_n(s->host, (uint8_t)s->val, __ATOMIC_SEQ_CST)
                           : __atomic_exchange_n((uint32_t *)s->host, s->val, __ATOMIC_SEQ_CST);
    break_others(s->v, s->v, s->canon, s->bytes);
    spin_unlock(l, RANK_MONITOR);
    return true;
}

static uint32_t swp(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    gpa canon;
    uint8_t *host = softmmu_host(v, va, excl_bytes(mem), true, mem, &canon);
    if (!host) {
        uint32_t old = slow_load(v, va, mem);
        slow_store(v, va, val, mem);
        return old;
    }
    struct swap s = {v, canon, host, val, 0, excl_bytes(mem)};
    excl_modify(v, canon, s.bytes, swap_locked, &s);
    return s.old;
}

static void clear(struct vcpu *v)
{
    atomic_store_explicit(&reservations[v->index].held, 0, memory_order_relaxed);
}

/* -- Stores to watched frames, and of devices --------------------------------------------------------------------------------- */

static void store(struct vcpu *v, gpa canon, uint8_t *host, const void *val, size_t bytes)
{
    while (bytes) {
        size_t n = GUEST_PAGE_SIZE - (canon & (GUEST_PAGE_SIZE - 1));
        n = n < bytes ? n : bytes;
        struct spin *l = lock_of(canon);
        spin_lock(l, RANK_MONITOR);
        host_store(host, val, n);
        break_others(v, v, canon, n);
        spin_unlock(l, RANK_MONITOR);
        canon += n;
        host += n;
        val = (const char *)val + n;
        bytes -= n;
    }
}

/* -- One vCPU (L6) ----------------------------------------------------------------------------------------------------------------- */

static void store_solo(struct vcpu *v, gpa canon, uint8_t *host, const void *val, size_t bytes)
{
    (void)canon;
    if (!v) {
        cas_set_state(vcpus[0], 0);
        vcpu_send_event(vcpus[0]);
    }
    host_store(host, val, bytes);
}

static const struct atomics_ops solo = {
    .head = {.name = "llsc"},
    .emit_ldrex = cas_emit_ldrex,
    .emit_strex = cas_emit_strex,
    .emit_clrex = cas_emit_clrex,
    .budget_ldrex = CAS_BUDGET_LDREX,
    .budget_strex = CAS_BUDGET_STREX,
    .ldrex = cas_ldrex,
    .strex = cas_strex,
    .swp = excl_swap,
    .clear = cas_clear,
    .store = store_solo,
    .watches_devices = true,
};

static bool launch(struct error *e)
{
    if (nvcpus == 1)
        atomics = &solo;
    window = malloc(window_pages * sizeof *window);
    if (!window) {
        error_set(e, 1, "out of memory for a window of %" PRIu64 " frames", window_pages);
        return false;
    }
    for (uint64_t i = 0; i < window_pages; i++)
        window[i] = UINT64_MAX;
    window_next = 0;
    for (unsigned i = 0; i < MAX_VCPUS; i++)
        atomic_store_explicit(&reservations[i].held, 0, memory_order_relaxed);
    return true;
}

static void shutdown(void)
{
    free(window);
    window = NULL;
}

const struct atomics_ops atomics_llsc = {
    .head = {.name = "llsc",
             .summary = "exact: reservations on watched frames, which nobody stores to unseen",
             .source = "Rigo 2015; Kristien et al., CASES 2020",
             .needs = NEEDS_(PAGE_EXCL) | NEEDS_(QUIESCENCE),
             .gives = GIVES(ABA) | GIVES(PLAIN_STORES) | GIVES(DEVICE_STORES) | GIVES(ALIASES) | GIVES(PROGRESS) |
                      GIVES(WAKES_WFE),
             .params = params},
    .launch = launch,
    .shutdown = shutdown,
    .ldrex = ldrex,
    .strex = strex,
    .swp = swp,
    .clear = clear,
    .store = store,
};
