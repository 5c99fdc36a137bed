/*
 * softmmu.h — virtual to host addresses: flat tables, slow paths, page state
 *
 * The flat tables in struct vcpu are the fast path. Behind them each vCPU has a C-side TLB of full
 * entries (virtual page -> physical page, permissions, host frame, whether RAM or device).
 *
 * Page state. Each RAM page frame has one atomic word: bit n (0..7) set = vCPU n may hold entries of
 * this frame in its flat *store* table; CODE = there are translations of bytes of the frame; EXCL =
 * the frame is watched by the atomics scheme. Filling a store entry is one atomic operation that
 * sets the vCPU's bit and sees whether CODE or EXCL stands: either the filler sees the flag and does not
 * fill, or whoever sets the flag sees the bit and makes the holder drop its entry (QUIESCED) before
 * relying on it. There is no third order.
 * A store to a CODE frame goes through C (tb_store_code). While it does, bit 24+n
 * (BUSY) of the vCPU stands, for the *other* flag may be set meanwhile, and whoever sets it must not rely on
 * it before that store is over: setting a new flag turns BUSY bits of others into STORERS bits, and from there the
 * same rule holds. A store to a frame that is only EXCL goes through the atomics scheme, in C or by an entry in the flat table
 * `watched`; bit 16+n (XSTORERS) says that the vCPU may do so, which is whoever sets CODE must see. STORERS and XSTORERS bits
 * are cleared only by softmmu_drop_storers() and by their own vCPU; so a set bit says "may". The rules: page_state.c.
 */
#ifndef ENGINE_MEM_SOFTMMU_H
#define ENGINE_MEM_SOFTMMU_H

#include "engine/mem/mem.h"
#include "engine/vcpu/vcpu.h"

/* -- Page walks: provided by engine/arm/mmu.c ------------------------------------------------------------ */

enum access { ACC_LOAD, ACC_STORE, ACC_FETCH };

struct walk_result {
    gpa pa;                 /* of the page that contains va: 4 KiB frame */
    bool read, write, exec; /* allowed for the mode asked */
    bool global;            /* not tagged with an ASID */
    bool device;            /* strongly-ordered or device memory: unaligned accesses fault */
    uint8_t page_shift;     /* 12, 16, 20, 24, 21, 30: size of the mapping */
    uint8_t domain;         /* 0..15; 0 with long descriptors */
    /* If !ok: */
    uint32_t fsr; /* fault status as for DFSR/IFSR, without WnR */
};
/* Translate va for an access of mode MMU_USER or MMU_PRIV. Returns true if mapped and the access is
 * allowed (out->read.. say what else is); false: out->fsr. Own thread. May read guest page tables by mem_read. */
bool arm_translate(struct vcpu *v, gva va, enum access acc, unsigned mode, struct walk_result *out);

/* Take a data or prefetch abort at the instruction v->r[15] / v->it, state saved in v. Does not return.
 * engine/arm/exception.c */
NORETURN void arm_data_abort(struct vcpu *v, gva va, bool write, uint32_t fsr);
NORETURN void arm_prefetch_abort(struct vcpu *v, gva va, uint32_t fsr);
NORETURN void arm_alignment_fault(struct vcpu *v, gva va, bool write);
NORETURN void arm_external_abort(struct vcpu *v, gva va, bool write);
NORETURN void arm_prefetch_external_abort(struct vcpu *v, gva va);

/* -- Slow paths: GUEST context (called from translated code's cold stubs and from the interpreter). They do the
 * whole access, fill the flat tables when allowed, and raise by leaving. mem: MEM_* of ir.h. -------------------- */

uint32_t slow_load(struct vcpu *v, gva va, uint32_t mem);
uint64_t slow_load64(struct vcpu *v, gva va, uint32_t mem);
void slow_store(struct vcpu *v, gva va, uint32_t val, uint32_t mem);
void slow_store64(struct vcpu *v, gva va, uint64_t val, uint32_t mem);
/* mask: registers, bit 15 = an extra word. ldm: words arrive in v->mbuf[0..]; nothing else is changed: the caller
 * moves them to the registers. stm: v->mbuf[0..] are stored; all or nothing. */
void slow_ldm(struct vcpu *v, gva va, uint32_t nwords);
void slow_stm(struct vcpu *v, gva va, uint32_t nwords);

/* The access as the interpreter and helpers do it: flat table first, then the slow path. */
static inline uint64_t flat_entry(const struct vcpu *v, gva va, bool store, unsigned mode)
{
    return store ? v->flat.store[mode][va >> 12] : v->flat.load[mode][va >> 12];
}

