/* mmu_faults.c — data and prefetch aborts of each kind, with what DFSR, DFAR, IFSR and IFAR say.
 *
 * Forces: the table walk and its faults at both levels, unprivileged accesses, access flag,
 *   domains, alignment; the precise state at an abort in the middle of a block.
 * Parameters: rounds=20 (of all checks on each CPU). Needs mmu=1.
 * Metrics: roi_ns, faults_per_s (all CPUs together).
 * Self-check: status, address, direction, and registers unchanged, as ARM DDI 0406C B3.13 says.
 */
#include "rt.h"

RT_GUEST("mmu_faults");

#define WINDOW 0x60000000u
/* Sections of the window, the same for all CPUs. */
enum { S_NONE, S_TABLE, S_DOMAIN, S_READ_ONLY, S_NO_USER, S_XN, S_NO_AF, S_DOMAIN_TABLE, S_COUNT };
/* Pages of S_TABLE. */
enum { P_OK, P_NONE, P_READ_ONLY, P_NO_USER, P_XN, P_NO_ACCESS, P_NO_AF, P_UNALIGNED };

#define FS_ALIGN   0x01u
#define FS_AF1     0x03u
#define FS_TRANS1  0x05u
#define FS_AF2     0x06u
#define FS_TRANS2  0x07u
#define FS_DOMAIN1 0x09u
#define FS_DOMAIN2 0x0bu
#define FS_PERM1   0x0du
#define FS_PERM2   0x0fu

static uint32_t page[RT_PAGE / 4] ALIGNED(4096);
static uint32_t l2[256] ALIGNED(1024), l2_domain[256] ALIGNED(1024);
static uint32_t rounds;
static volatile struct {
    uint32_t count, fsr, far, pc, r4;
    const char *what;
    uint32_t got, want;
    uint32_t faults;
} cpus[RT_MAX_CPUS] ALIGNED(64);

static uint32_t section(unsigned s)
{
    return WINDOW + s * 0x100000u;
}
static uint32_t small(unsigned p)
{
    return section(S_TABLE) + p * RT_PAGE;
}

static struct rt_frame *on_data_abort(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    (void)kind;
    cpus[cpu].count++;
    cpus[cpu].fsr = RT_MRC(0, c5, c0, 0);
    cpus[cpu].far = RT_MRC(0, c6, c0, 0);
    cpus[cpu].pc = f->pc;
    cpus[cpu].r4 = f->r[4];
    f->pc += 4; /* every probe is 4 bytes long */
    return f;
}

static struct rt_frame *on_prefetch_abort(struct rt_frame *f, enum rt_kind kind)
{
    unsigned cpu = rt_cpu();
    (void)kind;
    cpus[cpu].count++;
    cpus[cpu].fsr = RT_MRC(0, c5, c0, 1);
    cpus[cpu].far = RT_MRC(0, c6, c0, 2);
    cpus[cpu].pc = f->pc;
    f->pc = f->lr & ~1u;
    return f;
}

/* Each probe is one instruction that is to fault, between instructions whose effects must be as if
 * it stood alone. */
#define PROBE(name, insn)                                                       \
 static NOINLINE uint32_t name(uint32_t va)                                     \
 {                                                                              \
  register uint32_t a asm("r1") = va;                                           \
  register uint32_t v asm("r2") = 0x5a5a5a5a;                                   \
  register uint32_t n asm("r4") = 0;                                            \
  asm volatile("add r4, r4, #1\n\tadd r4, r4, #2\n\t" insn "\n\tadd r4, r4, #4" \
               : "+r"(a), "+r"(v), "+r"(n)                                      \
               :                                                                \
               : "r3", "lr", "cc", "memory");                                   \
  return n;                                                                     \
 }
