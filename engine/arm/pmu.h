/*
 * pmu.h — the performance monitors of a CPU
 *
 * Own thread, GUEST; reset: LAUNCH too.
 */
#ifndef ENGINE_ARM_PMU_H
#define ENGINE_ARM_PMU_H

#include "engine/vcpu/vcpu.h"

#define PMU_CYCLE_COUNTER PMU_EVENT_COUNTERS      /* its number here; in registers with a bit a counter it is bit 31 */
#define PMU_EVENTS        (BIT(0x00) | BIT(0x11)) /* what PMCEID0 says: software increment, CPU cycles */

enum { PMCR_E = BIT(0), PMCR_P = BIT(1), PMCR_C = BIT(2), PMCR_D = BIT(3), PMCR_X = BIT(4), PMCR_DP = BIT(5) };

uint32_t pmu_read(const struct vcpu *v, unsigned counter);
void pmu_write(struct vcpu *v, unsigned counter, uint32_t val);
/* PMCR: the bits of mask become val; P and C of val reset counters. */
void pmu_control(struct vcpu *v, uint32_t val, uint32_t mask);
/* Set or clear bits of one of PMCNTEN, PMINTEN, PMOVSR in v->sys. */
void pmu_bits(struct vcpu *v, uint32_t *reg, uint32_t val, bool clear);
/* PMOVSR as it is now. */
uint32_t pmu_overflows(struct vcpu *v);
void pmu_set_type(struct vcpu *v, unsigned counter, uint32_t type);
void pmu_software_increment(struct vcpu *v, uint32_t val);

/* Nothing counts, nothing interrupts. */
void pmu_reset(struct vcpu *v);

#endif
