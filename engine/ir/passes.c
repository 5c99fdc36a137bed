/*
 * passes.c — what is left to do on a whole block: dead code, dead flags, dead register writes, use counts
 *
 * Labels are only jumped to forwards, so that one walk backwards sees every successor before its predecessors
 * and liveness needs no iteration. The walk drops flag results that nobody can see; what lost its flags may
 * then fold (a `movs` of a constant, an `adds` of two), which a walk forwards does; and if that changed
 * anything a second walk backwards gets the final facts.
 */
#include "engine/ir/ir.h"

#include "engine/ir/helpers.h"

static void make_nop(struct ir_ins *in)
{
    *in = (struct ir_ins){.op = IR_NOP, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE};
}

/* Remove what follows the end of a path up to the next label that somebody names. */
static void drop_unreachable(struct ir_block *b)
{
    bool wanted[IR_MAX_LABELS + 1] = {false};
    bool reachable = true;
    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_ins *in = &b->ins[i];
        if (in->op == IR_LABEL) {
            if (wanted[in->imm < IR_MAX_LABELS ? in->imm : IR_MAX_LABELS])
                reachable = true;
        }
        if (!reachable) {
            make_nop(in);
            continue;
        }
        switch (in->op) {
        case IR_BR:
        case IR_BRCOND:
        case IR_BRZ:
        case IR_BRNZ:
            wanted[in->imm < IR_MAX_LABELS ? in->imm : IR_MAX_LABELS] = true;
            if (in->op == IR_BR)
                reachable = false;
            break;
        default:
            if (ir_op_info[in->op].e)
                reachable = false;
        }
    }
}

/* What is known at a point of the backward walk about everything after it. */
struct after {
    uint8_t live, live_exc;
    uint16_t overwritten; /* registers that are set again before anyone can look at them */
};

static void join(struct after *a, const struct after *other)
{
    a->live |= other->live;
    a->live_exc |= other->live_exc;
    a->overwritten &= other->overwritten;
}

static void use(struct ir_block *b, ir_val v, uint32_t at)
{
    if (v == IR_NONE)
        return;
    struct ir_ins *def = &b->ins[v];
    if (!def->uses++)
        def->last_use = (uint16_t)at;
}

/* Does control leave the block here, perhaps with a fall-through? Gives the flags that the place it goes to wants. */
static bool leaves(const struct ir_ins *in, ir_peek_flags peek, void *ctx, uint8_t *wants)
{
    switch (in->op) {
    case IR_EXIT:
    case IR_EXIT_IF:
    case IR_EXIT_IFZ:
    case IR_EXIT_IFNZ: *wants = peek ? peek(ctx, in->imm) : FLAG_ALL; return true;
    case IR_EXIT_IND:
    case IR_EXIT_LOOP:
    case IR_EXIT_LOOP_IND: *wants = FLAG_ALL; return true;
    default: return false;
    }
}

/* One walk backwards. Returns whether some op lost flag results. */
static bool walk_back(struct ir_block *b, const uint8_t *exit_wants)
{
    struct after labels[IR_MAX_LABELS];
    struct after now = {FLAG_ALL, FLAG_ALL, 0};
    bool lost_flags = false;

    for (uint32_t i = 0; i < b->n; i++)
        b->ins[i].uses = b->ins[i].last_use = 0;

    for (uint32_t i = b->n; i-- > 0;) {
        struct ir_ins *in = &b->ins[i];
        const struct ir_op_info *info = &ir_op_info[in->op];

        /* Successors */
        switch (in->op) {
        case IR_NOP: /* has no part in it, but whoever walks the block need not know that */
            in->live = now.live;
            in->live_exc = now.live_exc;
            continue;
        case IR_BR: now = labels[in->imm]; break;
        case IR_BRCOND:
        case IR_BRZ:
        case IR_BRNZ: join(&now, &labels[in->imm]); break;
        case IR_EXIT_IF:
        case IR_EXIT_IFZ:
        case IR_EXIT_IFNZ: join(&now, &(struct after){exit_wants[i], exit_wants[i], 0}); break;
        default:
            if (info->e)
                now = (struct after){exit_wants[i], exit_wants[i], 0};
        }

        /* Is it needed? */
        uint8_t seen = in->s & now.live_exc;
        if (seen != in->s) {
            in->s = seen;
            lost_flags = true;
        }
        bool dead = !info->x && !in->s && !in->uses;
        if (in->op == IR_SET_REG)
            dead = now.overwritten & BIT(in->imm);
        else if (info->s && info->x) /* set_nzcv and the like */
            dead = !in->s;
        if (dead)
            make_nop(in);
        in->live = now.live;
        in->live_exc = now.live_exc;
        if (dead)
            continue;

        /* What is true before it */
        uint8_t reads = ir_flags_read(in);
        now.live = (now.live & ~in->s) | reads;
        now.live_exc = (now.live_exc & ~in->s) | reads;
        if (info->f) {
            now.live_exc = FLAG_ALL;
            now.overwritten = 0;
        }
        switch (in->op) {
        case IR_LABEL: labels[in->imm] = now; break;
        case IR_SET_REG: now.overwritten |= BIT(in->imm); break;
        case IR_GET_REG: now.overwritten &= ~BIT(in->imm); break;
        case IR_CALL:
        case IR_CALL64: {
            const struct ir_helper_info *h = &ir_helper_info[in->imm];
            if (h->reads_regs || h->writes_regs || h->leaves)
                now.overwritten = 0;
            break;
        }
        default: break;
        }
        use(b, in->a, i);
        use(b, in->b, i);
        use(b, in->c, i);
    }
    return lost_flags;
}

/* Fold again, forwards, now that some ops have no flag results. */
static void walk_fold(struct ir_block *b)
{
    ir_val same[IR_MAX_INS]; /* of a value: itself or what replaces it */
    for (uint32_t i = 0; i < b->n; i++) {
        struct ir_ins *in = &b->ins[i];
        same[i] = (ir_val)i;
        if (in->op == IR_NOP)
            continue;
        if (in->a != IR_NONE)
            in->a = same[in->a];
        if (in->b != IR_NONE)
            in->b = same[in->b];
        if (in->c != IR_NONE)
            in->c = same[in->c];
        /* Exits keep their numbers, and a branch that folds away would leave its label: both stay. */
        if (ir_op_info[in->op].x)
            continue;
        ir_val v = ir_fold(b, in, false);
        if (v != IR_NONE) {
            same[i] = v;
            make_nop(in);
        }
    }
}

void ir_optimise(struct ir_block *b, ir_peek_flags peek, void *ctx)
{
    uint8_t exit_wants[IR_MAX_INS];
    drop_unreachable(b);
    for (uint32_t i = 0; i < b->n; i++)
        leaves(&b->ins[i], peek, ctx, &exit_wants[i]);
    if (walk_back(b, exit_wants)) {
        walk_fold(b);
        walk_back(b, exit_wants);
    }
}
