/*
 * llsc.c — load-link / store-conditional as the architecture has it, by withholding fast stores
 *
 * Idea: a frame that holds a reservation is EXCL: no vCPU has it in its flat store table, so every store to it, of any
 * kind and any value, passes here, where it breaks the reservations on what it overlaps. What says
 * "slow path" is the softmmu probe that is there anyway, so stores elsewhere cost nothing more.
 * Source: Rigo, "Slow-path for atomic instruction translation", qemu-devel 2015-05-06, and v5-v8; the filtering by absent
 * store entries is the PTC scheme of Kristien et al., CASES 2020. What was wrong with the former under threads: the
 * flush of the other TLBs was asynchronous. Here a load-link does not complete before they have dropped their entries.
 * Rules: ARM DDI 0406C A3.4.
 *
 * Reservations are kept by granule of 64 bytes (A3.4.3 allows 8 to 2048): a table of words, found by a hash of the host address, which is
 * one for all aliases. A word holds a count, LOCK, and two marks (LINKED, BARE). A reservation is the word as the load-link found it, kept
 * by the vCPU alone (excl_word, excl_val; excl_host and excl_state are address and size). Every store changes the count, which never comes
 * round (61 bits). So a load-link writes nothing that others read: vCPUs that wait for a lock by load-links only share its lines, and
 * a store need not know who has reservations. Granules that share a word break each other's reservations: a spurious failure, which the
 * architecture allows.
 *
 * L1  A reservation is made only on an EXCL frame without STORERS, and such a frame stays so while anyone runs (P5 in mem/page_state.c). So
 *     each later store to the frame by anyone comes here. Devices' stores come here whatever the frame (watches_devices).
 * L2  Whoever stores to a granule whose word is not BARE sets LOCK in it by compare-and-swap from a word without it; stores; and writes the
 *     word back with another count. A store-exclusive does so only from the very word that its load-link found. So between the load-link
 *     and the store of a store-exclusive that succeeds nobody has stored, and nobody does between its test and its store.
 * L3  A load-link reads the word until it has no LOCK, and the data after that (acquire). So a store that it does not see has its swap
 *     after the read of the word, which the store-exclusive then does not find any more.
 * L4  A reservation is on host bytes, one for each canonical byte: aliases and other mappings are seen.
 * L5  A store-exclusive changes the word only when it stores, and a load-link only where no reservation stands (L9): somebody's always succeeds.
 *     Nobody holds a LOCK for longer than a copy of at most 64 bytes; no call, no fault, no safepoint lies in between. Who locks and then
 *     cannot store (undo) writes the same word back, for nothing has been stored: that is a store-exclusive's failure at most while it lasts.
 * L6  An own plain store keeps the own reservation (A3.4.1 leaves it open): if the word was still the one of the load-link, the vCPU notes the
 *     new one.
 * L7  When the frame stops to be EXCL (the window of watched frames rolls on), that is in a quiescent section, where the reservations in
 *     it are forgotten.
 * How many frames to watch: a frame in which stores are frequent and exclusives rare is better let go and watched again. Which ones
 * these are would cost each store more to find out. But all stores to watched frames together are counted, and when they have cost as much as
 * watching a frame again does, the oldest is let go: so at most half of what watching costs is wasted. This is done when a
 * quiescent section is held anyway.
 * L8  With one vCPU there is nobody to watch but devices: its own plain stores do not break its reservation,
 *     so exclusives are inline compare-and-swaps, and a device's store ends the reservation first. A device that stores the
 *     old value back between the two host instructions that test and swap is taken to have stored before the load-link.
 * L9  BARE: in a frame most granules hold no lock. When PERIOD stores have come to a word and no load-link has (LINKED, which the first
 *     load-link of a period sets; it goes only by a store, and stands in the word of each reservation, so setting it ends none), it
 *     becomes BARE, by a store: so no reservation on it stands. vCPUs store to BARE granules as to any memory. Who load-links one
 *     first takes BARE away, in a quiescent section (arm()). A vCPU looks at BARE and stores with no safepoint in between, so that when
 *     the section is over each of its stores is done, or will see the word without BARE. Devices are never quiescent: they lock
 *     whatever the word is, and arm() waits for them. A section is paid for by PERIOD locked stores or more.
 * L10 Losing a reservation is an event for WFE (as B1.8.13 allows; ARMv8 asks for it). Nobody is told: WFE looks itself whether the word is
 *     still the one of the load-link. A vCPU that sleeps in WFE with a reservation has a bit in sync_watchers, set before its last look
 *     at the word; who stores looks there after its swap, so one of them sees the other. A reservation that is found lost by a
 *     store-exclusive, or ended by an exception, sets the event too. One that a later load-link replaces does not: what that one reads is
 *     newer than the loss.
 * In translated code a store to a watched frame, a load-link and a store-conditional are stubs of 10 to 30 instructions, the stores with one
 * locked one unless BARE (flat.watched). What they cannot do goes to the C twins: frames that are not entered yet or hold translations
 * too, unaligned stores, words that are locked, begin a period or are one's own reservation's, and all stores while anyone watches (L10).
 * Costs: a quiescent section for each frame that becomes EXCL while another vCPU has it in its store table, and one for
 * every 16th part of the window that is let go because it is full. What is known not to work well: frames that nobody locks any more
 * stay watched as long as no new one is.
 */
