/*
 * sem_vfp.c — VFP instructions (ARM DDI 0406C A7.5, A7.6, A7.8, A7.9)
 *
 * Loads, stores and transfers are operations on struct vcpu's vfp[]; arithmetic is calls of helpers that get the registers'
 * numbers (helpers_vfp.c), which the backend knows and does itself where the operands are of the common kind. A multiple load that faults may have loaded some registers, which the architecture allows;
 * the base is written last.
 */
#include "engine/arm/vfp.h"

/* -- What sem_neon.c shares --------------------------------------------------------------------------------------- */

bool vfp_enabled(struct xlate *x)
{
    if (xlate_flag(x, TBF_VFP))
        return true;
    undefined(x);
    return false;
}

bool vfp_regs_exist(struct xlate *x, unsigned highest)
{
    if (highest < (xlate_flag(x, TBF_NO_D32) ? 16u : 32u))
        return true;
    undefined(x);
    return false;
}

ir_val vfp_ld64(struct xlate *x, unsigned d)
{
    return ir_emit(x->b, IR_LD_ENV64, 0, 0, IR_NONE, IR_NONE, IR_NONE, (uint32_t)VFP_D(d), 0);
}

void vfp_st64(struct xlate *x, unsigned d, ir_val v)
{
    ir_emit(x->b, IR_ST_ENV64, 0, 0, v, IR_NONE, IR_NONE, (uint32_t)VFP_D(d), 0);
}

/* mem: MEM_ALIGN, MEM_ALIGN4 or 0. The bytes of a doubleword are reversed when data are big-endian. */
static ir_val load64(struct xlate *x, ir_val addr, uint8_t mem)
{
    ir_val v = ir_emit(x->b, IR_LD64, 0, MEM_64 | mem, addr, IR_NONE, IR_NONE, 0, 0);
    return big_endian(x) ? emit1(x, IR_REV64, v) : v;
}

static void store64(struct xlate *x, ir_val addr, ir_val v, uint8_t mem)
{
    if (big_endian(x))
        v = emit1(x, IR_REV64, v);
    ir_emit(x->b, IR_ST64, 0, MEM_64 | mem, addr, v, IR_NONE, 0, 0);
}

static ir_val load32(struct xlate *x, ir_val addr)
{
    ir_val v = ir_load(x->b, addr, MEM_32 | MEM_ALIGN);
    return big_endian(x) ? ir_un(x->b, IR_REV, v) : v;
}

static void store32(struct xlate *x, ir_val addr, ir_val v)
{
    ir_store(x->b, addr, big_endian(x) ? ir_un(x->b, IR_REV, v) : v, MEM_32 | MEM_ALIGN);
}

static ir_val add_imm(struct xlate *x, ir_val v, uint32_t k)
{
    return k ? emit2(x, IR_ADD, v, imm32(x, k)) : v;
}

/* -- Data processing ----------------------------------------------------------------------------------------------- */

/* The register that the fields v and bit name. */
static unsigned reg_of(struct xlate *x, char v, char bit)
{
    uint32_t four = FIELD(&x->f, v), one = FIELD(&x->f, bit);
    return F('z') ? one << 4 | four : four << 1 | one;
}

#define RD reg_of(x, 'd', 'h')
#define RN reg_of(x, 'n', 'j')
#define RM reg_of(x, 'm', 'l')

static bool data_ok(struct xlate *x)
{
    if (!vfp_enabled(x))
        return false;
    return !F('z') || vfp_regs_exist(x, RD | RN | RM);
}

/* Operations that short vectors applied to: with LEN or STRIDE not 0 they are Undefined on the A15, which has none. */
static bool scalar_ok(struct xlate *x)
{
    if (!data_ok(x))
        return false;
    if (!xlate_flag(x, TBF_VFP_VECTOR))
        return true;
    undefined(x);
    return false;
}

void op_vfp3(struct xlate *x, uint32_t arg)
{
    static const struct {
        uint16_t s, d;
    } ids[] = {
#define ROW(op, name) [VFP_##op] = {HELPER_##name##_S, HELPER_##name##_D}
        ROW(ADD, VADD), ROW(SUB, VSUB),   ROW(MUL, VMUL),   ROW(NMUL, VNMUL), ROW(DIV, VDIV),
        ROW(MLA, VMLA), ROW(MLS, VMLS),   ROW(NMLA, VNMLA), ROW(NMLS, VNMLS), ROW(FMA, VFMA),
        ROW(FMS, VFMS), ROW(FNMA, VFNMA), ROW(FNMS, VFNMS),
#undef ROW
    };
    if (scalar_ok(x))
        call(x, F('z') ? ids[arg].d : ids[arg].s, imm32(x, RD), imm32(x, RN), imm32(x, RM));
}

