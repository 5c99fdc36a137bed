/*
 * vec_ops.h — numbers of the vector operations, and how their operands are told to the helper
 */
#ifndef ENGINE_IR_VEC_OPS_H
#define ENGINE_IR_VEC_OPS_H

#include "engine/base/base.h"

#define SIZES2(name)  OP(name##_16) OP(name##_32)
#define SIZES3(name)  OP(name##_8) SIZES2(name)
#define SIZES4(name)  SIZES3(name) OP(name##_64)
#define SIGNED3(name) OP(name##_s8) OP(name##_s16) OP(name##_s32) OP(name##_u8) OP(name##_u16) OP(name##_u32)
#define SIGNED4(name) \
 OP(name##_s8) OP(name##_s16) OP(name##_s32) OP(name##_s64) OP(name##_u8) OP(name##_u16) OP(name##_u32) OP(name##_u64)

enum vec_op {
#define OP(name) VOP_##name,
#include "engine/ir/vec_ops.def"
#undef OP
    VOP_COUNT
};

/* The second argument of helper_vec(): numbers of D registers, and flags. */
enum {
    VREG_N = 5,
    VREG_M = 10,       /* shifts of these numbers; d is in bits 4..0 */
    VREG_DQ = BIT(15), /* 16 bytes rather than 8 */
    VREG_NQ = BIT(16),
    VREG_MQ = BIT(17),
    VREG_Q = VREG_DQ | VREG_NQ | VREG_MQ,
    VREG_SCALAR = BIT(18),  /* m: one element for all lanes */
    VREG_SCALAR_SIZE = 19,  /* shift: log2 of its bytes, 2 bits */
    VREG_SCALAR_INDEX = 21, /* shift: 3 bits */
    VREG_IMM = BIT(24),     /* m: the low byte of imm in every byte */
    VREG_NONE = BIT(25),    /* no m */
};

/* The first argument of helper_vec_permute(): | log2 of the element's bytes << 4. */
enum { PERMUTE_SWP, PERMUTE_TRN, PERMUTE_UZP, PERMUTE_ZIP };

/* The second argument of helper_vec_(de)interleave(). */
#define INTERLEAVE(count, step, log2) ((count) | (step) << 4 | (log2) << 8)

#endif
