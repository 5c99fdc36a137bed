/* idle.S — all CPUs sleep in WFI; CPU 0 has a timer of 100 Hz as an idle kernel has */
    .syntax unified
    .global _start
_start:
    mrc     p15, 0, r0, c0, c0, 5
    tst     r0, #255
0:  wfine
    bne     0b
    ldr     r0, =0x2c001000
    mov     r1, #1
    str     r1, [r0]
    mov     r1, #1 << 27
    str     r1, [r0, #0x100]
    ldr     r0, =0x2c002000
    mov     r1, #1
    str     r1, [r0]
    mov     r1, #255
    str     r1, [r0, #4]
    mov     r1, #1
    mcr     p15, 0, r1, c14, c3, 1
1:  ldr     r1, =625000             /* 10 ms */
    mcr     p15, 0, r1, c14, c3, 0
    isb
    wfi
    b       1b
