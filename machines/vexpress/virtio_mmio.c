/*
 * virtio_mmio.c — the registers through which the guest finds and drives virtio devices
 *
 * Source: Virtual I/O Device (VIRTIO) 1.1, 4.2.2 (version 2 of the register layout). A slot without a device has DeviceID 0,
 * and a driver goes on.
 */
#include <stdlib.h>

#include "engine/base/log.h"
#include "machines/vexpress/devices.h"
#include "machines/virtio/virtio.h"

enum { INT_RING = 1, INT_CONFIG = 2 };

struct slot {
    struct virtio_dev *dev; /* const after LAUNCH; NULL: none */
    struct irq_line irq;    /* const after LAUNCH */
    uint32_t int_status, features_sel, accepted_sel, queue_sel;
    uint32_t config_generation;
};

struct virtio_mmio {
    struct slot slot[VIRTIO_SLOTS]; /* guarded by device lock */
};

static void update_irq(struct slot *s)
{
    irq_line_set(&s->irq, s->int_status != 0);
}

static void interrupt(void *opaque, bool config)
{
    struct slot *s = opaque;
    s->int_status |= config ? INT_CONFIG : INT_RING;
    update_irq(s);
}

static void slot_reset(struct slot *s)
{
    s->int_status = s->features_sel = s->accepted_sel = s->queue_sel = 0;
    if (s->dev)
        virtio_reset(s->dev);
    update_irq(s);
}

/* -- Registers ----------------------------------------------------------------------------------- */

static struct virtqueue *selected(struct slot *s)
{
    return s->queue_sel < s->dev->class->queues ? &s->dev->queue[s->queue_sel] : NULL;
}

static uint32_t config_read(struct slot *s, uint32_t off, unsigned size)
{
    uint32_t val = 0;
    for (unsigned i = 0; s->dev->class->config && i < size; i++)
        val |= (uint32_t)s->dev->class->config(s->dev, off + i) << 8 * i;
    return val;
}

static uint32_t reg_read(struct slot *s, uint32_t off)
{
    static const uint32_t magic = 0x74726976, vendor = 0x00544244; /* "virt", "DBT" */
    struct virtio_dev *d = s->dev;
    switch (off) {
    case 0x000: return magic;
    case 0x004: return 2;
    case 0x008: return d ? d->class->id : 0;
    case 0x00c: return vendor;
    default: break;
    }
    if (!d)
        return 0;
    const struct virtqueue *q = selected(s);
    switch (off) {
    case 0x010: return s->features_sel < 2 ? (uint32_t)(d->features >> 32 * s->features_sel) : 0;
    case 0x034: return q ? d->class->queue_max : 0;
    case 0x044: return q && q->ready;
    case 0x060: return s->int_status;
    case 0x070: return d->status;
    case 0x0b0:
    case 0x0b4: return UINT32_MAX; /* no shared memory */
    case 0x0fc: return s->config_generation;
    default: return 0;
    }
}

static void write_status(struct slot *s, uint32_t val)
{
    struct virtio_dev *d = s->dev;
    if (!(val & 0xff)) {
        slot_reset(s);
        return;
    }
    /* 3.1.1: features are accepted only as a part of what was offered, and the modern form is a must. */
    if ((val & VIRTIO_FEATURES_OK) && !(d->status & VIRTIO_FEATURES_OK) &&
        ((d->accepted & ~d->features) || !(d->accepted & VIRTIO_F_VERSION_1)))
        val &= ~(uint32_t)VIRTIO_FEATURES_OK;
    d->status = (val & 0xff & ~(uint32_t)VIRTIO_NEEDS_RESET) | (d->status & VIRTIO_NEEDS_RESET);
}

static void set_half(gpa *to, uint32_t val, bool high)
{
    *to = high ? (*to & UINT32_MAX) | (gpa)val << 32 : (*to & ~(gpa)UINT32_MAX) | val;
}

