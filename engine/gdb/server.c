/*
 * server.c — the debugger's door: one socket, one client at a time, one thread
 *
 * Life of a client: accept -> all vCPUs are held -> packets are answered; when one lets vCPUs go, wait for a stop (a vCPU's word by the
 * eventfd, the client's interrupt, the machine's end), hold all, tell -> ... -> it detaches, or is gone: which is taken for the same, so
 * that a lost connection leaves a running guest without breakpoints behind.
 *
 * While vCPUs run, only the interrupt and the end of the connection are looked for: a client has nothing else to say then.
 */
#include "engine/gdb/server.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/sync/rcu.h"
#include "engine/sync/sync.h"

#define SEND_TIMEOUT_S  10 /* a client that does not read */
#define RESET_TIMEOUT_S 30 /* a vCPU that does not come to its safepoint */

static int listener = -1, events = -1; /* const while the thread runs */
static const char *unix_path;          /* to be removed at the end; NULL: none */
static gdb_monitor monitor;
static pthread_t thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool ended; /* guarded by lock, with the two below */
static int ended_code;
static unsigned resets;

/* Own thread. */
static int client;
static struct gdb_parser parser;
static struct gdb_session session;
static uint8_t input[4096];
static size_t input_at, input_n;
static char frame[GDB_FRAME_MAX];
static size_t frame_n;

/* -- The address -------------------------------------------------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

static bool parse_address(const char *text, union address *a, socklen_t *n, struct error *e)
{
    memset(a, 0, sizeof *a);
    if (!strncmp(text, "unix:", 5)) {
        const char *path = text + 5;
        if (!*path || strlen(path) >= sizeof a->un.sun_path) {
            error_set(e, 2, "--gdb=%s: write unix:PATH with a path of 1 to %zu bytes", text, sizeof a->un.sun_path - 1);
            return false;
        }
        a->un.sun_family = AF_UNIX;
        strcpy(a->un.sun_path, path);
        *n = sizeof a->un;
        return true;
    }
    char *end = NULL;
    unsigned long port = isdigit((unsigned char)text[0]) && strlen(text) <= 5 ? strtoul(text, &end, 10) : 0;
    if (!port || *end || port > 65535) {
        error_set(e, 2, "--gdb=%s: write a port from 1 to 65535, or unix:PATH", text);
        return false;
    }
    a->in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *n = sizeof a->in;
    return true;
}

bool gdb_address_check(const char *text, struct error *e)
{
    union address a;
    socklen_t n;
    return parse_address(text, &a, &n, e);
}

/* A socket that nobody listens at any more is in the way: take it away. Anything else stays. */
static void remove_stale(const union address *a, socklen_t n)
{
    struct stat st;
    if (lstat(a->un.sun_path, &st) || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &a->any, n) && errno == ECONNREFUSED)
        unlink(a->un.sun_path);
    if (fd >= 0)
        close(fd);
}

static bool listen_at(const char *text, struct error *e)
{
    union address a;
    socklen_t n;
    if (!parse_address(text, &a, &n, e))
        return false;
    bool is_unix = a.any.sa_family == AF_UNIX;
    if (is_unix)
        remove_stale(&a, n);
    int one = 1;
    listener = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || (!is_unix && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)) ||
        bind(listener, &a.any, n) || (is_unix && chmod(a.un.sun_path, 0600)) || listen(listener, 1)) {
        error_set(e, 1, "--gdb=%s: cannot listen there: %s", text, strerror(errno));
        if (listener >= 0)
            close(listener);
        listener = -1;
        return false;
    }
    unix_path = is_unix ? text + 5 : NULL;
    return true;
}

/* -- What wakes the thread ------------------------------------------------------------------------------------------------------------------ */

