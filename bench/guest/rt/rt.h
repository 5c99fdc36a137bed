/* rt.h — the guests' runtime: start, parameters, output, CPUs, interrupts, time, MMU.
 *
 * A guest defines RT_GUEST("name") and guest_main(), which runs on CPU 0 with the other CPUs
 * asleep, and ends with rt_pass() or rt_fail(). What it prints is the same for the same parameters
 * and CPU count, except for lines that begin with "#!" (measurements, allowed differences).
 *
 * Parameters that every guest understands (key=value on the command line):
 *   mmu=1       identity map by short descriptors, caches on (0: everything off)
 *   cpus=all    use only so many of the machine's CPUs
 *   idle=wfe    how CPUs without work sleep: wfe or wfi (woken by an SGI)
 *   relax=wfe   what a waiting loop of the runtime does: wfe, yield or busy
 */
#ifndef RT_H
#define RT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RT_MAX_CPUS 8
#define RT_LINE     64
#define RT_PAGE     4096

#define RT_GUEST(n) const char rt_name[] = n
extern const char rt_name[];
void guest_main(void);

#define ALIGNED(n) __attribute__((aligned(n)))
/* noipa: the compiler must not conclude from a callee's body what an exception hook leaves alone. */
#define NOINLINE     __attribute__((noinline, noclone, noipa))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#ifdef __thumb__
# define RT_THUMB 1
# define RT_ISA   "T32"
#else
# define RT_THUMB 0
# define RT_ISA   "A32"
#endif

/* -- parameters and output --------------------------------------------------------------------- */

/* All parameters with spaces between them; filled before guest_main(). */
#define RT_CMDLINE 1024
extern char rt_cmdline[RT_CMDLINE];
uint32_t rt_param(const char *key, uint32_t def);
/* The value of a parameter that is a word; valid until the guest ends. */
const char *rt_param_str(const char *key, const char *def);
bool rt_streq(const char *a, const char *b);

