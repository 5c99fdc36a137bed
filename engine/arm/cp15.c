/*
 * cp15.c — the system control coprocessors: one row for each register of the Cortex-A15
 *
 * ARM DDI 0406C B3.17, B4 (registers), B6 and C11 (debug), B8 (generic timer), C12 (PMU); values at reset and
 * identification from the Cortex-A15 TRM (ARM DDI 0438), revision r4p0, as QEMU's cortex-a15 reports them. An
 * encoding without a row is Undefined.
 *
 * A row says who may read and write; `when` adds conditions that depend on other registers (PMUSERENR, CNTKCTL).
 * Without functions of its own a register is a field of struct arm_sys of which `mask` is writable, or, without
 * field, the constant `value`. The functions of the MMU, the timers and the performance monitors are in cp15_mmu.c,
 * cp15_timer.c and cp15_pmu.c.
 *
 * Choices: caches hold nothing, so their maintenance does nothing, but that of the instruction side ends in
 * tb_icache_maintenance(); the debug registers read as zero, so a debugger in the guest finds that monitor mode cannot
 * be enabled.
 * The machine stays in Secure state: SCR.NS selects the timer, not other banks of CP15.
 */
#include "engine/arm/cp15.h"

#include "engine/arm/cp15_reg.h"
#include "engine/arm/pmu.h"
#include "engine/arm/state.h"
#include "engine/base/log.h"
#include "engine/tb/tb.h"

static void ignore(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)v, (void)r, (void)val;
}

/* -- Caches, barriers ------------------------------------------------------------------------------------------ */

static void icache_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)val;
    tb_icache_maintenance(v, r->opc2 == 0);
}

static bool barriers_enabled(struct vcpu *v, bool write)
{
    (void)write;
    return v->sys.sctlr & SCTLR_CP15BEN;
}

static void barrier_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)val;
    /* The guest's DMB or DSB: all earlier accesses of this thread before all later ones; the other side is in guest
     * code. An RMW, which on this host is a full barrier and which the sanitizers know. */
    atomic_fetch_or_explicit(&v->event, 0, memory_order_seq_cst);
    if (v->sys.tlbi_held && r->opc2 == 4)
        cp15_tlbi_complete(v);
}

static uint32_t ccsidr_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    switch (v->sys.csselr & 15) {
    case 0: return 0x701fe00a; /* L1 data: 32 KiB, 2 ways, 64-byte lines */
    case 1: return 0x201fe00a; /* L1 instruction */
    case 2: return 0x711fe07a; /* L2 unified: 4 MiB */
    default: return 0;
    }
}

static void vbar_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    *cp15_field(v, r) = val & ~0x1fu;
}

static uint32_t isr_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    uint32_t lines = atomic_load_explicit(&v->lines, memory_order_relaxed);
    return (lines & LINE_ABORT ? CPSR_A : 0) | (lines & LINE_IRQ ? CPSR_I : 0) | (lines & LINE_FIQ ? CPSR_F : 0);
}

static uint32_t cbar_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    return v->cpu_ops ? v->cpu_ops->periphbase : 0;
}

static bool teehbr_when(struct vcpu *v, bool write)
{
    (void)write;
    return !cp15_user(v) || !(v->sys.teecr & 1);
}

/* -- The table ------------------------------------------------------------------------------------------------------ */

/* clang-format off */
#define F(f) offsetof(struct arm_sys, f)
#define CONST_(n, cp, o1, cn, cm, o2, acc, v) {n, cp, o1, cn, cm, o2, acc, NONE, v, 0, NULL, NULL, ignore, 0}
#define FIELD_(n, cp, o1, cn, cm, o2, acc, f, v, mask) {n, cp, o1, cn, cm, o2, acc, F(f), v, mask, NULL, NULL, NULL, 0}
#define NOP_(n, cn, cm, o2) {n, 15, 0, cn, cm, o2, W1, NONE, 0, 0, NULL, NULL, ignore, 0}
#define ICACHE_(n, cm, o2) {n, 15, 0, 7, cm, o2, W1, NONE, 0, 0, NULL, NULL, icache_write, 0}
#define TLBI_(n, cm, o2, op) {n, 15, 0, 8, cm, o2, W1, NONE, 0, 0, NULL, NULL, cp15_tlbi_write, op}
#define ATS_(n, o2, op) {n, 15, 0, 7, 8, o2, W1, NONE, 0, 0, NULL, NULL, cp15_ats_write, op}

