/*
 * lower_alu.c — arithmetic and logic
 *
 * Operands are read before the result's register is chosen, and the two may be the same register. An op whose flags
 * are asked for only by possible faults computes its result as if it had none and leaves a recipe.
 */
#include "engine/x64/emit.h"

static bool is_reg(struct opnd o, int r)
{
    return o.kind == OPND_REG && o.reg == r;
}

/* Of two operands that may change places, a register comes first: it can be the destination. */
static void register_first(struct opnd *a, struct opnd *b)
{
    if (a->kind != OPND_REG && b->kind == OPND_REG) {
        struct opnd t = *a;
        *a = *b;
        *b = t;
    }
}

/* dst = a op b by the host's two-operand form. */
static void emit_binary(struct xlate *x, enum x64_alu op, int dst, struct opnd a, struct opnd b)
{
    if (is_reg(a, dst)) {
        emit_alu(x, op, dst, b);
    } else if (!is_reg(b, dst)) {
        emit_mov_opnd(x, dst, a);
        emit_alu(x, op, dst, b);
    } else if (op != ALU_SUB && op != ALU_SBB) {
        emit_alu(x, op, dst, a);
    } else {
        int t = alloc_temp(x, a.kind == OPND_REG ? a.reg : NO_REG);

        emit_mov_opnd(x, t, a);
        emit_alu(x, op, t, b);
        emit_mov(x, dst, t);
        alloc_unlock(x, t);
    }
}

/* The result goes to a guest register in memory that is one operand: one instruction that reads and writes it. */
static bool lower_in_memory(struct xlate *x, enum x64_alu op, enum recipe_op re, uint8_t host, bool carry_inv)
{
    const struct ir_ins *in = x->in;
    ir_val other = in->b;
    int g = alloc_memory_target(x, in->a);

    if (g < 0 && op != ALU_SUB) {
        other = in->a;
        g = alloc_memory_target(x, in->b);
    }
    if (g < 0)
        return false;
    struct opnd o = alloc_opnd(x, other);
    if (o.kind == OPND_MEM)
        o = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, other)};
    flags_clobber(x);
    if (o.kind == OPND_IMM)
        asm_alu_mi(&x->a, op, 4, greg_mem((unsigned)g), o.imm);
    else
        asm_alu_mr(&x->a, op, 4, greg_mem((unsigned)g), o.reg);
    alloc_done(x, other);
    alloc_def_memory(x, (unsigned)g);
    if (in->s) {
        struct recipe r =
            re == RE_BIT ? recipe_of_op(x, re, IR_NONE, IR_NONE, 0) : recipe_of_op(x, re, in->a, in->b, 0);
        flags_set(x, in->s, host, carry_inv, &r);
    }
    return true;
}

/* A result that nobody uses but whose N and Z are wanted later: keep it to make them again from. */
static void keep_result(struct xlate *x, struct recipe *r, int dst)
{
    if (x->in->uses || r->d != RG_NONE || !(x->in->s & x->in->live & FLAG_NZ) || !is_scratch(dst))
        return;
    r->d = (int8_t)(RG_SCRATCH + dst);
    alloc_keep_flags(x, dst);
}

/* Flags by recipe alone? Then nobody on the normal path wants them, or nobody wants the result. */
static bool lazy_flags(struct xlate *x, const struct recipe *r)
{
    return !(x->in->s & ~recipe_makes(r));
}

/* After a comparison with 0: no borrow, no overflow; N is the operand's sign. */
static void learn_compare(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    uint32_t k;

    if (in->op != IR_SUB || !alloc_const(x, in->b, &k) || k)
        return;
    flags_learn(x, in->s & (FLAG_C | FLAG_V), FLAG_C);
    if (value_not_negative(x, in->a))
        flags_learn(x, in->s & FLAG_N, 0);
}

/* dst = a + b without touching EFLAGS. */
static bool emit_lea_add(struct xlate *x, int dst, struct opnd a, struct opnd b)
{
    if (a.kind != OPND_REG || b.kind == OPND_MEM)
        return false;
    if (b.kind == OPND_IMM)
        asm_lea(&x->a, 4, dst, mem_b(a.reg, (int32_t)b.imm));
    else
        asm_lea(&x->a, 4, dst, mem_bi(a.reg, b.reg, 1, 0));
    return true;
}

