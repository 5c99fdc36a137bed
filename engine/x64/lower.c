/*
 * lower.c — one block from IR to code: entries, the walk, cold code
 *
 * Three entries, each falling into the next: xpage checks that the block's page is still mapped where it was, poll
 * looks at the poll word, main is the body. A block on two pages checks both at every entry, since its second page may be
 * remapped without the first.
 */
#include "engine/x64/emit.h"

#include "engine/vcpu/key.h"

static void emit_page_check(struct xlate *x, uint32_t page, uint64_t ppn, struct x64_label *leave)
{
    size_t off = offsetof(struct vcpu, flat.exec) + (x->mode * (size_t)VPAGES + page) * sizeof(uint32_t);

    asm_alu_mi(&x->a, ALU_CMP, 4, vmem(off), (uint32_t)(ppn << 1 | 1));
    asm_jcc(&x->a, CC_NE, leave);
}

static void emit_entries(struct xlate *x, struct x64_label *leave)
{
    const struct x64_request *req = x->req;
    bool two_pages = req->page_ppn[1] != UINT64_MAX;
    uint32_t page = req->pc >> 12;

    x->out->entry_xpage = x->a.off;
    if (two_pages) {
        /* Each entry depends on the second page's mapping. entry_main must not poll, or the loop, which enters there, would make
         * no progress while a poll bit stays up. */
        x->out->entry_poll = x->a.off;
        asm_alu_mi(&x->a, ALU_CMP, 4, VFIELD(poll), 0);
        asm_jcc(&x->a, CC_NE, leave);
        x->out->entry_main = x->a.off;
        emit_page_check(x, page, req->page_ppn[0], leave);
        emit_page_check(x, (page + 1) & (VPAGES - 1), req->page_ppn[1], leave);
    } else {
        emit_page_check(x, page, req->page_ppn[0], leave);
        x->out->entry_poll = x->a.off;
        asm_alu_mi(&x->a, ALU_CMP, 4, VFIELD(poll), 0);
        asm_jcc(&x->a, CC_NE, leave);
        x->out->entry_main = x->a.off;
    }
}

/* An entry check failed: back to the loop, at this block. */
static void emit_entry_leave(struct xlate *x, struct x64_label *leave)
{
    asm_bind(&x->a, leave);
    emit_where(x, x->req->pc, (x->req->flags >> TBF_IT_SHIFT) & 0xff, false);
    asm_alu_rr(&x->a, ALU_XOR, 4, RAX, RAX);
    emit_thunk_jmp(x, x64_stubs.leave);
}

/* Labels' places and how many jumps each has; how much cold code there can be. */
static unsigned survey(struct xlate *x)
{
    unsigned ncold = 0;

    for (unsigned k = 0; k < x->ir->labels; k++)
        x->label[k] = (struct label){.l = X64_LABEL_INIT};
    for (uint32_t i = 0; i < x->ir->n; i++) {
        const struct ir_ins *in = &x->ir->ins[i];

        switch (in->op) {
        case IR_LABEL: x->label[in->imm].at = (uint16_t)i; break;
        case IR_BR:
        case IR_BRCOND:
        case IR_BRZ:
        case IR_BRNZ: x->label[in->imm].jumps++; break;
        case IR_EXIT:
        case IR_EXIT_IF:
        case IR_EXIT_IFZ:
        case IR_EXIT_IFNZ:
            x->exit_extra++;
            ncold += 3;
            break;
        case IR_EXIT_IND: ncold += 3; break;
        case IR_CALL: x->nslow++; break;
        default: ncold += ir_op_info[in->op].f; break;
        }
    }
    return ncold;
}

static void emit_add(struct xlate *x, enum counter_id id, int n)
{
    asm_alu_mi(&x->a, ALU_ADD, 8, vmem(offsetof(struct vcpu, counters) + id * sizeof(uint64_t)), (uint32_t)n);
}

void emit_count_insns(struct xlate *x, int n)
{
    flags_clobber(x);
    emit_add(x, CNT_GUEST_INSNS, n);
}

void emit_count_call(struct xlate *x)
{
    if (UNLIKELY(x->req->count_insns))
        emit_add(x, CNT_HELPER_CALLS, 1);
}

