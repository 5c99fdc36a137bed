/*
 * alloc.c — where IR values are: scratch registers, spill slots, operands
 *
 * Most values never need a scratch register (alloc_greg.c). The rest live in rax, rcx and rdx; when these are all taken the
 * value that is used last goes to v->spill[].
 *
 * A1, A2: alloc_greg.c.
 * A3  Scratch registers handed out in an op are locked until its end, unless alloc_done() releases an operand at its
 *     last use.
 */
#include "engine/x64/emit.h"

void alloc_begin(struct xlate *x)
{
    for (uint32_t i = 0; i < x->ir->n; i++) {
        const struct ir_ins *in = &x->ir->ins[i];

        x->val[i] = (struct value){
            .last = in->uses ? in->last_use : 0,
            .wide = ir_op_info[in->op].type == 'd',
            .same = IR_NONE,
            .base = IR_NONE,
        };
    }
    alloc_label(x);
}

void alloc_label(struct xlate *x)
{
    for (unsigned k = 0; k < ARRAY_SIZE(x->reg_val); k++)
        x->reg_val[k] = IR_NONE;
    for (unsigned k = 0; k < ARRAY_SIZE(x->slot_val); k++)
        x->slot_val[k] = IR_NONE;
    for (unsigned k = 0; k < ARRAY_SIZE(x->greg_val); k++)
        x->greg_val[k] = IR_NONE;
    x->locked = 0;
    vreg_drop_all(x);
    group_begin(x);
}

ir_val alloc_rep(const struct xlate *x, ir_val v)
{
    while (x->val[v].same != IR_NONE)
        v = x->val[v].same;
    return v;
}

bool alloc_const(const struct xlate *x, ir_val v, uint32_t *out)
{
    const struct value *val = &x->val[alloc_rep(x, v)];

    if (val->kind != VAL_CONST)
        return false;
    *out = val->imm;
    return true;
}

bool value_not_negative(const struct xlate *x, ir_val v)
{
    const struct ir_ins *def = &x->ir->ins[v];

    switch (def->op) {
    case IR_LD: return !(def->aux & MEM_SIGNED) && (def->aux & MEM_SIZE) < MEM_32;
    case IR_UXTB:
    case IR_UXTH:
    case IR_CLZ:
    case IR_GET_C:
    case IR_SETCOND: return true;
    case IR_SHR: return def->imm > 0;
    case IR_UBFX: return def->imm2 < 32;
    case IR_CONST: return !(def->imm >> 31);
    case IR_AND: return value_not_negative(x, def->a) || value_not_negative(x, def->b);
    default: return false;
    }
}

bool alloc_needed(const struct xlate *x, ir_val v)
{
    return x->val[alloc_rep(x, v)].last > x->i;
}

/* The current op may still read it. */
static bool alive(const struct xlate *x, ir_val v)
{
    return x->val[v].last >= x->i;
}

static unsigned bytes_of(const struct xlate *x, ir_val v)
{
    return x->val[v].wide ? 8 : 4;
}

static struct x64_mem slot_mem(unsigned slot)
{
    return vmem(offsetof(struct vcpu, spill) + 8 * slot);
}

static unsigned find_slot(struct xlate *x, uint32_t avoid)
{
    for (unsigned k = 0; k < SPILL_SLOTS; k++)
        if (x->slot_val[k] == IR_NONE && !(avoid & BIT(k)))
            return k;
    CHECK(false, "more than %zu values are live at pc %#x", SPILL_SLOTS + 3, x->pc);
}

void alloc_bind(struct xlate *x, ir_val v, int reg)
{
    x->val[v].kind = VAL_REG;
    x->val[v].at = (int8_t)reg;
    x->reg_val[reg] = v;
}

