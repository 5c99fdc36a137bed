/*
 * flags.c — where the guest's flags are while a block is translated
 *
 * Each of N Z C V may be in up to three places: its byte in struct vcpu (the only place at block entries and
 * exits), host EFLAGS, and a *recipe*: the operation that set it, to be done again on operands that have not
 * changed. A compare is only a recipe until someone asks, so that it ends up next to its branch and
 * fuses with it; and flags that only a fault would look at cost nothing where their recipe lasts. Besides, a flag's value
 * may be known: after movs of a constant, of a comparison with 0, on the two ways out of a condition.
 *
 * F1  Every flag in live | live_exc is in at least one place.
 * F2  Each flag has at most one recipe, the latest.
 * F3  At an op that may fault each flag is in memory or has a recipe: its cold path starts with EFLAGS destroyed.
 * F4  Where two paths join, the state is what both have; a jump to a label leaves in memory what is needed there
 *     unless a recipe is sure to reach the label by both ways.
 */
#include "engine/x64/emit.h"

struct x64_mem flag_mem(unsigned flag)
{
    switch (flag) {
    case FLAG_N: return VFIELD(nf);
    case FLAG_Z: return VFIELD(zf);
    case FLAG_C: return VFIELD(cf);
    default: return VFIELD(vf);
    }
}

static uint8_t live_after(const struct ir_ins *in)
{
    return in->live | in->live_exc;
}

void flags_begin(struct xlate *x)
{
    x->flags = (struct flags){.mem = FLAG_ALL};
    x->flags_serial = 0;
}

void flags_op(struct xlate *x)
{
    uint8_t reads = ir_flags_read(x->in);

    x->need = (live_after(x->in) & ~x->in->s) | reads;
    x->flags.host &= ir_op_info[x->in->op].f ? FLAG_ALL : live_after(x->in) | reads;
}

void flags_reads_done(struct xlate *x)
{
    x->need = live_after(x->in) & ~x->in->s;
}

bool flags_precious(const struct xlate *x)
{
    return x->flags.host & x->need & ~x->flags.mem & ~flags_recoverable(x);
}

bool flags_in_host(const struct xlate *x, uint8_t mask)
{
    return (mask & ~x->flags.host) == 0;
}

uint8_t flags_recoverable(const struct xlate *x)
{
    uint8_t mask = x->flags.known;

    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++)
        mask |= x->flags.recipe[k].mask;
    return mask;
}

/* -- Recipes ----------------------------------------------------------------------------------------------------- */

uint8_t flags_derivable(const struct recipe *r)
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

struct recipe flags_recipe(const struct xlate *x, enum recipe_op op, ir_val a, ir_val b,
                           uint32_t imm)
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

static struct recipe without(struct recipe r, unsigned g)
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
static struct recipe after_write(struct recipe r, unsigned g, ir_val v)
{
    r = without(r, g);
    if (v != IR_NONE && r.val == v &&
        r.d == RG_NONE) /* the first place stays: a label may rely on it */
        r.d = (int8_t)g;
    return r;
}