void op_vfp2(struct xlate *x, uint32_t arg)
{
    if (!scalar_ok(x))
        return;
    static const uint16_t ids[][2] = {
        [VFP_SQRT] = {HELPER_VSQRT_S, HELPER_VSQRT_D},
        [VFP_MOV] = {HELPER_VMOV_S, HELPER_VMOV_D},
        [VFP_ABS] = {HELPER_VABS_S, HELPER_VABS_D},
        [VFP_NEG] = {HELPER_VNEG_S, HELPER_VNEG_D},
    };
    call(x, ids[arg][F('z')], imm32(x, RD), imm32(x, RM), IR_NONE);
}

/* VFPExpandImm() */
void op_vfp_imm(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!scalar_ok(x))
        return;
    uint32_t i = F('i'), sign = i >> 7 << 31;
    unsigned d = RD;
    if (F('z')) {
        uint32_t high = sign | (bit(i, 6) ? 0x3fc00000u : 0x40000000u) | (i & 0x3f) << 16;
        vfp_st64(x, d, emit2(x, IR_PACK64, imm32(x, 0), imm32(x, high)));
    } else {
        st_env(x, VFP_S(d), imm32(x, sign | (bit(i, 6) ? 0x3e000000u : 0x40000000u) | (i & 0x3f) << 19));
    }
}

/* arg: 1 with zero */
void op_vfp_compare(struct xlate *x, uint32_t arg)
{
    if (data_ok(x))
        call(x, F('z') ? HELPER_VCMP_D : HELPER_VCMP_S, imm32(x, RD), imm32(x, RM), imm32(x, F('e') | arg << 1));
}

static unsigned single(uint32_t v, uint32_t bit)
{
    return v << 1 | bit;
}

static unsigned twice(uint32_t v, uint32_t bit)
{
    return bit << 4 | v;
}

void op_vfp_width(struct xlate *x, uint32_t arg)
{
    (void)arg;
    unsigned wide = F('z') ? twice(F('m'), F('l')) : twice(F('d'), F('h'));
    if (!vfp_enabled(x) || !vfp_regs_exist(x, wide))
        return;
    if (F('z'))
        call(x, HELPER_VCVT_S_D, imm32(x, single(F('d'), F('h'))), imm32(x, wide), IR_NONE);
    else
        call(x, HELPER_VCVT_D_S, imm32(x, wide), imm32(x, single(F('m'), F('l'))), IR_NONE);
}

void op_vfp_half(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (vfp_enabled(x))
        call(x, HELPER_VCVT_HALF, imm32(x, single(F('d'), F('h'))), imm32(x, single(F('m'), F('l'))),
             imm32(x, F('t') | F('o') << 1));
}

void op_vfp_from_int(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!vfp_enabled(x) || (F('z') && !vfp_regs_exist(x, RD)))
        return;
    call(x, F('z') ? HELPER_VCVT_D_INT : HELPER_VCVT_S_INT, imm32(x, RD), imm32(x, single(F('m'), F('l'))),
         imm32(x, !F('s')));
}

void op_vfp_to_int(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (!vfp_enabled(x) || (F('z') && !vfp_regs_exist(x, RM)))
        return;
    call(x, F('z') ? HELPER_VCVT_INT_D : HELPER_VCVT_INT_S, imm32(x, single(F('d'), F('h'))), imm32(x, RM),
         imm32(x, (uint32_t)!F('s') | F('r') << 1));
}

void op_vfp_fixed(struct xlate *x, uint32_t arg)
{
    (void)arg;
    uint32_t size = F('x') ? 32 : 16, i = F('i') << 1 | F('l');
    if (!vfp_enabled(x) || (F('z') && !vfp_regs_exist(x, RD)))
        return;
    if (i > size) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    call(x, F('z') ? HELPER_VCVT_FIXED_D : HELPER_VCVT_FIXED_S, imm32(x, RD),
         imm32(x, F('u') | F('o') << 1 | F('x') << 2), imm32(x, size - i));
}

/* -- Loads and stores: always word-aligned (A3.2.1) ------------------------------------------------------------------- */

static void transfer_one(struct xlate *x, ir_val addr, unsigned reg, bool is_load)
{
    if (F('z')) {
        /* A doubleword is two words in the memory's order of bytes. */
        if (is_load)
            vfp_st64(x, reg, load64(x, addr, MEM_ALIGN4));
        else
            store64(x, addr, vfp_ld64(x, reg), MEM_ALIGN4);
    } else if (is_load) {
        st_env(x, VFP_S(reg), load32(x, addr));
    } else {
        store32(x, addr, ld_env(x, VFP_S(reg)));
    }
}

