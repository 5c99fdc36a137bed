/*
 * lower_mem.c — loads and stores through the flat tables, LDM and STM, their slow paths
 *
 * All registers that the access needs are chosen before the probe, for the slow path leaves from there: no spill may
 * come between it and the place where the two meet again.
 */
#include "engine/x64/emit.h"

#include "engine/x64/guess.h"
#include "strategies/atomics/atomics.h"

static bool strict(const struct xlate *x)
{
    return x->in->aux & (MEM_ALIGN | MEM_ALIGN4 | MEM_ALIGN16);
}

static struct x64_mem table_entry(const struct xlate *x, bool store, bool user, int index)
{
    unsigned mode = user ? MMU_USER : x->mode;
    size_t table = store ? offsetof(struct vcpu, flat.store) : offsetof(struct vcpu, flat.load);
    struct x64_mem m = vmem(table + mode * sizeof(uint64_t) * VPAGES);

    return mem_bi(m.base, index, 8, m.disp);
}

static bool is_stack(const struct xlate *x)
{
    int32_t off;
    const struct ir_ins *root = &x->ir->ins[group_root(x, x->in->a, &off)];

    return root->op == IR_GET_REG && root->imm == 13;
}

/* From addr, whose page is good for the access, to the difference: in page, or a guess of it in spare. */
static int emit_lookup(struct xlate *x, struct cold *c, int addr, int page, int spare, bool store)
{
    struct x64_asm *a = &x->a;
    bool user = x->in->aux & MEM_USER;

    asm_mov_rr(a, 4, page, addr);
    asm_shift_ri(a, SH_SHR, 4, page, 12);
    struct x64_mem entry = table_entry(x, store, user, page);
    /* A store's data waits for nobody. */
    if (spare < 0 || user || x->mode == MMU_USER || c->has_data || c->kind == COLD_STM) {
        asm_load(a, 8, page, entry);
        asm_test_rr(a, 8, page, page);
        asm_jcc(a, CC_E, &c->entry);
        return page;
    }
    c->guess = (int8_t)spare;
    c->index = (int8_t)page;
    c->stack = is_stack(x);
    c->guess_store = store;
    asm_load(a, 8, spare, c->stack ? VFIELD(guess[GUESS_STACK]) : VFIELD(guess[GUESS_ANY]));
    asm_alu_rm(a, ALU_CMP, 8, spare, entry);
    asm_jcc(a, CC_NE, &c->wrong);
    asm_bind(a, &c->right);
    return spare;
}

void cold_guess(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;

    asm_bind(a, &c->wrong);
    asm_load(a, 8, c->guess, table_entry(x, c->guess_store, false, c->index));
    asm_test_rr(a, 8, c->guess, c->guess);
    asm_jcc(a, CC_E, &c->entry);
    if (c->stack)
        asm_store(a, 8, VFIELD(guess[GUESS_STACK]), c->guess);
    asm_jmp(a, &c->right);
}

int emit_probe(struct xlate *x, struct cold *c, int addr, int page, int spare, bool store)
{
    struct x64_asm *a = &x->a;

    x->flags.host = 0; /* flags_before_fault() has seen to it */
    if (c->kind == COLD_LDM || c->kind == COLD_STM) {
        if (c->size == 1) {
            asm_test_ri(a, addr, 3);
            asm_jcc(a, CC_NE, &c->entry);
        } else {
            /* Rotated, the two low bits of a misaligned address make it larger than any word's number in the page. */
            asm_rorx(a, 4, page, addr, 2);
            asm_alu_ri(a, ALU_AND, 4, page, 0xc00003ff);
            asm_alu_ri(a, ALU_CMP, 4, page, 0x400u - c->size);
            asm_jcc(a, CC_A, &c->entry);
        }
    } else if (c->size > 1 || strict(x)) {
        uint32_t low = (c->size - 1u) | (x->in->aux & MEM_ALIGN4 ? 3 : 0) | (x->in->aux & MEM_ALIGN16 ? 15 : 0);
        /* A doubleword that need only be a multiple of 4 may still lie within the page. */
        bool again = !strict(x) || (low == 7 && !(x->in->aux & MEM_ALIGN));

        if (low) {
            c->probe_again = again && c->kind != COLD_EXCL;
            asm_test_ri(a, addr, low);
            asm_jcc(a, CC_NE, c->probe_again ? &c->unaligned : &c->entry);
        }
    }
    asm_bind(a, &c->probe);
    return emit_lookup(x, c, addr, page, spare, store);
}

