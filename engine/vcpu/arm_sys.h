/*
 * arm_sys.h — banked registers and CP15 state of one vCPU (ARM DDI 0406C, part B)
 *
 * Belongs to engine/arm; here because struct vcpu contains it. Own thread only.
 */
#ifndef ENGINE_VCPU_ARM_SYS_H
#define ENGINE_VCPU_ARM_SYS_H

#include "engine/base/base.h"

/* clang-format off */
enum arm_mode {
    MODE_USR = 0x10, MODE_FIQ = 0x11, MODE_IRQ = 0x12, MODE_SVC = 0x13, MODE_MON = 0x16,
    MODE_ABT = 0x17, MODE_HYP = 0x1a, MODE_UND = 0x1b, MODE_SYS = 0x1f
};

enum {
    CPSR_T = BIT(5), CPSR_F = BIT(6), CPSR_I = BIT(7), CPSR_A = BIT(8), CPSR_E = BIT(9),
    CPSR_J = BIT(24), CPSR_Q = BIT(27)
};
/* clang-format on */

/* Banks of r13, r14 and SPSR */
enum { BANK_USR, BANK_FIQ, BANK_IRQ, BANK_SVC, BANK_ABT, BANK_UND, BANK_MON, BANKS };

#define TLBI_HELD          16
#define PMU_EVENT_COUNTERS 6

struct arm_sys {
    /* Registers of the modes that are not current. The current mode's are in v->r[]. */
    uint32_t bank_r13[BANKS], bank_r14[BANKS], spsr[BANKS]; /* spsr[BANK_USR] unused */
    uint32_t usr_r8_12[5], fiq_r8_12[5];                    /* the set that is not current */

    /* CP15 by name */
    uint32_t sctlr, actlr, cpacr, nsacr, scr, sder;
    uint32_t ttbcr, dacr;
    uint64_t ttbr0, ttbr1, par;
    uint32_t dfsr, ifsr, dfar, ifar, adfsr, aifsr;
    uint32_t prrr, nmrr; /* MAIR0, MAIR1 with LPAE */
    uint32_t vbar, mvbar;
    uint32_t contextidr, fcseidr, tpidrurw, tpidruro, tpidrprw;
    uint32_t csselr;
    uint32_t cntkctl, cntfrq;
    uint64_t stream_events; /* of the event stream: as many as the event register has had */
    uint32_t pmcr, pmcnten, pmovsr, pmselr, pmuserenr, pminten, pmxevtyper[PMU_EVENT_COUNTERS], pmccfiltr;
    uint64_t pm_base[PMU_EVENT_COUNTERS + 1]; /* counting: ticks at which the counter was 0; stopped: its value */
    bool pmu_level, pmu_alarm;                /* as the machine was told */
    uint32_t l2ctlr, l2ectlr;
    uint32_t teecr, teehbr;
    uint32_t mpidr;
    uint32_t fpexc; /* FPSCR and the registers are in struct vcpu */

    /* TLB maintenance for all CPUs that the next DSB completes; more than TLBI_HELD: all entries. */
    uint32_t tlbi_held, tlbi_arg[TLBI_HELD];
    uint8_t tlbi_op[TLBI_HELD];
};

#endif
