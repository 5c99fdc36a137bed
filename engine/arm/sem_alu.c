/*
 * sem_alu.c — data processing: shifter operands, arithmetic and logic, PC as destination (ARM DDI 0406C A8)
 */
#include "engine/arm/xlate.h"

/* -- Shifter operands ------------------------------------------------------------------------------------------------- */

static const enum ir_op shift_op[4] = {IR_SHL, IR_SHR, IR_SAR, IR_ROR};
static const enum ir_op shift_reg_op[4] = {IR_SHL_R, IR_SHR_R, IR_SAR_R, IR_ROR_R};

ir_val shift_imm(struct xlate *x, ir_val v, enum shift_type type, uint32_t k, uint8_t s)
{
    if (k)
        return ir_shift(x->b, shift_op[type], v, k, s);
    ir_val r = v;
    switch (type) {
    case SH_LSL: /* no shift, carry unchanged */ break;
    case SH_LSR: /* by 32 */
    case SH_ASR:
        r = type == SH_LSR ? imm32(x, 0) : ir_shift(x->b, IR_SAR, v, 31, 0);
        if (s)
            set_c(x, ir_shift(x->b, IR_SHR, v, 31, 0));
        break;
    case SH_ROR: return ir_emit(x->b, IR_RRX, s, 0, v, IR_NONE, IR_NONE, 0, 0);
    }
    if (s & FLAG_NZ)
        set_nz(x, r);
    return r;
}

/* A32ExpandImm_C, ThumbExpandImm_C: the constant; *carry is -1 where the carry stays. */
static uint32_t expand_a32(uint32_t i, int *carry)
{
    unsigned rot = (i >> 8) * 2;
    uint32_t v = ror32(i & 0xff, rot);
    *carry = rot ? (int)(v >> 31) : -1;
    return v;
}

static uint32_t expand_t32(uint32_t i, int *carry)
{
    uint32_t b = i & 0xff;
    *carry = -1;
    switch (i >> 8) {
    case 0: return b;
    case 1: return b * 0x00010001;
    case 2: return b * 0x01000100;
    case 3: return b * 0x01010101;
    }
    uint32_t v = ror32((b & 0x7f) | 0x80, i >> 7);
    *carry = (int)(v >> 31);
    return v;
}

/* -- Operations ----------------------------------------------------------------------------------------------------------- */

static bool is_compare(enum dp_op op)
{
    return op >= DP_TST && op <= DP_CMN;
}

static bool is_logical(enum dp_op op)
{
    return op == DP_AND || op == DP_EOR || op == DP_TST || op == DP_TEQ || op >= DP_ORR;
}

static ir_val compute(struct xlate *x, enum dp_op op, ir_val n, ir_val m, bool s)
{
    struct ir_block *b = x->b;
    uint8_t nz = s ? FLAG_NZ : 0, all = s ? FLAG_ALL : 0;
    ir_val r;
    switch (op) {
    case DP_AND:
    case DP_TST: return ir_bin_s(b, IR_AND, n, m, nz);
    case DP_EOR:
    case DP_TEQ: return ir_bin_s(b, IR_XOR, n, m, nz);
    case DP_SUB:
    case DP_CMP: return ir_bin_s(b, IR_SUB, n, m, all);
    case DP_RSB: return ir_bin_s(b, IR_SUB, m, n, all);
    case DP_ADD:
    case DP_CMN: return ir_bin_s(b, IR_ADD, n, m, all);
    case DP_ADC: return ir_bin_s(b, IR_ADC, n, m, all);
    case DP_SBC: return ir_bin_s(b, IR_SBC, n, m, all);
    case DP_RSC: return ir_bin_s(b, IR_SBC, m, n, all);
    case DP_ORR: return ir_bin_s(b, IR_OR, n, m, nz);
    case DP_ORN: return ir_bin_s(b, IR_OR, n, ir_un(b, IR_NOT, m), nz);
    case DP_BIC: return ir_bin_s(b, IR_BIC, n, m, nz);
    case DP_MOV: r = m; break;
    case DP_MVN: r = ir_un(b, IR_NOT, m); break;
    default: CHECK(false, "data processing operation %d", op);
    }
    if (s)
        set_nz(x, r);
    return r;
}

