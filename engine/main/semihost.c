/*
 * semihost.c — semihosting calls on their way from the guest CPU to machines/semihosting.c
 *
 * Neither the guest CPU nor the machine knows the other: this gives the calls the caller's memory. Addresses are
 * translated with privileged rights and nothing is raised, as a debugger would access them.
 */
#include "engine/main/semihost.h"

#include "engine/mem/softmmu.h"
#include "machines/semihosting.h"

static bool read_guest(void *cpu, gva addr, void *buf, size_t bytes)
{
    return softmmu_debug_read(cpu, addr, buf, bytes);
}

static bool write_guest(void *cpu, gva addr, const void *buf, size_t bytes)
{
    return softmmu_debug_write(cpu, addr, buf, bytes);
}

uint32_t semihost_from_guest(struct vcpu *v, uint32_t op, uint32_t param, bool *exited)
{
    static const struct semihost_mem mem = {.read = read_guest, .write = write_guest};
    return semihost_call(&mem, v, op, param, exited);
}
