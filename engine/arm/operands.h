/*
 * operands.h — the `arg` values of the instruction tables
 */
#ifndef ENGINE_ARM_OPERANDS_H
#define ENGINE_ARM_OPERANDS_H

#include "engine/ir/vec_ops.h"
#include "engine/ir/helpers.h"
#include "engine/ir/ir.h"

/* Data processing: numbered as the A32 opcode field; ORN exists in T32 only. */
enum dp_op {
    DP_AND,
    DP_EOR,
    DP_SUB,
    DP_RSB,
    DP_ADD,
    DP_ADC,
    DP_SBC,
    DP_RSC,
    DP_TST,
    DP_TEQ,
    DP_CMP,
    DP_CMN,
    DP_ORR,
    DP_MOV,
    DP_BIC,
    DP_MVN,
    DP_ORN,
    DP_OP = 0x1f,
    DP_S_OUTSIDE_IT = 0x20, /* T16: sets the flags unless in an IT block */
    DP_RDN = 0x40,          /* T16: Rn (the first operand) is Rd */
    DP_SP = 0x80,           /* T16: Rn (and Rd, without a field) is SP */
    DP_T32 = 0x100,         /* T32: no data processing writes PC but the T16 high-register forms */
};
enum shift_type { SH_LSL, SH_LSR, SH_ASR, SH_ROR };
#define DP_SHIFT(type) ((uint32_t)(type) << 12) /* shift type that the encoding implies */

/* Loads and stores: the low byte is MEM_* of ir.h. */
enum {
    MEMF_LOAD = 0x100,
    MEMF_OFFSET = 0x200,  /* no P U W fields: base + offset, no write-back */
    MEMF_SP = 0x400,      /* base is SP */
    MEMF_LITERAL = 0x800, /* base is PC */
    MEMF_T32 = 0x1000,
    MEMF_POST = 0x2000,    /* post-indexed: no P W fields */
    MEMF_SCALE_SHIFT = 16, /* the immediate counts units of 1 << this */
};
#define MEMF_SCALE(n) ((uint32_t)(n) << MEMF_SCALE_SHIFT)

/* Extensions */
enum ext_kind { EXT_SXTB, EXT_SXTH, EXT_UXTB, EXT_UXTH, EXT_SXTB16, EXT_UXTB16, EXT_KIND = 7, EXT_ADD = 8 };

/* Long multiplies */
enum mull_op { MULL_U, MULL_S, MULL_ACC = 2 };

/* Unary operations */
enum un_op { UN_REV, UN_REV16, UN_REVSH, UN_CLZ, UN_RBIT };

/* VFP and Advanced SIMD */
/* clang-format off */
enum vfp_op {
    VFP_ADD, VFP_SUB, VFP_MUL, VFP_NMUL, VFP_DIV, VFP_MLA, VFP_MLS, VFP_NMLA, VFP_NMLS,
    VFP_FMA, VFP_FMS, VFP_FNMA, VFP_FNMS, VFP_MOV, VFP_ABS, VFP_NEG, VFP_SQRT
};
/* clang-format on */
enum { VFP_LOAD = 0x100, VFP_DOWN = 0x200, VFP_DOUBLE = 0x400 };
/* enum vec_op and how the size of the elements enters */
#define NEON(op, flags) (VOP_##op | (flags))
/* clang-format off */
enum {
    NS_SIGNED3 = 0x1000, NS_SIGNED4 = 0x2000, NS_SIZES2 = 0x3000, NS_SIZES3 = 0x4000, NS_SIZES4 = 0x5000,
    NS_BELOW1 = 0x6000, NS_BELOW2 = 0x7000, /* no size over the first one, two */
    NS_KIND = 0xf000,
    NS_OP = 0xfff,
    NS_SWAP = 0x10000,   /* the operands change places */
    NS_LONG = 0x20000,   /* Q from D */
    NS_WIDE = 0x40000,   /* Q from Q and D */
    NS_NARROW = 0x80000, /* D from Q */
    NS_FLOAT = 0x100000, /* size 10 only */
    NS_RIGHT = 0x200000, /* a shift to the right */
    NS_PLAIN = 0x400000, /* its amount is given as it is, not as a negative shift to the left */
};
/* clang-format on */
#define NS_BELOW(n) ((n) == 1 ? NS_BELOW1 : NS_BELOW2)
/* n elements in a structure; groups of n registers that are `step` apart; which alignment fields exist: 1 none or 8
 * bytes, 2 up to 16, 3 up to 32 */
#define MULTI(n, groups, step, align) ((n) | (groups) << 4 | (step) << 12 | (align) << 16)

enum hint_op { HINT_NOP, HINT_YIELD, HINT_WFE, HINT_WFI, HINT_SEV };

#endif
