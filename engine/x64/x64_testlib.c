/*
 * x64_testlib.c — stand-ins and runs for the backend's tests
 */
#include "engine/x64/x64_testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/interp/interp.h"
#include "engine/ir/helpers.h"
#include "engine/mem/softmmu.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "engine/x64/abi.h"
#include "engine/x64/guess.h"
#include "engine/x64/stubs.h"
#include "strategies/atomics/atomics.h"

struct test_world test_world;
unsigned test_slow_calls;
struct code_span test_span;
struct tb *test_tb;

/* -- Helpers: do whatever the row's attributes allow, depending on whatever they say is read ----------------------- */

static uint64_t mix(uint64_t h, uint64_t x)
{
    uint64_t s = h ^ (x * UINT64_C(0x9e3779b97f4a7c15));

    return rng_splitmix(&s);
}

/* As C may. */
static void lose_xmm(void)
{
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tmovaps %%xmm0, %%xmm1\n\tmovaps %%xmm0, %%xmm2\n\t"
                     "movaps %%xmm0, %%xmm3\n\tmovaps %%xmm0, %%xmm4\n\tmovaps %%xmm0, %%xmm5\n\t"
                     "movaps %%xmm0, %%xmm6\n\tmovaps %%xmm0, %%xmm7"
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

static uint64_t stand_in(struct vcpu *v, unsigned id, uint32_t a, uint32_t b, uint32_t c)
{
    const struct ir_helper_info *h = &ir_helper_info[id];
    uint64_t x = mix(mix(mix(id, a), b), c);

    lose_xmm();
    test_world.events[test_world.nevents++ % ARRAY_SIZE(test_world.events)] = (struct test_event){id, a, b, c};
    if (h->reads_regs)
        for (unsigned r = 0; r < 15; r++)
            x = mix(x, v->r[r]);
    if (h->reads_flags)
        x = mix(x, (uint64_t)v->nf << 3 | v->zf << 2 | v->cf << 1 | v->vf);
    if (h->writes_regs)
        v->r[x % 15] = (uint32_t)(x >> 8);
    if (h->writes_flags) {
        v->nf = x >> 40 & 1;
        v->cf = x >> 41 & 1;
    }
    if (h->leaves && (x >> 50) % 16 == 0)
        vcpu_leave(v, LEAVE_EXCEPTION);
    return x;
}

/* Their types are the guest's business (engine/arm/helpers.h): here all take three words, and the row says how many count. */
#define HELPER(id, function, args, result, attrs)                                              \
 uint64_t function(struct vcpu *v, uint32_t a, uint32_t b, uint32_t c);                        \
 uint64_t function(struct vcpu *v, uint32_t a, uint32_t b, uint32_t c)                         \
 {                                                                                             \
  return stand_in(v, HELPER_##id, (args) > 0 ? a : 0, (args) > 1 ? b : 0, (args) > 2 ? c : 0); \
 }
#include "engine/ir/helpers.def"
#undef HELPER

/* -- Slow paths ----------------------------------------------------------------------------------------------------- */

static uint8_t *slow_host(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);

    lose_xmm();
    test_slow_calls++;
    if ((va - TEST_BASE >= 4096 && (va & 0xf0) == 0x40) || va - TEST_BASE >= TEST_MEM_BYTES - 64)
        vcpu_leave(v, LEAVE_EXCEPTION);
    if (((mem & MEM_ALIGN) && (va & (bytes - 1))) || ((mem & MEM_ALIGN4) && (va & 3)) ||
        ((mem & MEM_ALIGN16) && (va & 15)))
        vcpu_leave(v, LEAVE_EXCEPTION);
    return test_world.mem + (va - TEST_BASE);
}

uint32_t slow_load(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);
    uint32_t x = 0;

    memcpy(&x, slow_host(v, va, mem), bytes);
    return mem & MEM_SIGNED ? (uint32_t)sext(x, 8 * bytes) : x;
}

uint64_t slow_load64(struct vcpu *v, gva va, uint32_t mem)
{
    uint64_t x;

    memcpy(&x, slow_host(v, va, mem), 8);
    return x;
}

void slow_store(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    memcpy(slow_host(v, va, mem), &val, 1u << (mem & MEM_SIZE));
}

void slow_store64(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    memcpy(slow_host(v, va, mem), &val, 8);
}

void slow_ldm(struct vcpu *v, gva va, uint32_t nwords)
{
    memcpy(v->mbuf, slow_host(v, va, MEM_32 | MEM_ALIGN4), 4 * nwords);
}

