/*
 * io.h — the thread of a device that waits for descriptors of the host
 */
#ifndef MACHINES_VIRTIO_IO_H
#define MACHINES_VIRTIO_IO_H

#include <poll.h>
#include <pthread.h>

#include "machines/virtio/virtio.h"

struct virtio_io {
    int wake_fd; /* const after LAUNCH; -1: none */
    pthread_t thread;
    pthread_mutex_t lock; /* a leaf; guards the next two */
    bool started, stop;
};

/* LAUNCH. */
bool virtio_io_init(struct virtio_io *io, struct error *e);
/* Device lock held: a kick. Starts the thread with the first one, as no threads exist in LAUNCH. */
void virtio_io_kick(struct virtio_io *io, struct virtio_dev *d, void *(*body)(void *), const char *name);
/* Any thread: the body comes out of virtio_io_wait(). */
void virtio_io_wake(struct virtio_io *io);
/* The body: poll p[1..n-1], with p[0] for us. False: it is to end. */
bool virtio_io_wait(struct virtio_io *io, struct pollfd *p, unsigned n, int timeout_ms);
/* No vCPU runs, device lock not held: ends the thread, closes the descriptor. */
void virtio_io_stop(struct virtio_io *io);

#endif