/* %d %u %x %c %s %% with width, 0 and -, and ll. Only one CPU may print at a time. */
void rt_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void rt_putc(char c);
/* One "#! metric" line. */
void rt_metric(const char *name, uint64_t value, const char *unit);
void rt_metric_rate(const char *name, uint64_t count, uint64_t ns, const char *unit);
_Noreturn void rt_pass(void);
_Noreturn void rt_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Semihosting call (ARM's Angel interface). */
uint32_t rt_semi(uint32_t op, const void *arg);
_Noreturn void rt_exit(int code);

/* -- instructions ------------------------------------------------------------------------------ */

static inline void rt_dmb(void)
{
    asm volatile("dmb ish" ::: "memory");
}
static inline void rt_dsb(void)
{
    asm volatile("dsb ish" ::: "memory");
}
static inline void rt_isb(void)
{
    asm volatile("isb" ::: "memory");
}
static inline void rt_sev(void)
{
    asm volatile("dsb ish\n\tsev" ::: "memory");
}
static inline void rt_wfe(void)
{
    asm volatile("wfe" ::: "memory");
}
static inline void rt_wfi(void)
{
    asm volatile("dsb ish\n\twfi" ::: "memory");
}
static inline void rt_yield(void)
{
    asm volatile("yield" ::: "memory");
}
static inline void rt_clrex(void)
{
    asm volatile("clrex" ::: "memory");
}
static inline void rt_irq_on(void)
{
    asm volatile("cpsie i" ::: "memory");
}
static inline void rt_irq_off(void)
{
    asm volatile("cpsid i" ::: "memory");
}

#define RT_MRC(op1, crn, crm, op2)                                                     \
 (                                                                                     \
     {                                                                                 \
uint32_t v_;                                                                           \
asm volatile("mrc p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 : "=r"(v_)::"memory"); \
v_;                                                                                    \
     })
#define RT_MCR(op1, crn, crm, op2, val) \
 asm volatile("mcr p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 ::"r"((uint32_t)(val)) : "memory")

static inline unsigned rt_cpu(void)
{
    return RT_MRC(0, c0, c0, 5) & 0xff;
}

#define RT_RD32(a)    (*(volatile uint32_t *)(uintptr_t)(a))
#define RT_WR32(a, v) (*(volatile uint32_t *)(uintptr_t)(a) = (v))

/* Full barriers on both sides. Returns the old value. */
static inline uint32_t rt_atomic_add(volatile uint32_t *p, uint32_t n)
{
    uint32_t old, sum, fail;
    asm volatile("dmb ish\n"
                 "1: ldrex %0, [%3]\n\tadd %1, %0, %4\n\tstrex %2, %1, [%3]\n\tcmp %2, #0\n\tbne 1b\n\t"
                 "dmb ish"
                 : "=&r"(old), "=&r"(sum), "=&r"(fail)
                 : "r"(p), "r"(n)
                 : "cc", "memory");
    return old;
}

/* xorshift32: small, seeded, the same everywhere; state must not be 0. */
static inline uint32_t rt_rand(uint32_t *s)
{
    uint32_t x = *s;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *s = x;
}

/* FNV-1a: sum is 2166136261, or any other start, or what a call before this one returned. */
static inline uint32_t rt_fnv(uint32_t sum, const void *p, uint32_t bytes)
{
    const uint8_t *b = p;
    for (uint32_t i = 0; i < bytes; i++)
        sum = (sum ^ b[i]) * 16777619u;
    return sum;
}

/* -- CPUs -------------------------------------------------------------------------------------- */

unsigned rt_ncpus(void);
/* Runs fn(cpu, arg) on all CPUs and waits for all. CPU 0 only. */
void rt_parallel(void (*fn)(unsigned cpu, void *arg), void *arg);
/* The same, started together; returns the time from the common start to the last end, in ns. */
uint64_t rt_parallel_roi(void (*fn)(unsigned cpu, void *arg), void *arg);
/* All CPUs of an rt_parallel meet here. */
void rt_barrier(void);
/* One step of a waiting loop; whoever ends the wait must rt_sev(). */
void rt_relax(void);

/* -- exceptions -------------------------------------------------------------------------------- */

enum rt_kind { RT_RESET, RT_UND, RT_SVC, RT_PABT, RT_DABT, RT_HYP, RT_IRQ, RT_FIQ, RT_NKINDS };

struct rt_frame {
    uint32_t r[13];
    uint32_t lr; /* lr_svc: meaningless in a frame of SVC taken from SVC mode */
    uint32_t pc; /* see startup.S for what it points to */
    uint32_t cpsr;
};

/* Runs in SVC mode with IRQs masked; returns the frame to resume. */
typedef struct rt_frame *(*rt_hook)(struct rt_frame *f, enum rt_kind kind);
void rt_set_hook(enum rt_kind kind, rt_hook hook);
_Noreturn void rt_resume(struct rt_frame *f);

/* -- GIC --------------------------------------------------------------------------------------- */

#define RT_GICD 0x2c001000u
#define RT_GICC 0x2c002000u
enum { RT_IRQ_VTIMER = 27, RT_IRQ_SPTIMER = 29, RT_IRQ_NSPTIMER = 30, RT_IRQ_SP804_01 = 34, RT_IRQ_SP804_23 = 35 };

void rt_irq_enable(unsigned id, unsigned cpu_mask); /* mask: for SPIs only */
void rt_irq_disable(unsigned id);
static inline uint32_t rt_irq_ack(void)
{
    return RT_RD32(RT_GICC + 0x0c);
}
static inline void rt_irq_eoi(uint32_t iar)
{
    RT_WR32(RT_GICC + 0x10, iar);
}
static inline void rt_sgi(unsigned cpu_mask, unsigned id)
{
    rt_dsb();
    RT_WR32(RT_GICD + 0xf00, cpu_mask << 16 | id);
}

/* -- time -------------------------------------------------------------------------------------- */

/* Ticks of the virtual counter, or of the board's 24 MHz counter where CNTFRQ is not set (then 32
 * bits). */
uint64_t rt_ticks(void);
uint32_t rt_tick_hz(void);
/* Time between two rt_ticks() readings; one wrap of the 32-bit counter is handled. */
uint64_t rt_elapsed_ns(uint64_t from, uint64_t to);
uint64_t rt_ns_to_ticks(uint64_t ns);
void rt_delay_ns(uint64_t ns);
/* Sleeps in WFI on the secure physical timer; IRQs must be masked, and the timer is left off. */
void rt_sleep_ns(uint64_t ns);

/* Secure physical timer (PPI 29): we run in secure SVC. */
static inline void rt_ptimer_set(uint32_t ticks, uint32_t ctl)
{
    RT_MCR(0, c14, c2, 0, ticks);
    RT_MCR(0, c14, c2, 1, ctl);
    rt_isb();
}
static inline void rt_vtimer_set(uint32_t ticks, uint32_t ctl)
{
    RT_MCR(0, c14, c3, 0, ticks);
    RT_MCR(0, c14, c3, 1, ctl);
    rt_isb();
}

/* -- memory ------------------------------------------------------------------------------------ */

bool rt_mmu_on(void);
extern uint32_t rt_l1[4096];
/* Section and page attributes: Normal write-back shareable, full access. */
#define RT_SECT_NORMAL 0x00011c0eu /* S, TEX=001 C B, AP=011, section */
#define RT_SECT_DEVICE 0x00010c16u /* S, B, XN, AP=011 */
#define RT_PAGE_NORMAL 0x0000047eu /* S, TEX=001 C B, AP=011, small page */
/* Hangs a second-level table of 256 words under the 1 MiB at va (domain 0). Maintenance is the
 * caller's. */
void rt_map_table(uint32_t va, uint32_t *l2);
static inline void rt_tlb_flush_all(void)
{
    rt_dsb();
    RT_MCR(0, c8, c3, 0, 0); /* TLBIALLIS */
    rt_dsb();
    rt_isb();
}
void rt_tlb_flush_page(uint32_t va); /* on all CPUs, all ASIDs */
/* Ascending, for percentiles. */
void rt_sort(uint32_t *v, uint32_t n);
/* Makes written code visible to execution on all CPUs: clean to PoU, invalidate, barriers. */
void rt_sync_code(const void *start, size_t bytes);

void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
void *memmove(void *, const void *, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);
int strcmp(const char *, const char *);
char *strcpy(char *, const char *);

#endif
