/*
 * helpers.h — numbers and properties of the C functions that blocks call (rows: helpers.def)
 *
 * The functions themselves are declared by whoever implements them (engine/arm/helpers.h); those who only
 * call them, the backends, make their tables from the same rows.
 */
#ifndef ENGINE_IR_HELPERS_H
#define ENGINE_IR_HELPERS_H

#include "engine/base/base.h"

enum helper_id {
#define HELPER(id, function, args, result, attrs) HELPER_##id,
#include "engine/ir/helpers.def"
#undef HELPER
    HELPER_COUNT
};

struct ir_helper_info {
    const char *name; /* of the function */
    uint8_t nargs;
    char result;                                                     /* '-', 'w', 'd' */
    bool reads_regs, writes_regs, reads_flags, writes_flags, leaves; /* attributes r w f g x */
};

extern const struct ir_helper_info ir_helper_info[]; /* by enum helper_id */
extern const unsigned ir_helper_count;               /* HELPER_COUNT, for comparisons */

#endif
