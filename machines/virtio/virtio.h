/*
 * virtio.h — paravirtual devices: what a transport, a ring and a device are to each other
 *
 * Source: Virtual I/O Device (VIRTIO) 1.1. Only the modern form (VIRTIO_F_VERSION_1) with split rings.
 *
 * The guest is untrusted: every address in a ring is checked to be RAM for each page of it, what a chain may hold is
 * bounded, and a ring that makes no sense ends in the status bit DEVICE_NEEDS_RESET, after which nothing is taken from it.
 * V1: guest memory is written with the device lock held and only while the device is of the same generation as when the
 *     request was taken; so after a reset by the driver nothing of ours lands in its memory.
 */
#ifndef MACHINES_VIRTIO_VIRTIO_H
#define MACHINES_VIRTIO_VIRTIO_H

#include "machines/machine.h"

#define VIRTIO_QUEUES    2
#define VIRTIO_QUEUE_MAX 256
#define VIRTIO_SEGMENTS  260                 /* of a chain */
#define VIRTIO_CHAIN_MAX ((uint64_t)4 << 20) /* bytes of a chain */

enum { VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4 };
enum {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128
};
#define VIRTIO_F_INDIRECT  (UINT64_C(1) << 28)
#define VIRTIO_F_VERSION_1 (UINT64_C(1) << 32)

struct virtio_dev;

/* Device lock held in all of them but free. */
struct virtio_class {
    const char *name;
    uint32_t id;
    uint64_t features; /* beside those of every device */
    unsigned queues;
    unsigned queue_max;                                    /* power of two */
    void (*kick)(struct virtio_dev *d, unsigned queue);    /* there may be new chains; must not block */
    void (*reset)(struct virtio_dev *d);                   /* or NULL */
    uint8_t (*config)(struct virtio_dev *d, uint32_t off); /* a byte of the device's configuration; or NULL */
    /* No vCPU runs, device lock not held: waits for what is under way, ends threads, closes files. */
    void (*free)(struct virtio_dev *d);
};

struct virtqueue {
    bool ready;
    uint16_t size; /* as the driver chose it; power of two up to queue_max */
    gpa desc, avail, used;
    uint16_t next; /* of the available ring */
};

/* The head of every device; guarded by device lock. */
struct virtio_dev {
    const struct virtio_class *class; /* const after LAUNCH */
    uint64_t features;                /* offered; const after LAUNCH */
    uint64_t accepted;
    uint32_t status;
    uint32_t generation; /* counts resets: V1 */
    struct virtqueue queue[VIRTIO_QUEUES];
    void (*interrupt)(void *transport, bool config); /* const after LAUNCH */
    void *transport;
};

/* -- ring.c: device lock held ---------------------------------------------------------------------- */

struct virtio_chain {
    uint16_t head;
    unsigned n, n_out; /* segments: the first n_out are for the device to read, the others for it to write */
    struct {
        gpa addr;
        uint32_t bytes;
    } segment[VIRTIO_SEGMENTS];
    uint64_t out_bytes, in_bytes;
};

/* The next chain that the driver has made available. False: none, or the ring is broken. */
bool virtio_pop(struct virtio_dev *d, unsigned queue, struct virtio_chain *c);
/* Give it back; written: bytes at the beginning of the parts for us to write. Raises the interrupt if the driver wants it. */
void virtio_push(struct virtio_dev *d, unsigned queue, const struct virtio_chain *c, uint32_t written);
/* The driver made an error that leaves the device useless until it is reset. */
void virtio_break(struct virtio_dev *d, const char *why);
void virtio_reset(struct virtio_dev *d);

/* Copy out of the parts to be read, or into those to be written, from byte `from` of them on. False: not RAM, or beyond the
 * end. virtio_get needs no lock. */
bool virtio_get(const struct virtio_chain *c, uint64_t from, void *buf, size_t bytes);
bool virtio_put(const struct virtio_chain *c, uint64_t from, const void *buf, size_t bytes);

/* -- The devices ------------------------------------------------------------------------------------- */

/* LAUNCH. spec: FILE[,ro|,cow]. NULL with e filled: no such file, in use, empty, ... */
struct virtio_dev *virtio_block_new(const char *spec, struct error *e);
struct virtio_dev *virtio_rng_new(void);
/* LAUNCH. spec: stdio, pty or file:FILE. name: the pseudo-terminal's, or "". */
struct virtio_dev *virtio_console_new(const char *spec, char name[64], struct error *e);
/* LAUNCH, after console_setup(): with stdio, what is typed goes to this device from now on. */
void virtio_console_connect(struct virtio_dev *d);
/* LAUNCH. spec: loop, user, tap:NAME or unix:PATH, then options: net.c. */
struct virtio_dev *virtio_net_new(const char *spec, struct error *e);

static inline void virtio_free(struct virtio_dev *d)
{
    if (d)
        d->class->free(d);
}

#endif
