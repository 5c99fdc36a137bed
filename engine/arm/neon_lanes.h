/*
 * neon_lanes.h — a vector's lanes, and the functions that compute them, one for each row of ir/vec_ops.def
 *
 * Each works on copies of up to 16 bytes, so that destination and operands may overlap. Lanes beyond a D register's 8
 * bytes hold zeros and are computed too, unless the operation could set a cumulative bit for a zero.
 */
#ifndef ENGINE_ARM_NEON_LANES_H
#define ENGINE_ARM_NEON_LANES_H

#include "engine/base/base.h"
#include "engine/ir/vec_ops.h"

typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

union vec {
    s8 s8[16];
    s16 s16[8];
    s32 s32[4];
    s64 s64[2];
    u8 u8[16];
    u16 u16[8];
    u32 u32[4];
    u64 u64[2];
};

struct vec_ctx {
    u32 fpscr; /* standard form; collects the cumulative bits */
    u32 imm;
    unsigned bytes; /* of the destination */
};

/* d: the old value of the destination, then the new one. Integers are in neon_int.c, floating point is in neon_fp.c. */
typedef void neon_fn(struct vec_ctx *c, union vec *d, const union vec *n, const union vec *m);
#define OP(name) neon_fn neon_##name;
#include "engine/ir/vec_ops.def"
#undef OP

#define MAYBE __attribute__((unused))
#define FN(name) \
 void neon_##name(MAYBE struct vec_ctx *c, MAYBE union vec *d, MAYBE const union vec *n, MAYBE const union vec *m)

#define LANES(T) (16 / sizeof(T))

#endif