/* The register becomes free; its value, if alive, goes to a slot, unless a guest register has it too. */
static void spill(struct xlate *x, int reg)
{
    ir_val v = x->reg_val[reg];

    if (is_group(v)) {
        group_spill(x, v - VAL_GROUP);
        return;
    }
    if (v == VAL_FLAGS) {
        x->reg_val[reg] = IR_NONE;
        if (flags_keeps(x, RG_SCRATCH + reg)) {
            unsigned slot = find_slot(x, 0);

            asm_store(&x->a, 4, slot_mem(slot), reg);
            x->slot_val[slot] = VAL_FLAGS;
            flags_kept_moved(x, RG_SCRATCH + reg, RG_SLOT + (int)slot);
        }
        return;
    }
    x->reg_val[reg] = IR_NONE;
    if (v == IR_NONE || !alive(x, v))
        return;
    int g = alloc_holder(x, v, -1);
    if (g >= 0) {
        x->val[v].kind = VAL_GREG;
        x->val[v].at = (int8_t)g;
        return;
    }
    unsigned slot = find_slot(x, 0);
    asm_store(&x->a, bytes_of(x, v), slot_mem(slot), reg);
    x->slot_val[slot] = v;
    x->val[v].kind = VAL_SPILL;
    x->val[v].at = (int8_t)slot;
}

static bool is_free(const struct xlate *x, int reg)
{
    return x->reg_val[reg] == IR_NONE && !(x->locked & BIT(reg));
}

int alloc_spare(const struct xlate *x)
{
    for (int r = RAX; r <= RDX; r++)
        if (is_free(x, r))
            return r;
    return NO_REG;
}

int alloc_temp(struct xlate *x, int prefer)
{
    static const int8_t order[] = {RAX, RDX, RCX};
    int best = NO_REG;

    if (prefer >= 0 && is_scratch(prefer) && is_free(x, prefer))
        best = prefer;
    for (unsigned k = 0; best < 0 && k < ARRAY_SIZE(order); k++)
        if (is_free(x, order[k]))
            best = order[k];
    if (best < 0) {
        for (int r = RAX; r <= RDX; r++) {
            if (x->locked & BIT(r))
                continue;
            if (!is_value(x->reg_val[r])) {
                best = r;
                if (is_group(x->reg_val[r]))
                    break;
                continue;
            }
            if (best >= 0 && !is_value(x->reg_val[best]))
                continue;
            if (best < 0 || x->val[x->reg_val[r]].last > x->val[x->reg_val[best]].last)
                best = r;
        }
        CHECK(best >= 0, "no scratch register left for %s at pc %#x", ir_op_info[x->in->op].name, x->pc);
        spill(x, best);
    }
    x->locked |= BIT(best);
    return best;
}

void alloc_take(struct xlate *x, int reg)
{
    CHECK(!(x->locked & BIT(reg)), "scratch register %d taken twice by %s", reg, ir_op_info[x->in->op].name);
    x->locked |= BIT(reg);
    ir_val v = x->reg_val[reg];
    if (v == IR_NONE)
        return;
    if (is_value(v) && alive(x, v)) {
        for (int r = RAX; r <= RDX; r++) {
            if (!is_free(x, r))
                continue;
            asm_mov_rr(&x->a, bytes_of(x, v), r, reg);
            alloc_bind(x, v, r);
            x->reg_val[reg] = IR_NONE;
            return;
        }
    }
    spill(x, reg);
}

void alloc_unlock(struct xlate *x, int reg)
{
    if (is_scratch(reg))
        x->locked &= ~BIT(reg);
}

/* A value without a scratch register any more, at its last use. Guest registers that are equal to it go on being
 * that: a get_reg may still find it. */
static void drop_value(struct xlate *x, ir_val v)
{
    int g = alloc_holder(x, v, -1);

    x->val[v].kind = g >= 0 ? VAL_GREG : VAL_NONE;
    x->val[v].at = (int8_t)g;
}

/* -- Operands ------------------------------------------------------------------------------------------------------ */

