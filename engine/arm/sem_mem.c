/*
 * sem_mem.c — loads, stores, block transfers, exclusives (ARM DDI 0406C A4.6 .. A4.7, A8.8)
 *
 * Order within an instruction: address, access, base write-back, destination; so a fault finds the registers
 * as they were, and a loaded base wins over the written-back one (UNPREDICTABLE; QEMU does the same).
 *
 * Big-endian data (CPSR.E): memory is read and written as bytes, values are reversed here.
 * Alignment: with SCTLR.A every access of more than a byte is checked; doubleword, multiple and exclusive accesses
 * always are (A3.2.1).
 */
#include "engine/arm/xlate.h"

/* -- One access ------------------------------------------------------------------------------------------------------------- */

static uint8_t mem_aux(const struct xlate *x, uint32_t mem)
{
    if ((mem & MEM_SIZE) != MEM_8 && xlate_flag(x, TBF_ALIGN))
        mem |= MEM_ALIGN;
    return (uint8_t)mem;
}

static bool big_endian(const struct xlate *x)
{
    return xlate_flag(x, TBF_BE) != 0;
}

/* Reverse the low bytes of a value of this size. */
static ir_val swap_if_be(struct xlate *x, ir_val v, uint32_t mem)
{
    if (!big_endian(x) || (mem & MEM_SIZE) == MEM_8)
        return v;
    return ir_un(x->b, (mem & MEM_SIZE) == MEM_16 ? IR_REV16 : IR_REV, v);
}

static ir_val load(struct xlate *x, ir_val addr, uint32_t mem)
{
    mem = mem_aux(x, mem);
    if (!big_endian(x) || (mem & MEM_SIZE) == MEM_8)
        return ir_load(x->b, addr, (uint8_t)mem);
    ir_val v = swap_if_be(x, ir_load(x->b, addr, (uint8_t)(mem & ~MEM_SIGNED)), mem);
    return mem & MEM_SIGNED ? ir_un(x->b, IR_SXTH, v) : v;
}

static void store(struct xlate *x, ir_val addr, ir_val v, uint32_t mem)
{
    ir_store(x->b, addr, swap_if_be(x, v, mem), mem_aux(x, mem));
}

static ir_val add_offset(struct xlate *x, ir_val base, ir_val off, bool up)
{
    return emit2(x, up ? IR_ADD : IR_SUB, base, off);
}

/* Write PC with a loaded value (LoadWritePC = BXWritePC). */
static void load_pc(struct xlate *x, ir_val v, bool is_return)
{
    exit_indirect(x, v, is_return ? EXIT_RETURN : EXIT_JUMP);
}

/* -- Single registers -------------------------------------------------------------------------------------------------------- */

struct indexing {
    bool pre, up, wback;
    unsigned n;
};

/* False: Undefined, done. */
static bool get_indexing(struct xlate *x, uint32_t arg, struct indexing *ix)
{
    ix->n = arg & MEMF_LITERAL ? 15 : arg & MEMF_SP ? 13 : F('n');
    if (arg & MEMF_OFFSET) {
        ix->pre = ix->up = true;
        ix->wback = false;
    } else if (arg & MEMF_LITERAL) {
        ix->pre = true;
        ix->up = F('u');
        ix->wback = false;
    } else if (arg & MEMF_POST) {
        ix->pre = false;
        ix->up = F('u');
        ix->wback = true;
    } else {
        ix->pre = F('p');
        ix->up = F('u');
        if ((arg & MEMF_T32) && !F('p') && !F('w')) {
            undefined(x);
            return false;
        }
        ix->wback = !F('p') || F('w');
    }
    if (ix->wback && ix->n == 15) { /* UNPREDICTABLE */
        undefined(x);
        return false;
    }
    return true;
}

/* Which transfers of r15 exist: LDR to it, and STR of it in A32 (the A15 stores PC + 8). */
static bool bad_pc_transfer(uint32_t arg)
{
    if ((arg & MEM_SIZE) != MEM_32 || (arg & MEM_USER))
        return true;
    return !(arg & MEMF_LOAD) && (arg & MEMF_T32);
}

