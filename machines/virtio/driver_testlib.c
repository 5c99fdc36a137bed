/*
 * driver_testlib.c — a driver in C for tests
 */
#include "machines/virtio/driver_testlib.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/base/rng.h"

struct virtio_mmio *mmio;
struct virtio_dev *dev;
unsigned irq_level, queue;
uint64_t declined;
uint16_t avail_index[VIRTIO_QUEUES];

static void set_irq(void *opaque, unsigned n, bool level)
{
    (void)opaque;
    (void)n;
    irq_level = level;
}

void attach(struct virtio_dev *d)
{
    fake_reset();
    struct error e = {0};
    assert_true(mem_add_ram(RAM, BYTES, &e));
    device_lock();
    mmio = virtio_mmio_new();
    dev = d;
    virtio_mmio_attach(mmio, 1, (struct irq_line){set_irq, NULL, 0}, d);
    for (unsigned i = 0; i < VIRTIO_SLOTS; i++)
        if (i != 1)
            virtio_mmio_attach(mmio, i, (struct irq_line){0}, NULL);
    virtio_mmio_reset(mmio);
    device_unlock();
    mem_add_mmio(REGS, 0x1000, &virtio_mmio_ops, mmio, "virtio");
    memset(avail_index, 0, sizeof avail_index);
    irq_level = queue = 0;
    declined = 0;
}

void detach(void)
{
    virtio_free(dev);
    free(mmio);
}

uint32_t reg(uint32_t off)
{
    return rd(REGS + VIRTIO_SLOT_BYTES + off);
}

void set(uint32_t off, uint32_t val)
{
    wr(REGS + VIRTIO_SLOT_BYTES + off, val);
}

void put(gpa at, const void *val, size_t bytes)
{
    device_lock(); /* the device's thread reads and writes with it held */
    assert_int_equal(mem_write(at, val, bytes), MEM_OK);
    device_unlock();
}

void get(gpa at, void *buf, size_t bytes)
{
    device_lock();
    assert_int_equal(mem_read(at, buf, bytes), MEM_OK);
    device_unlock();
}

void set_rings(gpa desc, gpa avail, gpa used_ring, unsigned size)
{
    set(0x30, queue);
    set(0x38, size);
    set(0x80, (uint32_t)desc), set(0x84, (uint32_t)(desc >> 32));
    set(0x90, (uint32_t)avail), set(0x94, (uint32_t)(avail >> 32));
    set(0xa0, (uint32_t)used_ring), set(0xa4, (uint32_t)(used_ring >> 32));
    set(0x44, 1);
}

void negotiate(void)
{
    set(0x70, 0);
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        set(0x14, i);
        uint32_t offered = reg(0x10);
        set(0x24, i);
        set(0x20, offered & ~(uint32_t)(declined >> 32 * i));
    }
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    assert_true(reg(0x70) & VIRTIO_FEATURES_OK);
}

void start(void)
{
    static const uint8_t zeros[0x4000];
    negotiate();
    for (queue = dev->class->queues; queue-- > 0;) {
        put(RINGS, zeros, sizeof zeros);
        avail_index[queue] = 0;
        set_rings(DESC, AVAIL, USED, SIZE);
    }
    queue = 0;
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

void describe(unsigned n, gpa addr, uint32_t bytes, uint16_t flags, uint16_t next)
{
    put(DESC + 16 * n, &addr, 8);
    put(DESC + 16 * n + 8, &bytes, 4);
    put(DESC + 16 * n + 12, &flags, 2);
    put(DESC + 16 * n + 14, &next, 2);
}

void offer(uint16_t head)
{
    put(AVAIL + 4 + 2u * (avail_index[queue] % SIZE), &head, 2);
    avail_index[queue]++;
    put(AVAIL + 2, &avail_index[queue], 2);
    set(0x50, queue);
}

uint16_t used_now(void)
{
    uint16_t index;
    get(USED + 2, &index, 2);
    return index;
}

uint32_t written(uint16_t n)
{
    uint32_t element[2];
    get(USED + 4 + 8u * (n % SIZE), element, 8);
    return element[1];
}

uint32_t used(void)
{
    for (unsigned tries = 0; tries < TRIES; tries++) {
        if (used_now() == avail_index[queue])
            return written((uint16_t)(avail_index[queue] - 1));
        usleep(1000);
    }
    fail_msg("the device does not answer");
    return 0;
}

bool broken(void)
{
    return reg(0x70) & VIRTIO_NEEDS_RESET;
}

void fuzz_device(unsigned rounds, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    print_message("seed %" PRIu64 "\n", seed);
    for (unsigned round = 0; round < rounds; round++) {
        start();
        queue = (unsigned)rng_u64(&r) % dev->class->queues;
        for (unsigned n = 0; n < SIZE; n++) {
            const gpa near[] = {DATA, HEAD, DESC, AVAIL, USED, RAM + BYTES - 600, 0, REGS, UINT64_MAX - 100};
            uint64_t x = rng_u64(&r);
            gpa addr = x % 13 == 0 ? rng_u64(&r) : near[x % ARRAY_SIZE(near)] + (x >> 8) % 300;
            uint32_t bytes = x >> 20 & 1 ? (uint32_t)(x >> 32) % 2000 : 16 * (uint32_t)(x >> 32 & 63);
            describe(n, addr, bytes, (uint16_t)(x >> 40 & (x >> 60 == 0 ? 0xffff : 7)),
                     (uint16_t)((x >> 50) % (SIZE + 1)));
        }
        uint64_t x = rng_u64(&r);
        offer((uint16_t)(x % (SIZE + 2)));
        if (x >> 8 & 1) {
            avail_index[queue] = (uint16_t)(x >> 16);
            put(AVAIL + 2, &avail_index[queue], 2);
            set(0x50, queue);
        }
        if (x >> 9 & 1)
            set((uint32_t)(x >> 32) % 0x100 & ~3u, (uint32_t)rng_u64(&r));
    }
    device_lock();
    virtio_mmio_reset(mmio);
    device_unlock();
    usleep(20000); /* what the device was doing ends */
    start();
}
