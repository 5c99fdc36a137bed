/*
 * tb.h — the translation block: its data, its life, its links
 *
 * A block is born unreachable (exec/translate.c, under the page lock of its code), published in the index of the
 * tb-cache scheme, found, linked to others (chain.c), killed (invalidate.c), and its memory comes back as the
 * tb-lifetime scheme decides, never before a grace period.
 *
 * T1  Code bytes are read, and the block is put into its frame's list, in one critical section of the page lock;
 *     stores to frames with translations (PAGE_CODE) happen under the same lock. So each store comes either before
 *     the bytes are read or after the block can be found by it: none is lost.
 * T2  dead is set under the block's own jmp lock, before its incoming jumps are cut; tb_chain() tests it
 *     under that lock before it adds one. So nothing jumps to a dead block for longer than the cut takes.
 * T3  An exit's dest goes NULL -> block -> NULL ... -> TB_TOMB; TB_TOMB is final and is set when the exit's own
 *     block dies. Only a successful NULL -> block exchange links, so a dead block's exit never enters a list again.
 * T4  Both the struct and its code stay readable until every vCPU has passed a safepoint at which it dropped its
 *     pointers to blocks (sync/rcu.h), or QUIESCED for code memory under the flush lifetime.
 */
#ifndef ENGINE_TB_TB_H
#define ENGINE_TB_TB_H

#include "engine/ir/ir.h"
#include "engine/sync/lock.h"
#include "engine/sync/rcu.h"
#include "engine/vcpu/vcpu.h"

#define TB_TOMB ((struct tb *)1)

struct tb_exit {
    _Atomic(struct tb *) dest; /* T3 */
    struct tb_exit *next_in;   /* dest's incoming list; guarded by dest's jmp lock */
    struct tb *from;           /* const after publication, like all below */
    uint32_t target;           /* pc | T */
    uint8_t kind;              /* TB_LINK_* : which entry of the destination */
    uint8_t *jump_rw;          /* rel32 in the writable view; NULL: never linked */
    const uint8_t *jump_rx;
    const uint8_t *stub; /* where the rel32 points while unlinked */
};

enum { TB_LINK_MAIN, TB_LINK_POLL, TB_LINK_XPAGE };

/* The key holds everything that an emitter may read. */
struct tb_key {
    uint32_t pc, flags; /* virtual, without T; TBF_* */
    gpa canon;          /* canonical physical address of the first byte */
};

struct tb {
    struct tb_key key; /* const after publication */
    gpa canon_next;    /* second frame (at its start) if the code crosses a page, else UINT64_MAX */
    uint32_t nbytes, ninsns;
    /* Offsets in the first frame that the translation depends on: [lo, hi), at least its own bytes. */
    uint16_t dep_lo, dep_hi;
    uint8_t nexits, exits_max;
    uint8_t owner;     /* vCPU that translated it */
    _Atomic bool dead; /* T2. Readers elsewhere: relaxed, as a hint */
    struct spin jmp;
    struct tb_exit *in; /* incoming jumps; guarded by jmp */

    const uint8_t *entry_main, *entry_poll, *entry_xpage; /* const after publication */
    size_t code_bytes;
    struct ir_block *ir; /* interpreter only: own copy, cut to size */
    struct ir_ins *ir_ins;

    struct tb *page_next[2];             /* frame lists; guarded by the page lock of the frame */
    struct tb *chunk_next, **chunk_prev; /* blocks of one code chunk; guarded by the pool's lock */
    struct code_chunk *chunk;
    void *cache_node[2]; /* the tb-cache scheme's own */
    struct deferred rcu;
    struct tb_exit exits[]; /* room for exits_max */
};

static inline struct tb_exit *tb_exit_at(struct tb *tb, unsigned i)
{
    DCHECK(i < tb->exits_max, "exit %u of %u", i, tb->exits_max);
    return &tb->exits[i];
}

static inline bool tb_key_eq(const struct tb_key *a, const struct tb_key *b)
{
    return a->pc == b->pc && a->flags == b->flags && a->canon == b->canon;
}

