/*
 * net_unix.c — a cable to another guest, or to a program, on this host
 *
 * A SOCK_SEQPACKET socket at PATH; each packet is a frame. Who finds nobody listening listens, and takes one peer at a time; when that
 * one has gone the next may come. Who finds a listener connects; when that one has gone the cable stays dead.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "machines/virtio/net.h"

#define PATIENCE_MS 10 /* a peer that has not read for so long loses a frame */

struct cable {
    struct net_link link;
    struct sockaddr_un at; /* const after LAUNCH */
    int listen_fd;         /* const after LAUNCH; -1: we connected */
    int fd;                /* thread; -1: nobody there */
    uint8_t buf[NET_FRAME_MAX];
};

static void before(struct net_link *l, struct net_polls *s, int *timeout_ms, bool hungry)
{
    struct cable *c = (struct cable *)l;
    (void)timeout_ms;
    net_polls_add(s, c->fd < 0 ? c->listen_fd : hungry ? c->fd : -1, POLLIN);
}

static void hang_up(struct cable *c)
{
    close(c->fd);
    c->fd = -1;
}

static void after(struct net_link *l, const struct net_polls *s)
{
    struct cable *c = (struct cable *)l;
    if (!s->p[1].revents)
        return;
    if (c->fd < 0) {
        c->fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        return;
    }
    for (unsigned i = 0; i < 64; i++) {
        ssize_t n = recv(c->fd, c->buf, sizeof c->buf, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            hang_up(c);
            return;
        }
        l->deliver(l->card, c->buf, (size_t)n);
    }
}

static void send_frame(struct net_link *l, const uint8_t *frame, size_t bytes)
{
    struct cable *c = (struct cable *)l;
    if (c->fd < 0)
        return;
    if (send(c->fd, frame, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != EAGAIN)
        return;
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    if (poll(&p, 1, PATIENCE_MS) > 0 && send(c->fd, frame, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        dlog(DEV, "virtio-net: a frame of %zu bytes lost: %s", bytes, strerror(errno));
}

static void cable_free(struct net_link *l)
{
    struct cable *c = (struct cable *)l;
    if (c->fd >= 0)
        close(c->fd);
    if (c->listen_fd >= 0) {
        close(c->listen_fd);
        unlink(c->at.sun_path);
    }
    free(c);
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static bool open_cable(struct cable *c, struct error *e)
{
    const char *path = c->at.sun_path;
    struct stat st;
    c->fd = new_socket();
    if (c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&c->at, sizeof c->at))
        return true;
    int err = errno;
    if (c->fd >= 0)
        hang_up(c);
    if (err == ECONNREFUSED && !lstat(path, &st) && S_ISSOCK(st.st_mode))
        unlink(path); /* left by one who is gone */
    else if (err != ENOENT) {
        error_set(e, 1, "--net=unix:%s: %s", path,
                  err == EPROTOTYPE || err == ECONNREFUSED ? "what is there is no socket of this kind (SOCK_SEQPACKET)"
                                                           : strerror(err));
        return false;
    }
    c->listen_fd = new_socket();
    if (c->listen_fd < 0 || bind(c->listen_fd, (struct sockaddr *)&c->at, sizeof c->at) || listen(c->listen_fd, 1)) {
        error_set(e, 1, "--net=unix:%s: cannot listen there: %s", path, strerror(errno));
        if (c->listen_fd >= 0)
            close(c->listen_fd);
        c->listen_fd = -1;
        return false;
    }
    return true;
}

struct net_link *net_unix_new(const char *path, struct error *e)
{
    static const struct net_ops ops = {before, after, send_frame, cable_free};
    struct cable *c = calloc(1, sizeof *c);
    CHECK(c, "out of memory");
    c->link.ops = &ops;
    c->fd = c->listen_fd = -1;
    c->at.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof c->at.sun_path) {
        error_set(e, 2, "--net=unix:%s: a path of a socket has at most %zu characters", path,
                  sizeof c->at.sun_path - 1);
        free(c);
        return NULL;
    }
    memcpy(c->at.sun_path, path, strlen(path) + 1);
    if (!open_cable(c, e)) {
        cable_free(&c->link);
        return NULL;
    }
    c->link.mac_last = c->listen_fd < 0; /* the two ends of a cable differ */
    return &c->link;
}
