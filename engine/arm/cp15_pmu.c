/*
 * cp15_pmu.c — the registers of the performance monitors (ARM DDI 0406C C12); what they do is in pmu.c
 */
#include "engine/arm/cp15_reg.h"
#include "engine/arm/pmu.h"

bool cp15_pmu_user(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.pmuserenr & 1);
}

void cp15_pmcr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    pmu_control(v, val, r->mask);
}

/* Registers that come as a pair of "set these bits" and "clear these bits" of one field. arg: 1 clear. */
void cp15_pmu_bits_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    pmu_bits(v, cp15_field(v, r), val, r->arg);
}

uint32_t cp15_pmovsr_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    return pmu_overflows(v);
}

uint32_t cp15_pmccntr_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    return pmu_read(v, PMU_CYCLE_COUNTER);
}

void cp15_pmccntr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)r;
    pmu_write(v, PMU_CYCLE_COUNTER, val);
}

uint64_t cp15_pmccntr_read64(struct vcpu *v, const struct reg64 *r)
{
    (void)r;
    return pmu_read(v, PMU_CYCLE_COUNTER);
}

void cp15_pmccntr_write64(struct vcpu *v, const struct reg64 *r, uint64_t val)
{
    (void)r;
    pmu_write(v, PMU_CYCLE_COUNTER, (uint32_t)val);
}

void cp15_pmswinc_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)r;
    pmu_software_increment(v, val);
}

/* PMXEVTYPER (arg 1) and PMXEVCNTR: of the counter that PMSELR selects. */
uint32_t cp15_pmxev_read(struct vcpu *v, const struct reg *r)
{
    uint32_t n = v->sys.pmselr & 31;
    if (r->arg && n == 31)
        return v->sys.pmccfiltr;
    if (n >= PMU_EVENT_COUNTERS)
        return 0;
    return r->arg ? v->sys.pmxevtyper[n] : pmu_read(v, n);
}

void cp15_pmxev_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t n = v->sys.pmselr & 31;
    if (r->arg && n == 31)
        v->sys.pmccfiltr = val & 0xfc000000u;
    else if (n < PMU_EVENT_COUNTERS && r->arg)
        pmu_set_type(v, n, val & 0xfc0000ffu);
    else if (n < PMU_EVENT_COUNTERS)
        pmu_write(v, n, val);
}