static inline uint32_t tb_key_hash(const struct tb_key *k)
{
    uint64_t h = (uint64_t)k->pc << 32 | (uint32_t)(k->canon >> 1);
    h = (h ^ k->flags) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static inline bool tb_is_dead(const struct tb *tb)
{
    return atomic_load_explicit(&tb->dead, memory_order_relaxed);
}

/* -- Pages (page.c): block lists of RAM frames -------------------------------------------------------------------------- */

/* What a hook of PAGES context gets: made by tb_pages_lock() only. */
struct pages_locked {
    struct tb_page *page[2]; /* ascending; [1] may be NULL */
    gpa canon[2];
};

/* Lock the lists of one or two frames (canonical addresses, any order; b UINT64_MAX: none). Any thread. */
struct pages_locked tb_pages_lock(gpa a, gpa b);
void tb_pages_unlock(const struct pages_locked *w);
void tb_pages_add(const struct pages_locked *w, struct tb *tb);
void tb_pages_remove(const struct pages_locked *w, struct tb *tb);

/* A device is not quiescent while others flush: it kills blocks, and a flush happens, under this lock. */
extern struct mutex tb_foreign_lock;

/* Perform a store of v (NULL: a device) to a frame with PAGE_CODE and kill the translations of the bytes, as one
 * critical section (T1). Calls the atomics scheme's store twin if the frame is EXCL too. v's thread or any registered
 * one; no page lock held. Returns true if something died. */
bool tb_store_code(struct vcpu *v, gpa canon, uint8_t *host, const void *val, unsigned bytes);

/* The same for a store that is conditional: modify(ctx) is called under the page lock, performs it or not, and says
 * which; so does the call. */
bool tb_modify_code(struct vcpu *v, gpa canon, unsigned bytes, bool (*modify)(void *ctx), void *ctx);

/* QUIESCED, tb_foreign_lock held: forget all lists and clear PAGE_CODE everywhere. */
void tb_pages_drop_all(void);

/* -- Links (chain.c) -------------------------------------------------------------------------------------------------------- */

/* Own thread, both blocks held (read section). Patch e to jump to dest unless either has died. */
bool tb_chain(struct vcpu *v, struct tb_exit *e, struct tb *dest);

/* -- Death (invalidate.c): primitives that invalidation schemes compose. PAGES context -------------------------------------- */

bool tb_mark_dead(struct tb *tb);                            /* false: it was dead */
void tb_unhook(const struct pages_locked *w, struct tb *tb); /* from the index, the frame lists, every jump cache */
void tb_unchain(struct tb *tb);                              /* incoming and outgoing jumps */
void tb_free_later(struct tb *tb);                           /* hand its memory to the lifetime scheme */
void tb_retire(const struct pages_locked *w, struct tb *tb); /* all four in their usual order */

/* Kill one block by the invalidation scheme's retire(). */
void tb_invalidate(const struct pages_locked *w, struct tb *tb);
/* Kill one block from outside any lock: takes the page locks itself. Any registered thread, block held. */
void tb_invalidate_unlocked(struct tb *tb);

/* QUIESCED, or no vCPU runs: every living block, of all pools. fn may not kill any. */
void tb_for_each(void (*fn)(struct tb *tb));

/* Flush everything: QUIESCED. In time that grows with the blocks that live and the frames that have held code since the last. */
void tb_flush_quiesced(struct vcpu *v);
/* SAFEPOINT: flush now. */
void tb_flush_now(struct vcpu *v);

/* Own thread, in a helper whose block ends after it. all: ICIALLU and its like. Translations are coherent with stores already (T1),
 * so there is nothing to do, unless --iciallu=flush asks for a flush of all translations by each (to study flushes). */
void tb_icache_maintenance(struct vcpu *v, bool all);
extern bool tb_iciallu_flushes; /* const after LAUNCH */
uint64_t tb_live_count(void);

struct tb *tb_alloc(unsigned exits_max);
void tb_release(struct tb *tb); /* never published, or after its grace period */

extern struct histogram tb_flush_latency_ns, tb_inval_latency_ns; /* guarded by tb_hist_lock */

#endif
