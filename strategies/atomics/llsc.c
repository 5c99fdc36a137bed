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
 * one for all aliases. A word holds a bit for each vCPU that has a reservation, and LOCK. What exactly is reserved, address and
 * size, only the vCPU itself knows (excl_host, excl_state). Granules that share a word break each other's reservations: a
 * spurious failure, which the architecture allows.
 *
 * L1  A reservation is made only on an EXCL frame without STORERS, and such a frame stays so while anyone runs (P5 in mem/page_state.c). So
 *     each later store to the frame by anyone comes here. Devices' stores come here whatever the frame (watches_devices).
 * L2  Whoever stores sets LOCK in the granule's word by compare-and-swap from a word without it, which takes all bits away;
 *     stores; and writes the word back without LOCK. A store-exclusive does so only from a word that has the vCPU's bit. So between the load-link
 *     and the store of a store-exclusive that succeeds nobody has stored, and nobody does between its test and its store.
 * L3  A load-link sets its bit by an atomic or, which is a full barrier, and reads the data after that. If it finds LOCK, the writer's
 *     last word takes the bit away again unseen: it waits and sets it anew. So a bit that counts was set in a word without LOCK: either
 *     before the next writer's swap, who sees it, or after the last writer's release, whose data is then read. A bit that stands
 *     already, without LOCK, needs no swap: nobody has stored since it was set, and who stores from now on takes it.
 * L4  A reservation is on host bytes, one for each canonical byte: aliases and other mappings are seen.
 * L5  A store-exclusive takes others' reservations only when it stores, and a load-link takes none: somebody's always succeeds. Nobody holds a LOCK
 *     for longer than a copy of at most 64 bytes; no call, no fault, no safepoint lies in between.
 * L6  A bit may be stale: CLREX, a load-link elsewhere, an exception only forget excl_state. Then a store finds it, takes the
 *     long way once and sends an event too many, which WFE allows. A bit that stands is never too few: only its owner sets it.
 *     An own plain store keeps the own reservation (A3.4.1 leaves it open), if it is still meant.
 * L7  When the frame stops to be EXCL (the window of watched frames rolls on), that is in a quiescent section, where the reservations in
 *     it are forgotten.
 * How many frames to watch: a frame in which stores are frequent and exclusives rare is better let go and watched again. Which ones
 * these are would cost each store more to find out. But all stores to watched frames together are counted, and when they have cost as much as
 * watching a frame again does, the oldest is let go: so at most half of what watching costs is wasted. This is done when a
 * quiescent section is held anyway.
 * L8  With one vCPU there is nobody to watch but devices: its own plain stores do not break its reservation,
 *     so exclusives are inline compare-and-swaps, and a device's store ends the reservation first. A device that stores the
 *     old value back between the two host instructions that test and swap is taken to have stored before the load-link.
 * In translated code a store to a watched frame, a load-link and a store-conditional are stubs of 20 to 30 instructions with one locked
 * one (flat.watched). What they cannot do goes to the C twins: frames that are not entered yet or hold translations too, unaligned
 * stores, words that are locked or hold others' bits, as those others get an event.
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
#define LOCK   (UINT32_C(1) << 31)
_Static_assert(MAX_VCPUS < 31, "a bit a vCPU");

/* L2, L3. */
static _Atomic uint32_t words[1u << WORD_BITS] __attribute__((aligned(4096)));

static _Atomic uint32_t *word_of(const uint8_t *host)
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

/* L3. */
static void reserve(struct vcpu *v, const uint8_t *host)
{
    _Atomic uint32_t *w = word_of(host);
    for (;;) {
        /* Acquire: what the last writer stored is read after this. seq_cst: before the read of the data; other side is lock(). */
        uint32_t seen = atomic_load_explicit(w, memory_order_acquire);
        if (!(seen & LOCK) &&
            ((seen & v->excl_bit) || !(atomic_fetch_or_explicit(w, v->excl_bit, memory_order_seq_cst) & LOCK)))
            return;
        __builtin_ia32_pause();
    }
}

