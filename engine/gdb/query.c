/*
 * query.c — what each packet asks for: q, Q and v packets
 *
 * Source: "Debugging with GDB", appendix E.4 (General Query Packets) and E.2.
 */
#include <stdio.h>

#include "engine/gdb/commands.h"

static bool begins(const char **p, const char *with)
{
    size_t n = strlen(with);
    if (strncmp(*p, with, n))
        return false;
    *p += n;
    return true;
}

static enum gdb_after supported(struct gdb_session *s, const char *p)
{
    s->swbreak = strstr(p, "swbreak+") != NULL; /* of both names one is part of the other's list only */
    s->hwbreak = strstr(p, "hwbreak+") != NULL;
    gdb_put(&s->reply,
            "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+",
            GDB_PACKET_MAX);
    return GDB_ANSWER;
}

/* -- Threads ---------------------------------------------------------------------------------------------------------------------------- */

static enum gdb_after thread_list(struct gdb_session *s)
{
    for (unsigned i = 0; i < nvcpus; i++)
        gdb_put(&s->reply, "%c%x", i ? ',' : 'm', i + 1);
    return GDB_ANSWER;
}

static enum gdb_after thread_extra(struct gdb_session *s, const char *p)
{
    int id;
    char mode[64], text[96];
    if (!gdb_thread(&p, &id) || id <= 0 || *p) {
        gdb_put(&s->reply, "E01");
        return GDB_ANSWER;
    }
    target_describe((unsigned)id - 1, mode, sizeof mode);
    snprintf(text, sizeof text, "vCPU %d, %s", id - 1, mode);
    gdb_put_hex(&s->reply, text, strlen(text));
    return GDB_ANSWER;
}

static void list_threads(struct gdb_session *s)
{
    int n = snprintf(s->chunk, sizeof s->chunk, "<?xml version=\"1.0\"?><threads>");
    for (unsigned i = 0; i < nvcpus; i++) {
        char mode[64];
        target_describe(i, mode, sizeof mode);
        n += snprintf(s->chunk + n, sizeof s->chunk - (size_t)n,
                      "<thread id=\"%x\" core=\"%u\" name=\"vCPU %u\">%s</thread>", i + 1, i, i, mode);
    }
    snprintf(s->chunk + n, sizeof s->chunk - (size_t)n, "</threads>");
}

/* -- Pieces of long texts ------------------------------------------------------------------------------------------------------------------ */

/* offset,length of text at p. */
static enum gdb_after piece(struct gdb_session *s, const char *text, const char *p)
{
    uint32_t from, bytes;
    size_t all = strlen(text);
    if (!gdb_number32(&p, &from) || !gdb_skip(&p, ',') || !gdb_number32(&p, &bytes) || *p || from > all) {
        gdb_put(&s->reply, "E16");
        return GDB_ANSWER;
    }
    size_t most = (GDB_PACKET_MAX - 1) / 2; /* each byte may need an escape */
    size_t n = bytes < most ? bytes : most;
    if (n > all - from)
        n = all - from;
    gdb_put(&s->reply, from + n < all ? "m" : "l");
    gdb_put_binary(&s->reply, text + from, n);
    return GDB_ANSWER;
}

static enum gdb_after transfer(struct gdb_session *s, const char *p)
{
    if (begins(&p, "features:read:target.xml:"))
        return piece(s, registers_xml(), p);
    if (begins(&p, "features:read:")) {
        gdb_put(&s->reply, "E00");
    } else if (begins(&p, "threads:read::")) {
        if (!strncmp(p, "0,", 2))
            list_threads(s); /* a reader of several pieces gets one list */
        return piece(s, s->chunk, p);
    }
    return GDB_ANSWER;
}

/* -- The monitor ------------------------------------------------------------------------------------------------------------------------------ */

static struct gdb_reply *monitor_to; /* the server's thread alone */

static void monitor_print(const char *text)
{
    gdb_put_hex(monitor_to, text, strlen(text));
}

static enum gdb_after monitor(struct gdb_session *s, const char *p)
{
    char line[256] = "";
    size_t n = strlen(p) / 2;
    if (strlen(p) % 2 || n >= sizeof line || !gdb_bytes(p, line, n)) {
        gdb_put(&s->reply, "E16");
        return GDB_ANSWER;
    }
    monitor_to = &s->reply;
    if (s->monitor)
        s->monitor(line, monitor_print);
    if (!s->reply.n)
        gdb_put(&s->reply, "OK");
    return GDB_ANSWER;
}

/* -- All ---------------------------------------------------------------------------------------------------------------------------------------- */

enum gdb_after gdb_query(struct gdb_session *s, const char *packet, size_t n)
{
    const char *p = packet;
    (void)n;
    if (begins(&p, "qSupported"))
        return supported(s, p);
    if (begins(&p, "qXfer:"))
        return transfer(s, p);
    if (begins(&p, "qRcmd,"))
        return monitor(s, p);
    if (begins(&p, "qThreadExtraInfo,"))
        return thread_extra(s, p);
    if (!strcmp(p, "qfThreadInfo"))
        return thread_list(s);
    if (!strcmp(p, "qsThreadInfo"))
        gdb_put(&s->reply, "l");
    else if (!strcmp(p, "qC"))
        gdb_put(&s->reply, "QC%x", s->reg_vcpu + 1);
    else if (!strcmp(p, "qAttached"))
        gdb_put(&s->reply, "1"); /* so quitting detaches */
    else if (begins(&p, "qSymbol:"))
        gdb_put(&s->reply, "OK"); /* we want no symbols */
    else if (!strcmp(p, "vCont?"))
        gdb_put(&s->reply, "vCont;c;C;s;S;r");
    else if (begins(&p, "vKill")) {
        gdb_put(&s->reply, "OK");
        return GDB_KILL;
    } else if (!strcmp(p, "QStartNoAckMode")) {
        gdb_put(&s->reply, "OK"); /* itself still acknowledged: the server has done that */
        s->no_ack = true;
    }
    return GDB_ANSWER;
}
