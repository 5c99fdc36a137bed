/* idle.S — all CPUs sleep in WFI; CPU 0 has a timer of 100 Hz as an idle kernel has */
#include "timer.inc"
    .syntax unified
    .global _start
_start:
    mrc     p15, 0, r0, c0, c0, 5
    tst     r0, #255
0:  wfine
    bne     0b
    virtual_timer_on
1:  ldr     r1, =625000             /* 10 ms */
    mcr     p15, 0, r1, c14, c3, 0
    isb
    wfi
    b       1b
