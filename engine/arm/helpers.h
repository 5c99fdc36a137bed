/*
 * helpers.h — declarations of the C functions that translated guest code calls (rows: engine/ir/helpers.def)
 *
 * Context: GUEST. The signature follows from the row: the vCPU, then as many 32-bit values as it says.
 */
#ifndef ENGINE_ARM_HELPERS_H
#define ENGINE_ARM_HELPERS_H

#include "engine/ir/helpers.h"
#include "engine/vcpu/vcpu.h"

#define HELPER_ARGS_0                             struct vcpu *v
#define HELPER_ARGS_1                             struct vcpu *v, uint32_t a
#define HELPER_ARGS_2                             struct vcpu *v, uint32_t a, uint32_t b
#define HELPER_ARGS_3                             struct vcpu *v, uint32_t a, uint32_t b, uint32_t c
#define HELPER(id, function, args, result, attrs) HELPER_DECLARE_##args(result, function)
/* The result letter is a character constant; a function's type needs a name. */
#define HELPER_DECLARE_0(result, f) HELPER_DECLARE(result, f, HELPER_ARGS_0)
#define HELPER_DECLARE_1(result, f) HELPER_DECLARE(result, f, HELPER_ARGS_1)
#define HELPER_DECLARE_2(result, f) HELPER_DECLARE(result, f, HELPER_ARGS_2)
#define HELPER_DECLARE_3(result, f) HELPER_DECLARE(result, f, HELPER_ARGS_3)
#define HELPER_DECLARE(result, f, ...)                          \
 __typeof__(__builtin_choose_expr((result) == 'd', (uint64_t)0, \
                                  __builtin_choose_expr((result) == 'w', (uint32_t)0, (void)0))) f(__VA_ARGS__);
#include "engine/ir/helpers.def"
#undef HELPER

#endif
