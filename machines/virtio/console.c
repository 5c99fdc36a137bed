/*
 * console.c — a serial line without baud rates: hvc0 of Linux
 *
 * Source: VIRTIO 1.1, 5.3, one port. The other end is the terminal that dbtlab runs in (stdio), a pseudo-terminal of its own (pty), or
 * a file that takes the output (file:FILE).
 *
 * C1: the device's thread alone holds chains and touches the descriptors; a reset by the driver takes held chains from it
 *     (generation, V1 of virtio.h).
 * C2: input is taken from the host only when the guest has a buffer for it, so that what it does not read waits there.
 * C3: a guest waits for its output to be taken, and some drivers do so without sleeping. So a reader that is not there, or that has not
 *     read for STALL_NS, loses what is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "machines/console.h"
#include "machines/virtio/io.h"

enum { RX, TX, QUEUES };
#define AT_ONCE    4096
#define STALL_NS   UINT64_C(1000000000)
#define RETRY_MS   10  /* the terminal's queue is full */
#define CONNECT_MS 500 /* look whether somebody has opened the pseudo-terminal */

enum kind { STDIO, PTY, OUT_FILE };

struct held {
    struct virtio_chain chain;
    uint32_t generation;
    uint64_t done; /* bytes */
    bool is;
};

struct console {
    struct virtio_dev dev;
    struct virtio_io io;
    enum kind kind; /* const after LAUNCH */
    int fd;         /* const after LAUNCH; stdio: -1 */
    /* the thread's own */
    struct held held[QUEUES];
    uint64_t stalled_since; /* 0: not */
    bool deaf;              /* C3: the reader has not read for long */
};

/* -- Chains: the thread ----------------------------------------------------------------------------- */

static void hold(struct console *c, unsigned q)
{
    struct held *h = &c->held[q];
    device_lock();
    if (h->is && h->generation != c->dev.generation)
        h->is = false;
    if (!h->is) {
        h->generation = c->dev.generation;
        h->done = 0;
        h->is = virtio_pop(&c->dev, q, &h->chain);
    }
    device_unlock();
}

static void give_back(struct console *c, unsigned q, uint32_t written)
{
    struct held *h = &c->held[q];
    device_lock();
    if (h->generation == c->dev.generation)
        virtio_push(&c->dev, q, &h->chain, written);
    device_unlock();
    h->is = false;
}

static void broken(struct console *c, unsigned q)
{
    device_lock();
    if (c->held[q].generation == c->dev.generation)
        virtio_break(&c->dev, "a buffer is not in RAM");
    device_unlock();
    c->held[q].is = false;
}

/* -- Output -------------------------------------------------------------------------------------------- */

/* How many bytes were taken; -1: none, ask again later. */
static ssize_t put(struct console *c, const uint8_t *buf, size_t bytes)
{
    if (c->kind == STDIO)
        return console_put(buf, bytes) ? (ssize_t)bytes : -1;
    ssize_t n = write(c->fd, buf, bytes);
    if (n >= 0 || errno == EAGAIN || errno == EINTR)
        return n > 0 ? n : -1;
    guest_error("virtio-console: its output cannot be written: %s; it is lost", strerror(errno));
    return (ssize_t)bytes;
}

static bool listened_to(struct console *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLOUT};
    if (c->kind != PTY)
        return true;
    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

/* C3 */
static bool give_up(struct console *c)
{
    if (c->deaf)
        return true;
    if (!c->stalled_since)
        c->stalled_since = now_ns();
    c->deaf = now_ns() - c->stalled_since > STALL_NS;
    return c->deaf;
}

/* As much as goes now. Whether somebody listens is asked after a chain was taken: what the guest says when all have left is not for
 * who comes next. */
static void output(struct console *c)
{
    uint8_t buf[AT_ONCE];
    for (;;) {
        struct held *h = &c->held[TX];
        hold(c, TX);
        if (!h->is)
            return;
        uint64_t left = h->chain.out_bytes - h->done;
        size_t n = left < sizeof buf ? (size_t)left : sizeof buf;
        if (n && !virtio_get(&h->chain, h->done, buf, n)) {
            broken(c, TX);
            continue;
        }
        bool listener = listened_to(c);
        ssize_t took = !n ? 0 : listener ? put(c, buf, n) : (ssize_t)n;
        if (took < 0 && !give_up(c))
            return;
        if (took > 0 && listener) {
            c->stalled_since = 0;
            c->deaf = false;
        }
        h->done += took < 0 ? (uint64_t)n : (uint64_t)took;
        if (h->done == h->chain.out_bytes)
            give_back(c, TX, 0);
    }
}

/* -- Input --------------------------------------------------------------------------------------------- */