#ifdef __thumb__
# define W(op) op ".w "
#else
# define W(op) op " "
#endif
PROBE(p_ldr, W("ldr") "r2, [r1]")
PROBE(p_str, W("str") "r2, [r1]")
PROBE(p_ldrb, W("ldrb") "r2, [r1]")
PROBE(p_strb, W("strb") "r2, [r1]")
PROBE(p_ldrt, "ldrt r2, [r1]")
PROBE(p_strt, "strt r2, [r1]")
PROBE(p_ldr_wb, "ldr r2, [r1], #8")
PROBE(p_ldrd, "ldrd r2, r3, [r1]")
PROBE(p_strd, "strd r2, r3, [r1]")
PROBE(p_ldm, W("ldmia") "r1, {r2, r3}")
PROBE(p_stm, W("stmdb") "r1, {r2, r3}")
PROBE(p_ldrex, "ldrex r2, [r1]")
PROBE(p_ldrexd, "ldrexd r2, r3, [r1]")

static void fail(unsigned cpu, const char *what, uint32_t got, uint32_t want)
{
    if (cpus[cpu].what)
        return;
    cpus[cpu].what = what;
    cpus[cpu].got = got;
    cpus[cpu].want = want;
}

enum { READ = 0, WRITE = 0x800 };

static void expect_data(unsigned cpu, const char *what, uint32_t (*probe)(uint32_t), uint32_t va, uint32_t far,
                        uint32_t status, uint32_t write, uint32_t domain)
{
    cpus[cpu].count = 0;
    uint32_t n = probe(va);
    cpus[cpu].faults++;
    if (cpus[cpu].count != 1) {
        fail(cpu, what, cpus[cpu].count, 1);
        return;
    }
    uint32_t fsr = cpus[cpu].fsr, fs = (fsr & 15) | (fsr >> 6 & 0x10);
    if (fs != status)
        fail(cpu, what, fs, status);
    if (cpus[cpu].far != far)
        fail(cpu, what, cpus[cpu].far, far);
    if ((fsr & 0x800) != write)
        fail(cpu, what, fsr, write);
    /* Only the faults for which B3.13.3 defines the field. */
    if ((status == FS_DOMAIN1 || status == FS_DOMAIN2) && (fsr >> 4 & 15) != domain)
        fail(cpu, what, fsr, domain);
    if (n != 7 || cpus[cpu].r4 != 3)
        fail(cpu, what, n, 7);
}

