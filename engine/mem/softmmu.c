/*
 * softmmu.c — slow paths of loads and stores, instruction fetch, and access for the debugger
 *
 * Each does the whole access and then leaves the flat tables so that the next one is fast, where the page allows it.
 *
 * Alignment (ARM DDI 0406C A3.2.1): MEM_ALIGN and MEM_ALIGN4 are checked before translation, unaligned access to
 * device and strongly-ordered memory after it. RAM that is mapped as device memory is never entered in the flat
 * tables, for the fast path does not look at alignment. With the MMU off the front of the walk (arm/mmu.c) calls
 * memory normal, so unaligned accesses to RAM work there, as they do in QEMU; to a device they fault always.
 *
 * An access across two pages has both translated, with the rights asked for, before the first byte moves.
 */
#include "engine/mem/softmmu.h"

#include "engine/ir/ir.h"
#include "engine/mem/tlb.h"
#include "engine/mem/watch.h"
#include "strategies/atomics/atomics.h"

#define OFFSET(va) ((va) & (GUEST_PAGE_SIZE - 1))

static inline unsigned size_of(uint32_t mem)
{
    return 1u << (mem & MEM_SIZE);
}

static inline unsigned mode_of(const struct vcpu *v, uint32_t mem)
{
    return mem & MEM_USER ? MMU_USER : vcpu_mmu_mode(v);
}

static inline bool crosses(gva va, unsigned bytes)
{
    return OFFSET(va) + bytes > GUEST_PAGE_SIZE;
}

static void check_alignment(struct vcpu *v, gva va, uint32_t mem, bool write)
{
    if (((mem & MEM_ALIGN) && (va & (size_of(mem) - 1))) || ((mem & MEM_ALIGN4) && (va & 3)) ||
        ((mem & MEM_ALIGN16) && (va & 15)))
        arm_alignment_fault(v, va, write);
}

/* -- One piece, within one page ------------------------------------------------------------------------- */

static void load_device(struct vcpu *v, const struct tlb_entry *e, gva va, void *buf, unsigned bytes)
{
    gpa pa = e->pa | OFFSET(va);
    uint32_t word[2];
    unsigned each = bytes < 4 ? bytes : 4; /* aligned: check_type() */
    for (unsigned i = 0; i < bytes; i += each) {
        count(v, MMIO);
        if (mem_mmio_read(pa + i, each, (int)v->index, &word[i / 4]) != MEM_OK)
            arm_external_abort(v, va + i, false);
    }
    memcpy(buf, word, bytes);
}

static void store_device(struct vcpu *v, const struct tlb_entry *e, gva va, const void *val, unsigned bytes)
{
    gpa pa = e->pa | OFFSET(va);
    unsigned each = bytes < 4 ? bytes : 4;
    for (unsigned i = 0; i < bytes; i += each) {
        uint32_t word = 0;
        memcpy(&word, (const char *)val + i, each);
        count(v, MMIO);
        if (mem_mmio_write(pa + i, each, (int)v->index, word) != MEM_OK)
            arm_external_abort(v, va + i, true);
    }
}

static void load_piece(struct vcpu *v, struct tlb_entry *e, gva va, void *buf, unsigned bytes)
{
    if (UNLIKELY(!e->host)) {
        load_device(v, e, va, buf, bytes);
        return;
    }
    if (!e->device)
        tlb_fill(v, e, IN_LOAD);
    host_load(buf, e->host + OFFSET(va), bytes);
}

/* The word had EXCL alone in page_store_begin(), which has set the XSTORERS bit. P5: no plain storer is left. */
static void fill_watched(struct vcpu *v, struct tlb_entry *e, gpa canon)
{
    uint32_t word = atomic_load_explicit(page_state(canon), memory_order_relaxed);
    if (atomics && atomics->store_watched && !e->device && (word & PAGE_EXCL) && !(word & (PAGE_CODE | PAGE_STORERS)))
        tlb_fill(v, e, IN_WATCHED);
}

static void store_piece(struct vcpu *v, struct tlb_entry *e, gva va, const void *val, unsigned bytes)
{
    if (UNLIKELY(!e->host)) {
        store_device(v, e, va, val, bytes);
        return;
    }
    uint8_t *host = e->host + OFFSET(va);
    gpa canon = e->canon + OFFSET(va);
    uint32_t flags = page_store_begin(v, canon);
    if (!flags) {
        if (!e->device)
            tlb_fill(v, e, IN_STORE);
        host_store(host, val, bytes);
        return;
    }
    if (flags & PAGE_CODE) {
        /* That the running block may have died makes no difference to it (see its declaration). */
        (void)tb_store_code(v, canon, host, val, bytes);
    } else if (atomics && atomics->store) {
        fill_watched(v, e, canon);
        atomics->store(v, canon, host, val, bytes);
    } else {
        host_store(host, val, bytes);
    }
    page_store_end(v, canon);
}