static const struct reg regs[] = {
    /* name, cp, opc1, CRn, CRm, opc2, access, field, value, mask, when, read, write, arg */

    /* c0: identification */
    CONST_("MIDR", 15, 0, 0, 0, 0, R1, 0x414fc0f0),
    CONST_("CTR", 15, 0, 0, 0, 1, R1, 0x8444c004),
    CONST_("TCMTR", 15, 0, 0, 0, 2, R1, 0),
    CONST_("TLBTR", 15, 0, 0, 0, 3, R1, 0),
    CONST_("MIDR4", 15, 0, 0, 0, 4, R1, 0x414fc0f0),
    FIELD_("MPIDR", 15, 0, 0, 0, 5, R1, mpidr, 0x80000000, 0),
    CONST_("REVIDR", 15, 0, 0, 0, 6, R1, 0),
    CONST_("MIDR7", 15, 0, 0, 0, 7, R1, 0x414fc0f0),
    CONST_("ID_PFR0", 15, 0, 0, 1, 0, R1, 0x00001131),
    CONST_("ID_PFR1", 15, 0, 0, 1, 1, R1, 0x00011011),
    CONST_("ID_DFR0", 15, 0, 0, 1, 2, R1, 0x02010555),
    CONST_("ID_AFR0", 15, 0, 0, 1, 3, R1, 0),
    CONST_("ID_MMFR0", 15, 0, 0, 1, 4, R1, 0x10201105),
    CONST_("ID_MMFR1", 15, 0, 0, 1, 5, R1, 0x20000000),
    CONST_("ID_MMFR2", 15, 0, 0, 1, 6, R1, 0x01240000),
    CONST_("ID_MMFR3", 15, 0, 0, 1, 7, R1, 0x02102211),
    CONST_("ID_ISAR0", 15, 0, 0, 2, 0, R1, 0x02101110),
    CONST_("ID_ISAR1", 15, 0, 0, 2, 1, R1, 0x13112111),
    CONST_("ID_ISAR2", 15, 0, 0, 2, 2, R1, 0x21232041),
    CONST_("ID_ISAR3", 15, 0, 0, 2, 3, R1, 0x11112131),
    CONST_("ID_ISAR4", 15, 0, 0, 2, 4, R1, 0x10011142),
    CONST_("ID_ISAR5", 15, 0, 0, 2, 5, R1, 0),
    CONST_("ID_ISAR6", 15, 0, 0, 2, 6, R1, 0),
    CONST_("ID_ISAR7", 15, 0, 0, 2, 7, R1, 0),
    {"CCSIDR", 15, 1, 0, 0, 0, R1, NONE, 0, 0, NULL, ccsidr_read, ignore, 0},
    CONST_("CLIDR", 15, 1, 0, 0, 1, R1, 0x0a200023),
    CONST_("AIDR", 15, 1, 0, 0, 7, R1, 0),
    FIELD_("CSSELR", 15, 2, 0, 0, 0, RW1, csselr, 0, 0xf),

    /* c1: control. SCTLR: RES1 bits and CP15BEN at reset (B4.1.130) */
    {"SCTLR", 15, 0, 1, 0, 0, RW1, F(sctlr), 0x00c50078,
     SCTLR_M | SCTLR_A | SCTLR_C | SCTLR_CP15BEN | SCTLR_SW | SCTLR_Z | SCTLR_I | SCTLR_V | SCTLR_WXN | SCTLR_UWXN |
         SCTLR_EE | SCTLR_TRE | SCTLR_AFE | SCTLR_TE,
     NULL, NULL, cp15_sctlr_write, 0},
    FIELD_("ACTLR", 15, 0, 1, 0, 1, RW1, actlr, 0, ~0u),
    FIELD_("CPACR", 15, 0, 1, 0, 2, RW1, cpacr, 0, CPACR_ASEDIS | CPACR_D32DIS | CPACR_CP11 | CPACR_CP10),
    FIELD_("SCR", 15, 0, 1, 1, 0, RW1, scr, 0, 0x3ff),
    FIELD_("SDER", 15, 0, 1, 1, 1, RW1, sder, 0, 3),
    FIELD_("NSACR", 15, 0, 1, 1, 2, RW1, nsacr, 0, 0x000ccc00),

    /* c2, c3: translation tables */
    {"TTBR0", 15, 0, 2, 0, 0, RW1, NONE, 0, 0, NULL, cp15_ttbr_read, cp15_ttbr_write, 0},
    {"TTBR1", 15, 0, 2, 0, 1, RW1, NONE, 0, 0, NULL, cp15_ttbr_read, cp15_ttbr_write, 1},
    {"TTBCR", 15, 0, 2, 0, 2, RW1, F(ttbcr), 0, ~0u, NULL, NULL, cp15_ttbcr_write, 0},
    {"DACR", 15, 0, 3, 0, 0, RW1, F(dacr), 0, ~0u, NULL, NULL, cp15_dacr_write, 0},

    /* c5, c6: faults */
    FIELD_("DFSR", 15, 0, 5, 0, 0, RW1, dfsr, 0, 0x3fff),
    FIELD_("IFSR", 15, 0, 5, 0, 1, RW1, ifsr, 0, 0x1fff),
    FIELD_("ADFSR", 15, 0, 5, 1, 0, RW1, adfsr, 0, ~0u),
    FIELD_("AIFSR", 15, 0, 5, 1, 1, RW1, aifsr, 0, ~0u),
    FIELD_("DFAR", 15, 0, 6, 0, 0, RW1, dfar, 0, ~0u),
    FIELD_("IFAR", 15, 0, 6, 0, 2, RW1, ifar, 0, ~0u),

    /* c7: caches, branch predictor, barriers, address translation */
    NOP_("NOP (was WFI)", 7, 0, 4),
    ICACHE_("ICIALLUIS", 1, 0),
    NOP_("BPIALLIS", 7, 1, 6),
    {"PAR", 15, 0, 7, 4, 0, RW1, NONE, 0, 0, NULL, cp15_par_read, cp15_par_write, 0},
    ICACHE_("ICIALLU", 5, 0),
    ICACHE_("ICIMVAU", 5, 1),
    {"CP15ISB", 15, 0, 7, 5, 4, W1 | W0, NONE, 0, 0, barriers_enabled, NULL, ignore, 0},
    NOP_("BPIALL", 7, 5, 6),
    NOP_("BPIMVA", 7, 5, 7),
    NOP_("DCIMVAC", 7, 6, 1),
    NOP_("DCISW", 7, 6, 2),
    ATS_("ATS1CPR", 0, 0),
    ATS_("ATS1CPW", 1, 1),
    ATS_("ATS1CUR", 2, 2),
    ATS_("ATS1CUW", 3, 3),
    ATS_("ATS12NSOPR", 4, 0),
    ATS_("ATS12NSOPW", 5, 1),
    ATS_("ATS12NSOUR", 6, 2),
    ATS_("ATS12NSOUW", 7, 3),
    NOP_("DCCMVAC", 7, 10, 1),
    NOP_("DCCSW", 7, 10, 2),
    {"CP15DSB", 15, 0, 7, 10, 4, W1 | W0, NONE, 0, 0, barriers_enabled, NULL, barrier_write, 0},
    {"CP15DMB", 15, 0, 7, 10, 5, W1 | W0, NONE, 0, 0, barriers_enabled, NULL, barrier_write, 0},
    NOP_("DCCMVAU", 7, 11, 1),
    NOP_("NOP (was prefetch)", 7, 13, 1),
    NOP_("DCCIMVAC", 7, 14, 1),
    NOP_("DCCISW", 7, 14, 2),

    /* c8: TLB maintenance */
    TLBI_("TLBIALLIS", 3, 0, TLBI_IS | TLBI_ALL),
    TLBI_("TLBIMVAIS", 3, 1, TLBI_IS | TLBI_MVA),
    TLBI_("TLBIASIDIS", 3, 2, TLBI_IS | TLBI_ASID),
    TLBI_("TLBIMVAAIS", 3, 3, TLBI_IS | TLBI_MVAA),
    TLBI_("ITLBIALL", 5, 0, TLBI_ALL),
    TLBI_("ITLBIMVA", 5, 1, TLBI_MVA),
    TLBI_("ITLBIASID", 5, 2, TLBI_ASID),
    TLBI_("DTLBIALL", 6, 0, TLBI_ALL),
    TLBI_("DTLBIMVA", 6, 1, TLBI_MVA),
    TLBI_("DTLBIASID", 6, 2, TLBI_ASID),
    TLBI_("TLBIALL", 7, 0, TLBI_ALL),
    TLBI_("TLBIMVA", 7, 1, TLBI_MVA),
    TLBI_("TLBIASID", 7, 2, TLBI_ASID),
    TLBI_("TLBIMVAA", 7, 3, TLBI_MVAA),

    /* c9: level 2 cache, performance monitors */
    FIELD_("L2CTLR", 15, 1, 9, 0, 2, RW1, l2ctlr, BIT(23), 0x003fffff), /* 25..24: cores - 1; 23: has a GIC */
    FIELD_("L2ECTLR", 15, 1, 9, 0, 3, RW1, l2ectlr, 0, ~0u),
    {"PMCR", 15, 0, 9, 12, 0, RW1 | RW0, F(pmcr), 0x410f3000, PMCR_E | PMCR_D | PMCR_X | PMCR_DP, cp15_pmu_user, NULL,
     cp15_pmcr_write, 0},
    {"PMCNTENSET", 15, 0, 9, 12, 1, RW1 | RW0, F(pmcnten), 0, 0, cp15_pmu_user, NULL, cp15_pmu_bits_write, 0},
    {"PMCNTENCLR", 15, 0, 9, 12, 2, RW1 | RW0, F(pmcnten), 0, 0, cp15_pmu_user, NULL, cp15_pmu_bits_write, 1},
    {"PMOVSR", 15, 0, 9, 12, 3, RW1 | RW0, F(pmovsr), 0, 0, cp15_pmu_user, cp15_pmovsr_read, cp15_pmu_bits_write, 1},
    {"PMSWINC", 15, 0, 9, 12, 4, W1 | W0, NONE, 0, 0, cp15_pmu_user, NULL, cp15_pmswinc_write, 0},
    {"PMSELR", 15, 0, 9, 12, 5, RW1 | RW0, F(pmselr), 0, 31, cp15_pmu_user, NULL, NULL, 0},
    {"PMCEID0", 15, 0, 9, 12, 6, R1 | R0, NONE, PMU_EVENTS, 0, cp15_pmu_user, NULL, ignore, 0},
    {"PMCEID1", 15, 0, 9, 12, 7, R1 | R0, NONE, 0, 0, cp15_pmu_user, NULL, ignore, 0},
    {"PMCCNTR", 15, 0, 9, 13, 0, RW1 | RW0, NONE, 0, 0, cp15_pmu_user, cp15_pmccntr_read, cp15_pmccntr_write, 0},
    {"PMXEVTYPER", 15, 0, 9, 13, 1, RW1 | RW0, NONE, 0, 0, cp15_pmu_user, cp15_pmxev_read, cp15_pmxev_write, 1},
    {"PMXEVCNTR", 15, 0, 9, 13, 2, RW1 | RW0, NONE, 0, 0, cp15_pmu_user, cp15_pmxev_read, cp15_pmxev_write, 0},
    {"PMUSERENR", 15, 0, 9, 14, 0, RW1 | R0, F(pmuserenr), 0, 1, NULL, NULL, NULL, 0},
    {"PMINTENSET", 15, 0, 9, 14, 1, RW1, F(pminten), 0, 0, NULL, NULL, cp15_pmu_bits_write, 0},
    {"PMINTENCLR", 15, 0, 9, 14, 2, RW1, F(pminten), 0, 0, NULL, NULL, cp15_pmu_bits_write, 1},
    {"PMOVSSET", 15, 0, 9, 14, 3, RW1, F(pmovsr), 0, 0, NULL, cp15_pmovsr_read, cp15_pmu_bits_write, 0},

    /* c10: memory attributes */
    {"PRRR", 15, 0, 10, 2, 0, RW1, F(prrr), 0x00098aa4, ~0u, NULL, NULL, cp15_flushing_write, 0},
    {"NMRR", 15, 0, 10, 2, 1, RW1, F(nmrr), 0x44e048e0, ~0u, NULL, NULL, cp15_flushing_write, 0},
    CONST_("AMAIR0", 15, 0, 10, 3, 0, RW1, 0),
    CONST_("AMAIR1", 15, 0, 10, 3, 1, RW1, 0),

    /* c12, c13: vectors, contexts */
    {"VBAR", 15, 0, 12, 0, 0, RW1, F(vbar), 0, 0, NULL, NULL, vbar_write, 0},
    {"MVBAR", 15, 0, 12, 0, 1, RW1, F(mvbar), 0, 0, NULL, NULL, vbar_write, 0},
    {"ISR", 15, 0, 12, 1, 0, R1, NONE, 0, 0, NULL, isr_read, ignore, 0},
    FIELD_("FCSEIDR", 15, 0, 13, 0, 0, RW1, fcseidr, 0, 0),
    {"CONTEXTIDR", 15, 0, 13, 0, 1, RW1, F(contextidr), 0, ~0u, NULL, NULL, cp15_contextidr_write, 0},
    FIELD_("TPIDRURW", 15, 0, 13, 0, 2, RW1 | RW0, tpidrurw, 0, ~0u),
    FIELD_("TPIDRURO", 15, 0, 13, 0, 3, RW1 | R0, tpidruro, 0, ~0u),
    FIELD_("TPIDRPRW", 15, 0, 13, 0, 4, RW1, tpidrprw, 0, ~0u),

    /* c14: generic timer */
    {"CNTFRQ", 15, 0, 14, 0, 0, RW1 | R0, F(cntfrq), 0, ~0u, cp15_user_counter, NULL, NULL, 0},
    FIELD_("CNTKCTL", 15, 0, 14, 1, 0, RW1, cntkctl, 0, 0x3ff),
    {"CNTP_TVAL", 15, 0, 14, 2, 0, RW1 | RW0, NONE, 0, 0, cp15_user_cntp, cp15_timer_read, cp15_timer_write, T_ARG(T_SECURE, T_TVAL)},
    {"CNTP_CTL", 15, 0, 14, 2, 1, RW1 | RW0, NONE, 0, 0, cp15_user_cntp, cp15_timer_read, cp15_timer_write, T_ARG(T_SECURE, T_CTL)},
    {"CNTV_TVAL", 15, 0, 14, 3, 0, RW1 | RW0, NONE, 0, 0, cp15_user_cntv, cp15_timer_read, cp15_timer_write, T_ARG(T_VIRTUAL, T_TVAL)},
    {"CNTV_CTL", 15, 0, 14, 3, 1, RW1 | RW0, NONE, 0, 0, cp15_user_cntv, cp15_timer_read, cp15_timer_write, T_ARG(T_VIRTUAL, T_CTL)},

    /* c15: of the A15 itself */
    {"CBAR", 15, 4, 15, 0, 0, R1, NONE, 0, 0, NULL, cbar_read, ignore, 0},

    /* cp14: debug (C11.8). 6 breakpoints and 4 watchpoints, says DBGDIDR; they keep nothing. */
    CONST_("DBGDIDR", 14, 0, 0, 0, 0, R1 | R0, 0x3515f021),
    CONST_("DBGDSCRint", 14, 0, 0, 1, 0, R1 | R0, 0),
    CONST_("DBGDTRint", 14, 0, 0, 5, 0, RW1 | RW0, 0),
    CONST_("DBGWFAR", 14, 0, 0, 6, 0, RW1, 0),
    CONST_("DBGVCR", 14, 0, 0, 7, 0, RW1, 0),
    CONST_("DBGDTRRXext", 14, 0, 0, 0, 2, RW1, 0),
    CONST_("DBGDSCRext", 14, 0, 0, 2, 2, RW1, 0),
    CONST_("DBGDTRTXext", 14, 0, 0, 3, 2, RW1, 0),
    CONST_("DBGBVR", 14, 0, 0, ANY, 4, RW1, 0),
    CONST_("DBGBCR", 14, 0, 0, ANY, 5, RW1, 0),
    CONST_("DBGWVR", 14, 0, 0, ANY, 6, RW1, 0),
    CONST_("DBGWCR", 14, 0, 0, ANY, 7, RW1, 0),
    CONST_("DBGDRAR", 14, 0, 1, 0, 0, R1 | R0, 0),
    CONST_("DBGBXVR", 14, 0, 1, ANY, 1, RW1, 0),
    CONST_("DBGOSLAR", 14, 0, 1, 0, 4, W1, 0),
    CONST_("DBGOSLSR", 14, 0, 1, 1, 4, R1, 8), /* OS lock implemented, not locked */
    CONST_("DBGOSDLR", 14, 0, 1, 3, 4, RW1, 0),
    CONST_("DBGPRCR", 14, 0, 1, 4, 4, RW1, 0),
    CONST_("DBGPRSR", 14, 0, 1, 5, 4, R1, 1), /* powered up */
    CONST_("DBGDSAR", 14, 0, 2, 0, 0, R1 | R0, 0),
    CONST_("DBGDEVID1", 14, 0, 7, 1, 7, R1, 0),
    CONST_("DBGDEVID", 14, 0, 7, 2, 7, R1, 0),
    CONST_("DBGCLAIMSET", 14, 0, 7, 8, 6, RW1, 0),
    CONST_("DBGCLAIMCLR", 14, 0, 7, 9, 6, RW1, 0),
    CONST_("DBGAUTHSTATUS", 14, 0, 7, 14, 6, R1, 0),
    /* cp14: ThumbEE and Jazelle, of which the trivial one */
    FIELD_("TEECR", 14, 6, 0, 0, 0, RW1 | R0, teecr, 0, 1),
    {"TEEHBR", 14, 6, 1, 0, 0, RW1 | RW0, F(teehbr), 0, ~3u, teehbr_when, NULL, NULL, 0},
    CONST_("JIDR", 14, 7, 0, 0, 0, R1 | R0, 0),
    CONST_("JOSCR", 14, 7, 1, 0, 0, RW1, 0),
    CONST_("JMCR", 14, 7, 2, 0, 0, RW1, 0),
};

