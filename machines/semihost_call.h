/*
 * semihost_call.h — one Angel call while it is carried out: what semihosting.c and semihost_io.c share
 */
#ifndef MACHINES_SEMIHOST_CALL_H
#define MACHINES_SEMIHOST_CALL_H

#include "machines/semihosting.h"

#define ERROR UINT32_MAX

struct call {
    const struct semihost_mem *mem;
    void *cpu;
    bool *wait; /* to be set when nothing was done and the call should come again */
};

/* ERROR, with an errno for SYS_ERRNO. Any vCPU. */
uint32_t call_fail(int err);
/* Words of the guest's memory, n <= 4. False: they cannot be accessed. */
bool call_get_words(const struct call *c, gva at, uint32_t *w, unsigned n);

/* -- semihost_io.c: the calls of these names; param and result are theirs ------------------------ */

uint32_t call_open(const struct call *c, uint32_t param);
uint32_t call_close(const struct call *c, uint32_t param);
uint32_t call_writec(const struct call *c, uint32_t param);
uint32_t call_write0(const struct call *c, uint32_t param);
uint32_t call_write(const struct call *c, uint32_t param);
uint32_t call_read(const struct call *c, uint32_t param);
uint32_t call_readc(const struct call *c);
uint32_t call_istty(const struct call *c, uint32_t param);
uint32_t call_seek(const struct call *c, uint32_t param);
uint32_t call_flen(const struct call *c, uint32_t param);

#endif
