/*
 * commands.h — what each packet asks for
 *
 * One session is one client. The server gives it packets while the vCPUs are held, and does what comes after the answer.
 */
#ifndef ENGINE_GDB_COMMANDS_H
#define ENGINE_GDB_COMMANDS_H

#include "engine/gdb/packet.h"
#include "engine/gdb/target.h"

/* A line for the monitor; it answers by print(), any number of times. Any thread. */
typedef void (*gdb_monitor)(const char *line, void (*print)(const char *text));

struct gdb_session {
    gdb_monitor monitor;
    bool no_ack;           /* acknowledgements are off */
    bool swbreak, hwbreak; /* the client wants to be told of breakpoints as such */
    bool run_all;          /* the thread of c and s is "all" */
    unsigned reg_vcpu;     /* of g, p, m, ...: Hg */
    unsigned run_vcpu;     /* of c and s: Hc */
    char chunk[4096];      /* threads as XML, while they are read piece by piece */
    struct gdb_reply stop; /* the last stop, for `?` */
    struct target_resume resume[MAX_VCPUS];
    struct gdb_reply reply;
};

enum gdb_after {
    GDB_ANSWER, /* send the reply */
    GDB_RESUME, /* let the target go as resume[] says; the reply comes when it stops */
    GDB_DETACH, /* send the reply, then let all go and part */
    GDB_KILL,   /* send the reply unless it is empty, and end the machine */
};

void gdb_session_begin(struct gdb_session *s, gdb_monitor monitor);

/* packet: n bytes with a 0 behind them, of any content. */
enum gdb_after gdb_command(struct gdb_session *s, const char *packet, size_t n);

/* All are held: make the reply of a stop, signal 2 (SIGINT) or 5 (SIGTRAP) if it has no reason of its own. */
void gdb_tell_stop(struct gdb_session *s, unsigned signal);

/* -- query.c --------------------------------------------------------------------------------------------------------------------- */

/* q, Q and v packets but vCont. */
enum gdb_after gdb_query(struct gdb_session *s, const char *packet, size_t n);

/* Thread id at *p: 0 and -1 give 0 and -1, else the number. False: no thread of ours. */
bool gdb_thread(const char **p, int *id);

#endif
