/*
 * net_user.c — the guest behind an address translation in this process, by libslirp
 *
 * The guest's network is 10.0.2.0/24 and fec0::/64: 10.0.2.2 is the host, 10.0.2.3 its name server, 10.0.2.15 what DHCP gives the guest.
 * The guest opens connections to wherever this process may; connections to the guest come only by hostfwd, from 127.0.0.1.
 * libslirp belongs to the card's thread but for LAUNCH and the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <slirp/libslirp.h>

#include "engine/base/log.h"
#include "machines/virtio/net.h"

#define TIMERS 8

struct user {
    struct net_link link;
    Slirp *slirp;
    struct net_polls *polls;        /* during before() */
    const struct net_polls *polled; /* during after() */
    struct timer {
        SlirpTimerCb fn; /* NULL: free */
        void *opaque;
        int64_t due_ms; /* INT64_MAX: not armed */
    } timers[TIMERS];
};

/* -- What libslirp calls ------------------------------------------------------------------------------------ */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    struct user *u = opaque;
    if (u->link.deliver)
        u->link.deliver(u->link.card, buf, len);
    return (ssize_t)len;
}

static void complain(const char *msg, void *opaque)
{
    (void)opaque;
    dlog(DEV, "virtio-net: %s", msg);
}

static int64_t clock_get_ns(void *opaque)
{
    (void)opaque;
    return (int64_t)now_ns();
}

static void *timer_new(SlirpTimerCb fn, void *fn_opaque, void *opaque)
{
    struct user *u = opaque;
    for (unsigned i = 0; i < TIMERS; i++)
        if (!u->timers[i].fn) {
            u->timers[i] = (struct timer){fn, fn_opaque, INT64_MAX};
            return &u->timers[i];
        }
    CHECK(false, "libslirp wants more than %d timers", TIMERS);
}

static void timer_free(void *timer, void *opaque)
{
    (void)opaque;
    ((struct timer *)timer)->fn = NULL;
}

static void timer_mod(void *timer, int64_t due_ms, void *opaque)
{
    (void)opaque;
    ((struct timer *)timer)->due_ms = due_ms;
}

static void nothing(int fd, void *opaque)
{
    (void)fd, (void)opaque;
}

static void notify(void *opaque)
{
    (void)opaque; /* only ever called in the thread that polls next */
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = complain,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = nothing,
    .unregister_poll_fd = nothing,
    .notify = notify,
};

/* libslirp's bits, and poll's */
static const struct {
    int slirp;
    short host;
} bits_of[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int events, void *opaque)
{
    struct user *u = opaque;
    short host = 0;
    for (unsigned i = 0; i < 3; i++) /* ERR and HUP come unasked */
        host |= events & bits_of[i].slirp ? bits_of[i].host : 0;
    return (int)net_polls_add(u->polls, fd, host);
}

static int get_revents(int place, void *opaque)
{
    const struct user *u = opaque;
    int events = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(bits_of); i++)
        events |= u->polled->p[place].revents & bits_of[i].host ? bits_of[i].slirp : 0;
    return events;
}

/* -- What the card calls ------------------------------------------------------------------------------------- */

static void before(struct net_link *l, struct net_polls *s, int *timeout_ms, bool hungry)
{
    struct user *u = (struct user *)l;
    (void)hungry; /* what finds no room is lost and sent again by TCP */
    uint32_t wait = *timeout_ms < 0 ? UINT32_MAX : (uint32_t)*timeout_ms;
    u->polls = s;
    slirp_pollfds_fill(u->slirp, &wait, add_poll, u);
    int64_t now = clock_get_ns(NULL) / 1000000;
    for (unsigned i = 0; i < TIMERS; i++) {
        if (!u->timers[i].fn || u->timers[i].due_ms == INT64_MAX)
            continue;
        int64_t left = u->timers[i].due_ms > now ? u->timers[i].due_ms - now : 0;
        wait = left < wait ? (uint32_t)left : wait;
    }
    *timeout_ms = wait > INT32_MAX ? -1 : (int)wait;
}

static void after(struct net_link *l, const struct net_polls *s)
{
    struct user *u = (struct user *)l;
    u->polled = s;
    slirp_pollfds_poll(u->slirp, 0, get_revents, u);
    int64_t now = clock_get_ns(NULL) / 1000000;
    for (unsigned i = 0; i < TIMERS; i++) {
        struct timer *t = &u->timers[i];
        if (t->fn && t->due_ms <= now) {
            t->due_ms = INT64_MAX;
            t->fn(t->opaque);
        }
    }
}

static void send_frame(struct net_link *l, const uint8_t *frame, size_t bytes)
{
    slirp_input(((struct user *)l)->slirp, frame, (int)bytes);
}

static void user_free(struct net_link *l)
{
    slirp_cleanup(((struct user *)l)->slirp);
    free(l);
}

struct net_link *net_user_new(struct error *e)
{
    static const struct net_ops ops = {before, after, send_frame, user_free};
    SlirpConfig cfg = {.version = 1, .in_enabled = true, .in6_enabled = true, .vprefix_len = 64, .vhostname = "dbtlab"};
    inet_pton(AF_INET, "10.0.2.0", &cfg.vnetwork);
    inet_pton(AF_INET, "255.255.255.0", &cfg.vnetmask);
    inet_pton(AF_INET, "10.0.2.2", &cfg.vhost);
    inet_pton(AF_INET, "10.0.2.15", &cfg.vdhcp_start);
    inet_pton(AF_INET, "10.0.2.3", &cfg.vnameserver);
    inet_pton(AF_INET6, "fec0::", &cfg.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &cfg.vhost6);
    inet_pton(AF_INET6, "fec0::3", &cfg.vnameserver6);
    struct user *u = calloc(1, sizeof *u);
    CHECK(u, "out of memory");
    u->link.ops = &ops;
    u->slirp = slirp_new(&cfg, &callbacks, u);
    if (!u->slirp) {
        error_set(e, 1, "--net=user: libslirp %s does not start", slirp_version_string());
        free(u);
        return NULL;
    }
    return &u->link;
}

bool net_user_forward(struct net_link *l, const char *rule, struct error *e)
{
    struct in_addr here, guest;
    char protocol[4];
    unsigned port, guest_port;
    int end = 0;
    if (sscanf(rule, "%3[a-z]:%5u:%5u%n", protocol, &port, &guest_port, &end) != 3 || rule[end] ||
        (strcmp(protocol, "tcp") && strcmp(protocol, "udp")) || !port || port > 65535 || !guest_port ||
        guest_port > 65535) {
        error_set(e, 2, "--net: hostfwd=%s: write tcp:PORT:GUESTPORT or udp:PORT:GUESTPORT, such as tcp:2222:22", rule);
        return false;
    }
    inet_pton(AF_INET, "127.0.0.1", &here);
    inet_pton(AF_INET, "10.0.2.15", &guest);
    if (slirp_add_hostfwd(((struct user *)l)->slirp, protocol[0] == 'u', here, (int)port, guest, (int)guest_port)) {
        error_set(e, 1, "--net: hostfwd=%s: cannot listen on port %u of 127.0.0.1: %s", rule, port, strerror(errno));
        return false;
    }
    return true;
}
