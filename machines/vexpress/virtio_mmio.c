/*
 * virtio_mmio.c — four virtio transports with no device behind them
 *
 * Source: Virtual I/O Device (VIRTIO) 1.1, 4.2.2: a slot without a device has DeviceID 0, and a driver goes on.
 */
#include "machines/vexpress/devices.h"

static bool virtio_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    (void)dev;
    (void)cpu;
    if (off >= VIRTIO_SLOTS * VIRTIO_SLOT_BYTES)
        return false;
    *val = 0;
    if (size == 4) {
        switch (off % VIRTIO_SLOT_BYTES) {
        case 0x000: *val = 0x74726976; break; /* "virt" */
        case 0x004: *val = 2; break;
        case 0x00c: *val = 0x00544244; break; /* "DBT" */
        default: break;
        }
    }
    return true;
}

static bool virtio_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    (void)dev;
    (void)size;
    (void)cpu;
    (void)val;
    return off < VIRTIO_SLOTS * VIRTIO_SLOT_BYTES;
}

const struct mmio_ops virtio_mmio_ops = {virtio_read, virtio_write};
