/*
 * sem_neon.c — Advanced SIMD instructions (ARM DDI 0406C A7.4, A7.7)
 *
 * Loads and stores are inline; the rest is helper_vec() with the number of the operation (ir/vec_ops.def) and a few more
 * helpers, many of which the backend knows and does itself. Loads of structures first load the registers as memory
 * has them, then a helper sorts the elements; stores go the other way through v->vtmp.
 */
#include "engine/arm/vfp.h"

static unsigned dreg(uint32_t v, uint32_t bit)
{
    return bit << 4 | v;
}

#define RD dreg(F('d'), F('h'))
#define RN dreg(F('n'), F('j'))
#define RM dreg(F('m'), F('l'))

static bool neon_enabled(struct xlate *x)
{
    if (!vfp_enabled(x))
        return false;
    if (!xlate_flag(x, TBF_NO_NEON))
        return true;
    undefined(x);
    return false;
}

/* The size field of most data processing. */
static unsigned size_of(const struct xlate *x)
{
    return bits(x->insn.word, 21, 20);
}

/* The operation for elements of 8 << log2 bits, or -1. */
static int vec_op(uint32_t arg, unsigned log2, bool is_unsigned)
{
    int op = arg & NS_OP;
    switch (arg & NS_KIND) {
    case NS_SIGNED3: return log2 < 3 ? op + (int)log2 + (is_unsigned ? 3 : 0) : -1;
    case NS_SIGNED4: return op + (int)log2 + (is_unsigned ? 4 : 0);
    case NS_SIZES2: return log2 == 1 || log2 == 2 ? op + (int)log2 - 1 : -1;
    case NS_SIZES3: return log2 < 3 ? op + (int)log2 : -1;
    case NS_SIZES4: return op + (int)log2;
    case NS_BELOW1: return log2 < 1 ? op : -1;
    case NS_BELOW2: return log2 < 2 ? op + (int)log2 : -1;
    default: return op;
    }
}

static void vec(struct xlate *x, int op, unsigned d, unsigned n, unsigned m, uint32_t flags, uint32_t imm)
{
    /* Q registers are even. */
    if (op < 0 || ((flags & VREG_DQ) && (d & 1)) || ((flags & VREG_NQ) && (n & 1)) || ((flags & VREG_MQ) && (m & 1))) {
        undefined(x);
        return;
    }
    call(x, HELPER_VEC, imm32(x, (uint32_t)op), imm32(x, d | n << VREG_N | m << VREG_M | flags), imm32(x, imm));
}

/* -- Three registers of a length -------------------------------------------------------------------------------------- */

void op_neon_same(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned d = RD, n = arg & NS_SWAP ? RM : RN, m = arg & NS_SWAP ? RN : RM;
    int op = vec_op(arg, size_of(x), F('u'));
    if (op < 0 || (F('q') && ((d | n | m) & 1))) {
        undefined(x);
        return;
    }
    vec(x, op, d, n, m, F('q') ? VREG_Q : 0, 0);
}

/* -- Different lengths, scalars ------------------------------------------------------------------------------------------ */

void op_neon_long(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    uint32_t flags = arg & NS_NARROW ? VREG_NQ | VREG_MQ : arg & NS_WIDE ? VREG_DQ | VREG_NQ : VREG_DQ;
    vec(x, vec_op(arg, size_of(x), F('u')), RD, RN, RM, flags, 0);
}

void op_neon_scalar(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned size = size_of(x), m = F('m'), index = F('l');
    if (size == 0 || ((arg & NS_FLOAT) && size != 2)) {
        undefined(x);
        return;
    }
    if (size == 1) {
        index = index << 1 | m >> 3;
        m &= 7;
    }
    uint32_t flags = arg & NS_LONG ? VREG_DQ : F('q') ? VREG_DQ | VREG_NQ : 0;
    flags |= VREG_SCALAR | size << VREG_SCALAR_SIZE | index << VREG_SCALAR_INDEX;
    vec(x, vec_op(arg, size, F('u')), RD, RN, m, flags, 0);
}

