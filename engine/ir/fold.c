/*
 * fold.c — simplification of single IR instructions: constants, identities, cheaper ops
 *
 * Used while a block is built, and again on the ops that lost their flag results to the liveness pass. An op that
 * writes flags is replaced only where its flags come out the same. Nothing here looks further than one
 * instruction and the makers of its operands: combining chains would lengthen the lives of values, and the
 * host has three scratch registers.
 */
#include "engine/ir/ir.h"

bool ir_is_const(const struct ir_block *b, ir_val v, uint32_t *out)
{
    if (v >= b->n || b->ins[v].op != IR_CONST)
        return false;
    if (out)
        *out = b->ins[v].imm;
    return true;
}

static uint32_t mask_of(uint32_t width)
{
    return (uint32_t)((UINT64_C(1) << width) - 1);
}

/* The result of a pure 32-bit op on constants x, y. False: not one of those. */
static bool eval(const struct ir_ins *in, uint32_t x, uint32_t y, uint32_t *out)
{
    uint32_t n = in->imm, amount = y & 0xff;
    switch (in->op) {
    case IR_ADD: *out = x + y; break;
    case IR_SUB: *out = x - y; break;
    case IR_AND: *out = x & y; break;
    case IR_OR: *out = x | y; break;
    case IR_XOR: *out = x ^ y; break;
    case IR_BIC: *out = x & ~y; break;
    case IR_NOT: *out = ~x; break;
    case IR_MUL: *out = x * y; break;
    case IR_UDIV: *out = y ? x / y : 0; break;
    case IR_SDIV: *out = !y ? 0 : y == UINT32_MAX ? 0u - x : (uint32_t)((int32_t)x / (int32_t)y); break;
    case IR_SHL: *out = x << (n & 31); break;
    case IR_SHR: *out = x >> (n & 31); break;
    case IR_SAR: *out = (uint32_t)((int32_t)x >> (n & 31)); break;
    case IR_ROR: *out = ror32(x, n); break;
    case IR_SHL_R: *out = amount < 32 ? x << amount : 0; break;
    case IR_SHR_R: *out = amount < 32 ? x >> amount : 0; break;
    case IR_SAR_R: *out = (uint32_t)((int32_t)x >> (amount < 32 ? amount : 31)); break;
    case IR_ROR_R: *out = ror32(x, amount); break;
    case IR_UBFX: *out = (x >> n) & mask_of(in->imm2); break;
    case IR_SBFX: *out = (uint32_t)sext(x >> n, in->imm2); break;
    case IR_BFI: *out = (x & ~(mask_of(in->imm2) << n)) | (y & mask_of(in->imm2)) << n; break;
    case IR_SXTB: *out = (uint32_t)sext(x, 8); break;
    case IR_SXTH: *out = (uint32_t)sext(x, 16); break;
    case IR_UXTB: *out = x & 0xff; break;
    case IR_UXTH: *out = x & 0xffff; break;
    case IR_REV: *out = __builtin_bswap32(x); break;
    case IR_REV16: *out = (x & 0x00ff00ff) << 8 | (x >> 8 & 0x00ff00ff); break;
    case IR_CLZ: *out = x ? (uint32_t)__builtin_clz(x) : 32; break;
    default: return false;
    }
    return true;
}

static ir_val to_const(struct ir_ins *in, uint32_t v)
{
    *in = (struct ir_ins){.op = IR_CONST, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE, .imm = v};
    return IR_NONE;
}

static ir_val to_unary(struct ir_ins *in, enum ir_op op, ir_val a, uint32_t imm)
{
    *in = (struct ir_ins){.op = op, .s = in->s, .a = a, .b = IR_NONE, .c = IR_NONE, .imm = imm};
    return IR_NONE;
}

static ir_val to_nop(struct ir_ins *in)
{
    *in = (struct ir_ins){.op = IR_NOP, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE};
    return IR_NONE;
}

static bool commutative(enum ir_op op)
{
    return op == IR_ADD || op == IR_ADC || op == IR_AND || op == IR_OR || op == IR_XOR || op == IR_MUL ||
           op == IR_MULU64 || op == IR_MULS64;
}

