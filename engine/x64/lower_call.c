/*
 * lower_call.c — calls of helpers
 *
 * The row in helpers.def decides what is in v at the call: r, x: all registers (the thunk stores them); f, x: all flags;
 * x: pc and ITSTATE. What a helper writes is read back: w, registers (by the thunk); g, flags stay in memory.
 */
#include "engine/x64/emit.h"

/* Up to three values to eax, edx, ecx at once. */
static void emit_call_args(struct xlate *x, struct opnd *arg, unsigned n)
{
    static const int8_t to[3] = {RAX, RDX, RCX};
    bool todo[3] = {n > 0, n > 1, n > 2};

    for (;;) {
        bool left = false, moved = false;

        for (unsigned k = 0; k < n; k++) {
            bool blocks = false;

            if (!todo[k])
                continue;
            left = true;
            for (unsigned m = 0; m < n; m++)
                if (m != k && todo[m] && arg[m].kind == OPND_REG && arg[m].reg == to[k])
                    blocks = true;
            if (blocks)
                continue;
            emit_mov_opnd(x, to[k], arg[k]);
            todo[k] = false;
            moved = true;
        }
        if (!left)
            return;
        if (moved)
            continue;
        /* A cycle: swap two. */
        for (unsigned k = 0; k < n; k++) {
            if (!todo[k])
                continue;
            int from = arg[k].reg;
            asm_xchg(&x->a, 4, to[k], from);
            todo[k] = false;
            for (unsigned m = 0; m < n; m++)
                if (todo[m] && arg[m].kind == OPND_REG) {
                    if (arg[m].reg == to[k])
                        arg[m].reg = from;
                    else if (arg[m].reg == from)
                        arg[m].reg = to[k];
                }
            break;
        }
    }
}

void lower_call(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    const struct ir_helper_info *h = &ir_helper_info[in->imm];
    const ir_val v[3] = {in->a, in->b, in->c};
    struct opnd arg[3];

    if (h->reads_flags || h->leaves)
        flags_save(x, FLAG_ALL);
    else if (h->writes_flags)
        flags_save(x, x->need);
    if (h->writes_regs)
        flags_gregs_save(x, 0x7fff);
    flags_clobber(x);
    vreg_drop_all(x);
    alloc_spill_all(x, h->writes_regs);
    for (unsigned k = 0; k < h->nargs; k++)
        arg[k] = alloc_opnd(x, v[k]);
    if (h->leaves) {
        emit_where(x, x->pc, x->it, x->it_stale);
        x->it_stale |= x->it != 0;
    }
    emit_call_args(x, arg, h->nargs);
    emit_count_call(x);
    emit_thunk_call(x, x64_stubs.helper[in->imm]);
    for (unsigned k = 0; k < h->nargs; k++)
        alloc_done(x, v[k]);
    if (h->writes_flags)
        x->flags = (struct flags){.mem = FLAG_ALL};
    for (unsigned g = 0; g < 15; g++)
        if (h->writes_regs)
            flags_greg_drop(x, g, IR_NONE);
    if (in->uses) {
        if (in->op == IR_CALL) /* C leaves the upper half undefined, and values have it clear */
            asm_mov_rr(&x->a, 4, RAX, RAX);
        x->locked |= BIT(RAX);
        alloc_def_in(x, RAX);
    }
}
