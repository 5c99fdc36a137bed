/* psci.S — PSCI calls of two CPUs; the exit code is the number of the check that failed, and 0 comes from SYSTEM_OFF */
    .syntax unified
    .arch_extension virt
    .arch_extension sec
    .global _start

#ifndef CALL
#define CALL hvc
#endif
    .macro check result, n
    mov     r10, #\n
    ldr     r11, =\result
    cmp     r0, r11
    bne     failed
    .endm
    .macro psci function, a=0, b=0, c=0
    ldr     r0, =\function
    ldr     r1, =\a
    ldr     r2, =\b
    ldr     r3, =\c
    bl      call
    .endm

_start:
    mrc     p15, 0, r0, c0, c0, 5
    ands    r0, r0, #255
    movne   r0, #0
    check   0, 1                    /* no other CPU is here by itself */
    psci    0x84000000              /* PSCI_VERSION */
    check   2, 2
    psci    0x84000004, 1, 0        /* AFFINITY_INFO of CPU 1: off */
    check   1, 3
    psci    0x84000003, 1, second, 0x77
    check   0, 4
    bl      answer
    check   0x78, 5
1:  psci    0x84000003, 1, second, 0x79 /* until it is off, it is on */
    cmp     r0, #0
    beq     2f
    check   -4, 6
    b       1b
2:  psci    0x84000003, 1, second, 0    /* pending, or on already */
    cmp     r0, #-5
    moveq   r0, #-4
    check   -4, 7
    bl      answer
    check   0x7a, 8
3:  psci    0x84000004, 1, 0
    cmp     r0, #1
    bne     3b
    psci    0x84000004, 0, 0
    check   0, 9
    psci    0x84000004, 0, 1        /* the cluster */
    check   0, 10
    psci    0x84000003, 9, second, 0
    check   -2, 11
    psci    0x84000003, 0x80000001, second, 0
    check   -2, 12
    psci    0x84000004, 2, 0        /* there are two */
    check   -2, 13
    psci    0x84000003, 0, second, 0
    check   -4, 14
    psci    0x84000006              /* MIGRATE_INFO_TYPE */
    check   2, 15
    psci    0x84000005              /* MIGRATE */
    check   -1, 16
    psci    0x84000063
    check   -1, 17
    psci    0xc4000003, 1, second, 0    /* for 64-bit callers */
    check   -1, 18

    /* CPU_SUSPEND ends by an interrupt that is masked: SGI 1 to itself. */
    ldr     r0, =0x2c001000
    mov     r1, #1
    str     r1, [r0]                /* GICD_CTLR */
    ldr     r2, =0x2c002000
    str     r1, [r2]                /* GICC_CTLR */
    mov     r1, #255
    str     r1, [r2, #4]            /* GICC_PMR */
    ldr     r1, =0x02000001
    str     r1, [r0, #0xf00]        /* GICD_SGIR */
    psci    0x84000001, 0, 0, 0
    check   0, 19

    /* A word of SRAM outlives a reset. */
    ldr     r0, =0x14001000
    ldr     r1, [r0]
    mov     r2, #1
    str     r2, [r0]
    cmp     r1, #0
    ldreq   r0, =0x84000009         /* SYSTEM_RESET */
    ldrne   r0, =0x84000008         /* SYSTEM_OFF */
    bl      call
    mov     r10, #20                /* they do not return */
failed:
    ldr     r1, =exit_block
    str     r10, [r1, #4]
    mov     r0, #0x20
    svc     0x123456
    b       .

call:
    CALL    #0
    bx      lr

/* r0 = what CPU 1 said */
answer:
    ldr     r1, =mailbox
1:  ldr     r0, [r1]
    cmp     r0, #0
    beq     1b
    mov     r2, #0
    str     r2, [r1]
    bx      lr

/* CPU 1 says its context plus one, and goes when that was read. */
second:
    ldr     r1, =mailbox
    add     r0, r0, #1
    str     r0, [r1]
1:  ldr     r0, [r1]
    cmp     r0, #0
    bne     1b
    ldr     r0, =0x84000002         /* CPU_OFF */
    CALL    #0
    mov     r0, #0xbad
    str     r0, [r1]
    b       .

    .ltorg
exit_block: .word 0x20026, 0
mailbox:    .word 0
