/* clock.S — says what CNTVCT is, in hexadecimal, a line every 20 ms, asleep in between; for ever */
#include "timer.inc"
    .syntax unified
    .global _start
_start:
    virtual_timer_on
again:
    ldr     r1, =1250000            /* 20 ms of 16 ns */
    mcr     p15, 0, r1, c14, c3, 0  /* CNTV_TVAL */
    isb
1:  wfi
    mrc     p15, 0, r1, c14, c3, 1
    tst     r1, #4                  /* ISTATUS */
    beq     1b
    mrrc    p15, 1, r4, r5, c14
    ldr     r6, =text
    mov     r7, #16
2:  lsr     r0, r5, #28             /* the highest digit of r5:r4 */
    cmp     r0, #10
    addlo   r0, r0, #'0'
    addhs   r0, r0, #'a' - 10
    strb    r0, [r6], #1
    lsl     r5, r5, #4
    orr     r5, r5, r4, lsr #28
    lsl     r4, r4, #4
    subs    r7, r7, #1
    bne     2b
    ldr     r1, =text
    mov     r0, #4                  /* SYS_WRITE0 */
    svc     0x123456
    b       again
    .ltorg
text: .ascii "0000000000000000\n\0\0\0"
