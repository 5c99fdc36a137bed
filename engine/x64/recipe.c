/*
 * recipe.c — making flags again from operands that have not changed
 *
 * A recipe is the operation that set some flags and where its operands and result are: guest registers, or a constant. Any
 * two of the three give an addition's or subtraction's flags; the result alone gives N and Z. Writing to a guest register
 * takes away what depended on it, and what can still be made is computed anew.
 */
#include "engine/x64/emit.h"

uint8_t recipe_makes(const struct recipe *r)
{
    bool a = r->a != RG_NONE, b = r->b != RG_NONE, d = r->d != RG_NONE;
    uint8_t nz = d ? FLAG_NZ : 0;

    switch (r->op) {
    case RE_ADD:
    case RE_SUB:
        if (a && b)
            return FLAG_ALL;
        if (d && (b || (a && r->a != RG_IMM)))
            return FLAG_ALL; /* the missing operand follows from the result */
        return nz;
    case RE_AND:
    case RE_XOR: return a && b ? FLAG_NZ : nz;
    case RE_SHL:
    case RE_SHR:
    case RE_SAR: return a ? FLAG_NZC : nz;
    case RE_BIT: return (a ? FLAG_C : 0) | nz;
    default: return 0;
    }
}

static int8_t operand(const struct xlate *x, ir_val v)
{
    if (v == IR_NONE)
        return RG_NONE;
    v = alloc_rep(x, v);
    const struct value *val = &x->val[v];
    if (val->kind == VAL_CONST)
        return RG_IMM;
    if (val->kind == VAL_GREG && x->greg_val[val->at] == v)
        return val->at;
    for (int8_t g = 0; g < 15; g++)
        if (x->greg_val[g] == v)
            return g;
    return RG_NONE;
}

struct recipe recipe_of_op(const struct xlate *x, enum recipe_op op, ir_val a, ir_val b, uint32_t imm)
{
    struct recipe r = {
        .op = (uint8_t)op,
        .a = operand(x, a),
        .b = operand(x, b),
        .d = ir_op_info[x->in->op].type == 'w' ? operand(x, (ir_val)x->i) : RG_NONE,
        .val = (ir_val)x->i,
        .imm = imm,
    };
    if (r.a == RG_IMM && r.b == RG_IMM)
        r.a = r.b = RG_NONE; /* only one constant fits; it does not happen often */
    else if (r.a == RG_IMM)
        alloc_const(x, alloc_rep(x, a), &r.imm);
    else if (r.b == RG_IMM)
        alloc_const(x, alloc_rep(x, b), &r.imm);
    if (r.a == RG_IMM && op >= RE_SHL)
        r.a = RG_NONE;
    return r;
}

struct recipe recipe_without(struct recipe r, unsigned g)
{
    if (r.a == (int)g)
        r.a = RG_NONE;
    if (r.b == (int)g)
        r.b = RG_NONE;
    if (r.d == (int)g)
        r.d = RG_NONE;
    return r;
}

/* The same after guest register g has become value v. */
struct recipe recipe_after_write(struct recipe r, unsigned g, ir_val v)
{
    r = recipe_without(r, g);
    if (v != IR_NONE && r.val == v && r.d == RG_NONE) /* the first place stays: a label may rely on it */
        r.d = (int8_t)g;
    return r;
}

static struct opnd greg_opnd(int g, uint32_t imm)
{
    if (g == RG_IMM)
        return (struct opnd){.kind = OPND_IMM, .imm = imm};
    if (g >= RG_SLOT)
        return (struct opnd){.kind = OPND_MEM, .mem = vmem(offsetof(struct vcpu, spill) + 8 * (size_t)(g - RG_SLOT))};
    if (g >= RG_SCRATCH)
        return (struct opnd){.kind = OPND_REG, .reg = g - RG_SCRATCH};
    if (host_of((unsigned)g) >= 0)
        return (struct opnd){.kind = OPND_REG, .reg = host_of((unsigned)g)};
    return (struct opnd){.kind = OPND_MEM, .mem = greg_mem((unsigned)g)};
}