void slow_stm(struct vcpu *v, gva va, uint32_t nwords)
{
    memcpy(slow_host(v, va, MEM_32 | MEM_ALIGN4), v->mbuf, 4 * nwords);
}

const void *(*test_find)(struct vcpu *v, uint32_t pc_t);

static const void *find_block(struct vcpu *v, uint32_t pc_t)
{
    CHECK(v->r[15] == pc_t, "r15 at a jump cache miss");
    return test_find ? test_find(v, pc_t) : NULL;
}

/* -- Exclusives ------------------------------------------------------------------------------------------------------- */

static uint64_t twin_ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    uint64_t x = 0;

    memcpy(&x, slow_host(v, va, mem | MEM_ALIGN), 1u << (mem & MEM_SIZE));
    v->excl_state = 1;
    v->excl_addr = va;
    v->excl_val = x;
    return x;
}

static uint32_t twin_strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);
    uint64_t now = 0;
    uint8_t *host = slow_host(v, va, mem | MEM_ALIGN);
    bool ok;

    memcpy(&now, host, bytes);
    ok = v->excl_state && v->excl_addr == va && !memcmp(&now, &v->excl_val, bytes);
    v->excl_state = 0;
    if (ok)
        memcpy(host, &val, bytes);
    return !ok;
}

static uint32_t twin_swp(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);
    uint32_t old = 0;
    uint8_t *host = slow_host(v, va, mem | MEM_ALIGN);

    memcpy(&old, host, bytes);
    memcpy(host, &val, bytes);
    return old;
}

static void twin_clear(struct vcpu *v)
{
    lose_xmm();
    v->excl_state = 0;
}

static void emit_ldrex(struct x64_asm *a, const struct excl_site *s)
{
    CHECK(s->lo != s->va && s->lo != s->host && s->va != s->host, "registers of an ldrex site");
    asm_load(a, 1u << s->mem, s->lo, mem_b(s->host, 0));
    asm_store(a, 8, VFIELD(excl_val), s->lo);
    asm_store(a, 4, VFIELD(excl_addr), s->va);
    asm_store_i(a, 4, VFIELD(excl_state), 1);
    if (s->tmp >= 0) {
        CHECK(s->tmp != s->lo && s->tmp != s->va && s->tmp != s->host, "tmp of an ldrex site");
        asm_mov_ri(a, s->tmp, 0xdead);
    }
}

static void emit_strex(struct x64_asm *a, const struct excl_site *s)
{
    struct x64_label fail = X64_LABEL_INIT;

    CHECK(s->status != s->lo && s->status != s->va && s->status != s->host && s->va != s->host && s->lo != s->host,
          "registers of a strex site");
    CHECK(s->va != RAX && s->lo != RAX && s->host != RAX && s->status != RAX && s->tmp != RAX, "rax of a strex site");
    if (s->tmp >= 0) {
        CHECK(s->tmp != s->lo && s->tmp != s->va && s->tmp != s->host && s->tmp != s->status, "tmp of a strex site");
        asm_mov_ri(a, s->tmp, 0xdead);
    }
    asm_mov_ri(a, s->status, 1);
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), 0);
    asm_jcc(a, CC_E, &fail);
    asm_alu_rm(a, ALU_CMP, 4, s->va, VFIELD(excl_addr));
    asm_jcc(a, CC_NE, &fail);
    asm_load(a, 8, RAX, VFIELD(excl_val));
    asm_lock_cmpxchg(a, 1u << s->mem, mem_b(s->host, 0), s->lo);
    asm_mov_ri(a, s->status, 0);
    asm_setcc(a, CC_NE, s->status);
    asm_bind(a, &fail);
    asm_store_i(a, 4, VFIELD(excl_state), 0);
}

static void emit_clrex(struct x64_asm *a)
{
    asm_store_i(a, 4, VFIELD(excl_state), 0);
}

const struct atomics_ops test_atomics = {
    .ldrex = twin_ldrex, .strex = twin_strex, .swp = twin_swp, .clear = twin_clear};
const struct atomics_ops test_atomics_inline = {
    .ldrex = twin_ldrex,
    .strex = twin_strex,
    .swp = twin_swp,
    .clear = twin_clear,
    .emit_ldrex = emit_ldrex,
    .emit_strex = emit_strex,
    .emit_clrex = emit_clrex,
};

/* -- The machine ------------------------------------------------------------------------------------------------------- */

/* Stubs first, then blocks, mapped twice as in the engine. */
enum { STUB_BYTES = 256 * 1024, CODE_BYTES = 4 << 20 };

