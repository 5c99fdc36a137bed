/*
 * sem_mem.c — loads and stores of one register and of two (ARM DDI 0406C A4.6, A8.8)
 *
 * Order within an instruction: address, access, base write-back, destination; so a fault finds the registers
 * as they were, and a loaded base wins over the written-back one (UNPREDICTABLE; QEMU does the same).
 */
#include "engine/arm/sem_mem.h"

/* -- One access ------------------------------------------------------------------------------------------------------------- */

static uint8_t mem_aux(const struct xlate *x, uint32_t mem)
{
    if ((mem & MEM_SIZE) != MEM_8 && xlate_flag(x, TBF_ALIGN))
        mem |= MEM_ALIGN;
    return (uint8_t)mem;
}

ir_val swap_if_be(struct xlate *x, ir_val v, uint32_t mem)
{
    if (!big_endian(x) || (mem & MEM_SIZE) == MEM_8)
        return v;
    return ir_un(x->b, (mem & MEM_SIZE) == MEM_16 ? IR_REV16 : IR_REV, v);
}

ir_val guest_load(struct xlate *x, ir_val addr, uint32_t mem)
{
    mem = mem_aux(x, mem);
    if (!big_endian(x) || (mem & MEM_SIZE) == MEM_8)
        return ir_load(x->b, addr, (uint8_t)mem);
    ir_val v = swap_if_be(x, ir_load(x->b, addr, (uint8_t)(mem & ~MEM_SIGNED)), mem);
    return mem & MEM_SIGNED ? ir_un(x->b, IR_SXTH, v) : v;
}

void guest_store(struct xlate *x, ir_val addr, ir_val v, uint32_t mem)
{
    ir_store(x->b, addr, swap_if_be(x, v, mem), mem_aux(x, mem));
}

ir_val add_offset(struct xlate *x, ir_val base, ir_val off, bool up)
{
    return emit2(x, up ? IR_ADD : IR_SUB, base, off);
}

void load_write_pc(struct xlate *x, ir_val v, bool is_return)
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
        v = guest_load(x, addr, mem);
    else
        guest_store(x, addr, get_reg(x, t), mem);
    if (ix->wback)
        put_reg(x, ix->n, ix->pre ? moved : add_offset(x, base, off, ix->up));
    if (!(arg & MEMF_LOAD))
        return;
    if (t == 15)
        load_write_pc(x, v, ix->n == 13 && !ix->pre);
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

void guest_load_pair(struct xlate *x, ir_val addr, ir_val *first, ir_val *second)
{
    ir_val v = ir_emit(x->b, IR_LD64, 0, MEM_64 | MEM_ALIGN4, addr, IR_NONE, IR_NONE, 0, 0);
    *first = swap_if_be(x, emit1(x, IR_LO32, v), MEM_32);
    *second = swap_if_be(x, emit1(x, IR_HI32, v), MEM_32);
}

ir_val guest_pair(struct xlate *x, ir_val first, ir_val second)
{
    return emit2(x, IR_PACK64, swap_if_be(x, first, MEM_32), swap_if_be(x, second, MEM_32));
}

void guest_store_pair(struct xlate *x, ir_val addr, ir_val first, ir_val second)
{
    ir_val v = guest_pair(x, first, second);
    ir_emit(x->b, IR_ST64, 0, MEM_64 | MEM_ALIGN4, addr, v, IR_NONE, 0, 0);
}

static void dual(struct xlate *x, bool is_load, unsigned t, unsigned t2, const struct indexing *ix, ir_val off)
{
    ir_val base = ix->n == 15 ? literal_base(x) : get_reg(x, ix->n);
    ir_val addr = ix->pre ? add_offset(x, base, off, ix->up) : base;
    ir_val first = IR_NONE, second = IR_NONE;
    if (is_load)
        guest_load_pair(x, addr, &first, &second);
    else
        guest_store_pair(x, addr, get_reg(x, t), get_reg(x, t2));
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
