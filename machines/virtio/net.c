/*
 * net.c — a network card
 *
 * Source: VIRTIO 1.1, 5.1, without offloads and control queue. --net=BACKEND[,mac=XX:XX:XX:XX:XX:XX]...
 *   loop            what the guest sends comes back to it
 *   user            the guest is behind an address translation in this process (libslirp): no rights needed on the host
 *   tap:NAME        a tap interface of the host
 *   unix:PATH       a socket: whoever comes first listens, the second one connects; each packet of it is a frame
 *
 * N1: the card's thread alone talks to the backend. Frames for the guest wait in a queue of FRAMES_MAX; the last come are lost first.
 * N2: chains are popped and pushed within one hold of the device lock, or, for what the guest sends, given back only to the
 *     generation that they came from (V1 of virtio.h).
 */
#include "machines/virtio/net.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/log.h"
#include "machines/virtio/io.h"

enum { RX, TX, QUEUES };
#define F_MAC      (UINT64_C(1) << 5)
#define F_STATUS   (UINT64_C(1) << 16)
#define HEAD       12 /* struct virtio_net_hdr of the modern form */
#define FRAME_MIN  14
#define FRAMES_MAX 256

struct frame {
    struct frame *next;
    size_t bytes;
    uint8_t data[];
};

struct net {
    struct virtio_dev dev;
    struct virtio_io io;
    struct net_link *link; /* const after LAUNCH */
    uint8_t mac[6];        /* const after LAUNCH */
    /* the thread's own */
    struct net_polls polls;
    struct frame *first, **last;
    unsigned waiting;
    uint32_t generation; /* in which the waiting frames came */
    uint8_t buf[NET_FRAME_MAX];
};

unsigned net_polls_add(struct net_polls *s, int fd, short events)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 16;
        s->p = realloc(s->p, s->room * sizeof *s->p);
        CHECK(s->p, "out of memory");
    }
    s->p[s->n] = (struct pollfd){.fd = fd, .events = events};
    return s->n++;
}

/* -- To the guest ------------------------------------------------------------------------------------- */

/* N1 */
static void deliver(void *card, const uint8_t *data, size_t bytes)
{
    struct net *n = card;
    if (n->waiting == FRAMES_MAX || bytes < FRAME_MIN || bytes > NET_FRAME_MAX)
        return;
    struct frame *f = malloc(sizeof *f + bytes);
    if (!f)
        return;
    f->next = NULL;
    f->bytes = bytes;
    memcpy(f->data, data, bytes);
    *n->last = f;
    n->last = &f->next;
    n->waiting++;
}

static void drop_first(struct net *n)
{
    struct frame *f = n->first;
    n->first = f->next;
    if (!n->first)
        n->last = &n->first;
    n->waiting--;
    free(f);
}

/* Device lock held. False: the guest has no buffer. */
static bool give(struct net *n, const struct frame *f)
{
    static const uint8_t head[HEAD] = {[10] = 1}; /* num_buffers: 1 */
    struct virtio_chain c;
    if (!virtio_pop(&n->dev, RX, &c))
        return false;
    if (c.in_bytes < HEAD + f->bytes) {
        virtio_break(&n->dev, "a buffer is too small for the packet that came");
        return false;
    }
    if (!virtio_put(&c, 0, head, HEAD) || !virtio_put(&c, HEAD, f->data, f->bytes)) {
        virtio_break(&n->dev, "a buffer is not in RAM");
        return false;
    }
    virtio_push(&n->dev, RX, &c, (uint32_t)(HEAD + f->bytes));
    return true;
}

static void receive(struct net *n)
{
    bool more = n->first != NULL;
    while (more) {
        device_lock();
        if (n->generation != n->dev.generation) { /* meant for whoever was there before the reset */
            device_unlock();
            while (n->first)
                drop_first(n);
            return;
        }
        more = give(n, n->first);
        device_unlock();
        if (more)
            drop_first(n);
        more = more && n->first;
    }
}

/* -- From the guest ------------------------------------------------------------------------------------ */

/* False: no more. */
static bool transmit_one(struct net *n)
{
    struct virtio_chain c;
    const char *wrong = NULL;
    device_lock();
    uint32_t generation = n->dev.generation;
    if (generation != n->generation && !n->first)
        n->generation = generation;
    bool got = virtio_pop(&n->dev, TX, &c);
    device_unlock();
    if (!got)
        return false;
    if (c.out_bytes < HEAD)
        wrong = "a packet without its header";
    else if (c.out_bytes - HEAD > sizeof n->buf)
        guest_error("virtio-net: a packet of %" PRIu64 " bytes is lost; a card sends at most %zu", c.out_bytes - HEAD,
                    sizeof n->buf);
    else if (!virtio_get(&c, HEAD, n->buf, (size_t)c.out_bytes - HEAD))
        wrong = "a buffer is not in RAM";
    else if (c.out_bytes - HEAD >= FRAME_MIN)
        n->link->ops->send(n->link, n->buf, (size_t)c.out_bytes - HEAD);
    device_lock();
    if (generation == n->dev.generation) {
        if (wrong)
            virtio_break(&n->dev, wrong);
        else
            virtio_push(&n->dev, TX, &c, 0);
    }
    device_unlock();
    return !wrong;
}

