/*
 * page_state.c — the protocol between those who store to a frame and those who watch it
 *
 * The word of a frame: STORERS (bits 0..7, vCPU n may hold flat store entries), CODE and EXCL (flags), XSTORERS (bits 16..23,
 * vCPU n may store as EXCL asks, and may hold watched store entries), BUSY (bits 24..31, vCPU n is in a store in C that knows
 * the flags it saw at its begin).
 *
 * P1: a plain store happens only under a STORERS bit that was set in a word without flags, or that stood in
 *     one; so whoever adds a flag sees the bit.
 * P2: a store under flags with CODE happens under a BUSY bit; whoever adds a *further* flag sees that bit and makes it a
 *     STORERS bit.
 * P3: a flag may be relied on when no STORERS bit of another vCPU stands, nor, for CODE, an XSTORERS bit. Such bits go away
 *     QUIESCED, when every store in C has ended and the entries are dropped.
 * P4: a store under EXCL alone happens under an XSTORERS bit, which stays: the next such store only reads the word, and
 *     many of them do not bounce its line. Whoever adds CODE sees the bit.
 * P5: EXCL goes away only QUIESCED, with the frame's XSTORERS bits and watched entries. So a watched entry says that the frame is
 *     EXCL now; and since it is made when no STORERS bit stands and the word has a flag from then on, also that there is no plain
 *     storer. (CODE may be added while a watched entry stands; P3 makes it go before CODE is relied on.)
 * From these: no store that does not know of a flag happens after the flag is relied on.
 *
 * Each change is one read-modify-write of the word, and they need no more order than that of the word itself, but
 * what follows them reads (the code, the data of a load-link) or writes (the store) other memory: acquire
 * for what follows, release for the end of a store.
 */
#include "engine/mem/tlb.h"

static inline uint32_t own_bit(const struct vcpu *v)
{
    return v ? BIT(v->index) : 0;
}

uint32_t page_store_begin(struct vcpu *v, gpa canon)
{
    _Atomic uint32_t *state = page_state(canon);
    uint32_t storer = own_bit(v), xstorer = storer << 16, busy = storer << 24;
    uint32_t old = atomic_load_explicit(state, memory_order_relaxed);
    for (;;) {
        uint32_t flags = old & (PAGE_CODE | PAGE_EXCL);
        uint32_t bit = !flags ? storer : flags == PAGE_EXCL ? xstorer : busy;
        /* P1, P4: the bit stands already, and whoever adds a flag from now on sees it. */
        if (bit != busy && (old & bit))
            return flags;
        /* seq_cst: other side is the fetch in page_set_flag(). */
        if (atomic_compare_exchange_weak_explicit(state, &old, old | bit, memory_order_seq_cst, memory_order_relaxed))
            return flags;
    }
}

void page_store_end(struct vcpu *v, gpa canon)
{
    _Atomic uint32_t *state = page_state(canon);
    uint32_t busy = own_bit(v) << 24;
    /* Release: who sees the bit gone (page_set_flag) sees the store. */
    if (atomic_load_explicit(state, memory_order_relaxed) & busy)
        atomic_fetch_and_explicit(state, ~busy, memory_order_release);
}

bool page_set_flag(struct vcpu *v, gpa canon, uint32_t flag)
{
    _Atomic uint32_t *state = page_state(canon);
    uint32_t own = own_bit(v), bits = PAGE_STORERS;
    uint32_t old = atomic_load_explicit(state, memory_order_relaxed), new;
    if (flag & PAGE_CODE) {
        own |= own << 16;
        bits |= PAGE_XSTORERS; /* P3 */
    }
    do {
        new = old | flag;
        if (!(old & flag))
            new |= ((old & PAGE_BUSY) >> 24) & ~own; /* P2 */
        if (new == old)
            break;
        /* seq_cst: other sides are page_store_begin() and the look after a device's store (phys.c). */
    } while (!atomic_compare_exchange_weak_explicit(state, &old, new, memory_order_seq_cst, memory_order_relaxed));
    /* The flag stood and nothing changed: acquire for what page_store_end() released. */
    atomic_load_explicit(state, memory_order_acquire);
    if (new &own) {
        tlb_drop_frame(v, canon & ~(gpa)(GUEST_PAGE_SIZE - 1));
        atomic_fetch_and_explicit(state, ~own, memory_order_relaxed);
    }
    return !(new &bits & ~own);
}

void page_clear_flag(gpa canon, uint32_t flag)
{
    CHECK(!(flag & PAGE_EXCL), "P5: EXCL goes by softmmu_unwatch()");
    /* Relaxed: a storer that still sees the flag takes the long way once more. */
    atomic_fetch_and_explicit(page_state(canon), ~flag, memory_order_relaxed);
}

void softmmu_drop_storers(gpa canon)
{
    _Atomic uint32_t *state = page_state(canon);
    uint32_t old = atomic_fetch_and_explicit(state, ~(uint32_t)(PAGE_STORERS | PAGE_XSTORERS), memory_order_relaxed);
    for (unsigned i = 0; i < nvcpus; i++) {
        if (bit(old, i) || bit(old, i + 16))
            tlb_drop_frame(vcpus[i], canon & ~(gpa)(GUEST_PAGE_SIZE - 1));
    }
}

void softmmu_unwatch(gpa canon)
{
    softmmu_drop_storers(canon); /* P5 */
    atomic_fetch_and_explicit(page_state(canon), ~(uint32_t)PAGE_EXCL, memory_order_relaxed);
}