/* cmp or test of two operands; tmp: NO_REG if none is at hand. False: one is needed. */
static bool emit_compare(struct x64_asm *a, bool test, struct opnd l, struct opnd r)
{
    if (test && (l.kind == OPND_IMM || (r.kind == OPND_MEM && l.kind == OPND_REG))) {
        struct opnd t = l;
        l = r;
        r = t;
    }
    if (l.kind == OPND_REG) {
        if (test) {
            if (r.kind == OPND_REG)
                asm_test_rr(a, 4, l.reg, r.reg);
            else if (r.kind == OPND_IMM)
                asm_test_ri(a, l.reg, r.imm);
            else
                return false;
        } else if (r.kind == OPND_REG) {
            asm_alu_rr(a, ALU_CMP, 4, l.reg, r.reg);
        } else if (r.kind == OPND_MEM) {
            asm_alu_rm(a, ALU_CMP, 4, l.reg, r.mem);
        } else if (r.imm == 0) {
            asm_test_rr(a, 4, l.reg, l.reg); /* the same four flags: no borrow, no overflow */
        } else {
            asm_alu_ri(a, ALU_CMP, 4, l.reg, r.imm);
        }
        return true;
    }
    if (l.kind == OPND_IMM || r.kind == OPND_MEM)
        return false;
    if (r.kind == OPND_IMM) {
        if (test)
            asm_test_mi(a, 4, l.mem, r.imm);
        else
            asm_alu_mi(a, ALU_CMP, 4, l.mem, r.imm);
    } else if (test) {
        /* test reg, mem has the operands of test mem, reg */
        return false;
    } else {
        asm_alu_mr(a, ALU_CMP, 4, l.mem, r.reg);
    }
    return true;
}

static bool fits_compare(bool test, struct opnd l, struct opnd r)
{
    uint8_t scrap[64] = {0};
    struct x64_asm a;

    asm_init(&a, scrap, scrap, sizeof scrap);
    return emit_compare(&a, test, l, r);
}

static void mov_opnd(struct x64_asm *a, int dst, struct opnd o)
{
    if (o.kind == OPND_REG)
        asm_mov_rr(a, 4, dst, o.reg);
    else if (o.kind == OPND_IMM)
        asm_mov_ri(a, dst, o.imm);
    else
        asm_load(a, 4, dst, o.mem);
}

static void alu_opnd(struct x64_asm *a, enum x64_alu op, int dst, struct opnd o)
{
    if (o.kind == OPND_REG)
        asm_alu_rr(a, op, 4, dst, o.reg);
    else if (o.kind == OPND_IMM)
        asm_alu_ri(a, op, 4, dst, o.imm);
    else
        asm_alu_rm(a, op, 4, dst, o.mem);
}

/* Does making `want` by r take a scratch register? */
bool recipe_needs_tmp(const struct recipe *r, uint8_t want)
{
    bool ab = r->a != RG_NONE && r->b != RG_NONE;

    if (!(want & ~FLAG_NZ) && r->d != RG_NONE)
        return false;
    switch (r->op) {
    case RE_SUB: return !ab || !fits_compare(false, greg_opnd(r->a, r->imm), greg_opnd(r->b, r->imm));
    case RE_AND: return !ab || !fits_compare(true, greg_opnd(r->a, r->imm), greg_opnd(r->b, r->imm));
    case RE_BIT: return host_of((unsigned)r->a) < 0;
    default: return true;
    }
}

