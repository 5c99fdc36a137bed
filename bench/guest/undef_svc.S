/* undef_svc.S — the instructions that undef_svc.c checks, one routine each. */
    .file   "undef_svc.S"
    .syntax unified
    .arch armv7-a
    .arch_extension virt
    .arch_extension sec

#ifdef __thumb__
#define ISA .thumb
#define OTHER .arm
#define T32(...) __VA_ARGS__
#define A32(...)
#else
#define ISA .arm
#define OTHER .thumb
#define T32(...)
#define A32(...) __VA_ARGS__
#endif

    .macro func name
    .balign 4
    .global \name
    .type   \name, %function
    T32(.thumb_func)
\name:
    .endm

    .text
    ISA

/* -- one exception each; r0 = 42 shows that execution went on right behind it ------------------ */

    func us_udf
    mov     r0, #41
    .global us_udf_at
us_udf_at:
    udf     #0x5a
    add     r0, r0, #1
    bx      lr

    func us_udf_wide
    mov     r0, #41
    .global us_udf_wide_at
us_udf_wide_at:
    T32(udf.w   #0x1234)
    A32(udf     #0xabcd)
    add     r0, r0, #1
    bx      lr

    func us_vfp
    mov     r0, #41
    .global us_vfp_at
us_vfp_at:
    T32(.inst.w 0xeeb00a40) /* VMOV.F32 s0, s0 */
    A32(.inst   0xeeb00a40)
    add     r0, r0, #1
    bx      lr

    func us_hvc
    mov     r0, #41
    .global us_hvc_at
us_hvc_at:
    hvc     #0
    add     r0, r0, #1
    bx      lr

    func us_bkpt
    mov     r0, #41
    .global us_bkpt_at
us_bkpt_at:
    bkpt    #0x11
    add     r0, r0, #1
    bx      lr

    func us_svc
    push    {r4, lr}
    svc     #0x21
    .global us_svc_next
us_svc_next:
    pop     {r4, pc}

    func us_svc_high
    push    {r4, lr}
    T32(svc     #0xfe)
    A32(svc     #0xabcdef)
    pop     {r4, pc}

/* r0 == 0: +1 by the hook between +1 and +2; else +0x10, +0x20. In T32 the SVC is the second of an
 * IT block. */
    func us_svc_it
    push    {r4, lr}
    cmp     r0, #0
    ittt    eq
    addeq   r0, r0, #1
    svceq   #0x21
    addeq   r0, r0, #2
    bne     1f
    pop     {r4, pc}
1:  cmp     r0, #0
    ittt    ne
    addne   r0, r0, #0x10
    movne   r1, r1
    addne   r0, r0, #0x20
    pop     {r4, pc}

/* -- user mode: no stack and no lr of ours in between ------------------------------------------ */

    func us_user
    push    {r4-r7, lr}
    mov     r7, r0
    mov     r6, #0xa0000000
    orr     r6, r6, #0x13
    svc     #0x11
    mrs     r4, cpsr
    cps     #0x13               /* no effect in user mode */
    cpsid   i
    msr     cpsr_fc, r6         /* flags only */
    mrs     r5, cpsr
    mrc     p15, 0, r0, c1, c0, 0
    svc     #0x12
    mrs     r6, cpsr
    stmia   r7, {r4-r6}
    pop     {r4-r7, pc}

/* -- banked registers: r0 = what to write, r1 = where to read back; order usr svc abt und irq fiq  */

    .equ    B_SP, 0
    .equ    B_LR, 24
    .equ    B_SPSR, 48
    .equ    B_FIQ, 68
    .equ    B_USR, 88

    .macro each_mode body
    \body   0x1f, 0
    \body   0x17, 2
    \body   0x1b, 3
    \body   0x12, 4
    \body   0x11, 5
    .endm
    .macro save_one mode, i
    cps     #\mode
    mov     r2, sp
    str     r2, [r3], #4
    mov     r2, lr
    str     r2, [r3], #4
    .endm
    .macro write_one mode, i
    cps     #\mode
    ldr     r2, [r0, #(B_SP + \i * 4)]
    mov     sp, r2
    ldr     r2, [r0, #(B_LR + \i * 4)]
    mov     lr, r2
    .if \i
    ldr     r2, [r0, #(B_SPSR + (\i - 1) * 4)]
    msr     spsr_cxsf, r2
    .endif
    .endm
    .macro read_one mode, i
    cps     #\mode
    mov     r2, sp
    str     r2, [r1, #(B_SP + \i * 4)]
    mov     r2, lr
    str     r2, [r1, #(B_LR + \i * 4)]
    .if \i
    mrs     r2, spsr
    str     r2, [r1, #(B_SPSR + (\i - 1) * 4)]
    .endif
    .endm
    .macro restore_one mode, i
    cps     #\mode
    ldr     r2, [r3], #4
    mov     sp, r2
    ldr     r2, [r3], #4
    mov     lr, r2
    .endm

    func us_banks
    push    {r4-r12, lr}
    sub     sp, sp, #40
    mov     r3, sp
    mov     r4, sp
    each_mode save_one
    cps     #0x13
    /* SVC's own stack pointer is in use: its bank is written and read from SYS mode, by the banked
     * MRS and MSR. */
    mov     r5, sp
    mov     r6, lr
    each_mode write_one
    cps     #0x11
    ldr     r8, [r0, #B_FIQ]
    ldr     r9, [r0, #(B_FIQ + 4)]
    ldr     r10, [r0, #(B_FIQ + 8)]
    ldr     r11, [r0, #(B_FIQ + 12)]
    ldr     r12, [r0, #(B_FIQ + 16)]
    cps     #0x1f
    ldr     r8, [r0, #B_USR]
    ldr     r9, [r0, #(B_USR + 4)]
    ldr     r10, [r0, #(B_USR + 8)]
    ldr     r11, [r0, #(B_USR + 12)]
    ldr     r12, [r0, #(B_USR + 16)]
    ldr     r2, [r0, #(B_SP + 4)]
    msr     SP_svc, r2
    ldr     r2, [r0, #(B_LR + 4)]
    msr     LR_svc, r2
    ldr     r2, [r0, #B_SPSR]
    msr     SPSR_svc, r2
    mrs     r2, SP_svc
    str     r2, [r1, #(B_SP + 4)]
    mrs     r2, LR_svc
    str     r2, [r1, #(B_LR + 4)]
    mrs     r2, SPSR_svc
    str     r2, [r1, #B_SPSR]
    each_mode read_one
    cps     #0x11
    str     r8, [r1, #B_FIQ]
    str     r9, [r1, #(B_FIQ + 4)]
    str     r10, [r1, #(B_FIQ + 8)]
    str     r11, [r1, #(B_FIQ + 12)]
    str     r12, [r1, #(B_FIQ + 16)]
    cps     #0x1f
    str     r8, [r1, #B_USR]
    str     r9, [r1, #(B_USR + 4)]
    str     r10, [r1, #(B_USR + 8)]
    str     r11, [r1, #(B_USR + 12)]
    str     r12, [r1, #(B_USR + 16)]
    /* The same once more by other ways: FIQ's by the banked MRS, what differs shows as a wrong
     * value. */
    mrs     r2, SP_fiq
    str     r2, [r1, #(B_SP + 20)]
    mrs     r2, r10_fiq
    str     r2, [r1, #(B_FIQ + 8)]
    mrs     r2, SPSR_irq
    str     r2, [r1, #(B_SPSR + 12)]
    mov     r3, r4
    each_mode restore_one
    cps     #0x13
    mov     sp, r5
    mov     lr, r6
    add     sp, sp, #40
    pop     {r4-r12, pc}

/* -- SRS: onto the SYS stack at r0, lr = r1, spsr = r2; r3: DB, IA, DA, IB; returns the new stack pointer  */

    func us_srs
    push    {r4, r5, lr}
    cps     #0x1f
    mov     r4, sp
    mov     sp, r0
    cps     #0x13
    mov     lr, r1
    msr     spsr_cxsf, r2
    cmp     r3, #1
    beq     1f
    A32(cmp     r3, #2)
    A32(beq     2f)
    A32(cmp     r3, #3)
    A32(beq     3f)
    srsdb   sp!, #0x1f
    b       9f
1:  srsia   sp!, #0x1f
    A32(b       9f)
    A32(2: srsda   sp!, #0x1f)
    A32(b       9f)
    A32(3: srsib   sp!, #0x1f)
9:  cps     #0x1f
    mov     r0, sp
    mov     sp, r4
    cps     #0x13
    pop     {r4, r5, pc}

/* -- RFE: base r0, frame to fill r1, cpsr r2; r3: IA, DB, IB, DA; returns the flags and the base's low byte  */

    func us_rfe
    push    {r4, lr}
    adr     r12, 9f
    str     r12, [r1]
    str     r2, [r1, #4]
    cmp     r3, #1
    beq     1f
    A32(cmp     r3, #2)
    A32(beq     2f)
    A32(cmp     r3, #3)
    A32(beq     3f)
    rfeia   r0!
    udf     #1
1:  rfedb   r0!
    udf     #1
    A32(2: rfeib   r0!)
    A32(udf     #1)
    A32(3: rfeda   r0!)
    A32(udf     #1)
    .balign 4
9:  mrs     r1, cpsr
    and     r0, r0, #0xff
    and     r1, r1, #0xf0000000
    orr     r0, r0, r1
    pop     {r4, pc}

/* -- exception returns within SVC mode: spsr with the flags r0; r1: SUBS, ERET, in A32 also MOVS and LDM  */

    func us_return
    push    {r4, lr}
    mrs     r2, cpsr
    bic     r2, r2, #0xf0000000
    orr     r2, r2, r0
    T32(orr     r2, r2, #0x20)
    msr     spsr_cxsf, r2
    adr     lr, 9f
    cmp     r1, #1
    beq     1f
    A32(cmp     r1, #2)
    A32(beq     2f)
    A32(cmp     r1, #3)
    A32(beq     3f)
    A32(add     lr, lr, #4)
    A32(subs    pc, lr, #4)
    /* T32's offset is 8 bits: use another one. */
    T32(add.w   lr, lr, #8)
    T32(subs    pc, lr, #8)
    udf     #2
1:  eret
    udf     #2
    A32(2: movs    pc, lr)
    A32(udf     #2)
    A32(3: push    {r1, lr})
    A32(ldmia   sp!, {r1, pc}^)
    A32(udf     #2)
    .balign 4
9:  mrs     r0, cpsr
    and     r0, r0, #0xf0000000
    pop     {r4, pc}

/* -- interworking: BLX label, BX, POP {pc}, LDR pc; A32 also MOV pc ---------------------------- */

    func us_interwork
    push    {r4, lr}
    blx     other_1             /* +1, back by BX lr */
    ldr     r1, =other_2
    blx     r1                  /* +2, back by POP {pc} */
    ldr     r1, =other_4
    blx     r1                  /* +4, back by LDR pc */
    ldr     r1, =other_8
    blx     r1                  /* +8, in A32 back by MOV pc */
    pop     {r4, pc}
    .ltorg

    OTHER
    .balign 4
    .type   other_1, %function
A32(.thumb_func)
other_1:
    add     r0, r0, #1
    bx      lr
    .balign 4
    .type   other_2, %function
A32(.thumb_func)
other_2:
    push    {r4, lr}
    add     r0, r0, #2
    pop     {r4, pc}
    .balign 4
    .type   other_4, %function
A32(.thumb_func)
other_4:
    push    {r4, lr}
    add     r0, r0, #4
    ldr     r12, [sp, #4]
    str     r12, [sp, #4]
    add     sp, sp, #4
    ldr     pc, [sp], #4
    .balign 4
    .type   other_8, %function
A32(.thumb_func)
other_8:
    add     r0, r0, #8
    T32(mov     pc, lr)
    A32(bx      lr)

    .section .rodata
    .balign 4
    .global us_srs_variants, us_rfe_variants, us_return_variants
us_srs_variants:
us_rfe_variants:
us_return_variants:
    T32(.word 2)
    A32(.word 4)
