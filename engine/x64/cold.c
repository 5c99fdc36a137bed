/*
 * cold.c — code that is rarely run, after the block's hot code
 *
 * A slow path leaves the straight line at a known place: what was in which register there has been noted. Nothing
 * that it does to registers may be seen behind it but the result.
 */
#include "engine/x64/emit.h"

#include "engine/vcpu/key.h"

struct cold *cold_new(struct xlate *x, enum cold_kind kind)
{
    struct cold *c = &x->cold[x->ncold++];

    *c = (struct cold){
        .kind = (uint8_t)kind,
        .op = x->in->op,
        .addr = NO_REG,
        .dst = NO_REG,
        .tmp = NO_REG,
        .group_reg = {NO_REG, NO_REG},
        .group_slot = {-1, -1},
        .member = NO_REG,
        .guess = NO_REG,
        .exit = -1,
        .pc = x->pc,
        .it = x->it,
        .it_stale = x->it_stale,
        .keep_xmm = vreg_any(x),
        .flags = x->flags,
        .entry = X64_LABEL_INIT,
        .unaligned = X64_LABEL_INIT,
        .back = X64_LABEL_INIT,
        .probe = X64_LABEL_INIT,
        .wrong = X64_LABEL_INIT,
        .right = X64_LABEL_INIT,
    };
    if (ir_op_info[x->in->op].f)
        c->flags.host = 0; /* F3: the probe goes before */
    return c;
}

void emit_thunk_call(struct xlate *x, const void *thunk)
{
    CHECK(asm_call_abs(&x->a, thunk), "stubs are out of reach of code memory");
}

void emit_thunk_jmp(struct xlate *x, const void *thunk)
{
    CHECK(asm_jmp_abs(&x->a, thunk), "stubs are out of reach of code memory");
}

void emit_where(struct xlate *x, uint32_t pc, uint32_t it, bool it_stale)
{
    asm_store_i(&x->a, 4, greg_mem(15), pc | (x->req->flags & TBF_THUMB ? 1 : 0));
    if (it || it_stale)
        asm_store_i(&x->a, 4, VFIELD(it), it); /* elsewhere it is 0 while translated code runs */
}

static struct x64_mem slot_mem(int slot)
{
    return vmem(offsetof(struct vcpu, spill) + 8 * (size_t)slot);
}

void cold_enter(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;

    if (c->probe_again) {
        asm_bind(a, &c->unaligned);
        if ((c->mem & MEM_ALIGN4) && c->size == 8) {
            asm_test_ri(a, c->addr, 3);
            asm_jcc(a, CC_NE, &c->entry);
        }
        asm_mov_rr(a, 4, c->tmp, c->addr);
        asm_alu_ri(a, ALU_AND, 4, c->tmp, 0xfff);
        asm_alu_ri(a, ALU_CMP, 4, c->tmp, 0x1000 - c->size);
        asm_jcc(a, CC_BE, &c->probe);
    }
    asm_bind(a, &c->entry);
    for (int r = RAX; r <= RDX; r++)
        if (c->preserve & BIT(r))
            asm_store(a, 8, slot_mem(c->slot[r]), r);

    if (c->member >=
        0) { /* the address is not in a register yet; no member has data in rcx or rdx and its address there too */
        int to = c->has_data && c->data.kind == OPND_REG && c->data.reg == RCX ? RDX : RCX;

        emit_address(x, to, c->at, c->off);
        c->addr = (int8_t)to;
    }
    unsigned size = c->wide ? 8 : 4;
    bool data_reg = c->has_data && c->data.kind == OPND_REG;
    if (data_reg && c->data.reg == RCX && c->addr == RDX) {
        asm_xchg(a, 8, RCX, RDX);
    } else if (data_reg && c->data.reg == RCX) {
        asm_mov_rr(a, size, RDX, RCX);
        asm_mov_rr(a, 4, RCX, c->addr);
    } else {
        if (c->addr != RCX)
            asm_mov_rr(a, 4, RCX, c->addr);
        if (data_reg && c->data.reg != RDX)
            asm_mov_rr(a, size, RDX, c->data.reg);
        else if (c->has_data && c->data.kind == OPND_IMM)
            asm_mov_ri(a, RDX, c->data.imm);
        else if (c->has_data && c->data.kind == OPND_MEM)
            asm_load(a, size, RDX, c->data.mem);
    }
    for (unsigned k = 0; k < ARRAY_SIZE(c->flags.recipe); k++) { /* saved above */
        struct recipe *r = &c->flags.recipe[k];

        if (r->mask && r->d >= RG_SCRATCH && r->d < RG_SLOT)
            r->d = (int8_t)(RG_SLOT + c->slot[r->d - RG_SCRATCH]);
    }
    flags_save_cold(x, &c->flags, FLAG_ALL, RAX);
    emit_where(x, c->pc, c->it, c->it_stale);
}

void cold_leave(struct xlate *x, struct cold *c, bool result)
{
    struct x64_asm *a = &x->a;

    if (c->it)
        asm_store_i(a, 4, VFIELD(it), 0);
    if (result && c->dst >= 0 && (c->dst != RAX || !c->wide)) /* C leaves the upper half of 32 bits undefined */
        asm_mov_rr(a, c->wide ? 8 : 4, c->dst, RAX);
    for (int r = RAX; r <= RDX; r++)
        if (c->preserve & BIT(r))
            asm_load(a, 8, r, slot_mem(c->slot[r]));
    for (unsigned k = 0; k < GROUPS; k++) { /* C may have changed the tables */
        if (c->group_reg[k] >= 0)
            asm_alu_rr(a, ALU_XOR, 4, c->group_reg[k], c->group_reg[k]);
        else if (c->group_slot[k] >= 0)
            asm_store_i(a, 8, slot_mem(c->group_slot[k]), 0);
    }
    asm_jmp(a, &c->back);
}

void cold_emit_all(struct xlate *x)
{
    for (unsigned k = 0; k < x->ncold; k++) {
        struct cold *c = &x->cold[k];

        if (c->guess >= 0)
            cold_guess(x, c);
        switch (c->kind) {
        case COLD_LOAD:
        case COLD_STORE:
        case COLD_LDM:
        case COLD_STM: cold_mem(x, c); break;
        case COLD_EXCL: cold_excl(x, c); break;
        default: cold_flow(x, c); break;
        }
    }
}
