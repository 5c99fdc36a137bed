/*
 * lower_excl.c — exclusives, SWP, barriers
 *
 * The engine checks alignment and probes; the atomics scheme emits the rest (strategies/atomics/atomics.h), or its C
 * twin is called. A store-exclusive can need more registers than the three scratch ones: then a pinned register is
 * borrowed for the few instructions of the scheme, where nothing can fault.
 */
#include "engine/x64/emit.h"

#include "strategies/atomics/atomics.h"

static unsigned access_size(const struct xlate *x)
{
    return 1u << (x->in->aux & MEM_SIZE);
}

static uint32_t excl_mem(const struct xlate *x)
{
    return x->in->op == IR_SWP ? x->in->aux : x->in->aux | (uint32_t)MEM_ALIGN;
}

static void emit_fn(struct xlate *x, uintptr_t fn)
{
    asm_mov_ri64(&x->a, RAX, fn);
}

/* mov to rcx and rdx, whose sources may be each other. */
static void emit_args(struct xlate *x, struct opnd addr, struct opnd data, unsigned data_size)
{
    struct x64_asm *a = &x->a;

    if (data.kind == OPND_REG && data.reg == RCX && addr.kind == OPND_REG && addr.reg == RDX) {
        asm_xchg(a, 8, RCX, RDX);
        return;
    }
    bool data_first = data.kind == OPND_REG && data.reg == RCX;
    for (unsigned k = 0; k < 2; k++) {
        struct opnd o = data_first == (k == 0) ? data : addr;
        bool is_data = data_first == (k == 0);
        int dst = is_data ? RDX : RCX;

        if (is_data && data_size == 8) {
            if (o.kind == OPND_REG)
                asm_mov_rr(a, 8, dst, o.reg);
            else
                asm_load(a, 8, dst, o.mem);
        } else {
            emit_mov_opnd(x, dst, o);
        }
    }
}

/* A stub that tries the watched frames first, if the scheme has it, else the thunk. */
static const void *excl_thunk(const struct xlate *x, bool store)
{
    unsigned lg = x->in->aux & MEM_SIZE;
    const void *watched = store ? x64_stubs.watched_strex[lg][x->mode] : x64_stubs.watched_ldrex[lg][x->mode];

    if (x->req->atomics->emit_watched_store && watched)
        return watched;
    return store ? x64_stubs.excl_store : x64_stubs.excl_load;
}

/* The twin in the straight line. */
static void call_twin(struct xlate *x, uintptr_t fn, const void *thunk)
{
    const struct ir_ins *in = x->in;
    bool store = in->op != IR_LDREX && in->op != IR_LDREX64;

    flags_save(x, FLAG_ALL);
    if (x->def_greg >= 0)
        flags_greg_save(x, (unsigned)x->def_greg, (ir_val)x->i, true);
    flags_clobber(x);
    alloc_spill_all(x, false);
    struct opnd addr = alloc_opnd(x, in->a);
    struct opnd data = store ? alloc_opnd(x, in->b) : (struct opnd){.kind = OPND_IMM, .imm = excl_mem(x)};
    emit_args(x, addr, data, in->op == IR_STREX64 ? 8 : 4);
    emit_where(x, x->pc, x->it, x->it_stale);
    if (store)
        asm_store_i(&x->a, 4, VFIELD(mbuf), excl_mem(x));
    emit_fn(x, fn);
    emit_thunk_call(x, thunk);
    if (x->it)
        asm_store_i(&x->a, 4, VFIELD(it), 0);
    alloc_done(x, in->a);
    if (store)
        alloc_done(x, in->b);
    if (in->op != IR_LDREX64)
        asm_mov_rr(&x->a, 4, RAX, RAX); /* C leaves the upper half undefined */
    x->locked |= BIT(RAX);
    alloc_def_in(x, RAX);
}

static void lower_ldrex(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    const struct atomics_ops *ops = x->req->atomics;
    unsigned size = access_size(x);

    if (!ops->emit_ldrex) {
        call_twin(x, (uintptr_t)ops->ldrex, excl_thunk(x, false));
        return;
    }
    flags_before_fault(x);
    if (x->def_greg >= 0)
        flags_greg_save(x, (unsigned)x->def_greg, (ir_val)x->i, true);
    int addr = alloc_reg_in(x, in->a, RCX);
    int host = alloc_temp(x, RDX);
    struct cold *c = cold_new(x, COLD_EXCL);
    /* The data must not go where the address is: the scheme may want to note it after the load. */
    bool direct = x->def_greg >= 0 && host_of((unsigned)x->def_greg) != addr;
    int lo = direct ? alloc_def(x, NO_REG) : alloc_temp(x, NO_REG);

    c->size = (uint8_t)size;
    c->mem = excl_mem(x);
    c->wide = size == 8;
    c->addr = (int8_t)addr;
    c->dst = (int8_t)lo;
    alloc_snapshot(x, c, lo);
    emit_probe(x, c, addr, host, NO_REG, false);
    asm_alu_rr(&x->a, ALU_ADD, 8, host, addr);
    int tmp = NO_REG;
    for (int r = RAX; r <= RDX && tmp < 0; r++)
        if (x->reg_val[r] == IR_NONE && !(x->locked & BIT(r)))
            tmp = r;
    struct excl_site site = {
        .va = addr, .host = host, .lo = lo, .status = NO_REG, .tmp = tmp, .mem = in->aux & MEM_SIZE};
    ops->emit_ldrex(&x->a, &site);
    asm_bind(&x->a, &c->back);
    if (!direct)
        alloc_def_in(x, lo);
}

