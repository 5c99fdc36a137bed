/*
 * chain.c — direct jumps from block to block
 *
 * Rules T2 and T3 of tb.h. The destination's jmp lock orders linking against the destination's death; the exit's dest
 * word orders it against the source's death. Both are needed: either block may die in another thread between the look-up
 * and the patch.
 */
#include "engine/base/log.h"
#include "engine/tb/link.h"
#include "engine/x64/x64.h"

static const uint8_t *entry_for(const struct tb_exit *e, const struct tb *dest)
{
    switch (e->kind) {
    case TB_LINK_MAIN: return dest->entry_main;
    case TB_LINK_POLL: return dest->entry_poll;
    default: return dest->entry_xpage;
    }
}

bool tb_chain(struct vcpu *v, struct tb_exit *e, struct tb *dest)
{
    bool linked = false;
    spin_lock(&dest->jmp, RANK_TB_JMP);
    struct tb *none = NULL;
    /* T2: dead is stable under the lock. */
    if (!tb_is_dead(dest) &&
        /* Release pairs with the acquire exchange in tb_unchain_outgoing(), and with the interpreter's load. */
        atomic_compare_exchange_strong_explicit(&e->dest, &none, dest, memory_order_acq_rel, memory_order_relaxed)) {
        e->next_in = dest->in;
        dest->in = e;
        if (e->jump_rw)
            x64_patch_jump(e->jump_rw, e->jump_rx, entry_for(e, dest));
        linked = true;
    }
    spin_unlock(&dest->jmp, RANK_TB_JMP);
    if (linked) {
        count(v, TB_CHAINED);
        dlog(TB, "vcpu%u: chain %08x -> %08x", v->index, e->from->key.pc, dest->key.pc);
    }
    return linked;
}

static void cut(struct tb_exit *e)
{
    if (e->jump_rw)
        x64_patch_jump(e->jump_rw, e->jump_rx, e->stub);
}

/* All jumps into tb go back to their stubs. tb is dead: no new ones come (T2). */
void tb_unchain_incoming(struct tb *tb)
{
    spin_lock(&tb->jmp, RANK_TB_JMP);
    for (struct tb_exit *e = tb->in, *next; e; e = next) {
        next = e->next_in;
        struct tb *expected = tb;
        cut(e);
        /* Fails if the source died meanwhile: then it is a tomb, and stays one (T3). */
        atomic_compare_exchange_strong_explicit(&e->dest, &expected, NULL, memory_order_acq_rel, memory_order_relaxed);
    }
    tb->in = NULL;
    spin_unlock(&tb->jmp, RANK_TB_JMP);
}

/* tb's own exits: none will be linked again, and none stays in a list. */
void tb_unchain_outgoing(struct tb *tb)
{
    for (unsigned i = 0; i < tb->nexits; i++) {
        struct tb_exit *e = &tb->exits[i];
        struct tb *dest = atomic_exchange_explicit(&e->dest, TB_TOMB, memory_order_acq_rel);
        if (!dest || dest == TB_TOMB)
            continue;
        spin_lock(&dest->jmp, RANK_TB_JMP);
        for (struct tb_exit **at = &dest->in; *at; at = &(*at)->next_in) {
            if (*at == e) {
                *at = e->next_in;
                break;
            }
        }
        cut(e);
        spin_unlock(&dest->jmp, RANK_TB_JMP);
    }
}
