/*
 * lower_flow.c — labels, branches inside the block, exits, calls and returns
 *
 * At an exit the guest's registers are where the next block expects them; flags that it may read must be in memory.
 * If a conditional exit finds them still in EFLAGS or as recipes, it goes through a stub that stores them, so that the
 * way straight on does not pay.
 *
 * Calls push a frame (key, host return address) by push and call: the host's own return prediction works for the guest.
 * A return compares the key of the top frame with its target and executes ret. Anything irregular drops all frames.
 */
#include "engine/x64/emit.h"

#include "engine/vcpu/key.h"
#include "engine/tb/tb.h"

static struct label *label_of(struct xlate *x)
{
    return &x->label[x->in->imm];
}

static void lower_label(struct xlate *x)
{
    struct label *l = label_of(x);

    flags_at_label(x, l);
    alloc_label(x);
    asm_bind(&x->a, &l->l);
    x->dead_end = false;
}

/* EFLAGS: is the value zero? */
static void emit_test_zero(struct xlate *x, ir_val v)
{
    struct opnd o = alloc_opnd(x, v);

    flags_clobber(x);
    if (o.kind == OPND_MEM) {
        asm_alu_mi(&x->a, ALU_CMP, 4, o.mem, 0);
        return;
    }
    if (o.kind == OPND_IMM)
        o.reg = alloc_reg(x, v);
    uint32_t before = x->a.off;
    asm_test_rr(&x->a, 4, o.reg, o.reg);
    if (x->pad_jcc)
        asm_insert_nops(&x->a, before, asm_patch_pad(&x->a, x->a.off, 2));
}

/* Guest instructions that a jump from here passes over: those whose condition fails. They count too. */
static int insns_passed(const struct xlate *x, const struct label *l)
{
    int n = 0;

    for (uint32_t i = x->i; x->req->count_insns && i < l->at; i++)
        n += x->ir->ins[i].op == IR_INSN;
    return n;
}

static void lower_branch(struct xlate *x)
{
    struct label *l = label_of(x);
    int passed = insns_passed(x, l);

    if (passed)
        emit_count_insns(x, passed);
    switch (x->in->op) {
    case IR_BR:
        flags_before_jump(x, l, false);
        flags_at_jump(x, l, false);
        asm_jmp(&x->a, &l->l);
        x->dead_end = true;
        break;
    case IR_BRCOND: {
        flags_before_jump(x, l, true);
        enum x64_cc cc = flags_cond(x, x->in->cond);
        flags_reads_done(x);
        flags_at_jump(x, l, true);
        asm_jcc(&x->a, cc, &l->l);
        flags_given(&x->flags, (enum ir_cond)(x->in->cond ^ 1));
        break;
    }
    default:
        flags_before_jump(x, l, true);
        emit_test_zero(x, x->in->a);
        flags_at_jump(x, l, true);
        asm_jcc(&x->a, x->in->op == IR_BRZ ? CC_E : CC_NE, &l->l);
        break;
    }
    if (passed && !x->dead_end)
        emit_count_insns(x, -passed); /* not taken: they will be counted where they are */
}

/* -- Static exits ------------------------------------------------------------------------------------------------------ */

enum jump_kind { JUMP, JUMP_IF, JUMP_CALL };

/* The place for an exit in the table, if it can be chained. */
static int claim_exit(struct xlate *x, unsigned n, uint32_t target)
{
    if (n >= TB_MAX_EXITS || x->req->no_chain)
        return -1;
    x->out->exits[n] = (struct x64_exit_info){
        .target = target,
        .jump_off = UINT32_MAX,
        .cross_page = (target ^ x->req->pc) >> 12 != 0,
        .backward = (target & ~1u) <= x->pc,
    };
    if (x->out->nexits <= n)
        x->out->nexits = n + 1;
    return (int)n;
}

/* A jump to another block, and its stub later. */
static void emit_exit(struct xlate *x, enum jump_kind kind, enum x64_cc cc, uint32_t target, unsigned n)
{
    struct cold *c = cold_new(x, COLD_EXIT);
    struct x64_asm *a = &x->a;
    uint32_t jump;

    c->exit = (int8_t)claim_exit(x, n, target);
    c->imm = target;
    if (c->exit < 0) {
        if (kind == JUMP_IF)
            asm_jcc(a, cc, &c->entry);
        else
            asm_jmp(a, &c->entry);
        return;
    }
    jump = kind == JUMP      ? asm_jmp_patch(a, &c->entry)
           : kind == JUMP_IF ? asm_jcc_patch(a, cc, &c->entry)
                             : asm_call_patch(a, &c->entry);
    x->out->exits[c->exit].jump_off = jump;
}