static const struct reg64 regs64[] = {
    /* name, cp, opc1, CRm, access, when, read, write, arg */
    {"TTBR0", 15, 0, 2, RW1, NULL, cp15_ttbr_read64, cp15_ttbr_write64, 0},
    {"TTBR1", 15, 1, 2, RW1, NULL, cp15_ttbr_read64, cp15_ttbr_write64, 1},
    {"PAR", 15, 0, 7, RW1, NULL, cp15_par_read64, cp15_par_write64, 0},
    {"PMCCNTR", 15, 0, 9, RW1 | RW0, cp15_pmu_user, cp15_pmccntr_read64, cp15_pmccntr_write64, 0},
    {"CNTPCT", 15, 0, 14, R1 | R0, cp15_user_cntpct, cp15_counter_read64, NULL, 0},
    {"CNTVCT", 15, 1, 14, R1 | R0, cp15_user_cntvct, cp15_counter_read64, NULL, 1},
    {"CNTP_CVAL", 15, 2, 14, RW1 | RW0, cp15_user_cntp, cp15_timer_read64, cp15_timer_write64, T_ARG(T_SECURE, T_CVAL)},
    {"CNTV_CVAL", 15, 3, 14, RW1 | RW0, cp15_user_cntv, cp15_timer_read64, cp15_timer_write64, T_ARG(T_VIRTUAL, T_CVAL)},
    {"CNTVOFF", 15, 4, 14, RW1, cp15_cntvoff_when, cp15_cntvoff_read64, cp15_cntvoff_write64, 0},
    {"DBGDRAR", 14, 0, 1, R1 | R0, NULL, NULL, NULL, 0},
    {"DBGDSAR", 14, 0, 2, R1 | R0, NULL, NULL, NULL, 0},
};