/* How many low bits may be other than zero (zeros) or than copies of the sign (32 - sign + 1). */
static unsigned zero_ext_bits(const struct ir_ins *def)
{
    switch (def->op) {
    case IR_UXTB: return 8;
    case IR_UXTH: return 16;
    case IR_UBFX: return def->imm2;
    case IR_SHR: return 32 - def->imm;
    case IR_LD:
    case IR_LDREX:
        if (def->aux & MEM_SIGNED)
            return 32;
        return 8u << (def->aux & MEM_SIZE);
    case IR_GET_C:
    case IR_SETCOND: return 1;
    default: return 32;
    }
}

static unsigned sign_ext_bits(const struct ir_ins *def)
{
    switch (def->op) {
    case IR_SXTB: return 8;
    case IR_SXTH: return 16;
    case IR_SBFX: return def->imm2;
    case IR_SAR: return 32 - def->imm;
    case IR_LD: return def->aux & MEM_SIGNED ? 8u << (def->aux & MEM_SIZE) : 32;
    default: return 32;
    }
}

static ir_val fold_shift_by_const(struct ir_ins *in, uint32_t amount)
{
    static const uint8_t by_imm[] = {[IR_SHL_R - IR_SHL_R] = IR_SHL,
                                     [IR_SHR_R - IR_SHL_R] = IR_SHR,
                                     [IR_SAR_R - IR_SHL_R] = IR_SAR,
                                     [IR_ROR_R - IR_SHL_R] = IR_ROR};
    amount &= 0xff;
    if (amount == 0)
        return in->a; /* C, if asked for, stays too */
    if (amount < 32)
        return to_unary(in, by_imm[in->op - IR_SHL_R], in->a, amount);
    if (in->s)
        return IR_NONE;
    switch (in->op) {
    case IR_SAR_R: return to_unary(in, IR_SAR, in->a, 31);
    case IR_ROR_R: return amount & 31 ? to_unary(in, IR_ROR, in->a, amount & 31) : in->a;
    default: return to_const(in, 0);
    }
}

/* Ops with s = 0 whose second operand y is known. */
static ir_val fold_right_const(struct ir_block *b, struct ir_ins *in, uint32_t y, bool may_emit)
{
    switch (in->op) {
    case IR_ADD:
    case IR_OR:
    case IR_XOR:
    case IR_BIC:
    case IR_SUB:
        if (y == 0)
            return in->a;
        break;
    default: break;
    }
    switch (in->op) {
    case IR_SUB: /* one form for the backend's address arithmetic */
        if (may_emit) {
            in->b = ir_const(b, 0u - y);
            in->op = IR_ADD;
        }
        break;
    case IR_AND:
        if (y == UINT32_MAX)
            return in->a;
        if (y == 0)
            return to_const(in, 0);
        if (y == 0xff || y == 0xffff) {
            to_unary(in, y == 0xff ? IR_UXTB : IR_UXTH, in->a, 0);
            return ir_fold(b, in, may_emit);
        }
        break;
    case IR_OR:
        if (y == UINT32_MAX)
            return to_const(in, y);
        break;
    case IR_XOR:
        if (y == UINT32_MAX)
            return to_unary(in, IR_NOT, in->a, 0);
        break;
    case IR_BIC:
        if (y == UINT32_MAX)
            return to_const(in, 0);
        if (may_emit) {
            in->b = ir_const(b, ~y);
            in->op = IR_AND;
            return ir_fold(b, in, may_emit);
        }
        break;
    case IR_MUL:
        if (y == 0)
            return to_const(in, 0);
        if (y == 1)
            return in->a;
        if (!(y & (y - 1)))
            return to_unary(in, IR_SHL, in->a, (uint32_t)__builtin_ctz(y));
        break;
    case IR_UDIV:
        if (y == 1)
            return in->a;
        if (y && !(y & (y - 1)))
            return to_unary(in, IR_SHR, in->a, (uint32_t)__builtin_ctz(y));
        break;
    default: break;
    }
    return IR_NONE;
}

static ir_val fold_same_operands(struct ir_ins *in)
{
    switch (in->op) {
    case IR_AND:
    case IR_OR: return in->a;
    case IR_SUB:
    case IR_XOR:
    case IR_BIC: return to_const(in, 0);
    default: return IR_NONE;
    }
}

