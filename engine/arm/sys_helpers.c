/*
 * sys_helpers.c — system instructions as C functions called by blocks (rows: engine/ir/helpers.def)
 *
 * Context of all: GUEST. Those that may raise find v->r[15] = address of their instruction | T and v->it; what
 * returns goes on behind the call, and the front end ends the block where state may have changed that block keys
 * depend on.
 */
#include "engine/arm/sys_helpers.h"

#include "engine/arm/arm.h"
#include "engine/arm/cp15.h"
#include "engine/arm/helpers.h"
#include "engine/arm/state.h"
#include "engine/base/log.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/sync.h"

enum arm_semihost_end (*arm_semihost)(struct vcpu *v, uint32_t op, uint32_t param, uint32_t *result);
bool (*arm_firmware_call)(struct vcpu *v, bool hvc, uint32_t imm);

static inline bool user(const struct vcpu *v)
{
    return arm_mode(v) == MODE_USR;
}

static inline bool has_spsr(const struct vcpu *v)
{
    return arm_bank(arm_mode(v)) != BANK_USR;
}

/* -- Exceptions and calls ---------------------------------------------------------------------------- */

NORETURN static void raise_undef(struct vcpu *v)
{
    arm_take_exception(v, EXC_UNDEF);
    vcpu_leave(v, LEAVE_EXCEPTION);
}

void helper_undef(struct vcpu *v)
{
    raise_undef(v);
}

/* Privileged code only: a User program's system call with this number goes to its kernel. */
static bool semihosting(struct vcpu *v, unsigned size)
{
    if (!arm_semihost || user(v))
        return false;
    switch (arm_semihost(v, v->r[0], v->r[1], &v->r[0])) {
    case ARM_SEMIHOST_END: v->r[15] += size; vcpu_leave(v, LEAVE_CONTINUE); /* to a safepoint, where the end is seen */
    case ARM_SEMIHOST_WAIT: vcpu_request_sleep(v, SLEEP_CALL); vcpu_leave(v, LEAVE_RESTART);
    default: return true;
    }
}

void helper_svc(struct vcpu *v, uint32_t imm)
{
    bool thumb = v->r[15] & 1;
    if (imm == (thumb ? 0xabu : 0x123456u) && semihosting(v, thumb ? 2 : 4))
        return;
    arm_take_exception(v, EXC_SVC);
    vcpu_leave(v, LEAVE_EXCEPTION);
}

void helper_bkpt(struct vcpu *v, uint32_t imm)
{
    bool thumb = v->r[15] & 1;
    if (thumb && imm == 0xab && semihosting(v, 2))
        return;
    /* No debug monitor: a prefetch abort with the status "debug event" (C3.1). IFAR is UNKNOWN: the address. */
    arm_prefetch_abort(v, v->r[15] & ~1u, arm_fsr(v, FAULT_DEBUG, 0));
}

void helper_smc(struct vcpu *v, uint32_t imm)
{
    if (user(v) || (v->sys.scr & SCR_SCD))
        raise_undef(v);
    if (arm_firmware_call && arm_firmware_call(v, false, imm))
        return;
    arm_take_exception(v, EXC_SMC);
    vcpu_leave(v, LEAVE_EXCEPTION);
}

/* Undefined in Secure state (B9.3.4), unless the machine speaks PSCI. */
void helper_hvc(struct vcpu *v, uint32_t imm)
{
    if (user(v) || !arm_firmware_call || !arm_firmware_call(v, true, imm))
        raise_undef(v);
}

void helper_exception_return(struct vcpu *v, uint32_t new_pc, uint32_t new_cpsr)
{
    if (!has_spsr(v))
        raise_undef(v); /* UNPREDICTABLE (B9.3.20) */
    arm_cpsr_write(v, new_cpsr, ~0u);
    v->r[15] = v->thumb ? new_pc | 1 : new_pc & ~3u;
    if (arm_clear_exclusive)
        arm_clear_exclusive(v);
}

/* -- Waiting ------------------------------------------------------------------------------------------ */