static void write_ready(struct slot *s, struct virtqueue *q, uint32_t val)
{
    if (!(val & 1)) {
        q->ready = false;
    } else if (!q->size || (q->size & (q->size - 1)) || q->size > s->dev->class->queue_max) {
        virtio_break(s->dev, "a ring has a size that is no power of two within the limit");
    } else if (!q->ready) {
        q->ready = true;
        q->next = 0;
    }
}

static void queue_write(struct slot *s, uint32_t off, uint32_t val)
{
    struct virtqueue *q = selected(s);
    if (!q)
        return;
    if (off == 0x044) {
        write_ready(s, q, val);
        return;
    }
    if (q->ready) { /* 4.2.2.2: not while it is in use */
        guest_error("virtio: a ring that is in use was changed; ignored");
        return;
    }
    switch (off) {
    case 0x038: q->size = val <= VIRTIO_QUEUE_MAX ? (uint16_t)val : 0; break;
    case 0x080:
    case 0x084: set_half(&q->desc, val, off & 4); break;
    case 0x090:
    case 0x094: set_half(&q->avail, val, off & 4); break;
    case 0x0a0:
    case 0x0a4: set_half(&q->used, val, off & 4); break;
    default: break;
    }
}

static void reg_write(struct slot *s, uint32_t off, uint32_t val)
{
    struct virtio_dev *d = s->dev;
    switch (off) {
    case 0x014: s->features_sel = val; break;
    case 0x020:
        if (s->accepted_sel < 2 && !(d->status & VIRTIO_FEATURES_OK))
            set_half(&d->accepted, val, s->accepted_sel);
        break;
    case 0x024: s->accepted_sel = val; break;
    case 0x030: s->queue_sel = val; break;
    case 0x050:
        if (val < d->class->queues)
            d->class->kick(d, val);
        break;
    case 0x064:
        s->int_status &= ~val;
        update_irq(s);
        break;
    case 0x070: write_status(s, val); break;
    default: queue_write(s, off, val); break;
    }
}

static bool virtio_mmio_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct virtio_mmio *v = dev;
    DCHECK(device_lock_held(), "virtio read without the device lock");
    (void)cpu;
    if (off >= VIRTIO_SLOTS * VIRTIO_SLOT_BYTES)
        return false;
    struct slot *s = &v->slot[off / VIRTIO_SLOT_BYTES];
    off %= VIRTIO_SLOT_BYTES;
    if (off >= 0x100)
        *val = s->dev ? config_read(s, off - 0x100, size) : 0;
    else
        *val = size == 4 ? reg_read(s, off) : 0;
    return true;
}

static bool virtio_mmio_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct virtio_mmio *v = dev;
    DCHECK(device_lock_held(), "virtio write without the device lock");
    (void)cpu;
    if (off >= VIRTIO_SLOTS * VIRTIO_SLOT_BYTES)
        return false;
    struct slot *s = &v->slot[off / VIRTIO_SLOT_BYTES];
    off %= VIRTIO_SLOT_BYTES;
    if (s->dev && size == 4 && off < 0x100)
        reg_write(s, off, val);
    return true;
}

const struct mmio_ops virtio_mmio_ops = {virtio_mmio_read, virtio_mmio_write};

/* -- Slots --------------------------------------------------------------------------------------- */

void virtio_mmio_reset(void *dev)
{
    struct virtio_mmio *v = dev;
    for (unsigned i = 0; i < VIRTIO_SLOTS; i++)
        slot_reset(&v->slot[i]);
}

struct virtio_mmio *virtio_mmio_new(void)
{
    struct virtio_mmio *v = calloc(1, sizeof *v);
    CHECK(v, "out of memory");
    return v;
}

void virtio_mmio_attach(struct virtio_mmio *v, unsigned n, struct irq_line irq, struct virtio_dev *dev)
{
    struct slot *s = &v->slot[n];
    s->irq = irq;
    s->dev = dev;
    if (dev) {
        dev->interrupt = interrupt;
        dev->transport = s;
    }
}
