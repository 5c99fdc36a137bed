/*
 * verify.c — is a block well-formed? and what its ops read and write
 */
#include "engine/ir/ir.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/ir/helpers.h"

/* -- Facts about ops --------------------------------------------------------------------------------- */

uint8_t ir_cond_flags(enum ir_cond c)
{
    static const uint8_t reads[16] = {
        [COND_EQ] = FLAG_Z,
        [COND_NE] = FLAG_Z,
        [COND_CS] = FLAG_C,
        [COND_CC] = FLAG_C,
        [COND_MI] = FLAG_N,
        [COND_PL] = FLAG_N,
        [COND_VS] = FLAG_V,
        [COND_VC] = FLAG_V,
        [COND_HI] = FLAG_C | FLAG_Z,
        [COND_LS] = FLAG_C | FLAG_Z,
        [COND_GE] = FLAG_N | FLAG_V,
        [COND_LT] = FLAG_N | FLAG_V,
        [COND_GT] = FLAG_N | FLAG_Z | FLAG_V,
        [COND_LE] = FLAG_N | FLAG_Z | FLAG_V,
    };
    return reads[c & 15];
}

uint8_t ir_flags_read(const struct ir_ins *in)
{
    switch (in->op) {
    case IR_BRCOND:
    case IR_EXIT_IF:
    case IR_SEL:
    case IR_SETCOND: return ir_cond_flags(in->cond);
    case IR_GET_NZCV: return FLAG_ALL;
    case IR_GET_C:
    case IR_ADC:
    case IR_SBC:
    case IR_RRX: return FLAG_C;
    case IR_SHL_R:
    case IR_SHR_R:
    case IR_SAR_R:
    case IR_ROR_R: return in->s & FLAG_C; /* amount 0 keeps it */
    case IR_CALL:
    case IR_CALL64: {
        const struct ir_helper_info *h = &ir_helper_info[in->imm];
        return h->reads_flags || h->leaves ? FLAG_ALL : 0;
    }
    default: return 0;
    }
}

uint8_t ir_flags_settable(enum ir_op op)
{
    switch (op) {
    case IR_SET_NZCV:
    case IR_FP_FLAGS:
    case IR_ADD:
    case IR_SUB:
    case IR_ADC:
    case IR_SBC: return FLAG_ALL;
    case IR_SET_NZ:
    case IR_SET_NZ64:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_BIC: return FLAG_NZ;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
    case IR_RRX: return FLAG_NZC;
    case IR_SET_C:
    case IR_SHL_R:
    case IR_SHR_R:
    case IR_SAR_R:
    case IR_ROR_R: return FLAG_C;
    default: return 0;
    }
}

/* Types of the operands where they are not all 32-bit. */
static const char *arg_types(enum ir_op op)
{
    switch (op) {
    case IR_LO32:
    case IR_HI32:
    case IR_REV64:
    case IR_SET_NZ64:
    case IR_ST_ENV64: return "d";
    case IR_ADD64:
    case IR_SUB64: return "dd";
    case IR_ST64:
    case IR_STREX64: return "wd";
    default: return "www";
    }
}

/* -- Rules ------------------------------------------------------------------------------------------- */

static _Thread_local char complaint[160];

static const char *wrong(const struct ir_block *b, uint32_t i, const char *fmt, ...) PRINTF_LIKE(3, 4);
static const char *wrong(const struct ir_block *b, uint32_t i, const char *fmt, ...)
{
    int n = 0;
    if (i < b->n)
        n = snprintf(complaint, sizeof complaint, "%u %s: ", i,
                     b->ins[i].op < IR_OP_COUNT ? ir_op_info[b->ins[i].op].name : "?");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(complaint + n, sizeof complaint - (size_t)n, fmt, ap);
    va_end(ap);
    return complaint;
}

static const char *verify_operands(const struct ir_block *b, uint32_t i, uint32_t segment)
{
    const struct ir_ins *in = &b->ins[i];
    const ir_val args[3] = {in->a, in->b, in->c};
    unsigned nargs = ir_op_info[in->op].nargs;
    if (in->op == IR_CALL || in->op == IR_CALL64) {
        if (in->imm >= ir_helper_count)
            return wrong(b, i, "no helper %u", in->imm);
        nargs = ir_helper_info[in->imm].nargs;
        if ((ir_helper_info[in->imm].result == 'd') != (in->op == IR_CALL64))
            return wrong(b, i, "result type of %s", ir_helper_info[in->imm].name);
    }
    for (unsigned k = 0; k < 3; k++) {
        if (k >= nargs) {
            if (args[k] != IR_NONE)
                return wrong(b, i, "operand %u is one too many", k);
            continue;
        }
        if (args[k] >= i)
            return wrong(b, i, "operand %u is not an earlier value", k);
        if (args[k] < segment)
            return wrong(b, i, "operand v%u crosses a label", args[k]);
        const struct ir_ins *def = &b->ins[args[k]];
        char type = ir_op_info[def->op].type;
        if (def->op == IR_CALL || def->op == IR_CALL64)
            type = ir_helper_info[def->imm].result;
        if (type != arg_types(in->op)[k])
            return wrong(b, i, "operand v%u has type %c", args[k], type);
    }
    return NULL;
}

