/* serial.S — UART0 gives back each key, with its case bit turned; a raw image that --kernel takes. `!` restarts the machine, `?` shuts it
 * down. At its begin it says so. */
    .syntax unified
    .global _start
_start:
    adr     r1, hello
1:  ldrb    r0, [r1], #1
    cmp     r0, #0
    beq     2f
    bl      send
    b       1b
2:  bl      receive
    cmp     r0, #'!'
    ldreq   r1, =0xc0900000
    beq     3f
    cmp     r0, #'?'
    ldreq   r1, =0xc0800000
    beq     3f
    eor     r0, r0, #0x20
    bl      send
    b       2b
3:  ldr     r0, =0x1c010000
    str     r1, [r0, #0xa4]         /* SYS_CFGCTRL */
    b       .
send:
    ldr     r2, =0x1c090000
    str     r0, [r2]
    bx      lr
receive:
    ldr     r2, =0x1c090000
4:  ldr     r0, [r2, #0x18]         /* UARTFR.RXFE */
    tst     r0, #0x10
    bne     4b
    ldr     r0, [r2]
    bx      lr
    .ltorg
hello: .asciz "up\n"
    .balign 4096                    /* less is no kernel */
    .word 0
