/*
 * block.c — a disk: a file of the host, read and written by a thread of its own
 *
 * Source: VIRTIO 1.1, 5.2. The file: disk_file.h; that it is only read is told to the guest.
 *
 * B1: a flush is acknowledged after fdatasync() has returned. A write is acknowledged when the host's kernel has it; if the driver
 *     knows no flush, when fdatasync() has returned (5.2.6.2).
 * B2: every error of the host, and every short read or write (the file has become shorter, the host's disk is full), is an I/O
 *     error of that request for the guest; the device goes on.
 * Requests are done one after the other in the order of the ring.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/base/log.h"
#include "machines/disk_file.h"
#include "machines/virtio/virtio.h"

enum { REQ_IN = 0, REQ_OUT = 1, REQ_FLUSH = 4, REQ_GET_ID = 8 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPPORTED = 2 };
#define F_SEG_MAX  (UINT64_C(1) << 2)
#define F_RO       (UINT64_C(1) << 5)
#define F_BLK_SIZE (UINT64_C(1) << 6)
#define F_FLUSH    (UINT64_C(1) << 9)
#define SEG_MAX    254
#define ID_BYTES   20

struct block {
    struct virtio_dev dev;
    struct disk_file file; /* transfers: the worker */
    pthread_t worker;
    pthread_mutex_t lock; /* a leaf; guards the next three */
    pthread_cond_t wake;
    bool started, due, stop;
};

/* -- Requests: worker thread, no lock ---------------------------------------------------------------------- */

struct request {
    struct virtio_chain chain;
    uint32_t generation;
    bool through;  /* the driver knows no flush */
    uint8_t *data; /* to be read by the guest; or NULL */
    size_t data_bytes;
    uint8_t status;
    bool foul; /* not a request at all */
};

/* B1 */
static uint8_t flush(struct block *b)
{
    if (disk_file_flush(&b->file))
        return STATUS_OK;
    guest_error("virtio-block: a flush failed on the host: %s; the guest sees an I/O error", strerror(errno));
    return STATUS_IOERR;
}

static uint8_t read_or_write(struct block *b, struct request *r, uint64_t sector, bool write)
{
    uint64_t bytes = write ? r->chain.out_bytes - 16 : r->chain.in_bytes - 1;
    if (bytes % SECTOR || sector > b->file.sectors || bytes / SECTOR > b->file.sectors - sector ||
        (write && b->file.read_only))
        return STATUS_IOERR;
    r->data = malloc(bytes ? bytes : 1);
    if (!r->data)
        return STATUS_IOERR;
    if (write && !virtio_get(&r->chain, 16, r->data, bytes)) {
        r->foul = true;
        return STATUS_IOERR;
    }
    if (!disk_file_transfer(&b->file, r->data, bytes, sector * SECTOR, write)) {
        guest_error("virtio-block: %s at sector %" PRIu64 " failed on the host; the guest sees an I/O error",
                    write ? "a write" : "a read", sector);
        return STATUS_IOERR;
    }
    r->data_bytes = write ? 0 : bytes;
    return write && r->through ? flush(b) : STATUS_OK;
}

static void perform(struct block *b, struct request *r)
{
    uint8_t head[16];
    uint32_t type;
    uint64_t sector;
    if (r->chain.in_bytes < 1 || !virtio_get(&r->chain, 0, head, sizeof head)) {
        r->foul = true;
        return;
    }
    memcpy(&type, head, 4);
    memcpy(&sector, head + 8, 8);
    switch (type) {
    case REQ_IN:
    case REQ_OUT: r->status = read_or_write(b, r, sector, type == REQ_OUT); break;
    case REQ_FLUSH: r->status = flush(b); break;
    case REQ_GET_ID:
        r->data_bytes = r->chain.in_bytes - 1 < ID_BYTES ? (size_t)r->chain.in_bytes - 1 : ID_BYTES;
        r->data = calloc(1, ID_BYTES);
        CHECK(r->data, "out of memory");
        memcpy(r->data, "dbtlab", 6);
        r->status = STATUS_OK;
        break;
    default: r->status = STATUS_UNSUPPORTED; break;
    }
}

/* Device lock held. V1 of virtio.h. */
static void complete(struct block *b, struct request *r)
{
    struct virtio_dev *d = &b->dev;
    if (d->generation != r->generation)
        return;
    if (!r->foul && virtio_put(&r->chain, 0, r->data, r->data_bytes) &&
        virtio_put(&r->chain, r->chain.in_bytes - 1, &r->status, 1))
        virtio_push(d, 0, &r->chain, (uint32_t)r->data_bytes + 1);
    else
        virtio_break(d, "a request without head or status, or not in RAM");
}

static bool wait_for_work(struct block *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->due && !b->stop)
        pthread_cond_wait(&b->wake, &b->lock);
    b->due = false;
    bool go_on = !b->stop;
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

static void *work(void *opaque)
{
    struct block *b = opaque;
    while (wait_for_work(b)) {
        for (;;) {
            struct request r = {.data = NULL};
            device_lock();
            r.generation = b->dev.generation;
            r.through = !(b->dev.accepted & F_FLUSH);
            bool got = virtio_pop(&b->dev, 0, &r.chain);
            device_unlock();
            if (!got)
                break;
            perform(b, &r);
            device_lock();
            complete(b, &r);
            device_unlock();
            free(r.data);
        }
    }
    return NULL;
}

/* -- The device ---------------------------------------------------------------------------------------------- */

/* The thread comes with the first request: no threads exist in LAUNCH. */
static void kick(struct virtio_dev *d, unsigned queue)
{
    struct block *b = (struct block *)d;
    (void)queue;
    pthread_mutex_lock(&b->lock);
    if (!b->started && !b->stop) {
        int err = pthread_create(&b->worker, NULL, work, b);
        if (err) {
            pthread_mutex_unlock(&b->lock);
            guest_error("virtio-block: the host gives no thread: %s", strerror(err));
            virtio_break(d, "no thread");
            return;
        }
        pthread_setname_np(b->worker, "disk");
        b->started = true;
    }
    b->due = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

/* struct virtio_blk_config: capacity, size_max, seg_max, geometry, blk_size. */
static uint8_t config(struct virtio_dev *d, uint32_t off)
{
    const struct block *b = (struct block *)d;
    const uint64_t seg_max = SEG_MAX, blk_size = SECTOR;
    if (off < 8)
        return (uint8_t)(b->file.sectors >> 8 * off);
    if (off >= 12 && off < 16)
        return (uint8_t)(seg_max >> 8 * (off - 12));
    if (off >= 20 && off < 24)
        return (uint8_t)(blk_size >> 8 * (off - 20));
    return 0;
}

static void block_free(struct virtio_dev *d)
{
    struct block *b = (struct block *)d;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    bool started = b->started;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (started)
        pthread_join(b->worker, NULL);
    disk_file_close(&b->file);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->wake);
    free(b);
}

static const struct virtio_class block = {
    .name = "block",
    .id = VIRTIO_ID_BLOCK,
    .features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH,
    .queues = 1,
    .queue_max = VIRTIO_QUEUE_MAX,
    .kick = kick,
    .config = config,
    .free = block_free,
};

struct virtio_dev *virtio_block_new(const char *spec, struct error *e)
{
    struct block *b = calloc(1, sizeof *b);
    CHECK(b, "out of memory");
    b->dev.class = &block;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->wake, NULL);
    if (!disk_file_open(&b->file, "disk", spec, SECTOR, e)) {
        block_free(&b->dev);
        return NULL;
    }
    b->dev.features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT | block.features | (b->file.read_only ? F_RO : 0);
    return &b->dev;
}
