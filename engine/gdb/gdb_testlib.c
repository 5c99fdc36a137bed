/*
 * gdb_testlib.c — a machine that stands still, for the tests of engine/gdb
 */
#include "engine/gdb/gdb_testlib.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "engine/arm/arm.h"
#include "engine/exec/exec.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/rcu.h"
#include "engine/sync/sync.h"
#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "strategies/atomics/atomics.h"
#include "strategies/axes.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

unsigned device_touched;
enum gdb_after asked;

static bool touch_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    (void)dev, (void)off, (void)size, (void)cpu;
    device_touched++;
    *val = 0;
    return true;
}

static bool touch_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    (void)dev, (void)off, (void)size, (void)cpu, (void)val;
    device_touched++;
    return true;
}

static const struct mmio_ops touch_ops = {touch_read, touch_write};

void machine_up(void)
{
    struct error e = {0};
    for (unsigned i = 0; i < naxes; i++)
        axes[i].choose(axes[i].schemes[axes[i].def]);
    assert_true(code_memory_init(1 << 20, &e));
    assert_true(mem_add_ram(TEST_RAM, TEST_RAM_BYTES, &e));
    mem_add_mmio(TEST_DEVICE, 0x1000, &touch_ops, NULL, "touch");
    for (unsigned i = 0; i < 2; i++) {
        assert_true(vcpu_alloc(i, &e) && sync_init_vcpu(vcpus[i], &e));
        nvcpus = i + 1;
        assert_true(softmmu_init(vcpus[i], &e) && exec_init_vcpu(vcpus[i], &e));
    }
    assert_true(tb_cache->launch(tb_lifetime->chunks_per_pool, &e) && (!atomics->launch || atomics->launch(&e)));
    for (unsigned i = 0; i < nvcpus; i++) {
        const uint32_t regs[16] = {[15] = TEST_RAM};
        arm_reset(vcpus[i], regs, MODE_SYS);
    }
    rcu_engine_init();
    device_touched = 0;
}

void machine_down(void)
{
    rcu_engine_stop();
    tb_cache->shutdown();
    if (atomics->shutdown)
        atomics->shutdown();
    for (unsigned i = 0; i < nvcpus; i++) {
        softmmu_free(vcpus[i]);
        free(vcpus[i]->exec);
        sync_free_vcpu(vcpus[i]);
    }
    mem_free_all();
    code_memory_free();
    vcpu_free_all();
}

const char *ask(struct gdb_session *s, const char *packet)
{
    asked = gdb_command(s, packet, strlen(packet));
    return s->reply.data;
}