/* a + (base << n), the shift not computed yet. */
static bool lower_scaled_add(struct xlate *x)
{
    ir_val a = alloc_rep(x, x->in->a), b = alloc_rep(x, x->in->b);

    if (x->val[a].kind == VAL_SHL) {
        ir_val t = a;
        a = b;
        b = t;
    }
    if (x->in->s || x->val[b].kind != VAL_SHL || x->val[a].kind == VAL_SHL)
        return false;
    ir_val base = x->val[b].base;
    int index = alloc_reg(x, base);
    struct opnd oa = alloc_opnd(x, a);
    if (oa.kind == OPND_MEM)
        oa = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, a)};
    alloc_done(x, a);
    alloc_done(x, base);
    x->val[b].kind = VAL_NONE;
    int dst = alloc_def(x, index);
    if (oa.kind == OPND_IMM)
        asm_lea(&x->a, 4, dst, mem_bi(NO_REG, index, 1u << x->val[b].n, (int32_t)oa.imm));
    else
        asm_lea(&x->a, 4, dst, mem_bi(oa.reg, index, 1u << x->val[b].n, 0));
    return true;
}

/* base + constant, used by one access only: that may not need it in a register. */
static bool postpone_address(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    uint32_t k;

    if (in->op != IR_ADD || in->s || in->uses != 1 || !alloc_const(x, in->b, &k))
        return false;
    const struct ir_ins *user = &x->ir->ins[in->last_use];
    if ((user->op != IR_LD && user->op != IR_LD64 && user->op != IR_ST && user->op != IR_ST64) || user->a != x->i)
        return false;
    ir_val base = alloc_rep(x, in->a);
    struct value *val = &x->val[x->i];
    if (x->val[base].kind != VAL_GREG && x->val[base].kind != VAL_REG && x->val[base].kind != VAL_SPILL)
        return false;
    val->kind = VAL_LEA;
    val->base = base;
    val->imm = k;
    if (x->val[base].last < val->last)
        x->val[base].last = val->last;
    return true;
}

static void lower_add_sub(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    bool sub = in->op == IR_SUB;

    if (postpone_address(x))
        return;

    if (in->s && !in->uses) { /* compare */
        struct recipe r = recipe_of_op(x, sub ? RE_SUB : RE_ADD, in->a, in->b, 0);

        if (lazy_flags(x, &r)) {
            flags_set_lazy(x, in->s, &r);
            learn_compare(x);
            return;
        }
    }
    if (!sub && lower_scaled_add(x))
        return;
    if (lower_in_memory(x, sub ? ALU_SUB : ALU_ADD, sub ? RE_SUB : RE_ADD, FLAG_ALL, sub))
        return;

    struct opnd b = alloc_opnd(x, in->b), a = alloc_opnd(x, in->a);
    if (!sub)
        register_first(&a, &b);
    alloc_done(x, in->a);
    alloc_done(x, in->b);
    int dst = alloc_def(x, a.kind == OPND_REG ? a.reg : NO_REG);
    struct recipe r = {0};
    if (in->s)
        r = recipe_of_op(x, sub ? RE_SUB : RE_ADD, in->a, in->b, 0);

    if (!(in->s & in->live) && (!in->s || lazy_flags(x, &r))) {
        bool two = !is_reg(a, dst) && !(b.kind == OPND_REG && b.reg == dst);
        bool done = false;

        if (!sub && (two || flags_precious(x)))
            done = emit_lea_add(x, dst, a, b);
        else if (sub && b.kind == OPND_IMM && (two || flags_precious(x)))
            done = emit_lea_add(x, dst, a, (struct opnd){.kind = OPND_IMM, .imm = 0u - b.imm});
        if (!done) {
            flags_clobber(x);
            if (sub && a.kind == OPND_IMM && is_reg(b, dst)) { /* k - dst */
                asm_neg(&x->a, 4, dst);
                if (a.imm)
                    asm_alu_ri(&x->a, ALU_ADD, 4, dst, a.imm);
            } else {
                emit_binary(x, sub ? ALU_SUB : ALU_ADD, dst, a, b);
            }
        }
        if (in->s) {
            flags_set_lazy(x, in->s, &r);
            learn_compare(x);
        }
        return;
    }
    flags_clobber(x);
    emit_binary(x, sub ? ALU_SUB : ALU_ADD, dst, a, b);
    keep_result(x, &r, dst);
    flags_set(x, in->s, FLAG_ALL, sub, &r);
    learn_compare(x);
}

static void lower_carry(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    bool sub = in->op == IR_SBC;
    struct opnd b = alloc_opnd(x, in->b), a = alloc_opnd(x, in->a);

    flags_carry(x, sub);
    flags_reads_done(x);
    alloc_done(x, in->a);
    alloc_done(x, in->b);
    int dst = alloc_def(x, a.kind == OPND_REG ? a.reg : NO_REG);
    x->hold = true;
    flags_clobber(x); /* stores only: CF stays */
    emit_binary(x, sub ? ALU_SBB : ALU_ADC, dst, a, b);
    struct recipe r = recipe_of_op(x, RE_BIT, IR_NONE, IR_NONE, 0);
    if (in->s)
        flags_set(x, in->s, FLAG_ALL, sub, &r);
}