/* For the atomics schemes' twins: host address of an aligned [va, va+bytes) in RAM after all permission
 * checks, with write permission checked too if `write`; raises on faults. *canon: canonical physical address.
 * Returns NULL if it is device memory (caller falls back to slow_load / slow_store semantics).
 * GUEST context. Fills the flat tables where the frame allows it. */
uint8_t *softmmu_host(struct vcpu *v, gva va, unsigned bytes, bool write, uint32_t mem, gpa *canon);

/* Debugger and semihosting: virtual access with privileged rights that never raises; false: not mapped. */
bool softmmu_debug_read(struct vcpu *v, gva va, void *buf, size_t bytes);
bool softmmu_debug_write(struct vcpu *v, gva va, const void *buf, size_t bytes);

/* Instruction fetch: canonical physical address and host pointer of the page of va for execution in the vCPU's
 * present mode, entered in flat.exec. Raises a prefetch abort by arm_prefetch_abort if `raise`; otherwise returns
 * false when there is none. SAFEPOINT or GUEST. */
bool softmmu_fetch(struct vcpu *v, gva va, bool raise, gpa *canon, const uint8_t **host);

/* -- TLB maintenance: own vCPU (owner's thread) or any vCPU when QUIESCED. All drop exec entries, the jump
 * cache and the C-side TLB accordingly. The ARM-side IS operations broadcast through sync/ work. ---------------- */

void softmmu_flush_all(struct vcpu *v);
void softmmu_flush_page(struct vcpu *v, gva va);
void softmmu_flush_nonglobal(struct vcpu *v); /* ASID switch */
/* v->sys.dacr was `old` and no longer is: what privileged accesses find follows at once; what unprivileged ones find, by
 * softmmu_settle_user(), which whoever goes to User mode or is about to make an unprivileged access in another mode
 * (LDRT) calls first. Owner's thread. */
void softmmu_dacr_changed(struct vcpu *v, uint32_t old);
void softmmu_settle_user(struct vcpu *v);

/* -- Page state (canonical frames) ------------------------------------------------------------------------------ */

enum {
    PAGE_STORERS = 0xff,
    PAGE_CODE = 0x100,
    PAGE_EXCL = 0x200,
    PAGE_XSTORERS = 0xff0000,
};
#define PAGE_BUSY 0xff000000u

/* NULL for what is not RAM. */
_Atomic uint32_t *page_state(gpa canon);

/* Set flag on a frame. Returns true if no *other* vCPU may store unaware of it (own entries are dropped at once);
 * false: the caller must run softmmu_drop_storers(frame) QUIESCED before relying on the flag. v may be NULL. */
bool page_set_flag(struct vcpu *v, gpa canon, uint32_t flag);
void page_clear_flag(gpa canon, uint32_t flag); /* CODE */
/* QUIESCED: the frame is EXCL no more. */
void softmmu_unwatch(gpa canon);
/* A store in C by v to a frame, by whoever does not use slow_store() (twins of store-exclusive and swap). begin
 * returns the flags that stand: CODE: the store must end in tb_store_code(); EXCL: in atomics->store() or the scheme's
 * own like. 0: store plainly. Between begin and end the vCPU must not leave (vcpu_leave) nor wait. */
uint32_t page_store_begin(struct vcpu *v, gpa canon);
void page_store_end(struct vcpu *v, gpa canon);
/* QUIESCED: remove the frame's entries from every vCPU's tables of stores, plain and watched. */
void softmmu_drop_storers(gpa canon);

/* -- What happens on stores that took the slow path: provided by tb/ and the atomics scheme --------------------- */

/* Perform the store of [canon, canon+bytes), within one CODE frame, and kill translations of these bytes, both under the
 * page's lock, so that a translation made meanwhile has seen the new bytes or dies. v: the storing vCPU, NULL: a device.
 * Goes through atomics->store() if the frame is EXCL too. val NULL: the bytes are stored already; only kill. Returns true
 * when the running block itself died: nothing need be done, it runs to its end as if the old bytes had been fetched
 * already (ARM DDI 0406C A3.5.4). Does not leave. tb/page.c */
bool tb_store_code(struct vcpu *v, gpa canon, uint8_t *host, const void *val, unsigned bytes);

bool softmmu_init(struct vcpu *v, struct error *e); /* LAUNCH */
void softmmu_free(struct vcpu *v);

#endif
