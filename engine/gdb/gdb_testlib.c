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
#include "strategies/atomics/atomics.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

enum gdb_after asked;

void machine_up(void)
{
    struct error e = {0};
    test_default_schemes();
    test_translations(1 << 20, tb_lifetime->chunks_per_pool);
    mem_add_mmio(TEST_DEVICE, 0x1000, &test_device, NULL, "touch");
    assert_true(!atomics->launch || atomics->launch(&e));
    for (unsigned i = 0; i < nvcpus; i++) {
        const uint32_t regs[16] = {[15] = TEST_RAM};
        assert_true(exec_init_vcpu(vcpus[i], &e));
        arm_reset(vcpus[i], regs, MODE_SYS);
    }
}

void machine_down(void)
{
    if (atomics->shutdown)
        atomics->shutdown();
    for (unsigned i = 0; i < nvcpus; i++)
        free(vcpus[i]->exec);
    test_translations_free();
}

const char *ask(struct gdb_session *s, const char *packet)
{
    asked = gdb_command(s, packet, strlen(packet));
    return s->reply.data;
}
