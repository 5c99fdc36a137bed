/*
 * build.c — making a block: appends instructions, simplified on the way
 *
 * Guest registers are forwarded inside a segment: known[r] is the value that register r has at this point, from
 * the last set_reg or get_reg. It is dropped where something else may have written the register: at labels
 * (values do not cross them), by ldm, and by helpers that write registers.
 */
#include "engine/ir/ir.h"

#include "engine/ir/helpers.h"

const struct ir_op_info ir_op_info[IR_OP_COUNT] = {
#define HAS(attrs, ch) (__builtin_strchr(attrs, ch) != NULL)
#define OP(id, opname, result, args, attrs, text) \
 [IR_##id] = {.name = opname,                     \
              .type = result,                     \
              .nargs = args,                      \
              .f = HAS(attrs, 'F'),               \
              .s = HAS(attrs, 'S'),               \
              .r = HAS(attrs, 'R'),               \
              .e = HAS(attrs, 'E'),               \
              .x = HAS(attrs, 'X'),               \
              .help = text},
    IR_OPS(OP)
#undef OP
};

const struct ir_helper_info ir_helper_info[] = {
#define HELPER(id, function, args, res, attrs) \
 {.name = #function,                           \
  .nargs = args,                               \
  .result = res,                               \
  .reads_regs = HAS(attrs, 'r'),               \
  .writes_regs = HAS(attrs, 'w'),              \
  .reads_flags = HAS(attrs, 'f'),              \
  .writes_flags = HAS(attrs, 'g'),             \
  .leaves = HAS(attrs, 'x')},
#include "engine/ir/helpers.def"
#undef HELPER
    {.name = NULL}};
const unsigned ir_helper_count = HELPER_COUNT;

/* -- Emitting ---------------------------------------------------------------------------------------- */

static void forget_regs(struct ir_block *b, uint32_t mask)
{
    for (unsigned r = 0; r < 15; r++)
        if (mask & BIT(r))
            b->known[r] = IR_NONE;
}

void ir_begin(struct ir_block *b)
{
    b->n = 0;
    b->labels = 0;
    b->full = false;
    b->pc = b->it = b->nguest = 0;
    b->nexits = 0;
    forget_regs(b, 0x7fff);
}

static bool makes_value(const struct ir_ins *in)
{
    if (in->op == IR_CALL || in->op == IR_CALL64)
        return ir_helper_info[in->imm].result != '-';
    return ir_op_info[in->op].type != '-';
}

/* Put at the end as it is. When there is no room the index of the last instruction stands in for the
 * result; the block has lost its end and will not verify. */
static ir_val append(struct ir_block *b, const struct ir_ins *in)
{
    if (b->n >= IR_MAX_INS - IR_RESERVE)
        b->full = true;
    if (b->n < IR_MAX_INS)
        b->ins[b->n++] = *in;
    return makes_value(in) ? (ir_val)(b->n - 1) : IR_NONE;
}

static ir_val emit(struct ir_block *b, struct ir_ins *in)
{
    const struct ir_op_info *info = &ir_op_info[in->op];
    unsigned nargs = info->nargs;
    bool is_call = in->op == IR_CALL || in->op == IR_CALL64;
    if (is_call) {
        CHECK(in->imm < ir_helper_count, "helper %u", in->imm);
        nargs = ir_helper_info[in->imm].nargs;
    }
    CHECK((nargs < 1 || in->a < b->n) && (nargs < 2 || in->b < b->n) && (nargs < 3 || in->c < b->n),
          "operand of %s is missing", info->name);

    ir_val v = ir_fold(b, in, true);
    if (v != IR_NONE)
        return v;

    switch (in->op) {
    case IR_NOP: return IR_NONE;
    case IR_GET_REG: return ir_get_reg(b, in->imm);
    case IR_SET_REG: ir_set_reg(b, in->imm, in->a); return IR_NONE;
    case IR_CONST:
        if (b->n && b->ins[b->n - 1].op == IR_CONST && b->ins[b->n - 1].imm == in->imm)
            return (ir_val)(b->n - 1);
        break;
    case IR_LABEL: forget_regs(b, 0x7fff); break;
    case IR_LDM: forget_regs(b, in->imm); break;
    case IR_CALL:
    case IR_CALL64:
        if (ir_helper_info[in->imm].writes_regs)
            forget_regs(b, 0x7fff);
        break;
    case IR_EXIT:
    case IR_EXIT_IF:
    case IR_EXIT_IFZ:
    case IR_EXIT_IFNZ: b->nexits++; break;
    default: break;
    }
    return append(b, in);
}

ir_val ir_emit(struct ir_block *b, enum ir_op op, uint8_t s, uint8_t aux, ir_val x, ir_val y, ir_val z, uint32_t imm,
               uint32_t imm2)
{
    struct ir_ins in = {.op = op, .s = s, .aux = aux, .a = x, .b = y, .c = z, .imm = imm, .imm2 = imm2};
    return emit(b, &in);
}

static ir_val emit_cond(struct ir_block *b, enum ir_op op, enum ir_cond c, ir_val x, ir_val y, uint32_t imm)
{
    struct ir_ins in = {.op = op, .cond = c, .a = x, .b = y, .c = IR_NONE, .imm = imm};
    return emit(b, &in);
}

/* -- The short forms --------------------------------------------------------------------------------- */

void ir_insn(struct ir_block *b, uint32_t pc, uint32_t itstate)
{
    b->pc = pc;
    b->it = itstate;
    b->nguest++;
    ir_emit(b, IR_INSN, 0, 0, IR_NONE, IR_NONE, IR_NONE, pc, itstate);
}

ir_val ir_const(struct ir_block *b, uint32_t v)
{
    return ir_emit(b, IR_CONST, 0, 0, IR_NONE, IR_NONE, IR_NONE, v, 0);
}