static void *body(void *opaque)
{
    struct net *n = opaque;
    for (;;) {
        unsigned sent = 0;
        while (sent++ < FRAMES_MAX && transmit_one(n))
            ;
        receive(n);
        int timeout = sent > FRAMES_MAX ? 0 : -1;
        n->polls.n = 0;
        net_polls_add(&n->polls, -1, 0);
        n->link->ops->before(n->link, &n->polls, &timeout, n->waiting < FRAMES_MAX / 2);
        if (!virtio_io_wait(&n->io, n->polls.p, n->polls.n, timeout))
            return NULL;
        n->link->ops->after(n->link, &n->polls);
    }
}

/* -- The loop -------------------------------------------------------------------------------------------- */

static void loop_before(struct net_link *l, struct net_polls *s, int *timeout_ms, bool hungry)
{
    (void)l, (void)s, (void)timeout_ms, (void)hungry;
}

static void loop_after(struct net_link *l, const struct net_polls *s)
{
    (void)l, (void)s;
}

static void loop_send(struct net_link *l, const uint8_t *frame, size_t bytes)
{
    l->deliver(l->card, frame, bytes);
}

static void loop_free(struct net_link *l)
{
    free(l);
}

static struct net_link *loop_new(void)
{
    static const struct net_ops ops = {loop_before, loop_after, loop_send, loop_free};
    struct net_link *l = calloc(1, sizeof *l);
    CHECK(l, "out of memory");
    l->ops = &ops;
    return l;
}

/* -- The device ------------------------------------------------------------------------------------------- */

static void kick(struct virtio_dev *d, unsigned queue)
{
    struct net *n = (struct net *)d;
    (void)queue;
    virtio_io_kick(&n->io, d, body, "net");
}

/* struct virtio_net_config: mac, status (1: the link is up). */
static uint8_t config(struct virtio_dev *d, uint32_t off)
{
    const struct net *n = (const struct net *)d;
    return off < 6 ? n->mac[off] : off == 6;
}

static void net_free(struct virtio_dev *d)
{
    struct net *n = (struct net *)d;
    virtio_io_stop(&n->io);
    if (n->link)
        n->link->ops->free(n->link);
    while (n->first)
        drop_first(n);
    free(n->polls.p);
    free(n);
}

static const struct virtio_class net = {
    .name = "net",
    .id = VIRTIO_ID_NET,
    .features = F_MAC | F_STATUS,
    .queues = QUEUES,
    .queue_max = VIRTIO_QUEUE_MAX,
    .kick = kick,
    .config = config,
    .free = net_free,
};

/* -- Options ------------------------------------------------------------------------------------------------ */

static struct net_link *link_new(const char *name, struct error *e)
{
    const char *colon = strchr(name, ':');
    size_t len = colon ? (size_t)(colon - name) : strlen(name);
    const char *arg = colon ? colon + 1 : NULL;
#define IS(word) (len == strlen(word) && !memcmp(name, word, len))
    if (IS("loop") && !arg)
        return loop_new();
    if (IS("user") && !arg)
        return net_user_new(e);
    if (IS("tap") && arg && *arg)
        return net_tap_new(arg, e);
    if (IS("unix") && arg && *arg)
        return net_unix_new(arg, e);
#undef IS
    error_set(e, 2, "--net=%s: choose one of none, user, tap:NAME, unix:PATH, loop", name);
    return NULL;
}

static bool parse_mac(uint8_t mac[6], const char *text, struct error *e)
{
    unsigned b[6];
    int end = 0;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || text[end] ||
        (b[0] & 1)) {
        error_set(e, 2, "--net: mac=%s: write six bytes in hexadecimal, the first one even, such as 02:00:00:00:00:01",
                  text);
        return false;
    }
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)b[i];
    return true;
}

static bool parse(struct net *n, char *spec, struct error *e)
{
    char *save, *word = strtok_r(spec, ",", &save);
    const char *backend = word ? word : "";
    if (!(n->link = link_new(backend, e)))
        return false;
    n->link->deliver = deliver;
    n->link->card = n;
    const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, (uint8_t)(0x56 + n->link->mac_last)};
    memcpy(n->mac, mac, 6);
    while ((word = strtok_r(NULL, ",", &save))) {
        if (!strncmp(word, "mac=", 4)) {
            if (!parse_mac(n->mac, word + 4, e))
                return false;
        } else if (!strncmp(word, "hostfwd=", 8) && !strcmp(backend, "user")) {
            if (!net_user_forward(n->link, word + 8, e))
                return false;
        } else {
            error_set(
                e, 2,
                "--net: %s has no option \"%s\"; there are mac=XX:XX:XX:XX:XX:XX and, of user, hostfwd=tcp:PORT:GUESTPORT",
                backend, word);
            return false;
        }
    }
    return true;
}

struct virtio_dev *virtio_net_new(const char *spec, struct error *e)
{
    struct net *n = calloc(1, sizeof *n);
    char *words = strdup(spec);
    CHECK(n && words, "out of memory");
    n->io.wake_fd = -1;
    n->last = &n->first;
    n->dev.class = &net;
    n->dev.features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT | net.features;
    bool ok = virtio_io_init(&n->io, e) && parse(n, words, e);
    free(words);
    if (ok)
        return &n->dev;
    net_free(&n->dev);
    return NULL;
}
