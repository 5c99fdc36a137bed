/*
 * slow_call.c — out of the straight line to an operation's helper and back, and zeros that need none
 *
 * For VFP and Advanced SIMD on the host's own instructions (lower_fp.c, lower_vec_fp.c): a result that is not of the common kind comes
 * here. If it is a zero that is exact it was right all the same; else the helper does the operation again.
 */
#include "engine/x64/emit.h"

#include "engine/ir/helpers.h"
#include "engine/x64/asm_vex.h"

_Static_assert(HELPER_COUNT <= 256, "slow_call.helper");

struct slow_call *slow_new(struct xlate *x, unsigned nargs, const uint32_t arg[3])
{
    struct slow_call *s = &x->slow[x->nslow++];

    *s = (struct slow_call){
        .entry = X64_LABEL_INIT,
        .zero = X64_LABEL_INIT,
        .back_ok = X64_LABEL_INIT,
        .back = X64_LABEL_INIT,
        .helper = (uint8_t)x->in->imm,
        .nargs = (uint8_t)nargs,
        .product = -1,
    };
    memcpy(s->arg, arg, sizeof s->arg);
    for (int r = RAX; r <= RDX; r++)
        if (x->reg_val[r] != IR_NONE)
            s->keep |= (uint8_t)BIT(r);
    return s;
}

static void if_zero(struct x64_asm *a, bool wide, int tmp, int xmm, struct x64_label *to)
{
    asm_vex_bits(a, wide, tmp, xmm);
    asm_alu_rr(a, ALU_ADD, wide ? 8 : 4, tmp, tmp); /* the sign goes */
    asm_jcc(a, CC_E, to);
}

static void emit_zero(struct x64_asm *a, const struct slow_call *s, int result, struct x64_label *zero,
                      struct x64_label *ok, enum zero_kind kind, struct x64_label *entry)
{
    asm_bind(a, zero);
    if (kind == ZERO_EXACT) {
        if_zero(a, s->wide, s->tmp, result, ok);
    } else if (kind == ZERO_OF_WIDE_N) {
        if_zero(a, true, s->tmp, s->n, ok);
    } else if (kind != ZERO_NEVER) {
        asm_vex_bits(a, s->wide, s->tmp, result);
        asm_alu_rr(a, ALU_ADD, s->wide ? 8 : 4, s->tmp, s->tmp);
        asm_jcc(a, CC_NE, entry);
        if_zero(a, s->wide, s->tmp, s->n, ok);
        if (kind == ZERO_OF_EITHER)
            if_zero(a, s->wide, s->tmp, s->m, ok);
    }
}

static void emit_slow(struct xlate *x, struct slow_call *s)
{
    struct x64_asm *a = &x->a;
    unsigned pushed = 0;

    if (s->product >= 0) { /* of a multiply-accumulate */
        emit_zero(a, s, s->product, &s->product_zero, &s->product_ok, ZERO_OF_EITHER, &s->entry);
        asm_jmp(a, &s->entry);
    }
    emit_zero(a, s, s->result, &s->zero, &s->back_ok, s->kind, &s->entry);
    asm_bind(a, &s->entry);
    for (int r = RAX; r <= RDX; r++)
        if (s->keep & BIT(r)) {
            asm_push(a, r);
            pushed++;
        }
    if (pushed & 1) { /* alignment */
        asm_push(a, RAX);
    }
    static const int8_t to[3] = {RAX, RDX, RCX};
    for (unsigned k = 0; k < s->nargs; k++)
        asm_mov_ri(a, to[k], s->arg[k]);
    emit_count_call(x);
    emit_thunk_call(x, x64_stubs.helper_keep[s->helper]);
    if (pushed & 1)
        asm_pop(a, RCX);
    for (int r = RDX; r >= RAX; r--)
        if (s->keep & BIT(r))
            asm_pop(a, r);
    if (s->reload)
        vreg_load(x, s->result, s->off, s->len);
    asm_jmp(a, &s->back);
}

void slow_emit_all(struct xlate *x)
{
    x->vpieces = 0; /* helpers' stores are older than their return */
    for (unsigned k = 0; k < x->nslow; k++)
        emit_slow(x, &x->slow[k]);
}
