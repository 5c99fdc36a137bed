/*
 * atomics.h — the axis: when does a store-exclusive succeed?
 *
 * How LDREX/STREX/CLREX/SWP, and the stores that break reservations, become host code. Source of the rules: ARM DDI
 * 0406C A3.4. Engine's part: alignment, translation and permission checks, the page state word, and which
 * stores come through store() (those to EXCL frames and those of devices).
 */
#ifndef STRATEGIES_ATOMICS_ATOMICS_H
#define STRATEGIES_ATOMICS_ATOMICS_H

#include "engine/vcpu/vcpu.h"
#include "strategies/strategy.h"

struct x64_asm;

/* A site in emitted code after the engine's part: alignment is checked and the flat table has been probed (load
 * table for ldrex, store table for strex); when the probe misses the cold path calls the C twin, so inline
 * code and twin must agree on the reservation's representation (v->excl_*). Registers are numbers of x64/asm.h. */
struct excl_site {
    int va;       /* guest virtual address; preserved */
    int host;     /* host address of the data; preserved by ldrex */
    int lo;       /* ldrex: receives the data (32 bits zero-extended, or all 64); strex: data to store (64: whole);
                   strex preserves it. May be a pinned register. */
    int status;   /* strex: receives 0 or 1; differs from the others. ldrex: -1 */
    int tmp;      /* free, or -1: rax is always free for strex (lock cmpxchg) and never one of the above */
    uint32_t mem; /* MEM_8..MEM_64 */
};

/* A site in a stub that serves frames which are EXCL and nothing else: the page was found in flat.watched, so
 * that holds now and until the vCPU's next safepoint (P5 in mem/page_state.c), the address is aligned, and the mode may store to it. The code
 * falls through when the access is done, or jumps to slow with memory and the vCPU's fields as they were: the C twin does it
 * anew. rax is free; the other registers but t1, t2, t3 are kept. */
struct watched_site {
    int host; /* host address of the data */
    int data; /* store, strex: value; ldrex: -1, the data goes to rax; strex: rax receives 0 or 1; stm: how many words,
                       1 to 16, of v->mbuf */
    int t1, t2, t3; /* free; t3: stm only */
    unsigned bytes; /* 1, 2, 4, 8; of a word of stm */
    struct x64_label *slow;
};

struct atomics_ops {
    struct strategy head;
    /* LAUNCH. May be NULL. */
    bool (*launch)(struct error *e);
    bool (*vcpu_init)(struct vcpu *v, struct error *e);
    void (*shutdown)(void);

    /* XLATE. NULL: emitted code calls the twin. Budget: most host instructions on the fast path, counted by a test. */
    void (*emit_ldrex)(struct x64_asm *a, const struct excl_site *s);
    void (*emit_strex)(struct x64_asm *a, const struct excl_site *s);
    void (*emit_clrex)(struct x64_asm *a);
    unsigned budget_ldrex, budget_strex;

    /* GUEST: twins. mem: MEM_*. They translate (softmmu_host), fault, and may leave to ask for safe work.
     * strex returns 0 when stored, 1 when not. */
    uint64_t (*ldrex)(struct vcpu *v, gva va, uint32_t mem);
    uint32_t (*strex)(struct vcpu *v, gva va, uint64_t val, uint32_t mem);
    /* SWP/SWPB, atomic with respect to everything. */
    uint32_t (*swp)(struct vcpu *v, gva va, uint32_t val, uint32_t mem);
    /* CLREX, exception entry and return: own local monitor. Own thread. */
    void (*clear)(struct vcpu *v);

    /* FOREIGN: *performs* a plain store of 1, 2, 4, 8 bytes (aligned: atomically) or of any range to an EXCL frame or by
     * a device, and breaks the reservations it hits. v: the storing vCPU, NULL for a device. NULL hook: plain memcpy. */
    void (*store)(struct vcpu *v, gpa canon, uint8_t *host, const void *val, size_t bytes);
    /* GUEST. Optional: the scheme's frames may be entered in flat.watched. store_watched: as store, by v, within one page that was
     * found there. emit_watched_*: LAUNCH, all or none, for stubs; then emitted code comes here before the twins. */
    void (*store_watched)(struct vcpu *v, uint8_t *host, const void *val, size_t bytes);
    void (*emit_watched_store)(struct x64_asm *a, const struct watched_site *s);
    void (*emit_watched_stm)(struct x64_asm *a, const struct watched_site *s);
    void (*emit_watched_ldrex)(struct x64_asm *a, const struct watched_site *s);
    void (*emit_watched_strex)(struct x64_asm *a, const struct watched_site *s);
    /* True if device stores must come through store() even to frames that are not EXCL. */
    bool watches_devices;
};

extern const struct atomics_ops *atomics; /* the chosen one; const after LAUNCH */

#endif