static struct opnd greg_opnd(int g, uint32_t imm)
{
    if (g == RG_IMM)
        return (struct opnd){.kind = OPND_IMM, .imm = imm};
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
static bool needs_tmp(const struct recipe *r, uint8_t want)
{
    bool ab = r->a != RG_NONE && r->b != RG_NONE;

    if (!(want & ~FLAG_NZ) && r->d != RG_NONE)
        return false;
    switch (r->op) {
    case RE_SUB:
        return !ab || !fits_compare(false, greg_opnd(r->a, r->imm), greg_opnd(r->b, r->imm));
    case RE_AND:
        return !ab || !fits_compare(true, greg_opnd(r->a, r->imm), greg_opnd(r->b, r->imm));
    case RE_BIT: return host_of((unsigned)r->a) < 0;
    default: return true;
    }
}

/* Set EFLAGS by r so that they hold as much of want as one instruction sequence can. Returns what they hold. */
static uint8_t make(struct x64_asm *a, const struct recipe *r, uint8_t want, int tmp,
                    bool *carry_inv)
{
    struct opnd oa = r->a != RG_NONE ? greg_opnd(r->a, r->imm) : (struct opnd){0};
    struct opnd ob = r->b != RG_NONE ? greg_opnd(r->b, r->imm) : (struct opnd){0};
    bool ab = r->a != RG_NONE && r->b != RG_NONE;
    struct opnd t = {.kind = OPND_REG, .reg = tmp};

    *carry_inv = false;
    bool direct = ab && ((r->op == RE_SUB && fits_compare(false, oa, ob)) ||
                         (r->op == RE_AND && fits_compare(true, oa, ob)));
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
        asm_shift_ri(a,
                     r->op == RE_SHL   ? SH_SHL
                     : r->op == RE_SHR ? SH_SHR
                                       : SH_SAR,
                     4, tmp, r->imm);
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

/* -- Storing ----------------------------------------------------------------------------------------------------------- */

static enum x64_cc cc_of_flag(unsigned flag, bool carry_inv)
{
    switch (flag) {
    case FLAG_N: return CC_S;
    case FLAG_Z: return CC_E;
    case FLAG_C: return carry_inv ? CC_AE : CC_B;
    default: return CC_O;
    }
}

static void store_host(struct x64_asm *a, struct flags *f, uint8_t mask)
{
    for (unsigned flag = FLAG_V; flag <= FLAG_N; flag <<= 1)
        if (mask & flag)
            asm_setcc_m(a, cc_of_flag(flag, f->carry_inv), flag_mem(flag));
    f->mem |= mask;
}

/* Flags of mask whose values are known. A store of all four leaves the rest to be stored over it. */
static void store_known(struct x64_asm *a, struct flags *f, uint8_t mask)
{
    uint8_t which = f->known & mask & ~f->mem;
    bool all = (mask & ~f->mem) == FLAG_ALL && (which & (which - 1));

    if (all) {
        uint32_t word = 0;
        for (unsigned k = 0, flag = FLAG_N; flag; flag >>= 1, k += 8)
            word |= (uint32_t)((f->value & flag) != 0) << k;
        asm_store_i(a, 4, VFIELD(nf), word);
    } else {
        for (unsigned flag = FLAG_V; flag <= FLAG_N; flag <<= 1)
            if (which & flag)
                asm_store_i(a, 1, flag_mem(flag), (f->value & flag) != 0);
    }
    f->mem |= which;
}

void flags_clobber(struct xlate *x)
{
    store_host(&x->a, &x->flags, x->flags.host & x->need & ~x->flags.mem & ~flags_recoverable(x));
    x->flags.host = 0;
}

/* EFLAGS by a recipe, whatever needed flags were there moved to memory. */
static void make_host(struct xlate *x, const struct recipe *r, uint8_t want)
{
    int tmp = NO_REG;
    bool inv;

    flags_clobber(x);
    if (needs_tmp(r, want))
        tmp = alloc_temp(x, NO_REG);
    uint32_t before = x->a.off;
    uint8_t made = make(&x->a, r, want, tmp, &inv);
    if (x->pad_jcc && tmp < 0)
        asm_insert_nops(&x->a, before, asm_patch_pad(&x->a, x->a.off, 2));
    alloc_unlock(x, tmp);
    x->flags.host = made & r->mask;
    x->flags.carry_inv = inv;
    x->flags.serial = ++x->flags_serial;
}

static const struct recipe *recipe_of(const struct xlate *x, uint8_t mask)
{
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++)
        if (x->flags.recipe[k].mask & mask)
            return &x->flags.recipe[k];
    return NULL;
}

void flags_save(struct xlate *x, uint8_t mask)
{
    store_known(&x->a, &x->flags, mask);
    store_host(&x->a, &x->flags, x->flags.host & mask & ~x->flags.mem);
    for (;;) {
        uint8_t left = mask & ~x->flags.mem;
        const struct recipe *r = recipe_of(x, left);
        if (!r)
            break;
        make_host(x, r, left & r->mask);
        store_host(&x->a, &x->flags, x->flags.host & left);
    }
    DCHECK(!(mask & ~x->flags.mem & live_after(x->in)), "flags %x lost at pc %#x",
           mask & ~x->flags.mem, x->pc);
}

void flags_before_fault(struct xlate *x)
{
    store_host(&x->a, &x->flags, x->flags.host & ~x->flags.mem & ~flags_recoverable(x));
    x->flags.host = 0; /* the probe destroys them, and what cold code knows begins here */
}

void flags_save_cold(struct xlate *x, const struct flags *f, uint8_t mask, int tmp)
{
    struct flags t = *f;

    store_known(&x->a, &t, mask);
    store_host(&x->a, &t, t.host & mask & ~t.mem);
    for (unsigned k = 0; k < ARRAY_SIZE(t.recipe); k++) {
        struct recipe *r = &t.recipe[k];

        for (;;) {
            uint8_t left = r->mask & mask & ~t.mem;
            if (!left)
                break;
            uint8_t made = make(&x->a, r, left, tmp, &t.carry_inv);
            store_host(&x->a, &t, made & left);
        }
    }
}

/* -- Writes to guest registers ------------------------------------------------------------------------------------------ */

void flags_greg_save(struct xlate *x, unsigned g, ir_val incoming, bool to_memory)
{
    uint8_t lost = 0, losers = 0;
    const struct recipe *one = NULL;

    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        const struct recipe *r = &x->flags.recipe[k];
        struct recipe then = after_write(*r, g, incoming);
        uint8_t gone =
            r->mask & ~flags_derivable(&then) & x->need & ~x->flags.mem & ~x->flags.known;

        if (gone) {
            lost |= gone;
            losers++;
            one = r;
        }
    }
    if (to_memory) {
        /* The recipes stay for the cold path of this op. */
        if (lost)
            flags_save(x, lost);
        return;
    }
    if (lost & ~x->flags.host) {
        if (losers == 1)
            make_host(x, one, lost);
        if (losers > 1 || (lost & ~x->flags.host))
            flags_save(x, lost);
    }
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        struct recipe *r = &x->flags.recipe[k];
        struct recipe then = after_write(*r, g, incoming);

