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
 * F4  Where two paths join: joins.c.
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

uint8_t flags_live_after(const struct ir_ins *in)
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

    x->need = (flags_live_after(x->in) & ~x->in->s) | reads;
    x->flags.host &= ir_op_info[x->in->op].f ? FLAG_ALL : flags_live_after(x->in) | reads;
}

void flags_reads_done(struct xlate *x)
{
    x->need = flags_live_after(x->in) & ~x->in->s;
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
    if (recipe_needs_tmp(r, want))
        tmp = alloc_temp(x, NO_REG);
    uint32_t before = x->a.off;
    uint8_t made = recipe_emit(&x->a, r, want, tmp, &inv);
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
    DCHECK(!(mask & ~x->flags.mem & flags_live_after(x->in)), "flags %x lost at pc %#x", mask & ~x->flags.mem, x->pc);
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
            uint8_t made = recipe_emit(&x->a, r, left, tmp, &t.carry_inv);
            store_host(&x->a, &t, made & left);
        }
    }
}

/* -- Results kept for recipes ------------------------------------------------------------------- */

bool flags_keeps(const struct xlate *x, int place)
{
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++)
        if (x->flags.recipe[k].mask && x->flags.recipe[k].d == place)
            return true;
    return false;
}

void flags_kept_moved(struct xlate *x, int from, int to)
{
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++)
        if (x->flags.recipe[k].d == from)
            x->flags.recipe[k].d = (int8_t)to;
}

int flags_free_tmp(const struct flags *f)
{
    uint32_t used = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++)
        if (f->recipe[k].mask && f->recipe[k].d >= RG_SCRATCH && f->recipe[k].d < RG_SLOT)
            used |= BIT(f->recipe[k].d - RG_SCRATCH);
    return !(used & BIT(RAX)) ? RAX : !(used & BIT(RCX)) ? RCX : RDX;
}

/* -- Writes to guest registers ------------------------------------------------------------------------------------------ */

void flags_greg_save(struct xlate *x, unsigned g, ir_val incoming, bool to_memory)
{
    uint8_t lost = 0, losers = 0;
    const struct recipe *one = NULL;

    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        const struct recipe *r = &x->flags.recipe[k];
        struct recipe then = recipe_after_write(*r, g, incoming);
        uint8_t gone = r->mask & ~recipe_makes(&then) & x->need & ~x->flags.mem & ~x->flags.known;

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
        struct recipe then = recipe_after_write(*r, g, incoming);

        r->mask &= recipe_makes(&then);
    }
}

void flags_gregs_save(struct xlate *x, uint32_t gregs)
{
    uint8_t lost = 0;

    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        struct recipe r = x->flags.recipe[k];

        for (unsigned g = 0; g < 15; g++)
            if (gregs & BIT(g))
                r = recipe_without(r, g);
        lost |= r.mask & ~recipe_makes(&r) & x->need & ~x->flags.mem & ~x->flags.known;
    }
    if (lost)
        flags_save(x, lost);
}

void flags_greg_drop(struct xlate *x, unsigned g, ir_val incoming)
{
    for (unsigned k = 0; k < ARRAY_SIZE(x->flags.recipe); k++) {
        struct recipe *r = &x->flags.recipe[k];

        *r = recipe_after_write(*r, g, incoming);
        r->mask &= recipe_makes(r);
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
    if (r && (recipe_makes(r) & s)) {
        /* With four flags and at most one recipe for each there is always a free place. */
        for (unsigned k = 0; k < ARRAY_SIZE(f->recipe); k++) {
            if (f->recipe[k].mask)
                continue;
            f->recipe[k] = *r;
            f->recipe[k].mask = recipe_makes(r) & s;
            covered |= f->recipe[k].mask;
            break;
        }
    }
    DCHECK(!(s & flags_live_after(x->in) & ~covered), "flags %x of %s are nowhere", s, ir_op_info[x->in->op].name);
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
        [COND_EQ] = {FLAG_Z, FLAG_Z}, [COND_NE] = {FLAG_Z, 0},      [COND_CS] = {FLAG_C, FLAG_C},
        [COND_CC] = {FLAG_C, 0},      [COND_MI] = {FLAG_N, FLAG_N}, [COND_PL] = {FLAG_N, 0},
        [COND_VS] = {FLAG_V, FLAG_V}, [COND_VC] = {FLAG_V, 0},      [COND_HI] = {FLAG_C | FLAG_Z, FLAG_C},
        [COND_GT] = {FLAG_Z, 0},
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
        [COND_EQ] = CC_E,  [COND_NE] = CC_NE, [COND_CS] = CC_AE, [COND_CC] = CC_B,  [COND_MI] = CC_S,
        [COND_PL] = CC_NS, [COND_VS] = CC_O,  [COND_VC] = CC_NO, [COND_HI] = CC_A,  [COND_LS] = CC_BE,
        [COND_GE] = CC_GE, [COND_LT] = CC_L,  [COND_GT] = CC_G,  [COND_LE] = CC_LE,
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
    static const uint8_t single[8] = {FLAG_Z, FLAG_Z, FLAG_C, FLAG_C, FLAG_N, FLAG_N, FLAG_V, FLAG_V};
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
