/* wfe.S — 200 WFEs with an event stream of 2.1 ms take their time, and end; the exit code is 1 if they were too fast */
    .syntax unified
    .global _start
_start:
    mov     r0, #0xf4               /* CNTKCTL: EVNTEN, bit 15 of the count rises every 65536 * 16 ns */
    mcr     p15, 0, r0, c14, c1, 0
    isb
    wfe                             /* the event register may be set */
    wfe
    mrrc    p15, 1, r4, r5, c14     /* CNTVCT */
    mov     r6, #200
1:  wfe
    subs    r6, r6, #1
    bne     1b
    mrrc    p15, 1, r0, r1, c14
    subs    r0, r0, r4
    sbc     r1, r1, r5
    lsrs    r0, r0, #16
    orr     r0, r0, r1, lsl #16
    cmp     r0, #198
    movlo   r0, #1
    movhs   r0, #0
    ldr     r1, =exit_block
    str     r0, [r1, #4]
    mov     r0, #0x20
    svc     0x123456
    b       .
    .ltorg
exit_block: .word 0x20026, 0