/* Set EFLAGS by r so that they hold as much of want as one instruction sequence can. Returns what they hold. */
uint8_t recipe_emit(struct x64_asm *a, const struct recipe *r, uint8_t want, int tmp, bool *carry_inv)
{
    struct opnd oa = r->a != RG_NONE ? greg_opnd(r->a, r->imm) : (struct opnd){0};
    struct opnd ob = r->b != RG_NONE ? greg_opnd(r->b, r->imm) : (struct opnd){0};
    bool ab = r->a != RG_NONE && r->b != RG_NONE;
    struct opnd t = {.kind = OPND_REG, .reg = tmp};

    *carry_inv = false;
    bool direct =
        ab && ((r->op == RE_SUB && fits_compare(false, oa, ob)) || (r->op == RE_AND && fits_compare(true, oa, ob)));
    if (!(want & ~FLAG_NZ) && r->d != RG_NONE && !direct) {
        struct opnd d = greg_opnd(r->d, 0);

        if (d.kind == OPND_REG)
            asm_test_rr(a, 4, d.reg, d.reg);
        else
            asm_alu_mi(a, ALU_CMP, 4, d.mem, 0);
        return FLAG_NZ;
    }
    switch (r->op) {
    case RE_SUB:
        *carry_inv = true;
        if (direct) {
            emit_compare(a, false, oa, ob);
        } else if (ab) {
            mov_opnd(a, tmp, oa);
            alu_opnd(a, ALU_CMP, tmp, ob);
        } else if (r->b != RG_NONE) { /* a = d + b */
            struct opnd d = greg_opnd(r->d, 0);

            if (d.kind == OPND_REG && ob.kind == OPND_IMM) {
                asm_lea(a, 4, tmp, mem_b(d.reg, (int32_t)ob.imm));
            } else if (d.kind == OPND_REG && ob.kind == OPND_REG) {
                asm_lea(a, 4, tmp, mem_bi(d.reg, ob.reg, 1, 0));
            } else {
                mov_opnd(a, tmp, d);
                alu_opnd(a, ALU_ADD, tmp, ob);
            }
            alu_opnd(a, ALU_CMP, tmp, ob);
        } else { /* b = a - d */
            mov_opnd(a, tmp, oa);
            alu_opnd(a, ALU_SUB, tmp, greg_opnd(r->d, 0));
            if (oa.kind == OPND_REG)
                asm_alu_rr(a, ALU_CMP, 4, oa.reg, tmp);
            else
                asm_alu_mr(a, ALU_CMP, 4, oa.mem, tmp);
        }
        return FLAG_ALL;
    case RE_ADD:
        if (ab) {
            mov_opnd(a, tmp, oa);
            alu_opnd(a, ALU_ADD, tmp, ob);
        } else { /* one operand and the result: the other is their difference */
            struct opnd known = r->b != RG_NONE ? ob : oa;

            mov_opnd(a, tmp, greg_opnd(r->d, 0));
            alu_opnd(a, ALU_SUB, tmp, known);
            alu_opnd(a, ALU_ADD, tmp, known);
        }
        return FLAG_ALL;
    case RE_AND:
        if (!direct) {
            mov_opnd(a, tmp, oa);
            alu_opnd(a, ALU_AND, tmp, ob);
        } else {
            emit_compare(a, true, oa, ob);
        }
        return FLAG_NZ;
    case RE_XOR:
        mov_opnd(a, tmp, oa);
        alu_opnd(a, ALU_XOR, tmp, ob);
        return FLAG_NZ;
    case RE_SHL:
    case RE_SHR:
    case RE_SAR:
        mov_opnd(a, tmp, oa);
        asm_shift_ri(a, r->op == RE_SHL ? SH_SHL : r->op == RE_SHR ? SH_SHR : SH_SAR, 4, tmp, r->imm);
        return FLAG_NZC;
    case RE_BIT:
        if (oa.kind == OPND_REG)
            t.reg = oa.reg;
        else
            mov_opnd(a, tmp, oa);
        asm_bt_ri(a, 4, t.reg, r->imm);
        return FLAG_C;
    default: CHECK(false, "recipe %u", r->op);
    }
}
