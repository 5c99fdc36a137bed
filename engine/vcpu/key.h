/*
 * key.h — the flags of a block's key: everything a translation may depend on besides the code bytes
 *
 * Made by engine/arm from the vCPU's state, read by the front end and the back end.
 */
#ifndef ENGINE_VCPU_KEY_H
#define ENGINE_VCPU_KEY_H

#include "engine/base/base.h"

enum {
    TBF_THUMB = BIT(0),
    TBF_PRIV = BIT(1),        /* not User mode */
    TBF_BE = BIT(2),          /* CPSR.E */
    TBF_ALIGN = BIT(3),       /* SCTLR.A */
    TBF_VFP = BIT(4),         /* VFP usable: FPEXC.EN and CPACR allow it */
    TBF_SINGLE = BIT(5),      /* bounded throw-away block: exactly `count` instructions, not cached */
    TBF_IT_SHIFT = 8,         /* ITSTATE, 8 bits */
    TBF_SYSMODE = BIT(16),    /* mode is Sys: has no SPSR (UNPREDICTABLE cases only) */
    TBF_NO_NEON = BIT(17),    /* with TBF_VFP: CPACR.ASEDIS */
    TBF_NO_D32 = BIT(18),     /* with TBF_VFP: CPACR.D32DIS, d16..d31 are Undefined */
    TBF_VFP_VECTOR = BIT(19), /* with TBF_VFP: FPSCR.LEN or STRIDE is not 0 */
    TBF_VFP_MODE = BIT(20),   /* with TBF_VFP: FPSCR.RMODE or FZ is not 0 */
};

#endif
