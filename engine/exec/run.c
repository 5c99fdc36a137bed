/*
 * run.c — around the loop: safepoints, leaving instructions half-way, bounded runs
 */
#include <stdlib.h>

#include "engine/base/log.h"
#include "engine/exec/chaos.h"
#include "engine/exec/fatal.h"
#include "engine/exec/loop.h"
#include "engine/interp/interp.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/rcu.h"
#include "strategies/atomics/atomics.h"

struct exec_config exec_config = {.engine = ENGINE_JIT, .max_insns = 64, .dump_hi = UINT32_MAX};

bool exec_init_vcpu(struct vcpu *v, struct error *e)
{
    struct exec_state *x = calloc(1, sizeof *x);
    if (!x) {
        error_set(e, 1, "out of memory for vCPU %u", v->index);
        return false;
    }
    x->jc_flags[0] = x->jc_flags[1] = UINT32_MAX; /* matches no state */
    v->exec = x;
    return true;
}

void exec_blocks_lost(struct vcpu *v)
{
    struct exec_state *x = exec_state(v);
    x->last = NULL;
    x->sections++;
}

/* What others asked for by the poll word. */
static bool heed(struct vcpu *v)
{
    uint32_t poll = atomic_load_explicit(&v->poll, memory_order_relaxed);
    if (poll & POLL_FLUSH) {
        exec_blocks_lost(v);
        rcu_safepoint(v);
    }
    if ((poll & ~(uint32_t)POLL_FLUSH) || vcpu_thread(v)->sleep) {
        if (vcpu_thread(v)->sleep)
            exec_blocks_lost(v); /* asleep it is offline: see sync/rcu.h */
        chaos_safepoint(v);      /* first: it may wait, and what others want of us meanwhile is done below (S3) */
        if (!sync_safepoint(v))
            return false;
        if (UNLIKELY(vcpu_thread(v)->was_held)) { /* it was offline, and a debugger may have moved it */
            vcpu_thread(v)->was_held = false;
            exec_blocks_lost(v);
        }
    }
    return true;
}

bool exec_safepoint(struct vcpu *v)
{
    struct exec_state *x = exec_state(v);
    for (;;) {
        if (!heed(v))
            return false;
        if (LIKELY(!(atomic_load_explicit(&v->poll, memory_order_relaxed) & POLL_STEP)))
            break;
        debug_do_step(v);
    }
    if (arm_take_interrupt(v)) {
        count(v, INTERRUPTS);
        x->last = NULL;
    }
    return true;
}

void exec_run(struct vcpu *v, bool (*loop)(struct vcpu *v))
{
    struct exec_state *x = exec_state(v);
    if (setjmp(v->leave)) {
        x->last = NULL;
        v->thumb = v->r[15] & 1;
        CHECK(!lock_ranks_held, "vCPU %u left an instruction holding lock \"%s\"", v->index,
              lock_rank_name((enum lock_rank)__builtin_ctz(lock_ranks_held)));
        if (UNLIKELY(x->bounded)) {
            exec_forget_bounded(x->bounded);
            x->bounded = NULL;
        }
        debug_left(v);
        if (v->leave_reason == LEAVE_EXCEPTION)
            fatal_watch(v);
        if ((v->leave_reason == LEAVE_RESTART || v->leave_reason == LEAVE_SAFEWORK) &&
            (exec_config.count_insns || exec_config.engine == ENGINE_INTERP))
            v->counters[CNT_GUEST_INSNS]--; /* it is begun again, and counts once */
        if (v->leave_reason == LEAVE_SAFEWORK)
            sync_safe_work(v, v->leave_work, v->leave_arg);
    }
    while (loop(v))
        ;
}

/* -- The interpreter as engine ---------------------------------------------------------------------------------------------- */

/* May dest be entered through e, as entry_xpage and entry_poll would decide? */
static bool link_holds(struct vcpu *v, const struct tb_exit *e, const struct tb *dest)
{
    if (e->kind == TB_LINK_XPAGE || dest->canon_next != UINT64_MAX) {
        unsigned mode = dest->key.flags & TBF_PRIV ? MMU_PRIV : MMU_USER;
        if (v->flat.exec[mode][dest->key.pc >> 12] != (uint32_t)(dest->key.canon >> 12 << 1 | 1))
            return false;
        if (dest->canon_next != UINT64_MAX &&
            v->flat.exec[mode][(dest->key.pc >> 12) + 1] != (uint32_t)(dest->canon_next >> 12 << 1 | 1))
            return false;
    }
    return !atomic_load_explicit(&v->poll, memory_order_relaxed);
}

struct tb_exit *exec_enter_interp(struct vcpu *v, struct tb *tb)
{
    for (;;) {
        struct interp_end end = interp_run(v, tb->ir, atomics);
        if (end.exit < 0 || exec_config.no_chain)
            return NULL;
        struct tb_exit *e = &tb->exits[end.exit];
        /* Acquire pairs with the exchange in tb_chain(): a vCPU that sees the link sees the block. */
        struct tb *dest = atomic_load_explicit(&e->dest, memory_order_acquire);
        if (!dest || dest == TB_TOMB)
            return dest ? NULL : e;
        v->thumb = v->r[15] & 1;
        if (!link_holds(v, e, dest))
            return NULL;
        tb = dest;
    }
}

/* -- Bounded runs --------------------------------------------------------------------------------------------------------------- */

void exec_run_bounded(struct vcpu *v, uint64_t *left)
{
    struct exec_state *x = exec_state(v);
    uint32_t pc = v->r[15] & ~1u;
    gpa canon;
    const uint8_t *host;
    exec_blocks_lost(v);
    softmmu_fetch(v, pc, true, &canon, &host);
    struct tb_key key = {pc, arm_tb_flags(v) | TBF_SINGLE, canon | (pc & 0xfff)};
    /* The block belongs to this pass alone; no pointer to any other block is kept across its translation (what QEMU's
     * cpu_exec_nocache got wrong more than once). */
    unsigned n = *left < exec_config.max_insns ? (unsigned)*left : exec_config.max_insns;
    struct tb *tb = exec_translate(v, key, host + (pc & 0xfff), n, true);
    *left -= tb->ninsns;
    x->bounded = tb;
    exec_enter(v, tb);
    x->bounded = NULL;
    v->thumb = v->r[15] & 1;
    exec_forget_bounded(tb);
}

static bool bounded_once(struct vcpu *v)
{
    struct exec_state *x = exec_state(v);
    exec_blocks_lost(v);
    if (sync_wanted(v) || atomic_load_explicit(&v->lines, memory_order_relaxed))
        if (!exec_safepoint(v))
            return false;
    exec_run_bounded(v, &x->token); /* instructions left */
    return false;                   /* one block a call */
}

uint64_t exec_bounded(struct vcpu *v, uint64_t n)
{
    struct exec_state *x = exec_state(v);
    uint64_t left = n;
    while (left && !sync_stopping()) {
        x->token = left;
        exec_run(v, bounded_once);
        if (x->token == left && vcpu_thread(v)->sleep)
            break;
        left = x->token;
    }
    return n - left;
}