#include <stdlib.h>

#include "engine/sync/sync.h"
#include "strategies/atomics/cas_site.h"

/* -- Granules --------------------------------------------------------------------------------------------------------------- */

#define GRANULE_BITS 6
#define GRANULE      (1u << GRANULE_BITS)
#define WORD_BITS    16
/* Of the granule's number: neighbours lie in different quarters of the table, so that different vCPUs' neighbouring data do not meet
 * in a line of it, and every fourth one in the next word, so that the words of a frame fill lines. The rest spreads
 * what lies 4 MiB and more apart. */
#define SPREAD 0x400049e3u

#define LOCK   1u
#define BARE   2u /* L9; others than devices store without LOCK and count */
#define LINKED 4u /* L9; stands in every reservation's word */
#define STEP   8u
#define PERIOD 4096u
/* All clear when a period begins. */
#define IN_PERIOD (STEP * (PERIOD - 1))

/* L2, L3. */
static _Atomic uint64_t words[1u << WORD_BITS] __attribute__((aligned(4096)));

static _Atomic uint64_t *word_of(const uint8_t *host)
{
    return &words[(uint32_t)((uint32_t)(uintptr_t)host >> GRANULE_BITS) * SPREAD >> (32 - WORD_BITS)];
}

static bool reserved(const struct vcpu *v)
{
    /* Relaxed, atomic: in quiescence others write 0. */
    return __atomic_load_n(&v->excl_state, __ATOMIC_RELAXED);
}

static void forget(struct vcpu *v)
{
    __atomic_store_n(&v->excl_state, 0, __ATOMIC_RELAXED);
}

/* L3. Returns false if the word is BARE. */
static bool reserve(struct vcpu *v, const uint8_t *host)
{
    _Atomic uint64_t *w = word_of(host);
    /* Acquire: what the last writer stored is read after this; other side is unlock(). */
    uint64_t seen = atomic_load_explicit(w, memory_order_acquire);
    for (;;) {
        if (seen & LOCK) {
            __builtin_ia32_pause();
            seen = atomic_load_explicit(w, memory_order_acquire);
        } else if (seen & BARE) {
            return false;
        } else if (seen & LINKED) {
            break;
        } else if (atomic_compare_exchange_weak_explicit(w, &seen, seen | LINKED, memory_order_acquire,
                                                         memory_order_acquire)) {
            seen |= LINKED;
            break;
        }
    }
    __atomic_store_n(&v->excl_word, w, __ATOMIC_RELAXED);
    v->excl_val = seen;
    return true;
}

/* QUIESCED (L9): stores by vCPUs are seen again. */
static void arm(struct vcpu *v, uintptr_t word)
{
    (void)v;
    _Atomic uint64_t *w = (_Atomic uint64_t *)word;
    uint64_t seen = atomic_load_explicit(w, memory_order_relaxed);
    do {
        while (seen & LOCK) { /* a device's */
            __builtin_ia32_pause();
            seen = atomic_load_explicit(w, memory_order_relaxed);
        }
    } while (!atomic_compare_exchange_weak_explicit(w, &seen, (seen & ~(uint64_t)BARE) | LINKED, memory_order_relaxed,
                                                    memory_order_relaxed));
}

