/*
 * translate.c — blocks of guest code to IR: fetch, conditions, IT state, ends of blocks
 *
 * Conditions do not split a block. A predicated instruction becomes
 *   - conditional moves, when it and its neighbours of the same condition are plain register operations;
 *   - a side exit, when it is a direct branch;
 *   - else a part that a brcond jumps over; instructions of one condition share it until the flags change.
 *
 * IT state. v->it is 0 except inside an IT block, where fault paths store it. A block that ends inside an IT block
 * leaves by exit_loop with the next ITSTATE in v->it, because the key of the next block has it; every other exit sees
 * v->it == 0 (sync_it).
 *
 * An A32 target with bit 1 set (UNPREDICTABLE) is aligned down, by a block that only goes on there.
 */
#include "engine/arm/xlate.h"

#define MAX_STATIC_EXITS 8

/* -- Fetch and decode ----------------------------------------------------------------------------------------------- */

enum fetched { FETCH_OK, FETCH_PAGE_END, FETCH_NEEDS_NEXT };

static uint32_t le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

/* The condition under which the instruction runs, and whether it deals with it. */
static void find_condition(struct insn *in, bool thumb, uint8_t it)
{
    in->is_branch = false;
    in->cond = COND_AL;
    if (!thumb) {
        in->cond = (enum ir_cond)(in->word >> 28);
        if (in->cond == COND_NV)
            in->cond = COND_AL;
    } else if (it) {
        in->cond = (enum ir_cond)(it >> 4);
        if (in->cond == COND_NV) /* UNPREDICTABLE */
            in->cond = COND_AL;
    }
    if (!in->row)
        return;
    insn_fn *fn = in->row->fn;
    if (fn == op_bcond_t16 || fn == op_bcond_t32) {
        in->cond = (enum ir_cond)FIELD(&in->f, 'c');
        in->is_branch = true;
    } else if (fn == op_b_a32 || fn == op_b_t16 || fn == op_b_t32) {
        in->is_branch = true;
    } else if (thumb && (fn == op_bkpt || fn == op_it)) {
        in->cond = COND_AL; /* A8.8.24: BKPT is unconditional in an IT block */
    }
}

/* Decode the instruction at pc, which lies in the page of the request. first: it may cross the page's end. */
static enum fetched fetch(const struct xlate *x, uint32_t pc, uint8_t it, bool first, struct insn *in)
{
    unsigned done = pc - x->req->pc;
    const uint8_t *p = x->req->host + done;
    unsigned left = x->req->page_left - done;
    enum insn_set set;
    in->pc = pc;
    if (!x->thumb) {
        if (left < 4)
            return FETCH_PAGE_END;
        in->word = le16(p) | le16(p + 2) << 16;
        in->len = 4;
        set = in->word >> 28 == 0xf ? SET_A32_UNCOND : SET_A32;
    } else {
        if (left < 2)
            return FETCH_PAGE_END;
        in->word = le16(p);
        in->len = 2;
        set = SET_T16;
        if (t32_is_wide(in->word)) {
            const uint8_t *second = p + 2;
            if (left < 4) {
                if (!first)
                    return FETCH_PAGE_END;
                second = x->req->next;
                if (!second)
                    return FETCH_NEEDS_NEXT;
            }
            in->word = in->word << 16 | le16(second);
            in->len = 4;
            set = SET_T32;
        }
    }
    in->row = decode(set, in->word);
    if (in->row)
        decode_fields(in->row, in->word, &in->f);
    find_condition(in, x->thumb, it);
    return FETCH_OK;
}

/* -- Conditional parts ------------------------------------------------------------------------------------------------ */

static void close_group(struct xlate *x)
{
    if (x->group == COND_AL)
        return;
    ir_label(x->b, x->group_label);
    x->group = COND_AL;
}

static void open_group(struct xlate *x, enum ir_cond cond)
{
    x->group = cond;
    x->group_flags = false;
    x->group_label = ir_new_label(x->b);
    ir_brcond(x->b, (enum ir_cond)(cond ^ 1), x->group_label);
}