static ir_val fold_field(struct ir_block *b, struct ir_ins *in, bool may_emit)
{
    uint32_t lsb = in->imm, width = in->imm2;
    bool is_signed = in->op == IR_SBFX;
    if (lsb == 0 && width == 32)
        return in->a;
    if (lsb == 0 && (width == 8 || width == 16)) {
        enum ir_op op = is_signed ? (width == 8 ? IR_SXTB : IR_SXTH) : (width == 8 ? IR_UXTB : IR_UXTH);
        to_unary(in, op, in->a, 0);
        return ir_fold(b, in, may_emit);
    }
    if (lsb + width == 32)
        return to_unary(in, is_signed ? IR_SAR : IR_SHR, in->a, lsb);
    if (lsb == 0 && !is_signed && zero_ext_bits(&b->ins[in->a]) <= width)
        return in->a;
    return IR_NONE;
}

/* Unary ops that undo or repeat what made their operand. */
static ir_val fold_by_maker(struct ir_block *b, struct ir_ins *in, bool may_emit)
{
    const struct ir_ins *def = &b->ins[in->a];
    switch (in->op) {
    case IR_NOT:
    case IR_REV:
    case IR_REV64:
    case IR_REV16: return def->op == in->op ? def->a : IR_NONE;
    case IR_LO32: return def->op == IR_PACK64 ? def->a : IR_NONE;
    case IR_HI32: return def->op == IR_PACK64 ? def->b : IR_NONE;
    case IR_UXTB: return zero_ext_bits(def) <= 8 ? in->a : IR_NONE;
    case IR_UXTH: return zero_ext_bits(def) <= 16 ? in->a : IR_NONE;
    case IR_SXTB: return sign_ext_bits(def) <= 8 || zero_ext_bits(def) < 8 ? in->a : IR_NONE;
    case IR_SXTH: return sign_ext_bits(def) <= 16 || zero_ext_bits(def) < 16 ? in->a : IR_NONE;
    case IR_UBFX:
    case IR_SBFX: return fold_field(b, in, may_emit);
    default: return IR_NONE;
    }
}

ir_val ir_fold(struct ir_block *b, struct ir_ins *in, bool may_emit)
{
    uint32_t x = 0, y = 0, z = 0;
    bool cx = ir_is_const(b, in->a, &x), cy = ir_is_const(b, in->b, &y);

    if (commutative(in->op) && cx && !cy) {
        ir_val t = in->a;
        in->a = in->b;
        in->b = t;
        cx = false;
        cy = true;
        y = x;
    }

    switch (in->op) {
    case IR_SEL: return in->cond == COND_AL || in->a == in->b ? in->a : IR_NONE;
    case IR_SETCOND: return in->cond == COND_AL ? to_const(in, 1) : IR_NONE;
    case IR_SELNZ:
        if (in->a == in->b)
            return in->a;
        return ir_is_const(b, in->c, &z) ? (z ? in->a : in->b) : IR_NONE;
    case IR_BRZ:
    case IR_EXIT_IFZ: return cx && x != 0 ? to_nop(in) : IR_NONE;
    case IR_BRNZ:
    case IR_EXIT_IFNZ: return cx && x == 0 ? to_nop(in) : IR_NONE;
    case IR_SHL_R:
    case IR_SHR_R:
    case IR_SAR_R:
    case IR_ROR_R:
        if (cy) {
            ir_val v = fold_shift_by_const(in, y);
            if (v != IR_NONE || in->b != IR_NONE || in->op == IR_CONST)
                return v;
            return in->s ? IR_NONE : ir_fold(b, in, may_emit); /* now a shift by imm, perhaps of a constant */
        }
        break;
    default: break;
    }

    if (in->s || ir_op_info[in->op].x || ir_op_info[in->op].r)
        return IR_NONE;

    unsigned nargs = ir_op_info[in->op].nargs;
    uint32_t r;
    if (nargs >= 1 && cx && (nargs == 1 || cy) && eval(in, x, y, &r))
        return to_const(in, r);
    if (nargs == 2) {
        if (in->op == IR_BFI && in->imm == 0 && in->imm2 == 32)
            return in->b;
        if (in->a == in->b) {
            ir_val v = fold_same_operands(in);
            if (v != IR_NONE || in->op == IR_CONST)
                return v;
        }
        if (cx && x == 0 && in->op == IR_BIC)
            return in->a;
        if (cy)
            return fold_right_const(b, in, y, may_emit);
    }
    if (nargs == 1) {
        if (in->op >= IR_SHL && in->op <= IR_ROR && in->imm == 0)
            return in->a;
        return fold_by_maker(b, in, may_emit);
    }
    return IR_NONE;
}
