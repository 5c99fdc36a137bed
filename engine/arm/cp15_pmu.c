/*
 * cp15_pmu.c — the performance monitors' registers (ARM DDI 0406C C12): a cycle counter of nanoseconds, and software increments
 */
#include "engine/arm/cp15_reg.h"

bool cp15_pmu_user(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.pmuserenr & 1);
}

static uint64_t pmu_ticks(const struct vcpu *v)
{
    return now_ns() >> (v->sys.pmcr & PMCR_D ? 6 : 0);
}

static bool pmccntr_running(const struct vcpu *v)
{
    return (v->sys.pmcr & PMCR_E) && (v->sys.pmcnten & PMU_CYCLES);
}

static uint32_t pmccntr_get(const struct vcpu *v)
{
    return (uint32_t)(pmccntr_running(v) ? pmu_ticks(v) - v->sys.pmccntr_offset
                                         : v->sys.pmccntr_offset);
}

static void pmccntr_set(struct vcpu *v, uint32_t val)
{
    v->sys.pmccntr_offset = pmccntr_running(v) ? pmu_ticks(v) - val : val;
}

void cp15_pmcr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t cycles = val & PMCR_C ? 0 : pmccntr_get(v);
    if (val & PMCR_P)
        memset(v->sys.pmxevcntr, 0, sizeof(v->sys.pmxevcntr));
    v->sys.pmcr = (v->sys.pmcr & ~r->mask) | (val & r->mask);
    pmccntr_set(v, cycles);
}

/* Registers that come as a pair of "set these bits" and "clear these bits" of one field. arg: 1 clear. */
void cp15_pmu_bits_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t cycles = pmccntr_get(v);
    if (r->arg)
        *cp15_field(v, r) &= ~(val & PMU_ALL);
    else
        *cp15_field(v, r) |= val & PMU_ALL;
    pmccntr_set(v, cycles);
}

uint32_t cp15_pmccntr_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    return pmccntr_get(v);
}

void cp15_pmccntr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)r;
    pmccntr_set(v, val);
}

uint64_t cp15_pmccntr_read64(struct vcpu *v, const struct reg64 *r)
{
    (void)r;
    return pmccntr_get(v);
}

void cp15_pmccntr_write64(struct vcpu *v, const struct reg64 *r, uint64_t val)
{
    (void)r;
    pmccntr_set(v, (uint32_t)val);
}

/* Event 0 is the software increment. */
void cp15_pmswinc_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)r;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        if ((v->sys.pmcr & PMCR_E) && bit(val & v->sys.pmcnten, i) &&
            !(v->sys.pmxevtyper[i] & 0xff))
            v->sys.pmovsr |= ++v->sys.pmxevcntr[i] == 0 ? BIT(i) : 0;
    }
}

static uint32_t *selected(struct vcpu *v, bool type)
{
    uint32_t n = v->sys.pmselr & 31;
    if (type && n == 31)
        return &v->sys.pmccfiltr;
    return n < PMU_COUNTERS ? (type ? &v->sys.pmxevtyper[n] : &v->sys.pmxevcntr[n]) : NULL;
}

/* arg: 1 type, 0 count */
uint32_t cp15_pmxev_read(struct vcpu *v, const struct reg *r)
{
    uint32_t *p = selected(v, r->arg);
    return p ? *p : 0;
}

void cp15_pmxev_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t *p = selected(v, r->arg);
    if (p)
        *p = r->arg ? val & 0xfc0000ffu : val;
}