/* clang-format on */

/* -- Finding a row ------------------------------------------------------------------------------------------------------- */

/* Index + 1 by coprocessor, opc1, CRn, CRm, opc2. Filled once: cp15_reset() runs first in LAUNCH. */
static uint8_t by_code[1u << 15];
_Static_assert(ARRAY_SIZE(regs) < 255, "by_code");

static inline uint32_t code(unsigned cp, unsigned opc1, unsigned crn, unsigned crm, unsigned opc2)
{
    return (cp & 1) << 14 | opc1 << 11 | crn << 7 | crm << 3 | opc2;
}

static void index_rows(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        const struct reg *r = &regs[i];
        for (unsigned crm = r->crm == ANY ? 0 : r->crm; crm <= (r->crm == ANY ? 15u : r->crm); crm++) {
            uint8_t *slot = &by_code[code(r->cp, r->opc1, r->crn, crm, r->opc2)];
            CHECK(!*slot || *slot == i + 1, "registers %s and %s have one encoding", r->name, regs[*slot - 1].name);
            *slot = (uint8_t)(i + 1);
        }
    }
}

static const struct reg *find(uint32_t enc)
{
    unsigned cp = bits(enc, 11, 8);
    if (cp != 14 && cp != 15)
        return NULL;
    unsigned i = by_code[code(cp, bits(enc, 23, 21), bits(enc, 19, 16), bits(enc, 3, 0), bits(enc, 7, 5))];
    return i ? &regs[i - 1] : NULL;
}