static void lower_logic(struct xlate *x)
{
    static const uint8_t alu[] = {[IR_AND - IR_AND] = ALU_AND,
                                  [IR_OR - IR_AND] = ALU_OR,
                                  [IR_XOR - IR_AND] = ALU_XOR,
                                  [IR_BIC - IR_AND] = ALU_AND};
    const struct ir_ins *in = x->in;
    enum recipe_op re = in->op == IR_AND ? RE_AND : in->op == IR_XOR ? RE_XOR : RE_BIT;

    if (in->s && !in->uses && re != RE_BIT) { /* tst, teq */
        struct recipe r = recipe_of_op(x, re, in->a, in->b, 0);

        if (lazy_flags(x, &r)) {
            flags_set_lazy(x, in->s, &r);
            return;
        }
    }
    if (in->op != IR_BIC && lower_in_memory(x, (enum x64_alu)alu[in->op - IR_AND], re, FLAG_NZ, false))
        return;
    struct opnd b = alloc_opnd(x, in->b), a = alloc_opnd(x, in->a);
    bool andn = false;
    if (in->op == IR_BIC) {
        if (b.kind == OPND_IMM) {
            b.imm = ~b.imm;
        } else {
            andn = true;
            b = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, in->b)};
            a = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, in->a)};
        }
    } else {
        register_first(&a, &b);
    }
    alloc_done(x, in->a);
    alloc_done(x, in->b);
    int dst = alloc_def(x, a.kind == OPND_REG ? a.reg : NO_REG);
    flags_clobber(x);
    if (andn)
        asm_andn(&x->a, dst, b.reg, a.reg);
    else
        emit_binary(x, (enum x64_alu)alu[in->op - IR_AND], dst, a, b);
    if (in->s) {
        struct recipe r =
            re == RE_BIT ? recipe_of_op(x, re, IR_NONE, IR_NONE, 0) : recipe_of_op(x, re, in->a, in->b, 0);
        keep_result(x, &r, dst);
        flags_set(x, in->s, FLAG_NZ, false, &r);
    }
}

static void lower_not(struct xlate *x)
{
    struct opnd a = alloc_opnd(x, x->in->a);

    alloc_done(x, x->in->a);
    int dst = alloc_def(x, a.kind == OPND_REG ? a.reg : NO_REG);
    emit_mov_opnd(x, dst, a);
    asm_not(&x->a, dst);
}

static void lower_mul(struct xlate *x)
{
    struct opnd b = alloc_opnd(x, x->in->b), a = alloc_opnd(x, x->in->a);

    if (a.kind != OPND_REG) {
        struct opnd t = a;
        a = b;
        b = t;
    }
    if (a.kind != OPND_REG) {
        a = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, x->in->b)};
        if (alloc_rep(x, x->in->a) == alloc_rep(x, x->in->b))
            b = a;
    }
    alloc_done(x, x->in->a);
    alloc_done(x, x->in->b);
    int dst = alloc_def(x, a.reg);
    flags_clobber(x);
    if (b.kind == OPND_IMM) {
        asm_imul_rri(&x->a, 4, dst, a.reg, b.imm);
    } else if (is_reg(b, dst)) {
        asm_imul_rr(&x->a, 4, dst, a.reg);
    } else {
        emit_mov(x, dst, a.reg);
        if (b.kind == OPND_REG)
            asm_imul_rr(&x->a, 4, dst, b.reg);
        else
            asm_imul_rm(&x->a, 4, dst, b.mem);
    }
}

/* 32-bit operands are zero-extended, so one 64-bit multiplication gives the whole product. */
static void lower_mul64(struct xlate *x)
{
    int dst = alloc_copy(x, x->in->a, NO_REG);

    flags_clobber(x);
    if (x->in->op == IR_MULS64) {
        /* The same value twice was used up by the copy. */
        bool same = alloc_rep(x, x->in->a) == alloc_rep(x, x->in->b);

        asm_movsxd(&x->a, dst, dst);
        if (same) {
            asm_imul_rr(&x->a, 8, dst, dst);
        } else {
            int t = alloc_copy(x, x->in->b, NO_REG);

            asm_movsxd(&x->a, t, t);
            asm_imul_rr(&x->a, 8, dst, t);
        }
    } else if (alloc_rep(x, x->in->a) == alloc_rep(x, x->in->b)) {
        asm_imul_rr(&x->a, 8, dst, dst);
    } else {
        asm_imul_rr(&x->a, 8, dst, alloc_reg(x, x->in->b));
    }
    alloc_def_in(x, dst);
}

