/*
 * loop.h — the execution loop: a template over an invalidation scheme
 *
 * Each scheme's file instantiates it once, with its own small static functions, which the compiler inlines: no
 * indirect call stands between two passes, and what a scheme costs per pass can be read in its machine code.
 *
 *   before_find   what the scheme must see before the search, as the search may translate and so flush;
 *                 may clear x->last
 *   may_chain     after the search: may x->last be patched to jump to the block found?
 *   found         what the scheme remembers about the block found, for the next pass
 *
 * before_find and found may be NULL.
 */
#ifndef ENGINE_EXEC_LOOP_H
#define ENGINE_EXEC_LOOP_H

#include "engine/exec/exec.h"
#include "engine/sync/sync.h"
#include "engine/x64/x64.h"

typedef void (*loop_before_find)(struct vcpu *v, struct exec_state *x);
typedef bool (*loop_may_chain)(struct vcpu *v, struct exec_state *x);
typedef void (*loop_found)(struct vcpu *v, struct exec_state *x);

ALWAYS_INLINE struct tb *exec_find(struct vcpu *v, struct exec_state *x)
{
    uint32_t flags = arm_tb_flags(v);
    unsigned mode = flags & TBF_PRIV ? MMU_PRIV : MMU_USER;
    uint32_t pc_t = v->r[15];
    unsigned i = (pc_t >> 1) & (JC_ENTRIES - 1);
    /* Relaxed: the entry's own thread wrote it; another can only have emptied it. A block that dies now may still be
     * entered once, as if the store that killed it came later. */
    if (LIKELY((flags & ~(uint32_t)TBF_THUMB) == x->jc_flags[mode] &&
               atomic_load_explicit(&v->jc[mode][i].key, memory_order_relaxed) == pc_t))
        return x->jc_tb[mode][i];
    return exec_find_slow(v, flags);
}

ALWAYS_INLINE struct tb_exit *exec_enter(struct vcpu *v, struct tb *tb)
{
    if (exec_config.engine == ENGINE_INTERP)
        return exec_enter_interp(v, tb);
    return x64_enter(v, tb->entry_main);
}

ALWAYS_INLINE bool exec_loop(struct vcpu *v, loop_before_find before_find, loop_may_chain may_chain, loop_found found)
{
    struct exec_state *x = exec_state(v);
    for (;;) {
        count(v, EXEC_LOOP_PASSES);
        /* lines: relaxed; arm_take_interrupt() reads it again with acquire. */
        if (sync_wanted(v) || UNLIKELY(atomic_load_explicit(&v->lines, memory_order_relaxed)))
            if (!exec_safepoint(v))
                return false;
        if (before_find)
            before_find(v, x);
        struct tb *tb = exec_find(v, x);
        if (x->last) {
            if (may_chain(v, x))
                tb_chain(v, x->last, tb);
            else
                count(v, TB_CHAIN_REFUSED);
            x->last = NULL;
        }
        if (found)
            found(v, x);
        count(v, TB_ENTERED);
        x->last = exec_enter(v, tb);
        v->thumb = v->r[15] & 1;
    }
}

#endif
