/*
 * cp15.h — the system control coprocessors 14 and 15
 */
#ifndef ENGINE_ARM_CP15_H
#define ENGINE_ARM_CP15_H

#include "engine/vcpu/vcpu.h"

/* All registers of v to their values at reset. LAUNCH, or own thread. */
void cp15_reset(struct vcpu *v);

/* One access with the present rights. enc: bits 27..0 of MRC, MCR, MRRC or MCRR. Own thread, GUEST. False: the
 * instruction is Undefined. */
bool cp15_read(struct vcpu *v, uint32_t enc, uint32_t *val);
bool cp15_write(struct vcpu *v, uint32_t enc, uint32_t val);
bool cp15_read64(struct vcpu *v, uint32_t enc, uint64_t *val);
bool cp15_write64(struct vcpu *v, uint32_t enc, uint64_t val);

/* Name of the register that enc reaches, or NULL; for logs and tests. */
const char *cp15_name(uint32_t enc, bool is64);

/* Own thread, in a helper whose block ends after it: DSB after TLB maintenance for all CPUs (v->sys.tlbi_held). */
void cp15_tlbi_complete(struct vcpu *v);

#endif
