/*
 * rng.c — random bytes of the host for the guest
 *
 * Source: VIRTIO 1.1, 5.4.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "machines/virtio/virtio.h"

#define AT_ONCE 256 /* so many never wait for the host's pool, and are plenty */

static void kick(struct virtio_dev *d, unsigned queue)
{
    struct virtio_chain c;
    uint8_t bytes[AT_ONCE];
    while (virtio_pop(d, queue, &c)) {
        size_t want = c.in_bytes < sizeof bytes ? (size_t)c.in_bytes : sizeof bytes;
        ssize_t got = getrandom(bytes, want, GRND_NONBLOCK);
        if (got < 0)
            got = 0;
        if (!virtio_put(&c, 0, bytes, (size_t)got)) {
            virtio_break(d, "a buffer is not in RAM");
            return;
        }
        virtio_push(d, queue, &c, (uint32_t)got);
    }
}

static void rng_free(struct virtio_dev *d)
{
    free(d);
}

static const struct virtio_class rng = {
    .name = "rng", .id = VIRTIO_ID_RNG, .queues = 1, .queue_max = 8, .kick = kick, .free = rng_free};

struct virtio_dev *virtio_rng_new(void)
{
    struct virtio_dev *d = calloc(1, sizeof *d);
    CHECK(d, "out of memory");
    d->class = &rng;
    d->features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT;
    return d;
}