static struct code_span map_code(void)
{
    int fd = memfd_create("code", MFD_CLOEXEC);
    struct code_span s = {.bytes = CODE_BYTES};

    CHECK(fd >= 0 && !ftruncate(fd, CODE_BYTES), "memfd");
    s.rw = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    s.rx = mmap(NULL, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(s.rw != MAP_FAILED && s.rx != MAP_FAILED, "mmap");
    close(fd);
    return s;
}

struct vcpu *test_vcpu(void)
{
    static struct x64_calls calls = {
        .load = slow_load,
        .load64 = slow_load64,
        .store = slow_store,
        .store64 = slow_store64,
        .ldm = slow_ldm,
        .stm = slow_stm,
        .jump_cache_miss = find_block,
        .helper =
            {
#define HELPER(id, function, args, result, attrs) [HELPER_##id] = (void (*)(void))function,
#include "engine/ir/helpers.def"
#undef HELPER
            },
    };
    struct error e = {0};
    size_t used;

    if (vcpus[0])
        return vcpus[0];
    CHECK(vcpu_alloc(0, &e), "%s", e.text);
    struct vcpu *v = vcpus[0];
    uint64_t entry = (uint64_t)(uintptr_t)test_world.mem - TEST_BASE;
    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        v->flat.load[mode][TEST_BASE >> 12] = entry;
        v->flat.store[mode][TEST_BASE >> 12] = entry;
    }
    test_span = map_code();
    struct code_span stubs = test_span;
    stubs.bytes = STUB_BYTES;
    CHECK(x64_stubs_build(stubs, &calls, &used), "stubs do not fit");
    x64_host.avx2 =
        false; /* the helpers are stand-ins: their calls must stay calls. interp/difftest has the real ones */
    test_span.rw += STUB_BYTES;
    test_span.rx += STUB_BYTES;
    test_span.bytes -= STUB_BYTES;
    test_tb = calloc(1, sizeof(struct tb) + TEST_EXITS * sizeof(struct tb_exit));
    test_tb->exits_max = TEST_EXITS;
    current_vcpu = v;
    return v;
}

uint32_t test_number(struct rng *r)
{
    static const uint32_t some[] = {0,          1,          2,          31,         32,         33,        0x7f,
                                    0x80,       0xff,       0x100,      0x7fff,     0x8000,     0xffff,    0x10000,
                                    0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};

    switch (rng_below(r, 4)) {
    case 0: return some[rng_below(r, ARRAY_SIZE(some))];
    case 1: return rng_below(r, 70);
    case 2: return BIT(rng_below(r, 32)) - rng_below(r, 2);
    default: return rng_u32(r);
    }
}

void test_random_start(struct test_start *s, struct rng *r)
{
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 15; i++)
        s->r[i] = test_number(r);
    s->r[15] = 0x8000;
    s->nzcv = rng_below(r, 16);
    for (unsigned i = 0; i < TEST_MEM_BYTES; i += 8) {
        uint64_t x = rng_u64(r);
        memcpy(s->world.mem + i, &x, 8);
    }
}

static void begin(struct vcpu *v, const struct test_start *s)
{
    memcpy(v->r, s->r, sizeof v->r);
    v->thumb = 0;
    v->it = 0;
    v->q = 0;
    v->nf = s->nzcv >> 3 & 1;
    v->zf = s->nzcv >> 2 & 1;
    v->cf = s->nzcv >> 1 & 1;
    v->vf = s->nzcv & 1;
    v->cpsr = MODE_SVC;
    v->excl_state = v->excl_addr = 0;
    v->excl_val = 0;
    memset((char *)v + TEST_ENV_OFFSET, 0x5a, sizeof((struct test_outcome *)0)->env);
    test_world = s->world;
    /* Guesses right and wrong. */
    for (unsigned k = 0; k < 2; k++)
        v->guess[k] = s->nzcv >> k & 1 ? v->flat.load[MMU_PRIV][TEST_BASE >> 12] : GUESS_NOTHING;
}

static void end(struct vcpu *v, struct test_outcome *o)
{
    memcpy(o->r, v->r, sizeof v->r);
    o->it = v->it;
    o->nzcv = (uint32_t)(v->nf << 3 | v->zf << 2 | v->cf << 1 | v->vf);
    o->q = v->q;
    o->excl_state = v->excl_state;
    o->excl_addr = v->excl_addr;
    o->excl_val = v->excl_val;
    memcpy(o->env, (char *)v + TEST_ENV_OFFSET, sizeof o->env);
    o->world = test_world;
}

