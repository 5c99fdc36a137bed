/*
 * gdb_testlib.h — a machine that stands still, for the tests of engine/gdb
 */
#ifndef ENGINE_GDB_GDB_TESTLIB_H
#define ENGINE_GDB_GDB_TESTLIB_H

#include "engine/gdb/commands.h"
#include "engine/tb/tb_testlib.h"

/* Two vCPUs at RAM's begin in System mode with the MMU off, 1 MiB of RAM, a device that counts who touches it; the default
 * schemes, code memory, no threads. */
#define TEST_DEVICE 0x1c000000u
void machine_up(void);
void machine_down(void);

/* Run a packet; the reply's text, of the session's buffer. */
const char *ask(struct gdb_session *s, const char *packet);
extern enum gdb_after asked; /* what was to be done after it */

#endif