static const struct reg64 *find64(uint32_t enc)
{
    for (unsigned i = 0; i < ARRAY_SIZE(regs64); i++) {
        const struct reg64 *r = &regs64[i];
        if (r->cp == bits(enc, 11, 8) && r->opc1 == bits(enc, 7, 4) && r->crm == bits(enc, 3, 0))
            return r;
    }
    return NULL;
}

static bool refuse(struct vcpu *v, uint32_t enc, const char *name)
{
    if (!cp15_user(v))
        guest_error("vCPU %u at %#x: no access to cp%u opc1=%u CRn=%u CRm=%u opc2=%u (%s): undefined", v->index,
                    v->r[15], bits(enc, 11, 8), bits(enc, 23, 21), bits(enc, 19, 16), bits(enc, 3, 0), bits(enc, 7, 5),
                    name ? name : "unknown");
    return false;
}

static bool may(struct vcpu *v, unsigned access, bool write)
{
    return access & (write ? (cp15_user(v) ? W0 : W1) : (cp15_user(v) ? R0 : R1));
}

/* -- Accesses ---------------------------------------------------------------------------------------------------------------- */

bool cp15_read(struct vcpu *v, uint32_t enc, uint32_t *val)
{
    const struct reg *r = find(enc);
    if (!r || !may(v, r->access, false) || (r->when && !r->when(v, false)))
        return refuse(v, enc, r ? r->name : NULL);
    *val = r->read ? r->read(v, r) : r->field != NONE ? *cp15_field(v, r) : r->value;
    return true;
}