static void transfer(struct xlate *x, uint32_t arg, const struct indexing *ix, ir_val off)
{
    unsigned t = F('t');
    if (t == 15 && bad_pc_transfer(arg)) {
        undefined(x);
        return;
    }
    ir_val base = ix->n == 15 ? literal_base(x) : get_reg(x, ix->n);
    ir_val moved = IR_NONE, addr = base;
    if (ix->pre)
        addr = moved = add_offset(x, base, off, ix->up);
    uint32_t mem = arg & 0xff;
    ir_val v = IR_NONE;
    if ((mem & MEM_USER) && xlate_flag(x, TBF_PRIV))
        call(x, HELPER_SETTLE_USER, IR_NONE, IR_NONE, IR_NONE);
    if (arg & MEMF_LOAD)
        v = load(x, addr, mem);
    else
        store(x, addr, get_reg(x, t), mem);
    if (ix->wback)
        put_reg(x, ix->n, ix->pre ? moved : add_offset(x, base, off, ix->up));
    if (!(arg & MEMF_LOAD))
        return;
    if (t == 15)
        load_pc(x, v, ix->n == 13 && !ix->pre);
    else
        put_reg(x, t, v);
}

void op_mem_imm(struct xlate *x, uint32_t arg)
{
    struct indexing ix;
    if (get_indexing(x, arg, &ix))
        transfer(x, arg, &ix, imm32(x, F('i') << (arg >> MEMF_SCALE_SHIFT)));
}

void op_mem_reg(struct xlate *x, uint32_t arg)
{
    UNPRED15("m");
    struct indexing ix;
    if (get_indexing(x, arg, &ix))
        transfer(x, arg, &ix, shift_imm(x, get_reg(x, F('m')), (enum shift_type)F('y'), F('k'), 0));
}

/* -- Doublewords --------------------------------------------------------------------------------------------------------------- */

/* Two words at addr, word-aligned. */
static void load_pair(struct xlate *x, ir_val addr, ir_val *first, ir_val *second)
{
    ir_val v = ir_emit(x->b, IR_LD64, 0, MEM_64 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, 0, 0);
    *first = swap_if_be(x, emit1(x, IR_LO32, v), MEM_32);
    *second = swap_if_be(x, emit1(x, IR_HI32, v), MEM_32);
}

static ir_val pair_value(struct xlate *x, ir_val first, ir_val second)
{
    return emit2(x, IR_PACK64, swap_if_be(x, first, MEM_32), swap_if_be(x, second, MEM_32));
}

static void store_pair(struct xlate *x, ir_val addr, ir_val first, ir_val second)
{
    ir_val v = pair_value(x, first, second);
    ir_emit(x->b, IR_ST64, 0, MEM_64 | MEM_ALIGN4, addr, v, IR_NONE, 0, 0);
}

static void dual(struct xlate *x, bool is_load, unsigned t, unsigned t2, const struct indexing *ix, ir_val off)
{
    ir_val base = ix->n == 15 ? literal_base(x) : get_reg(x, ix->n);
    ir_val addr = ix->pre ? add_offset(x, base, off, ix->up) : base;
    ir_val first = IR_NONE, second = IR_NONE;
    if (is_load)
        load_pair(x, addr, &first, &second);
    else
        store_pair(x, addr, get_reg(x, t), get_reg(x, t2));
    if (ix->wback)
        put_reg(x, ix->n, ix->pre ? addr : add_offset(x, base, off, ix->up));
    if (is_load) {
        put_reg(x, t, first);
        put_reg(x, t2, second);
    }
}

/* A32: Rt even, Rt2 the next. Odd Rt, Rt = 14, P = 0 with W = 1 are UNPREDICTABLE: Undefined. */
static bool dual_a32_ok(struct xlate *x, struct indexing *ix)
{
    if ((F('t') & 1) || F('t') == 14 || (!F('p') && F('w'))) {
        undefined(x);
        return false;
    }
    return get_indexing(x, 0, ix);
}

void op_dual_imm(struct xlate *x, uint32_t arg)
{
    struct indexing ix;
    if (dual_a32_ok(x, &ix))
        dual(x, arg & MEMF_LOAD, F('t'), F('t') + 1, &ix, imm32(x, F('i')));
}

void op_dual_reg(struct xlate *x, uint32_t arg)
{
    UNPRED15("m");
    struct indexing ix;
    if (dual_a32_ok(x, &ix))
        dual(x, arg & MEMF_LOAD, F('t'), F('t') + 1, &ix, get_reg(x, F('m')));
}

void op_dual_t32(struct xlate *x, uint32_t arg)
{
    UNPRED15("te");
    struct indexing ix = {.pre = !(arg & MEMF_POST), .up = F('u'), .n = F('n')};
    ix.wback = F('w') || (arg & MEMF_POST);
    /* PC as base: LDRD (literal), without write-back. LDRD of one register twice is UNPREDICTABLE. */
    bool is_load = arg & MEMF_LOAD;
    if ((ix.n == 15 && (ix.wback || !is_load)) || (is_load && F('t') == F('e'))) {
        undefined(x);
        return;
    }
    dual(x, is_load, F('t'), F('e'), &ix, imm32(x, F('i') * 4));
}

