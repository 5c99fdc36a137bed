/*
 * lower_state.c — constants, guest registers, env fields, flags as values, selections
 */
#include "engine/x64/emit.h"

static void lower_env(struct xlate *x)
{
    struct x64_mem m = vmem(x->in->imm);
    unsigned off;

    if ((x->in->op == IR_ST_ENV || x->in->op == IR_ST_ENV64) && vreg_env(x->in->imm, &off))
        vreg_wrote(x, off, x->in->op == IR_ST_ENV ? 4 : 8);
    switch (x->in->op) {
    case IR_LD_ENV: asm_load(&x->a, 4, alloc_def(x, NO_REG), m); break;
    case IR_LD_ENV64: asm_load(&x->a, 8, alloc_def(x, NO_REG), m); break;
    case IR_ST_ENV: {
        uint32_t imm;

        if (alloc_const(x, alloc_rep(x, x->in->a), &imm))
            asm_store_i(&x->a, 4, m, imm);
        else
            asm_store(&x->a, 4, m, alloc_reg(x, x->in->a));
        break;
    }
    default: asm_store(&x->a, 8, m, alloc_reg(x, x->in->a)); break;
    }
}

static void lower_get_nzcv(struct xlate *x)
{
    struct x64_asm *a = &x->a;

    flags_save(x, FLAG_ALL);
    flags_clobber(x);
    int dst = alloc_def(x, NO_REG);
    asm_load(a, 1, dst, VFIELD(nf));
    asm_lea(a, 4, dst, mem_bi(dst, dst, 1, 0));
    asm_alu_rm(a, ALU_OR, 1, dst, VFIELD(zf));
    asm_lea(a, 4, dst, mem_bi(dst, dst, 1, 0));
    asm_alu_rm(a, ALU_OR, 1, dst, VFIELD(cf));
    asm_lea(a, 4, dst, mem_bi(dst, dst, 1, 0));
    asm_alu_rm(a, ALU_OR, 1, dst, VFIELD(vf));
    asm_shift_ri(a, SH_SHL, 4, dst, 28);
}

static void lower_set_nzcv(struct xlate *x)
{
    uint32_t imm;

    if (alloc_const(x, alloc_rep(x, x->in->a), &imm)) {
        flags_set_known(x, x->in->s, (uint8_t)(imm >> 28));
        return;
    }
    int a = alloc_reg(x, x->in->a);
    flags_clobber(x);
    for (unsigned flag = FLAG_V, k = 28; flag <= FLAG_N; flag <<= 1, k++) {
        if (!(x->in->s & flag))
            continue;
        asm_bt_ri(&x->a, 4, a, k);
        asm_setcc_m(&x->a, CC_B, flag_mem(flag));
    }
    flags_set_mem(x, x->in->s);
}

static void lower_get_c(struct xlate *x)
{
    struct x64_asm *a = &x->a;

    if (x->flags.known & FLAG_C) {
        alloc_def_const(x, (x->flags.value & FLAG_C) != 0);
        return;
    }
    if ((x->flags.mem & FLAG_C) && !flags_in_host(x, FLAG_C)) {
        asm_load(a, 1, alloc_def(x, NO_REG), VFIELD(cf));
        return;
    }
    enum x64_cc cc = flags_cond(x, COND_CS);
    int dst = alloc_def(x, NO_REG);
    asm_setcc(a, cc, dst);
    asm_movzx(a, 1, dst, dst);
}

static void lower_set_c(struct xlate *x)
{
    uint32_t imm;

    if (alloc_const(x, alloc_rep(x, x->in->a), &imm)) {
        flags_set_known(x, FLAG_C, imm & 1 ? FLAG_C : 0);
        return;
    }
    struct recipe r = recipe_of_op(x, RE_BIT, x->in->a, IR_NONE, 0);
    if (recipe_makes(&r) & FLAG_C) {
        flags_set_lazy(x, FLAG_C, &r);
        return;
    }
    int a = alloc_reg(x, x->in->a);
    flags_clobber(x);
    asm_bt_ri(&x->a, 4, a, 0);
    flags_set(x, FLAG_C, FLAG_C, false, NULL);
}

static void learn_sign(struct xlate *x, ir_val v)
{
    if (value_not_negative(x, v))
        flags_learn(x, x->in->s & FLAG_N, 0);
}