void exception_return(struct xlate *x, ir_val new_pc)
{
    /* B9.3.20: UNPREDICTABLE in User and System mode, which have no SPSR: Undefined. */
    if (!xlate_flag(x, TBF_PRIV) || xlate_flag(x, TBF_SYSMODE)) {
        undefined(x);
        return;
    }
    ir_val spsr = call(x, HELPER_MRS_SPSR, IR_NONE, IR_NONE, IR_NONE);
    call(x, HELPER_EXCEPTION_RETURN, new_pc, spsr, IR_NONE);
    exit_after_exception_return(x);
}

struct dp {
    enum dp_op op;
    unsigned d, n;
    bool s;
};

/* The fields of an instruction, with what its encoding implies. False: Undefined, done. */
static bool dp_begin(struct xlate *x, uint32_t arg, struct dp *p)
{
    p->op = (enum dp_op)(arg & DP_OP);
    p->d = F('d');
    p->n = arg & DP_RDN ? p->d : F('n');
    p->s = arg & DP_S_OUTSIDE_IT ? x->it == 0 : F('s');
    if (is_compare(p->op))
        p->s = true;
    else if (p->d == 15 && (arg & DP_T32)) {
        undefined(x);
        return false;
    }
    return true;
}

static void dp_finish(struct xlate *x, const struct dp *p, ir_val m, bool flags_done)
{
    bool s = p->s && !flags_done;
    bool to_pc = p->d == 15 && !is_compare(p->op);
    if (to_pc)
        s = false;
    bool unary = p->op == DP_MOV || p->op == DP_MVN;
    ir_val n = unary ? IR_NONE : get_reg(x, p->n);
    ir_val r = compute(x, p->op, n, m, s);
    if (is_compare(p->op))
        return;
    if (!to_pc)
        put_reg(x, p->d, r);
    else if (p->s)
        exception_return(x, r);
    else
        alu_write_pc(x, r, EXIT_JUMP);
}

static void dp_constant(struct xlate *x, uint32_t arg, uint32_t v, int carry)
{
    struct dp p;
    if (!dp_begin(x, arg, &p))
        return;
    bool to_pc = p.d == 15 && !is_compare(p.op);
    dp_finish(x, &p, imm32(x, v), false);
    if (p.s && !to_pc && is_logical(p.op) && carry >= 0)
        set_c(x, imm32(x, (uint32_t)carry));
}

void op_dp_imm_a32(struct xlate *x, uint32_t arg)
{
    int carry;
    uint32_t v = expand_a32(F('i'), &carry);
    dp_constant(x, arg, v, carry);
}

void op_dp_imm_t32(struct xlate *x, uint32_t arg)
{
    int carry;
    uint32_t v = expand_t32(F('i'), &carry);
    dp_constant(x, arg, v, carry);
}

void op_dp_imm_plain(struct xlate *x, uint32_t arg)
{
    dp_constant(x, arg, F('i'), -1);
}

void op_dp_reg(struct xlate *x, uint32_t arg)
{
    struct dp p;
    if (!dp_begin(x, arg, &p))
        return;
    enum shift_type type = (enum shift_type)(F('y') | (arg >> 12 & 3));
    uint32_t k = F('k');
    bool to_pc = p.d == 15 && !is_compare(p.op);
    bool plain = k == 0 && type == SH_LSL;
    if (p.op == DP_MOV && to_pc && !p.s && plain) {
        alu_write_pc(x, get_reg(x, F('m')), F('m') == 14 ? EXIT_RETURN : EXIT_JUMP);
        return;
    }
    bool shift_sets = p.s && !to_pc && is_logical(p.op);
    bool mov = p.op == DP_MOV;
    uint8_t s = shift_sets ? (mov ? FLAG_NZC : FLAG_C) : 0;
    if (p.op == DP_MOV && plain && s)
        s = FLAG_NZ;
    ir_val m = shift_imm(x, get_reg(x, F('m')), type, k, s);
    dp_finish(x, &p, m, mov && shift_sets);
}