/* -- Shifts by an immediate ------------------------------------------------------------------------------------------------ */

/* L:imm6 has the size as the place of its highest bit, and below it the amount. */
void op_neon_shift(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned k = bits(x->insn.word, 21, 16), log2 = 3;
    if (!bit(x->insn.word, 7) || (arg & (NS_NARROW | NS_LONG)))
        log2 = k >> 5 ? 2 : k >> 4 ? 1 : 0;
    unsigned size = 8u << log2, left = log2 == 3 ? k : k - size, right = log2 == 3 ? 64 - k : 2 * size - k;
    int op = vec_op(arg, log2, F('u'));
    if (arg & NS_NARROW)
        vec(x, op, RD, RM, 0, VREG_NQ | VREG_NONE, right);
    else if (arg & NS_LONG)
        vec(x, op, RD, RM, 0, VREG_DQ | VREG_NONE, left);
    else
        vec(x, op, RD, RM, 0, (F('q') ? VREG_DQ | VREG_NQ : 0) | VREG_IMM,
            !(arg & NS_RIGHT) ? left
            : arg & NS_PLAIN  ? right
                              : -right);
}

void op_neon_fixed(struct xlate *x, uint32_t arg)
{
    if (neon_enabled(x))
        vec(x, (int)(arg & NS_OP) + (int)F('u'), RD, RM, 0, (F('q') ? VREG_DQ | VREG_NQ : 0) | VREG_NONE,
            64 - bits(x->insn.word, 21, 16));
}

/* -- One register and a modified immediate (A7.4.6) -------------------------------------------------------------------------- */

/* AdvSIMDExpandImm(); false: Undefined */
static bool expand_imm(unsigned op, unsigned cmode, uint32_t i, uint64_t *out)
{
    uint64_t v = i;
    switch (cmode >> 1) {
    case 0:
    case 1:
    case 2:
    case 3: v = v << (cmode >> 1) * 8; break;
    case 4:
    case 5:
        v = v << (cmode >> 1 & 1) * 8;
        v |= v << 16;
        break;
    case 6: v = cmode & 1 ? v << 16 | 0xffff : v << 8 | 0xff; break;
    default:
        if (cmode == 14 && !op) {
            v = v * 0x0101010101010101u;
        } else if (cmode == 14) {
            v = 0;
            for (unsigned b = 0; b < 8; b++)
                v |= bit(i, b) ? UINT64_C(0xff) << 8 * b : 0;
        } else if (!op) {
            v = (uint64_t)(i >> 7 << 31 | (bit(i, 6) ? 0x3e000000u : 0x40000000u) | (i & 0x3f) << 19);
            v |= v << 32;
        } else {
            return false;
        }
        *out = v;
        return true;
    }
    *out = (v & 0xffffffff) | v << 32;
    return true;
}

void op_neon_modified(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!neon_enabled(x))
        return;
    unsigned d = RD, cmode = F('p'), op = F('o');
    uint64_t v;
    if ((F('q') && (d & 1)) || !expand_imm(op, cmode, F('i'), &v)) {
        undefined(x);
        return;
    }
    bool combine = (cmode & 1) && cmode < 12; /* VORR, VBIC */
    if (op && !combine && cmode != 14)        /* VMVN; 1110 with op is VMOV.I64 */
        v = ~v;
    if (!combine) {
        call(x, HELPER_VEC_IMM, imm32(x, d | (F('q') ? VREG_DQ : 0)), imm32(x, (uint32_t)v),
             imm32(x, (uint32_t)(v >> 32)));
        return;
    }
    for (unsigned i = 0; i < (F('q') ? 2u : 1u); i++) {
        ir_val old = vfp_ld64(x, d + i), half[2] = {emit1(x, IR_LO32, old), emit1(x, IR_HI32, old)};
        for (unsigned w = 0; w < 2; w++)
            half[w] = emit2(x, op ? IR_BIC : IR_OR, half[w], imm32(x, (uint32_t)(v >> 32 * w)));
        vfp_st64(x, d + i, emit2(x, IR_PACK64, half[0], half[1]));
    }
}