/* L2. Returns what the word was. */
static uint64_t lock(_Atomic uint64_t *w)
{
    uint64_t seen = atomic_load_explicit(w, memory_order_relaxed);
    for (;;) {
        if (seen & LOCK) {
            __builtin_ia32_pause();
            seen = atomic_load_explicit(w, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(w, &seen, seen | LOCK, memory_order_seq_cst,
                                                         memory_order_relaxed)) {
            return seen;
        }
    }
}

/* now: the word, with another count. */
static void unlock(_Atomic uint64_t *w, uint64_t now)
{
    /* Release: who sees the word without LOCK, by reserve() or lock(), sees the data. */
    atomic_store_explicit(w, now, memory_order_release);
    /* L10. seq_cst, after the swap that set LOCK; other side is fall_asleep() in sync.c. */
    if (UNLIKELY(atomic_load_explicit(&sync_watchers, memory_order_seq_cst)))
        vcpu_wake_watchers(w);
}

/* L10. Own thread. */
static void lost(struct vcpu *v)
{
    atomic_store_explicit(&v->event, 1, memory_order_relaxed);
}

/* -- The window of watched frames -------------------------------------------------------------------------------------- */

#define WINDOW_MAX 65536
#define FEWEST     16 /* frames that stay whatever stores cost */
static uint64_t window_pages, stores_per_frame, wait_most = 64;
static uint32_t stores_paid;           /* of the vCPUs' excl_stores together; guarded by window_lock */
static gpa *window;                    /* ring of window_pages + MAX_VCPUS; guarded by window_lock */
static uint64_t window_in, window_out; /* guarded by window_lock */
static struct mutex window_lock = MUTEX_INIT(RANK_WINDOW);

static const struct param params[] = {
    {"pages", "frames", "how many frames are watched before the oldest are let go", 8192, 1, WINDOW_MAX, &window_pages},
    {"stores", "stores", "to watched frames after which the oldest one is let go", 2000, 1, UINT32_MAX,
     &stores_per_frame},
    {"wait", "pauses", "of the host, between looks of a vCPU that waits by load-links, after some looks", 64, 1, 4096,
     &wait_most},
    {0},
};

static gpa frame_of(gpa canon)
{
    return canon & ~(gpa)(GUEST_PAGE_SIZE - 1);
}

static gpa *slot(uint64_t n)
{
    return &window[n % (window_pages + MAX_VCPUS)];
}

/* Returns true when the window is too full. Two vCPUs may enter the same frame at once; it is then let go early.
 * Room: each vCPU enters one frame above the limit, and then has to see to it. */
static bool watch(gpa frame)
{
    mutex_lock(&window_lock);
    *slot(window_in++) = frame;
    CHECK(window_in - window_out <= window_pages + MAX_VCPUS, "%" PRIu64 " frames in the window",
          window_in - window_out);
    bool full = window_in - window_out > window_pages;
    mutex_unlock(&window_lock);
    return full;
}

/* QUIESCED (L7). */
static void let_go(gpa frame)
{
    const uint8_t *host = mem_ram_ptr(frame, NULL);
    softmmu_unwatch(frame);
    for (unsigned i = 0; i < nvcpus; i++) {
        if (reserved(vcpus[i]) && vcpus[i]->excl_host - (uintptr_t)host < GUEST_PAGE_SIZE) {
            forget(vcpus[i]);
            vcpu_send_event(vcpus[i]);
        }
    }
}

/* QUIESCED. How many frames the stores since the last call have paid for. */
static uint64_t paid_for(void)
{
    uint32_t stores = 0;
    for (unsigned i = 0; i < nvcpus; i++)
        stores += vcpus[i]->excl_stores;
    uint64_t n = (uint32_t)(stores - stores_paid) / stores_per_frame;
    stores_paid += (uint32_t)(n * stores_per_frame);
    return n;
}

/* QUIESCED: no plain storer is left on frame, and there is room in the window. */
static void settle(struct vcpu *v, uintptr_t frame)
{
    (void)v;
    softmmu_drop_storers((gpa)frame);
    mutex_lock(&window_lock);
    uint64_t now = window_in - window_out, paid = paid_for();
    uint64_t rest = now > window_pages ? window_pages - window_pages / 16 : now;
    if (rest > FEWEST)
        rest = paid < rest - FEWEST ? rest - paid : FEWEST;
    while (window_in - window_out > rest)
        let_go(*slot(window_out++));
    mutex_unlock(&window_lock);
}

/* Make sure that the frame is EXCL and nobody can store to it past us (L1). May leave to have the others drop their entries, and
 * the instruction is restarted. */
static void make_exclusive(struct vcpu *v, gpa canon)
{
    _Atomic uint32_t *state = page_state(canon);
    gpa frame = frame_of(canon);
    uint32_t seen = atomic_load_explicit(state, memory_order_acquire);
    if (LIKELY((seen & PAGE_EXCL) && !(seen & PAGE_STORERS)))
        return;
    bool fresh = !(seen & PAGE_EXCL), full = false;
    bool alone = page_set_flag(v, frame, PAGE_EXCL);
    if (fresh) {
        count(v, EXCL_PAGES);
        dlog(EXCL, "vcpu%u: frame %#" PRIx64 " is watched", v->index, frame);
        full = watch(frame);
    }
    if (!alone || full)
        vcpu_leave_for(v, settle, (uintptr_t)frame);
}

/* -- Twins ------------------------------------------------------------------------------------------------------------------ */

static uint64_t ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, false, mem, &canon);
    count(v, LDREX);
    forget(v);
    if (!host)
        return excl_device_load(v, va, mem);
    make_exclusive(v, canon);
    chaos_delay(v);
    if (UNLIKELY(!reserve(v, host))) {
        count(v, EXCL_ARMS);
        vcpu_leave_for(v, arm, (uintptr_t)word_of(host));
    }
    chaos_delay(v);
    v->excl_host = (uintptr_t)host;
    __atomic_store_n(&v->excl_state, bytes, __ATOMIC_RELAXED);
    uint64_t val = excl_read(host, bytes);
    dlog(EXCL, "vcpu%u: load-link %08x = %#" PRIx64, v->index, va, val);
    return val;
}