static void lower_op(struct xlate *x)
{
    switch (x->in->op) {
    case IR_NOP: break;
    case IR_INSN:
        x->pc = x->in->imm;
        x->it = x->in->imm2;
        /* One by one, so that the count is right wherever the block is left; runs that count are not timed. */
        if (UNLIKELY(x->req->count_insns))
            emit_count_insns(x, 1);
        break;
    case IR_LABEL:
    case IR_BR:
    case IR_BRCOND:
    case IR_BRZ:
    case IR_BRNZ:
    case IR_EXIT:
    case IR_EXIT_IF:
    case IR_EXIT_IFZ:
    case IR_EXIT_IFNZ:
    case IR_EXIT_IND:
    case IR_EXIT_LOOP:
    case IR_EXIT_LOOP_IND: lower_flow(x); break;
    case IR_CONST:
    case IR_GET_REG:
    case IR_SET_REG:
    case IR_LD_ENV:
    case IR_ST_ENV:
    case IR_LD_ENV64:
    case IR_ST_ENV64:
    case IR_GET_NZCV:
    case IR_SET_NZCV:
    case IR_GET_C:
    case IR_SET_C:
    case IR_SET_NZ:
    case IR_SET_NZ64:
    case IR_SEL:
    case IR_SELNZ:
    case IR_SETCOND: lower_state(x); break;
    case IR_ADD:
    case IR_SUB:
    case IR_ADC:
    case IR_SBC:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_BIC:
    case IR_NOT:
    case IR_MUL:
    case IR_MULU64:
    case IR_MULS64:
    case IR_ADD64:
    case IR_SUB64:
    case IR_PACK64:
    case IR_LO32:
    case IR_HI32:
    case IR_REV64:
    case IR_UDIV:
    case IR_SDIV: lower_alu(x); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
    case IR_RRX:
    case IR_SHL_R:
    case IR_SHR_R:
    case IR_SAR_R:
    case IR_ROR_R:
    case IR_UBFX:
    case IR_SBFX:
    case IR_BFI:
    case IR_SXTB:
    case IR_SXTH:
    case IR_UXTB:
    case IR_UXTH:
    case IR_REV:
    case IR_REV16:
    case IR_CLZ: lower_shift(x); break;
    case IR_LD:
    case IR_LD64:
    case IR_ST:
    case IR_ST64: lower_mem(x); break;
    case IR_LDM:
    case IR_STM:
        vreg_drop_all(x); /* their slow paths do not keep them */
        lower_mem(x);
        break;
    case IR_LDREX:
    case IR_LDREX64:
    case IR_STREX:
    case IR_STREX64:
    case IR_CLREX:
    case IR_SWP:
    case IR_BARRIER:
        vreg_drop_all(x); /* a scheme may call C */
        lower_excl(x);
        break;
    case IR_CALL:
        if (lower_fp(x) || lower_vec(x))
            break;
        /* fall through */
    case IR_CALL64: lower_call(x); break;
    case IR_FP_FLAGS: lower_fp_flags(x); break;
    default: CHECK(false, "op %u", x->in->op);
    }
}

bool x64_translate(const struct x64_request *req, struct x64_code *out)
{
    struct xlate x;
    struct x64_label leave = X64_LABEL_INIT;

    x.ir = req->ir;
    x.req = req;
    x.out = out;
    x.mode = req->flags & TBF_PRIV ? MMU_PRIV : MMU_USER;
    x.pc = req->pc;
    x.it = (req->flags >> TBF_IT_SHIFT) & 0xff;
    x.it_stale = x.it != 0;
    x.pad_jcc = false;
    x.hold = false;
    x.dead_end = false;
    x.exit_no = 0;
    x.exit_extra = 0;
    x.ncold = 0;
    x.nslow = 0;
    x.vpieces = 0;
    x.i = 0;
    out->nexits = 0;
    unsigned max_cold = survey(&x);
    struct cold cold[max_cold + 1];
    x.cold = cold;
    struct slow_call slow[x.nslow + 1];
    x.slow = slow;
    x.nslow = 0;

    asm_init(&x.a, req->span.rw, req->span.rx, req->span.bytes);
    alloc_begin(&x);
    flags_begin(&x);
    emit_entries(&x, &leave);
    for (; x.i < x.ir->n; x.i++) {
        x.in = &x.ir->ins[x.i];
        if (x.dead_end && x.in->op != IR_LABEL)
            continue;
        flags_op(&x);
        alloc_begin_op(&x);
        lower_op(&x);
        alloc_end_op(&x);
        vreg_end_op(&x);
    }
    cold_emit_all(&x);
    slow_emit_all(&x);
    emit_entry_leave(&x, &leave);
    out->bytes = x.a.off;
    return !x.a.overflow;
}
