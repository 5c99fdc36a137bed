/*
 * local.c — a machine that is nothing but RAM and one vCPU in User mode, and a loop that translates, runs, and forgets
 *
 * Real are the decoder, the IR, the page walk, the soft MMU and its slow paths, and both engines. There is no index of
 * blocks: each block is translated when it is reached, and exits always come back here.
 */
#include "engine/interp/difftest/local.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/arm/arm.h"
#include "engine/arm/state.h"
#include "engine/interp/interp.h"
#include "engine/mem/softmmu.h"
#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "engine/x64/x64.h"
#include "strategies/atomics/atomics.h"

bool local_verbose;

extern const struct atomics_ops atomics_cmpxchg; /* needs nobody else to stop */

enum {
    LOW_RAM = LAYOUT_RUNTIME,
    LOW_BYTES = 8 << 20,
    HIGH_RAM = 0x20000000,
    HIGH_BYTES = 1 << 20,
    PAGE_TABLE = HIGH_RAM + 0x10000,  /* level 1: 16 KiB */
    SMALL_PAGES = HIGH_RAM + 0x14000, /* level 2 of HIGH_RAM's megabyte: 1 KiB */
    CODE_BYTES = 2 << 20,
};

static struct vcpu *cpu;
static struct ir_block ir;

/* -- Making the machine --------------------------------------------------------------------------------- */

static void put32(gpa pa, uint32_t x)
{
    memcpy(mem_ram_ptr(pa, NULL), &x, 4);
}

/* Flat, normal memory, open to all: with the MMU off everything would be strongly-ordered and unaligned accesses fault.
 * faults: the arena's first page is read-only and its last is not there. */
static void make_page_table(bool faults)
{
    for (uint32_t mb = LOW_RAM >> 20; mb < (LOW_RAM + LOW_BYTES) >> 20; mb++)
        put32(PAGE_TABLE + mb * 4, mb << 20 | 0x1c0e);
    put32(PAGE_TABLE + (HIGH_RAM >> 20) * 4, SMALL_PAGES | 1);
    for (uint32_t va = HIGH_RAM; va < HIGH_RAM + HIGH_BYTES; va += 4096) {
        uint32_t attributes = 0x7e;
        if (faults && va == LAYOUT_ARENA)
            attributes = 0x6e;
        if (faults && va == LAYOUT_ARENA + ARENA_BYTES - 4096)
            attributes = 0;
        put32(SMALL_PAGES + (va >> 12 & 255) * 4, attributes ? va | attributes : 0);
    }
    cpu->sys.ttbcr = 0;
    cpu->sys.ttbr0 = PAGE_TABLE;
    cpu->sys.dacr = 1;
    cpu->sys.sctlr |= 1;
    softmmu_flush_all(cpu);
}

bool local_init(bool jit, bool faults, struct error *e)
{
    if (!mem_add_ram(LOW_RAM, LOW_BYTES, e) || !mem_add_ram(HIGH_RAM, HIGH_BYTES, e) || !vcpu_alloc(0, e))
        return false;
    nvcpus = 1;
    cpu = current_vcpu = vcpus[0];
    atomics = &atomics_cmpxchg;
    arm_clear_exclusive = atomics->clear;
    if (!softmmu_init(cpu, e) || (atomics->launch && !atomics->launch(e)) ||
        (atomics->vcpu_init && !atomics->vcpu_init(cpu, e)))
        return false;
    const uint32_t regs[16] = {0};
    arm_reset(cpu, regs, 0xd3);
    cpu->sys.cpacr = CPACR_CP10 | CPACR_CP11;
    cpu->sys.fpexc = FPEXC_EN;
    make_page_table(faults);
    return !jit || (code_memory_init(CODE_BYTES, e) && x64_init(e));
}

void local_load(const struct batch *im)
{
    memcpy(mem_ram_ptr(LAYOUT_CODE - 4096, NULL), im->code, im->code_bytes + 4096);
}

/* -- One block -------------------------------------------------------------------------------------------- */

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "    %s\n", text);
}

void local_print_ir(void)
{
    ir_print(&ir, print_line, NULL);
}

static void run_jit(uint32_t pc, uint32_t flags)
{
    struct code_span stubs = code_stub_space();
    struct tb *tb = tb_alloc(64);
    struct x64_code code;
    struct x64_request rq = {
        .ir = &ir,
        .tb = tb,
        .pc = pc,
        .flags = flags,
        .page_ppn = {pc >> 12, UINT64_MAX},
        .no_chain = true,
        .atomics = atomics,
        .span = {stubs.rw + stubs.bytes, stubs.rx + stubs.bytes, CODE_BYTES},
    };
    CHECK(x64_translate(&rq, &code), "block at 0x%x does not fit", pc);
    if (local_verbose)
        x64_dump(rq.span.rw, code.bytes, (uintptr_t)rq.span.rx, print_line, NULL);
    if (!setjmp(cpu->leave)) {
        cpu->leave_reason = LEAVE_NONE;
        x64_enter(cpu, rq.span.rx + code.entry_main);
    }
    tb_release(tb);
}