int alloc_reg_in(struct xlate *x, ir_val v, int prefer)
{
    v = alloc_rep(x, v);
    struct value *val = &x->val[v];
    int r;

    switch (val->kind) {
    case VAL_CONST:
        r = alloc_temp(x, prefer);
        emit_const(x, r, val->imm);
        return r;
    case VAL_GREG:
        if (host_of((unsigned)val->at) >= 0)
            return host_of((unsigned)val->at);
        r = alloc_temp(x, prefer);
        asm_load(&x->a, 4, r, greg_mem((unsigned)val->at));
        alloc_bind(x, v, r);
        return r;
    case VAL_REG: x->locked |= BIT(val->at); return val->at;
    case VAL_SPILL: {
        int slot = val->at;

        r = alloc_temp(x, prefer);
        asm_load(&x->a, bytes_of(x, v), r, slot_mem((unsigned)slot));
        x->slot_val[slot] = IR_NONE;
        alloc_bind(x, v, r);
        return r;
    }
    case VAL_SHL: {
        uint32_t before = x->locked; /* the base may be another operand of this op */
        int base = alloc_reg(x, val->base);

        r = alloc_temp(x, prefer);
        if (val->n == 1)
            asm_lea(&x->a, 4, r, mem_bi(base, base, 1, 0));
        else
            asm_lea(&x->a, 4, r, mem_bi(NO_REG, base, 1u << val->n, 0));
        x->locked = before | BIT(r);
        alloc_bind(x, v, r);
        return r;
    }
    case VAL_LEA: {
        uint32_t before = x->locked;
        int base = alloc_reg(x, val->base);

        r = alloc_temp(x, prefer);
        asm_lea(&x->a, 4, r, mem_b(base, (int32_t)val->imm));
        x->locked = before | BIT(r);
        alloc_bind(x, v, r);
        return r;
    }
    default: CHECK(false, "value %u of %s has no place", v, ir_op_info[x->ir->ins[v].op].name);
    }
}

int alloc_reg(struct xlate *x, ir_val v)
{
    return alloc_reg_in(x, v, NO_REG);
}

struct opnd alloc_opnd(struct xlate *x, ir_val v)
{
    v = alloc_rep(x, v);
    const struct value *val = &x->val[v];

    if (val->kind == VAL_CONST)
        return (struct opnd){.kind = OPND_IMM, .imm = val->imm};
    if (val->kind == VAL_GREG && host_of((unsigned)val->at) < 0)
        return (struct opnd){.kind = OPND_MEM, .mem = greg_mem((unsigned)val->at)};
    if (val->kind == VAL_SPILL)
        return (struct opnd){.kind = OPND_MEM, .mem = slot_mem((unsigned)val->at)};
    return (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, v)};
}

int alloc_copy(struct xlate *x, ir_val v, int prefer)
{
    v = alloc_rep(x, v);
    struct value *val = &x->val[v];

    if (!alloc_needed(x, v) && val->kind != VAL_GREG && val->kind != VAL_CONST) {
        int r = alloc_reg_in(x, v, prefer);

        if (x->reg_val[r] == v)
            x->reg_val[r] = IR_NONE; /* stays locked; the value ends here */
        drop_value(x, v);
        return r;
    }
    uint32_t locked = x->locked;
    struct opnd o = alloc_opnd(x, v);
    int r = alloc_temp(x, prefer);
    x->locked = locked | BIT(r); /* the original need not stay where it is */
    if (o.kind == OPND_MEM)
        asm_load(&x->a, bytes_of(x, v), r, o.mem);
    else if (o.kind == OPND_REG)
        asm_mov_rr(&x->a, bytes_of(x, v), r, o.reg);
    else
        emit_const(x, r, o.imm);
    return r;
}

void alloc_done(struct xlate *x, ir_val v)
{
    v = alloc_rep(x, v);
    struct value *val = &x->val[v];

    if (alloc_needed(x, v))
        return;
    if (val->kind == VAL_REG) {
        x->reg_val[val->at] = IR_NONE;
        x->locked &= ~BIT(val->at);
        drop_value(x, v);
    }
}

/* -- Around calls ---------------------------------------------------------------------------------------------------- */