static void lower_set_nz(struct xlate *x)
{
    uint32_t imm;
    bool wide = x->in->op == IR_SET_NZ64;
    ir_val v = alloc_rep(x, x->in->a);

    if (!wide && alloc_const(x, v, &imm)) {
        flags_set_known(x, x->in->s, (imm >> 31 ? FLAG_N : 0) | (imm == 0 ? FLAG_Z : 0));
        return;
    }
    if (!wide) {
        struct recipe r = recipe_of_op(x, RE_BIT, v, IR_NONE, 0);

        r.d = r.a;
        r.a = RG_NONE;
        r.val = v;
        if (r.d != RG_NONE && r.d != RG_IMM) {
            flags_set_lazy(x, x->in->s, &r);
            learn_sign(x, v);
            return;
        }
    }
    int a = alloc_reg(x, v);
    flags_clobber(x);
    asm_test_rr(&x->a, wide ? 8 : 4, a, a);
    flags_set(x, x->in->s, FLAG_NZ, false, NULL);
    if (!wide)
        learn_sign(x, v);
}

/* dst = cc ? a : b, EFLAGS given. Neither operand is a constant if it has to be the source of the cmov. */
static void emit_select(struct xlate *x, enum x64_cc cc, int dst, struct opnd a, struct opnd b)
{
    if (a.kind == OPND_REG && a.reg == dst) {
        struct opnd t = a;
        a = b;
        b = t;
        cc = (enum x64_cc)(cc ^ 1);
    }
    emit_mov_opnd(x, dst, b);
    if (a.kind == OPND_MEM)
        asm_cmov_m(&x->a, cc, dst, a.mem);
    else
        asm_cmov(&x->a, cc, dst, a.reg);
}

static bool lives_in(const struct xlate *x, ir_val v, int g)
{
    const struct value *val = &x->val[alloc_rep(x, v)];

    return g >= 0 && val->kind == VAL_GREG && val->at == g;
}

static struct opnd not_const(struct xlate *x, ir_val v)
{
    struct opnd o = alloc_opnd(x, v);

    if (o.kind == OPND_IMM)
        o = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, v)};
    return o;
}

static void lower_sel(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    enum x64_cc cc;

    if (in->op == IR_SELNZ) {
        struct opnd c = alloc_opnd(x, in->c);

        flags_clobber(x);
        if (c.kind == OPND_REG) {
            asm_test_rr(&x->a, 4, c.reg, c.reg);
            alloc_unlock(x, c.reg);
        } else if (c.kind == OPND_MEM) {
            asm_alu_mi(&x->a, ALU_CMP, 4, c.mem, 0);
        } else {
            int t = alloc_temp(x, NO_REG);
            asm_mov_ri(&x->a, t, c.imm);
            asm_test_rr(&x->a, 4, t, t);
            alloc_unlock(x, t);
        }
        cc = CC_NE;
    } else {
        cc = flags_cond(x, in->cond);
    }
    x->hold = true; /* only moves from here on */
    struct opnd a = not_const(x, in->a);
    /* If the result goes where a is, b is the one to be moved on a condition. */
    struct opnd b = lives_in(x, in->a, x->def_greg) ? not_const(x, in->b) : alloc_opnd(x, in->b);
    alloc_done(x, in->b);
    emit_select(x, cc, alloc_def(x, b.kind == OPND_REG ? b.reg : NO_REG), a, b);
}

static void lower_setcond(struct xlate *x)
{
    enum x64_cc cc = flags_cond(x, x->in->cond);
    int dst = alloc_def(x, NO_REG);

    asm_setcc(&x->a, cc, dst);
    asm_movzx(&x->a, 1, dst, dst);
}

void lower_state(struct xlate *x)
{
    switch (x->in->op) {
    case IR_CONST: alloc_def_const(x, x->in->imm); break;
    case IR_GET_REG: alloc_get_reg(x, x->in->imm); break;
    case IR_SET_REG: alloc_set_reg(x, x->in->imm, x->in->a); break;
    case IR_GET_NZCV: lower_get_nzcv(x); break;
    case IR_SET_NZCV: lower_set_nzcv(x); break;
    case IR_GET_C: lower_get_c(x); break;
    case IR_SET_C: lower_set_c(x); break;
    case IR_SET_NZ:
    case IR_SET_NZ64: lower_set_nz(x); break;
    case IR_SEL:
    case IR_SELNZ: lower_sel(x); break;
    case IR_SETCOND: lower_setcond(x); break;
    default: lower_env(x); break;
    }
}
