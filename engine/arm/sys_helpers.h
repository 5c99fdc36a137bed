/*
 * sys_helpers.h — what the system helpers ask of the layers above
 */
#ifndef ENGINE_ARM_SYS_HELPERS_H
#define ENGINE_ARM_SYS_HELPERS_H

#include "engine/vcpu/vcpu.h"

/* Semihosting call of v (Angel, SVC 0x123456 or 0xab). DONE: *result is for r0. END: the machine is to end. WAIT: the instruction is to be
 * run again after vcpu_call_ready(); interrupts are taken meanwhile. NULL: off.
 * Set by engine/main at launch, const after LAUNCH. Context: GUEST; memory by softmmu_debug_read and _write. */
enum arm_semihost_end { ARM_SEMIHOST_DONE, ARM_SEMIHOST_END, ARM_SEMIHOST_WAIT };
extern enum arm_semihost_end (*arm_semihost)(struct vcpu *v, uint32_t op, uint32_t param, uint32_t *result);

/* HVC and SMC that the machine answers itself (PSCI): arguments in v->r[0..3], result to v->r[0]. False: not for it.
 * NULL: never. Set at launch, const after LAUNCH. Context: GUEST. */
extern bool (*arm_firmware_call)(struct vcpu *v, bool hvc, uint32_t imm);

#endif
