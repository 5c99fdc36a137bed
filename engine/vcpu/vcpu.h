/*
 * vcpu.h — one virtual CPU: the struct that all layers share
 *
 * Translated code addresses it through one pinned host register that points VCPU_BIAS bytes into it, so
 * that the fields of the first 256 bytes are reached with 8-bit displacements; the flat tables at the
 * end are reached with 32-bit ones. x64/abi.h asserts the offsets that emitted code assumes.
 *
 * Who may touch what: unless a field says otherwise it belongs to the vCPU's own thread, and other
 * threads touch it only while the vCPU is quiescent (QUIESCED context).
 */
#ifndef ENGINE_VCPU_VCPU_H
#define ENGINE_VCPU_VCPU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#include "engine/base/base.h"
#include "engine/vcpu/arm_sys.h"
#include "machines/machine.h"

#define VCPU_BIAS 128

/* -- The flat softmmu tables -------------------------------------------------------------------------
 *
 * One 8-byte entry for each of the 2^20 virtual pages, for loads and stores, privileged and not:
 * host address minus guest virtual address of the page, or 0 for "take the slow path". Being flat
 * there are no conflict misses and no tags; only the touched parts of the tables cost memory. A page is entered
 * in the store table only while plain stores to it need nobody's attention: not read-only, no
 * translations on it (CODE), not watched by an exclusive monitor (EXCL); so those checks cost the fast
 * path nothing. exec holds (physical page number << 1 | 1) of pages whose mapping for instruction
 * fetch is valid, or 0: a jump into another page compares it in the entry of the block it goes to.
 * watched is like store, for pages whose frame is EXCL and nothing else: a store that misses in the store table looks here next,
 * out of line, and on a hit does it as the atomics scheme has emitted it. Only schemes that emit such stores fill it.
 *
 * W: owner vCPU. Others: only QUIESCED. */
#define VPAGES (1u << 20)
enum { MMU_USER = 0, MMU_PRIV = 1, MMU_MODES = 2 };

struct flat_tables {
    uint64_t load[MMU_MODES][VPAGES];
    uint64_t store[MMU_MODES][VPAGES];
    uint32_t exec[MMU_MODES][VPAGES];
    uint64_t watched[MMU_MODES][VPAGES];
};

/* Jump cache: target (bit 0 = Thumb) -> polled entry of a block, by privilege; probed in emitted code.
 * Index: (pc >> 1) & (JC_ENTRIES - 1).
 * W: owner. Other threads may only store JC_EMPTY to key (atomically): invalidation of a block. */
#define JC_BITS    12
#define JC_ENTRIES (1u << JC_BITS)
/* The key of an empty entry: a target that belongs to another index, so no look-up there ever equals it. */
#define JC_EMPTY(i) ((i) ? 0u : 2u)
struct jc_entry {
    _Atomic uint32_t key;
    uint32_t unused;
    void *_Atomic host;
};

/* Poll word bits: why translated code should come back to the loop. */
enum {
    POLL_WORK = 1,  /* work queue not empty, or someone wants quiescence */
    POLL_IRQ = 2,   /* an interrupt line is up (checked against masks by the loop) */
    POLL_STOP = 4,  /* machine ends */
    POLL_FLUSH = 8, /* grace period wanted */
    POLL_STEP = 16,
    POLL_CHAOS = 32, /* fault injection */
};

struct tb;
struct vcpu_work;
struct interp;

struct vcpu {
    /* -- hot: 256 bytes reached with disp8 -- */
    uint32_t r[16];         /* r15: pc | T at safepoints and where helpers may raise */
    uint8_t nf, zf, cf, vf; /* each 0 or 1; C in ARM sense */
    uint32_t it;            /* ITSTATE where helpers may raise, and at safepoints */
    /* W: anyone, by atomic or; cleared by the owner at a safepoint. The owner's translated code reads it
     * relaxed at polled entries; vcpu_kick() (sync/) is the other side. */
    _Atomic uint32_t poll;
    uint32_t thumb;      /* CPSR.T at safepoints: 0 or 1 (also bit 0 of r15 there) */
    uint32_t q, ge;      /* CPSR.Q (0 or 1), GE (bits 3..0) */
    uint32_t excl_state; /* atomics scheme's own, inline code may use: e.g. 1 = reservation held */
    uint32_t excl_addr;  /*   ... virtual address */
    uint64_t excl_val;   /*   ... value read, or what excl_word had */
    uint64_t excl_host;  /*   ... host address */
    uint64_t host_rsp;   /* translated code: stack pointer at entry */
    uint64_t ras_limit;  /* translated code: below this the shadow stack of returns is dropped */
    uint64_t spill[8];   /* translated code: temporaries */
    uint64_t guess[2];   /* translated code: likely flat table entries (x64/guess.h) */
    uint32_t guess_votes;
    uint32_t excl_wait;   /* atomics scheme's own: how long a load-link that waits does so, a power of 2 */
    uint32_t excl_stores; /* atomics scheme's own: stores to watched frames, modulo 2^32 */
    /* Atomics scheme's own: a word that leaves excl_val for good when a reservation (excl_state not 0) is lost, which WFE takes as
     * an event (vcpu_take_event()); NULL: this scheme has none. W: owner; R: anyone, relaxed. */
    _Atomic uint64_t *excl_word;

