/* undef_svc.c — UDF, SVC, BKPT, modes, banked registers, exception returns, SRS and RFE.
 *
 * Forces: exception entry and return in both instruction sets, IT state across an exception,
 *   interworking, user mode.
 * Parameters: rounds=50 (of all checks on each CPU).
 * Metrics: roi_ns, checks_per_s (all CPUs together).
 * Self-check: every exception arrives once, at the right address, in the right mode, with the right
 *   saved state; every banked register holds what was written to it in its own mode. The routines
 *   are in undef_svc.S.
 */
#include "rt.h"

RT_GUEST("undef_svc");

/* undef_svc.S */
struct banks {
    uint32_t sp[6], lr[6], spsr[5], fiq[5], usr[5];
};
uint32_t us_udf(void), us_udf_wide(void), us_vfp(void), us_hvc(void), us_bkpt(void), us_svc(uint32_t x),
    us_svc_high(void), us_svc_it(uint32_t x);
extern char us_udf_at[], us_udf_wide_at[], us_vfp_at[], us_hvc_at[], us_bkpt_at[], us_svc_next[];
void us_banks(struct banks *write, struct banks *read);
void us_user(uint32_t out[4]);
uint32_t us_srs(uint32_t *stack, uint32_t lr, uint32_t spsr, uint32_t variant);
uint32_t us_rfe(uint32_t *base, uint32_t *frame, uint32_t cpsr, uint32_t variant);
uint32_t us_return(uint32_t flags, uint32_t how);
uint32_t us_interwork(uint32_t x);
extern const uint32_t us_srs_variants, us_rfe_variants, us_return_variants;

#define SVC_TO_USER 0x11
#define SVC_TO_SVC  0x12
#define MODE(cpsr)  ((cpsr)&0x1f)

static volatile struct {
    uint32_t count, kind, pc, cpsr, handler_cpsr, imm, ifsr;
    uint32_t checks;
    const char *what;
    uint32_t got, want;
    uint32_t pad[RT_LINE / 4 - 11];
} cpus[RT_MAX_CPUS] ALIGNED(64);
static uint32_t rounds;

static struct rt_frame *hook(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    uint32_t cpsr;
    asm volatile("mrs %0, cpsr" : "=r"(cpsr));
    cpus[cpu].count++;
    cpus[cpu].kind = kind;
    cpus[cpu].pc = f->pc;
    cpus[cpu].cpsr = f->cpsr;
    cpus[cpu].handler_cpsr = cpsr;
    if (kind == RT_UND) {
        /* lr_und: the instruction + 4 in A32, + 2 in T32, also where it is 4 bytes long. */
        cpus[cpu].pc -= f->cpsr & 0x20 ? 2 : 4;
        f->pc = cpus[cpu].pc + 4;
        if ((f->cpsr & 0x20) && *(uint16_t *)(uintptr_t)cpus[cpu].pc < 0xe800)
            f->pc -= 2;
    } else if (kind == RT_PABT) {
        cpus[cpu].ifsr = RT_MRC(0, c5, c0, 1);
        f->pc += f->cpsr & 0x20 ? 2 : 4;
    } else if (kind == RT_SVC) {
        uint32_t imm = f->cpsr & 0x20 ? *(uint16_t *)(uintptr_t)(f->pc - 2) & 0xffu
                                      : *(uint32_t *)(uintptr_t)(f->pc - 4) & 0xffffffu;
        cpus[cpu].imm = imm;
        if (imm == SVC_TO_USER)
            f->cpsr = (f->cpsr & ~0x1fu) | 0x10;
        else if (imm == SVC_TO_SVC)
            f->cpsr = (f->cpsr & ~0x1fu) | 0x13;
        else
            f->r[0]++;
    }
    return f;
}

static void expect(unsigned cpu, const char *what, uint32_t got, uint32_t want)
{
    cpus[cpu].checks++;
    if (got == want || cpus[cpu].what)
        return;
    cpus[cpu].what = what;
    cpus[cpu].got = got;
    cpus[cpu].want = want;
}

static void expect_taken(unsigned cpu, const char *what, enum rt_kind kind, const char *at, uint32_t result)
{
    expect(cpu, what, cpus[cpu].count, 1);
    expect(cpu, what, cpus[cpu].kind, kind);
    expect(cpu, what, cpus[cpu].pc, (uint32_t)(uintptr_t)at & ~1u);
    expect(cpu, what, cpus[cpu].cpsr & 0x3f, 0x13 | RT_THUMB << 5);
    /* The hook runs in SVC mode, IRQs masked. */
    expect(cpu, what, cpus[cpu].handler_cpsr & 0x9f, 0x93);
    expect(cpu, what, result, 42);
    cpus[cpu].count = 0;
}

static void check_banks(unsigned cpu)
{
    struct banks w, r;
    uint32_t *v = (uint32_t *)&w;
    for (unsigned i = 0; i < sizeof(w) / 4; i++)
        v[i] = 0xb0000000u + cpu * 0x10000u + i * 8;
    /* A saved status must hold a legal mode; the flags tell them apart. */
    for (unsigned i = 0; i < 5; i++)
        w.spsr[i] = i << 28 | 0x1d3;
    memset(&r, 0, sizeof(r));
    us_banks(&w, &r);
    for (unsigned i = 0; i < 6; i++) {
        expect(cpu, "banked sp", r.sp[i], w.sp[i]);
        expect(cpu, "banked lr", r.lr[i], w.lr[i]);
    }
    for (unsigned i = 0; i < 5; i++) {
        expect(cpu, "banked spsr", r.spsr[i], w.spsr[i]);
        expect(cpu, "r8-r12 of FIQ mode", r.fiq[i], w.fiq[i]);
        expect(cpu, "r8-r12 of the other modes", r.usr[i], w.usr[i]);
    }
}