static void run_interp(void)
{
    if (!setjmp(cpu->leave)) {
        cpu->leave_reason = LEAVE_NONE;
        interp_run(cpu, &ir, atomics);
    }
}

static void run_block(enum local_engine engine, unsigned max_insns)
{
    uint32_t pc = cpu->r[15] & ~1u;
    cpu->thumb = cpu->r[15] & 1;
    const uint8_t *host = mem_ram_ptr(pc, NULL);
    struct arm_translate_req req = {
        .pc = pc,
        .flags = arm_tb_flags(cpu),
        .host = host,
        .page_left = 4096 - (pc & 4095),
        .next = NULL,
        .max_insns = max_insns,
    };
    struct arm_translated done;
    arm_translate_block(&ir, &req, &done);
    if (done.needs_next) {
        req.next = host + req.page_left;
        arm_translate_block(&ir, &req, &done);
    }
    if (local_verbose) {
        fprintf(stderr, "  block at 0x%x, %u instructions\n", pc, done.ninsns);
        ir_print(&ir, print_line, NULL);
    }
    const char *wrong = ir_verify(&ir);
    CHECK(!wrong, "IR of the block at 0x%x: %s", pc, wrong);
    if (engine == LOCAL_JIT)
        run_jit(pc, req.flags);
    else
        run_interp();
}

/* -- One snippet --------------------------------------------------------------------------------------------- */

bool local_run(const struct batch *im, unsigned i, enum local_engine engine, uint64_t split, struct outcome *out,
               char why[160])
{
    const uint32_t *state = im->states[i];
    uint8_t *arena = mem_ram_ptr(LAYOUT_ARENA, NULL);
    struct rng r;
    rng_seed(&r, split);

    memcpy(arena, im->template, ARENA_BYTES);
    cpu->cpsr = MODE_USR;
    memcpy(cpu->r, state, 15 * 4);
    cpu->r[15] = state[16];
    cpu->nf = state[15] >> 31 & 1;
    cpu->zf = state[15] >> 30 & 1;
    cpu->cf = state[15] >> 29 & 1;
    cpu->vf = state[15] >> 28 & 1;
    cpu->q = state[15] >> 27 & 1;
    cpu->ge = state[15] >> 16 & 15;
    cpu->it = 0;
    memset(cpu->vfp, 0, sizeof cpu->vfp);
    cpu->fpscr = 0;
    cpu->sys.dfsr = cpu->sys.dfar = 0;
    atomics->clear(cpu);

    unsigned blocks = 0;
    uint32_t last = 0;
    while (cpu->r[15] != LAYOUT_DONE && (cpu->cpsr & 0x1f) == MODE_USR && blocks++ < 4 * MAX_ITEMS &&
           cpu->r[15] >= LAYOUT_CODE && cpu->r[15] < LAYOUT_CODE + im->code_bytes) {
        last = cpu->r[15];
        run_block(engine, 1 + rng_below(&r, rng_one_in(&r, 2) ? 4 : 64));
    }

    bool excepted = (cpu->cpsr & 0x1f) != MODE_USR;
    uint32_t mode = cpu->cpsr & 0x1f, lr = cpu->r[14], vector = cpu->r[15];
    uint32_t spsr = mode == MODE_ABT ? cpu->sys.spsr[BANK_ABT] : cpu->sys.spsr[BANK_UND];
    if (excepted)
        arm_switch_mode(cpu, MODE_USR); /* User's r13, r14 */
    memcpy(out->regs, cpu->r, sizeof out->regs);
    out->cpsr = (uint32_t)cpu->nf << 31 | (uint32_t)cpu->zf << 30 | (uint32_t)cpu->cf << 29 | (uint32_t)cpu->vf << 28 |
                cpu->q << 27 | cpu->ge << 16;
    memcpy(out->arena, arena, ARENA_BYTES);
    if (cpu->r[15] == LAYOUT_DONE && !cpu->it)
        return true;
    if (excepted)
        snprintf(why, 160, "exception to mode 0x%x, r15 0x%x, lr 0x%x, spsr 0x%x, dfsr 0x%x, dfar 0x%x", mode, vector,
                 lr, spsr, cpu->sys.dfsr, cpu->sys.dfar);
    else
        snprintf(why, 160, "after %u blocks at 0x%x (it 0x%x), the last one at 0x%x", blocks, cpu->r[15], cpu->it,
                 last);
    return false;
}