    /* -- guest state out of the fast path -- */
    uint32_t cpsr;      /* mode, I F A, E, ...: all but N Z C V Q GE T IT, which live above */
    uint32_t index;     /* 0..MAX_VCPUS-1; const after LAUNCH */
    struct arm_sys sys; /* banked registers, CP15 */
    uint32_t mbuf[16];  /* ldm/stm slow path */
    uint64_t vfp[32] __attribute__((aligned(16))); /* d0..d31; q and s are parts of them */
    uint64_t vtmp[4];                              /* stores of structures: memory's order */
#define VCPU_FPSCR_IXC 0x10u /* cumulative Inexact and Saturation, as translated code tests and sets them */
#define VCPU_FPSCR_QC  0x08000000u
    uint32_t fpscr; /* but for N Z C V, 0 here: */
    /* FPSCR's flags as a host has them after a subtraction: V 0 or 1; bit 7 N, bit 6 Z, bit 0 not C, the others any.
     * Read and written by fp_nzcv() and fp_set_nzcv() of arm/fp.h, and in translated code. */
    uint8_t fpcc_v __attribute__((aligned(2))), fpcc_nzc;

    /* -- engine -- */
    jmp_buf leave;                                     /* vcpu_leave() comes back to the execution loop */
    uint32_t leave_reason;                             /* enum leave_reason */
    void (*leave_work)(struct vcpu *v, uintptr_t arg); /* LEAVE_SAFEWORK: to be run QUIESCED */
    uintptr_t leave_arg;
    void *exec;   /* exec/: struct exec_state */
    void *thread; /* sync/: struct vcpu_thread */
    void *tlb;    /* mem/: struct softmmu */
    const struct machine_cpu_ops *cpu_ops;

    /* Interrupt lines, enum vcpu_line. W: any thread, atomic; R: owner. Own cache line: devices write it. */
    _Atomic uint32_t lines CACHE_ALIGNED;
    /* Event register of WFE. Set by SEV, an interrupt (any thread, vcpu_send_event()), and for a lost reservation; tested and
     * cleared by the owner (vcpu_take_event()). */
    _Atomic uint32_t event;

    /* Counters: W owner, R anyone relaxed after the run. Indices: base/counters.def. */
    uint64_t counters[128] CACHE_ALIGNED;

    struct jc_entry jc[MMU_MODES][JC_ENTRIES] CACHE_ALIGNED;
    /* Bit i: jc[mode][i] may be filled; an entry whose bit is clear is empty. So clearing costs what was filled. */
    uint64_t jc_filled[MMU_MODES][JC_ENTRIES / 64];
    struct flat_tables flat __attribute__((aligned(4096)));
};

extern struct vcpu *vcpus[MAX_VCPUS];           /* const after LAUNCH */
extern unsigned nvcpus;                         /* const after LAUNCH */
extern _Thread_local struct vcpu *current_vcpu; /* NULL on other threads */

/* Why a helper or slow path leaves translated code in the middle of an instruction. */
enum leave_reason {
    LEAVE_NONE,
    LEAVE_EXCEPTION, /* an exception has been taken: r15, cpsr... are those of the handler */
    LEAVE_AGAIN,     /* from the loop, between blocks: go through a safepoint, then on at r15 */
    LEAVE_RESTART,   /* in the midst of an instruction: go through a safepoint, then run it, the one at r15, again */
    LEAVE_SAFEWORK,  /* run leave_work(v, leave_arg) QUIESCED, then restart the instruction */
    LEAVE_CONTINUE,  /* r15 is where to go on (e.g. after WFI) */
};

/* Context: GUEST (own thread, called from translated code or the interpreter with the state saved in v:
 * r[], flags, it, r15). Does not return; no lock may be held. */
NORETURN void vcpu_leave(struct vcpu *v, enum leave_reason why);
/* LEAVE_SAFEWORK in one call. */
NORETURN void vcpu_leave_for(struct vcpu *v, void (*work)(struct vcpu *v, uintptr_t arg), uintptr_t arg);

/* -- Jump cache: own thread, or QUIESCED ------------------------------------------------------------------------------ */

