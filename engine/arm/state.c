/*
 * state.c — the CPSR, the modes and their banked registers, reset
 *
 * The CPSR lives in pieces: N Z C V in v->nf.., Q and GE in fields of their own, T in v->thumb and bit 0 of r15,
 * ITSTATE in v->it, the rest (mode, A I F, E) in v->cpsr. Translated code keeps T only in r15 (a BX to the other
 * state does not touch v->thumb), so what may run in the middle of a block asks r15.
 *
 * Banks: v->r[] holds the registers of the current mode; struct arm_sys those of the others (ARM DDI 0406C B1.3.2).
 */
#include "engine/arm/arm.h"
#include "engine/arm/cp15.h"
#include "engine/arm/pmu.h"
#include "engine/arm/fp.h"
#include "engine/arm/state.h"
#include "engine/base/log.h"
#include "engine/mem/softmmu.h"

void (*arm_clear_exclusive)(struct vcpu *v); /* const after LAUNCH */

/* -- Modes ----------------------------------------------------------------------------------------- */

int arm_bank(uint32_t mode)
{
    switch (mode & 0x1f) {
    case MODE_USR:
    case MODE_SYS: return BANK_USR;
    case MODE_FIQ: return BANK_FIQ;
    case MODE_IRQ: return BANK_IRQ;
    case MODE_SVC: return BANK_SVC;
    case MODE_ABT: return BANK_ABT;
    case MODE_UND: return BANK_UND;
    case MODE_MON: return BANK_MON;
    default: return -1; /* Hyp is not there in Secure state; the rest is reserved */
    }
}

void arm_switch_mode(struct vcpu *v, uint32_t mode)
{
    uint32_t old = arm_mode(v);
    int from = arm_bank(old), to = arm_bank(mode);
    CHECK(to >= 0, "switch to mode %#x", mode);
    v->cpsr = (v->cpsr & ~0x1fu) | mode;
    if (mode == MODE_USR && v->tlb)
        softmmu_settle_user(v);
    if (from == to || from < 0)
        return;
    struct arm_sys *s = &v->sys;
    s->bank_r13[from] = v->r[13];
    s->bank_r14[from] = v->r[14];
    v->r[13] = s->bank_r13[to];
    v->r[14] = s->bank_r14[to];
    if (from == BANK_FIQ) {
        memcpy(s->fiq_r8_12, &v->r[8], sizeof(s->fiq_r8_12));
        memcpy(&v->r[8], s->usr_r8_12, sizeof(s->usr_r8_12));
    } else if (to == BANK_FIQ) {
        memcpy(s->usr_r8_12, &v->r[8], sizeof(s->usr_r8_12));
        memcpy(&v->r[8], s->fiq_r8_12, sizeof(s->fiq_r8_12));
    }
}

uint32_t *arm_banked_reg(struct vcpu *v, uint32_t mode, unsigned n)
{
    int bank = arm_bank(mode), now = arm_bank(arm_mode(v));
    if (bank == now || n < 8)
        return &v->r[n];
    if (n == 13)
        return &v->sys.bank_r13[bank];
    if (n == 14)
        return &v->sys.bank_r14[bank];
    if (bank == BANK_FIQ)
        return &v->sys.fiq_r8_12[n - 8];
    return now == BANK_FIQ ? &v->sys.usr_r8_12[n - 8] : &v->r[n];
}

/* -- CPSR ------------------------------------------------------------------------------------------ */

uint32_t arm_cpsr_read(const struct vcpu *v)
{
    uint32_t x = v->cpsr & CPSR_STORED;
    x |= (uint32_t)v->nf << 31 | (uint32_t)v->zf << 30 | (uint32_t)v->cf << 29 | (uint32_t)v->vf << 28;
    x |= (v->q & 1) << 27 | (v->ge & 15) << 16;
    x |= (v->it & 3) << 25 | ((v->it >> 2) & 0x3f) << 10;
    if (v->r[15] & 1)
        x |= CPSR_T;
    return x;
}