/* A conditional jump to another block, with flags to be stored on the way: on the side; or, for a jump backwards, which is
 * the usual way on, in the line. */
static void emit_exit_saving(struct xlate *x, enum x64_cc cc, uint32_t target, unsigned n, uint8_t save)
{
    struct x64_label past = X64_LABEL_INIT;
    struct flags given = x->flags;

    if (x->in->op == IR_EXIT_IF)
        flags_given(&given, (enum ir_cond)x->in->cond);
    if ((target & ~1u) > x->pc) {
        struct cold *c = cold_new(x, COLD_EXIT);

        c->exit = (int8_t)claim_exit(x, n, target);
        c->imm = target;
        c->save = save;
        c->flags = given;
        asm_jcc(&x->a, cc, &c->entry);
        return;
    }
    asm_jcc(&x->a, (enum x64_cc)(cc ^ 1), &past);
    flags_save_cold(x, &given, save, flags_free_tmp(&given));
    emit_exit(x, JUMP, CC_E, target, n);
    asm_bind(&x->a, &past);
}

static void lower_exit_if(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    unsigned n = x->exit_no++;
    enum x64_cc cc;

    x->pad_jcc = !(in->live & ~x->flags.mem);
    if (in->op == IR_EXIT_IF) {
        cc = flags_cond(x, in->cond);
    } else {
        emit_test_zero(x, in->a);
        cc = in->op == IR_EXIT_IFZ ? CC_E : CC_NE;
    }
    x->pad_jcc = false;
    flags_reads_done(x);
    uint8_t save = in->live & ~x->flags.mem;
    if (save)
        emit_exit_saving(x, cc, in->imm, n, save);
    else
        emit_exit(x, JUMP_IF, cc, in->imm, n);
    if (in->op == IR_EXIT_IF)
        flags_given(&x->flags, (enum ir_cond)(in->cond ^ 1));
}

/* After the call of another block: drop the frame's key, go on at the return address. */
static void emit_after_call(struct xlate *x, uint32_t ret_t)
{
    asm_pop(&x->a, RCX);
    emit_exit(x, JUMP, CC_E, ret_t, x->exit_extra++);
}

static void emit_push_frame(struct xlate *x, uint32_t ret_t)
{
    struct cold *c = cold_new(x, COLD_RAS);

    asm_alu_rm(&x->a, ALU_CMP, 8, RSP, VFIELD(ras_limit));
    asm_jcc(&x->a, CC_B, &c->entry);
    asm_bind(&x->a, &c->back);
    asm_push_i(&x->a, ret_t);
}

static void lower_exit(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    unsigned n = x->exit_no++;

    flags_save(x, in->live);
    if (in->aux == EXIT_CALL && !x->req->no_chain && n < TB_MAX_EXITS) {
        emit_push_frame(x, in->imm2);
        emit_exit(x, JUMP_CALL, CC_E, in->imm, n);
        emit_after_call(x, in->imm2);
    } else {
        emit_exit(x, JUMP, CC_E, in->imm, n);
    }
    x->dead_end = true;
}

/* -- Indirect exits ---------------------------------------------------------------------------------------------------- */

/* Leave to the loop; r15 is in v. */
static void emit_leave(struct xlate *x)
{
    asm_alu_rr(&x->a, ALU_XOR, 4, RAX, RAX);
    emit_thunk_jmp(x, x64_stubs.leave);
}

/* Look target up in the jump cache; afterwards `host` is what to jump to or call. */
static struct x64_mem emit_jc_probe(struct xlate *x, int target, struct cold *c)
{
    struct x64_asm *a = &x->a;
    int index = target == RCX ? RDX : RCX;
    struct x64_mem e = vmem(offsetof(struct vcpu, jc) + x->mode * sizeof(struct jc_entry) * JC_ENTRIES);

    e = mem_bi(e.base, index, 8, e.disp);
    asm_mov_rr(a, 4, index, target);
    asm_alu_ri(a, ALU_AND, 4, index, (JC_ENTRIES - 1) << 1);
    asm_alu_mr(a, ALU_CMP, 4, e, target);
    asm_jcc(a, CC_NE, &c->entry);
    e.disp += (int32_t)offsetof(struct jc_entry, host);
    return e;
}