        r->mask &= flags_derivable(&then);
    }
}

void flags_gregs_save(struct xlate *x, uint32_t gregs)
{
    uint8_t lost = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        struct recipe r = x->flags.recipe[k];

        for (unsigned g = 0; g < 15; g++)
            if (gregs & BIT(g))
                r = without(r, g);
        lost |= r.mask & ~flags_derivable(&r) & x->need & ~x->flags.mem & ~x->flags.known;
    }
    if (lost)
        flags_save(x, lost);
}

void flags_greg_drop(struct xlate *x, unsigned g, ir_val incoming)
{
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        struct recipe *r = &x->flags.recipe[k];

        *r = after_write(*r, g, incoming);
        r->mask &= flags_derivable(r);
    }
}

/* -- Setting -------------------------------------------------------------------------------------------------------------- */

void flags_set(struct xlate *x, uint8_t s, uint8_t host, bool carry_inv, const struct recipe *r)
{
    struct flags *f = &x->flags;

    f->mem &= ~s;
    f->known &= ~s;
    f->value &= ~s;
    f->host = host & s;
    f->carry_inv = carry_inv;
    f->serial = ++x->flags_serial;
    for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++)
        f->recipe[k].mask &= ~s;
    uint8_t covered = f->host;
    if (r && (flags_derivable(r) & s)) {
        /* With four flags and at most one recipe for each there is always a free place. */
        for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++) {
            if (f->recipe[k].mask)
                continue;
            f->recipe[k] = *r;
            f->recipe[k].mask = flags_derivable(r) & s;
            covered |= f->recipe[k].mask;
            break;
        }
    }
    DCHECK(!(s & live_after(x->in) & ~covered), "flags %x of %s are nowhere", s,
           ir_op_info[x->in->op].name);
    (void)covered;
}

