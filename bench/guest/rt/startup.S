/* startup.S — first instructions of every CPU, exception vectors and the exception frame.
 *
 * Every CPU starts at _start in A32, secure SVC, MMU and caches off; MPIDR tells them apart. The
 * rest is built in the guest's own instruction set: the T32 build also takes its exceptions in T32
 * (SCTLR.TE).
 *
 * All exceptions store their return state on the SVC stack (SRS), save r0-r12 and lr there and call
 * rt_exception(frame, kind) in SVC mode. The frame pointer that comes back is the one resumed, so a
 * context switch is a hook that returns another frame. No CLREX here: whether one is needed is the
 * guest's business.
 */
    .file   "startup.S" /* else the symbol table holds the name of a temporary file */
    .syntax unified

#ifdef __thumb__
#define W(op) op##.w
#define ISA .thumb
#define FUNC .thumb_func
#else
#define W(op) op
#define ISA .arm
#define FUNC
#endif

#define MODE_FIQ 0x11
#define MODE_IRQ 0x12
#define MODE_SVC 0x13
#define MODE_ABT 0x17
#define MODE_UND 0x1b
#define MODE_SYS 0x1f

#define SVC_STACK 0x8000
#define EXC_STACK 0x400

    .section .text.start, "ax"
    .arm
    .global _start
_start:
    cpsid   aif, #MODE_SVC
    mrc     p15, 0, r4, c0, c0, 5
    and     r4, r4, #0xff
    cmp     r4, #8
    bhs     park

    /* A known SCTLR: MMU, D-cache, alignment checks, low-vector override and Thumb exceptions off. */
    mrc     p15, 0, r0, c1, c0, 0
    ldr     r1, =0x70002007
    bic     r0, r0, r1
#ifdef __thumb__
    orr     r0, r0, #0x40000000
#endif
    mcr     p15, 0, r0, c1, c0, 0
    ldr     r0, =rt_vectors
    mcr     p15, 0, r0, c12, c0, 0
    /* ACTLR.SMP: the A15 takes part in coherency and sees broadcast maintenance only with this bit. */
    mrc     p15, 0, r0, c1, c0, 1
    orr     r0, r0, #0x40
    mcr     p15, 0, r0, c1, c0, 1
    isb
#ifdef __ARM_FP
    /* VFP and Advanced SIMD on, for guests that are compiled for them. Exceptions do not save their registers. */
    mrc     p15, 0, r0, c1, c0, 2
    orr     r0, r0, #(0xf << 20)
    mcr     p15, 0, r0, c1, c0, 2
    isb
    mov     r0, #(1 << 30)
    vmsr    fpexc, r0
    mov     r0, #0
    vmsr    fpscr, r0
#endif

    /* Stacks of the exception modes: one row of 8 CPUs for each mode. */
    add     r5, r4, #1
    ldr     r6, =rt_exc_stacks
    mov     r7, #EXC_STACK
    mla     r6, r5, r7, r6
    .irp    mode, MODE_FIQ, MODE_IRQ, MODE_ABT, MODE_UND, MODE_SYS
    cps     #\mode
    mov     sp, r6
    add     r6, r6, #(8 * EXC_STACK)
    .endr
    cps     #MODE_SVC
    ldr     r6, =rt_svc_stacks
    mov     r7, #SVC_STACK
    mla     sp, r5, r7, r6

    cmp     r4, #0
    beq     2f
    /* rt_boot is in .data: the others may look before CPU 0 has touched anything. */
    ldr     r6, =rt_boot
1:  ldr     r0, [r6]
    cmp     r0, #0
    bne     2f
    wfe
    b       1b
2:  dmb     ish
    mov     r0, r4
    ldr     r12, =rt_start
    blx     r12
park:
    wfi
    b       park
    .ltorg

    .text
    ISA
    .balign 32
    .global rt_vectors
rt_vectors:
    W(b)    rt_vec_reset
    W(b)    rt_vec_und
    W(b)    rt_vec_svc
    W(b)    rt_vec_pabt
    W(b)    rt_vec_dabt
    W(b)    rt_vec_hyp
    W(b)    rt_vec_irq
    W(b)    rt_vec_fiq

    /* adj makes the saved pc the preferred one: the aborted instruction for aborts, the next one to
     * run for interrupts and SVC. Undefined keeps the raw lr (+4 in A32, +2 in T32): only the hook
     * knows the width. */
    .macro handler name, kind, adj
    FUNC
\name:
    .if \adj
    W(sub)  lr, lr, #\adj
    .endif
    srsdb   sp!, #MODE_SVC
    cps     #MODE_SVC
    push    {r0-r12, lr}
    mov     r1, #\kind
    b       rt_exc_common
    .endm

    handler rt_vec_reset, 0, 0
    handler rt_vec_und, 1, 0
    handler rt_vec_svc, 2, 0
    handler rt_vec_pabt, 3, 4
    handler rt_vec_dabt, 4, 8
    handler rt_vec_hyp, 5, 0
    handler rt_vec_irq, 6, 4
    handler rt_vec_fiq, 7, 4

    FUNC
rt_exc_common:
    mov     r0, sp
    bic     r5, r0, #7
    mov     sp, r5
    ldr     r2, =rt_exception
    blx     r2
    /* void rt_resume(struct rt_frame *): also how a first context is entered. */
    .global rt_resume
    .type   rt_resume, %function
    FUNC
rt_resume:
    mov     sp, r0
    pop     {r0-r12, lr}
    rfeia   sp!
    .ltorg

    .section .bss
    .balign 64
rt_exc_stacks:
    .space  5 * 8 * EXC_STACK
rt_svc_stacks:
    .space  8 * SVC_STACK

    .data
    .balign 64
    .global rt_boot
rt_boot:
    .word   0
    .space  60
