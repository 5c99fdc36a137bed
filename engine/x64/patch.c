/*
 * patch.c — point a jump somewhere else while others run through it
 *
 * The rel32 lies within an aligned 8-byte word (asm_*_patch), so the store is one access on every host, and a
 * processor fetches the old or the new displacement. Both are valid: a jump is only pointed at code that was complete
 * and published before, or back at its own block's stub.
 */
#include "engine/x64/x64.h"

void x64_patch_jump(uint8_t *jump_rw, const uint8_t *jump_rx, const uint8_t *target)
{
    int64_t rel = target - (jump_rx + 4);
    int32_t rel32 = (int32_t)rel;

    CHECK(rel == rel32, "jump over %" PRId64 " bytes", rel);
    CHECK(((uintptr_t)jump_rx & 7) <= 4, "patched displacement at %p crosses 8 bytes", (const void *)jump_rx);
    /* Not atomic_store: the address need not be a multiple of 4. Orders like a release store: earlier stores of this
     * thread (the target's code, through the other view) are visible before it, and x86 keeps stores in order. */
    __asm__ volatile("movl %1, %0" : "=m"(*(volatile char(*)[4])jump_rw) : "r"(rel32) : "memory");
}
