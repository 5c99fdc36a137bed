/*
 * find.c — from guest state to a block: jump cache fills, index look-ups
 */
#include "engine/base/log.h"
#include "engine/exec/loop.h"
#include "engine/mem/softmmu.h"
#include "strategies/tb-cache/tb_cache.h"

static void jc_fill(struct vcpu *v, struct exec_state *x, unsigned mode, uint32_t pc_t, struct tb *tb)
{
    /* A block across two pages depends on the second one's mapping too, of which the cache knows nothing: its entry would be
     * refused by the block's own check for ever. */
    if (tb->canon_next != UINT64_MAX)
        return;
    unsigned i = (pc_t >> 1) & (JC_ENTRIES - 1);
    x->jc_tb[mode][i] = tb;
    jc_put(v, mode, pc_t, tb->entry_poll);
    /* Pairs with the fence in tb_unhook(): either its scan sees this entry, or we see that the block is dead. */
    atomic_thread_fence(memory_order_seq_cst);
    if (tb_is_dead(tb))
        jc_drop(v, mode, i);
}

/* The jump cache of a mode holds blocks of one set of key flags (T aside, which is in the key). */
static void jc_for_flags(struct vcpu *v, struct exec_state *x, unsigned mode, uint32_t base)
{
    if (x->jc_flags[mode] == base)
        return;
    jc_clear_mode(v, mode);
    x->jc_flags[mode] = base;
}

/* The byte of pc: its canonical physical address and where it is in the host. */
static bool fetch(struct vcpu *v, uint32_t pc, bool raise, gpa *canon, const uint8_t **host)
{
    if (!softmmu_fetch(v, pc, raise, canon, host))
        return false;
    *canon |= pc & 0xfff;
    *host += pc & 0xfff;
    return true;
}

static struct tb *look_up(struct vcpu *v, const struct tb_key *key)
{
    count(v, TB_FIND);
    struct tb *tb = tb_cache->find(v, key);
    if (tb && tb->canon_next != UINT64_MAX) {
        /* The second page's mapping is part of what the code is. */
        gpa next;
        const uint8_t *host;
        if (!softmmu_fetch(v, (key->pc & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE, false, &next, &host) ||
            (next & ~(gpa)0xfff) != tb->canon_next)
            return NULL;
    }
    if (tb)
        count(v, TB_FIND_HIT);
    return tb;
}

struct tb *exec_find_slow(struct vcpu *v, uint32_t flags)
{
    struct exec_state *x = exec_state(v);
    uint32_t pc_t = v->r[15];
    unsigned mode = flags & TBF_PRIV ? MMU_PRIV : MMU_USER;
    gpa canon;
    const uint8_t *host;
    fetch(v, pc_t & ~1u, true, &canon, &host); /* may leave: prefetch abort */
    struct tb_key key = {pc_t & ~1u, flags, canon};
    struct tb *tb = look_up(v, &key);
    if (!tb) {
        uint64_t before = x->sections;
        tb = exec_translate(v, key, host, exec_config.max_insns, false);
        if (x->sections != before)
            x->last = NULL;
    }
    uint32_t base = flags & ~(uint32_t)TBF_THUMB;
    if (!(flags >> TBF_IT_SHIFT & 0xff)) {
        jc_for_flags(v, x, mode, base);
        jc_fill(v, x, mode, pc_t, tb);
    }
    return tb;
}

const void *exec_jump_cache_miss(struct vcpu *v, uint32_t pc_t)
{
    struct exec_state *x = exec_state(v);
    count(v, JC_MISS);
    if (exec_config.no_chain || atomic_load_explicit(&v->poll, memory_order_relaxed))
        return NULL;
    v->thumb = pc_t & 1;
    uint32_t flags = arm_tb_flags(v);
    flags = (flags & ~(uint32_t)(TBF_THUMB | 0xffu << TBF_IT_SHIFT)) | (pc_t & 1);
    unsigned mode = flags & TBF_PRIV ? MMU_PRIV : MMU_USER;
    if (x->jc_flags[mode] != (flags & ~(uint32_t)TBF_THUMB))
        return NULL;
    gpa canon;
    const uint8_t *host;
    if (!fetch(v, pc_t & ~1u, false, &canon, &host))
        return NULL;
    struct tb_key key = {pc_t & ~1u, flags, canon};
    struct tb *tb = look_up(v, &key);
    if (!tb)
        return NULL;
    jc_fill(v, x, mode, pc_t, tb);
    return tb->entry_poll;
}
