/*
 * io.c — the thread of a device that waits for descriptors of the host
 */
#include "machines/virtio/io.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/log.h"

bool virtio_io_init(struct virtio_io *io, struct error *e)
{
    pthread_mutex_init(&io->lock, NULL);
    io->started = io->stop = false;
    io->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (io->wake_fd < 0)
        error_set(e, 1, "the host gives no event descriptor: %s", strerror(errno));
    return io->wake_fd >= 0;
}

void virtio_io_wake(struct virtio_io *io)
{
    uint64_t one = 1;
    ssize_t n = write(io->wake_fd, &one, sizeof one);
    (void)n; /* EAGAIN: it is awake already */
}

void virtio_io_kick(struct virtio_io *io, struct virtio_dev *d, void *(*body)(void *), const char *name)
{
    int err = 0;
    pthread_mutex_lock(&io->lock);
    if (!io->started && !io->stop) {
        err = pthread_create(&io->thread, NULL, body, d);
        io->started = !err;
        if (!err)
            pthread_setname_np(io->thread, name);
    }
    pthread_mutex_unlock(&io->lock);
    if (err) {
        guest_error("virtio-%s: the host gives no thread: %s", d->class->name, strerror(err));
        virtio_break(d, "no thread");
        return;
    }
    virtio_io_wake(io);
}

bool virtio_io_wait(struct virtio_io *io, struct pollfd *p, unsigned n, int timeout_ms)
{
    uint64_t count;
    p[0] = (struct pollfd){.fd = io->wake_fd, .events = POLLIN};
    if (poll(p, n, timeout_ms) < 0) /* EINTR: nothing is known of the others */
        for (unsigned i = 1; i < n; i++)
            p[i].revents = 0;
    ssize_t got = read(io->wake_fd, &count, sizeof count);
    (void)got;
    pthread_mutex_lock(&io->lock);
    bool go_on = !io->stop;
    pthread_mutex_unlock(&io->lock);
    return go_on;
}

void virtio_io_stop(struct virtio_io *io)
{
    pthread_mutex_lock(&io->lock);
    io->stop = true;
    bool started = io->started;
    pthread_mutex_unlock(&io->lock);
    if (started) {
        virtio_io_wake(io);
        pthread_join(io->thread, NULL);
    }
    if (io->wake_fd >= 0)
        close(io->wake_fd);
    pthread_mutex_destroy(&io->lock);
}
