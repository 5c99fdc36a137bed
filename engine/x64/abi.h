/*
 * abi.h — where guest state lives while translated code runs, and the offsets that emitted code assumes
 *
 * Which guest register gets which host register: r0..r3 are the busiest and get the registers that need no REX prefix as
 * far as there are any; r4..r7 live in registers that C functions preserve, so that a call of a helper reloads
 * only the others; sp is the usual base of an address and must not be r12 or r13, which need longer encodings
 * there.
 *
 * rsp is 8 mod 16 in every block: a call of a thunk pushes 8, and the thunk can call C. A frame of the shadow
 * stack is 16 bytes (key, return address) and keeps it so.
 */
#ifndef ENGINE_X64_ABI_H
#define ENGINE_X64_ABI_H

#include "engine/vcpu/vcpu.h"
#include "engine/x64/asm.h"

#define HOST_VCPU RBP

/* Host register of guest register g, or NO_REG: r8..r11 stay in v->r[]. */
static inline int host_of(unsigned g)
{
    static const int8_t map[15] = {RDI, R8, RSI, RBX, R12, R13, R14, R15, NO_REG, NO_REG, NO_REG, NO_REG, R9, R11, R10};

    return map[g];
}

/* Does C preserve it? */
static inline bool callee_saved(int host)
{
    return host == RBX || host == RBP || host >= R12;
}

static inline bool is_scratch(int r)
{
    return r >= RAX && r <= RDX;
}

/* The field of struct vcpu at this offset. */
static inline struct x64_mem vmem(size_t offset)
{
    return mem_b(HOST_VCPU, (int32_t)offset - VCPU_BIAS);
}
#define VFIELD(field) vmem(offsetof(struct vcpu, field))

static inline struct x64_mem greg_mem(unsigned g)
{
    return vmem(offsetof(struct vcpu, r) + 4 * (size_t)g);
}

/* Below the sentinel frame this much stack belongs to the shadow stack of returns. The C functions that translated
 * code calls run below it. */
#define RAS_BYTES (64 * 1024)

/* The key of the sentinel frame and of the empty jump cache entry never equals a target: bit 1 without bit 0 is no
 * aligned ARM address and no Thumb one. Should a guest branch there all the same, it takes the miss path. */
#define RAS_SENTINEL 2u

#define SPILL_SLOTS  ARRAY_SIZE(((struct vcpu *)0)->spill)

/* What emitted code assumes. */
_Static_assert(VCPU_BIAS == 128, "disp8 window");
_Static_assert(offsetof(struct vcpu, spill) + sizeof(((struct vcpu *)0)->spill) <= 256,
               "hot fields in the disp8 window");
_Static_assert(offsetof(struct vcpu, guess) + sizeof(((struct vcpu *)0)->guess) <= 256, "guesses in the disp8 window");
_Static_assert(offsetof(struct vcpu, r) == 0, "registers first");
_Static_assert(sizeof(((struct vcpu *)0)->nf) == 1 && sizeof(((struct vcpu *)0)->zf) == 1 &&
                   sizeof(((struct vcpu *)0)->cf) == 1 && sizeof(((struct vcpu *)0)->vf) == 1,
               "flags are bytes: setcc stores them, cmp and movzx read them at the same width");
_Static_assert(sizeof(((struct vcpu *)0)->poll) == 4, "polled as a dword");
_Static_assert(sizeof(struct jc_entry) == 16 && offsetof(struct jc_entry, key) == 0 &&
                   offsetof(struct jc_entry, host) == 8,
               "jump cache entries are addressed as (pc & mask) * 8");
_Static_assert((JC_ENTRIES & (JC_ENTRIES - 1)) == 0, "jump cache index is a mask");
_Static_assert(sizeof(((struct vcpu *)0)->flat.load[0][0]) == 8 &&
                   sizeof(((struct vcpu *)0)->flat.watched[0][0]) == 8 &&
                   sizeof(((struct vcpu *)0)->flat.exec[0][0]) == 4,
               "scales of the flat tables");
_Static_assert(sizeof(struct vcpu) < INT32_MAX, "every field is in reach of disp32");

#endif