static void expect_prefetch(unsigned cpu, const char *what, uint32_t va, uint32_t status)
{
    cpus[cpu].count = 0;
    asm volatile("blx %0" ::"r"(va | RT_THUMB) : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    cpus[cpu].faults++;
    if (cpus[cpu].count != 1) {
        fail(cpu, what, cpus[cpu].count, 1);
        return;
    }
    uint32_t fs = (cpus[cpu].fsr & 15) | (cpus[cpu].fsr >> 6 & 0x10);
    if (fs != status)
        fail(cpu, what, fs, status);
    if (cpus[cpu].far != va)
        fail(cpu, what, cpus[cpu].far, va);
    if (cpus[cpu].pc != va)
        fail(cpu, what, cpus[cpu].pc, va);
}

static void expect_fine(unsigned cpu, const char *what, uint32_t (*probe)(uint32_t), uint32_t va)
{
    cpus[cpu].count = 0;
    uint32_t n = probe(va);
    if (cpus[cpu].count || n != 7)
        fail(cpu, what, cpus[cpu].count, 0);
}

/* ATS1CPR / ATS1CPW / ATS1CUR: the PAR after a translation that works or not. */
static void expect_par(unsigned cpu, const char *what, uint32_t par, uint32_t want, uint32_t mask)
{
    if ((par & mask) != want)
        fail(cpu, what, par, want);
}

#define ATS(op2, va)       \
 ({                        \
RT_MCR(0, c7, c8, op2, va); \
rt_isb();                   \
RT_MRC(0, c7, c4, 0);       \
 })

static void set_dacr(uint32_t dacr)
{
    RT_MCR(0, c3, c0, 0, dacr);
    rt_isb();
}

/* As a kernel does that keeps itself from user memory: no TLB maintenance. */
static void domain_1_comes_and_goes(unsigned cpu)
{
    uint32_t va = section(S_DOMAIN_TABLE), dacr = RT_MRC(0, c3, c0, 0);
    for (unsigned i = 0; i < 2; i++) {
        set_dacr(dacr | 1 << 2);
        expect_fine(cpu, "domain allowed, load", p_ldr, va);
        expect_fine(cpu, "domain allowed, store", p_str, va);
        expect_fine(cpu, "domain allowed, unprivileged load", p_ldrt, va);
        expect_fine(cpu, "domain allowed, unprivileged store", p_strt, va);
        set_dacr(dacr);
        expect_data(cpu, "domain taken, unprivileged load", p_ldrt, va, va, FS_DOMAIN2, READ, 1);
        expect_data(cpu, "domain taken, unprivileged store", p_strt, va, va, FS_DOMAIN2, WRITE, 1);
        expect_data(cpu, "domain taken, load", p_ldr, va, va, FS_DOMAIN2, READ, 1);
        expect_data(cpu, "domain taken, store", p_str, va, va, FS_DOMAIN2, WRITE, 1);
    }
}

static void checks(unsigned cpu)
{
    expect_fine(cpu, "load of a mapped page", p_ldr, small(P_OK));
    expect_fine(cpu, "store to a mapped page", p_str, small(P_OK));
    expect_fine(cpu, "unaligned load", p_ldr, small(P_OK) + 1);
    expect_fine(cpu, "unprivileged load", p_ldrt, small(P_OK));
    expect_fine(cpu, "load of a read-only page", p_ldr, small(P_READ_ONLY));
    expect_fine(cpu, "privileged load", p_ldr, small(P_NO_USER));
    expect_fine(cpu, "load of a page that is not executable", p_ldr, small(P_XN));

    expect_data(cpu, "translation, first level, load", p_ldr, section(S_NONE) + 0x124, section(S_NONE) + 0x124,
                FS_TRANS1, READ, 0);
    expect_data(cpu, "translation, first level, store", p_str, section(S_NONE) + 0x128, section(S_NONE) + 0x128,
                FS_TRANS1, WRITE, 0);
    expect_data(cpu, "translation, second level, load", p_ldrb, small(P_NONE) + 3, small(P_NONE) + 3, FS_TRANS2, READ,
                0);
    expect_data(cpu, "translation, second level, store", p_strb, small(P_NONE) + 5, small(P_NONE) + 5, FS_TRANS2, WRITE,
                0);
    expect_data(cpu, "write-back is undone", p_ldr_wb, small(P_NONE), small(P_NONE), FS_TRANS2, READ, 0);
    expect_data(cpu, "LDRD", p_ldrd, small(P_NONE) + 8, small(P_NONE) + 8, FS_TRANS2, READ, 0);
    expect_data(cpu, "STRD", p_strd, small(P_NONE) + 16, small(P_NONE) + 16, FS_TRANS2, WRITE, 0);
    expect_data(cpu, "LDM", p_ldm, small(P_NONE), small(P_NONE), FS_TRANS2, READ, 0);
    expect_data(cpu, "STM", p_stm, small(P_NONE) + 8, small(P_NONE), FS_TRANS2, WRITE, 0);
    expect_data(cpu, "LDREX", p_ldrex, small(P_NONE), small(P_NONE), FS_TRANS2, READ, 0);
    expect_data(cpu, "domain, first level", p_ldr, section(S_DOMAIN) + 4, section(S_DOMAIN) + 4, FS_DOMAIN1, READ, 1);
    expect_data(cpu, "domain, second level", p_str, section(S_DOMAIN_TABLE), section(S_DOMAIN_TABLE), FS_DOMAIN2, WRITE,
                1);
    domain_1_comes_and_goes(cpu);
    expect_data(cpu, "permission, first level, store", p_str, section(S_READ_ONLY), section(S_READ_ONLY), FS_PERM1,
                WRITE, 0);
    expect_data(cpu, "permission, first level, unprivileged", p_ldrt, section(S_NO_USER), section(S_NO_USER), FS_PERM1,
                READ, 0);
    expect_data(cpu, "permission, second level, store", p_str, small(P_READ_ONLY), small(P_READ_ONLY), FS_PERM2, WRITE,
                0);
    expect_data(cpu, "permission, second level, unprivileged load", p_ldrt, small(P_NO_USER), small(P_NO_USER),
                FS_PERM2, READ, 0);
    expect_data(cpu, "permission, second level, unprivileged store", p_strt, small(P_NO_USER), small(P_NO_USER),
                FS_PERM2, WRITE, 0);
    expect_data(cpu, "no access", p_ldr, small(P_NO_ACCESS), small(P_NO_ACCESS), FS_PERM2, READ, 0);

    /* No STREX here: it may fail without a look at the address when the monitor is open. */
    expect_data(cpu, "alignment, LDM", p_ldm, small(P_OK) + 2, small(P_OK) + 2, FS_ALIGN, READ, 0);
    expect_data(cpu, "alignment, STRD", p_strd, small(P_OK) + 2, small(P_OK) + 2, FS_ALIGN, WRITE, 0);
    expect_data(cpu, "alignment, LDREX", p_ldrex, small(P_OK) + 1, small(P_OK) + 1, FS_ALIGN, READ, 0);
    expect_data(cpu, "alignment, LDREXD", p_ldrexd, small(P_OK) + 4, small(P_OK) + 4, FS_ALIGN, READ, 0);
    uint32_t sctlr = RT_MRC(0, c1, c0, 0);
    RT_MCR(0, c1, c0, 0, sctlr | 2);
    rt_isb();
    expect_data(cpu, "alignment, LDR with SCTLR.A", p_ldr, small(P_OK) + 1, small(P_OK) + 1, FS_ALIGN, READ, 0);
    expect_data(cpu, "alignment, STR with SCTLR.A", p_str, small(P_OK) + 3, small(P_OK) + 3, FS_ALIGN, WRITE, 0);
    /* SCTLR.AFE: AP[0] becomes the access flag. It is clear in the sections and pages made for
     * this. */
    RT_MCR(0, c1, c0, 0, sctlr | 1u << 29);
    rt_isb();
    RT_MCR(0, c8, c7, 0, 0);
    rt_dsb();
    rt_isb();
    expect_data(cpu, "access flag, first level", p_ldr, section(S_NO_AF), section(S_NO_AF), FS_AF1, READ, 0);
    expect_data(cpu, "access flag, second level", p_str, small(P_NO_AF), small(P_NO_AF), FS_AF2, WRITE, 0);
    RT_MCR(0, c1, c0, 0, sctlr);
    rt_isb();
    RT_MCR(0, c8, c7, 0, 0);
    rt_dsb();
    rt_isb();

    /* A load over the edge of the mapped page: the address reported is the first byte that is not
     * mapped, or any other of the access in it; this checks the status only. */
    cpus[cpu].count = 0;
    p_ldr(small(P_NONE) - 2);
    if (cpus[cpu].count != 1 || (cpus[cpu].fsr & 0xf) != FS_TRANS2)
        fail(cpu, "load across the edge", cpus[cpu].fsr, FS_TRANS2);

    expect_prefetch(cpu, "prefetch, translation, first level", section(S_NONE) + 0x40, FS_TRANS1);
    expect_prefetch(cpu, "prefetch, translation, second level", small(P_NONE) + 0x40, FS_TRANS2);
    expect_prefetch(cpu, "prefetch, domain", section(S_DOMAIN), FS_DOMAIN1);
    expect_prefetch(cpu, "prefetch, XN, first level", section(S_XN), FS_PERM1);
    expect_prefetch(cpu, "prefetch, XN, second level", small(P_XN) + 4, FS_PERM2);

    expect_par(cpu, "ATS1CPR, mapped", ATS(0, small(P_OK) + 0x123), (uint32_t)(uintptr_t)page, 0xfffff001u);
    expect_par(cpu, "ATS1CPR, not mapped", ATS(0, small(P_NONE)), FS_TRANS2 << 1 | 1, 0x7f);
    expect_par(cpu, "ATS1CPW, read-only", ATS(1, small(P_READ_ONLY)), FS_PERM2 << 1 | 1, 0x7f);
    expect_par(cpu, "ATS1CUR, privileged only", ATS(2, small(P_NO_USER)), FS_PERM2 << 1 | 1, 0x7f);
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < rounds; i++)
        checks(cpu);
}