/* L2. Returns whose bits it has taken. */
static uint32_t lock(_Atomic uint32_t *w)
{
    uint32_t seen = atomic_load_explicit(w, memory_order_relaxed);
    for (;;) {
        if (seen & LOCK) {
            __builtin_ia32_pause();
            seen = atomic_load_explicit(w, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(w, &seen, LOCK, memory_order_seq_cst, memory_order_relaxed)) {
            return seen;
        }
    }
}

/* keep: bits to give back. */
static void unlock(_Atomic uint32_t *w, uint32_t keep)
{
    /* Release: who sees the word without LOCK, by reserve() or lock(), sees the data. */
    atomic_store_explicit(w, keep, memory_order_release);
}

/* ARM DDI 0406C B1.8.13: losing the reservation is an event. v: who took them, or NULL. */
static void tell(struct vcpu *v, uint32_t taken)
{
    if (v)
        taken &= ~v->excl_bit;
    for (; taken; taken &= taken - 1) {
        vcpu_send_event(vcpus[__builtin_ctz(taken)]);
        if (v)
            count(v, EXCL_BREAKS);
    }
}

/* -- The window of watched frames -------------------------------------------------------------------------------------- */

#define WINDOW_MAX 65536
#define FEWEST     16 /* frames that stay whatever stores cost */
static uint64_t window_pages, stores_per_frame;
static uint32_t stores_paid;           /* of the vCPUs' excl_stores together; guarded by window_lock */
static gpa *window;                    /* ring of window_pages + MAX_VCPUS; guarded by window_lock */
static uint64_t window_in, window_out; /* guarded by window_lock */
static struct mutex window_lock = MUTEX_INIT(RANK_WINDOW);

static const struct param params[] = {
    {"pages", "frames", "how many frames are watched before the oldest are let go", 8192, 1, WINDOW_MAX, &window_pages},
    {"stores", "stores", "to watched frames after which the oldest one is let go", 2000, 1, UINT32_MAX,
     &stores_per_frame},
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
    reserve(v, host);
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
    uint32_t taken;
};

/* L2. */
static bool strex_now(void *ctx)
{
    struct strex_try *t = ctx;
    _Atomic uint32_t *w = word_of(t->host);
    uint32_t seen = atomic_load_explicit(w, memory_order_relaxed);
    do {
        /* LOCK: somebody has taken the bit, though it may look set by a load-link that has come to nothing. */
        if ((seen & LOCK) || !(seen & t->v->excl_bit))
            return false;
        /* seq_cst: other sides are reserve() and lock(). */
    } while (!atomic_compare_exchange_weak_explicit(w, &seen, LOCK, memory_order_seq_cst, memory_order_relaxed));
    host_store(t->host, &t->val, t->bytes);
    unlock(w, 0);
    t->taken = seen;
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
        struct strex_try t = {v, host, val, bytes, 0};
        chaos_delay(v);
        stored = excl_modify(v, canon, bytes, strex_now, &t);
        tell(v, t.taken);
    }
    forget(v);
    if (stored)
        count(v, STREX_OK);
    else
        count(v, STREX_FAIL);
    dlog(EXCL, "vcpu%u: store-conditional %08x %s", v->index, va, stored ? "stored" : "failed");
    return !stored;
}

struct swap {
    struct excl_swap_try s;
    uint32_t taken;
};

static bool swap_now(void *ctx)
{
    struct swap *s = ctx;
    _Atomic uint32_t *w = word_of(s->s.host);
    s->taken = lock(w);
    excl_swap_now(&s->s);
    unlock(w, 0);
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
    struct swap s = {{host, val, 0, excl_bytes(mem)}, 0};
    excl_modify(v, canon, s.s.bytes, swap_now, &s);
    tell(v, s.taken);
    return s.s.old;
}

static void clear(struct vcpu *v)
{
    forget(v); /* L6 */
}

/* -- Stores to watched frames, and of devices --------------------------------------------------------------------------------- */