static void check_srs_rfe(unsigned cpu)
{
    uint32_t buf[16];
    for (uint32_t v = 0; v < us_srs_variants; v++) {
        /* DB, IA, then in A32 also DA, IB: where the pair lies and where the stack pointer ends up. */
        static const int8_t place[] = {-2, 0, -1, 1}, after[] = {-2, 2, -2, 2};
        for (unsigned i = 0; i < 16; i++)
            buf[i] = 0xeeeeeeee;
        uint32_t sp = us_srs(&buf[8], 0x11110000 + v, 0x600001d3, v);
        expect(cpu, "SRS stack pointer", sp, (uint32_t)(uintptr_t)&buf[8 + after[v]]);
        for (int i = 0; i < 16; i++)
            expect(cpu, "SRS memory", buf[i],
                   i == 8 + place[v]   ? 0x11110000 + v
                   : i == 9 + place[v] ? 0x600001d3
                                       : 0xeeeeeeee);
    }
    for (uint32_t v = 0; v < us_rfe_variants; v++) {
        static const int8_t place[] = {0, -2, 1, -1}, after[] = {2, -2, 2, -2};
        uint32_t cpsr = (0xa0000000u >> (v & 1)) | 0x1d3 | RT_THUMB << 5;
        uint32_t r = us_rfe(&buf[8], &buf[8 + place[v]], cpsr, v);
        expect(cpu, "RFE flags", r & 0xf0000000u, cpsr & 0xf0000000u);
        expect(cpu, "RFE write-back", r & 0xff, (uint32_t)(uintptr_t)&buf[8 + after[v]] & 0xff);
    }
    for (uint32_t v = 0; v < us_return_variants; v++) {
        expect(cpu, "exception return by data processing, LDM or ERET", us_return(0x90000000u, v), 0x90000000u);
        expect(cpu, "exception return by data processing, LDM or ERET", us_return(0x60000000u, v), 0x60000000u);
    }
}

static void checks(unsigned cpu)
{
    uint32_t out[4], r;
    cpus[cpu].count = 0;
    r = us_udf();
    expect_taken(cpu, "UDF", RT_UND, us_udf_at, r);
    r = us_udf_wide();
    expect_taken(cpu, "UDF, 32 bits", RT_UND, us_udf_wide_at, r);
    r = us_vfp();
    expect_taken(cpu, "VFP with coprocessors off", RT_UND, us_vfp_at, r);
    r = us_hvc();
    expect_taken(cpu, "HVC in secure state", RT_UND, us_hvc_at, r);
    r = us_bkpt();
    expect_taken(cpu, "BKPT", RT_PABT, us_bkpt_at, r);
    expect(cpu, "BKPT: IFSR", cpus[cpu].ifsr & 0x40f, 2);
    r = us_svc(41);
    expect_taken(cpu, "SVC", RT_SVC, us_svc_next, r);
    expect(cpu, "SVC number", cpus[cpu].imm, 0x21);
    us_svc_high();
    expect(cpu, "SVC with a large number", cpus[cpu].imm, RT_THUMB ? 0xfe : 0xabcdef);
    cpus[cpu].count = 0;
    r = us_svc_it(0);
    expect(cpu, "SVC in a conditional run, taken", r, 1 + 1 + 2);
    expect(cpu, "SVC in a conditional run, taken", cpus[cpu].count, 1);
    cpus[cpu].count = 0;
    r = us_svc_it(5);
    expect(cpu, "SVC in a conditional run, skipped", r, 5 + 0x10 + 0x20);
    expect(cpu, "SVC in a conditional run, skipped", cpus[cpu].count, 0);

    us_user(out);
    expect(cpu, "mode after a return to user mode", MODE(out[0]), 0x10);
    expect(cpu, "mode that user code cannot change", MODE(out[1]), 0x10);
    expect(cpu, "IRQ mask that user code cannot change", out[1] & 0x80, out[0] & 0x80);
    expect(cpu, "flags that user code can change", out[1] >> 28, 0xa);
    expect(cpu, "CP15 in user mode is undefined", cpus[cpu].count, 3);
    expect(cpu, "mode after the call back", MODE(out[2]), 0x13);
    cpus[cpu].count = 0;

    check_banks(cpu);
    check_srs_rfe(cpu);
    expect(cpu, "interworking", us_interwork(1000), 1000 + 1 + 2 + 4 + 8);
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < rounds; i++)
        checks(cpu);
}

void guest_main(void)
{
    uint64_t total = 0;
    rounds = rt_param("rounds", 50);
    rt_set_hook(RT_UND, hook);
    rt_set_hook(RT_SVC, hook);
    rt_set_hook(RT_PABT, hook);
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_set_hook(RT_UND, NULL);
    rt_set_hook(RT_SVC, NULL);
    rt_set_hook(RT_PABT, NULL);
    for (unsigned c = 0; c < rt_ncpus(); c++)
        total += cpus[c].checks;
    rt_printf("%u checks\n", (uint32_t)total);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("checks_per_s", total, ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (cpus[c].what)
            rt_fail("cpu %u: %s: %08x, expected %08x", c, cpus[c].what, cpus[c].got, cpus[c].want);
    rt_pass();
}