static void input(struct console *c, bool readable)
{
    uint8_t buf[AT_ONCE];
    struct held *h = &c->held[RX];
    for (;;) {
        hold(c, RX);
        if (!h->is || (c->kind != STDIO && !readable))
            return;
        size_t max = h->chain.in_bytes < sizeof buf ? (size_t)h->chain.in_bytes : sizeof buf;
        if (!max) {
            give_back(c, RX, 0);
            continue;
        }
        ssize_t n = c->kind == STDIO ? (ssize_t)console_get(buf, max) : read(c->fd, buf, max);
        readable = false;
        if (n <= 0)
            return;
        bool ok;
        device_lock();
        ok = h->generation != c->dev.generation || virtio_put(&h->chain, 0, buf, (size_t)n);
        device_unlock();
        if (!ok) {
            broken(c, RX);
            return;
        }
        give_back(c, RX, (uint32_t)n);
    }
}

static void *body(void *opaque)
{
    struct console *c = opaque;
    struct pollfd p[2] = {{.fd = -1}, {.fd = -1}};
    for (;;) {
        output(c);
        bool listener = listened_to(c);
        input(c, listener && (p[1].revents & POLLIN));
        int timeout = -1;
        p[1] = (struct pollfd){.fd = c->kind == PTY && listener ? c->fd : -1};
        if (c->held[RX].is)
            p[1].events |= POLLIN;
        if (c->held[TX].is) {
            p[1].events |= POLLOUT;
            timeout = c->kind == STDIO ? RETRY_MS : 100;
        }
        if (c->kind == PTY && !listener && c->held[RX].is)
            timeout = CONNECT_MS;
        if (!virtio_io_wait(&c->io, p, 2, timeout))
            break;
    }
    output(c); /* the guest's last words */
    return NULL;
}

/* Console thread. */
static void input_ready(void *opaque)
{
    struct console *c = opaque;
    virtio_io_wake(&c->io);
}

/* -- The device ------------------------------------------------------------------------------------------- */

static void kick(struct virtio_dev *d, unsigned queue)
{
    struct console *c = (struct console *)d;
    if (queue == RX && c->kind == STDIO)
        console_want_input();
    virtio_io_kick(&c->io, d, body, "hvc");
}

static void console_free(struct virtio_dev *d)
{
    struct console *c = (struct console *)d;
    virtio_io_stop(&c->io);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static const struct virtio_class console = {
    .name = "console",
    .id = VIRTIO_ID_CONSOLE,
    .queues = QUEUES,
    .queue_max = VIRTIO_QUEUE_MAX,
    .kick = kick,
    .free = console_free,
};

static bool open_pty(struct console *c, char name[64], struct error *e)
{
    struct termios t;
    c->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (c->fd < 0 || grantpt(c->fd) || unlockpt(c->fd) || ptsname_r(c->fd, name, 64)) {
        error_set(e, 1, "--virtio-console=pty: the host gives no pseudo-terminal: %s", strerror(errno));
        return false;
    }
    /* Raw from the start; and from the first close on the master tells whether somebody has it open. */
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0 && !tcgetattr(slave, &t)) {
        cfmakeraw(&t);
        tcsetattr(slave, TCSANOW, &t);
    }
    if (slave >= 0)
        close(slave);
    return true;
}

static bool open_end(struct console *c, const char *spec, char name[64], struct error *e)
{
    c->fd = -1;
    if (!strcmp(spec, "stdio")) {
        c->kind = STDIO;
        return true;
    }
    if (!strcmp(spec, "pty")) {
        c->kind = PTY;
        return open_pty(c, name, e);
    }
    if (strncmp(spec, "file:", 5) || !spec[5]) {
        error_set(e, 2, "--virtio-console=%s: choose one of stdio, pty, file:FILE", spec);
        return false;
    }
    c->kind = OUT_FILE;
    c->fd = open(spec + 5, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (c->fd < 0)
        error_set(e, 1, "--virtio-console: cannot write %s: %s", spec + 5, strerror(errno));
    return c->fd >= 0;
}

struct virtio_dev *virtio_console_new(const char *spec, char name[64], struct error *e)
{
    struct console *c = calloc(1, sizeof *c);
    CHECK(c, "out of memory");
    name[0] = 0;
    c->io.wake_fd = -1;
    c->dev.class = &console;
    c->dev.features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT;
    if (!virtio_io_init(&c->io, e) || !open_end(c, spec, name, e)) {
        console_free(&c->dev);
        return NULL;
    }
    return &c->dev;
}

void virtio_console_connect(struct virtio_dev *d)
{
    struct console *c = (struct console *)d;
    if (c->kind == STDIO)
        console_on_input(input_ready, c);
}
