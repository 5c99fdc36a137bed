/*
 * pmu.c — the performance monitors: a cycle counter and six counters of two events
 *
 * Source: ARM DDI 0406C, chapter C12. A cycle is a nanosecond of the host's clock, also while the CPU sleeps; instructions are not
 * counted, and the filters by mode have no effect.
 *
 * A running counter is not a number that grows but the time at which it was zero. So overflows are found when somebody looks
 * (fold()), and the interrupt comes by an alarm that the machine keeps: each change of state tells it anew whether the line is
 * up and, if not, when it will be.
 */
#include "engine/arm/pmu.h"

#define ALL          (BIT(31) | (BIT(PMU_EVENT_COUNTERS) - 1))
#define EVENT_CYCLES 0x11
#define COUNTERS_ALL (PMU_EVENT_COUNTERS + 1)

static uint32_t bit_of(unsigned n)
{
    return n == PMU_CYCLE_COUNTER ? BIT(31) : BIT(n);
}

static bool enabled(const struct vcpu *v, unsigned n)
{
    return (v->sys.pmcr & PMCR_E) && (v->sys.pmcnten & bit_of(n));
}

static bool running(const struct vcpu *v, unsigned n)
{
    return enabled(v, n) && (n == PMU_CYCLE_COUNTER || (v->sys.pmxevtyper[n] & 0xff) == EVENT_CYCLES);
}

static unsigned shift(const struct vcpu *v, unsigned n)
{
    return n == PMU_CYCLE_COUNTER && (v->sys.pmcr & PMCR_D) ? 6 : 0;
}

static uint64_t ticks(const struct vcpu *v, unsigned n)
{
    return now_ns() >> shift(v, n);
}

uint32_t pmu_read(const struct vcpu *v, unsigned n)
{
    return (uint32_t)(running(v, n) ? ticks(v, n) - v->sys.pm_base[n] : v->sys.pm_base[n]);
}

static void set(struct vcpu *v, unsigned n, uint32_t val)
{
    v->sys.pm_base[n] = running(v, n) ? ticks(v, n) - val : val;
}

/* Overflows that have come since somebody looked. */
static void fold(struct vcpu *v)
{
    for (unsigned n = 0; n < COUNTERS_ALL; n++) {
        uint64_t passed = running(v, n) ? ticks(v, n) - v->sys.pm_base[n] : 0;
        if (passed >> 32) {
            v->sys.pmovsr |= bit_of(n);
            v->sys.pm_base[n] += passed >> 32 << 32;
        }
    }
}

static void tell_machine(struct vcpu *v)
{
    if (!v->cpu_ops || !v->cpu_ops->pmu_line)
        return;
    uint64_t after_ns = UINT64_MAX;
    for (unsigned n = 0; n < COUNTERS_ALL; n++) {
        if (!running(v, n) || !(v->sys.pminten & bit_of(n)))
            continue;
        uint64_t passed = ticks(v, n) - v->sys.pm_base[n], all = UINT64_C(1) << 32; /* it may be over since fold() */
        uint64_t left_ns = (passed < all ? all - passed : 0) << shift(v, n);
        after_ns = left_ns < after_ns ? left_ns : after_ns;
    }
    bool level = (v->sys.pmcr & PMCR_E) && (v->sys.pmovsr & v->sys.pminten);
    if (level == v->sys.pmu_level && after_ns == UINT64_MAX && !v->sys.pmu_alarm)
        return;
    v->sys.pmu_level = level;
    v->sys.pmu_alarm = after_ns != UINT64_MAX;
    v->cpu_ops->pmu_line(v->index, level, after_ns);
}

/* Around a change of what runs. */
static void stop_all(struct vcpu *v, uint32_t value[COUNTERS_ALL])
{
    fold(v);
    for (unsigned n = 0; n < COUNTERS_ALL; n++)
        value[n] = pmu_read(v, n);
}

static void go_on(struct vcpu *v, const uint32_t value[COUNTERS_ALL])
{
    for (unsigned n = 0; n < COUNTERS_ALL; n++)
        set(v, n, value[n]);
    tell_machine(v);
}

void pmu_write(struct vcpu *v, unsigned n, uint32_t val)
{
    fold(v);
    set(v, n, val);
    tell_machine(v);
}

void pmu_control(struct vcpu *v, uint32_t val, uint32_t mask)
{
    uint32_t value[COUNTERS_ALL];
    stop_all(v, value);
    if (val & PMCR_P)
        memset(value, 0, PMU_EVENT_COUNTERS * sizeof value[0]);
    if (val & PMCR_C)
        value[PMU_CYCLE_COUNTER] = 0;
    v->sys.pmcr = (v->sys.pmcr & ~mask) | (val & mask);
    go_on(v, value);
}

void pmu_bits(struct vcpu *v, uint32_t *reg, uint32_t val, bool clear)
{
    uint32_t value[COUNTERS_ALL];
    stop_all(v, value);
    *reg = clear ? *reg & ~(val & ALL) : *reg | (val & ALL);
    go_on(v, value);
}

uint32_t pmu_overflows(struct vcpu *v)
{
    fold(v);
    return v->sys.pmovsr;
}

void pmu_set_type(struct vcpu *v, unsigned n, uint32_t type)
{
    uint32_t value[COUNTERS_ALL];
    stop_all(v, value);
    v->sys.pmxevtyper[n] = type;
    go_on(v, value);
}

void pmu_software_increment(struct vcpu *v, uint32_t val)
{
    for (unsigned n = 0; n < PMU_EVENT_COUNTERS; n++)
        if ((val & BIT(n)) && enabled(v, n) && !(v->sys.pmxevtyper[n] & 0xff)) {
            v->sys.pm_base[n] = (uint32_t)(v->sys.pm_base[n] + 1);
            v->sys.pmovsr |= v->sys.pm_base[n] ? 0 : BIT(n);
        }
    tell_machine(v);
}

void pmu_reset(struct vcpu *v)
{
    v->sys.pmcr &= ~(uint32_t)PMCR_E;
    tell_machine(v);
    memset(v->sys.pm_base, 0, sizeof v->sys.pm_base);
}
