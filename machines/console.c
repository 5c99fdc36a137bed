/*
 * console.c — output queue, input ring, and the thread that joins them to the host's descriptors
 *
 * C1: descriptors are used by the console thread only while it runs; nobody else blocks on them.
 * C2: the console lock is a leaf: nothing is called while it is held, and it may be taken under the
 *     device lock.
 * Order of output is the order in which calls got the lock.
 */
#include "machines/console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "machines/console_tty.h"

#define OUT_MAX ((size_t)4 << 20)
#define IN_MAX  256
/* A line that a UART sends byte by byte is written in one piece: the thread waits so long for its end. */
#define LINE_WAIT_MS   2
#define LINE_MAX_BYTES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* All guarded by lock. */
static int fd_in = -1, fd_out = -1;
static char *out; /* OUT_MAX bytes, a ring */
static size_t out_head, out_used;
static bool out_due; /* there is a whole line, or much, or what is queued has waited long enough */
static unsigned char in[IN_MAX];
static size_t in_head, in_used;
static bool wanted, in_ended, out_broken, running, stopping;
static bool waits_for_input, waits_for_room; /* somebody was sent away */
static void (*try_again)(void);
static void (*on_input)(void *);
static void *on_input_opaque;
static int wake_fd = -1;
static pthread_t thread;

static void wake_thread_locked(void)
{
    uint64_t one = 1;
    if (wake_fd >= 0) {
        ssize_t n = write(wake_fd, &one, sizeof one);
        (void)n; /* EAGAIN: it is awake already */
    }
}

/* Write all of it; false when the reader is gone. */
static bool write_all(int fd, const char *buf, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, buf, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n <= 0)
            return false;
        buf += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* -- Output -------------------------------------------------------------------------------------- */

static void enqueue_locked(const char *buf, size_t bytes)
{
    size_t at = (out_head + out_used) % OUT_MAX, first = OUT_MAX - at;
    if (first > bytes)
        first = bytes;
    memcpy(out + at, buf, first);
    memcpy(out, buf + first, bytes - first);
    bool wake = out_used == 0;
    out_used += bytes;
    if (!out_due && (out_used >= LINE_MAX_BYTES || memchr(buf, '\n', bytes)))
        wake = out_due = true;
    if (wake)
        wake_thread_locked();
}

/* Queue all or nothing; directly when there is no thread. */
static bool put_locked(const char *buf, size_t bytes)
{
    if (fd_out < 0 || out_broken)
        return true;
    if (!running) {
        if (!write_all(fd_out, buf, bytes))
            out_broken = true;
        return true;
    }
    if (OUT_MAX - out_used < bytes) {
        waits_for_room = true;
        return false;
    }
    enqueue_locked(buf, bytes);
    return true;
}

bool console_put(const void *buf, size_t bytes)
{
    pthread_mutex_lock(&lock);
    bool ok = put_locked(buf, bytes);
    pthread_mutex_unlock(&lock);
    return ok;
}

bool console_has_room(void)
{
    pthread_mutex_lock(&lock);
    bool ok = !running || out_used < OUT_MAX;
    pthread_mutex_unlock(&lock);
    return ok;
}

/* -- Input --------------------------------------------------------------------------------------- */

void console_want_input(void)
{
    pthread_mutex_lock(&lock);
    if (!wanted) {
        wanted = true;
        wake_thread_locked();
    }
    pthread_mutex_unlock(&lock);
}

static size_t get_locked(unsigned char *buf, size_t max)
{
    size_t n = 0;
    bool was_full = in_used == IN_MAX;
    while (n < max && in_used) {
        buf[n++] = in[in_head];
        in_head = (in_head + 1) % IN_MAX;
        in_used--;
    }
    if (was_full && n)
        wake_thread_locked();
    return n;
}

size_t console_get(void *buf, size_t max)
{
    pthread_mutex_lock(&lock);
    size_t n = get_locked(buf, max);
    pthread_mutex_unlock(&lock);
    return n;
}

size_t console_get_or_ask(void *buf, size_t max, bool *ended)
{
    console_want_input();
    pthread_mutex_lock(&lock);
    size_t n = get_locked(buf, max);
    *ended = !running || stopping || in_ended || fd_in < 0;
    if (!n && !*ended)
        waits_for_input = true;
    pthread_mutex_unlock(&lock);
    return n;
}

void console_on_wait(void (*fn)(void))
{
    pthread_mutex_lock(&lock);
    try_again = fn;
    pthread_mutex_unlock(&lock);
}

/* -- The thread ---------------------------------------------------------------------------------- */

/* A read from a terminal that another job owns would stop the whole process (SIGTTIN). */
static bool may_read(int fd)
{
    return !isatty(fd) || tcgetpgrp(fd) == getpgrp();
}