void flags_set_lazy(struct xlate *x, uint8_t s, const struct recipe *r)
{
    uint8_t host = x->flags.host & ~s;
    bool inv = x->flags.carry_inv;
    uint16_t serial = x->flags.serial;

    flags_set(x, s, 0, false, r);
    x->flags.host = host; /* nothing was emitted */
    x->flags.carry_inv = inv;
    x->flags.serial = serial;
}

void flags_set_mem(struct xlate *x, uint8_t s)
{
    struct flags *f = &x->flags;

    f->mem |= s;
    f->known &= ~s;
    f->value &= ~s;
    f->host &= ~s;
    for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++)
        f->recipe[k].mask &= ~s;
}

void flags_learn(struct xlate *x, uint8_t mask, uint8_t value)
{
    x->flags.known |= mask;
    x->flags.value = (x->flags.value & ~mask) | (value & mask);
}

void flags_set_known(struct xlate *x, uint8_t s, uint8_t value)
{
    flags_set_mem(x, s);
    x->flags.mem &= ~s;
    flags_learn(x, s, value);
}

void flags_given(struct flags *f, enum ir_cond cond)
{
    static const struct {
        uint8_t mask, value;
    } by[14] = {
        [COND_EQ] = {FLAG_Z, FLAG_Z},          [COND_NE] = {FLAG_Z, 0},
        [COND_CS] = {FLAG_C, FLAG_C},          [COND_CC] = {FLAG_C, 0},
        [COND_MI] = {FLAG_N, FLAG_N},          [COND_PL] = {FLAG_N, 0},
        [COND_VS] = {FLAG_V, FLAG_V},          [COND_VC] = {FLAG_V, 0},
        [COND_HI] = {FLAG_C | FLAG_Z, FLAG_C}, [COND_GT] = {FLAG_Z, 0},
    };
    uint8_t mask = by[cond].mask, value = by[cond].value;

    /* A result of 0 is not negative; one of a subtraction had equal operands. C clear after a subtraction: they differed. */
    for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++) {
        const struct recipe *r = &f->recipe[k];

        if (cond == COND_EQ && (r->mask & FLAG_Z)) {
            mask |= r->mask & (r->op == RE_SUB ? FLAG_ALL : FLAG_NZ);
            value |= r->op == RE_SUB ? r->mask & FLAG_C : 0;
        } else if (cond == COND_CC && (r->mask & FLAG_C) && r->op == RE_SUB) {
            mask |= r->mask & FLAG_Z;
        }
    }
    mask &= ~f->known; /* if it says something else, this is never reached */
    f->known |= mask;
    f->value |= value & mask;
}

/* -- Asking --------------------------------------------------------------------------------------------------------------- */

static enum x64_cc cc_in_host(struct xlate *x, enum ir_cond cond)
{
    static const uint8_t cc[14] = {
        [COND_EQ] = CC_E, [COND_NE] = CC_NE, [COND_CS] = CC_AE, [COND_CC] = CC_B,
        [COND_MI] = CC_S, [COND_PL] = CC_NS, [COND_VS] = CC_O,  [COND_VC] = CC_NO,
        [COND_HI] = CC_A, [COND_LS] = CC_BE, [COND_GE] = CC_GE, [COND_LT] = CC_L,
        [COND_GT] = CC_G, [COND_LE] = CC_LE,
    };

    if (!x->flags.carry_inv) {
        if (cond == COND_CS)
            return CC_B;
        if (cond == COND_CC)
            return CC_AE;
        if (cond == COND_HI || cond == COND_LS) { /* the host has no "C and not Z" */
            asm_cmc(&x->a);
            x->flags.carry_inv = true;
        }
    }
    return (enum x64_cc)cc[cond];
}