static void emit_data(struct xlate *x, struct cold *c, struct x64_mem m)
{
    if (!c->has_data) {
        if ((c->mem & MEM_SIGNED) && c->size < 4)
            asm_loads(&x->a, c->size, c->dst, m);
        else
            asm_load(&x->a, c->size, c->dst, m);
    } else if (c->data.kind == OPND_IMM) {
        asm_store_i(&x->a, c->size, m, c->data.imm);
    } else {
        asm_store(&x->a, c->size, m, c->data.reg);
    }
}

/* Of an access in a group: its address as cold code will find it. */
static void note_address(struct xlate *x, struct cold *c)
{
    ir_val v = alloc_rep(x, x->in->a);

    if (x->val[v].kind == VAL_LEA) {
        c->at = alloc_opnd(x, x->val[v].base);
        c->off = (int32_t)x->val[v].imm;
    } else {
        c->at = alloc_opnd(x, v);
    }
    if (c->at.kind == OPND_IMM)
        c->at = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, v)};
}

/* The first of a group: all that the group may touch lies in one page, whose host address stays in a register. */
static void emit_group_probe(struct xlate *x, struct cold *c, int addr, int host, int spare, const struct group *g)
{
    struct x64_asm *a = &x->a;

    x->flags.host = 0;
    if (g->align > 1) {
        asm_test_ri(a, addr, g->align - 1u);
        asm_jcc(a, CC_NE, &c->entry);
    }
    if (g->lo != g->at)
        asm_lea(a, 4, host, mem_b(addr, g->lo - g->at));
    else
        asm_mov_rr(a, 4, host, addr);
    asm_alu_ri(a, ALU_AND, 4, host, 0xfff);
    asm_alu_ri(a, ALU_CMP, 4, host, 0x1000u - (uint32_t)(g->hi - g->lo));
    asm_jcc(a, CC_A, &c->entry);
    int diff = emit_lookup(x, c, addr, host, spare, g->store);
    if (diff == host)
        asm_alu_rr(a, ALU_ADD, 8, host, addr);
    else
        asm_lea(a, 8, host, mem_bi(diff, addr, 1, 0));
}

static void lower_access(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    bool store = in->op == IR_ST || in->op == IR_ST64;
    unsigned size = 1u << (in->aux & MEM_SIZE);
    struct opnd data = {0};
    struct group plan;
    int32_t delta = 0;
    int addr = NO_REG, page = NO_REG, dst = NO_REG;

    flags_before_fault(x);
    if (x->def_greg >= 0)
        flags_greg_save(x, (unsigned)x->def_greg, (ir_val)x->i, true);
    int k = group_of(x, &delta);
    bool follows = k >= 0;
    if (!follows)
        k = group_plan(x, &plan);
    bool first = k >= 0 && !follows;
    int host = follows ? group_reg(x, (unsigned)k) : NO_REG;
    if (store) {
        data = alloc_opnd(x, in->b);
        if (data.kind == OPND_MEM)
            data = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, in->b)};
    }
    if (!follows) {
        addr = alloc_reg_in(x, in->a, RCX);
        page = alloc_temp(x, RDX);
    }
    struct cold *c = cold_new(x, store ? COLD_STORE : COLD_LOAD);
    if (follows) {
        note_address(x, c);
        c->member = (int8_t)host;
    }
    if (!store) {
        alloc_done(x, in->a);
        if (!first && !follows)
            alloc_unlock(x, page);
        dst = alloc_def(x, page);
        if (!follows)
            x->locked |= (BIT(page) | (is_scratch(addr) ? BIT(addr) : 0)); /* in use until the access */
    }

    c->size = (uint8_t)size;
    c->mem = in->aux;
    c->wide = size == 8;
    c->addr = (int8_t)addr;
    c->tmp = (int8_t)page;
    c->dst = (int8_t)dst;
    c->has_data = store;
    c->data = data;
    c->low = (uint8_t)((in->aux & MEM_ALIGN ? size - 1 : 0) | (in->aux & MEM_ALIGN4 ? 3 : 0) |
                       (in->aux & MEM_ALIGN16 ? 15 : 0));
    alloc_snapshot(x, c, dst);
    int spare = alloc_spare(x);
    if (follows) {
        x->flags.host = 0;
        asm_test_rr(&x->a, 8, host, host);
        asm_jcc(&x->a, CC_E, &c->entry);
        emit_data(x, c, mem_b(host, delta));
    } else if (first) {
        c->group_reg[k] = c->member = (int8_t)page;
        c->at = (struct opnd){.kind = OPND_REG, .reg = addr};
        emit_group_probe(x, c, addr, page, spare, &plan);
        emit_data(x, c, mem_b(page, 0));
        group_start(x, (unsigned)k, &plan, page);
    } else {
        int diff = emit_probe(x, c, addr, page, spare, store);
        emit_data(x, c, mem_bi(diff, addr, 1, 0));
    }
    asm_bind(&x->a, &c->back);
}

