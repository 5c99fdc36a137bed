/*
 * psci.c — PSCI 0.2: what firmware would answer to HVC or SMC
 *
 * Source: Power State Coordination Interface, ARM DEN 0022B; calling convention ARM DEN 0028A (32-bit calls: function in r0,
 * arguments in r1..r3, result in r0, immediate 0).
 *
 * A CPU that is off sleeps (SLEEP_OFF). CPU_ON queues work on it that sets its registers and ends the sleep; the work runs in the
 * CPU's own thread before any guest code (S3 of sync.h), so nobody else ever writes its state.
 * PS1: on[n] goes from OFF to PENDING by the one CPU_ON that won the exchange, from PENDING to ON by that work, and from ON to OFF
 *      by CPU n itself, after it has asked for the sleep.
 * Power levels above the CPU do not exist; a CPU_SUSPEND of any kind is a WFI, which DEN 0022 5.4.5 lets an implementation do.
 */
#include "engine/main/psci.h"

#include "engine/arm/arm.h"
#include "engine/arm/state.h"
#include "engine/arm/sys_helpers.h"
#include "engine/base/log.h"
#include "engine/sync/sync.h"

enum {
    PSCI_VERSION = 0x84000000,
    CPU_SUSPEND = 0x84000001,
    CPU_OFF = 0x84000002,
    CPU_ON = 0x84000003,
    AFFINITY_INFO = 0x84000004,
    MIGRATE = 0x84000005,
    MIGRATE_INFO_TYPE = 0x84000006,
    MIGRATE_INFO_UP_CPU = 0x84000007,
    SYSTEM_OFF = 0x84000008,
    SYSTEM_RESET = 0x84000009,
};
enum { SUCCESS = 0, NOT_SUPPORTED = -1, INVALID_PARAMETERS = -2, ALREADY_ON = -4, ON_PENDING = -5 };
enum { STATE_ON = 0, STATE_OFF = 1, STATE_PENDING = 2 }; /* as AFFINITY_INFO tells them */

#define VERSION_0_2  0x00000002u
#define NO_MIGRATION 2u

static enum psci_method method;           /* const after LAUNCH */
static _Atomic uint32_t state[MAX_VCPUS]; /* PS1 */
static _Atomic uint32_t resets;           /* W: all vCPUs stopped; R: any, relaxed */

/* What CPU_ON asked for. W: who has made state[n] PENDING; R: the work that makes it ON. Ordered by the queue's lock. */
static struct start {
    uint32_t entry, context;
    bool big_endian;
} starts[MAX_VCPUS];

/* The CPU's own thread, SAFEPOINT. DEN 0022 6.4: supervisor mode, interrupts masked, MMU and caches off. */
static void power_up(struct vcpu *v, uintptr_t before)
{
    const struct start *s = &starts[v->index];
    /* A call that came as the machine went down is left in the queue over the reset. */
    if (before != atomic_load_explicit(&resets, memory_order_relaxed))
        return;
    uint32_t regs[16] = {[0] = s->context, [15] = s->entry};
    arm_reset(v, regs, CPSR_A | CPSR_I | CPSR_F | MODE_SVC | (s->big_endian ? CPSR_E : 0));
    if (s->big_endian)
        v->sys.sctlr |= SCTLR_EE;
    vcpu_thread(v)->sleep = 0;
    atomic_store_explicit(&v->event, 0, memory_order_relaxed);
    /* Release pairs with the acquire of AFFINITY_INFO and CPU_ON: who sees it on sees what it was before. */
    atomic_store_explicit(&state[v->index], STATE_ON, memory_order_release);
}

/* CPU number of an MPIDR's affinity fields, or -1. */
static int cpu_of(uint32_t affinity)
{
    return affinity < nvcpus ? (int)affinity : -1;
}

static uint32_t cpu_on(const struct vcpu *v, uint32_t target, uint32_t entry, uint32_t context)
{
    int n = cpu_of(target);
    if (n < 0)
        return (uint32_t)INVALID_PARAMETERS;
    uint32_t was = STATE_OFF;
    if (!atomic_compare_exchange_strong_explicit(&state[n], &was, STATE_PENDING, memory_order_acq_rel,
                                                 memory_order_acquire))
        return (uint32_t)(was == STATE_ON ? ALREADY_ON : ON_PENDING);
    starts[n] = (struct start){.entry = entry, .context = context, .big_endian = v->sys.sctlr & SCTLR_EE};
    sync_run_on(vcpus[n], power_up, atomic_load_explicit(&resets, memory_order_relaxed));
    return SUCCESS;
}

static uint32_t affinity_info(uint32_t target, uint32_t level)
{
    int n = cpu_of(target);
    if (n < 0 || level > 3)
        return (uint32_t)INVALID_PARAMETERS;
    if (level == 0)
        return atomic_load_explicit(&state[n], memory_order_acquire);
    /* A group is on while one of its CPUs is. */
    uint32_t all = STATE_OFF;
    for (unsigned i = 0; i < nvcpus; i++) {
        uint32_t s = atomic_load_explicit(&state[i], memory_order_acquire);
        all = s == STATE_ON || (s == STATE_PENDING && all == STATE_OFF) ? s : all;
        if (all == STATE_ON)
            break;
    }
    return all;
}

/* Behind the call, by way of a safepoint. HVC and SMC have four bytes in A32 and T32. */
NORETURN static void leave_behind(struct vcpu *v)
{
    v->r[15] += 4;
    v->it = v->it & 7 ? (v->it & 0xe0) | (v->it << 1 & 0x1f) : 0;
    vcpu_leave(v, LEAVE_CONTINUE);
}

static bool call(struct vcpu *v, bool hvc, uint32_t imm)
{
    if (imm || hvc != (method == PSCI_HVC))
        return false;
    uint32_t function = v->r[0];
    dlog(DEV, "vCPU %u: PSCI call %#x, %#x, %#x, %#x", v->index, function, v->r[1], v->r[2], v->r[3]);
    switch (function) {
    case PSCI_VERSION: v->r[0] = VERSION_0_2; return true;
    case CPU_ON: v->r[0] = cpu_on(v, v->r[1], v->r[2], v->r[3]); return true;
    case AFFINITY_INFO: v->r[0] = affinity_info(v->r[1], v->r[2]); return true;
    case MIGRATE_INFO_TYPE: v->r[0] = NO_MIGRATION; return true;
    case CPU_SUSPEND:
        v->r[0] = SUCCESS;
        vcpu_request_sleep(v, SLEEP_WFI);
        leave_behind(v);
    case CPU_OFF:
        vcpu_request_sleep(v, SLEEP_OFF);
        /* Release: who finds it off sees all that it stored. */
        atomic_store_explicit(&state[v->index], STATE_OFF, memory_order_release);
        leave_behind(v);
    case SYSTEM_OFF:
    case SYSTEM_RESET:
        machine_request_end(function == SYSTEM_OFF ? END_SHUTDOWN : END_RESET, 0);
        leave_behind(v);                                     /* the safepoint does not come back */
    default: v->r[0] = (uint32_t)NOT_SUPPORTED; return true; /* MIGRATE among them */
    }
}

void psci_setup(enum psci_method m)
{
    method = m;
    arm_firmware_call = m == PSCI_OFF ? NULL : call;
}

void psci_reset(unsigned n, bool on)
{
    atomic_store_explicit(&state[n], on ? STATE_ON : STATE_OFF, memory_order_relaxed);
    atomic_fetch_add_explicit(&resets, 1, memory_order_relaxed);
}