struct strex_try {
    struct vcpu *v;
    uint8_t *host;
    uint64_t val;
    unsigned bytes;
};

/* L2. */
static bool strex_now(void *ctx)
{
    struct strex_try *t = ctx;
    _Atomic uint64_t *w = t->v->excl_word;
    uint64_t seen = t->v->excl_val;
    /* seq_cst: other sides are lock() and fall_asleep(). */
    if (!atomic_compare_exchange_strong_explicit(w, &seen, seen | LOCK, memory_order_seq_cst, memory_order_relaxed)) {
        lost(t->v);
        count(t->v, EXCL_BREAKS);
        return false;
    }
    host_store(t->host, &t->val, t->bytes);
    unlock(w, seen + STEP);
    return true;
}

static uint32_t strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, true, mem, &canon);
    bool stored = false;
    /* Early failure without touching the frame: also keeps page_store_begin() from making us a storer of one that is not
     * watched any more. */
    if (host && __atomic_load_n(&v->excl_state, __ATOMIC_RELAXED) == bytes && v->excl_host == (uintptr_t)host &&
        !chaos_fail(v, CHAOS_STREX)) {
        struct strex_try t = {v, host, val, bytes};
        chaos_delay(v);
        stored = excl_modify(v, canon, bytes, strex_now, &t);
    }
    forget(v);
    if (stored)
        count(v, STREX_OK);
    else
        count(v, STREX_FAIL);
    dlog(EXCL, "vcpu%u: store-conditional %08x %s", v->index, va, stored ? "stored" : "failed");
    return !stored;
}

static bool swap_now(void *ctx)
{
    struct excl_swap_try *s = ctx;
    _Atomic uint64_t *w = word_of(s->host);
    uint64_t seen = lock(w);
    excl_swap_now(s);
    unlock(w, seen + STEP);
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
    struct excl_swap_try s = {host, val, 0, excl_bytes(mem)};
    excl_modify(v, canon, s.bytes, swap_now, &s);
    return s.old;
}

static void clear(struct vcpu *v)
{
    if (reserved(v))
        lost(v); /* L10 */
    forget(v);
}

/* -- Stores to watched frames, and of devices --------------------------------------------------------------------------------- */

