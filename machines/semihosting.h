/*
 * semihosting.h — Angel calls of the guest: console, exit, clock, files of the host to be read
 *
 * Source: Semihosting for AArch32 and AArch64 (ARM 100863), and DUI 0471 chapter 8.
 */
#ifndef MACHINES_SEMIHOSTING_H
#define MACHINES_SEMIHOSTING_H

#include "engine/base/base.h"

/* How a call reaches the caller's memory, by guest virtual address with the caller's rights. False: the
 * access faults; nothing is raised, the call returns -1. */
struct semihost_mem {
    bool (*read)(void *cpu, gva addr, void *buf, size_t bytes);
    bool (*write)(void *cpu, gva addr, const void *buf, size_t bytes);
};

enum semihost_end {
    SEMIHOST_DONE, /* *result is the new r0 */
    SEMIHOST_EXIT, /* the guest has asked for the end (machine_request_end was called); r0 stays */
    SEMIHOST_WAIT, /* nothing was done: there is no input yet, or no room for output. Make the call again after console_on_wait(). */
};

/* LAUNCH. argv: NULL-terminated or NULL. heap_*: what SYS_HEAPINFO tells. */
void semihost_setup(const char *const *argv, uint32_t heap_base, uint32_t heap_limit);
/* All vCPUs stopped: close the guest's files. */
void semihost_reset(void);

/* Context: a vCPU's own thread, no lock held. op: r0, param: r1. Never waits for input or for a reader of the guest's output. */
enum semihost_end semihost_call(const struct semihost_mem *mem, void *cpu, uint32_t op, uint32_t param,
                                uint32_t *result);

#endif