/* -- Exclusives and swap -------------------------------------------------------------------------------------------------------- */

static ir_val exclusive_address(struct xlate *x, uint32_t arg)
{
    ir_val base = get_reg(x, F('n'));
    return arg >> MEMF_SCALE_SHIFT ? add_offset(x, base, imm32(x, F('i') * 4), true) : base;
}

void op_ldrex(struct xlate *x, uint32_t arg)
{
    UNPRED15("nt");
    uint8_t aux = (uint8_t)arg | MEM_ALIGN;
    ir_val v = ir_emit(x->b, IR_LDREX, 0, aux, exclusive_address(x, arg), IR_NONE, IR_NONE, 0, 0);
    put_reg(x, F('t'), swap_if_be(x, v, arg));
}

void op_strex(struct xlate *x, uint32_t arg)
{
    UNPRED15("ntd");
    uint8_t aux = (uint8_t)arg | MEM_ALIGN;
    ir_val v = swap_if_be(x, get_reg(x, F('t')), arg);
    put_reg(x, F('d'), ir_emit(x->b, IR_STREX, 0, aux, exclusive_address(x, arg), v, IR_NONE, 0, 0));
}

static void ldrexd(struct xlate *x, unsigned t, unsigned t2)
{
    ir_val v = ir_emit(x->b, IR_LDREX64, 0, MEM_64 | MEM_ALIGN, get_reg(x, F('n')), IR_NONE, IR_NONE, 0, 0);
    ir_val first = swap_if_be(x, emit1(x, IR_LO32, v), MEM_32);
    ir_val second = swap_if_be(x, emit1(x, IR_HI32, v), MEM_32);
    put_reg(x, t, first);
    put_reg(x, t2, second);
}

static void strexd(struct xlate *x, unsigned t, unsigned t2)
{
    ir_val v = pair_value(x, get_reg(x, t), get_reg(x, t2));
    put_reg(x, F('d'), ir_emit(x->b, IR_STREX64, 0, MEM_64 | MEM_ALIGN, get_reg(x, F('n')), v, IR_NONE, 0, 0));
}

void op_ldrexd(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("nte");
    if (F('t') == F('e'))
        undefined(x);
    else
        ldrexd(x, F('t'), F('e'));
}

void op_strexd(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("nted");
    strexd(x, F('t'), F('e'));
}

static bool exclusive_pair_ok(struct xlate *x)
{
    if ((F('t') & 1) || F('t') == 14) {
        undefined(x);
        return false;
    }
    return true;
}

void op_ldrexd_a32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("n");
    if (exclusive_pair_ok(x))
        ldrexd(x, F('t'), F('t') + 1);
}

void op_strexd_a32(struct xlate *x, uint32_t arg)
{
    (void)arg;
    UNPRED15("nd");
    if (exclusive_pair_ok(x))
        strexd(x, F('t'), F('t') + 1);
}

void op_swp(struct xlate *x, uint32_t arg)
{
    UNPRED15("ntm");
    uint8_t aux = (uint8_t)(arg == MEM_8 ? MEM_8 : MEM_32 | MEM_ALIGN);
    ir_val v = swap_if_be(x, get_reg(x, F('m')), arg);
    ir_val old = ir_emit(x->b, IR_SWP, 0, aux, get_reg(x, F('n')), v, IR_NONE, 0, 0);
    put_reg(x, F('t'), swap_if_be(x, old, arg));
}

void op_clrex(struct xlate *x, uint32_t arg)
{
    (void)arg;
    ir_emit(x->b, IR_CLREX, 0, 0, IR_NONE, IR_NONE, IR_NONE, 0, 0);
}

/* -- Multiple registers --------------------------------------------------------------------------------------------------------- */

enum lm_mode { LM_DA, LM_IA, LM_DB, LM_IB }; /* P << 1 | U */

struct block {
    unsigned n;
    uint32_t list;
    enum lm_mode mode;
    bool wback;
};

static unsigned words(const struct block *t)
{
    return (unsigned)__builtin_popcount(t->list);
}

static ir_val plus(struct xlate *x, ir_val v, int32_t k)
{
    return k < 0 ? emit2(x, IR_SUB, v, imm32(x, (uint32_t)-k)) : emit2(x, IR_ADD, v, imm32(x, (uint32_t)k));
}