void helper_wfi(struct vcpu *v)
{
    vcpu_request_sleep(v, SLEEP_WFI);
}

/* The event stream (CNTKCTL, DDI 0406C B4.1.26 and B8.1.6): each change of a bit of the virtual count in one direction sets the event
 * register. Nothing counts them as they come: WFE looks how many there were, and sleeps no longer than until the next. */
#define EVNTEN  BIT(2)
#define EVNTDIR BIT(3)

/* Returns whether there were new ones. *next_ns: when the next one comes, by now_ns(). */
static bool stream_event(struct vcpu *v, uint64_t *next_ns)
{
    struct vcpu_thread *t = vcpu_thread(v);
    unsigned n = bits(v->sys.cntkctl, 7, 4) + 1;
    uint64_t half =
        v->sys.cntkctl & EVNTDIR ? 0 : UINT64_C(1) << (n - 1); /* a rising edge is half a period before a falling one */
    uint64_t count = v->cpu_ops->cntpct(v->index) - v->cpu_ops->cntvoff_read(v->index);
    uint64_t events = (count + half) >> n;
    if (t->timed_out && v->sys.stream_events < events)
        v->sys.stream_events++; /* that one ended the last WFE */
    t->timed_out = false;
    if (events != v->sys.stream_events) {
        v->sys.stream_events = events;
        return true;
    }
    uint64_t ticks = ((events + 1) << n) - half - count;
    *next_ns = now_ns() + (ticks * 1000000000u + v->cpu_ops->cntfrq_hz - 1) / v->cpu_ops->cntfrq_hz;
    return false;
}

void helper_wfe(struct vcpu *v)
{
    uint64_t until_ns = UINT64_MAX;
    if (vcpu_take_event(v))
        return;
    if ((v->sys.cntkctl & EVNTEN) && v->cpu_ops && stream_event(v, &until_ns))
        return;
    if (vcpu_await_event(v))
        return;
    vcpu_request_sleep_until(v, SLEEP_WFE, until_ns);
}

void helper_sev(struct vcpu *v)
{
    (void)v;
    vcpu_send_event_all();
}

void helper_yield(struct vcpu *v)
{
    (void)v;
}

void helper_dsb(struct vcpu *v)
{
    if (LIKELY(!v->sys.tlbi_held))
        return;
    cp15_tlbi_complete(v);
    /* Behind it, through a safepoint, where the others are waited for. Four bytes in A32 and T32; an IT block goes on. */
    v->r[15] += 4;
    v->it = v->it & 7 ? (v->it & 0xe0) | (v->it << 1 & 0x1f) : 0;
    vcpu_leave(v, LEAVE_CONTINUE);
}

void helper_settle_user(struct vcpu *v)
{
    softmmu_settle_user(v);
}

void helper_isb(struct vcpu *v)
{
    (void)v; /* the end of the block is what it is for */
}

/* -- Program status registers -------------------------------------------------------------------------- */

/* Bits that MSR may write (B1.3.3, CPSRWriteByInstr): never T, IT, J. */
#define MSR_USER 0xf80f0200u
#define MSR_PRIV (MSR_USER | CPSR_A | CPSR_I | CPSR_F | 0x1fu)

void helper_msr_cpsr(struct vcpu *v, uint32_t val, uint32_t mask)
{
    arm_cpsr_write(v, val, mask & (user(v) ? MSR_USER : MSR_PRIV));
}

uint32_t helper_mrs_cpsr(struct vcpu *v)
{
    return arm_cpsr_read(v) & 0xf8ff03dfu; /* B9.3.8 */
}

void helper_msr_spsr(struct vcpu *v, uint32_t val, uint32_t mask)
{
    if (!has_spsr(v))
        raise_undef(v);
    uint32_t *spsr = &v->sys.spsr[arm_bank(arm_mode(v))];
    *spsr = (*spsr & ~mask) | (val & mask);
}

uint32_t helper_mrs_spsr(struct vcpu *v)
{
    if (!has_spsr(v))
        raise_undef(v);
    return v->sys.spsr[arm_bank(arm_mode(v))];
}