/* -- Whole accesses ---------------------------------------------------------------------------------------- */

/* The memory type's word on an unaligned access to the page of e. A device behind memory called normal faults too: it
 * has no bytes to put together. */
static void check_type(struct vcpu *v, const struct tlb_entry *e, gva va, unsigned bytes, bool write)
{
    unsigned unit = bytes == 8 ? 4 : bytes; /* a doubleword is a pair of words */
    if ((va & (unit - 1)) && (e->device || !e->host))
        arm_alignment_fault(v, va, write);
}

/* What an access needs to know of its page, or two; all of its aborts come before any of it is done. Returns the bytes that lie
 * in the first page: less than `bytes` if there is e[1]. */
ALWAYS_INLINE unsigned translate(struct vcpu *v, gva va, unsigned bytes, enum access acc, unsigned mode,
                                 struct tlb_entry *e[2])
{
    bool write = acc == ACC_STORE;
    if (LIKELY(!crosses(va, bytes))) {
        e[0] = tlb_translate(v, va, acc, mode);
        check_type(v, e[0], va, bytes, write);
        if (UNLIKELY(e[0]->watchpoint))
            watch_check(v, va, bytes, write);
        return bytes;
    }
    unsigned first = GUEST_PAGE_SIZE - OFFSET(va);
    tlb_reserve(v, 2);
    e[0] = tlb_translate(v, va, acc, mode);
    check_type(v, e[0], va, bytes, write);
    e[1] = tlb_translate(v, va + first, acc, mode);
    check_type(v, e[1], va, bytes, write);
    if (UNLIKELY(e[0]->watchpoint || e[1]->watchpoint))
        watch_check(v, va, bytes, write);
    return first;
}

static void load(struct vcpu *v, gva va, void *buf, unsigned bytes, unsigned mode)
{
    struct tlb_entry *e[2];
    unsigned first = translate(v, va, bytes, ACC_LOAD, mode, e);
    load_piece(v, e[0], va, buf, first);
    if (UNLIKELY(first < bytes))
        load_piece(v, e[1], va + first, (char *)buf + first, bytes - first);
}

/* By the watched table, if that can be. */
static bool try_watched(struct vcpu *v, gva va, const void *val, unsigned bytes, unsigned mode)
{
    if (mode == MMU_USER)
        softmmu_settle_user(v); /* T3 */
    uint64_t watched = v->flat.watched[mode][va >> 12];
    if (!watched || crosses(va, bytes))
        return false;
    atomics->store_watched(v, (uint8_t *)(uintptr_t)(watched + va), val, bytes);
    return true;
}

static void store(struct vcpu *v, gva va, const void *val, unsigned bytes, unsigned mode)
{
    if (try_watched(v, va, val, bytes, mode))
        return;
    struct tlb_entry *e[2];
    unsigned first = translate(v, va, bytes, ACC_STORE, mode, e);
    store_piece(v, e[0], va, val, first);
    if (UNLIKELY(first < bytes))
        store_piece(v, e[1], va + first, (const char *)val + first, bytes - first);
}

uint32_t slow_load(struct vcpu *v, gva va, uint32_t mem)
{
    uint32_t x = 0;
    count(v, SLOW_LOADS);
    check_alignment(v, va, mem, false);
    load(v, va, &x, size_of(mem), mode_of(v, mem));
    if (mem & MEM_SIGNED)
        x = (uint32_t)sext(x, 8 * size_of(mem));
    return x;
}

uint64_t slow_load64(struct vcpu *v, gva va, uint32_t mem)
{
    uint64_t x = 0;
    count(v, SLOW_LOADS);
    check_alignment(v, va, mem, false);
    load(v, va, &x, 8, mode_of(v, mem));
    return x;
}

void slow_store(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    count(v, SLOW_STORES);
    check_alignment(v, va, mem, true);
    store(v, va, &val, size_of(mem), mode_of(v, mem));
}

void slow_store64(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    count(v, SLOW_STORES);
    check_alignment(v, va, mem, true);
    store(v, va, &val, 8, mode_of(v, mem));
}