static ir_val lowest_address(struct xlate *x, const struct block *t, ir_val base)
{
    int32_t size = (int32_t)words(t) * 4;
    switch (t->mode) {
    case LM_IA: return base;
    case LM_IB: return plus(x, base, 4);
    case LM_DB: return plus(x, base, -size);
    default: return plus(x, base, 4 - size);
    }
}

/* addr: the lowest address. */
static ir_val moved_base(struct xlate *x, const struct block *t, ir_val base, ir_val addr)
{
    int32_t size = (int32_t)words(t) * 4;
    return t->mode == LM_DB ? addr : plus(x, base, t->mode & 1 ? size : -size);
}

static void block_writeback(struct xlate *x, const struct block *t, ir_val base, ir_val addr)
{
    if (t->wback)
        put_reg(x, t->n, moved_base(x, t, base, addr));
}

/* An empty list and PC as the base are UNPREDICTABLE: Undefined. */
static bool block_ok(struct xlate *x, const struct block *t)
{
    if (t->list && t->n != 15)
        return true;
    undefined(x);
    return false;
}

#define ALIGNED_WORD (MEM_32 | MEM_ALIGN)

/* Base in the list with write-back is UNPREDICTABLE unless it is the lowest register; the old base is stored always,
 * as QEMU does. */
static void stm(struct xlate *x, const struct block *t)
{
    if (!block_ok(x, t))
        return;
    ir_val base = get_reg(x, t->n);
    ir_val addr = lowest_address(x, t, base);
    if (words(t) == 1) {
        store(x, addr, get_reg(x, (unsigned)__builtin_ctz(t->list)), ALIGNED_WORD);
    } else if (big_endian(x)) {
        int32_t at = 0;
        for (unsigned r = 0; r < 16; r++) {
            if (bit(t->list, r)) {
                store(x, plus(x, addr, at), get_reg(x, r), ALIGNED_WORD);
                at += 4;
            }
        }
    } else {
        ir_emit(x->b, IR_STM, 0, MEM_32 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, t->list, pc_value(x));
    }
    block_writeback(x, t, base, addr);
}

/* Loads r0..r14 of the list; returns the value for the PC if that is in it. */
static ir_val ldm_registers(struct xlate *x, const struct block *t, ir_val base)
{
    ir_val addr = lowest_address(x, t, base);
    bool base_loaded = bit(t->list, t->n);
    ir_val pc = IR_NONE;
    if (words(t) == 1) {
        unsigned r = (unsigned)__builtin_ctz(t->list);
        ir_val v = load(x, addr, ALIGNED_WORD);
        if (r == 15)
            pc = v;
        else
            put_reg(x, r, v);
    } else {
        pc = ir_emit(x->b, IR_LDM, 0, MEM_32 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, t->list, 0);
        if (big_endian(x)) {
            /* Nothing can fault any more. */
            for (unsigned r = 0; r < 15; r++)
                if (bit(t->list, r))
                    put_reg(x, r, ir_un(x->b, IR_REV, get_reg(x, r)));
            if (bit(t->list, 15))
                pc = ir_un(x->b, IR_REV, pc);
        }
    }
    /* Base in the list with write-back is UNPREDICTABLE: the loaded value stays, as in QEMU. */
    if (!base_loaded)
        block_writeback(x, t, base, addr);
    return pc;
}

static void ldm(struct xlate *x, const struct block *t)
{
    if (!block_ok(x, t))
        return;
    ir_val pc = ldm_registers(x, t, get_reg(x, t->n));
    if (bit(t->list, 15))
        load_pc(x, pc, true);
}

/* arg: LM_* of T32, 0 for A32 which has P and U fields. T32 with base and write-back, or less than two registers, is
 * UNPREDICTABLE: Undefined (QEMU does the same). */
static bool block_fields(struct xlate *x, uint32_t arg, struct block *t)
{
    t->n = F('n');
    t->list = F('L');
    t->wback = F('w');
    t->mode = (enum lm_mode)(F('p') << 1 | F('u'));
    if (!(arg & MEMF_T32))
        return true;
    t->mode = (enum lm_mode)(arg & 3);
    if ((t->wback && bit(t->list, t->n)) || words(t) < 2) {
        undefined(x);
        return false;
    }
    return true;
}

void op_stm(struct xlate *x, uint32_t arg)
{
    struct block t;
    if (block_fields(x, arg, &t))
        stm(x, &t);
}

void op_ldm(struct xlate *x, uint32_t arg)
{
    struct block t;
    if (block_fields(x, arg, &t))
        ldm(x, &t);
}

void op_push_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    stm(x, &(struct block){13, F('L') | F('v') << 14, LM_DB, true});
}

