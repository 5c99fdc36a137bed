/*
 * vfp.h — what the semantics of VFP and Advanced SIMD share
 */
#ifndef ENGINE_ARM_VFP_H
#define ENGINE_ARM_VFP_H

#include "engine/arm/xlate.h"

/* Offsets in struct vcpu: the host is little-endian, so single 2n is the lower half of double n. */
#define VFP_D(n) (offsetof(struct vcpu, vfp) + 8 * (size_t)(n))
#define VFP_S(n) (offsetof(struct vcpu, vfp) + 4 * (size_t)(n))

/* These return false having made the instruction Undefined. */
bool vfp_enabled(struct xlate *x);
bool vfp_regs_exist(struct xlate *x, unsigned highest); /* D registers */

ir_val vfp_ld64(struct xlate *x, unsigned d);
void vfp_st64(struct xlate *x, unsigned d, ir_val v);
/* The word at this offset with `width` bits from `lsb` replaced by v. */
void vfp_insert(struct xlate *x, size_t word, unsigned lsb, unsigned width, ir_val v);
/* v's low 8 << log2 bits in all lanes of a word. */
ir_val vfp_replicate(struct xlate *x, ir_val v, unsigned log2);

#endif
