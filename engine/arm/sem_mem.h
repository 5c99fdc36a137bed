/*
 * sem_mem.h — guest memory as the handlers of loads and stores see it: one access, or a pair of words (sem_mem.c)
 *
 * Big-endian data (CPSR.E): memory is read and written as bytes, values are reversed here.
 * Alignment: with SCTLR.A every access of more than a byte is checked; doubleword, multiple and exclusive accesses
 * always are (A3.2.1).
 */
#ifndef ENGINE_ARM_SEM_MEM_H
#define ENGINE_ARM_SEM_MEM_H

#include "engine/arm/xlate.h"

/* mem: MEM_SIZE and MEM_SIGNED, MEM_ALIGN, MEM_USER where the instruction says so. */
ir_val guest_load(struct xlate *x, ir_val addr, uint32_t mem);
void guest_store(struct xlate *x, ir_val addr, ir_val v, uint32_t mem);
/* Reverse the low bytes of a value of this size. */
ir_val swap_if_be(struct xlate *x, ir_val v, uint32_t mem);

/* Two words at addr, word-aligned. */
void guest_load_pair(struct xlate *x, ir_val addr, ir_val *first, ir_val *second);
void guest_store_pair(struct xlate *x, ir_val addr, ir_val first, ir_val second);
/* What a store of the two writes, as one value of 64 bits. */
ir_val guest_pair(struct xlate *x, ir_val first, ir_val second);

ir_val add_offset(struct xlate *x, ir_val base, ir_val off, bool up);
/* Write PC with a loaded value (LoadWritePC = BXWritePC). */
void load_write_pc(struct xlate *x, ir_val v, bool is_return);

#endif