static const char *verify_fields(const struct ir_block *b, uint32_t i)
{
    const struct ir_ins *in = &b->ins[i];
    unsigned size = in->aux & MEM_SIZE;
    switch (in->op) {
    case IR_GET_REG:
    case IR_SET_REG:
        if (in->imm > 14)
            return wrong(b, i, "register %u", in->imm);
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
        if (in->imm < 1 || in->imm > 31)
            return wrong(b, i, "shift by %u", in->imm);
        break;
    case IR_UBFX:
    case IR_SBFX:
    case IR_BFI:
        if (in->imm > 31 || in->imm2 < 1 || in->imm2 > 32 - in->imm)
            return wrong(b, i, "field of %u bits at %u", in->imm2, in->imm);
        break;
    case IR_LD_ENV:
    case IR_ST_ENV:
    case IR_LD_ENV64:
    case IR_ST_ENV64:
        if (in->imm % 4)
            return wrong(b, i, "offset %u", in->imm);
        break;
    case IR_LD:
    case IR_ST:
    case IR_LDREX:
    case IR_STREX:
        if (size == MEM_64)
            return wrong(b, i, "size 64");
        break;
    case IR_LD64:
    case IR_ST64:
    case IR_LDREX64:
    case IR_STREX64:
        if (size != MEM_64)
            return wrong(b, i, "size is not 64");
        break;
    case IR_SWP:
        if (size != MEM_8 && size != MEM_32)
            return wrong(b, i, "size");
        break;
    case IR_LDM:
    case IR_STM:
        if (!in->imm || in->imm > 0xffff)
            return wrong(b, i, "mask %#x", in->imm);
        break;
    case IR_BRCOND:
    case IR_EXIT_IF:
    case IR_SEL:
    case IR_SETCOND:
        if (in->cond >= COND_AL)
            return wrong(b, i, "condition %u", in->cond);
        break;
    case IR_EXIT:
        if (in->aux > EXIT_CALL)
            return wrong(b, i, "kind %u", in->aux);
        break;
    case IR_EXIT_IND:
        if (in->aux > EXIT_RETURN)
            return wrong(b, i, "kind %u", in->aux);
        break;
    default: break;
    }
    if (in->s & ~ir_flags_settable(in->op))
        return wrong(b, i, "may not set flags %#x", in->s);
    return NULL;
}

const char *ir_verify(const struct ir_block *b)
{
    enum { UNSEEN, WANTED, BOUND };
    uint8_t label[IR_MAX_LABELS] = {UNSEEN};
    uint32_t segment = 0;
    bool reachable = true;

    if (b->n > IR_MAX_INS || b->labels > IR_MAX_LABELS)
        return wrong(b, UINT32_MAX, "too large");
    for (uint32_t i = 0; i < b->n; i++) {
        const struct ir_ins *in = &b->ins[i];
        if (in->op >= IR_OP_COUNT)
            return wrong(b, i, "op %u", in->op);
        if (in->op == IR_NOP)
            continue;
        if (!reachable && in->op != IR_LABEL)
            return wrong(b, i, "after the end of its path");
        const char *why = verify_operands(b, i, segment);
        if (!why)
            why = verify_fields(b, i);
        if (why)
            return why;
        switch (in->op) {
        case IR_LABEL:
            if (in->imm >= b->labels || label[in->imm] == BOUND)
                return wrong(b, i, "label %u unknown or bound twice", in->imm);
            label[in->imm] = BOUND;
            segment = i;
            reachable = true;
            break;
        case IR_BR:
        case IR_BRCOND:
        case IR_BRZ:
        case IR_BRNZ:
            if (in->imm >= b->labels || label[in->imm] == BOUND)
                return wrong(b, i, "label %u unknown or behind", in->imm);
            label[in->imm] = WANTED;
            if (in->op == IR_BR)
                reachable = false;
            break;
        default:
            if (ir_op_info[in->op].e)
                reachable = false;
        }
    }
    if (reachable)
        return wrong(b, UINT32_MAX, "block without an end");
    for (uint32_t k = 0; k < b->labels; k++)
        if (label[k] == WANTED)
            return wrong(b, UINT32_MAX, "label %u is never bound", k);
    return NULL;
}
