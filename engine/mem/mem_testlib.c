/*
 * mem_testlib.c — RAM and vCPUs for tests, and fakes of the layers above engine/mem
 */
#include "engine/mem/mem_testlib.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/sync/sync.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "strategies/atomics/atomics.h"

#define WEAK __attribute__((weak))

WEAK const struct atomics_ops *atomics;

static struct fake_pte {
    uint32_t frame;
    uint8_t bits, shift, domain;
} ptes[MMU_MODES][VPAGES];
static bool mapped; /* anything, ever: 16 MiB need not be touched if not */

struct fake_abort fake_abort;
_Atomic unsigned fake_code_stores, fake_code_kills;
struct fake_watch fake_code = {.lock = PTHREAD_MUTEX_INITIALIZER};

void fake_watch_saw(struct fake_watch *w, const void *val, size_t bytes)
{
    w->n++;
    w->last = 0;
    memcpy(&w->last, val, bytes < 4 ? bytes : 4);
}

void fake_map(unsigned mode, gva va, uint32_t bytes, gpa pa, unsigned pte, unsigned shift, unsigned domain)
{
    mapped = true;
    for (uint32_t off = 0; off < bytes; off += GUEST_PAGE_SIZE)
        ptes[mode][(va + off) >> 12] =
            (struct fake_pte){(uint32_t)((pa + off) >> 12), (uint8_t)pte, (uint8_t)shift, (uint8_t)domain};
}

void fake_map_both(gva va, uint32_t bytes, gpa pa, unsigned pte)
{
    fake_map(MMU_USER, va, bytes, pa, pte, 12, 0);
    fake_map(MMU_PRIV, va, bytes, pa, pte, 12, 0);
}

WEAK bool arm_translate(struct vcpu *v, gva va, enum access acc, unsigned mode, struct walk_result *out)
{
    (void)v;
    struct fake_pte *p = &ptes[mode][va >> 12];
    memset(out, 0, sizeof(*out));
    unsigned want = acc == ACC_LOAD ? PTE_R : acc == ACC_STORE ? PTE_W : PTE_X;
    if (!(p->bits & want)) {
        out->fsr = p->bits ? 0xf : 0x7;
        return false;
    }
    out->pa = (gpa)p->frame << 12;
    out->read = p->bits & PTE_R;
    out->write = p->bits & PTE_W;
    out->exec = p->bits & PTE_X;
    out->global = p->bits & PTE_GLOBAL;
    out->device = p->bits & PTE_DEVICE;
    out->page_shift = p->shift;
    out->domain = p->domain;
    return true;
}

NORETURN static void leave(struct vcpu *v, int kind, gva va, bool write, uint32_t fsr)
{
    fake_abort.kind = kind;
    fake_abort.va = va;
    fake_abort.write = write;
    fake_abort.fsr = fsr;
    longjmp(v->leave, 1);
}

WEAK void arm_data_abort(struct vcpu *v, gva va, bool write, uint32_t fsr)
{
    leave(v, ABORT_DATA, va, write, fsr);
}

WEAK void arm_prefetch_abort(struct vcpu *v, gva va, uint32_t fsr)
{
    leave(v, ABORT_PREFETCH, va, false, fsr);
}

WEAK void arm_alignment_fault(struct vcpu *v, gva va, bool write)
{
    leave(v, ABORT_ALIGNMENT, va, write, 1);
}

WEAK void arm_external_abort(struct vcpu *v, gva va, bool write)
{
    leave(v, ABORT_EXTERNAL, va, write, 8);
}

WEAK void arm_prefetch_external_abort(struct vcpu *v, gva va)
{
    leave(v, ABORT_PREFETCH, va, false, 8);
}

WEAK bool tb_store_code(struct vcpu *v, gpa canon, uint8_t *host, const void *val, unsigned bytes)
{
    if (!val) {
        fake_code_kills++;
        return false;
    }
    pthread_mutex_lock(&fake_code.lock);
    fake_code_stores++;
    if (atomics && atomics->store && (atomic_load(page_state(canon)) & PAGE_EXCL))
        atomics->store(v, canon, host, val, bytes);
    else
        host_store(host, val, bytes);
    fake_watch_saw(&fake_code, val, bytes);
    pthread_mutex_unlock(&fake_code.lock);
    return false;
}

WEAK void device_lock(void) {}

WEAK void device_unlock(void) {}

/* -- The machine --------------------------------------------------------------------------------------- */

unsigned test_device_touched;

static bool touch_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    (void)dev, (void)off, (void)size, (void)cpu;
    test_device_touched++;
    *val = 0;
    return true;
}

static bool touch_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    (void)dev, (void)off, (void)size, (void)cpu, (void)val;
    test_device_touched++;
    return true;
}

const struct mmio_ops test_device = {touch_read, touch_write};

void test_machine(unsigned cpus, uint64_t ram_bytes)
{
    struct error e = {0};
    if (mapped)
        memset(ptes, 0, sizeof(ptes));
    fake_code_stores = fake_code_kills = 0;
    test_device_touched = 0;
    CHECK(mem_add_ram(TEST_RAM, ram_bytes, &e), "%s", e.text);
    mem_add_alias(0, 1u << 20, TEST_RAM);
    for (unsigned i = 0; i < cpus; i++) {
        CHECK(vcpu_alloc(i, &e), "%s", e.text);
        vcpus[i]->cpsr = MODE_SYS;
        CHECK(sync_init_vcpu(vcpus[i], &e) && softmmu_init(vcpus[i], &e), "%s", e.text);
    }
    nvcpus = cpus;
    current_vcpu = vcpus[0];
}

struct vcpu *test_machine_mapped(void)
{
    test_machine(2, TEST_RAM_BYTES);
    fake_map_both(TEST_VA, 0x10000, TEST_RAM, PTE_RWX);
    return vcpus[0];
}

void test_machine_free(void)
{
    for (unsigned i = 0; i < nvcpus; i++) {
        softmmu_free(vcpus[i]);
        sync_free_vcpu(vcpus[i]);
    }
    vcpu_free_all();
    mem_free_all();
    current_vcpu = NULL;
}

int test_machine_teardown(void **state)
{
    (void)state;
    test_machine_free();
    return 0;
}

void fake_fetch(struct vcpu *v, gva va)
{
    gpa canon;
    const uint8_t *host;
    assert_true(softmmu_fetch(v, va, true, &canon, &host));
}

void fake_set_dacr(struct vcpu *v, uint32_t dacr)
{
    uint32_t old = v->sys.dacr;
    v->sys.dacr = dacr;
    softmmu_dacr_changed(v, old);
}

void tlb_consistent(void)
{
    for (unsigned i = 0; i < nvcpus; i++) {
        const char *wrong = tlb_verify(vcpus[i]);
        if (wrong)
            fail_msg("vCPU %u: %s", i, wrong);
    }
}
