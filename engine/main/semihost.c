/*
 * semihost.c — semihosting calls on their way from the guest CPU to machines/semihosting.c
 *
 * Neither the guest CPU nor the machine knows the other: this gives the calls the caller's memory. Addresses are
 * translated with privileged rights and nothing is raised, as a debugger would access them.
 */
#include "engine/main/semihost.h"

#include "engine/mem/softmmu.h"
#include "engine/sync/sync.h"
#include "machines/console.h"
#include "machines/semihosting.h"

static bool read_guest(void *cpu, gva addr, void *buf, size_t bytes)
{
    return softmmu_debug_read(cpu, addr, buf, bytes);
}

static bool write_guest(void *cpu, gva addr, const void *buf, size_t bytes)
{
    return softmmu_debug_write(cpu, addr, buf, bytes);
}

static void try_again(void)
{
    for (unsigned i = 0; i < nvcpus; i++)
        vcpu_call_ready(vcpus[i]);
}

void semihost_setup_waits(void)
{
    console_on_wait(try_again);
}

enum arm_semihost_end semihost_from_guest(struct vcpu *v, uint32_t op, uint32_t param, uint32_t *result)
{
    static const struct semihost_mem mem = {.read = read_guest, .write = write_guest};
    switch (semihost_call(&mem, v, op, param, result)) {
    case SEMIHOST_EXIT: return ARM_SEMIHOST_END;
    case SEMIHOST_WAIT: return ARM_SEMIHOST_WAIT;
    default: return ARM_SEMIHOST_DONE;
    }
}