/* -- Two registers, extract, table, duplicate ---------------------------------------------------------------------------------- */

void op_neon_misc(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned size = bits(x->insn.word, 19, 18);
    uint32_t flags = arg & NS_NARROW ? VREG_NQ : arg & NS_LONG ? VREG_DQ : F('q') ? VREG_DQ | VREG_NQ : 0;
    int op = vec_op(arg, size, F('u'));
    /* VSHLL by the size is the only one that has a count. */
    uint32_t imm = (arg & NS_OP) == VOP_shll_u8 ? 8u << size : 0;
    vec(x, op, RD, RM, 0, flags | VREG_NONE, imm);
}

void op_neon_permute(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned d = RD, m = RM, size = F('z');
    /* VUZP and VZIP of words of D registers are VTRN. */
    if (size == 3 || (size == 2 && !F('q') && (arg == PERMUTE_UZP || arg == PERMUTE_ZIP)) ||
        (F('q') && ((d | m) & 1))) {
        undefined(x);
        return;
    }
    call(x, HELPER_VEC_PERMUTE, imm32(x, arg | size << 4), imm32(x, d | m << VREG_M | (F('q') ? VREG_DQ : 0)), IR_NONE);
}

void op_neon_ext(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!neon_enabled(x))
        return;
    if (!F('q') && F('i') > 7) {
        undefined(x);
        return;
    }
    vec(x, VOP_ext, RD, RN, RM, F('q') ? VREG_Q : 0, F('i'));
}

void op_neon_table(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned length = F('i') + 1;
    if (RN + length > 32) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    call(x, HELPER_VEC_TABLE, imm32(x, RD | RN << VREG_N | RM << VREG_M), imm32(x, length), imm32(x, arg));
}

void op_neon_dup(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!neon_enabled(x))
        return;
    unsigned i = F('i'), log2 = i & 1 ? 0 : i & 2 ? 1 : 2, lane = i >> (log2 + 1);
    if ((i & 7) == 0 || (F('q') && (RD & 1))) {
        undefined(x);
        return;
    }
    call(x, HELPER_VEC_DUP, imm32(x, RD | RM << VREG_M | (F('q') ? VREG_DQ : 0)), imm32(x, log2), imm32(x, lane));
}

/* -- Element and structure loads and stores ---------------------------------------------------------------------------------------- */

/* Fault unless Rn is a multiple of `align`. A segment ends here. */
static void check_alignment(struct xlate *x, uint32_t align, bool is_store)
{
    if (align <= 1)
        return;
    ir_val addr = get_reg(x, F('n'));
    ir_val low = emit2(x, IR_AND, addr, imm32(x, align - 1));
    uint32_t good = ir_new_label(x->b);
    ir_brz(x->b, low, good, false);
    call(x, HELPER_ALIGNMENT_FAULT, get_reg(x, F('n')), imm32(x, is_store), IR_NONE);
    ir_label(x->b, good);
}

/* Rm: 15 none, 13 by what was transferred, else a register. */
static void writeback(struct xlate *x, ir_val base, uint32_t bytes)
{
    if (F('m') != 15)
        put_reg(x, F('n'), emit2(x, IR_ADD, base, F('m') == 13 ? imm32(x, bytes) : get_reg(x, F('m'))));
}

static ir_val at_offset(struct xlate *x, ir_val base, uint32_t k)
{
    return k ? emit2(x, IR_ADD, base, imm32(x, k)) : base;
}

static bool structure_ok(struct xlate *x, unsigned highest)
{
    if (F('n') != 15 && highest < 32) /* UNPREDICTABLE */
        return vfp_regs_exist(x, highest);
    undefined(x);
    return false;
}

