/*
 * server.h — the debugger's door: one socket, one client at a time, one thread
 */
#ifndef ENGINE_GDB_SERVER_H
#define ENGINE_GDB_SERVER_H

#include "engine/gdb/commands.h"

/* Is text "PORT" or "unix:PATH"? False: e says what would be right. */
bool gdb_address_check(const char *text, struct error *e);

/* LAUNCH, after rcu_engine_init(), before vCPU threads. Listens at the address, on 127.0.0.1 if it is a port. wait: the vCPUs do not
 * run before a client lets them. False: e. */
bool gdb_start(const char *address, bool wait, gdb_monitor monitor, struct error *e);

/* The machine has been reset and its vCPUs run, or are held, again. */
void gdb_machine_reset(void);
/* Server's thread: wait for that, at most five seconds. */
void gdb_wait_for_reset(void (*reset)(void));

/* The vCPUs have ended: a client that waits is told, the socket is closed, the thread ends. Nothing if there is none. */
void gdb_stop(int exit_code);

#endif