void op_vfp_single(struct xlate *x, uint32_t arg)
{
    if (!vfp_enabled(x) || (F('z') && !vfp_regs_exist(x, RD)))
        return;
    bool is_load = arg & VFP_LOAD;
    uint32_t off = F('i') * 4;
    if (F('n') == 15 && !is_load && x->thumb) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    ir_val base = F('n') == 15 ? literal_base(x) : get_reg(x, F('n'));
    transfer_one(x, add_imm(x, base, F('u') ? off : -off), RD, is_load);
}

/* Also FLDMX and FSTMX: an odd immediate transfers as the even one below it, and writes back the odd one. None, more
 * than 16 doublewords or more than there are registers is UNPREDICTABLE: Undefined. */
void op_vfp_multiple(struct xlate *x, uint32_t arg)
{
    if (!vfp_enabled(x))
        return;
    bool is_load = arg & VFP_LOAD, down = arg & VFP_DOWN, wback = F('w') || down;
    unsigned d = RD, n = F('n'), count = F('z') ? F('i') / 2 : F('i'), size = F('z') ? 8 : 4;
    uint32_t bytes = F('i') * 4;
    if (!count || d + count > 32 || (F('z') && count > 16) || (n == 15 && (wback || x->thumb))) {
        undefined(x);
        return;
    }
    if (F('z') && !vfp_regs_exist(x, d + count - 1))
        return;
    ir_val base = n == 15 ? literal_base(x) : get_reg(x, n);
    ir_val start = down ? emit2(x, IR_SUB, base, imm32(x, bytes)) : base;
    for (unsigned i = 0; i < count;) {
        ir_val addr = add_imm(x, start, i * size);
        if (!F('z') && count - i > 1 && !big_endian(x)) { /* two singles at once */
            size_t env = VFP_S(d + i);
            if (is_load) {
                ir_val v = ir_emit(x->b, IR_LD64, 0, MEM_64 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, 0, 0);
                ir_emit(x->b, IR_ST_ENV64, 0, 0, v, IR_NONE, IR_NONE, (uint32_t)env, 0);
            } else {
                ir_val v = ir_emit(x->b, IR_LD_ENV64, 0, 0, IR_NONE, IR_NONE, IR_NONE, (uint32_t)env, 0);
                ir_emit(x->b, IR_ST64, 0, MEM_64 | MEM_ALIGN4, addr, v, IR_NONE, 0, 0);
            }
            i += 2;
            continue;
        }
        transfer_one(x, addr, d + i, is_load);
        i++;
    }
    if (wback)
        put_reg(x, n, down ? start : add_imm(x, base, bytes));
}

/* -- Transfers ------------------------------------------------------------------------------------------------------------ */

void op_vmov_core(struct xlate *x, uint32_t arg)
{
    if (!vfp_enabled(x))
        return;
    UNPRED15("t");
    size_t at = VFP_S(single(F('n'), F('j')));
    if (arg & VFP_LOAD)
        put_reg(x, F('t'), ld_env(x, at));
    else
        st_env(x, at, get_reg(x, F('t')));
}

void op_vmov_pair(struct xlate *x, uint32_t arg)
{
    if (!vfp_enabled(x))
        return;
    UNPRED15("te");
    bool is_load = arg & VFP_LOAD, wide = arg & VFP_DOUBLE;
    unsigned m = wide ? twice(F('m'), F('l')) : single(F('m'), F('l'));
    /* UNPREDICTABLE: two results in one register, S32 */
    if ((is_load && F('t') == F('e')) || (!wide && m == 31)) {
        undefined(x);
        return;
    }
    if (wide && !vfp_regs_exist(x, m))
        return;
    size_t at = wide ? VFP_D(m) : VFP_S(m);
    if (is_load) {
        ir_val lo = ld_env(x, at), hi = ld_env(x, at + 4);
        put_reg(x, F('t'), lo);
        put_reg(x, F('e'), hi);
    } else if (wide) { /* at once: a load of the doubleword would wait for two stores */
        vfp_st64(x, m, emit2(x, IR_PACK64, get_reg(x, F('t')), get_reg(x, F('e'))));
    } else {
        st_env(x, at, get_reg(x, F('t')));
        st_env(x, at + 4, get_reg(x, F('e')));
    }
}