/* Elements of this size, not bytes in reverse: big-endian data of the inline doublewords. */
static ir_val swap_elements(struct xlate *x, ir_val v, unsigned log2)
{
    if (!xlate_flag(x, TBF_BE) || log2 == 0)
        return v;
    if (log2 == 3)
        return emit1(x, IR_REV64, v);
    enum ir_op op = log2 == 1 ? IR_REV16 : IR_REV;
    return emit2(x, IR_PACK64, ir_un(x->b, op, emit1(x, IR_LO32, v)), ir_un(x->b, op, emit1(x, IR_HI32, v)));
}

/* Doublewords in memory's order, without regard to what is in them. */
static void transfer64(struct xlate *x, ir_val addr, bool is_load, size_t env, unsigned log2, uint8_t align)
{
    if (is_load) {
        ir_val v = ir_emit(x->b, IR_LD64, 0, MEM_64 | align, addr, IR_NONE, IR_NONE, 0, 0);
        ir_emit(x->b, IR_ST_ENV64, 0, 0, swap_elements(x, v, log2), IR_NONE, IR_NONE, (uint32_t)env, 0);
    } else {
        ir_val v = ir_emit(x->b, IR_LD_ENV64, 0, 0, IR_NONE, IR_NONE, IR_NONE, (uint32_t)env, 0);
        ir_emit(x->b, IR_ST64, 0, MEM_64 | align, addr, swap_elements(x, v, log2), IR_NONE, 0, 0);
    }
}

void op_neon_multiple(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    bool is_load = arg & VFP_LOAD;
    unsigned n = arg & 15, groups = arg >> 4 & 15, step = arg >> 12 & 15, log2 = F('z'), align = F('a'), d = RD;
    if ((n > 1 && log2 == 3) || align > arg >> 16) {
        undefined(x);
        return;
    }
    /* A structure's registers are `step` apart, the next group follows by 1; VLD1 has groups only. */
    unsigned highest = d + (n - 1) * step + groups - 1;
    if (!structure_ok(x, highest))
        return;
    /* The first access finds alignments of 8 and 16 out by itself. */
    unsigned bytes = align ? 4u << align : xlate_flag(x, TBF_ALIGN) ? 1u << log2 : 1;
    uint8_t first = bytes == 8 ? MEM_ALIGN : bytes == 16 ? MEM_ALIGN16 : 0;
    if (!first)
        check_alignment(x, bytes, !is_load);
    ir_val base = get_reg(x, F('n'));
    uint32_t off = 0;
    for (unsigned g = 0; g < groups; g++) {
        ir_val how = imm32(x, INTERLEAVE(n, step, log2));
        if (n > 1 && !is_load)
            call(x, HELPER_VEC_INTERLEAVE, imm32(x, d + g), how, IR_NONE);
        for (unsigned k = 0; k < n; k++, off += 8) {
            size_t env = n > 1 && !is_load ? offsetof(struct vcpu, vtmp) + 8 * (size_t)k : VFP_D(d + g + k * step);
            transfer64(x, at_offset(x, base, off), is_load, env, log2, off ? 0 : first);
        }
        if (n > 1 && is_load)
            call(x, HELPER_VEC_DEINTERLEAVE, imm32(x, d + g), how, IR_NONE);
    }
    writeback(x, base, off);
}

static ir_val load_element(struct xlate *x, ir_val addr, unsigned log2)
{
    ir_val v = ir_load(x->b, addr, (uint8_t)log2);
    if (xlate_flag(x, TBF_BE) && log2)
        v = ir_un(x->b, log2 == 1 ? IR_REV16 : IR_REV, v);
    return v;
}

static void store_element(struct xlate *x, ir_val addr, ir_val v, unsigned log2)
{
    if (xlate_flag(x, TBF_BE) && log2)
        v = ir_un(x->b, log2 == 1 ? IR_REV16 : IR_REV, v);
    ir_store(x->b, addr, v, (uint8_t)log2);
}

