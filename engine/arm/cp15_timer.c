/*
 * cp15_timer.c — the generic timer's registers (ARM DDI 0406C B8): what a vCPU's timers answer to
 *
 * The timers belong to the machine (machine_cpu_ops); here are the rights of User mode and which of the banked ones is meant.
 */
#include "engine/arm/cp15_reg.h"

/* CNTKCTL (B4.1.26): what User mode may do. */
bool cp15_user_counter(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.cntkctl & 3);
}

bool cp15_user_cntpct(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.cntkctl & 1);
}

bool cp15_user_cntvct(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.cntkctl & 2);
}

bool cp15_user_cntv(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.cntkctl & BIT(8));
}

bool cp15_user_cntp(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || (v->sys.cntkctl & BIT(9));
}

static unsigned timer_of(const struct vcpu *v, unsigned arg)
{
    unsigned which = arg >> 2;
    return which == T_SECURE && (v->sys.scr & SCR_NS) ? T_NONSECURE : which;
}

static uint64_t timer_get(struct vcpu *v, unsigned arg)
{
    return v->cpu_ops ? v->cpu_ops->timer_read(v->index, timer_of(v, arg), arg & 3) : 0;
}

static void timer_put(struct vcpu *v, unsigned arg, uint64_t val)
{
    if (v->cpu_ops)
        v->cpu_ops->timer_write(v->index, timer_of(v, arg), arg & 3, val);
}

uint32_t cp15_timer_read(struct vcpu *v, const struct reg *r)
{
    return (uint32_t)timer_get(v, r->arg);
}

void cp15_timer_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    timer_put(v, r->arg, val);
}

uint64_t cp15_timer_read64(struct vcpu *v, const struct reg64 *r)
{
    return timer_get(v, r->arg);
}

void cp15_timer_write64(struct vcpu *v, const struct reg64 *r, uint64_t val)
{
    timer_put(v, r->arg, val);
}

/* arg: 1 virtual. */
uint64_t cp15_counter_read64(struct vcpu *v, const struct reg64 *r)
{
    if (!v->cpu_ops)
        return 0;
    return v->cpu_ops->cntpct(v->index) - (r->arg ? v->cpu_ops->cntvoff_read(v->index) : 0);
}

/* CNTVOFF is for Hyp mode, and for Monitor mode with SCR.NS set. */
bool cp15_cntvoff_when(struct vcpu *v, bool write)
{
    (void)write;
    return arm_mode(v) == MODE_MON && (v->sys.scr & SCR_NS);
}

uint64_t cp15_cntvoff_read64(struct vcpu *v, const struct reg64 *r)
{
    (void)r;
    return v->cpu_ops ? v->cpu_ops->cntvoff_read(v->index) : 0;
}

void cp15_cntvoff_write64(struct vcpu *v, const struct reg64 *r, uint64_t val)
{
    (void)r;
    if (v->cpu_ops)
        v->cpu_ops->cntvoff_write(v->index, val);
}
