/*
 * semihosting.c — the Angel calls
 *
 * Here are their numbers and what needs neither console nor files; those that do are in semihost_io.c.
 */
#include "machines/semihosting.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/log.h"
#include "machines/machine.h"
#include "machines/semihost_call.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITEC = 0x03,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_READC = 0x07,
    SYS_ISERROR = 0x08,
    SYS_ISTTY = 0x09,
    SYS_SEEK = 0x0a,
    SYS_FLEN = 0x0c,
    SYS_TMPNAM = 0x0d,
    SYS_REMOVE = 0x0e,
    SYS_RENAME = 0x0f,
    SYS_CLOCK = 0x10,
    SYS_TIME = 0x11,
    SYS_SYSTEM = 0x12,
    SYS_ERRNO = 0x13,
    SYS_GET_CMDLINE = 0x15,
    SYS_HEAPINFO = 0x16,
    SYS_EXIT = 0x18,
    SYS_EXIT_EXTENDED = 0x20,
    SYS_ELAPSED = 0x30,
    SYS_TICKFREQ = 0x31,
};

#define APPLICATION_EXIT 0x20026u /* ADP_Stopped_ApplicationExit */

static _Atomic int last_errno; /* any vCPU, relaxed */

/* const after LAUNCH */
static char *command_line;
static uint32_t heap_base, heap_limit;

uint32_t call_fail(int err)
{
    atomic_store_explicit(&last_errno, err, memory_order_relaxed);
    return ERROR;
}

bool call_get_words(const struct call *c, gva at, uint32_t *w, unsigned n)
{
    uint8_t raw[16];
    if (!c->mem->read(c->cpu, at, raw, n * 4))
        return false;
    for (unsigned i = 0; i < n; i++)
        w[i] = raw[4 * i] | (uint32_t)raw[4 * i + 1] << 8 | (uint32_t)raw[4 * i + 2] << 16 |
               (uint32_t)raw[4 * i + 3] << 24;
    return true;
}

static bool put_words(const struct call *c, gva at, const uint32_t *w, unsigned n)
{
    uint8_t raw[16];
    for (unsigned i = 0; i < n; i++)
        for (unsigned b = 0; b < 4; b++)
            raw[4 * i + b] = (uint8_t)(w[i] >> (8 * b));
    return c->mem->write(c->cpu, at, raw, n * 4);
}

/* -- Calls --------------------------------------------------------------------------------------- */

static uint32_t sys_elapsed(const struct call *c, uint32_t param)
{
    uint64_t t = virtual_now_ns();
    uint32_t w[2] = {(uint32_t)t, (uint32_t)(t >> 32)};
    return put_words(c, param, w, 2) ? 0 : call_fail(EFAULT);
}

static uint32_t sys_get_cmdline(const struct call *c, uint32_t param)
{
    uint32_t w[2]; /* buffer, its bytes; receives the length of the string */
    const char *line = command_line ? command_line : "";
    size_t n = strlen(line);
    if (!call_get_words(c, param, w, 2))
        return call_fail(EFAULT);
    if (n + 1 > w[1])
        return call_fail(E2BIG);
    w[1] = (uint32_t)n;
    if (!c->mem->write(c->cpu, w[0], line, n + 1) || !put_words(c, param, w, 2))
        return call_fail(EFAULT);
    return 0;
}

static uint32_t sys_heapinfo(const struct call *c, uint32_t param)
{
    uint32_t block;
    /* The stack grows down from the heap's end, as far as the heap lets it. */
    uint32_t w[4] = {heap_base, heap_limit, heap_limit, heap_base};
    if (!call_get_words(c, param, &block, 1) || !put_words(c, block, w, 4))
        return call_fail(EFAULT);
    return 0;
}

#define ONLY_READING " refused: the guest may only read files of the host"

static uint32_t perform(const struct call *c, uint32_t op, uint32_t param, bool *exited)
{
    uint32_t w[2];

    switch (op) {
    case SYS_OPEN: return call_open(c, param);
    case SYS_CLOSE: return call_close(c, param);
    case SYS_WRITEC: return call_writec(c, param);
    case SYS_WRITE0: return call_write0(c, param);
    case SYS_WRITE: return call_write(c, param);
    case SYS_READ: return call_read(c, param);
    case SYS_READC: return call_readc(c);
    case SYS_ISERROR: return call_get_words(c, param, w, 1) ? w[0] >> 31 : call_fail(EFAULT);
    case SYS_ISTTY: return call_istty(c, param);
    case SYS_SEEK: return call_seek(c, param);
    case SYS_FLEN: return call_flen(c, param);
    case SYS_CLOCK: return (uint32_t)(virtual_now_ns() / 10000000);
    case SYS_TIME: return (uint32_t)time(NULL);
    case SYS_ERRNO: return (uint32_t)atomic_load_explicit(&last_errno, memory_order_relaxed);
    case SYS_GET_CMDLINE: return sys_get_cmdline(c, param);
    case SYS_HEAPINFO: return sys_heapinfo(c, param);
    case SYS_ELAPSED: return sys_elapsed(c, param);
    case SYS_TICKFREQ: return 1000000000;

    case SYS_EXIT:
        /* On AArch32 the parameter is the reason itself; there is no place for an exit code. */
        *exited = true;
        machine_request_end(END_EXIT, param == APPLICATION_EXIT ? 0 : 1);
        return op;
    case SYS_EXIT_EXTENDED:
        if (!call_get_words(c, param, w, 2))
            return call_fail(EFAULT);
        *exited = true;
        machine_request_end(END_EXIT, w[0] == APPLICATION_EXIT ? (int)(w[1] & 0xff) : 1);
        return op;

    case SYS_TMPNAM: guest_error("SYS_TMPNAM" ONLY_READING); return call_fail(EACCES);
    case SYS_REMOVE: guest_error("SYS_REMOVE" ONLY_READING); return call_fail(EACCES);
    case SYS_RENAME: guest_error("SYS_RENAME" ONLY_READING); return call_fail(EACCES);
    case SYS_SYSTEM: guest_error("SYS_SYSTEM" ONLY_READING); return call_fail(EACCES);
    default: guest_error("semihosting call 0x%" PRIx32 " is not known; ignored", op); return call_fail(ENOSYS);
    }
}

enum semihost_end semihost_call(const struct semihost_mem *mem, void *cpu, uint32_t op, uint32_t param,
                                uint32_t *result)
{
    bool wait = false, exited = false;
    const struct call c = {mem, cpu, &wait};
    uint32_t r = perform(&c, op, param, &exited);
    if (exited)
        return SEMIHOST_EXIT;
    if (wait)
        return SEMIHOST_WAIT;
    *result = r;
    return SEMIHOST_DONE;
}

/* -- Setup --------------------------------------------------------------------------------------- */

void semihost_setup(const char *const *argv, uint32_t base, uint32_t limit)
{
    semihost_reset();
    free(command_line);
    command_line = NULL;
    heap_base = base;
    heap_limit = limit;

    size_t bytes = 1;
    for (unsigned i = 0; argv && argv[i]; i++)
        bytes += strlen(argv[i]) + 1;
    command_line = calloc(1, bytes);
    CHECK(command_line, "out of memory");
    size_t at = 0;
    for (unsigned i = 0; argv && argv[i]; i++)
        at += (size_t)snprintf(command_line + at, bytes - at, "%s%s", i ? " " : "", argv[i]);
}