/* Conditional moves are worth it while all instructions of the same condition that follow directly are as plain. */
static bool choose_sel(const struct xlate *x)
{
    if (!sel_candidate(&x->insn, x->it != 0))
        return false;
    uint32_t pc = x->pc + x->insn.len;
    uint8_t it = it_advance(x->it);
    for (int n = 0; n < 3; n++) {
        struct insn next;
        if ((x->it && !it) || fetch(x, pc, it, false, &next) != FETCH_OK || next.cond != x->insn.cond || next.is_branch)
            return true;
        if (!sel_candidate(&next, it != 0))
            return false;
        pc += next.len;
        it = it_advance(it);
    }
    return true;
}

/* -- Peeking: which flags does the code at a target read before it writes them? --------------------------------------- */

/* Look at what has been emitted since the last call. Returns true when the answer is known. An operation that may
 * fault shows all flags to the handler, so it counts as a reader. */
static bool peek_scan(struct xlate *x)
{
    for (; x->peek_pos < x->b->n; x->peek_pos++) {
        const struct ir_ins *i = &x->b->ins[x->peek_pos];
        bool is_exit = ir_op_info[i->op].e || i->op == IR_EXIT_IF || i->op == IR_EXIT_IFZ || i->op == IR_EXIT_IFNZ;
        uint8_t reads = is_exit || may_leave(i) ? FLAG_ALL : ir_flags_read(i);
        x->peek_needed |= reads & (uint8_t)~x->peek_written;
        if (i->op == IR_BRCOND || i->op == IR_BRZ || i->op == IR_BRNZ || i->op == IR_BR)
            x->peek_skip = true;
        else if (i->op == IR_LABEL)
            x->peek_skip = false;
        else if (!x->peek_skip)
            x->peek_written |= i->s;
        if ((x->peek_needed | x->peek_written) == FLAG_ALL)
            return true;
    }
    return false;
}

/* -- The block ---------------------------------------------------------------------------------------------------------- */

static bool writes_flags(const struct ir_ins *i)
{
    return i->s || ((i->op == IR_CALL || i->op == IR_CALL64) && ir_helper_info[i->imm].writes_flags);
}

static void one_insn(struct xlate *x)
{
    struct ir_block *b = x->b;
    struct insn *in = &x->insn;
    bool clear_it = x->it_stored && !x->it; /* on all paths, so not inside a group */
    bool in_group = x->group != COND_AL && x->group == in->cond && !x->group_flags && !clear_it;
    if (!in_group)
        close_group(x);
    if (clear_it) {
        st_env(x, offsetof(struct vcpu, it), imm32(x, 0));
        x->it_stored = false;
    }
    ir_insn(b, in->pc, x->it);
    x->f = in->f;
    x->cond = x->sel = COND_AL;
    x->first_ins = b->n;
    if (in->cond != COND_AL && !in_group) {
        if (in->is_branch)
            x->cond = in->cond;
        else if (in->row && choose_sel(x))
            x->sel = in->cond;
        else
            open_group(x, in->cond);
    }
    if (in->row)
        in->row->fn(x, in->row->arg);
    else
        undefined(x);
    for (uint32_t i = x->first_ins; i < b->n; i++) {
        x->group_flags |= writes_flags(&b->ins[i]);
        x->it_stored |= x->it && may_leave(&b->ins[i]);
    }
    if (x->end && x->group != COND_AL) {
        close_group(x);
        x->end = false;
    }
}

static void go_on_at(struct xlate *x, uint32_t pc)
{
    uint32_t pc_t = pc | x->thumb;
    if (x->it) {
        /* The next block's key has ITSTATE. */
        st_env(x, offsetof(struct vcpu, it), imm32(x, x->it));
        ir_exit_loop(x->b, pc_t);
        return;
    }
    if (x->it_stored)
        st_env(x, offsetof(struct vcpu, it), imm32(x, 0));
    ir_exit(x->b, pc_t);
}

