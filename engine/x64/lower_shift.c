/*
 * lower_shift.c — shifts, bit fields, extensions, counts
 *
 * Shifts by register follow ARM: the amount is a byte, 32 and more shift everything out, 0 keeps the carry. The host
 * takes the amount modulo 32 or 64. Without flags the result is masked; with C the old carry is placed next to
 * the operand in a 64-bit register, where a shift by 0 leaves it at the bit that becomes the new carry.
 */
#include "engine/x64/emit.h"

static int def_like(struct xlate *x, struct opnd a)
{
    return alloc_def(x, a.kind == OPND_REG ? a.reg : NO_REG);
}

/* Result without flags, and without touching EFLAGS if something precious is there. */
static void emit_shift_plain(struct xlate *x, int dst, struct opnd a, unsigned n)
{
    struct x64_asm *as = &x->a;
    static const uint8_t host[] = {[IR_SHL - IR_SHL] = SH_SHL, [IR_SHR - IR_SHL] = SH_SHR, [IR_SAR - IR_SHL] = SH_SAR};

    if (x->in->op == IR_SHL && a.kind == OPND_REG && n == 1) {
        asm_lea(as, 4, dst, mem_bi(a.reg, a.reg, 1, 0));
        return;
    }
    if (x->in->op == IR_SHL && a.kind == OPND_REG && n <= 3 && (a.reg != dst || flags_precious(x))) {
        asm_lea(as, 4, dst, mem_bi(NO_REG, a.reg, 1u << n, 0));
        return;
    }
    if (x->in->op == IR_ROR) {
        if (a.kind != OPND_REG) {
            emit_mov_opnd(x, dst, a);
            a.reg = dst;
        }
        asm_rorx(as, 4, dst, a.reg, n);
        return;
    }
    if (flags_precious(x)) {
        int t;

        emit_mov_opnd(x, dst, a);
        t = alloc_temp(x, NO_REG);
        asm_mov_ri(as, t, n);
        if (x->in->op == IR_SHL)
            asm_shlx(as, 4, dst, dst, t);
        else if (x->in->op == IR_SHR)
            asm_shrx(as, 4, dst, dst, t);
        else
            asm_sarx(as, 4, dst, dst, t);
        alloc_unlock(x, t);
        return;
    }
    flags_clobber(x);
    emit_mov_opnd(x, dst, a);
    asm_shift_ri(as, (enum x64_shift)host[x->in->op - IR_SHL], 4, dst, n);
}

/* The only user of a small left shift is an addition: leave it to that. */
static bool postpone(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    ir_val a = alloc_rep(x, in->a);

    if (in->op != IR_SHL || in->s || in->imm > 3 || in->uses != 1)
        return false;
    const struct ir_ins *user = &x->ir->ins[in->last_use];
    if (user->op != IR_ADD || user->s || user->a == user->b || x->val[a].kind == VAL_CONST || x->val[a].kind == VAL_SHL)
        return false;
    ir_val other = alloc_rep(x, user->a == x->i ? user->b : user->a);
    if (other < x->i && x->val[other].kind == VAL_SHL)
        return false;
    struct value *val = &x->val[x->i];
    val->kind = VAL_SHL;
    val->base = a;
    val->n = (uint8_t)in->imm;
    if (x->val[a].last < val->last)
        x->val[a].last = val->last;
    return true;
}