/* Any thread. */
static void wake(void)
{
    uint64_t one = 1;
    while (write(events, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void forget_wakes(void)
{
    uint64_t n;
    while (read(events, &n, sizeof n) < 0 && errno == EINTR)
        ;
}

static bool is_ended(void)
{
    pthread_mutex_lock(&lock);
    bool is = ended;
    pthread_mutex_unlock(&lock);
    return is;
}

/* Wait for fd to be readable, or for a wake. False: the machine has ended. */
static bool wait_for(int fd, bool *readable, bool *woken)
{
    struct pollfd p[2] = {{.fd = events, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    *readable = *woken = false;
    if (is_ended()) /* its wake may have been taken together with another one */
        return false;
    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    *woken = p[0].revents != 0;
    *readable = p[1].revents != 0;
    return !is_ended();
}

/* -- The client -------------------------------------------------------------------------------------------------------------------------------- */

static bool send_bytes(const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(client, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool send_reply(const struct gdb_reply *r)
{
    frame_n = gdb_frame(r, frame);
    return send_bytes(frame, frame_n);
}

/* One byte that is there already or comes by one read; false: the client is gone. */
static bool more_input(void)
{
    ssize_t n;
    do
        n = recv(client, input, sizeof input, 0);
    while (n < 0 && errno == EINTR);
    input_at = 0;
    input_n = n > 0 ? (size_t)n : 0;
    return n > 0;
}

enum met { MET_PACKET, MET_GONE, MET_ENDED };

/* Held: the next packet, acknowledged. */
static enum met next_packet(void)
{
    for (;;) {
        while (input_at < input_n) {
            enum gdb_input got = gdb_parse(&parser, input[input_at++]);
            bool whole = got == GDB_PACKET || got == GDB_WRONG_SUM || got == GDB_TOO_LONG;
            if (got == GDB_NAK && frame_n && !send_bytes(frame, frame_n))
                return MET_GONE;
            if (!whole)
                continue;
            bool good = got != GDB_WRONG_SUM || session.no_ack;
            if (!session.no_ack && !send_bytes(good ? "+" : "-", 1))
                return MET_GONE;
            if (got == GDB_TOO_LONG) { /* asking for it again would not make it shorter */
                gdb_clear(&session.reply);
                gdb_put(&session.reply, "E07");
                if (!send_reply(&session.reply))
                    return MET_GONE;
            } else if (good) {
                return MET_PACKET;
            }
        }
        bool readable, woken;
        if (!wait_for(client, &readable, &woken))
            return MET_ENDED;
        if (woken)
            forget_wakes(); /* a vCPU's word that came too late: what it tells happens again */
        if (readable && !more_input())
            return MET_GONE;
    }
}

/* vCPUs run: until one stops or the client wants it. */
static enum met run_until_stop(unsigned *signal)
{
    *signal = 5;
    for (;;) {
        while (input_at < input_n) {
            if (gdb_parse(&parser, input[input_at++]) == GDB_INTERRUPT) {
                *signal = 2;
                return MET_PACKET;
            }
        }
        bool readable, woken;
        if (!wait_for(client, &readable, &woken))
            return MET_ENDED;
        if (woken) {
            forget_wakes();
            return MET_PACKET;
        }
        if (readable && !more_input())
            return MET_GONE;
    }
}

/* The target goes on as the session says, until it is held again and the client has been told. */
static enum met resume(void)
{
    unsigned signal = 5;
    if (target_resume(session.resume)) {
        enum met met = run_until_stop(&signal);
        if (met != MET_PACKET) {
            target_stop();
            return met;
        }
        target_stop();
    }
    gdb_tell_stop(&session, signal);
    return send_reply(&session.stop) ? MET_PACKET : MET_GONE;
}

static void tell_end(void)
{
    pthread_mutex_lock(&lock);
    int code = ended_code;
    pthread_mutex_unlock(&lock);
    gdb_clear(&session.reply);
    gdb_put(&session.reply, "W%02x", (unsigned)code & 0xff);
    send_reply(&session.reply);
}

/* From accept to close. */
static void serve(void)
{
    memset(&parser, 0, sizeof parser);
    input_at = input_n = frame_n = 0;
    gdb_session_begin(&session, monitor);
    target_attach(wake);
    forget_wakes();
    gdb_tell_stop(&session, 5);
    for (;;) {
        enum met met = next_packet();
        bool running = false;
        if (met == MET_PACKET) {
            enum gdb_after after = gdb_command(&session, parser.data, parser.n);
            if (after != GDB_RESUME && (after != GDB_KILL || session.reply.n) && !send_reply(&session.reply))
                met = MET_GONE;
            if (after == GDB_KILL) {
                fputs("dbtlab: ended by the debugger\n", stderr);
                machine_request_end(END_EXIT, 0);
            }
            if (after == GDB_DETACH)
                break;
            if (after == GDB_RESUME) {
                running = true;
                met = resume();
            }
        }
        if (met == MET_ENDED && running)
            tell_end();
        if (met != MET_PACKET)
            break;
    }
    target_detach();
}

static void *server_main(void *unused)
{
    (void)unused;
    rcu_thread_enter();
    rcu_go_offline();
    bool readable, woken;
    while (wait_for(listener, &readable, &woken)) {
        if (woken)
            forget_wakes();
        if (!readable)
            continue;
        client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        int one = 1;
        struct timeval patience = {.tv_sec = SEND_TIMEOUT_S};
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* fails on a Unix socket, which has no delay */
        setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        serve();
        close(client);
    }
    rcu_go_online();
    rcu_thread_exit();
    return NULL;
}

/* -- Life ---------------------------------------------------------------------------------------------------------------------------------------- */

static void close_listener(void)
{
    close(listener);
    if (unix_path)
        unlink(unix_path);
    listener = -1;
}

bool gdb_start(const char *address, bool wait, gdb_monitor m, struct error *e)
{
    if (!listen_at(address, e))
        return false;
    monitor = m;
    ended = false;
    events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wait)
        sync_hold(nvcpus == 32 ? UINT32_MAX : BIT(nvcpus) - 1);
    int err = events < 0 ? errno : pthread_create(&thread, NULL, server_main, NULL);
    if (err) {
        error_set(e, 1, "--gdb=%s: cannot start its thread: %s", address, strerror(err));
        close_listener();
        return false;
    }
    pthread_setname_np(thread, "gdb");
    fprintf(stderr, "dbtlab: %s for a debugger: target remote %s%s\n", wait ? "the guest waits" : "open",
            unix_path ? "" : "localhost:", unix_path ? unix_path : address);
    return true;
}

void gdb_machine_reset(void)
{
    pthread_mutex_lock(&lock);
    resets++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void gdb_wait_for_reset(void (*reset)(void))
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RESET_TIMEOUT_S;
    pthread_mutex_lock(&lock);
    unsigned before = resets;
    pthread_mutex_unlock(&lock);
    reset();
    pthread_mutex_lock(&lock);
    int err = 0;
    while (resets == before && !ended && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&changed, &lock, &until);
    pthread_mutex_unlock(&lock);
}

void gdb_stop(int exit_code)
{
    if (listener < 0)
        return;
    pthread_mutex_lock(&lock);
    ended = true;
    ended_code = exit_code;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    wake();
    pthread_join(thread, NULL);
    close_listener();
    close(events);
}
