/*
 * init.c — x64_init: is the host one that emitted code can run on, and the stubs
 *
 * The C functions behind the thunks are referred to weakly, so that the backend's tests link without the layers
 * that provide them.
 */
#include "engine/x64/x64.h"

#include <cpuid.h>

#include "engine/mem/softmmu.h"
#include "engine/tb/code.h"
#include "engine/x64/stubs.h"
#include "strategies/atomics/atomics.h"

#define WEAK(function) extern __typeof__(function) function __attribute__((weak))
WEAK(slow_load);
WEAK(slow_load64);
WEAK(slow_store);
WEAK(slow_store64);
WEAK(slow_ldm);
WEAK(slow_stm);
WEAK(exec_jump_cache_miss);
WEAK(code_stub_space);
WEAK(atomics);
/* Only their addresses are used here; engine/arm/helpers.h has the types. */
#define HELPER(id, function, args, result, attrs) extern void function(void) __attribute__((weak));
#include "engine/ir/helpers.def"
#undef HELPER

static struct x64_calls calls = {
    .load = slow_load,
    .load64 = slow_load64,
    .store = slow_store,
    .store64 = slow_store64,
    .ldm = slow_ldm,
    .stm = slow_stm,
    .jump_cache_miss = exec_jump_cache_miss,
    .helper =
        {
#define HELPER(id, function, args, result, attrs) [HELPER_##id] = function,
#include "engine/ir/helpers.def"
#undef HELPER
        },
};

/* BMI1 (andn), BMI2 (shlx, rorx), LZCNT: without the last, its encoding would run as bsr. */
static bool host_ok(struct error *e)
{
    unsigned a, b, c, d;
    bool bmi = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_BMI) && (b & bit_BMI2);

    if (bmi && __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT))
        return true;
    error_set(e, 1, "this host's CPU lacks BMI1, BMI2 or LZCNT, which translated code uses (Haswell, Zen or later)");
    return false;
}

bool x64_init(struct error *e)
{
    struct code_span span = code_stub_space();
    size_t used;

    if (!host_ok(e))
        return false;
    calls.atomics = &atomics ? atomics : NULL;
    if (!x64_stubs_build(span, &calls, &used)) {
        error_set(e, 1, "the %zu bytes of code memory set aside for stubs are too few", span.bytes);
        return false;
    }
    return true;
}