static unsigned count_words(uint32_t mask)
{
    return (unsigned)__builtin_popcount(mask & 0xffff);
}

static void lower_ldm(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    struct x64_asm *a = &x->a;
    uint32_t mask = in->imm & 0x7fff;
    int tmp = NO_REG;

    flags_before_fault(x);
    flags_gregs_save(x, mask | (x->def_greg >= 0 ? BIT(x->def_greg) : 0));
    struct cold *c = cold_new(x, COLD_LDM);
    /* Values that are equal to a register about to be loaded move first: into scratch registers, so that a fault
     * leaves the guest registers alone. */
    int addr;
    ir_val base = alloc_rep(x, in->a);
    bool base_lost = x->val[base].kind == VAL_GREG && (mask & BIT(x->val[base].at)) && !alloc_needed(x, base);
    addr = base_lost ? alloc_copy(x, base, RCX) : NO_REG;
    for (unsigned g = 0; g < 15; g++)
        if (mask & BIT(g)) {
            alloc_greg_written(x, g);
            flags_greg_drop(x, g, IR_NONE);
        }
    if (!base_lost)
        addr = alloc_reg_in(x, base, RCX);
    int page = alloc_temp(x, RDX);
    int dst = NO_REG;
    if (in->imm & BIT(15))
        dst = alloc_def(x, NO_REG);
    else
        alloc_def_const(x, 0); /* no result: nobody should ask */
    for (unsigned g = 0; g < 15 && tmp < 0; g++)
        if ((mask & BIT(g)) && host_of(g) < 0)
            tmp = is_scratch(dst) ? dst : alloc_temp(x, NO_REG);

    c->size = (uint8_t)count_words(in->imm);
    c->mem = in->aux;
    c->addr = (int8_t)addr;
    c->dst = (int8_t)dst;
    c->mask = mask;
    alloc_snapshot(x, c, dst);
    page = emit_probe(x, c, addr, page, alloc_spare(x), false);
    int32_t off = 0;
    for (unsigned g = 0; g < 15; g++) {
        if (!(mask & BIT(g)))
            continue;
        struct x64_mem m = mem_bi(page, addr, 1, off);
        if (host_of(g) >= 0) {
            asm_load(a, 4, host_of(g), m);
        } else {
            asm_load(a, 4, tmp, m);
            asm_store(a, 4, greg_mem(g), tmp);
        }
        off += 4;
    }
    if (dst >= 0)
        asm_load(a, 4, dst, mem_bi(page, addr, 1, off));
    asm_bind(a, &c->back);
}

static void lower_stm(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    struct x64_asm *a = &x->a;
    uint32_t mask = in->imm & 0x7fff;
    int tmp = NO_REG;

    flags_before_fault(x);
    int addr = alloc_reg_in(x, in->a, RCX);
    int page = alloc_temp(x, RDX);
    for (unsigned g = 0; g < 15 && tmp < 0; g++)
        if ((mask & BIT(g)) && host_of(g) < 0)
            tmp = alloc_temp(x, NO_REG);
    struct cold *c = cold_new(x, COLD_STM);
    c->size = (uint8_t)count_words(in->imm);
    c->mem = in->aux;
    c->addr = (int8_t)addr;
    c->mask = in->imm & 0xffff;
    c->imm = in->imm2;
    alloc_snapshot(x, c, NO_REG);
    page = emit_probe(x, c, addr, page, alloc_spare(x), true);
    int32_t off = 0;
    for (unsigned g = 0; g < 15; g++) {
        if (!(mask & BIT(g)))
            continue;
        struct x64_mem m = mem_bi(page, addr, 1, off);
        if (host_of(g) >= 0) {
            asm_store(a, 4, m, host_of(g));
        } else {
            asm_load(a, 4, tmp, greg_mem(g));
            asm_store(a, 4, m, tmp);
        }
        off += 4;
    }
    if (in->imm & BIT(15))
        asm_store_i(a, 4, mem_bi(page, addr, 1, off), in->imm2);
    asm_bind(a, &c->back);
}

void lower_mem(struct xlate *x)
{
    switch (x->in->op) {
    case IR_LD:
    case IR_LD64:
    case IR_ST:
    case IR_ST64: lower_access(x); break;
    case IR_LDM: lower_ldm(x); break;
    default: lower_stm(x); break;
    }
}

/* -- Slow paths --------------------------------------------------------------------------------------------------------- */

static struct x64_mem mbuf(unsigned k)
{
    return vmem(offsetof(struct vcpu, mbuf) + 4 * (size_t)k);
}

