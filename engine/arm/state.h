/*
 * state.h — modes, banks and bits of the system registers, for the system side of engine/arm
 */
#ifndef ENGINE_ARM_STATE_H
#define ENGINE_ARM_STATE_H

#include "engine/arm/arm.h"

#define CPSR_STORED (CPSR_E | CPSR_A | CPSR_I | CPSR_F | 0x1fu) /* what v->cpsr holds */
#define CPSR_IT     0x0600fc00u

/* clang-format off */
enum {
    SCTLR_M = BIT(0), SCTLR_A = BIT(1), SCTLR_C = BIT(2), SCTLR_CP15BEN = BIT(5), SCTLR_SW = BIT(10),
    SCTLR_Z = BIT(11), SCTLR_I = BIT(12), SCTLR_V = BIT(13), SCTLR_WXN = BIT(19), SCTLR_UWXN = BIT(20),
    SCTLR_EE = BIT(25), SCTLR_TRE = BIT(28), SCTLR_AFE = BIT(29), SCTLR_TE = BIT(30)
};
/* clang-format on */
enum { SCR_NS = BIT(0), SCR_IRQ = BIT(1), SCR_FIQ = BIT(2), SCR_EA = BIT(3), SCR_SCD = BIT(7), SCR_HCE = BIT(8) };
#define TTBCR_EAE BIT(31)
enum { CPACR_CP10 = 3 << 20, CPACR_CP11 = 3 << 22, CPACR_D32DIS = BIT(30) };
#define CPACR_ASEDIS BIT(31)
#define FPEXC_EN     BIT(30)

static inline uint32_t arm_mode(const struct vcpu *v)
{
    return v->cpsr & 0x1f;
}

/* May the present mode use VFP and Advanced SIMD, by CPACR? */
bool arm_vfp_allowed(const struct vcpu *v);

/* BANK_*, or -1 for a mode that this CPU does not have. */
int arm_bank(uint32_t mode);
/* Register n (0..14) as mode sees it, wherever it is now. mode: an existing one. */
uint32_t *arm_banked_reg(struct vcpu *v, uint32_t mode, unsigned n);

/* Fault status values of the two formats: arm_fsr(v, fault, level). Codes without a level take 0. */
/* clang-format off */
enum arm_fault {
    FAULT_ALIGNMENT, FAULT_DEBUG, FAULT_TRANSLATION, FAULT_ACCESS, FAULT_DOMAIN, FAULT_PERMISSION,
    FAULT_EXTERNAL, FAULT_EXTERNAL_WALK, FAULT_EXTERNAL_ASYNC
};
/* clang-format on */
/* In the format in force (TTBCR.EAE), without WnR and domain. */
uint32_t arm_fsr(const struct vcpu *v, enum arm_fault fault, unsigned level);

#endif
