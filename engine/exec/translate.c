/*
 * translate.c — the birth of a block: locks, guest bytes, IR, host code, publication
 *
 * The order of steps is what keeps rule T1 (tb.h): take the page lock; mark the frame PAGE_CODE and make sure that no vCPU
 * can store to it past the slow path; only then read the bytes; put the block into the frame's list before the lock is
 * dropped. When another vCPU may still hold a store entry, everything is let go, the entries are dropped QUIESCED, and we
 * start again: no lock is ever held while waiting for vCPUs.
 */
#include <stdlib.h>

#include "engine/base/log.h"
#include "engine/exec/chaos.h"
#include "engine/exec/loop.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/rcu.h"
#include "strategies/atomics/atomics.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

static void drop_storers_work(struct vcpu *v, uintptr_t canon)
{
    (void)v;
    softmmu_drop_storers((gpa)canon);
}

static unsigned exits_of(const struct ir_block *ir)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < ir->n; i++) {
        switch (ir->ins[i].op) {
        case IR_EXIT: n += ir->ins[i].aux == EXIT_CALL ? 2 : 1; break;
        case IR_EXIT_IF:
        case IR_EXIT_IFZ:
        case IR_EXIT_IFNZ: n++; break;
        case IR_EXIT_IND: n += ir->ins[i].aux == EXIT_CALL; break;
        default: break;
        }
    }
    return n;
}

/* The interpreter's copy of the IR, and its exits in the order interp_run() counts them. */
static void fill_for_interp(struct tb *tb, const struct ir_block *ir)
{
    size_t bytes = offsetof(struct ir_block, ins) + ir->n * sizeof ir->ins[0];
    tb->ir = malloc(bytes);
    CHECK(tb->ir, "out of memory");
    memcpy(tb->ir, ir, bytes);
    for (uint32_t i = 0; i < ir->n; i++) {
        const struct ir_ins *in = &ir->ins[i];
        if (in->op != IR_EXIT && in->op != IR_EXIT_IF && in->op != IR_EXIT_IFZ && in->op != IR_EXIT_IFNZ)
            continue;
        bool cross = (in->imm ^ tb->key.pc) & GUEST_PAGE_MASK;
        tb->exits[tb->nexits++] =
            (struct tb_exit){.from = tb, .target = in->imm, .kind = cross ? TB_LINK_XPAGE : TB_LINK_POLL};
    }
}

static void fill_from_code(struct tb *tb, const struct x64_code *code, const struct code_span *span)
{
    tb->entry_main = span->rx + code->entry_main;
    tb->entry_poll = span->rx + code->entry_poll;
    tb->entry_xpage = span->rx + code->entry_xpage;
    CHECK(code->nexits <= tb->exits_max, "block %08x has %u exits, room for %u", tb->key.pc, code->nexits,
          tb->exits_max);
    tb->nexits = (uint8_t)code->nexits;
    for (unsigned i = 0; i < code->nexits; i++) {
        const struct x64_exit_info *e = &code->exits[i];
        bool chainable = e->jump_off != UINT32_MAX;
        tb->exits[i] = (struct tb_exit){
            .from = tb,
            .target = e->target,
            .kind = e->cross_page ? TB_LINK_XPAGE
                    : e->backward ? TB_LINK_POLL
                                  : TB_LINK_MAIN,
            .jump_rw = chainable ? span->rw + e->jump_off : NULL,
            .jump_rx = chainable ? span->rx + e->jump_off : NULL,
            .stub = chainable ? span->rx + e->stub_off : NULL,
        };
    }
}

/* What one attempt ended in. */
enum attempt { DONE, RETRY, NEED_QUIESCENCE, NEED_NEXT_PAGE, NEED_ROOM };

struct job {
    struct tb_key key;
    const uint8_t *host, *next_host;
    gpa next_canon; /* UINT64_MAX: not needed so far */
    unsigned insns;
    bool bounded;
    size_t need; /* bytes of code memory */
    gpa quiesce_frame;
    struct tb *tb;
};

static bool protect(struct vcpu *v, struct job *j, gpa canon)
{
    if (j->bounded || page_set_flag(v, canon & ~(gpa)0xfff, PAGE_CODE))
        return true;
    j->quiesce_frame = canon & ~(gpa)0xfff;
    return false;
}

/* Page locks held, bytes stable: guest code to IR. False: the second page is wanted. */
static bool read_guest(struct vcpu *v, const struct job *j, struct arm_translated *out)
{
    struct ir_block *ir = &exec_state(v)->ir;
    struct arm_translate_req req = {
        .pc = j->key.pc,
        .flags = j->key.flags,
        .host = j->host,
        .page_left = GUEST_PAGE_SIZE - (j->key.pc & 0xfff),
        .next = j->next_host,
        .max_insns = j->insns,
        .stop_at = j->bounded ? 0 : debug_next_break(j->key.pc), /* D1 */
        .exact_flags = exec_config.exact_flags,
    };
    arm_translate_block(ir, &req, out);
    if (out->needs_next)
        return false;
    const char *wrong = ir_verify(ir);
    CHECK(!wrong, "IR of block %08x: %s", j->key.pc, wrong);
    return true;
}