static void lower_arith64(struct xlate *x)
{
    struct opnd b = alloc_opnd(x, x->in->b);
    int dst = alloc_copy(x, x->in->a, NO_REG);
    enum x64_alu op = x->in->op == IR_SUB64 ? ALU_SUB : ALU_ADD;

    flags_clobber(x);
    if (b.kind == OPND_REG)
        asm_alu_rr(&x->a, op, 8, dst, b.reg);
    else
        asm_alu_rm(&x->a, op, 8, dst, b.mem);
    alloc_def_in(x, dst);
}

static void lower_pack64(struct xlate *x)
{
    uint32_t lo;
    bool lo_const = alloc_const(x, x->in->a, &lo);
    int a = lo_const && (int32_t)lo >= 0 ? NO_REG : alloc_reg(x, x->in->a);
    int dst = alloc_copy(x, x->in->b, NO_REG);

    if (a == dst) { /* the same value twice */
        int t = alloc_temp(x, NO_REG);
        emit_mov(x, t, dst);
        a = t;
    }
    flags_clobber(x);
    asm_shift_ri(&x->a, SH_SHL, 8, dst, 32);
    if (a >= 0)
        asm_alu_rr(&x->a, ALU_OR, 8, dst, a);
    else if (lo)
        asm_alu_ri(&x->a, ALU_OR, 8, dst, lo);
    alloc_def_in(x, dst);
}

static void lower_half(struct xlate *x)
{
    struct opnd a = alloc_opnd(x, x->in->a);

    alloc_done(x, x->in->a);
    int dst = alloc_def(x, a.kind == OPND_REG ? a.reg : NO_REG);
    if (a.kind == OPND_MEM) {
        if (x->in->op == IR_HI32)
            a.mem.disp += 4;
        asm_load(&x->a, 4, dst, a.mem);
    } else if (x->in->op == IR_LO32) {
        asm_mov_rr(&x->a, 4, dst, a.reg); /* also if equal: clears the upper half */
    } else if (dst == a.reg && !flags_precious(x)) {
        flags_clobber(x);
        asm_shift_ri(&x->a, SH_SHR, 8, dst, 32);
    } else {
        asm_rorx(&x->a, 8, dst, a.reg, 32);
        asm_mov_rr(&x->a, 4, dst, dst);
    }
}

static void lower_rev64(struct xlate *x)
{
    int dst = alloc_copy(x, x->in->a, NO_REG);

    asm_bswap(&x->a, 8, dst);
    alloc_def_in(x, dst);
}

/* The dividend and the quotient are in rax, rdx is lost. */
static void lower_div(struct xlate *x)
{
    struct x64_asm *a = &x->a;

    alloc_take(x, RAX);
    alloc_take(x, RDX);
    struct opnd n = alloc_opnd(x, x->in->a);
    emit_mov_opnd(x, RAX, n);
    if (n.kind == OPND_REG)
        alloc_unlock(x, n.reg);
    int d = alloc_reg_in(x, x->in->b, RCX);
    flags_clobber(x);
    if (x->in->op == IR_UDIV) {
        asm_alu_rr(a, ALU_XOR, 4, RDX, RDX);
        asm_test_rr(a, 4, d, d);
        asm_cmov(a, CC_E, RAX, RDX); /* n / 0 = 0 */
        uint32_t skip = asm_jcc_short(a, CC_E);
        asm_div(a, 4, d);
        asm_bind_short(a, skip);
    } else {
        asm_lea(a, 4, RDX, mem_b(d, 1));
        asm_alu_ri(a, ALU_CMP, 4, RDX, 1);
        uint32_t usual = asm_jcc_short(a, CC_A);
        /* rdx is 0 for n / -1, where the host would trap on INT_MIN, and 1 for n / 0. */
        asm_neg(a, 4, RAX);
        asm_alu_ri(a, ALU_SUB, 4, RDX, 1);
        asm_alu_rr(a, ALU_AND, 4, RAX, RDX);
        uint32_t end = asm_jmp_short(a);
        asm_bind_short(a, usual);
        asm_cdq(a);
        asm_idiv(a, 4, d);
        asm_bind_short(a, end);
    }
    alloc_def_in(x, RAX);
}

void lower_alu(struct xlate *x)
{
    switch (x->in->op) {
    case IR_ADD:
    case IR_SUB: lower_add_sub(x); break;
    case IR_ADC:
    case IR_SBC: lower_carry(x); break;
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_BIC: lower_logic(x); break;
    case IR_NOT: lower_not(x); break;
    case IR_MUL: lower_mul(x); break;
    case IR_MULU64:
    case IR_MULS64: lower_mul64(x); break;
    case IR_ADD64:
    case IR_SUB64: lower_arith64(x); break;
    case IR_PACK64: lower_pack64(x); break;
    case IR_LO32:
    case IR_HI32: lower_half(x); break;
    case IR_REV64: lower_rev64(x); break;
    default: lower_div(x); break;
    }
}