/* A granule at a time: what crosses them is not single-copy atomic anyway (A3.5.3: all that is has 8 aligned bytes at most). */
static void store_watched(struct vcpu *v, uint8_t *host, const void *val, size_t bytes)
{
    if (v)
        v->excl_stores++;
    while (bytes) {
        size_t n = GRANULE - ((uintptr_t)host & (GRANULE - 1));
        n = n < bytes ? n : bytes;
        _Atomic uint32_t *w = word_of(host);
        uint32_t taken = lock(w), keep = 0;
        if (UNLIKELY(taken) && v && reserved(v) && v->excl_host >> GRANULE_BITS == (uintptr_t)host >> GRANULE_BITS)
            keep = taken & v->excl_bit; /* L6 */
        host_store(host, val, n);
        unlock(w, keep);
        tell(v, taken);
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
    asm_lea(a, 8, word, mem_bi(RAX, word, 4, 0));
}

/* L2: from the word in eax to LOCK; "equal" if done. */
static void emit_lock(struct x64_asm *a, int word, int tmp)
{
    asm_mov_ri(a, tmp, LOCK);
    asm_lock_cmpxchg(a, 4, mem_b(word, 0), tmp);
}

static void emit_unlock(struct x64_asm *a, int word)
{
    asm_store_i(a, 4, mem_b(word, 0), 0); /* the host keeps stores in order */
}

static void emit_store_and_unlock(struct x64_asm *a, const struct watched_site *s)
{
    asm_store(a, s->bytes, mem_b(s->host, 0), s->data);
    emit_unlock(a, s->t1);
}

/* No bit of anyone stands: nobody is to be told. */
static void emit_watched_store(struct x64_asm *a, const struct watched_site *s)
{
    emit_word(a, s->t1, s->host);
    asm_mov_ri(a, RAX, 0);
    emit_lock(a, s->t1, s->t2);
    asm_jcc(a, CC_NE, s->slow);
    emit_store_and_unlock(a, s);
    asm_alu_mi(a, ALU_ADD, 4, VFIELD(excl_stores), 1);
}

/* The same for up to 16 words, in one granule or two. The locks of two are held together, so that nothing is stored when the
 * second cannot be had; they are tried, not waited for, so nobody can wait in a circle. If both granules have the same word,
 * the second try fails. */
static void emit_watched_stm(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label one = X64_LABEL_INIT, undo = X64_LABEL_INIT, copy = X64_LABEL_INIT, next = X64_LABEL_INIT,
                     unlock_first = X64_LABEL_INIT, end = X64_LABEL_INIT;
    emit_word(a, s->t1, s->host);
    asm_mov_ri(a, RAX, 0);
    emit_lock(a, s->t1, s->t2);
    asm_jcc(a, CC_NE, s->slow);
    asm_lea(a, 8, s->t3, mem_bi(s->host, s->data, 4, -1)); /* the last byte */
    asm_mov_rr(a, 8, RAX, s->t3);
    asm_alu_rr(a, ALU_XOR, 8, RAX, s->host);
    asm_shift_ri(a, SH_SHR, 8, RAX, GRANULE_BITS);
    asm_jcc(a, CC_E, &one);
    emit_word(a, s->t2, s->t3);
    asm_mov_ri(a, RAX, 0);
    emit_lock(a, s->t2, s->t3);
    asm_jcc(a, CC_NE, &undo);
    asm_jmp(a, &copy);
    asm_bind(a, &one);
    asm_mov_rr(a, 8, s->t2, s->t1);
    asm_bind(a, &copy);
    asm_mov_ri(a, s->t3, 0);
    asm_bind(a, &next);
    struct x64_mem from = VFIELD(mbuf);
    asm_load(a, 4, RAX, mem_bi(from.base, s->t3, 4, from.disp));
    asm_store(a, 4, mem_bi(s->host, s->t3, 4, 0), RAX);
    asm_alu_ri(a, ALU_ADD, 4, s->t3, 1);
    asm_alu_rr(a, ALU_CMP, 4, s->t3, s->data);
    asm_jcc(a, CC_B, &next);
    asm_alu_rr(a, ALU_CMP, 8, s->t1, s->t2);
    asm_jcc(a, CC_E, &unlock_first); /* once only: then it is another's */
    emit_unlock(a, s->t2);
    asm_bind(a, &unlock_first);
    emit_unlock(a, s->t1);
    asm_alu_mi(a, ALU_ADD, 4, VFIELD(excl_stores), 1);
    asm_jmp(a, &end);
    asm_bind(a, &undo);
    emit_unlock(a, s->t1);
    asm_jmp(a, s->slow);
    asm_bind(a, &end);
}

static void emit_watched_ldrex(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label stands = X64_LABEL_INIT;
    emit_word(a, s->t1, s->host);
    asm_load(a, 4, RAX, mem_b(s->t1, 0));
    asm_load(a, 4, s->t2, VFIELD(excl_bit));
    asm_test_rr(a, 4, RAX, RAX);
    asm_jcc(a, CC_S, s->slow); /* LOCK */
    asm_test_rr(a, 4, RAX, s->t2);
    asm_jcc(a, CC_NE, &stands);
    asm_lock_alu_mr(a, ALU_OR, 4, mem_b(s->t1, 0), s->t2);
    asm_jcc(a, CC_S, s->slow); /* L3: the result has LOCK */
    asm_bind(a, &stands);
    asm_store_i(a, 4, VFIELD(excl_state), s->bytes);
    asm_store(a, 8, VFIELD(excl_host), s->host);
    asm_load(a, s->bytes, RAX, mem_b(s->host, 0));
}

static void emit_watched_strex(struct x64_asm *a, const struct watched_site *s)
{
    struct x64_label fail = X64_LABEL_INIT, stored = X64_LABEL_INIT, end = X64_LABEL_INIT;
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), s->bytes);
    asm_jcc(a, CC_NE, &fail);
    asm_alu_rm(a, ALU_CMP, 8, s->host, VFIELD(excl_host));
    asm_jcc(a, CC_NE, &fail);
    emit_word(a, s->t1, s->host);
    asm_load(a, 4, RAX, VFIELD(excl_bit));
    emit_lock(a, s->t1, s->t2);
    asm_jcc(a, CC_E, &stored);
    asm_alu_rm(a, ALU_AND, 4, RAX, VFIELD(excl_bit)); /* what the word was: */
    asm_jcc(a, CC_NE, s->slow);                       /* others have bits too, to be told */
    asm_bind(a, &fail);                               /* the bit is gone */
    asm_mov_ri(a, RAX, 1);
    asm_jmp(a, &end);
    asm_bind(a, &stored);
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
    memset(words, 0, sizeof words);
    return true;
}

static bool vcpu_init(struct vcpu *v, struct error *e)
{
    (void)e;
    v->excl_bit = BIT(v->index);
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
