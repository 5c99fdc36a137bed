/*
 * registers.h — the guest's registers as GDB numbers and describes them
 *
 * In the order of the target description that registers_xml() gives: r0..r12 sp lr pc cpsr, d0..d31 fpscr. Source: "Debugging
 * with GDB", appendix G.3 (Target Description Format) and G.5.3 (ARM Features).
 */
#ifndef ENGINE_GDB_REGISTERS_H
#define ENGINE_GDB_REGISTERS_H

#include "engine/vcpu/vcpu.h"

enum { REG_SP = 13, REG_PC = 15, REG_CPSR = 16, REG_D0 = 17, REG_FPSCR = 49, REGISTERS = 50 };
#define REGISTERS_BYTES (17 * 4 + 32 * 8 + 4)

unsigned register_bytes(unsigned n); /* n < REGISTERS */
/* Little-endian, as the target's registers are sent. QUIESCED. */
void register_read(const struct vcpu *v, unsigned n, uint8_t *out);
/* QUIESCED, v at a safepoint. A mode that does not exist is not written. */
void register_write(struct vcpu *v, unsigned n, const uint8_t *in);

/* Any thread. */
const char *registers_xml(void);

#endif