static void lower_exit_ind(struct xlate *x)
{
    const struct ir_ins *in = x->in;
    struct x64_asm *a = &x->a;
    struct cold *c;

    flags_save(x, in->live);
    int target = alloc_reg(x, in->a);
    x->dead_end = true;
    if (x->req->no_chain) {
        asm_store(a, 4, greg_mem(15), target);
        emit_leave(x);
        return;
    }
    switch (in->aux) {
    case EXIT_RETURN:
        c = cold_new(x, COLD_RETURN);
        c->addr = (int8_t)target;
        asm_alu_mr(a, ALU_CMP, 4, mem_b(RSP, 8), target);
        asm_jcc(a, CC_NE, &c->entry);
        asm_ret(a);
        break;
    case EXIT_CALL: {
        emit_push_frame(x, in->imm2);
        c = cold_new(x, COLD_CALL_INDIRECT);
        c->addr = (int8_t)target;
        asm_call_m(a, emit_jc_probe(x, target, c));
        asm_bind(a, &c->back);
        emit_after_call(x, in->imm2);
        break;
    }
    default:
        c = cold_new(x, COLD_INDIRECT);
        c->addr = (int8_t)target;
        asm_jmp_m(a, emit_jc_probe(x, target, c));
        break;
    }
}

/* The key state may have changed: v->it is as the helpers and st_env have left it. */
static void lower_exit_loop(struct xlate *x)
{
    flags_save(x, x->in->live);
    if (x->in->op == IR_EXIT_LOOP)
        asm_store_i(&x->a, 4, greg_mem(15), x->in->imm);
    else
        asm_store(&x->a, 4, greg_mem(15), alloc_reg(x, x->in->a));
    emit_leave(x);
    x->dead_end = true;
}

void lower_flow(struct xlate *x)
{
    switch (x->in->op) {
    case IR_LABEL: lower_label(x); break;
    case IR_BR:
    case IR_BRCOND:
    case IR_BRZ:
    case IR_BRNZ: lower_branch(x); break;
    case IR_EXIT_IF:
    case IR_EXIT_IFZ:
    case IR_EXIT_IFNZ: lower_exit_if(x); break;
    case IR_EXIT: lower_exit(x); break;
    case IR_EXIT_IND: lower_exit_ind(x); break;
    default: lower_exit_loop(x); break;
    }
}

/* -- Cold ----------------------------------------------------------------------------------------------------------------- */

static void cold_exit(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;
    struct x64_label stub = X64_LABEL_INIT;

    asm_bind(a, &c->entry);
    if (c->save) {
        flags_save_cold(x, &c->flags, c->save, flags_free_tmp(&c->flags));
        if (c->exit >= 0)
            x->out->exits[c->exit].jump_off = asm_jmp_patch(a, &stub);
        asm_bind(a, &stub);
    }
    uint32_t at = a->off;
    asm_store_i(a, 4, greg_mem(15), c->imm);
    if (c->exit >= 0) {
        x->out->exits[c->exit].stub_off = at;
        asm_mov_ri64(a, RAX, (uintptr_t)tb_exit_at(x->req->tb, (unsigned)c->exit));
    } else {
        asm_alu_rr(a, ALU_XOR, 4, RAX, RAX);
    }
    emit_thunk_jmp(x, x64_stubs.leave);
}

void cold_flow(struct xlate *x, struct cold *c)
{
    struct x64_asm *a = &x->a;

    if (c->kind == COLD_EXIT) {
        cold_exit(x, c);
        return;
    }
    asm_bind(a, &c->entry);
    if (c->addr >= 0)
        emit_mov(x, RAX, c->addr);
    switch (c->kind) {
    case COLD_RAS:
        asm_load(a, 8, RSP, VFIELD(host_rsp));
        asm_jmp(a, &c->back);
        break;
    case COLD_INDIRECT: emit_thunk_jmp(x, x64_stubs.jc_miss[x->mode]); break;
    case COLD_RETURN: emit_thunk_jmp(x, x64_stubs.return_miss[x->mode]); break;
    default: /* COLD_CALL_INDIRECT */
        emit_thunk_call(x, x64_stubs.call_miss);
        asm_test_rr(a, 8, RAX, RAX);
        /* Not found: rax is NULL, as leave wants it. */
        if (!asm_jcc_abs(a, CC_E, x64_stubs.leave))
            CHECK(false, "stubs are out of reach of code memory");
        asm_call_r(a, RAX);
        asm_jmp(a, &c->back);
        break;
    }
}