static void lower_shift_imm(struct xlate *x)
{
    static const uint8_t re[] = {[IR_SHL - IR_SHL] = RE_SHL, [IR_SHR - IR_SHL] = RE_SHR, [IR_SAR - IR_SHL] = RE_SAR};
    static const uint8_t host[] = {[IR_SHL - IR_SHL] = SH_SHL, [IR_SHR - IR_SHL] = SH_SHR, [IR_SAR - IR_SHL] = SH_SAR};
    const struct ir_ins *in = x->in;

    if (postpone(x))
        return;
    if (in->op != IR_ROR && in->s && !in->uses) {
        struct recipe r = recipe_of_op(x, (enum recipe_op)re[in->op - IR_SHL], in->a, IR_NONE, in->imm);

        if (!(in->s & ~recipe_makes(&r))) {
            flags_set_lazy(x, in->s, &r);
            return;
        }
    }
    struct opnd a = alloc_opnd(x, in->a);
    alloc_done(x, in->a);
    int dst = def_like(x, a);
    if (!in->s) {
        emit_shift_plain(x, dst, a, in->imm);
        return;
    }
    if (in->op == IR_ROR) {
        emit_shift_plain(x, dst, a, in->imm);
        /* C is bit 31 of the result, and so is N. */
        struct recipe r = recipe_of_op(x, RE_BIT, IR_NONE, IR_NONE, 31);
        r.a = r.d;
        if (!(in->s & ~recipe_makes(&r))) {
            flags_set_lazy(x, in->s, &r);
            return;
        }
        flags_clobber(x);
        asm_test_rr(&x->a, 4, dst, dst);
        if (in->s & FLAG_C) {
            flags_set_mem(x, FLAG_C);
            asm_setcc_m(&x->a, CC_S, flag_mem(FLAG_C));
        }
        if (in->s & FLAG_NZ)
            flags_set(x, in->s & FLAG_NZ, FLAG_NZ, false, NULL);
        return;
    }
    struct recipe r = recipe_of_op(x, (enum recipe_op)re[in->op - IR_SHL], in->a, IR_NONE, in->imm);
    if (!(in->s & in->live) && !(in->s & ~recipe_makes(&r))) {
        emit_shift_plain(x, dst, a, in->imm);
        flags_set_lazy(x, in->s, &r);
        return;
    }
    flags_clobber(x);
    emit_mov_opnd(x, dst, a);
    asm_shift_ri(&x->a, (enum x64_shift)host[in->op - IR_SHL], 4, dst, in->imm);
    flags_set(x, in->s, FLAG_NZC, false, &r);
}

static void lower_rrx(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    struct opnd a = alloc_opnd(x, in->a);

    flags_carry(x, false);
    flags_reads_done(x);
    alloc_done(x, in->a);
    int dst = def_like(x, a);
    x->hold = true;
    flags_clobber(x);
    emit_mov_opnd(x, dst, a);
    asm_shift_ri(&x->a, SH_RCR, 4, dst, 1);
    if (!(in->s & FLAG_NZ)) {
        if (in->s)
            flags_set(x, in->s, FLAG_C, false, NULL);
        return;
    }
    if (in->s & FLAG_C) {
        asm_setcc_m(&x->a, CC_B, flag_mem(FLAG_C));
        flags_set_mem(x, FLAG_C);
    }
    asm_test_rr(&x->a, 4, dst, dst);
    struct recipe r = recipe_of_op(x, RE_BIT, IR_NONE, IR_NONE, 0);
    flags_set(x, in->s & FLAG_NZ, FLAG_NZ, false, &r);
}

/* -- By register ----------------------------------------------------------------------------------------------------- */

static void lower_shift_reg(struct xlate *x)
{
    struct x64_asm *as = &x->a;
    int b = alloc_reg(x, x->in->b), a = alloc_reg(x, x->in->a);

    flags_clobber(x);
    if (x->in->op == IR_SAR_R) {
        /* 32 and more act as 31: all ones in the low bits. */
        int t = alloc_temp(x, NO_REG);

        asm_alu_ri(as, ALU_CMP, 1, b, 32);
        asm_alu_rr(as, ALU_SBB, 4, t, t);
        asm_not(as, t);
        asm_alu_rr(as, ALU_OR, 4, t, b);
        alloc_done(x, x->in->a);
        alloc_done(x, x->in->b);
        alloc_unlock(x, a);
        alloc_unlock(x, b);
        asm_sarx(as, 4, alloc_def(x, a), a, t);
        return;
    }
    alloc_done(x, x->in->a);
    int dst = alloc_def(x, a);
    int to = dst == b ? alloc_temp(x, NO_REG) : dst;
    if (x->in->op == IR_SHL_R)
        asm_shlx(as, 4, to, a, b);
    else
        asm_shrx(as, 4, to, a, b);
    if (a != dst && a != b)
        alloc_unlock(x, a);
    int mask = dst == b ? dst : alloc_temp(x, NO_REG);
    asm_alu_ri(as, ALU_CMP, 1, b, 32);
    asm_alu_rr(as, ALU_SBB, 4, mask, mask);
    asm_alu_rr(as, ALU_AND, 4, dst, dst == b ? to : mask);
}

static void lower_ror_reg(struct xlate *x)
{
    alloc_take(x, RCX);
    struct opnd b = alloc_opnd(x, x->in->b);
    emit_mov_opnd(x, RCX, b);
    if (b.kind == OPND_REG && b.reg != RCX)
        alloc_unlock(x, b.reg);
    struct opnd a = alloc_opnd(x, x->in->a);
    alloc_done(x, x->in->a);
    int dst = def_like(x, a);
    flags_clobber(x);
    emit_mov_opnd(x, dst, a);
    asm_shift_cl(&x->a, SH_ROR, 4, dst);
}

