/*
 * exception.c — taking exceptions: entry, return addresses, fault status, interrupts
 *
 * ARM DDI 0406C B1.8 (exception handling), B3.13 (fault reporting). Return addresses, from the address of the
 * instruction that the exception is taken at (table B1-7):
 *
 *   exception        LR = address + A32  T32     CPSR set   mode
 *   undefined                         4    2     I          Und
 *   SVC                               4    2     I          Svc
 *   SMC                               4    4     I A F      Mon
 *   prefetch abort                    4    4     I A        Abt
 *   data abort                        8    8     I A        Abt
 *   IRQ                               4    4     I A        Irq   (address: next to be executed)
 *   FIQ                               4    4     I A F      Fiq
 *
 * SVC, SMC and HVC return to the next instruction: ITSTATE moves on before it is saved.
 * Known not to be here: Hyp mode; separate banks of CP15 for Non-secure state.
 */
#include "engine/arm/arm.h"
#include "engine/arm/state.h"
#include "engine/base/log.h"
#include "engine/mem/softmmu.h"

/* -- Fault status -------------------------------------------------------------------------------------- */

uint32_t arm_fsr(const struct vcpu *v, enum arm_fault fault, unsigned level)
{
    /* Short: FS[4] is bit 10, FS[3:0] (table B3-23); level 2 adds 2 to the level 1 code, but for access faults 3.
     * Long: STATUS[5:0] with LPAE in bit 9 (table B3-24); bits 1..0 are the level. */
    static const struct {
        uint16_t first, second, lpae;
        bool level;
    } t[] = {
        [FAULT_ALIGNMENT] = {0x001, 0x001, 0x21, false},      [FAULT_DEBUG] = {0x002, 0x002, 0x22, false},
        [FAULT_TRANSLATION] = {0x005, 0x007, 0x04, true},     [FAULT_ACCESS] = {0x003, 0x006, 0x08, true},
        [FAULT_DOMAIN] = {0x009, 0x00b, 0x3c, true},          [FAULT_PERMISSION] = {0x00d, 0x00f, 0x0c, true},
        [FAULT_EXTERNAL] = {0x008, 0x008, 0x10, false},       [FAULT_EXTERNAL_WALK] = {0x00c, 0x00e, 0x14, true},
        [FAULT_EXTERNAL_ASYNC] = {0x406, 0x406, 0x11, false},
    };
    if (v->sys.ttbcr & TTBCR_EAE)
        return BIT(9) | (t[fault].lpae + (t[fault].level ? level : 0));
    return level == 2 ? t[fault].second : t[fault].first;
}

/* -- Entry ------------------------------------------------------------------------------------------------ */

static uint32_t vector_base(const struct vcpu *v, bool monitor)
{
    if (monitor)
        return v->sys.mvbar;
    return v->sys.sctlr & SCTLR_V ? 0xffff0000u : v->sys.vbar;
}

/* Monitor mode is entered with the same rules as the others. */
static void enter_exception(struct vcpu *v, uint32_t mode, uint32_t vector, uint32_t return_address, uint32_t mask,
                            bool monitor)
{
    uint32_t cpsr = arm_cpsr_read(v);
    dlog(IRQ, "vCPU %u: vector %#x at %#x, cpsr %#x", v->index, vector, v->r[15], cpsr);
    count(v, EXCEPTIONS);
    if (arm_mode(v) == MODE_MON)
        v->sys.scr &= ~(uint32_t)SCR_NS; /* B1.8.1: an exception in Monitor mode is Secure */
    arm_switch_mode(v, mode);
    v->sys.spsr[arm_bank(mode)] = cpsr;
    v->r[14] = return_address;

    uint32_t te = v->sys.sctlr & SCTLR_TE ? 1 : 0, ee = v->sys.sctlr & SCTLR_EE ? CPSR_E : 0;
    v->cpsr = (v->cpsr & ~(uint32_t)CPSR_E) | mask | ee;
    v->it = 0;
    v->thumb = te;
    v->r[15] = (vector_base(v, monitor) + vector) | te;
    if (arm_clear_exclusive)
        arm_clear_exclusive(v);
}

/* The ITSTATE of the next instruction (A2.5.2). */
static void advance_it(struct vcpu *v)
{
    v->it = v->it & 7 ? (v->it & 0xe0) | ((v->it << 1) & 0x1f) : 0;
}