void test_run_interp(struct vcpu *v, const struct ir_block *b, const struct test_start *s, struct test_outcome *o)
{
    memset(o, 0, sizeof *o);
    o->exit = -1;
    begin(v, s);
    if (!setjmp(v->leave)) {
        struct interp_end how = interp_run(v, b, &test_atomics);

        o->exit = how.exit;
        o->loop = how.loop;
    } else {
        o->left = true;
    }
    end(v, o);
}

void test_translate(const struct ir_block *b, uint32_t flags, bool no_chain, const struct atomics_ops *atomics_ops,
                    struct x64_code *code)
{
    struct x64_request req = {
        .ir = b,
        .tb = test_tb,
        .pc = 0x8000,
        .flags = flags,
        .page_ppn = {0x8, UINT64_MAX},
        .no_chain = no_chain,
        .atomics = atomics_ops,
        .span = test_span,
    };

    memset(code, 0, sizeof *code);
    req.span.bytes = x64_code_bound(b->n);
    CHECK(x64_translate(&req, code), "%u IR instructions do not fit in %zu bytes", b->n, req.span.bytes);
    for (unsigned k = 0; k < code->nexits; k++)
        CHECK(code->exits[k].jump_off == UINT32_MAX || (((uintptr_t)test_span.rx + code->exits[k].jump_off) & 7) <= 4,
              "exit %u crosses 8 bytes", k);
}

void test_place(struct test_block *t, unsigned place, uint32_t pc, uint32_t flags)
{
    enum { PLACE_BYTES = 32 * 1024 };
    struct vcpu *v = test_vcpu();

    t->pc = pc;
    t->span = (struct code_span){test_span.rw + place * PLACE_BYTES, test_span.rx + place * PLACE_BYTES, PLACE_BYTES};
    if (!t->tb) {
        t->tb = calloc(1, sizeof(struct tb) + TEST_EXITS * sizeof(struct tb_exit));
        t->tb->exits_max = TEST_EXITS;
    }
    ir_optimise(&t->ir, NULL, NULL);
    const char *wrong = ir_verify(&t->ir);
    CHECK(!wrong, "%s", wrong);
    struct x64_request req = {
        .ir = &t->ir,
        .tb = t->tb,
        .pc = pc,
        .flags = flags,
        .page_ppn = {pc >> 12, UINT64_MAX},
        .atomics = &test_atomics_inline,
        .span = t->span,
    };
    CHECK(x64_translate(&req, &t->code), "block does not fit");
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        v->flat.exec[mode][pc >> 12] = (pc >> 12) << 1 | 1;
}

const uint8_t *test_entry(const struct test_block *t, uint32_t offset)
{
    return t->span.rx + offset;
}

void test_link(struct test_block *t, unsigned exit, const uint8_t *target)
{
    const struct x64_exit_info *e = &t->code.exits[exit];

    CHECK(exit < t->code.nexits && e->jump_off != UINT32_MAX, "exit %u", exit);
    x64_patch_jump(t->span.rw + e->jump_off, t->span.rx + e->jump_off, target ? target : t->span.rx + e->stub_off);
}

void test_run_code(struct vcpu *v, const struct x64_code *code, const struct test_start *s, struct test_outcome *o)
{
    memset(o, 0, sizeof *o);
    o->exit = -1;
    begin(v, s);
    if (!setjmp(v->leave)) {
        struct tb_exit *e = x64_enter(v, test_span.rx + code->entry_main);

        if (e)
            o->exit = (int)(e - test_tb->exits);
    } else {
        o->left = true;
    }
    end(v, o);
}

unsigned test_pressure(const struct ir_block *b)
{
    static uint16_t live[IR_MAX_INS];
    unsigned most = 0;

    memset(live, 0, sizeof live);
    for (uint32_t i = 0; i < b->n; i++) {
        const struct ir_ins *in = &b->ins[i];
        if (in->uses && in->op != IR_CONST)
            for (uint32_t k = i; k < in->last_use; k++)
                live[k]++;
    }
    for (uint32_t i = 0; i < b->n; i++)
        if (live[i] > most)
            most = live[i];
    return most;
}

static void print_line(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "%s\n", text);
}

void test_print(const struct ir_block *b, const struct x64_code *code)
{
    ir_print(b, print_line, NULL);
    x64_dump(test_span.rx, code->bytes, (uintptr_t)test_span.rx, print_line, NULL);
}