static void lower_shift_reg_carry(struct xlate *x)
{
    struct x64_asm *as = &x->a;
    const struct ir_ins *in = x->in;
    int w;

    flags_save(x, FLAG_C); /* for an amount of 0 */
    flags_reads_done(x);
    flags_clobber(x);
    if (in->op == IR_ROR_R) {
        alloc_take(x, RCX);
        struct opnd b = alloc_opnd(x, in->b);
        emit_mov_opnd(x, RCX, b);
        if (b.kind == OPND_REG && b.reg != RCX)
            alloc_unlock(x, b.reg);
        w = alloc_copy(x, in->a, NO_REG);
        asm_shift_cl(as, SH_ROR, 4, w);
        int c = alloc_temp(x, NO_REG);
        asm_mov_rr(as, 4, c, w);
        asm_shift_ri(as, SH_SHR, 4, c, 31);
        asm_test_rr(as, 1, RCX, RCX);
        asm_cmov_m(as, CC_E, c, VFIELD(cf));
        asm_bt_ri(as, 4, c, 0);
        x->hold = true;
        if (in->uses)
            alloc_def_in(x, w);
        flags_set(x, in->s, FLAG_C, false, NULL);
        return;
    }

    bool same = alloc_rep(x, in->a) == alloc_rep(x, in->b);
    int n = NO_REG, a;
    if (same) { /* b's copy must not be the last place of a */
        a = alloc_copy(x, in->a, NO_REG);
        n = alloc_temp(x, NO_REG);
        emit_mov(x, n, a);
    } else {
        n = alloc_copy(x, in->b, NO_REG);
        a = in->op == IR_SAR_R ? alloc_copy(x, in->a, NO_REG) : alloc_reg(x, in->a);
    }
    /* The host uses 6 bits of the amount: 64 and more act as 63. */
    int c = alloc_temp(x, NO_REG);
    asm_alu_ri(as, ALU_CMP, 1, n, 64);
    asm_alu_rr(as, ALU_SBB, 4, c, c);
    asm_not(as, c);
    asm_alu_rr(as, ALU_OR, 4, n, c);
    asm_load(as, 1, c, VFIELD(cf));
    switch (in->op) {
    case IR_SHL_R: /* C:a, carry at bit 32 */
        asm_shift_ri(as, SH_SHL, 8, c, 32);
        asm_alu_rr(as, ALU_OR, 8, c, a);
        asm_shlx(as, 8, c, c, n);
        asm_bt_ri(as, 8, c, 32);
        break;
    case IR_SHR_R: /* a:C, carry at bit 0 */
        asm_lea(as, 8, c, mem_bi(c, a, 2, 0));
        asm_shrx(as, 8, c, c, n);
        asm_shift_ri(as, SH_SHR, 8, c, 1);
        break;
    default:
        asm_movsxd(as, a, a);
        asm_lea(as, 8, c, mem_bi(c, a, 2, 0));
        asm_sarx(as, 8, c, c, n);
        asm_shift_ri(as, SH_SAR, 8, c, 1);
        break;
    }
    x->hold = true;
    if (in->uses) {
        asm_mov_rr(as, 4, c, c); /* clears the upper half */
        alloc_def_in(x, c);
    }
    flags_set(x, in->s, FLAG_C, false, NULL);
}

/* -- Fields ------------------------------------------------------------------------------------------------------------ */

static void lower_field(struct xlate *x)
{
    struct x64_asm *as = &x->a;
    bool is_signed = x->in->op == IR_SBFX;
    unsigned lsb = x->in->imm, width = x->in->imm2;
    struct opnd a = alloc_opnd(x, x->in->a);

    alloc_done(x, x->in->a);
    int dst = def_like(x, a);
    if (width == 8 || width == 16) {
        int src = dst;

        if (a.kind == OPND_REG && lsb == 0)
            src = a.reg;
        else if (a.kind == OPND_REG)
            asm_rorx(as, 4, dst, a.reg, lsb);
        else {
            emit_mov_opnd(x, dst, a);
            if (lsb)
                asm_rorx(as, 4, dst, dst, lsb);
        }
        if (is_signed)
            asm_movsx(as, width / 8, dst, src);
        else
            asm_movzx(as, width / 8, dst, src);
        return;
    }
    flags_clobber(x);
    if (is_signed) {
        emit_mov_opnd(x, dst, a);
        if (lsb + width < 32)
            asm_shift_ri(as, SH_SHL, 4, dst, 32 - lsb - width);
        if (width < 32)
            asm_shift_ri(as, SH_SAR, 4, dst, 32 - width);
        return;
    }
    if (a.kind == OPND_REG && a.reg != dst && lsb) {
        asm_rorx(as, 4, dst, a.reg, lsb);
    } else {
        emit_mov_opnd(x, dst, a);
        if (lsb)
            asm_shift_ri(as, SH_SHR, 4, dst, lsb);
    }
    if (lsb + width < 32 || (a.kind == OPND_REG && a.reg != dst && lsb))
        asm_alu_ri(as, ALU_AND, 4, dst, (uint32_t)((UINT64_C(1) << width) - 1));
}