void op_pop_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    ldm(x, &(struct block){13, F('L') | F('v') << 15, LM_IA, true});
}

void op_stm_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    stm(x, &(struct block){F('n'), F('L'), LM_IA, true});
}

void op_ldm_t16(struct xlate *x, uint32_t arg)
{
    (void)arg;
    ldm(x, &(struct block){F('n'), F('L'), LM_IA, !bit(F('L'), F('n'))});
}

/* -- Block transfers of the User bank, and return from exception (B9.3.5, B9.3.6, B9.3.17) --------------------------- */

/* UNPREDICTABLE in User and System mode: there, like the plain form of the registers. */
static bool user_bank_block(struct xlate *x, struct block *t)
{
    t->n = F('n');
    t->list = F('L');
    t->mode = (enum lm_mode)(F('p') << 1 | F('u'));
    t->wback = false;
    return block_ok(x, t);
}

void op_stm_user(struct xlate *x, uint32_t arg)
{
    (void)arg;
    struct block t;
    if (!user_bank_block(x, &t))
        return;
    ir_val addr = lowest_address(x, &t, get_reg(x, t.n));
    int32_t at = 0;
    for (unsigned r = 0; r < 16; r++) {
        if (!bit(t.list, r))
            continue;
        ir_val v = r < 8 || r == 15 ? get_reg(x, r) : call(x, HELPER_GET_USER_REG, imm32(x, r), IR_NONE, IR_NONE);
        store(x, plus(x, addr, at), v, ALIGNED_WORD);
        at += 4;
    }
}

/* Not all or nothing: after a fault some registers hold their new value, which the architecture allows; the base is loaded
 * last, so the instruction can be run again. */
void op_ldm_user(struct xlate *x, uint32_t arg)
{
    (void)arg;
    struct block t;
    if (!user_bank_block(x, &t))
        return;
    ir_val addr = lowest_address(x, &t, get_reg(x, t.n));
    for (int pass = 0; pass < 2; pass++) {
        int32_t at = 0;
        for (unsigned r = 0; r < 15; r++) {
            if (!bit(t.list, r))
                continue;
            if ((r == t.n) == (pass == 1)) {
                ir_val v = load(x, plus(x, addr, at), ALIGNED_WORD);
                if (r < 8)
                    put_reg(x, r, v);
                else
                    call(x, HELPER_SET_USER_REG, imm32(x, r), v, IR_NONE);
            }
            at += 4;
        }
    }
}

void op_ldm_exc(struct xlate *x, uint32_t arg)
{
    (void)arg;
    struct block t = {F('n'), F('L') | 0x8000, (enum lm_mode)(F('p') << 1 | F('u')), F('w')};
    if (!block_ok(x, &t))
        return;
    if (!xlate_flag(x, TBF_PRIV) || xlate_flag(x, TBF_SYSMODE)) { /* UNPREDICTABLE */
        undefined(x);
        return;
    }
    exception_return(x, ldm_registers(x, &t, get_reg(x, t.n)));
}

/* arg: LM_* of T32, else P and U fields. */
void op_srs(struct xlate *x, uint32_t arg)
{
    if (!xlate_flag(x, TBF_PRIV) || xlate_flag(x, TBF_SYSMODE)) {
        undefined(x);
        return;
    }
    struct block t = {0, 3, (enum lm_mode)(arg ? arg : F('p') << 1 | F('u')), F('w')};
    ir_val mode = imm32(x, F('m'));
    ir_val spsr = call(x, HELPER_MRS_SPSR, IR_NONE, IR_NONE, IR_NONE);
    ir_val base = call(x, HELPER_SRS_ADDR, mode, IR_NONE, IR_NONE);
    ir_val addr = lowest_address(x, &t, base);
    store_pair(x, addr, get_reg(x, 14), spsr);
    if (t.wback)
        call(x, HELPER_SET_BANKED_SP, mode, moved_base(x, &t, base, addr), IR_NONE);
}

void op_rfe(struct xlate *x, uint32_t arg)
{
    UNPRED15("n");
    if (!xlate_flag(x, TBF_PRIV)) {
        undefined(x);
        return;
    }
    struct block t = {F('n'), 3, (enum lm_mode)(arg ? arg : F('p') << 1 | F('u')), F('w')};
    ir_val base = get_reg(x, t.n), pc, cpsr;
    ir_val addr = lowest_address(x, &t, base);
    load_pair(x, addr, &pc, &cpsr);
    block_writeback(x, &t, base, addr);
    call(x, HELPER_EXCEPTION_RETURN, pc, cpsr, IR_NONE);
    exit_after_exception_return(x);
}