/* A pinned register other than those in use, its value saved. */
static int borrow(struct xlate *x, uint32_t in_use, uint32_t *borrowed)
{
    for (unsigned g = 0; g < 15; g++) {
        int h = host_of(g);

        if (h >= 0 && !((in_use | *borrowed) & BIT(h))) {
            *borrowed |= BIT(h);
            asm_store(&x->a, 4, greg_mem(g), h);
            return h;
        }
    }
    CHECK(false, "no register to borrow");
}

static void give_back(struct xlate *x, uint32_t borrowed)
{
    for (unsigned g = 0; g < 15; g++) {
        int h = host_of(g);

        if (h >= 0 && (borrowed & BIT(h)))
            asm_load(&x->a, 4, h, greg_mem(g));
    }
}

static void lower_strex(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    const struct atomics_ops *ops = x->req->atomics;
    unsigned size = access_size(x);
    bool wide = size == 8;

    if (!ops->emit_strex) {
        call_twin(x, (uintptr_t)ops->strex, excl_thunk(x, true));
        return;
    }
    flags_before_fault(x);
    if (x->def_greg >= 0)
        flags_greg_save(x, (unsigned)x->def_greg, (ir_val)x->i, true);
    alloc_take(x, RAX);
    bool same = alloc_rep(x, in->a) == alloc_rep(x, in->b);
    if (!same)
        alloc_spill_value(x, in->b);
    int addr = alloc_reg_in(x, in->a, RCX);
    struct opnd data = alloc_opnd(x, in->b);
    int host = alloc_temp(x, RDX);
    if (host != RDX && host != RCX)
        CHECK(false, "strex address in register %d", host);
    struct cold *c = cold_new(x, COLD_EXCL);
    c->size = (uint8_t)size;
    c->mem = excl_mem(x);
    c->addr = (int8_t)addr;
    c->dst = RAX;
    c->has_data = true;
    c->wide = wide;
    c->data = data;
    alloc_snapshot(x, c, RAX);
    emit_probe(x, c, addr, host, NO_REG, true);
    asm_alu_rr(&x->a, ALU_ADD, 8, host, addr);

    uint32_t busy = BIT(addr) | BIT(host) | (data.kind == OPND_REG ? BIT(data.reg) : 0);
    uint32_t borrowed = 0;
    int spare = NO_REG;
    for (int r = RCX; r <= RDX && spare < 0; r++)
        if (!(busy & BIT(r)) && x->reg_val[r] == IR_NONE)
            spare = r;
    int lo = data.reg;
    if (data.kind != OPND_REG) {
        lo = spare >= 0 ? spare : borrow(x, busy, &borrowed);
        spare = NO_REG;
        if (wide)
            asm_load(&x->a, 8, lo, data.mem);
        else if (data.kind == OPND_MEM)
            asm_load(&x->a, 4, lo, data.mem);
        else
            asm_mov_ri(&x->a, lo, data.imm);
        busy |= BIT(lo);
    }
    int result = x->def_greg >= 0 ? host_of((unsigned)x->def_greg) : NO_REG;
    int status = result >= 0 && !(busy & BIT(result)) ? result : spare >= 0 ? spare : borrow(x, busy, &borrowed);
    if (status == spare)
        spare = NO_REG;
    struct excl_site site = {
        .va = addr, .host = host, .lo = lo, .status = status, .tmp = spare, .mem = in->aux & MEM_SIZE};
    ops->emit_strex(&x->a, &site);
    if (status == result)
        c->dst = (int8_t)status;
    else
        emit_mov(x, RAX, status);
    give_back(x, borrowed);
    asm_bind(&x->a, &c->back);
    alloc_done(x, in->a);
    alloc_done(x, in->b);
    if (status == result)
        alloc_def(x, NO_REG);
    else
        alloc_def_in(x, RAX);
}

void cold_excl(struct xlate *x, struct cold *c)
{
    const struct atomics_ops *ops = x->req->atomics;
    bool store = c->has_data;

    cold_enter(x, c);
    if (store)
        asm_store_i(&x->a, 4, VFIELD(mbuf), c->mem);
    else
        asm_mov_ri(&x->a, RDX, c->mem);
    emit_fn(x, store ? (uintptr_t)ops->strex : (uintptr_t)ops->ldrex);
    emit_thunk_call(x, store ? x64_stubs.excl_store : x64_stubs.excl_load);
    cold_leave(x, c, true);
}

void lower_excl(struct xlate *x)
{
    const struct atomics_ops *ops = x->req->atomics;

    if (x->in->op != IR_BARRIER)
        group_drop_all(x);
    switch (x->in->op) {
    case IR_LDREX:
    case IR_LDREX64: lower_ldrex(x); break;
    case IR_STREX:
    case IR_STREX64: lower_strex(x); break;
    case IR_SWP: call_twin(x, (uintptr_t)ops->swp, x64_stubs.excl_store); break;
    case IR_CLREX:
        flags_clobber(x);
        if (ops->emit_clrex) {
            ops->emit_clrex(&x->a);
        } else {
            alloc_spill_all(x, false);
            emit_fn(x, (uintptr_t)ops->clear);
            emit_thunk_call(x, x64_stubs.clear);
        }
        break;
    default: /* BARRIER */
        /* The host orders everything but a store before a later load; a locked operation does that too, at about half the
         * time of mfence, which also waits for stores that bypass the cache. The word is below the stack's top and in
         * this thread's cache. */
        flags_clobber(x);
        asm_lock_alu_mi(&x->a, ALU_OR, 4, mem_b(RSP, -64), 0);
        break;
    }
}