/* A granule at a time: what crosses them is not single-copy atomic anyway (A3.5.3: all that is has 8 aligned bytes at most). */
static void store_granule(struct vcpu *v, uint8_t *host, const void *val, size_t bytes)
{
    _Atomic uint64_t *w = word_of(host);
    /* Relaxed: who takes BARE away does it in a quiescent section (L9), which orders. */
    if (v && (atomic_load_explicit(w, memory_order_relaxed) & BARE)) {
        host_store(host, val, bytes);
        return;
    }
    uint64_t seen = lock(w), now = seen + STEP;
    if (v && reserved(v) && v->excl_word == w && v->excl_val == seen)
        v->excl_val = now; /* L6 */
    else if (v && !(seen & IN_PERIOD))
        now = seen & LINKED ? now & ~(uint64_t)LINKED : now | BARE; /* L9 */
    host_store(host, val, bytes);
    unlock(w, now);
}

static void store_watched(struct vcpu *v, uint8_t *host, const void *val, size_t bytes)
{
    if (v)
        v->excl_stores++;
    while (bytes) {
        size_t n = GRANULE - ((uintptr_t)host & (GRANULE - 1));
        n = n < bytes ? n : bytes;
        store_granule(v, host, val, n);
        host += n;
        val = (const char *)val + n;
        bytes -= n;
    }
}

static void store(struct vcpu *v, gpa canon, uint8_t *host, const void *val, size_t bytes)
{
    (void)canon;
    store_watched(v, host, val, bytes);
}

/* -- The same in translated code: stubs for frames in flat.watched ------------------------------------------------------------- */

/* word = address of the word of host's granule. */
static void emit_word(struct x64_asm *a, int word, int host)
{
    asm_mov_rr(a, 4, word, host);
    asm_shift_ri(a, SH_SHR, 4, word, GRANULE_BITS);
    asm_imul_rri(a, 4, word, word, SPREAD);
    asm_shift_ri(a, SH_SHR, 4, word, 32 - WORD_BITS);
    asm_mov_ri64(a, RAX, (uintptr_t)words);
    asm_lea(a, 8, word, mem_bi(RAX, word, 8, 0));
}

/* L2: from the word in rax to LOCK; "equal" if done. */
static void emit_lock(struct x64_asm *a, int word, int tmp)
{
    asm_lea(a, 8, tmp, mem_b(RAX, LOCK));
    asm_lock_cmpxchg(a, 8, mem_b(word, 0), tmp);
}

/* rax = the word, to be locked for a plain store; jumps if it is BARE, and if C has to see to it. */
static void emit_look(struct x64_asm *a, int word, struct x64_label *bare, struct x64_label *slow)
{
    struct x64_label others = X64_LABEL_INIT;
    asm_load(a, 8, RAX, mem_b(word, 0));
    asm_test_ri(a, RAX, BARE);
    asm_jcc(a, CC_NE, bare);
    asm_test_ri(a, RAX, LOCK);
    asm_jcc(a, CC_NE, slow);
    asm_test_ri(a, RAX, IN_PERIOD);
    asm_jcc(a, CC_E, slow);
    asm_alu_rm(a, ALU_CMP, 8, word, VFIELD(excl_word));
    asm_jcc(a, CC_NE, &others);
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), 0);
    asm_jcc(a, CC_NE, slow); /* L6 */
    asm_bind(a, &others);
}

/* L10, with the lock held: "not equal" if anyone watches. */
static void emit_watchers(struct x64_asm *a, int tmp)
{
    asm_mov_ri64(a, tmp, (uintptr_t)&sync_watchers);
    asm_alu_mi(a, ALU_CMP, 4, mem_b(tmp, 0), 0);
}

/* rax: what the locked word was. */
static void emit_store_and_unlock(struct x64_asm *a, const struct watched_site *s)
{
    asm_store(a, s->bytes, mem_b(s->host, 0), s->data);
    asm_alu_ri(a, ALU_ADD, 8, RAX, STEP);
    asm_store(a, 8, mem_b(s->t1, 0), RAX); /* the host keeps stores in order */
}

static void emit_watched_store(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label bare = X64_LABEL_INIT, undo = X64_LABEL_INIT, end = X64_LABEL_INIT;
    emit_word(a, s->t1, s->host);
    emit_look(a, s->t1, &bare, s->slow);
    emit_lock(a, s->t1, s->t2);
    asm_jcc(a, CC_NE, s->slow);
    emit_watchers(a, s->t2);
    asm_jcc(a, CC_NE, &undo);
    emit_store_and_unlock(a, s);
    asm_alu_mi(a, ALU_ADD, 4, VFIELD(excl_stores), 1);
    asm_jmp(a, &end);
    asm_bind(a, &undo);
    asm_store(a, 8, mem_b(s->t1, 0), RAX);
    asm_jmp(a, s->slow);
    asm_bind(a, &bare);
    asm_store(a, s->bytes, mem_b(s->host, 0), s->data);
    asm_alu_mi(a, ALU_ADD, 4, VFIELD(excl_stores), 1);
    asm_bind(a, &end);
}