static inline void jc_drop(struct vcpu *v, unsigned mode, unsigned i)
{
    atomic_store_explicit(&v->jc[mode][i].key, JC_EMPTY(i), memory_order_relaxed);
}

/* Own thread. */
static inline void jc_put(struct vcpu *v, unsigned mode, uint32_t pc_t, const void *host)
{
    unsigned i = (pc_t >> 1) & (JC_ENTRIES - 1);
    jc_drop(v, mode, i);
    v->jc_filled[mode][i / 64] |= UINT64_C(1) << i % 64;
    atomic_store_explicit(&v->jc[mode][i].host, (void *)(uintptr_t)host, memory_order_relaxed);
    /* Release: no reader but translated code of the same thread needs it; another thread's invalidation compares the key. */
    atomic_store_explicit(&v->jc[mode][i].key, pc_t, memory_order_release);
}

void jc_clear_mode(struct vcpu *v, unsigned mode);
void jc_clear(struct vcpu *v);

static inline unsigned vcpu_mmu_mode(const struct vcpu *v)
{
    return (v->cpsr & 0x1f) == 0x10 ? MMU_USER : MMU_PRIV;
}

#define COUNTERS(X)                                                                                        \
 X(EXEC_LOOP_PASSES, "exec_loop_passes", "1", "passes of the execution loop")                              \
 X(TB_ENTERED, "tb_entered", "1", "entries from the loop into translated code")                            \
 X(TB_TRANSLATED, "tb_translated", "1", "blocks translated")                                               \
 X(TB_TRANSLATED_INSNS, "tb_translated_insns", "1", "guest instructions translated")                       \
 X(TB_CODE_BYTES, "tb_code_bytes", "B", "host code generated")                                             \
 X(TB_CHAINED, "tb_chained", "1", "direct jumps patched")                                                  \
 X(TB_CHAIN_REFUSED, "tb_chain_refused", "1", "direct jumps not patched: the invalidation scheme said no") \
 X(TB_FIND, "tb_find", "1", "look-ups in the index of blocks")                                             \
 X(TB_FIND_HIT, "tb_find_hit", "1", "of which found")                                                      \
 X(TB_INVALIDATED, "tb_invalidated", "1", "blocks invalidated one by one")                                 \
 X(TB_FLUSHES, "tb_flushes", "1", "flushes of all code")                                                   \
 X(TB_FLUSHED, "tb_flushed", "1", "blocks dropped by flushes")                                             \
 X(JC_MISS, "jc_miss", "1", "jump cache misses")                                                           \
 X(TLB_FILLS, "tlb_fills", "1", "entries made in the flat tables")                                         \
 X(TLB_FLUSHES, "tlb_flushes", "1", "flushes of the flat tables")                                          \
 X(TLB_FLUSHED_ENTRIES, "tlb_flushed_entries", "1", "entries removed by flushes")                          \
 X(PAGE_WALKS, "page_walks", "1", "guest page table walks")                                                \
 X(SLOW_LOADS, "slow_loads", "1", "loads that took the slow path")                                         \
 X(SLOW_STORES, "slow_stores", "1", "stores that took the slow path")                                      \
 X(MMIO, "mmio", "1", "device accesses")                                                                   \
 X(LDREX, "ldrex", "1", "load-exclusives in C")                                                            \
 X(STREX_OK, "strex_ok", "1", "store-exclusives in C that stored")                                         \
 X(STREX_FAIL, "strex_fail", "1", "store-exclusives in C that did not")                                    \
 X(EXCL_BREAKS, "excl_breaks", "1", "lost reservations that store-exclusives in C found")                  \
 X(EXCL_ARMS, "excl_arms", "1", "granules whose stores are seen again after many went unseen")             \
 X(EXCL_PAGES, "excl_pages", "1", "pages made exclusive")                                                  \
 X(SAFE_WORK, "safe_work", "1", "quiescent sections this vCPU asked for")                                  \
 X(SMC_STORES, "smc_stores", "1", "stores to bytes of translated code")                                    \
 X(EXCEPTIONS, "exceptions", "1", "guest exceptions taken")                                                \
 X(INTERRUPTS, "interrupts", "1", "guest interrupts taken")                                                \
 X(WFI, "wfi", "1", "sleeps in WFI or WFE")                                                                \
 X(HELPER_CALLS, "helper_calls", "1", "calls of helpers, other than for memory; counted like guest_insns") \
 X(GUEST_INSNS, "guest_insns", "1",                                                                        \
   "guest instructions begun, also if their condition fails: by the interpreter, and by translated code if it counts")

enum counter_id {
#define X(id, name, unit, help) CNT_##id,
    COUNTERS(X)
#undef X
        CNT_COUNT
};
_Static_assert(CNT_COUNT <= 128, "struct vcpu.counters");
#define count(v, id) ((v)->counters[CNT_##id]++)

#endif