bool cp15_write(struct vcpu *v, uint32_t enc, uint32_t val)
{
    const struct reg *r = find(enc);
    if (!r || !may(v, r->access, true) || (r->when && !r->when(v, true)))
        return refuse(v, enc, r ? r->name : NULL);
    if (r->write)
        r->write(v, r, val);
    else
        *cp15_field(v, r) = (*cp15_field(v, r) & ~r->mask) | (val & r->mask);
    return true;
}

bool cp15_read64(struct vcpu *v, uint32_t enc, uint64_t *val)
{
    const struct reg64 *r = find64(enc);
    if (!r || !may(v, r->access, false) || (r->when && !r->when(v, false)))
        return refuse(v, enc, r ? r->name : NULL);
    *val = r->read ? r->read(v, r) : 0;
    return true;
}

bool cp15_write64(struct vcpu *v, uint32_t enc, uint64_t val)
{
    const struct reg64 *r = find64(enc);
    if (!r || !may(v, r->access, true) || (r->when && !r->when(v, true)))
        return refuse(v, enc, r ? r->name : NULL);
    r->write(v, r, val);
    return true;
}

const char *cp15_name(uint32_t enc, bool is64)
{
    const struct reg *r = is64 ? NULL : find(enc);
    const struct reg64 *r64 = is64 ? find64(enc) : NULL;
    return r ? r->name : r64 ? r64->name : NULL;
}

void cp15_reset(struct vcpu *v)
{
    pmu_reset(v);
    static _Atomic bool indexed;
    /* Resets may run side by side in vCPUs' threads; the first of all is in LAUNCH, so the index is there. */
    if (!atomic_exchange_explicit(&indexed, true, memory_order_relaxed))
        index_rows();
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        if (regs[i].field != NONE)
            *cp15_field(v, &regs[i]) = regs[i].value;
    }
    struct arm_sys *s = &v->sys;
    s->ttbr0 = s->ttbr1 = s->par = 0;
    s->mpidr |= v->index;
    s->l2ctlr |= ((nvcpus ? nvcpus - 1 : 0) & 3) << 24;
    s->cntfrq = v->cpu_ops ? v->cpu_ops->cntfrq_hz : 0;
}
