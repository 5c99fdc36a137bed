/*
 * sys_helpers.h — what the system helpers ask of the layers above
 */
#ifndef ENGINE_ARM_SYS_HELPERS_H
#define ENGINE_ARM_SYS_HELPERS_H

#include "engine/vcpu/vcpu.h"

/* Semihosting call of v (Angel, SVC 0x123456 or 0xab): result for r0; *exited: the machine is to end. NULL: off.
 * Set by engine/main at launch, const after LAUNCH. Context: GUEST; memory by softmmu_debug_read and _write. */
extern uint32_t (*arm_semihost)(struct vcpu *v, uint32_t op, uint32_t param, bool *exited);

/* HVC and SMC that the machine answers itself (PSCI): arguments in v->r[0..3], result to v->r[0]. False: not for it.
 * NULL: never. Set at launch, const after LAUNCH. Context: GUEST. */
extern bool (*arm_firmware_call)(struct vcpu *v, bool hvc, uint32_t imm);

#endif