static void read_input(int fd, size_t space)
{
    unsigned char buf[IN_MAX];
    ssize_t n = read(fd, buf, space < sizeof buf ? space : sizeof buf);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;

    bool ended = n <= 0;
    if (!ended)
        n = (ssize_t)console_tty_keys(buf, (size_t)n);
    pthread_mutex_lock(&lock);
    if (ended)
        in_ended = true;
    for (ssize_t i = 0; i < n; i++)
        in[(in_head + in_used++) % IN_MAX] = buf[i];
    void (*tell)(void *) = on_input, (*again)(void) = waits_for_input ? try_again : NULL;
    void *opaque = on_input_opaque;
    waits_for_input = false;
    pthread_mutex_unlock(&lock);
    if (tell)
        tell(opaque);
    if (again)
        again();
}

static void *console_thread(void *unused)
{
    (void)unused;
    char chunk[PIPE_BUF];

    pthread_mutex_lock(&lock);
    for (;;) {
        if (stopping && (!out_used || out_broken))
            break;
        size_t space = wanted && !in_ended && !stopping && fd_in >= 0 ? IN_MAX - in_used : 0;
        bool background = space && !may_read(fd_in);
        bool queued = out_used && !out_broken, writing = queued && (out_due || stopping);
        int timeout = background ? 200 : -1;
        if (queued && !writing)
            timeout = LINE_WAIT_MS;
        struct pollfd p[3] = {
            {.fd = wake_fd, .events = POLLIN},
            {.fd = writing ? fd_out : -1, .events = POLLOUT},
            {.fd = space && !background ? fd_in : -1, .events = POLLIN},
        };
        pthread_mutex_unlock(&lock);

        int ready = poll(p, 3, timeout);
        if (p[0].revents) {
            uint64_t count;
            ssize_t n = read(wake_fd, &count, sizeof count);
            (void)n;
        }
        if (p[2].revents)
            read_input(p[2].fd, space);

        pthread_mutex_lock(&lock);
        if (ready == 0)
            out_due = true;
        if (!p[1].revents)
            continue;
        /* Not more than PIPE_BUF at once: a pipe that polls writable takes that without blocking. */
        size_t n = OUT_MAX - out_head;
        n = n < out_used ? n : out_used;
        n = n < sizeof chunk ? n : sizeof chunk;
        memcpy(chunk, out + out_head, n);
        int fd = fd_out;
        pthread_mutex_unlock(&lock);
        ssize_t done = write(fd, chunk, n);
        int err = errno;
        pthread_mutex_lock(&lock);
        if (done > 0) {
            out_head = (out_head + (size_t)done) % OUT_MAX;
            out_used -= (size_t)done;
        } else if (done < 0 && err != EINTR && err != EAGAIN) {
            /* The reader is gone: the guest goes on without one. */
            out_broken = true;
            out_used = 0;
        }
        if (!out_used)
            out_due = false;
        if (waits_for_room && out_used <= OUT_MAX / 2 && try_again) {
            waits_for_room = false;
            pthread_mutex_unlock(&lock);
            try_again();
            pthread_mutex_lock(&lock);
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* -- Start and end ------------------------------------------------------------------------------- */

void console_setup(int in_fd, int out_fd)
{
    pthread_mutex_lock(&lock);
    fd_in = in_fd;
    fd_out = out_fd;
    in_head = in_used = out_head = out_used = 0;
    wanted = in_ended = out_broken = out_due = stopping = waits_for_input = waits_for_room = false;
    on_input = NULL;
    try_again = NULL;
    pthread_mutex_unlock(&lock);
}

void console_on_input(void (*input_ready)(void *), void *opaque)
{
    pthread_mutex_lock(&lock);
    on_input = input_ready;
    on_input_opaque = opaque;
    pthread_mutex_unlock(&lock);
}

bool console_start(struct error *e)
{
    pthread_mutex_lock(&lock);
    CHECK(!running, "console_start twice");
    out = malloc(OUT_MAX);
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    stopping = false;
    running = out && wake_fd >= 0;
    int err = running ? 0 : errno;
    if (running) {
        err = pthread_create(&thread, NULL, console_thread, NULL);
        running = err == 0;
    }
    if (!running) {
        free(out);
        out = NULL;
        if (wake_fd >= 0)
            close(wake_fd);
        wake_fd = -1;
        error_set(e, 1, "cannot start the console thread: %s", strerror(err));
    } else {
        pthread_setname_np(thread, "console");
        wanted |= console_tty_begin(fd_in);
        wake_thread_locked();
    }
    bool ok = running;
    pthread_mutex_unlock(&lock);
    return ok;
}

void console_stop(void)
{
    pthread_mutex_lock(&lock);
    bool was = running && !stopping;
    if (was) {
        stopping = true;
        wake_thread_locked();
    }
    pthread_mutex_unlock(&lock);
    if (!was)
        return;
    pthread_join(thread, NULL);
    console_restore();

    pthread_mutex_lock(&lock);
    running = false;
    free(out);
    out = NULL;
    close(wake_fd);
    wake_fd = -1;
    void (*again)(void) = waits_for_input || waits_for_room ? try_again : NULL;
    waits_for_input = waits_for_room = false;
    pthread_mutex_unlock(&lock);
    if (again)
        again();
}