/* The word accesses of an LDM or STM span at most two pages: 16 words. */
static void probe_words(struct vcpu *v, gva va, uint32_t nwords, enum access acc)
{
    CHECK(nwords <= ARRAY_SIZE(v->mbuf), "%u words", nwords);
    if (va & 3)
        arm_alignment_fault(v, va, acc == ACC_STORE);
    tlb_reserve(v, 2);
    bool watched = tlb_translate(v, va, acc, vcpu_mmu_mode(v))->watchpoint;
    if (nwords && crosses(va, 4 * nwords))
        watched |= tlb_translate(v, (va & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE, acc, vcpu_mmu_mode(v))->watchpoint;
    if (UNLIKELY(watched) && nwords)
        watch_check(v, va, 4 * nwords, acc == ACC_STORE);
}

void slow_ldm(struct vcpu *v, gva va, uint32_t nwords)
{
    count(v, SLOW_LOADS);
    probe_words(v, va, nwords, ACC_LOAD);
    for (uint32_t i = 0; i < nwords; i++)
        load(v, va + 4 * i, &v->mbuf[i], 4, vcpu_mmu_mode(v));
}

void slow_stm(struct vcpu *v, gva va, uint32_t nwords)
{
    count(v, SLOW_STORES);
    if (!(va & 3) && try_watched(v, va, v->mbuf, 4 * nwords, vcpu_mmu_mode(v)))
        return;
    probe_words(v, va, nwords, ACC_STORE);
    for (uint32_t i = 0; i < nwords; i++)
        store(v, va + 4 * i, &v->mbuf[i], 4, vcpu_mmu_mode(v));
}

/* -- For others ------------------------------------------------------------------------------------------------ */

uint8_t *softmmu_host(struct vcpu *v, gva va, unsigned bytes, bool write, uint32_t mem, gpa *canon)
{
    if (va & (bytes - 1))
        arm_alignment_fault(v, va, write);
    struct tlb_entry *e = tlb_translate(v, va, write ? ACC_STORE : ACC_LOAD, mode_of(v, mem));
    if (UNLIKELY(e->watchpoint))
        watch_check(v, va, bytes, write);
    if (!e->host)
        return NULL;
    *canon = e->canon + OFFSET(va);
    if (e->device)
        return e->host + OFFSET(va);
    /* So that exclusives to pages that see nothing else come to their fast paths too: by the load table, the store table, or
     * the watched one, for a load-link as well if the page may be written. Which it is is decided by page_store_begin(); the
     * look before only spares a CODE frame a busy bit. */
    if (!write)
        tlb_fill(v, e, IN_LOAD);
    uint32_t seen = atomic_load_explicit(page_state(*canon), memory_order_relaxed) & (PAGE_CODE | PAGE_EXCL);
    if (seen == PAGE_EXCL ? e->write && !(e->filled & IN_WATCHED) : write && !seen) {
        uint32_t flags = page_store_begin(v, *canon);
        if (flags == PAGE_EXCL)
            fill_watched(v, e, *canon);
        else if (!flags && write)
            tlb_fill(v, e, IN_STORE);
        page_store_end(v, *canon);
    }
    return e->host + OFFSET(va);
}

bool softmmu_fetch(struct vcpu *v, gva va, bool raise, gpa *canon, const uint8_t **host)
{
    unsigned mode = vcpu_mmu_mode(v);
    uint32_t fsr = 0;
    struct tlb_entry *e = raise ? tlb_translate(v, va, ACC_FETCH, mode) : tlb_try(v, va, ACC_FETCH, mode, &fsr);
    if (!e)
        return false;
    if (!e->host) {
        if (raise)
            arm_prefetch_external_abort(v, va);
        return false;
    }
    tlb_fill(v, e, IN_EXEC);
    *canon = e->canon;
    *host = e->host;
    return true;
}

/* Piece by piece through the present tables, with no TLB in between and no rights but "mapped". */
static bool debug_access(struct vcpu *v, gva va, void *out, const void *in, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        gva at = va + (gva)done;
        struct walk_result w;
        if (!arm_translate(v, at, ACC_LOAD, MMU_PRIV, &w))
            return false;
        size_t n = GUEST_PAGE_SIZE - OFFSET(at);
        if (n > bytes - done)
            n = bytes - done;
        gpa pa = (w.pa & ~(gpa)(GUEST_PAGE_SIZE - 1)) | OFFSET(at);
        enum mem_result r = in ? mem_write(pa, (const char *)in + done, n) : mem_read(pa, (char *)out + done, n);
        if (r != MEM_OK)
            return false;
        done += n;
    }
    return true;
}

bool softmmu_debug_read(struct vcpu *v, gva va, void *buf, size_t bytes)
{
    return debug_access(v, va, buf, NULL, bytes);
}

bool softmmu_debug_write(struct vcpu *v, gva va, const void *buf, size_t bytes)
{
    return debug_access(v, va, NULL, buf, bytes);
}