ir_val ir_get_reg(struct ir_block *b, unsigned reg)
{
    CHECK(reg < 15, "get_reg r%u", reg);
    if (b->known[reg] == IR_NONE) {
        struct ir_ins in = {.op = IR_GET_REG, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE, .imm = reg};
        b->known[reg] = append(b, &in);
    }
    return b->known[reg];
}

void ir_set_reg(struct ir_block *b, unsigned reg, ir_val v)
{
    CHECK(reg < 15, "set_reg r%u", reg);
    CHECK(v < b->n, "operand of set_reg is missing");
    if (b->known[reg] == v)
        return;
    struct ir_ins in = {.op = IR_SET_REG, .a = v, .b = IR_NONE, .c = IR_NONE, .imm = reg};
    append(b, &in);
    b->known[reg] = v;
}

ir_val ir_bin(struct ir_block *b, enum ir_op op, ir_val x, ir_val y)
{
    return ir_emit(b, op, 0, 0, x, y, IR_NONE, 0, 0);
}

ir_val ir_bin_s(struct ir_block *b, enum ir_op op, ir_val x, ir_val y, uint8_t s)
{
    return ir_emit(b, op, s, 0, x, y, IR_NONE, 0, 0);
}

ir_val ir_un(struct ir_block *b, enum ir_op op, ir_val x)
{
    return ir_emit(b, op, 0, 0, x, IR_NONE, IR_NONE, 0, 0);
}

ir_val ir_shift(struct ir_block *b, enum ir_op op, ir_val x, uint32_t n, uint8_t s)
{
    return ir_emit(b, op, s, 0, x, IR_NONE, IR_NONE, n, 0);
}

ir_val ir_field(struct ir_block *b, enum ir_op op, ir_val x, unsigned lsb, unsigned width)
{
    return ir_emit(b, op, 0, 0, x, IR_NONE, IR_NONE, lsb, width);
}

ir_val ir_sel(struct ir_block *b, enum ir_cond c, ir_val yes, ir_val no)
{
    return emit_cond(b, IR_SEL, c, yes, no, 0);
}

ir_val ir_setcond(struct ir_block *b, enum ir_cond c)
{
    return emit_cond(b, IR_SETCOND, c, IR_NONE, IR_NONE, 0);
}

ir_val ir_load(struct ir_block *b, ir_val addr, uint8_t mem)
{
    enum ir_op op = (mem & MEM_SIZE) == MEM_64 ? IR_LD64 : IR_LD;
    return ir_emit(b, op, 0, mem, addr, IR_NONE, IR_NONE, 0, 0);
}

void ir_store(struct ir_block *b, ir_val addr, ir_val v, uint8_t mem)
{
    enum ir_op op = (mem & MEM_SIZE) == MEM_64 ? IR_ST64 : IR_ST;
    ir_emit(b, op, 0, mem, addr, v, IR_NONE, 0, 0);
}

uint32_t ir_new_label(struct ir_block *b)
{
    if (b->labels >= IR_MAX_LABELS - IR_RESERVE_LABELS)
        b->full = true;
    return b->labels < IR_MAX_LABELS ? b->labels++ : IR_MAX_LABELS;
}

void ir_label(struct ir_block *b, uint32_t label)
{
    ir_emit(b, IR_LABEL, 0, 0, IR_NONE, IR_NONE, IR_NONE, label, 0);
}

void ir_br(struct ir_block *b, uint32_t label)
{
    ir_emit(b, IR_BR, 0, 0, IR_NONE, IR_NONE, IR_NONE, label, 0);
}

void ir_brcond(struct ir_block *b, enum ir_cond c, uint32_t label)
{
    if (c == COND_AL)
        ir_br(b, label);
    else
        emit_cond(b, IR_BRCOND, c, IR_NONE, IR_NONE, label);
}

void ir_brz(struct ir_block *b, ir_val v, uint32_t label, bool if_nonzero)
{
    ir_emit(b, if_nonzero ? IR_BRNZ : IR_BRZ, 0, 0, v, IR_NONE, IR_NONE, label, 0);
}

ir_val ir_call(struct ir_block *b, uint32_t helper, ir_val x, ir_val y, ir_val z)
{
    CHECK(helper < ir_helper_count, "helper %u", helper);
    enum ir_op op = ir_helper_info[helper].result == 'd' ? IR_CALL64 : IR_CALL;
    return ir_emit(b, op, 0, 0, x, y, z, helper, 0);
}

void ir_exit(struct ir_block *b, uint32_t pc_t)
{
    ir_emit(b, IR_EXIT, 0, EXIT_JUMP, IR_NONE, IR_NONE, IR_NONE, pc_t, 0);
}

void ir_exit_call(struct ir_block *b, uint32_t pc_t, uint32_t ret_t)
{
    ir_emit(b, IR_EXIT, 0, EXIT_CALL, IR_NONE, IR_NONE, IR_NONE, pc_t, ret_t);
}

void ir_exit_if(struct ir_block *b, enum ir_cond c, uint32_t pc_t)
{
    if (c == COND_AL)
        ir_exit(b, pc_t);
    else
        emit_cond(b, IR_EXIT_IF, c, IR_NONE, IR_NONE, pc_t);
}

void ir_exit_ind(struct ir_block *b, ir_val pc_t, uint8_t kind, uint32_t ret_t)
{
    ir_emit(b, IR_EXIT_IND, 0, kind, pc_t, IR_NONE, IR_NONE, 0, ret_t);
}

void ir_exit_loop(struct ir_block *b, uint32_t pc_t)
{
    ir_emit(b, IR_EXIT_LOOP, 0, 0, IR_NONE, IR_NONE, IR_NONE, pc_t, 0);
}