void guest_main(void)
{
    uint32_t base = (uint32_t)(uintptr_t)page, sect = 0x80000000u;
    uint32_t faults = 0;
    rounds = rt_param("rounds", 20);
    if (!rt_mmu_on())
        rt_fail("needs mmu=1");
    /* AP[2:0]: 011 full, 001 privileged only, 111 read-only, 000 none; AP[2] is bit 15 of a
     * section, 9 of a page. */
    rt_l1[(WINDOW >> 20) + S_DOMAIN] = sect | RT_SECT_NORMAL | 1 << 5;
    rt_l1[(WINDOW >> 20) + S_READ_ONLY] = sect | RT_SECT_NORMAL | 0x8000;
    rt_l1[(WINDOW >> 20) + S_NO_USER] = sect | (RT_SECT_NORMAL & ~0xc00u) | 0x400;
    rt_l1[(WINDOW >> 20) + S_XN] = sect | RT_SECT_NORMAL | 0x10;
    rt_l1[(WINDOW >> 20) + S_NO_AF] = sect | (RT_SECT_NORMAL & ~0xc00u) | 0x800;
    rt_map_table(section(S_TABLE), l2);
    rt_map_table(section(S_DOMAIN_TABLE), l2_domain);
    rt_l1[(WINDOW >> 20) + S_DOMAIN_TABLE] |= 1 << 5;
    l2[P_OK] = base | RT_PAGE_NORMAL;
    l2[P_READ_ONLY] = base | RT_PAGE_NORMAL | 0x200;
    l2[P_NO_USER] = base | (RT_PAGE_NORMAL & ~0x30u) | 0x10;
    l2[P_XN] = base | RT_PAGE_NORMAL | 1;
    l2[P_NO_ACCESS] = base | (RT_PAGE_NORMAL & ~0x30u);
    l2[P_NO_AF] = base | (RT_PAGE_NORMAL & ~0x30u) | 0x20;
    l2_domain[0] = base | RT_PAGE_NORMAL;
    rt_tlb_flush_all();
    rt_set_hook(RT_DABT, on_data_abort);
    rt_set_hook(RT_PABT, on_prefetch_abort);
    uint64_t ns = rt_parallel_roi(work, NULL);
    rt_set_hook(RT_DABT, NULL);
    rt_set_hook(RT_PABT, NULL);
    for (unsigned c = 0; c < rt_ncpus(); c++)
        faults += cpus[c].faults;
    rt_printf("rounds %u faults %u\n", rounds, faults);
    rt_metric("roi_ns", ns, "ns");
    rt_metric_rate("faults_per_s", faults, ns, "1/s");
    for (unsigned c = 0; c < rt_ncpus(); c++)
        if (cpus[c].what)
            rt_fail("cpu %u: %s: %08x, expected %08x (fsr %08x far %08x)", c, cpus[c].what, cpus[c].got, cpus[c].want,
                    cpus[c].fsr, cpus[c].far);
    rt_pass();
}