static void cold_ldm(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;
    unsigned k = 0;

    asm_mov_ri(a, RAX, c->size);
    emit_thunk_call(x, x64_stubs.ldm);
    for (unsigned g = 0; g < 15; g++) {
        if (!(c->mask & BIT(g)))
            continue;
        if (host_of(g) >= 0) {
            asm_load(a, 4, host_of(g), mbuf(k));
        } else {
            asm_load(a, 4, RAX, mbuf(k));
            asm_store(a, 4, greg_mem(g), RAX);
        }
        k++;
    }
    if (c->dst >= 0)
        asm_load(a, 4, RAX, mbuf(k));
    cold_leave(x, c, true);
}

static void cold_stm(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;
    unsigned k = 0;

    for (unsigned g = 0; g < 15; g++) {
        if (!(c->mask & BIT(g)))
            continue;
        int r = host_of(g);
        if (r < 0) {
            r = RAX;
            asm_load(a, 4, RAX, greg_mem(g));
        }
        asm_store(a, 4, mbuf(k++), r);
    }
    if (c->mask & BIT(15))
        asm_store_i(a, 4, mbuf(k), c->imm);
    asm_mov_ri(a, RAX, c->size);
    const void *watched = x->req->atomics->emit_watched_store ? x64_stubs.watched_stm[x->mode] : NULL;
    emit_thunk_call(x, watched && c->size ? watched : x64_stubs.stm);
    cold_leave(x, c, false);
}

/* A member of a group when the group's page did not do: a probe for itself alone, if there is a register for its address.
 * The group's register is free here, and is 0 afterwards. */
static void cold_member(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;
    struct x64_label group = c->entry;
    int host = c->member;
    int addr = NO_REG;
    _Static_assert(GROUPS == 2, "below");

    for (int r = RAX; r <= RDX && addr < 0; r++)
        if (r != c->group_reg[0] && r != c->group_reg[1] && !(c->preserve & BIT(r)) &&
            !(c->has_data && c->data.kind == OPND_REG && c->data.reg == r) &&
            !(c->at.kind == OPND_REG && c->at.reg == r))
            addr = r;
    if (c->at.kind == OPND_REG && !c->off)
        addr = c->at.reg;
    if (addr < 0)
        return;
    c->entry = (struct x64_label)X64_LABEL_INIT;
    asm_bind(a, &group);
    emit_address(x, addr, c->at, c->off);
    if (c->low) {
        asm_test_ri(a, addr, c->low);
        asm_jcc(a, CC_NE, &c->entry);
    }
    asm_mov_rr(a, 4, host, addr);
    if (c->size > 1) {
        asm_alu_ri(a, ALU_AND, 4, host, 0xfff);
        asm_alu_ri(a, ALU_CMP, 4, host, 0x1000u - c->size);
        asm_jcc(a, CC_A, &c->entry);
        asm_mov_rr(a, 4, host, addr);
    }
    asm_shift_ri(a, SH_SHR, 4, host, 12);
    asm_load(a, 8, host, table_entry(x, c->has_data, c->mem & MEM_USER, host));
    asm_test_rr(a, 8, host, host);
    asm_jcc(a, CC_E, &c->entry);
    emit_data(x, c, mem_bi(host, addr, 1, 0));
    asm_alu_rr(a, ALU_XOR, 4, host, host);
    asm_jmp(a, &c->back);
}

static const void *store_thunk(const struct xlate *x, const struct cold *c)
{
    const void *watched =
        x64_stubs.watched_store[c->keep_xmm][c->mem & MEM_SIZE][c->mem & MEM_USER ? MMU_USER : x->mode];

    if (x->req->atomics->emit_watched_store && watched)
        return watched;
    return c->wide ? x64_stubs.store64[c->keep_xmm] : x64_stubs.store[c->keep_xmm];
}

void cold_mem(struct xlate *x, struct cold *c)
{
    if (c->member >= 0)
        cold_member(x, c);
    cold_enter(x, c);
    switch (c->kind) {
    case COLD_LOAD:
        asm_mov_ri(&x->a, RAX, c->mem);
        emit_thunk_call(x, c->wide ? x64_stubs.load64[c->keep_xmm] : x64_stubs.load[c->keep_xmm]);
        cold_leave(x, c, true);
        break;
    case COLD_STORE:
        asm_mov_ri(&x->a, RAX, c->mem);
        emit_thunk_call(x, store_thunk(x, c));
        cold_leave(x, c, false);
        break;
    case COLD_LDM: cold_ldm(x, c); break;
    default: cold_stm(x, c); break;
    }
}