static void translate_range(struct xlate *x, struct arm_translated *out)
{
    const struct arm_translate_req *req = x->req;
    struct ir_block *b = x->b;
    uint32_t pc = req->pc;
    ir_begin(b);
    memset(out, 0, sizeof *out);
    x->thumb = (req->flags & TBF_THUMB) != 0;
    x->it = x->thumb ? (uint8_t)(req->flags >> TBF_IT_SHIFT) : 0;
    x->it_stored = x->it != 0;
    x->group = COND_AL;
    if (!x->thumb && (pc & 2)) {
        ir_insn(b, pc, 0);
        ir_exit(b, pc & ~3u);
        out->nbytes = 2;
        out->ninsns = 1;
        return;
    }
    while (!x->end) {
        bool first = out->ninsns == 0;
        enum fetched got = FETCH_PAGE_END;
        bool room = out->ninsns < req->max_insns && !b->full && (!req->stop_at || pc < req->stop_at) &&
                    b->labels < IR_MAX_LABELS - IR_RESERVE_LABELS && b->nexits < MAX_STATIC_EXITS - 1;
        if (room || first)
            got = fetch(x, pc, x->it, first, &x->insn);
        if (got == FETCH_NEEDS_NEXT) {
            out->needs_next = true;
            return;
        }
        if (got == FETCH_PAGE_END) {
            close_group(x);
            go_on_at(x, pc);
            break;
        }
        x->pc = pc;
        bool crosses = out->nbytes + x->insn.len > req->page_left;
        one_insn(x);
        /* IT itself has set the state for what follows. */
        if (!x->insn.row || x->insn.row->fn != op_it)
            x->it = it_advance(x->it);
        pc += x->insn.len;
        out->nbytes += x->insn.len;
        out->ninsns++;
        if (x->peeking && peek_scan(x))
            break;
        if (crosses && !x->end) {
            close_group(x);
            go_on_at(x, pc);
            break;
        }
    }
}

struct peek_ctx {
    const struct arm_translate_req *req;
    struct arm_translated *out;
};

#define PEEK_INSNS 8

static uint8_t peek_flags(void *ctx, uint32_t pc_t)
{
    static _Thread_local struct ir_block scratch;
    struct peek_ctx *c = ctx;
    uint32_t pc = pc_t & ~1u;
    if ((pc ^ c->req->pc) & ~0xfffu)
        return FLAG_ALL;
    if (!(pc_t & 1) && (pc & 2))
        return FLAG_ALL;
    struct arm_translate_req req = *c->req;
    req.host += (int32_t)(pc - req.pc);
    req.page_left = 0x1000 - (pc & 0xfff);
    req.pc = pc;
    req.next = NULL;
    req.max_insns = PEEK_INSNS;
    req.flags &= ~(TBF_THUMB | 0xffu << TBF_IT_SHIFT);
    if (pc_t & 1)
        req.flags |= TBF_THUMB;
    struct xlate x = {.b = &scratch, .req = &req, .peeking = true};
    struct arm_translated got;
    translate_range(&x, &got);
    if (got.needs_next)
        return FLAG_ALL;
    peek_scan(&x);
    uint8_t needed = x.peek_needed | (uint8_t)(FLAG_ALL & ~x.peek_written);
    if (needed == FLAG_ALL)
        return FLAG_ALL; /* the conservative answer depends on no bytes */
    struct arm_translated *out = c->out;
    uint32_t lo = pc, hi = pc + got.nbytes;
    if (lo >= c->req->pc && hi <= c->req->pc + out->nbytes)
        return needed;
    if (out->peek_lo == out->peek_hi) {
        out->peek_lo = lo;
        out->peek_hi = hi;
    } else {
        out->peek_lo = lo < out->peek_lo ? lo : out->peek_lo;
        out->peek_hi = hi > out->peek_hi ? hi : out->peek_hi;
    }
    return needed;
}

void arm_translate_block(struct ir_block *b, const struct arm_translate_req *req, struct arm_translated *out)
{
    struct xlate x = {.b = b, .req = req};
    translate_range(&x, out);
    if (out->needs_next)
        return;
    struct peek_ctx ctx = {req, out};
    ir_optimise(b, req->exact_flags ? NULL : peek_flags, &ctx);
}
