/*
 * sem_excl.c — exclusives and swap (ARM DDI 0406C A3.4, A8.8)
 */
#include "engine/arm/sem_mem.h"

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
    ir_val v = guest_pair(x, get_reg(x, t), get_reg(x, t2));
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