/* Gives a lock back; word 0: there is none. Nobody else writes a word with LOCK. */
static void emit_unlock(struct x64_asm *a, int word, uint32_t add)
{
    struct x64_label none = X64_LABEL_INIT;
    asm_test_rr(a, 8, word, word);
    asm_jcc(a, CC_E, &none);
    asm_alu_mi(a, ALU_ADD, 8, mem_b(word, 0), add);
    asm_bind(a, &none);
}

/* The same for up to 16 words, in one granule or two. The locks of two are held together, so that nothing is stored when the
 * second cannot be had; they are tried, not waited for, so nobody can wait in a circle. If both granules have the same word,
 * the second try fails. */
static void emit_watched_stm(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label bare1 = X64_LABEL_INIT, bare2 = X64_LABEL_INIT, second = X64_LABEL_INIT, one = X64_LABEL_INIT,
                     locked = X64_LABEL_INIT, next = X64_LABEL_INIT, undo1 = X64_LABEL_INIT, undo2 = X64_LABEL_INIT,
                     end = X64_LABEL_INIT;
    emit_word(a, s->t1, s->host);
    emit_look(a, s->t1, &bare1, s->slow);
    emit_lock(a, s->t1, s->t2);
    asm_jcc(a, CC_NE, s->slow);
    asm_jmp(a, &second);
    asm_bind(a, &bare1);
    asm_mov_ri(a, s->t1, 0);
    asm_bind(a, &second);
    asm_lea(a, 8, s->t3, mem_bi(s->host, s->data, 4, -1)); /* the last byte */
    asm_mov_rr(a, 8, RAX, s->t3);
    asm_alu_rr(a, ALU_XOR, 8, RAX, s->host);
    asm_shift_ri(a, SH_SHR, 8, RAX, GRANULE_BITS);
    asm_jcc(a, CC_E, &one);
    emit_word(a, s->t2, s->t3);
    emit_look(a, s->t2, &bare2, &undo1);
    emit_lock(a, s->t2, s->t3);
    asm_jcc(a, CC_NE, &undo1);
    asm_jmp(a, &locked);
    asm_bind(a, &one);
    asm_bind(a, &bare2);
    asm_mov_ri(a, s->t2, 0);
    asm_bind(a, &locked);
    emit_watchers(a, s->t3);
    asm_jcc(a, CC_NE, &undo2);
    asm_mov_ri(a, s->t3, 0);
    asm_bind(a, &next);
    struct x64_mem from = VFIELD(mbuf);
    asm_load(a, 4, RAX, mem_bi(from.base, s->t3, 4, from.disp));
    asm_store(a, 4, mem_bi(s->host, s->t3, 4, 0), RAX);
    asm_alu_ri(a, ALU_ADD, 4, s->t3, 1);
    asm_alu_rr(a, ALU_CMP, 4, s->t3, s->data);
    asm_jcc(a, CC_B, &next);
    emit_unlock(a, s->t2, STEP - LOCK);
    emit_unlock(a, s->t1, STEP - LOCK);
    asm_alu_mi(a, ALU_ADD, 4, VFIELD(excl_stores), 1);
    asm_jmp(a, &end);
    asm_bind(a, &undo2);
    emit_unlock(a, s->t2, (uint32_t)-LOCK);
    asm_bind(a, &undo1);
    emit_unlock(a, s->t1, (uint32_t)-LOCK);
    asm_jmp(a, s->slow);
    asm_bind(a, &end);
}

/* A load-link of what the vCPU has load-linked already: it waits for another's store, and each look of it takes the lines away
 * from who is to store. So it looks less and less often, until it tries a store-exclusive or looks elsewhere. A pause of the host takes
 * 40 (AMD) to 140 (Intel) cycles. */