void helper_cps(struct vcpu *v, uint32_t what)
{
    if (user(v))
        return;
    uint32_t imod = bits(what, 10, 9), aif = what & (CPSR_A | CPSR_I | CPSR_F);
    if (imod == 2)
        arm_cpsr_write(v, 0, aif);
    else if (imod == 3)
        arm_cpsr_write(v, ~0u, aif);
    if (bit(what, 5))
        arm_cpsr_write(v, what, 0x1f);
}

void helper_setend(struct vcpu *v, uint32_t big)
{
    v->cpsr = (v->cpsr & ~(uint32_t)CPSR_E) | (big ? CPSR_E : 0);
}

/* -- Banked registers ------------------------------------------------------------------------------------ */

/* The register that SYSm (bits 4..0) and R (bit 5) name, table B9-1 and B9-2; NULL: UNPREDICTABLE. */
static uint32_t *banked(struct vcpu *v, uint32_t code)
{
    static const uint8_t modes[] = {MODE_IRQ, MODE_SVC, MODE_ABT, MODE_UND};
    uint32_t m = code & 31;
    if (code & 32) {
        uint32_t mode = m == 0x0e ? MODE_FIQ : m == 0x1c ? MODE_MON : (m & 0x19) == 0x10 ? modes[(m >> 1) & 3] : 0;
        return mode ? &v->sys.spsr[arm_bank(mode)] : NULL;
    }
    if (m < 7)
        return arm_banked_reg(v, MODE_USR, 8 + m);
    if (m >= 8 && m < 15)
        return arm_banked_reg(v, MODE_FIQ, m);
    if (m >= 16 && m < 24)
        return arm_banked_reg(v, modes[(m >> 1) & 3], m & 1 ? 13 : 14);
    if (m == 0x1c || m == 0x1d)
        return arm_banked_reg(v, MODE_MON, m & 1 ? 13 : 14);
    return NULL;
}

void helper_msr_banked(struct vcpu *v, uint32_t code, uint32_t val)
{
    uint32_t *r = user(v) ? NULL : banked(v, code);
    if (!r)
        raise_undef(v);
    *r = val;
}

uint32_t helper_mrs_banked(struct vcpu *v, uint32_t code)
{
    uint32_t *r = user(v) ? NULL : banked(v, code);
    if (!r)
        raise_undef(v);
    return *r;
}

uint32_t helper_get_user_reg(struct vcpu *v, uint32_t n)
{
    return *arm_banked_reg(v, MODE_USR, n);
}

void helper_set_user_reg(struct vcpu *v, uint32_t n, uint32_t val)
{
    *arm_banked_reg(v, MODE_USR, n) = val;
}

uint32_t helper_srs_addr(struct vcpu *v, uint32_t mode)
{
    if (arm_bank(mode) < 0 || !has_spsr(v)) /* UNPREDICTABLE in User and System mode (B9.3.16) */
        raise_undef(v);
    return *arm_banked_reg(v, mode, 13);
}

void helper_set_banked_sp(struct vcpu *v, uint32_t mode, uint32_t val)
{
    if (arm_bank(mode) < 0)
        raise_undef(v);
    *arm_banked_reg(v, mode, 13) = val;
}

/* -- Coprocessors ------------------------------------------------------------------------------------------ */

void helper_mcr(struct vcpu *v, uint32_t enc, uint32_t val)
{
    if (!cp15_write(v, enc, val))
        raise_undef(v);
}

uint32_t helper_mrc(struct vcpu *v, uint32_t enc)
{
    uint32_t val;
    if (!cp15_read(v, enc, &val))
        raise_undef(v);
    return val;
}

void helper_mcrr(struct vcpu *v, uint32_t enc, uint32_t lo, uint32_t hi)
{
    if (!cp15_write64(v, enc, lo | (uint64_t)hi << 32))
        raise_undef(v);
}

uint64_t helper_mrrc(struct vcpu *v, uint32_t enc)
{
    uint64_t val;
    if (!cp15_read64(v, enc, &val))
        raise_undef(v);
    return val;
}