void op_vmov_scalar(struct xlate *x, uint32_t arg)
{
    bool is_load = arg & VFP_LOAD;
    uint32_t opc = F('o') << 2 | F('x'); /* opc1:opc2 */
    unsigned d = twice(F('n'), F('j')), lane, log2;
    if (!vfp_enabled(x))
        return;
    if (opc & 8) {
        log2 = 0;
        lane = opc & 7;
    } else if (opc & 1) {
        log2 = 1;
        lane = opc >> 1 & 3;
    } else if ((opc & 3) == 0 && !F('u')) {
        log2 = 2;
        lane = opc >> 2 & 1;
    } else {
        undefined(x);
        return;
    }
    if (log2 < 2 && xlate_flag(x, TBF_NO_NEON)) { /* those of 8 and 16 bits are Advanced SIMD */
        undefined(x);
        return;
    }
    UNPRED15("t");
    if (!vfp_regs_exist(x, d))
        return;
    size_t at = VFP_D(d) + (lane << log2 & 4);
    unsigned lsb = (lane << log2 & 3) * 8, width = 8u << log2;
    if (is_load) {
        ir_val v = ld_env(x, at);
        put_reg(x, F('t'), log2 == 2 ? v : ir_field(x->b, F('u') ? IR_UBFX : IR_SBFX, v, lsb, width));
    } else {
        vfp_insert(x, at, lsb, width, get_reg(x, F('t')));
    }
}

void vfp_insert(struct xlate *x, size_t word, unsigned lsb, unsigned width, ir_val v)
{
    if (width < 32)
        v = ir_emit(x->b, IR_BFI, 0, 0, ld_env(x, word), v, IR_NONE, lsb, width);
    st_env(x, word, v);
}

ir_val vfp_replicate(struct xlate *x, ir_val v, unsigned log2)
{
    if (log2 == 2)
        return v;
    v = ir_un(x->b, log2 ? IR_UXTH : IR_UXTB, v);
    return emit2(x, IR_MUL, v, imm32(x, log2 ? 0x00010001 : 0x01010101));
}

void op_vdup_core(struct xlate *x, uint32_t arg)
{
    (void)arg;
    unsigned d = twice(F('n'), F('j')), kind = F('b') << 1 | F('e');
    if (!vfp_enabled(x))
        return;
    if (xlate_flag(x, TBF_NO_NEON) || kind == 3 || (F('q') && (d & 1))) {
        undefined(x);
        return;
    }
    UNPRED15("t");
    call(x, HELPER_VEC_DUP_CORE, imm32(x, d | (F('q') ? VREG_DQ : 0)),
         imm32(x, kind == 0   ? 2
                  : kind == 1 ? 1
                              : 0),
         get_reg(x, F('t')));
}

/* -- System registers ------------------------------------------------------------------------------------------------------- */

enum { REG_FPSCR = 1 };

/* FPSID, MVFR1, MVFR0, FPEXC; of them the first and the last can be written. The helper says who may. */
static bool exists(struct xlate *x, bool write)
{
    if ((write ? 0x101u : 0x1c1u) >> F('i') & 1)
        return true;
    undefined(x);
    return false;
}

void op_vmrs(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (F('i') == REG_FPSCR) {
        if (!vfp_enabled(x))
            return;
        if (F('t') == 15)
            ir_emit(x->b, IR_FP_FLAGS, FLAG_ALL, 0, IR_NONE, IR_NONE, IR_NONE, 0, 0);
        else
            put_reg(x, F('t'), call(x, HELPER_VMRS_FPSCR, IR_NONE, IR_NONE, IR_NONE));
        return;
    }
    if (!exists(x, false))
        return;
    UNPRED15("t");
    put_reg(x, F('t'), call(x, HELPER_VMRS, imm32(x, F('i')), IR_NONE, IR_NONE));
}

void op_vmsr(struct xlate *x, uint32_t arg)
{
    (void)arg;
    if (F('i') == REG_FPSCR) {
        if (!vfp_enabled(x))
            return;
        UNPRED15("t");
        ir_val changed = call(x, HELPER_VMSR_FPSCR, get_reg(x, F('t')), IR_NONE, IR_NONE);
        /* What blocks know of it (TBF_VFP_*) hardly ever changes. */
        uint32_t same = ir_new_label(x->b);
        ir_brz(x->b, changed, same, false);
        sync_it(x, it_advance(x->it));
        ir_exit_loop(x->b, next_pc_t(x));
        ir_label(x->b, same);
        return;
    }
    if (!exists(x, true))
        return;
    UNPRED15("t");
    call(x, HELPER_VMSR, imm32(x, F('i')), get_reg(x, F('t')), IR_NONE);
    exit_loop_next(x);
}
