/*
 * net_tap.c — a tap interface of the host
 *
 * Source: Linux, Documentation/networking/tuntap.rst. The interface is made if it is not there and we may; its address and state are
 * the host's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "machines/virtio/net.h"

struct tap {
    struct net_link link;
    int fd; /* const after LAUNCH */
    uint8_t buf[NET_FRAME_MAX];
};

static void before(struct net_link *l, struct net_polls *s, int *timeout_ms, bool hungry)
{
    (void)timeout_ms;
    net_polls_add(s, hungry ? ((struct tap *)l)->fd : -1, POLLIN);
}

static void after(struct net_link *l, const struct net_polls *s)
{
    struct tap *t = (struct tap *)l;
    if (!s->p[1].revents)
        return;
    for (unsigned i = 0; i < 64; i++) {
        ssize_t n = read(t->fd, t->buf, sizeof t->buf);
        if (n <= 0)
            return;
        l->deliver(l->card, t->buf, (size_t)n);
    }
}

static void send_frame(struct net_link *l, const uint8_t *frame, size_t bytes)
{
    ssize_t n = write(((struct tap *)l)->fd, frame, bytes);
    (void)n; /* full, or down: lost */
}

static void tap_free(struct net_link *l)
{
    close(((struct tap *)l)->fd);
    free(l);
}

struct net_link *net_tap_new(const char *name, struct error *e)
{
    static const struct net_ops ops = {before, after, send_frame, tap_free};
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (strlen(name) >= sizeof r.ifr_name) {
        error_set(e, 2, "--net=tap:%s: a name of an interface has at most %zu characters", name, sizeof r.ifr_name - 1);
        return NULL;
    }
    memcpy(r.ifr_name, name, strlen(name) + 1);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        error_set(e, 1, "--net=tap:%s: cannot open /dev/net/tun: %s", name, strerror(errno));
        return NULL;
    }
    if (ioctl(fd, TUNSETIFF, &r)) {
        int err = errno;
        close(fd);
        error_set(e, 1, "--net=tap:%s: %s%s", name, strerror(err),
                  err == EPERM   ? "; have it made for you: ip tuntap add NAME mode tap user YOU, or take --net=user"
                  : err == EBUSY ? "; another program has it open"
                                 : "");
        return NULL;
    }
    struct tap *t = calloc(1, sizeof *t);
    CHECK(t, "out of memory");
    t->link.ops = &ops;
    t->fd = fd;
    return &t->link;
}