void alloc_spill_all(struct xlate *x, bool regs)
{
    group_drop_all(x);
    if (regs) /* nothing may rely on guest registers */
        for (unsigned g = 0; g < ARRAY_SIZE(x->greg_val); g++)
            if (x->greg_val[g] != IR_NONE && x->val[x->greg_val[g]].kind != VAL_GREG)
                x->greg_val[g] = IR_NONE;
    for (int r = RAX; r <= RDX; r++) {
        ir_val v = x->reg_val[r];

        if (v == VAL_FLAGS || (is_value(v) && alloc_needed(x, v)))
            spill(x, r);
    }
    if (!regs)
        return;
    for (unsigned g = 0; g < ARRAY_SIZE(x->greg_val); g++) {
        ir_val v = x->greg_val[g];

        x->greg_val[g] = IR_NONE;
        if (v == IR_NONE || !alloc_needed(x, v) || x->val[v].kind != VAL_GREG)
            continue;
        int r = host_of(g);
        if (r < 0) {
            r = alloc_temp(x, NO_REG);
            asm_load(&x->a, 4, r, greg_mem(g));
            alloc_unlock(x, r);
        }
        unsigned slot = find_slot(x, 0);
        asm_store(&x->a, 4, slot_mem(slot), r);
        x->slot_val[slot] = v;
        x->val[v].kind = VAL_SPILL;
        x->val[v].at = (int8_t)slot;
    }
}

void alloc_spill_value(struct xlate *x, ir_val v)
{
    v = alloc_rep(x, v);
    if (x->val[v].kind == VAL_SHL || x->val[v].kind == VAL_LEA)
        alloc_unlock(x, alloc_reg(x, v));
    if (x->val[v].kind == VAL_REG)
        spill(x, x->val[v].at);
}

void alloc_keep_flags(struct xlate *x, int reg)
{
    x->reg_val[reg] = VAL_FLAGS;
}

void alloc_snapshot(struct xlate *x, struct cold *c, int except)
{
    uint32_t used = 0;

    c->preserve = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(c->flags.recipe); k++) /* may have moved since */
        if (c->flags.recipe[k].d >= RG_SCRATCH)
            c->flags.recipe[k].d = x->flags.recipe[k].d;
    for (unsigned k = 0; k < GROUPS; k++) {
        c->group_reg[k] = x->group[k].reg;
        c->group_slot[k] = x->group[k].slot;
    }
    for (int r = RAX; r <= RDX; r++) {
        c->slot[r] = -1;
        ir_val v = x->reg_val[r];
        if (r == except || !(v == VAL_FLAGS || (is_value(v) && alloc_needed(x, v))))
            continue;
        unsigned slot = find_slot(x, used);
        used |= BIT(slot);
        c->slot[r] = (int8_t)slot;
        c->preserve |= (uint8_t)BIT(r);
    }
}

void alloc_end_op(struct xlate *x)
{
    x->locked = 0;
    x->hold = false;
    group_end_op(x);
    for (int r = RAX; r <= RDX; r++)
        if (x->reg_val[r] == VAL_FLAGS && !flags_keeps(x, RG_SCRATCH + r))
            x->reg_val[r] = IR_NONE;
    for (unsigned k = 0; k < SPILL_SLOTS; k++)
        if (x->slot_val[k] == VAL_FLAGS && !flags_keeps(x, RG_SLOT + (int)k))
            x->slot_val[k] = IR_NONE;
    for (int r = RAX; r <= RDX; r++)
        if (is_value(x->reg_val[r]) && !alloc_needed(x, x->reg_val[r])) {
            drop_value(x, x->reg_val[r]);
            x->reg_val[r] = IR_NONE;
        }
    for (unsigned k = 0; k < SPILL_SLOTS; k++)
        if (is_value(x->slot_val[k]) && !alloc_needed(x, x->slot_val[k])) {
            drop_value(x, x->slot_val[k]);
            x->slot_val[k] = IR_NONE;
        }
}
