/*
 * ring.c — split rings: chains of descriptors out of guest memory, used ones back into it
 *
 * Source: VIRTIO 1.1, 2.6. Event indices are not offered: the driver's flag decides about interrupts.
 */
#include <stdatomic.h>

#include "engine/base/log.h"
#include "engine/mem/mem.h"
#include "machines/virtio/virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };

struct desc {
    uint64_t addr;
    uint32_t bytes;
    uint16_t flags, next;
};
_Static_assert(sizeof(struct desc) == 16, "as in guest memory");

/* -- Guest memory: RAM only, page by page ------------------------------------------------------------ */

static bool copy(gpa at, void *buf, size_t bytes, bool write)
{
    uint8_t *p = buf;
    while (bytes) {
        size_t n = GUEST_PAGE_SIZE - (at & (GUEST_PAGE_SIZE - 1));
        n = n < bytes ? n : bytes;
        /* A device access from here would take the device lock again, and no driver means that. */
        if (!mem_ram_ptr(at, NULL) || (write ? mem_write(at, p, n) : mem_read(at, p, n)) != MEM_OK)
            return false;
        at += n;
        p += n;
        bytes -= n;
    }
    return true;
}

static bool get16(gpa at, uint16_t *val)
{
    return copy(at, val, 2, false);
}

/* -- Chains -------------------------------------------------------------------------------------------- */

void virtio_break(struct virtio_dev *d, const char *why)
{
    if (d->status & VIRTIO_NEEDS_RESET)
        return;
    guest_error("virtio-%s: %s; the device waits for a reset", d->class->name, why);
    d->status |= VIRTIO_NEEDS_RESET;
    if (d->status & VIRTIO_DRIVER_OK)
        d->interrupt(d->transport, true);
}

static const char *add_segment(struct virtio_chain *c, const struct desc *s)
{
    bool in = s->flags & DESC_WRITE;
    if (c->n == VIRTIO_SEGMENTS)
        return "a chain has too many descriptors, or goes in a circle";
    if (!in && c->n != c->n_out)
        return "a chain has parts to be read behind parts to be written";
    if (c->out_bytes + c->in_bytes + s->bytes > VIRTIO_CHAIN_MAX || s->addr > UINT64_MAX - VIRTIO_CHAIN_MAX)
        return "a chain is too long";
    c->segment[c->n].addr = s->addr;
    c->segment[c->n++].bytes = s->bytes;
    c->n_out += !in;
    *(in ? &c->in_bytes : &c->out_bytes) += s->bytes;
    return NULL;
}

/* Walk a table of `count` descriptors from number `at`. NULL, or what is wrong. */
static const char *walk(struct virtio_dev *d, struct virtio_chain *c, gpa table, uint32_t count, uint16_t at,
                        bool nested)
{
    for (uint32_t steps = 0;; steps++) {
        struct desc s;
        const char *wrong;
        if (at >= count || steps == count)
            return "a chain leaves its table, or goes in a circle";
        if (!copy(table + 16u * at, &s, sizeof s, false))
            return "a descriptor table is not in RAM";
        if (s.flags & DESC_INDIRECT) {
            if (nested || !(d->accepted & VIRTIO_F_INDIRECT) || s.bytes % 16 || !s.bytes || s.bytes / 16 > UINT16_MAX)
                return "an indirect table where none may be";
            if ((wrong = walk(d, c, s.addr, s.bytes / 16, 0, true)))
                return wrong;
        } else if ((wrong = add_segment(c, &s))) {
            return wrong;
        }
        if (!(s.flags & DESC_NEXT))
            return NULL;
        if (s.flags & DESC_INDIRECT)
            return "an indirect table that goes on";
        at = s.next;
    }
}

bool virtio_pop(struct virtio_dev *d, unsigned queue, struct virtio_chain *c)
{
    struct virtqueue *q = &d->queue[queue];
    uint16_t index;
    if (!q->ready || !(d->status & VIRTIO_DRIVER_OK) || (d->status & VIRTIO_NEEDS_RESET))
        return false;
    if (!get16(q->avail + 2, &index)) {
        virtio_break(d, "the ring of available chains is not in RAM");
        return false;
    }
    if (index == q->next)
        return false;
    if ((uint16_t)(index - q->next) > q->size) {
        virtio_break(d, "more chains are available than the ring has places");
        return false;
    }
    /* The driver wrote ring and descriptors before the index. */
    atomic_thread_fence(memory_order_acquire);
    *c = (struct virtio_chain){.n = 0};
    const char *wrong = NULL;
    if (!get16(q->avail + 4 + 2u * (q->next % q->size), &c->head))
        wrong = "the ring of available chains is not in RAM";
    else
        wrong = walk(d, c, q->desc, q->size, c->head, false);
    if (wrong) {
        virtio_break(d, wrong);
        return false;
    }
    q->next++;
    return true;
}

void virtio_push(struct virtio_dev *d, unsigned queue, const struct virtio_chain *c, uint32_t written)
{
    struct virtqueue *q = &d->queue[queue];
    uint32_t element[2] = {c->head, written};
    uint16_t index, flags;
    if (!get16(q->used + 2, &index) || !copy(q->used + 4 + 8u * (index % q->size), element, sizeof element, true)) {
        virtio_break(d, "the ring of used chains is not in RAM");
        return;
    }
    /* The driver reads the index first, then what it counts. */
    atomic_thread_fence(memory_order_release);
    index++;
    if (!copy(q->used + 2, &index, 2, true) || !get16(q->avail, &flags)) {
        virtio_break(d, "a ring is not in RAM");
        return;
    }
    /* Seen by the driver before we look whether it wants an interrupt: it sets the flag and looks at the index. */
    atomic_thread_fence(memory_order_seq_cst);
    if (get16(q->avail, &flags) && !(flags & AVAIL_NO_INTERRUPT))
        d->interrupt(d->transport, false);
}

void virtio_reset(struct virtio_dev *d)
{
    d->status = 0;
    d->accepted = 0;
    d->generation++;
    memset(d->queue, 0, sizeof d->queue);
    if (d->class->reset)
        d->class->reset(d);
}

/* -- Contents -------------------------------------------------------------------------------------------- */

static bool transfer(const struct virtio_chain *c, unsigned first, unsigned end, uint64_t from, void *buf, size_t bytes,
                     bool write)
{
    uint8_t *p = buf;
    for (unsigned i = first; i < end && bytes; i++) {
        uint64_t have = c->segment[i].bytes;
        if (from >= have) {
            from -= have;
            continue;
        }
        size_t n = have - from < bytes ? (size_t)(have - from) : bytes;
        if (!copy(c->segment[i].addr + from, p, n, write))
            return false;
        from = 0;
        p += n;
        bytes -= n;
    }
    return !bytes;
}

bool virtio_get(const struct virtio_chain *c, uint64_t from, void *buf, size_t bytes)
{
    return transfer(c, 0, c->n_out, from, buf, bytes, false);
}

bool virtio_put(const struct virtio_chain *c, uint64_t from, const void *buf, size_t bytes)
{
    return transfer(c, c->n_out, c->n, from, (void *)(uintptr_t)buf, bytes, true);
}