/* Page locks held, between the scheme's generate_begin and _end: IR to host code, published. */
static enum attempt generate(struct vcpu *v, struct job *j, const struct arm_translated *out, struct code_pool *pool,
                             const struct pages_locked *w)
{
    struct ir_block *ir = &exec_state(v)->ir;
    bool interp = exec_config.engine == ENGINE_INTERP;
    if (!j->need)
        j->need = interp ? 16 + ir->n : x64_code_bound(ir->n);
    if (j->need > pool->chunk[0].size) {
        CHECK(j->insns > 1, "code memory chunk of %zu bytes is too small for one instruction", pool->chunk[0].size);
        j->insns /= 2;
        j->need = 0;
        return RETRY;
    }
    struct code_span span = code_pool_reserve(pool, j->need);
    if (!span.bytes || chaos_fail(v, CHAOS_ALLOC))
        return NEED_ROOM;

    struct tb *tb = tb_alloc(exits_of(ir));
    tb->key = j->key;
    tb->owner = (uint8_t)v->index;
    tb->nbytes = out->nbytes;
    tb->ninsns = out->ninsns;
    bool crosses = (j->key.pc & 0xfff) + out->nbytes > GUEST_PAGE_SIZE;
    if (crosses)
        tb->canon_next = j->next_canon & ~(gpa)0xfff;
    unsigned lo = j->key.pc & 0xfff, hi = crosses ? GUEST_PAGE_SIZE : lo + out->nbytes;
    if (out->peek_lo != out->peek_hi) {
        unsigned a = out->peek_lo & 0xfff, b = a + (out->peek_hi - out->peek_lo);
        lo = a < lo ? a : lo;
        hi = b > hi ? b : hi;
    }
    tb->dep_lo = (uint16_t)lo;
    tb->dep_hi = (uint16_t)(hi > GUEST_PAGE_SIZE ? GUEST_PAGE_SIZE : hi);

    size_t used;
    struct x64_code code;
    if (interp) {
        fill_for_interp(tb, ir);
        used = j->need;
    } else {
        struct x64_request xr = {
            .ir = ir,
            .tb = tb,
            .pc = j->key.pc,
            .flags = j->key.flags,
            .page_ppn = {j->key.canon >> 12, crosses ? tb->canon_next >> 12 : UINT64_MAX},
            .no_chain = exec_config.no_chain || j->bounded,
            .count_insns = exec_config.count_insns,
            .atomics = atomics,
            .span = span,
        };
        if (!x64_translate(&xr, &code)) {
            tb_release(tb);
            j->need = span.bytes >= pool->chunk[0].size ? pool->chunk[0].size + 1 : span.bytes + 4096;
            return RETRY;
        }
        used = code.bytes;
        fill_from_code(tb, &code, &span);
    }
    code_pool_commit(pool, &span, used, tb);
    if (j->bounded)
        code_pool_forget(
            tb); /* walks over blocks see published ones; the code stays while this thread passes no safepoint */
    if (exec_config.dump && j->key.pc >= exec_config.dump_lo && j->key.pc <= exec_config.dump_hi)
        exec_dump_block(tb, ir, j->host, interp ? NULL : span.rw);
    count(v, TB_TRANSLATED);
    v->counters[CNT_TB_TRANSLATED_INSNS] += out->ninsns;
    v->counters[CNT_TB_CODE_BYTES] += used;

    if (!j->bounded) {
        struct tb *winner = tb_cache->insert(v, w, tb);
        if (winner != tb) {
            code_pool_forget(tb);
            tb_release(tb);
            tb = winner;
        } else {
            tb_pages_add(w, tb);
        }
    }
    dlog(TB, "vcpu%u: block %08x, %u instructions, %zu bytes", v->index, tb->key.pc, tb->ninsns, tb->code_bytes);
    j->tb = tb;
    return DONE;
}

static enum attempt attempt(struct vcpu *v, struct job *j, struct code_pool **pool)
{
    struct pages_locked w = tb_pages_lock(j->key.canon, j->next_canon);
    struct arm_translated read = {0};
    enum attempt result;
    *pool = NULL;
    if (!j->bounded && (j->tb = tb_cache->find(v, &j->key)) &&
        (j->tb->canon_next == UINT64_MAX || j->tb->canon_next == (j->next_canon & ~(gpa)0xfff)) && !tb_is_dead(j->tb))
        result = DONE; /* another vCPU was faster */
    else if (!protect(v, j, j->key.canon) || (j->next_canon != UINT64_MAX && !protect(v, j, j->next_canon)))
        result = NEED_QUIESCENCE;
    else if (!read_guest(v, j, &read))
        result = NEED_NEXT_PAGE;
    else {
        *pool = tb_cache->generate_begin(v);
        result = generate(v, j, &read, *pool, &w);
        tb_cache->generate_end(v);
    }
    tb_pages_unlock(&w);
    return result;
}

struct tb *exec_translate(struct vcpu *v, struct tb_key key, const uint8_t *host, unsigned insns, bool bounded)
{
    if (UNLIKELY(debug_break_at(key.pc)) && !bounded)
        debug_stop_at_break(v); /* D1 */
    struct job j = {.key = key, .host = host, .next_canon = UINT64_MAX, .insns = insns, .bounded = bounded};
    for (;;) {
        struct code_pool *pool;
        switch (attempt(v, &j, &pool)) {
        case DONE:
            if (tb_lifetime->ahead && pool)
                tb_lifetime->ahead(v, pool);
            return j.tb;
        case RETRY: break;
        case NEED_QUIESCENCE:
            sync_safe_work(v, drop_storers_work, (uintptr_t)j.quiesce_frame);
            vcpu_leave(v, LEAVE_AGAIN); /* see NEED_ROOM */
        case NEED_NEXT_PAGE:
            /* May leave: a prefetch abort on the second half. */
            softmmu_fetch(v, (key.pc & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE, true, &j.next_canon, &j.next_host);
            break;
        case NEED_ROOM:
            tb_lifetime->make_room(v, pool, j.need);
            /* Nobody waited for us meanwhile: there may be work, such as a TLB flush, to run before any guest code (S3). */
            vcpu_leave(v, LEAVE_AGAIN);
        }
    }
}

void exec_forget_bounded(struct tb *tb)
{
    if (tb_mark_dead(tb))
        tb_free_later(tb);
}