/* The meaning of index_align for one lane (tables A8-3 .. of VLD1 to VLD4, single element). False: Undefined. */
static bool lane_fields(unsigned n, unsigned log2, unsigned ia, unsigned *lane, unsigned *step, unsigned *align)
{
    unsigned low = ia & ((1u << (log2 + 1)) - 1); /* what is not the index */
    *lane = ia >> (log2 + 1);
    *step = log2 && n > 1 && bit(low, log2) ? 2 : 1;
    unsigned a = low & ((1u << log2) - 1), ebytes = 1u << log2;
    if (log2 == 0)
        a = low; /* no room for the step: bit 0 is the alignment */
    *align = 1;
    switch (n) {
    case 1:
        if (log2 == 0 ? low != 0 : log2 == 1 ? bit(low, 1) : bit(low, 2) || (a != 0 && a != 3))
            return false;
        *align = a ? ebytes : 1;
        return true;
    case 2:
        if (log2 == 2 && (a & 2))
            return false;
        *align = a ? 2 * ebytes : 1;
        return true;
    case 3: return a == 0;
    default:
        if (log2 == 2 && a == 3)
            return false;
        *align = !a ? 1 : log2 == 2 ? 4u << a : 4 * ebytes;
        return true;
    }
}

void op_neon_lane(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    bool is_load = arg & VFP_LOAD;
    unsigned n = arg & 15, log2 = F('z'), d = RD, lane, step, align;
    if (log2 == 3 || !lane_fields(n, log2, F('p'), &lane, &step, &align)) {
        undefined(x);
        return;
    }
    if (!structure_ok(x, d + (n - 1) * step))
        return;
    if (align == 1 && xlate_flag(x, TBF_ALIGN))
        align = 1u << log2;
    check_alignment(x, align, !is_load);
    ir_val base = get_reg(x, F('n'));
    unsigned lsb = (lane << log2 & 3) * 8, width = 8u << log2;
    for (unsigned k = 0; k < n; k++) {
        size_t at = VFP_D(d + k * step) + (lane << log2 & 4);
        ir_val addr = at_offset(x, base, k << log2);
        if (is_load) {
            vfp_insert(x, at, lsb, width, load_element(x, addr, log2));
        } else {
            ir_val v = ld_env(x, at);
            store_element(x, addr, lsb ? ir_shift(x->b, IR_SHR, v, lsb, 0) : v, log2);
        }
    }
    writeback(x, base, n << log2);
}

/* VLD1 fills one or two registers, by q; of the others q says how far apart they are. */
void op_neon_all_lanes(struct xlate *x, uint32_t arg)
{
    if (!neon_enabled(x))
        return;
    unsigned n = arg, log2 = F('z'), d = RD, a = F('a'), align;
    unsigned step = n > 1 && F('q') ? 2 : 1, copies = n == 1 && F('q') ? 2 : 1;
    bool wide4 = n == 4 && log2 == 3 && a; /* words with an alignment of 16 */
    if ((log2 == 3 && !wide4) || (n == 1 && log2 == 0 && a) || (n == 3 && a)) {
        undefined(x);
        return;
    }
    if (wide4)
        log2 = 2;
    align = wide4 ? 16 : !a ? 1 : n == 4 && log2 == 2 ? 8 : n << log2;
    if (!structure_ok(x, d + (n - 1) * step + copies - 1))
        return;
    if (align == 1 && xlate_flag(x, TBF_ALIGN))
        align = 1u << log2;
    check_alignment(x, align, false);
    ir_val base = get_reg(x, F('n'));
    for (unsigned k = 0; k < n; k++) {
        ir_val v = vfp_replicate(x, load_element(x, at_offset(x, base, k << log2), log2), log2);
        for (unsigned w = 0; w < 2 * copies; w++)
            st_env(x, VFP_D(d + k * step) + 4 * (size_t)w, v);
    }
    writeback(x, base, n << log2);
}
