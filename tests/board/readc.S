/* readc.S — CPU 1 waits for a key; CPU 0 asks for 300 flushes of all translations meanwhile, says D, and waits for CPU 1.
 * The exit code is the key. Run with --smp=2 --iciallu=flush. */
    .syntax unified
    .global _start
_start:
    mrc     p15, 0, r0, c0, c0, 5
    tst     r0, #255
    bne     second
    ldr     r5, =waits
1:  ldr     r0, [r5]
    cmp     r0, #1
    bne     1b
    mov     r6, #300
2:  mcr     p15, 0, r0, c7, c5, 0   /* ICIALLU */
    isb
    subs    r6, r6, #1
    bne     2b
    adr     r1, done
    mov     r0, #3                  /* SYS_WRITEC */
    svc     0x123456
3:  b       3b
second:
    ldr     r5, =waits
    mov     r0, #1
    str     r0, [r5]
    mov     r0, #7                  /* SYS_READC */
    svc     0x123456
    ldr     r1, =exit_block
    str     r0, [r1, #4]
    mov     r0, #0x20
    svc     0x123456
    b       .
done: .ascii "D\n\0\0"
    .ltorg
exit_block: .word 0x20026, 0
waits:      .word 0