void arm_take_exception(struct vcpu *v, enum arm_exception exc)
{
    uint32_t pc = v->r[15] & ~1u;
    bool thumb = v->r[15] & 1;
    switch (exc) {
    case EXC_RESET: enter_exception(v, MODE_SVC, 0x00, 0, CPSR_A | CPSR_I | CPSR_F, false); return;
    case EXC_UNDEF: enter_exception(v, MODE_UND, 0x04, pc + (thumb ? 2 : 4), CPSR_I, false); return;
    case EXC_SVC:
        advance_it(v);
        enter_exception(v, MODE_SVC, 0x08, pc + (thumb ? 2 : 4), CPSR_I, false);
        return;
    case EXC_SMC:
        advance_it(v);
        enter_exception(v, MODE_MON, 0x08, pc + 4, CPSR_A | CPSR_I | CPSR_F, true);
        return;
    case EXC_PREFETCH_ABORT: enter_exception(v, MODE_ABT, 0x0c, pc + 4, CPSR_A | CPSR_I, false); return;
    case EXC_DATA_ABORT: enter_exception(v, MODE_ABT, 0x10, pc + 8, CPSR_A | CPSR_I, false); return;
    case EXC_IRQ:
        if (v->sys.scr & SCR_IRQ)
            enter_exception(v, MODE_MON, 0x18, pc + 4, CPSR_A | CPSR_I | CPSR_F, true);
        else
            enter_exception(v, MODE_IRQ, 0x18, pc + 4, CPSR_A | CPSR_I, false);
        return;
    case EXC_FIQ:
        if (v->sys.scr & SCR_FIQ)
            enter_exception(v, MODE_MON, 0x1c, pc + 4, CPSR_A | CPSR_I | CPSR_F, true);
        else
            enter_exception(v, MODE_FIQ, 0x1c, pc + 4, CPSR_A | CPSR_I | CPSR_F, false);
        return;
    case EXC_HVC: /* there is no Hyp mode: helper_hvc() makes it Undefined */ break;
    }
    CHECK(false, "exception %d", (int)exc);
}

/* -- Aborts ------------------------------------------------------------------------------------------------- */

static void data_abort(struct vcpu *v, bool has_address, gva va, bool write, uint32_t fsr)
{
    dlog(MMU, "vCPU %u: data abort at pc %#x, address %#x, %s, status %#x", v->index, v->r[15], va,
         write ? "write" : "read", fsr);
    v->sys.dfsr = fsr | (write ? BIT(11) : 0);
    if (has_address)
        v->sys.dfar = va;
    arm_take_exception(v, EXC_DATA_ABORT);
}

void arm_data_abort(struct vcpu *v, gva va, bool write, uint32_t fsr)
{
    data_abort(v, true, va, write, fsr);
    vcpu_leave(v, LEAVE_EXCEPTION);
}

void arm_prefetch_abort(struct vcpu *v, gva va, uint32_t fsr)
{
    dlog(MMU, "vCPU %u: prefetch abort, address %#x, status %#x", v->index, va, fsr);
    /* IFSR has no domain field (B4.1.96). */
    v->sys.ifsr = fsr & BIT(9) ? fsr : fsr & ~0xf0u;
    v->sys.ifar = va & ~1u;
    arm_take_exception(v, EXC_PREFETCH_ABORT);
    vcpu_leave(v, LEAVE_EXCEPTION);
}

void arm_alignment_fault(struct vcpu *v, gva va, bool write)
{
    arm_data_abort(v, va, write, arm_fsr(v, FAULT_ALIGNMENT, 0));
}

void arm_external_abort(struct vcpu *v, gva va, bool write)
{
    arm_data_abort(v, va, write, arm_fsr(v, FAULT_EXTERNAL, 0));
}

void arm_prefetch_external_abort(struct vcpu *v, gva va)
{
    arm_prefetch_abort(v, va, arm_fsr(v, FAULT_EXTERNAL, 0));
}

/* -- Interrupts ------------------------------------------------------------------------------------------------ */

/* Lines that CPSR lets through. In Monitor routing (SCR) the same masks are used: FW and AW matter only to
 * Non-secure writes of the CPSR. */
static uint32_t unmasked_lines(const struct vcpu *v)
{
    /* Acquire: what the device did before it raised the line (vcpu_set_line, release) is seen by the handler. */
    uint32_t lines = atomic_load_explicit(&((struct vcpu *)(uintptr_t)v)->lines, memory_order_acquire);
    if (v->cpsr & CPSR_A)
        lines &= ~(uint32_t)LINE_ABORT;
    if (v->cpsr & CPSR_I)
        lines &= ~(uint32_t)LINE_IRQ;
    if (v->cpsr & CPSR_F)
        lines &= ~(uint32_t)LINE_FIQ;
    return lines;
}

bool arm_interrupt_deliverable(const struct vcpu *v)
{
    return unmasked_lines(v) != 0;
}

bool arm_take_interrupt(struct vcpu *v)
{
    uint32_t lines = unmasked_lines(v);
    if (LIKELY(!lines))
        return false;
    if (lines & LINE_ABORT) {
        /* An edge: taken once. Relaxed: the line is only a request here. */
        atomic_fetch_and_explicit(&v->lines, ~(uint32_t)LINE_ABORT, memory_order_relaxed);
        data_abort(v, false, 0, false, arm_fsr(v, FAULT_EXTERNAL_ASYNC, 0));
        /* Async data abort: LR is the next instruction + 8, as v->r[15] was the next one. */
    } else if (lines & LINE_FIQ) {
        arm_take_exception(v, EXC_FIQ);
    } else {
        arm_take_exception(v, EXC_IRQ);
    }
    return true;
}
