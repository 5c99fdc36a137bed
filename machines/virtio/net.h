/*
 * net.h — where a network card's cable ends
 *
 * All functions but the constructors run in the card's thread, without any lock.
 */
#ifndef MACHINES_VIRTIO_NET_H
#define MACHINES_VIRTIO_NET_H

#include <poll.h>

#include "engine/base/base.h"

#define NET_FRAME_MAX 65550 /* with its Ethernet header */

struct net_link;

/* Descriptors of one poll(); grows as needed. */
struct net_polls {
    struct pollfd *p;
    unsigned n, room;
};
/* Returns its place. */
unsigned net_polls_add(struct net_polls *s, int fd, short events);

struct net_ops {
    /* What to wait for; *timeout_ms (-1: no limit) may be made less. hungry: the card has room for frames that come. */
    void (*before)(struct net_link *l, struct net_polls *s, int *timeout_ms, bool hungry);
    /* After the wait: gives frames to l->deliver. */
    void (*after)(struct net_link *l, const struct net_polls *s);
    /* A frame of the guest. What cannot be sent now is lost, as on a cable. */
    void (*send)(struct net_link *l, const uint8_t *frame, size_t bytes);
    void (*free)(struct net_link *l);
};

struct net_link {
    const struct net_ops *ops; /* const after LAUNCH, as all here */
    void (*deliver)(void *card, const uint8_t *frame, size_t bytes);
    void *card;
    uint8_t mac_last; /* last byte of the address of the guest's card, if none is given */
};

/* LAUNCH. arg: what follows the colon, NULL: nothing. NULL with e filled. */
struct net_link *net_tap_new(const char *arg, struct error *e);
struct net_link *net_unix_new(const char *arg, struct error *e);
struct net_link *net_user_new(struct error *e);
/* An option of net_user: hostfwd=tcp|udp:PORT:GUESTPORT, without the name. */
bool net_user_forward(struct net_link *l, const char *rule, struct error *e);

#endif
