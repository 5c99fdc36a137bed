/*
 * vec.h — one vector operation while it is lowered: what vec.c gives to the files of lower_vec*.c
 */
#ifndef ENGINE_X64_VEC_H
#define ENGINE_X64_VEC_H

#include "engine/ir/vec_ops.h"
#include "engine/x64/asm_vex.h"
#include "engine/x64/emit.h"

/* Temporaries of one operation: xmm registers above those that vregs.c manages. */
enum { X0 = KEPT_XMM, X1, X2, X3, X4, X5, X6, XSCALAR };

struct vec {
    struct xlate *x;
    struct x64_asm *a;
    uint32_t arg[3]; /* of the call */
    enum vec_op op;
    uint32_t regs, imm;
    unsigned d, n, m; /* bytes in v->vfp[] */
    bool dq, nq, mq;  /* 16 bytes */
};

/* Operands in xmm registers, not to be written; those of a D register have anything in the upper half. */
int vec_n(struct vec *v);
int vec_m(struct vec *v);
int vec_d(struct vec *v);
/* The result, in a register of vreg_temp(). */
bool vec_done(struct vec *v, int t);

static inline void vx(struct vec *v, uint32_t op, int dst, int a, int b)
{
    asm_vex_rrr(v->a, op, dst, a, b);
}
/* One source: no register in the second place. */
static inline void vx2(struct vec *v, uint32_t op, int dst, int src)
{
    asm_vex_rrr(v->a, op, dst, NO_REG, src);
}
static inline void vxi(struct vec *v, uint32_t op, int dst, int a, int b, unsigned imm)
{
    asm_vex_rrri(v->a, op, dst, a, b, (uint8_t)imm);
}
/* With a constant of the pool. */
static inline void vxp(struct vec *v, uint32_t op, int dst, int a, enum pool_entry p)
{
    asm_vex_pool(v->a, op, dst, a, x64_stubs.pool + 16 * p);
}

/* Shifts of all lanes of 8 << log2 bits by a constant, 0 .. the width; dst may be src. Use X5, X6. */
void vec_shl(struct vec *v, unsigned log2, int dst, int src, unsigned k);
void vec_shr(struct vec *v, unsigned log2, bool is_unsigned, int dst, int src, unsigned k);
void vec_shr_rounded(struct vec *v, unsigned log2, bool is_unsigned, int dst, int src, unsigned k);
/* FPSCR.QC if any bit of the destination's bytes in xmm is set. Destroys EFLAGS. */
void vec_saturated(struct vec *v, int xmm, bool q);

extern const uint32_t vec_max_op[2][3], vec_min_op[2][3]; /* [unsigned][log2] */
uint32_t vec_add_op(unsigned log2, bool sub);
uint32_t vec_cmpeq_op(unsigned log2);

/* Cases of a switch (op) that return `call`, in which log2 and is_unsigned are the element's. GCC's case ranges: the numbers
 * of an operation for all element types follow each other (ir/vec_ops.def). */
#define EACH_SIGNED3(name, call)                   \
case VOP_##name##_s8... VOP_##name##_u32: {        \
 const unsigned log2 = (op - VOP_##name##_s8) % 3; \
 const bool is_unsigned = op >= VOP_##name##_u8;   \
 return call;                                      \
}
#define EACH_SIGNED4(name, call)                   \
case VOP_##name##_s8... VOP_##name##_u64: {        \
 const unsigned log2 = (op - VOP_##name##_s8) % 4; \
 const bool is_unsigned = op >= VOP_##name##_u8;   \
 return call;                                      \
}
#define EACH_SIZES(name, last, call)          \
case VOP_##name##_8... VOP_##name##_##last: { \
 const unsigned log2 = op - VOP_##name##_8;   \
 return call;                                 \
}

/* What they can do: true if it has been emitted. */
bool lower_vec_wide(struct vec *v);
bool lower_vec_fp(struct vec *v);
bool lower_vec_permute(struct vec *v, uint32_t what);
bool lower_vec_table(struct vec *v);
bool lower_vec_structure(struct vec *v, bool load);

#endif
