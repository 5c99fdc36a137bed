/*
 * lower_mem.c — loads and stores through the flat tables, LDM and STM, their slow paths
 *
 * All registers that the access needs are chosen before the probe, for the slow path leaves from there: no spill may
 * come between it and the place where the two meet again.
 */
#include "engine/x64/emit.h"

static bool strict(const struct xlate *x)
{
    return x->in->aux & (MEM_ALIGN | MEM_ALIGN4);
}

void emit_probe(struct xlate *x, struct cold *c, int addr, int page, bool store)
{
    struct x64_asm *a = &x->a;
    unsigned mode = x->in->aux & MEM_USER ? MMU_USER : x->mode;
    size_t table = store ? offsetof(struct vcpu, flat.store) : offsetof(struct vcpu, flat.load);

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
        uint32_t low = (c->size - 1u) | (x->in->aux & MEM_ALIGN4 ? 3 : 0);
        /* A doubleword that need only be a multiple of 4 may still lie within the page. */
        bool again = !strict(x) || (low == 7 && !(x->in->aux & MEM_ALIGN));

        if (low) {
            c->probe_again = again && c->kind != COLD_EXCL;
            asm_test_ri(a, addr, low);
            asm_jcc(a, CC_NE, c->probe_again ? &c->unaligned : &c->entry);
        }
    }
    asm_bind(a, &c->probe);
    asm_mov_rr(a, 4, page, addr);
    asm_shift_ri(a, SH_SHR, 4, page, 12);
    struct x64_mem entry = vmem(table + mode * sizeof(uint64_t) * VPAGES);
    asm_load(a, 8, page, mem_bi(entry.base, page, 8, entry.disp));
    asm_test_rr(a, 8, page, page);
    asm_jcc(a, CC_E, &c->entry);
}

static void lower_load(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    unsigned size = 1u << (in->aux & MEM_SIZE);

    flags_before_fault(x);
    if (x->def_greg >= 0)
        flags_greg_save(x, (unsigned)x->def_greg, (ir_val)x->i, true);
    int addr = alloc_reg_in(x, in->a, RCX);
    int page = alloc_temp(x, RDX);
    struct cold *c = cold_new(x, COLD_LOAD);
    alloc_done(x, in->a);
    alloc_unlock(x, page);
    int dst = alloc_def(x, page);
    x->locked |= BIT(page);

    c->size = (uint8_t)size;
    c->mem = in->aux;
    c->wide = in->op == IR_LD64;
    c->addr = (int8_t)addr;
    c->tmp = (int8_t)page;
    c->dst = (int8_t)dst;
    alloc_snapshot(x, c, dst);
    emit_probe(x, c, addr, page, false);
    struct x64_mem m = mem_bi(page, addr, 1, 0);
    if ((in->aux & MEM_SIGNED) && size < 4)
        asm_loads(&x->a, size, dst, m);
    else
        asm_load(&x->a, size, dst, m);
    asm_bind(&x->a, &c->back);
}

static void lower_store(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    unsigned size = 1u << (in->aux & MEM_SIZE);

    flags_before_fault(x);
    struct opnd data = alloc_opnd(x, in->b);
    if (data.kind == OPND_MEM)
        data = (struct opnd){.kind = OPND_REG, .reg = alloc_reg(x, in->b)};
    int addr = alloc_reg_in(x, in->a, RCX);
    int page = alloc_temp(x, RDX);
    struct cold *c = cold_new(x, COLD_STORE);

    c->size = (uint8_t)size;
    c->mem = in->aux;
    c->wide = in->op == IR_ST64;
    c->addr = (int8_t)addr;
    c->tmp = (int8_t)page;
    c->has_data = true;
    c->data = data;
    alloc_snapshot(x, c, NO_REG);
    emit_probe(x, c, addr, page, true);
    struct x64_mem m = mem_bi(page, addr, 1, 0);
    if (data.kind == OPND_IMM)
        asm_store_i(&x->a, size, m, data.imm);
    else
        asm_store(&x->a, size, m, data.reg);
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
    emit_probe(x, c, addr, page, false);
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
    emit_probe(x, c, addr, page, true);
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
    case IR_LD64: lower_load(x); break;
    case IR_ST:
    case IR_ST64: lower_store(x); break;
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
    emit_thunk_call(x, x64_stubs.stm);
    cold_leave(x, c, false);
}

void cold_mem(struct xlate *x, struct cold *c)
{
    cold_enter(x, c);
    switch (c->kind) {
    case COLD_LOAD:
        asm_mov_ri(&x->a, RAX, c->mem);
        emit_thunk_call(x, c->wide ? x64_stubs.load64 : x64_stubs.load);
        cold_leave(x, c, true);
        break;
    case COLD_STORE:
        asm_mov_ri(&x->a, RAX, c->mem);
        emit_thunk_call(x, c->wide ? x64_stubs.store64 : x64_stubs.store);
        cold_leave(x, c, false);
        break;
    case COLD_LDM: cold_ldm(x, c); break;
    default: cold_stm(x, c); break;
    }
}