/* Shift by register; any PC is UNPREDICTABLE. */
static ir_val shift_by_reg(struct xlate *x, enum shift_type type, ir_val v, ir_val amount, bool carry)
{
    return ir_emit(x->b, shift_reg_op[type], carry ? FLAG_C : 0, 0, v, amount, IR_NONE, 0, 0);
}

void op_dp_rsr(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnmS");
    struct dp p;
    if (!dp_begin(x, arg, &p))
        return;
    ir_val m =
        shift_by_reg(x, (enum shift_type)F('y'), get_reg(x, F('m')), get_reg(x, F('S')), p.s && is_logical(p.op));
    dp_finish(x, &p, m, false);
}

/* T16 and T32 LSL, LSR, ASR, ROR by register: Rn shifted by Rm. */
void op_shift_reg(struct xlate *x, uint32_t arg)
{
    UNPRED15("dnm");
    unsigned n = arg & DP_RDN ? F('d') : F('n');
    bool s = arg & DP_S_OUTSIDE_IT ? x->it == 0 : F('s');
    ir_val r = shift_by_reg(x, (enum shift_type)(arg & 3), get_reg(x, n), get_reg(x, F('m')), s);
    if (s)
        set_nz(x, r);
    put_reg(x, F('d'), r);
}

void op_movw(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("d");
    put_reg(x, F('d'), imm32(x, F('g') << 12 | F('i')));
}

void op_movt(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("d");
    ir_val low = ir_un(x->b, IR_UXTH, get_reg(x, F('d')));
    put_reg(x, F('d'), emit2(x, IR_OR, low, imm32(x, (F('g') << 12 | F('i')) << 16)));
}

void op_adr(struct xlate *x, uint32_t arg)
{
    UNPRED15("d");
    uint32_t base = pc_value(x) & ~3u, i = F('i');
    put_reg(x, F('d'), imm32(x, arg == DP_SUB ? base - i : base + i));
}

void op_adr_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    put_reg(x, F('d'), imm32(x, (pc_value(x) & ~3u) + F('i') * 4));
}

void op_add_sp(struct xlate *x, uint32_t arg)
{
    ir_val i = imm32(x, F('i') * 4);
    enum ir_op op = (arg & DP_OP) == DP_SUB ? IR_SUB : IR_ADD;
    put_reg(x, arg & DP_SP ? 13 : F('d'), emit2(x, op, get_reg(x, 13), i));
}

/* -- Conditional moves ------------------------------------------------------------------------------------------------------ */

bool sel_candidate(const struct insn *in, bool in_it)
{
    if (!in->row)
        return false;
    insn_fn *fn = in->row->fn;
    const struct fields *f = &in->f;
    uint32_t arg = in->row->arg;
    if (FIELD(f, 'd') == 15)
        return false;
    if (fn == op_movw || fn == op_movt || fn == op_adr || fn == op_adr_t16)
        return true;
    /* Extensions: no flags, one or two host instructions. With r15 they are Undefined, which is an effect. */
    if (fn == op_extend && !(arg & EXT_ADD) && (arg & EXT_KIND) <= EXT_UXTH)
        return FIELD(f, 'm') != 15;
    if (fn != op_dp_reg && fn != op_dp_imm_a32 && fn != op_dp_imm_t32 && fn != op_dp_imm_plain)
        return false;
    enum dp_op op = (enum dp_op)(arg & DP_OP);
    if (is_compare(op) || op == DP_ADC || op == DP_SBC || op == DP_RSC)
        return false;
    if (arg & DP_S_OUTSIDE_IT ? !in_it : FIELD(f, 's'))
        return false;
    /* A shift as well makes it dearer than the jump it saves, but for MOV, which is nothing else. */
    bool shifted = FIELD(f, 'k') || FIELD(f, 'y') || (arg >> 12 & 3);
    return fn != op_dp_reg || !shifted || (op == DP_MOV && FIELD(f, 'k'));
}