static enum x64_cc cc_from_memory(struct xlate *x, enum ir_cond cond)
{
    static const uint8_t single[8] = {FLAG_Z, FLAG_Z, FLAG_C, FLAG_C,
                                      FLAG_N, FLAG_N, FLAG_V, FLAG_V};
    struct x64_asm *a = &x->a;
    uint32_t before = a->off;

    flags_clobber(x);
    if (cond <= COND_VC) {
        before = a->off;
        asm_alu_mi(a, ALU_CMP, 1, flag_mem(single[cond]), 0);
        if (x->pad_jcc)
            asm_insert_nops(a, before, asm_patch_pad(a, a->off, 2));
        return cond & 1 ? CC_E : CC_NE;
    }
    int t = alloc_temp(x, NO_REG);
    enum x64_cc cc;
    switch (cond) {
    case COND_HI:
    case COND_LS:
        asm_load(a, 1, t, VFIELD(cf));
        before = a->off;
        asm_alu_rm(a, ALU_CMP, 1, t, VFIELD(zf));
        cc = cond == COND_HI ? CC_A : CC_BE;
        break;
    case COND_GE:
    case COND_LT:
        asm_load(a, 1, t, VFIELD(nf));
        before = a->off;
        asm_alu_rm(a, ALU_CMP, 1, t, VFIELD(vf));
        cc = cond == COND_GE ? CC_E : CC_NE;
        break;
    default:
        asm_load(a, 1, t, VFIELD(nf));
        asm_alu_rm(a, ALU_XOR, 1, t, VFIELD(vf));
        before = a->off;
        asm_alu_rm(a, ALU_OR, 1, t, VFIELD(zf));
        cc = cond == COND_GT ? CC_E : CC_NE;
        break;
    }
    if (x->pad_jcc)
        asm_insert_nops(a, before, asm_patch_pad(a, a->off, 2));
    alloc_unlock(x, t);
    return cc;
}

enum x64_cc flags_cond(struct xlate *x, enum ir_cond cond)
{
    uint8_t want = ir_cond_flags(cond);

    if (flags_in_host(x, want))
        return cc_in_host(x, cond);
    const struct recipe *r = recipe_of(x, want);
    if (r && !(want & ~r->mask)) {
        make_host(x, r, want);
        if (flags_in_host(x, want))
            return cc_in_host(x, cond);
    }
    flags_save(x, want);
    return cc_from_memory(x, cond);
}

void flags_carry(struct xlate *x, bool inverted)
{
    if (!flags_in_host(x, FLAG_C)) {
        const struct recipe *r = recipe_of(x, FLAG_C);
        if (x->flags.known & FLAG_C) {
            flags_clobber(x);
            if (((x->flags.value & FLAG_C) != 0) != inverted)
                asm_stc(&x->a);
            else
                asm_clc(&x->a);
            x->flags.host = FLAG_C;
            x->flags.carry_inv = inverted;
            x->flags.serial = ++x->flags_serial;
        } else if (r) {
            make_host(x, r, FLAG_C);
        } else {
            flags_clobber(x);
            asm_alu_mi(&x->a, ALU_CMP, 1, VFIELD(cf), 1); /* below: C is 0 */
            x->flags.host = FLAG_C;
            x->flags.carry_inv = true;
            x->flags.serial = ++x->flags_serial;
        }
    }
    if (x->flags.carry_inv != inverted) {
        asm_cmc(&x->a);
        x->flags.carry_inv = inverted;
        x->flags.serial = ++x->flags_serial;
    }
}

/* -- Joins ---------------------------------------------------------------------------------------------------------------- */