void arm_cpsr_write(struct vcpu *v, uint32_t val, uint32_t mask)
{
    if (mask & BIT(31))
        v->nf = (uint8_t)bit(val, 31);
    if (mask & BIT(30))
        v->zf = (uint8_t)bit(val, 30);
    if (mask & BIT(29))
        v->cf = (uint8_t)bit(val, 29);
    if (mask & BIT(28))
        v->vf = (uint8_t)bit(val, 28);
    if (mask & CPSR_Q)
        v->q = bit(val, 27);
    uint32_t ge = bits(mask, 19, 16);
    v->ge = (v->ge & ~ge) | (bits(val, 19, 16) & ge);
    uint32_t it = bits(mask, 26, 25) | bits(mask, 15, 10) << 2;
    v->it = (v->it & ~it) | ((bits(val, 26, 25) | bits(val, 15, 10) << 2) & it);
    if (mask & CPSR_T) {
        v->thumb = bit(val, 5);
        v->r[15] = (v->r[15] & ~1u) | v->thumb;
    }
    uint32_t stored = mask & CPSR_STORED & ~0x1fu;
    v->cpsr = (v->cpsr & ~stored) | (val & stored);
    if ((mask & 0x1f) == 0x1f && ((val ^ v->cpsr) & 0x1f)) {
        /* A mode that does not exist is UNPREDICTABLE (B1.3.1): the mode stays. */
        if (arm_bank(val) < 0)
            guest_error("vCPU %u: switch to mode %#x, which does not exist, at %#x", v->index, val & 0x1f, v->r[15]);
        else
            arm_switch_mode(v, val & 0x1f);
    }
}

/* cp10 and cp11 have to be the same: cp10 decides (B4.1.40). NSACR rules only Non-secure state, where we never are. */
bool arm_vfp_allowed(const struct vcpu *v)
{
    uint32_t cp10 = bits(v->sys.cpacr, 21, 20);
    return cp10 == 3 || (cp10 == 1 && arm_mode(v) != MODE_USR);
}

/* -- Key of the blocks ------------------------------------------------------------------------------- */

uint32_t arm_tb_flags(const struct vcpu *v)
{
    uint32_t mode = arm_mode(v), f = 0;
    if (v->thumb)
        f |= TBF_THUMB;
    if (mode != MODE_USR)
        f |= TBF_PRIV;
    if (v->cpsr & CPSR_E)
        f |= TBF_BE;
    if (v->sys.sctlr & SCTLR_A)
        f |= TBF_ALIGN;
    if (mode == MODE_SYS)
        f |= TBF_SYSMODE;
    if ((v->sys.fpexc & FPEXC_EN) && arm_vfp_allowed(v)) {
        f |= TBF_VFP;
        if (v->sys.cpacr & CPACR_ASEDIS)
            f |= TBF_NO_NEON;
        if (v->sys.cpacr & CPACR_D32DIS)
            f |= TBF_NO_D32;
        if (v->fpscr & (FPSCR_LEN | FPSCR_STRIDE))
            f |= TBF_VFP_VECTOR;
        if (v->fpscr & (FPSCR_RMODE | FPSCR_FZ))
            f |= TBF_VFP_MODE;
    }
    return f | (v->it & 0xff) << TBF_IT_SHIFT;
}

/* -- Reset ----------------------------------------------------------------------------------------------- */

void arm_reset(struct vcpu *v, const uint32_t regs[16], uint32_t cpsr)
{
    pmu_reset(v);
    memset(&v->sys, 0, sizeof(v->sys));
    cp15_reset(v);
    v->nf = v->zf = v->cf = v->vf = 0;
    v->q = v->ge = v->it = 0;
    memset(v->vfp, 0, sizeof(v->vfp));
    v->fpscr = 0;
    fp_set_nzcv(v, 0);
    memcpy(v->r, regs, sizeof(v->r));
    v->r[15] = (regs[15] & ~1u) | (regs[15] & 1) | bit(cpsr, 5);
    v->cpsr = cpsr & 0x1f;
    CHECK(arm_bank(v->cpsr) >= 0, "reset into mode %#x", cpsr);
    arm_cpsr_write(v, cpsr | (v->r[15] & 1) << 5, ~0u);
    if (v->tlb)
        softmmu_flush_all(v);
    if (arm_clear_exclusive)
        arm_clear_exclusive(v);
}
