/* vfp.h — turns VFP and Advanced SIMD on, for guests that build.sh compiles for them.
 *
 * Each CPU calls rt_vfp_on() before it touches a register of theirs. Exceptions do not save these registers.
 */
#ifndef RT_VFP_H
#define RT_VFP_H

#include "rt.h"

static inline void rt_vfp_on(void)
{
    uint32_t x;
    asm volatile("mrc p15, 0, %0, c1, c0, 2\n\t"
                 "orr %0, %0, #(0xf << 20)\n\t" /* CPACR: cp10, cp11 */
                 "mcr p15, 0, %0, c1, c0, 2\n\t"
                 "isb\n\t"
                 "mov %0, #(1 << 30)\n\t" /* FPEXC.EN */
                 "vmsr fpexc, %0\n\t"
                 "mov %0, #0\n\t"
                 "vmsr fpscr, %0"
                 : "=r"(x)
                 :
                 : "memory");
}

#endif
