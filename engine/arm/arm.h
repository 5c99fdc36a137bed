/*
 * arm.h — the guest CPU as the rest of the engine sees it
 */
#ifndef ENGINE_ARM_ARM_H
#define ENGINE_ARM_ARM_H

#include "engine/ir/ir.h"
#include "engine/vcpu/key.h"
#include "engine/vcpu/vcpu.h"

/* Key flags for the present state of v. */
uint32_t arm_tb_flags(const struct vcpu *v);

/* -- Front end: guest code to IR (translate.c, sem_*.c) ------------------------------------------------------- */

struct arm_translate_req {
    uint32_t pc;         /* without the T bit */
    uint32_t flags;      /* TBF_* */
    const uint8_t *host; /* code of the page of pc: host points at the byte of pc */
    unsigned page_left;  /* bytes from pc to the end of its page */
    const uint8_t *next; /* first bytes of the next virtual page if a 4-byte T32 instruction crosses, else NULL */
    unsigned max_insns;  /* 1.. */
    uint32_t stop_at;    /* end before the instruction at this address, which is above pc; 0: no such */
    bool exact_flags;    /* flags that the next block does not read are right all the same */
};
struct arm_translated {
    uint32_t nbytes; /* guest bytes covered */
    uint32_t ninsns;
    bool needs_next; /* the first instruction crosses the page and req.next was NULL: fetch the next page, ask again */
    /* Bytes outside [pc, pc+nbytes) of the same page that flag liveness looked at: the block depends on them too. */
    uint32_t peek_lo, peek_hi; /* virtual addresses [lo, hi), lo == hi: none */
};
/* Fill b. XLATE context: no blocking, no guest access other than the bytes given. Then runs ir_optimise. */
void arm_translate_block(struct ir_block *b, const struct arm_translate_req *req, struct arm_translated *out);

/* Text of one instruction for --dump and dumps (capstone). */
void arm_disasm(uint32_t pc, bool thumb, const uint8_t *bytes, unsigned len, char *out, size_t outlen);

/* -- State ---------------------------------------------------------------------------------------------------- */

void arm_reset(struct vcpu *v, const uint32_t regs[16], uint32_t cpsr);
uint32_t arm_cpsr_read(const struct vcpu *v); /* the whole CPSR; v->it, v->thumb, flags merged */
/* Write bits of mask with the effect of an exception return or MSR (mode switch banks registers, E, T, IT by
 * mask). Own thread, at a safepoint or in a helper. */
void arm_cpsr_write(struct vcpu *v, uint32_t val, uint32_t mask);
void arm_switch_mode(struct vcpu *v, uint32_t mode);

/* -- Exceptions (exception.c) ------------------------------------------------------------------------------------ */

enum arm_exception {
    EXC_RESET,
    EXC_UNDEF,
    EXC_SVC,
    EXC_PREFETCH_ABORT,
    EXC_DATA_ABORT,
    EXC_IRQ,
    EXC_FIQ,
    EXC_SMC,
    EXC_HVC
};
/* Change state to the handler's entry: v->r[15], cpsr, banked registers. pc_t: address of the instruction (| T).
 * Does not leave; clears the local monitor through the atomics scheme (arm_clear_exclusive). */
void arm_take_exception(struct vcpu *v, enum arm_exception exc);
/* At a safepoint: take the highest pending unmasked interrupt if any (v->lines, CPSR). */
bool arm_take_interrupt(struct vcpu *v);
/* Would an interrupt be taken now / wake WFI (masked ones wake too)? */
bool arm_interrupt_deliverable(const struct vcpu *v);

/* Set by exec/ at launch: the atomics scheme's clear hook. */
extern void (*arm_clear_exclusive)(struct vcpu *v);

#endif