static void lower_bfi(struct xlate *x)
{
    struct x64_asm *as = &x->a;
    unsigned lsb = x->in->imm, width = x->in->imm2;
    uint32_t mask = (uint32_t)((UINT64_C(1) << width) - 1), k = 0;
    bool b_const = alloc_const(x, x->in->b, &k);
    bool same = alloc_rep(x, x->in->a) == alloc_rep(x, x->in->b);
    int t = NO_REG;

    flags_clobber(x);
    struct opnd a = alloc_opnd(x, x->in->a);
    if (!b_const) {
        if (same) { /* a copy that leaves a alone */
            t = alloc_temp(x, NO_REG);
            emit_mov_opnd(x, t, a);
        } else {
            t = alloc_copy(x, x->in->b, NO_REG);
        }
        if (lsb + width < 32)
            asm_alu_ri(as, ALU_AND, 4, t, mask);
        if (lsb)
            asm_shift_ri(as, SH_SHL, 4, t, lsb);
    }
    alloc_done(x, x->in->a);
    int dst = def_like(x, a);
    emit_mov_opnd(x, dst, a);
    asm_alu_ri(as, ALU_AND, 4, dst, ~(mask << lsb));
    if (!b_const)
        asm_alu_rr(as, ALU_OR, 4, dst, t);
    else if ((k & mask) << lsb)
        asm_alu_ri(as, ALU_OR, 4, dst, (k & mask) << lsb);
}

static void lower_extend(struct xlate *x)
{
    struct x64_asm *as = &x->a;
    unsigned size = x->in->op == IR_SXTB || x->in->op == IR_UXTB ? 1 : 2;
    bool is_signed = x->in->op == IR_SXTB || x->in->op == IR_SXTH;
    struct opnd a = alloc_opnd(x, x->in->a);

    if (a.kind == OPND_IMM)
        a = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, x->in->a)};
    alloc_done(x, x->in->a);
    int dst = def_like(x, a);
    if (a.kind == OPND_MEM) {
        if (is_signed)
            asm_loads(as, size, dst, a.mem);
        else
            asm_load(as, size, dst, a.mem);
    } else if (is_signed) {
        asm_movsx(as, size, dst, a.reg);
    } else {
        asm_movzx(as, size, dst, a.reg);
    }
}

static void lower_bytes(struct xlate *x)
{
    struct opnd a = alloc_opnd(x, x->in->a);

    alloc_done(x, x->in->a);
    int dst = def_like(x, a);
    emit_mov_opnd(x, dst, a);
    asm_bswap(&x->a, 4, dst);
    if (x->in->op == IR_REV16)
        asm_rorx(&x->a, 4, dst, dst, 16);
}

static void lower_clz(struct xlate *x)
{
    int a = alloc_reg(x, x->in->a);

    alloc_done(x, x->in->a);
    int dst = alloc_def(x, a);
    flags_clobber(x);
    asm_lzcnt(&x->a, dst, a);
}

void lower_shift(struct xlate *x)
{
    switch (x->in->op) {
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR: lower_shift_imm(x); break;
    case IR_RRX: lower_rrx(x); break;
    case IR_SHL_R:
    case IR_SHR_R:
    case IR_SAR_R:
    case IR_ROR_R:
        if (x->in->s)
            lower_shift_reg_carry(x);
        else if (x->in->op == IR_ROR_R)
            lower_ror_reg(x);
        else
            lower_shift_reg(x);
        break;
    case IR_UBFX:
    case IR_SBFX: lower_field(x); break;
    case IR_BFI: lower_bfi(x); break;
    case IR_REV:
    case IR_REV16: lower_bytes(x); break;
    case IR_CLZ: lower_clz(x); break;
    default: lower_extend(x); break;
    }
}