/* What the ops between the current one and the label write. */
static void written_until(const struct xlate *x, const struct label *l, uint32_t *gregs,
                          uint8_t *flags)
{
    *gregs = 0;
    *flags = 0;
    for (uint32_t k = x->i + 1; k < l->at; k++) {
        const struct ir_ins *in = &x->ir->ins[k];

        *flags |= in->s;
        switch (in->op) {
        case IR_SET_REG: *gregs |= BIT(in->imm); break;
        case IR_LDM: *gregs |= in->imm & 0x7fff; break;
        case IR_LABEL: /* another join on the way: who knows from where */
            *gregs = 0x7fff;
            *flags = FLAG_ALL;
            return;
        case IR_CALL:
        case IR_CALL64:
            if (ir_helper_info[in->imm].writes_regs)
                *gregs = 0x7fff;
            if (ir_helper_info[in->imm].writes_flags)
                *flags = FLAG_ALL;
            break;
        default: break;
        }
    }
}

/* Recipes that reach the label by the jump and by falling through: the only other way there. */
static void surviving(const struct xlate *x, const struct label *l, bool cond, struct flags *f)
{
    uint32_t gregs;
    uint8_t flags;

    if (l->jumps != 1 || !cond) {
        memset(f->recipe, 0, sizeof f->recipe);
        f->host = 0;
        f->known = f->value = 0;
        return;
    }
    written_until(x, l, &gregs, &flags);
    f->known &= ~flags;
    f->value &= ~flags;
    for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++) {
        struct recipe *r = &f->recipe[k];

        for (unsigned g = 0; g < 15; g++)
            if (gregs & BIT(g))
                *r = without(*r, g);
        r->mask &= ~flags & flags_derivable(r);
    }
}

static uint8_t needed_at(const struct xlate *x, const struct label *l)
{
    return live_after(&x->ir->ins[l->at]);
}

void flags_before_jump(struct xlate *x, struct label *l, bool cond)
{
    struct flags f = x->flags;
    uint8_t kept = f.mem;

    surviving(x, l, cond, &f);
    kept |= f.known;
    for (unsigned k = 0; k < ARRAY_SIZE(f.recipe); k++)
        kept |= f.recipe[k].mask;
    flags_save(x, needed_at(x, l) & ~kept);
}

void flags_at_jump(struct xlate *x, struct label *l, bool cond)
{
    struct flags f = x->flags;

    surviving(x, l, cond, &f);
    if (l->seen) {
        l->flags.mem &= f.mem;
        l->flags.known = l->flags.value = 0;
    } else
        l->flags = f;
    l->seen = true;
}

static int8_t both(int8_t a, int8_t b)
{
    return a == b ? a : RG_NONE;
}

void flags_at_label(struct xlate *x, struct label *l)
{
    if (x->dead_end) {
        x->flags = l->seen ? l->flags : (struct flags){.mem = FLAG_ALL};
        return;
    }
    if (!l->seen)
        return;
    flags_save(x, needed_at(x, l) & l->flags.mem);

    struct flags f = {.mem = x->flags.mem & l->flags.mem};
    f.known = x->flags.known & l->flags.known & ~(x->flags.value ^ l->flags.value);
    f.value = x->flags.value & f.known;
    if (x->flags.serial == l->flags.serial && x->flags.carry_inv == l->flags.carry_inv) {
        f.host = x->flags.host & l->flags.host;
        f.carry_inv = x->flags.carry_inv;
        f.serial = x->flags.serial;
    }
    unsigned n = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(f.recipe); k++) {
        const struct recipe *a = &l->flags.recipe[k];

        for (unsigned m = 0; a->mask && m < ARRAY_SIZE(f.recipe); m++) {
            const struct recipe *b = &x->flags.recipe[m];

            if (!(a->mask & b->mask) || a->op != b->op || a->imm != b->imm || a->val != b->val)
                continue;
            struct recipe r = *a;
            r.a = both(a->a, b->a);
            r.b = both(a->b, b->b);
            r.d = both(a->d, b->d);
            r.mask = a->mask & b->mask & flags_derivable(&r);
            r.val = IR_NONE; /* values end at labels */
            if (r.mask)
                f.recipe[n++] = r;
        }
    }
    x->flags = f;
    DCHECK(!(needed_at(x, l) & ~f.mem & ~flags_recoverable(x)), "flags lost at a label of pc %#x",
           x->pc);
}
