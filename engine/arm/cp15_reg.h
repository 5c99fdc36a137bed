/*
 * cp15_reg.h — the rows of cp15.c's table, and the accessors that have files of their own
 */
#ifndef ENGINE_ARM_CP15_REG_H
#define ENGINE_ARM_CP15_REG_H

#include "engine/arm/state.h"
#include "engine/vcpu/vcpu.h"

enum { R1 = 1, W1 = 2, R0 = 4, W0 = 8, RW1 = R1 | W1, RW0 = R0 | W0 };
#define ANY 16 /* of CRm: all of them */

struct reg {
    const char *name;
    uint8_t cp, opc1, crn, crm, opc2, access;
    uint16_t field; /* offset in struct arm_sys, or NONE */
    uint32_t value; /* at reset */
    uint32_t mask;  /* writable bits */
    bool (*when)(struct vcpu *v, bool write);
    uint32_t (*read)(struct vcpu *v, const struct reg *r);
    void (*write)(struct vcpu *v, const struct reg *r, uint32_t val);
    uint8_t arg;
};
#define NONE 0xffff

struct reg64 {
    const char *name;
    uint8_t cp, opc1, crm, access;
    bool (*when)(struct vcpu *v, bool write);
    uint64_t (*read)(struct vcpu *v, const struct reg64 *r);
    void (*write)(struct vcpu *v, const struct reg64 *r, uint64_t val);
    uint8_t arg;
};

static inline bool cp15_user(const struct vcpu *v)
{
    return arm_mode(v) == MODE_USR;
}

static inline uint32_t *cp15_field(struct vcpu *v, const struct reg *r)
{
    return (uint32_t *)(void *)((char *)&v->sys + r->field);
}

/* -- MMU (cp15_mmu.c) ------------------------------------------------------------------------------- */

void cp15_sctlr_write(struct vcpu *v, const struct reg *r, uint32_t val);
void cp15_flushing_write(struct vcpu *v, const struct reg *r, uint32_t val);
void cp15_ttbcr_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint32_t cp15_ttbr_read(struct vcpu *v, const struct reg *r);
void cp15_ttbr_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint64_t cp15_ttbr_read64(struct vcpu *v, const struct reg64 *r);
void cp15_ttbr_write64(struct vcpu *v, const struct reg64 *r, uint64_t val);
void cp15_dacr_write(struct vcpu *v, const struct reg *r, uint32_t val);
void cp15_contextidr_write(struct vcpu *v, const struct reg *r, uint32_t val);

/* arg of a row: bit 0 write, bit 1 User. */
void cp15_ats_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint32_t cp15_par_read(struct vcpu *v, const struct reg *r);
void cp15_par_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint64_t cp15_par_read64(struct vcpu *v, const struct reg64 *r);
void cp15_par_write64(struct vcpu *v, const struct reg64 *r, uint64_t val);

/* arg of a row: what to flush, and TLBI_IS if on all CPUs. */
enum { TLBI_ALL, TLBI_MVA, TLBI_ASID, TLBI_MVAA, TLBI_IS = 4 };
void cp15_tlbi_write(struct vcpu *v, const struct reg *r, uint32_t val);

/* -- Generic timer (cp15_timer.c): arg of a row ----------------------------------------------------- */

enum { T_SECURE, T_NONSECURE, T_HYP, T_VIRTUAL };
enum { T_CTL, T_CVAL, T_TVAL };
#define T_ARG(which, reg) ((which) << 2 | (reg))

bool cp15_user_counter(struct vcpu *v, bool write);
bool cp15_user_cntpct(struct vcpu *v, bool write);
bool cp15_user_cntvct(struct vcpu *v, bool write);
bool cp15_user_cntv(struct vcpu *v, bool write);
bool cp15_user_cntp(struct vcpu *v, bool write);
uint32_t cp15_timer_read(struct vcpu *v, const struct reg *r);
void cp15_timer_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint64_t cp15_timer_read64(struct vcpu *v, const struct reg64 *r);
void cp15_timer_write64(struct vcpu *v, const struct reg64 *r, uint64_t val);
uint64_t cp15_counter_read64(struct vcpu *v, const struct reg64 *r);
bool cp15_cntvoff_when(struct vcpu *v, bool write);
uint64_t cp15_cntvoff_read64(struct vcpu *v, const struct reg64 *r);
void cp15_cntvoff_write64(struct vcpu *v, const struct reg64 *r, uint64_t val);

/* -- Performance monitors (cp15_pmu.c) -------------------------------------------------------------- */

bool cp15_pmu_user(struct vcpu *v, bool write);
void cp15_pmcr_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint32_t cp15_pmovsr_read(struct vcpu *v, const struct reg *r);
void cp15_pmu_bits_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint32_t cp15_pmccntr_read(struct vcpu *v, const struct reg *r);
void cp15_pmccntr_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint64_t cp15_pmccntr_read64(struct vcpu *v, const struct reg64 *r);
void cp15_pmccntr_write64(struct vcpu *v, const struct reg64 *r, uint64_t val);
void cp15_pmswinc_write(struct vcpu *v, const struct reg *r, uint32_t val);
uint32_t cp15_pmxev_read(struct vcpu *v, const struct reg *r);
void cp15_pmxev_write(struct vcpu *v, const struct reg *r, uint32_t val);

#endif
