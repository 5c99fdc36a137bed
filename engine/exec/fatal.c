/*
 * fatal.c — guest states that nothing can come of, and what a vCPU looks like as text
 *
 * A program that takes an exception without having vectors loops for ever: the vector's address cannot be fetched, or what
 * lies there is no instruction, so the vector raises the exception that leads to it. A board would hang silently.
 * It is recognised by the return address: the instruction that failed is the one at the vector itself. A handler
 * that works may be like that once (a page of it is being mapped by another CPU), so it takes some repetitions.
 */
#include "engine/exec/fatal.h"

#include "engine/arm/arm.h"
#include "machines/machine.h"

#define REPEATS 64

static struct {
    uint32_t pc_t;
    unsigned times;
} CACHE_ALIGNED watched[MAX_VCPUS]; /* W, R: own thread */

#define EVENTS 16

struct event {
    const char *what;
    uint64_t ns;
    uint32_t a, b;
};
static struct {
    struct event ring[EVENTS];
    uint32_t next;
} CACHE_ALIGNED events[MAX_VCPUS]; /* W: own thread; R: whoever dumps, when something is broken already */

void fatal_event(struct vcpu *v, const char *what, uint32_t a, uint32_t b)
{
    events[v->index].ring[events[v->index].next++ % EVENTS] = (struct event){what, now_ns(), a, b};
}

void fatal_dump_events(FILE *out, const struct vcpu *v)
{
    uint64_t now = now_ns();
    for (uint32_t i = 0; i < EVENTS; i++) {
        const struct event *e = &events[v->index].ring[(events[v->index].next + i) % EVENTS];
        if (e->what)
            fprintf(out, "  %12.3f us ago: %s %08x %08x\n", (double)(now - e->ns) / 1e3, e->what, e->a, e->b);
    }
}

void fatal_watch(struct vcpu *v)
{
    fatal_event(v, "exception: to, return address", v->r[15], v->r[14]);
    uint32_t pc_t = v->r[15], back = v->r[14] - (pc_t & ~1u);
    bool self = back == 4 || back == 8 || (back == 2 && (pc_t & 1));
    if (LIKELY(!self)) {
        watched[v->index].times = 0;
        return;
    }
    if (watched[v->index].pc_t != pc_t)
        watched[v->index].times = 0;
    watched[v->index].pc_t = pc_t;
    if (++watched[v->index].times != REPEATS)
        return;
    char why[120];
    snprintf(why, sizeof why, "the exception vector at %08x raises the exception that leads to it, over and over",
             pc_t & ~1u);
    guest_fatal(v, why);
}

void guest_fatal(struct vcpu *v, const char *why)
{
    flockfile(stderr);
    fprintf(stderr, "guest: vCPU %u: %s\n", v->index, why);
    fatal_dump_vcpu(stderr, v);
    funlockfile(stderr);
    machine_request_end(END_EXIT, FATAL_EXIT_CODE);
}

static const char *mode_name(uint32_t mode)
{
    static const char *const names[16] = {[MODE_USR & 15] = "usr", [MODE_FIQ & 15] = "fiq", [MODE_IRQ & 15] = "irq",
                                          [MODE_SVC & 15] = "svc", [MODE_MON & 15] = "mon", [MODE_ABT & 15] = "abt",
                                          [MODE_HYP & 15] = "hyp", [MODE_UND & 15] = "und", [MODE_SYS & 15] = "sys"};
    return (mode & 16) && names[mode & 15] ? names[mode & 15] : "???";
}

void fatal_dump_vcpu(FILE *out, const struct vcpu *v)
{
    uint32_t cpsr = arm_cpsr_read(v);
    fprintf(out, "vCPU %u: pc %08x %s, mode %s, cpsr %08x [%c%c%c%c%c %c%c%c]\n", v->index, v->r[15] & ~1u,
            v->r[15] & 1 ? "T32" : "A32", mode_name(cpsr & 31), cpsr, v->nf ? 'N' : '-', v->zf ? 'Z' : '-',
            v->cf ? 'C' : '-', v->vf ? 'V' : '-', v->q ? 'Q' : '-', cpsr & CPSR_A ? 'A' : '-',
            cpsr & CPSR_I ? 'I' : '-', cpsr & CPSR_F ? 'F' : '-');
    static const char *const names[] = {"r0", "r1", "r2",  "r3",  "r4",  "r5", "r6", "r7",
                                        "r8", "r9", "r10", "r11", "r12", "sp", "lr"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        fprintf(out, "  %-3s %08x%s", names[i], v->r[i], i % 5 == 4 ? "\n" : "");
    fprintf(out, "  sctlr %08x  vbar %08x  dfsr %08x  dfar %08x  ifsr %08x  ifar %08x\n", v->sys.sctlr, v->sys.vbar,
            v->sys.dfsr, v->sys.dfar, v->sys.ifsr, v->sys.ifar);
    fprintf(out, "  lines %x  event %u  poll %x\n", atomic_load_explicit(&v->lines, memory_order_relaxed),
            atomic_load_explicit(&v->event, memory_order_relaxed),
            atomic_load_explicit(&v->poll, memory_order_relaxed));
}