static void emit_back_off(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label fresh = X64_LABEL_INIT, waits = X64_LABEL_INIT, again = X64_LABEL_INIT, end = X64_LABEL_INIT;
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), 0);
    asm_jcc(a, CC_E, &fresh);
    asm_alu_rm(a, ALU_CMP, 8, s->host, VFIELD(excl_host));
    asm_jcc(a, CC_E, &waits);
    asm_bind(a, &fresh);
    asm_store_i(a, 4, VFIELD(excl_wait), 1);
    asm_jmp(a, &end);
    asm_bind(a, &waits);
    asm_load(a, 4, RAX, VFIELD(excl_wait));
    asm_mov_rr(a, 4, s->t1, RAX);
    asm_bind(a, &again);
    asm_pause(a);
    asm_alu_ri(a, ALU_SUB, 4, RAX, 1);
    asm_jcc(a, CC_NE, &again);
    asm_alu_ri(a, ALU_CMP, 4, s->t1, (uint32_t)wait_most);
    asm_jcc(a, CC_AE, &end);
    asm_alu_mr(a, ALU_ADD, 4, VFIELD(excl_wait), s->t1);
    asm_bind(a, &end);
}

/* L3: the host keeps loads in order. */
static void emit_watched_ldrex(struct x64_asm *a, const struct watched_site *s)
{
    emit_back_off(a, s);
    emit_word(a, s->t1, s->host);
    asm_load(a, 8, s->t2, mem_b(s->t1, 0));
    asm_mov_rr(a, 4, RAX, s->t2);
    asm_alu_ri(a, ALU_AND, 4, RAX, LOCK | BARE | LINKED);
    asm_alu_ri(a, ALU_CMP, 4, RAX, LINKED);
    asm_jcc(a, CC_NE, s->slow);
    asm_load(a, s->bytes, RAX, mem_b(s->host, 0));
    asm_store(a, 8, VFIELD(excl_val), s->t2);
    asm_store(a, 8, VFIELD(excl_word), s->t1);
    asm_store_i(a, 4, VFIELD(excl_state), s->bytes);
    asm_store(a, 8, VFIELD(excl_host), s->host);
}

static void emit_watched_strex(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label fail = X64_LABEL_INIT, stored = X64_LABEL_INIT, undo = X64_LABEL_INIT, end = X64_LABEL_INIT;
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), s->bytes);
    asm_jcc(a, CC_NE, &fail);
    asm_alu_rm(a, ALU_CMP, 8, s->host, VFIELD(excl_host));
    asm_jcc(a, CC_NE, &fail);
    asm_load(a, 8, s->t1, VFIELD(excl_word));
    asm_load(a, 8, RAX, VFIELD(excl_val));
    emit_lock(a, s->t1, s->t2);
    asm_jcc(a, CC_E, &stored);
    asm_store_i(a, 4, VFIELD(event), 1); /* lost (L10) */
    asm_bind(a, &fail);
    asm_mov_ri(a, RAX, 1);
    asm_jmp(a, &end);
    asm_bind(a, &undo);
    asm_store(a, 8, mem_b(s->t1, 0), RAX);
    asm_jmp(a, s->slow);
    asm_bind(a, &stored);
    emit_watchers(a, s->t2);
    asm_jcc(a, CC_NE, &undo);
    emit_store_and_unlock(a, s);
    asm_mov_ri(a, RAX, 0);
    asm_bind(a, &end);
    asm_store_i(a, 4, VFIELD(excl_state), 0);
}

/* -- One vCPU (L8) ----------------------------------------------------------------------------------------------------------------- */

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
    window = malloc((window_pages + MAX_VCPUS) * sizeof *window);
    if (!window) {
        error_set(e, 1, "out of memory for a window of %" PRIu64 " frames", window_pages);
        return false;
    }
    window_in = window_out = 0;
    stores_paid = 0;
    /* A granule's first period is as if a load-link had come. */
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        atomic_store_explicit(&words[i], LINKED, memory_order_relaxed);
    return true;
}

static bool vcpu_init(struct vcpu *v, struct error *e)
{
    (void)e;
    v->excl_wait = 1;
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
    .vcpu_init = vcpu_init,
    .shutdown = shutdown,
    .emit_clrex = cas_emit_clrex,
    .ldrex = ldrex,
    .strex = strex,
    .swp = swp,
    .clear = clear,
    .store = store,
    .store_watched = store_watched,
    .emit_watched_store = emit_watched_store,
    .emit_watched_stm = emit_watched_stm,
    .emit_watched_ldrex = emit_watched_ldrex,
    .emit_watched_strex = emit_watched_strex,
    .watches_devices = true,
};
