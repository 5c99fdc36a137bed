/*
 * state_testlib.c — a vCPU for tests, and fakes of the layers above
 */
#include "engine/arm/state_testlib.h"

#include "engine/sync/sync.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "strategies/atomics/atomics.h"

#define WEAK __attribute__((weak))

unsigned fake_clears, fake_icache, fake_broadcasts, fake_events;
void (*fake_broadcast_fn)(struct vcpu *v, uintptr_t arg);
uintptr_t fake_broadcast_arg;
static struct vcpu_thread thread;

WEAK const struct atomics_ops *atomics;

WEAK void tb_icache_maintenance(struct vcpu *v, bool all)
{
    (void)v, (void)all;
    fake_icache++;
}

WEAK bool tb_store_code(struct vcpu *v, gpa canon, uint8_t *host, const void *val, unsigned bytes)
{
    (void)v, (void)canon;
    if (val)
        host_store(host, val, bytes);
    return false;
}

WEAK void sync_queue_all_synced(struct vcpu *v, void (*fn)(struct vcpu *, uintptr_t), uintptr_t arg)
{
    (void)v;
    fake_broadcasts++;
    fake_broadcast_fn = fn;
    fake_broadcast_arg = arg;
}

WEAK void vcpu_request_sleep(struct vcpu *v, int kind)
{
    vcpu_thread(v)->sleep = kind;
}

WEAK void vcpu_request_sleep_until(struct vcpu *v, int kind, uint64_t until_ns)
{
    vcpu_thread(v)->sleep = kind;
    vcpu_thread(v)->until_ns = until_ns;
}

WEAK bool vcpu_take_event(struct vcpu *v)
{
    return atomic_exchange(&v->event, 0);
}

WEAK bool vcpu_await_event(struct vcpu *v)
{
    return vcpu_take_event(v);
}

WEAK void vcpu_send_event_all(void)
{
    fake_events++;
    for (unsigned i = 0; i < nvcpus; i++)
        atomic_store(&vcpus[i]->event, 1);
}

WEAK void device_lock(void) {}

WEAK void device_unlock(void) {}

static void cleared(struct vcpu *v)
{
    (void)v;
    fake_clears++;
}

struct vcpu *test_vcpu(void)
{
    struct error e = {0};
    uint32_t regs[16] = {[15] = 0x80001000};
    CHECK(mem_add_ram(TEST_RAM, TEST_RAM_BYTES, &e), "%s", e.text);
    CHECK(vcpu_alloc(0, &e), "%s", e.text);
    nvcpus = 1;
    struct vcpu *v = current_vcpu = vcpus[0];
    CHECK(softmmu_init(v, &e), "%s", e.text);
    memset(&thread, 0, sizeof(thread));
    v->thread = &thread;
    arm_clear_exclusive = cleared;
    arm_reset(v, regs, MODE_SVC | CPSR_A | CPSR_I | CPSR_F);
    fake_clears = fake_icache = fake_broadcasts = fake_events = 0;
    return v;
}

void test_vcpu_free(void)
{
    softmmu_free(vcpus[0]);
    vcpu_free_all();
    mem_free_all();
    arm_clear_exclusive = NULL;
}

void put32(gpa at, uint32_t val)
{
    CHECK(mem_write(at, &val, 4) == MEM_OK, "%#" PRIx64, at);
}

void put64(gpa at, uint64_t val)
{
    CHECK(mem_write(at, &val, 8) == MEM_OK, "%#" PRIx64, at);
}

bool fakes_in_use(void)
{
    /* Of sync/, which only its own code defines: absent if sync/ is not linked. */
    extern bool sync_start(void (*body)(struct vcpu * v), struct error *e) __attribute__((weak));
    return sync_start == NULL;
}
