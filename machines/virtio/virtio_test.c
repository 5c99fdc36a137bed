/*
 * virtio_test.c — a driver in C against the devices, through the registers of the transport; and rings full of garbage
 *
 * Paths: register layout and negotiation; chains, indirect tables, interrupts; reads, writes, flushes, read-only and cow disks;
 * errors of the host; rings outside RAM, circular, too long; the bounds of guest RAM under random rings.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "machines/fakes_testlib.h"

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/vexpress/devices.h"
#include "machines/virtio/virtio.h"

#define REGS  UINT64_C(0x1c130000)
#define RAM   UINT64_C(0x80000000)
#define BYTES UINT64_C(0x100000)
#define DESC  RAM
#define AVAIL (RAM + 0x1000)
#define USED  (RAM + 0x2000)
#define HEAD  (RAM + 0x3000)
#define DATA  (RAM + 0x4000)
#define STAT  (RAM + 0x3800)
#define SIZE  8

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static struct virtio_mmio *mmio;
static struct virtio_dev *dev;
static unsigned irq_level;
static uint16_t avail_index;

static void set_irq(void *opaque, unsigned n, bool level)
{
    (void)opaque;
    (void)n;
    irq_level = level;
}

static void attach(struct virtio_dev *d)
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
    avail_index = 0;
    irq_level = 0;
}

static uint32_t reg(uint32_t off)
{
    return rd(REGS + VIRTIO_SLOT_BYTES + off);
}

static void set(uint32_t off, uint32_t val)
{
    wr(REGS + VIRTIO_SLOT_BYTES + off, val);
}

static void put(gpa at, const void *val, size_t bytes)
{
    assert_int_equal(mem_write(at, val, bytes), MEM_OK);
}

static void set_queue(gpa desc, gpa avail, gpa used, unsigned size)
{
    set(0x30, 0);
    set(0x38, size);
    set(0x80, (uint32_t)desc), set(0x84, (uint32_t)(desc >> 32));
    set(0x90, (uint32_t)avail), set(0x94, (uint32_t)(avail >> 32));
    set(0xa0, (uint32_t)used), set(0xa4, (uint32_t)(used >> 32));
    set(0x44, 1);
}

static void negotiate(void)
{
    set(0x70, 0);
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        set(0x14, i);
        uint32_t offered = reg(0x10);
        set(0x24, i);
        set(0x20, offered);
    }
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    assert_true(reg(0x70) & VIRTIO_FEATURES_OK);
}

static void start(void)
{
    static const uint8_t zeros[0x4000];
    negotiate();
    put(RAM, zeros, sizeof zeros);
    avail_index = 0;
    set_queue(DESC, AVAIL, USED, SIZE);
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

static void describe(unsigned n, gpa addr, uint32_t bytes, uint16_t flags, uint16_t next)
{
    put(DESC + 16 * n, &addr, 8);
    put(DESC + 16 * n + 8, &bytes, 4);
    put(DESC + 16 * n + 12, &flags, 2);
    put(DESC + 16 * n + 14, &next, 2);
}

static void offer(uint16_t head)
{
    put(AVAIL + 4 + 2u * (avail_index % SIZE), &head, 2);
    avail_index++;
    put(AVAIL + 2, &avail_index, 2);
    set(0x50, 0);
}

/* Wait until the device has used all that was offered; the bytes it says it wrote. */
static uint32_t used(void)
{
    uint16_t index;
    uint32_t element[2];
    for (unsigned tries = 0; tries < 5000; tries++) {
        device_lock(); /* the device's thread writes with it held */
        mem_read(USED + 2, &index, 2);
        mem_read(USED + 4 + 8u * ((avail_index - 1) % SIZE), element, 8);
        device_unlock();
        if (index == avail_index)
            return element[1];
        usleep(1000);
    }
    fail_msg("the device does not answer");
    return 0;
}

static uint8_t request(uint32_t type, uint64_t sector, uint32_t bytes)
{
    uint32_t head[4] = {type, 0, (uint32_t)sector, (uint32_t)(sector >> 32)};
    uint8_t status = 0xff;
    put(HEAD, head, sizeof head);
    put(STAT, &status, 1);
    describe(0, HEAD, 16, NEXT, bytes ? 1 : 2);
    describe(1, DATA, bytes, NEXT | (type == 0 || type == 8 ? WRITE : 0), 2);
    describe(2, STAT, 1, WRITE, 0);
    offer(0);
    used();
    device_lock();
    mem_read(STAT, &status, 1);
    device_unlock();
    return status;
}

static char path[300];

static struct virtio_dev *disk(const char *mode, size_t bytes)
{
    uint8_t *data = malloc(bytes);
    assert_non_null(data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i / 512 + i);
    const char *file = fake_file(data, bytes);
    free(data);
    snprintf(path, sizeof path, "%s%s", file, mode);
    struct error e = {0};
    struct virtio_dev *d = virtio_block_new(path, &e);
    path[strlen(file)] = 0;
    if (!d)
        fail_msg("%s", e.text);
    return d;
}

static uint8_t file_byte(size_t at)
{
    uint8_t b = 0;
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
    close(fd);
    return b;
}

/* -- Registers ------------------------------------------------------------------------------------- */

static void registers(void **state)
{
    (void)state;
    attach(virtio_rng_new());
    assert_int_equal(reg(0x000), 0x74726976);
    assert_int_equal(reg(0x004), 2);
    assert_int_equal(reg(0x008), VIRTIO_ID_RNG);
    assert_int_equal(rd(REGS + 0x008), 0); /* an empty slot */
    set(0x14, 1);
    assert_int_equal(reg(0x10), 1); /* VERSION_1 */
    set(0x30, 0);
    assert_int_equal(reg(0x34), 8);
    set(0x30, 7);
    assert_int_equal(reg(0x34), 0);

    /* Without the modern form, or with what was not offered, features are not accepted. */
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    assert_false(reg(0x70) & VIRTIO_FEATURES_OK);
    set(0x24, 1);
    set(0x20, 0xffffffff);
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    assert_false(reg(0x70) & VIRTIO_FEATURES_OK);
    negotiate();
    set(0x70, 0);
    assert_int_equal(reg(0x70), 0);
    virtio_rng_free(dev);
    free(mmio);
}

static void random_bytes(void **state)
{
    uint8_t buf[64] = {0}, zeros[64] = {0};
    (void)state;
    attach(virtio_rng_new());
    start();
    describe(0, DATA, 64, WRITE, 0);
    offer(0);
    assert_int_equal(used(), 64);
    mem_read(DATA, buf, 64);
    assert_memory_not_equal(buf, zeros, 64);
    assert_int_equal(irq_level, 1);
    assert_int_equal(reg(0x60), 1);
    set(0x64, 1);
    assert_int_equal(irq_level, 0);

    uint16_t quiet = 1;
    put(AVAIL, &quiet, 2);
    offer(0);
    used();
    assert_int_equal(irq_level, 0);
    virtio_rng_free(dev);
    free(mmio);
}

/* -- Disks ----------------------------------------------------------------------------------------- */

static void read_write_flush(void **state)
{
    uint8_t buf[1024], got[1024];
    (void)state;
    attach(disk("", 64 * 512));
    start();
    assert_int_equal(rd(REGS + VIRTIO_SLOT_BYTES + 0x100), 64);
    assert_int_equal(request(0, 3, 1024), 0);
    mem_read(DATA, got, 1024);
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(got[i], (uint8_t)(3 + i / 512 + i));
    memset(buf, 0x5a, sizeof buf);
    put(DATA, buf, sizeof buf);
    assert_int_equal(request(1, 62, 1024), 0);
    assert_int_equal(request(4, 0, 0), 0);
    assert_int_equal(file_byte(64 * 512 - 1), 0x5a);
    assert_int_equal(request(8, 0, 20), 0);
    mem_read(DATA, got, 7);
    assert_string_equal(got, "dbtlab");
    assert_int_equal(request(77, 0, 0), 2);

    /* Beyond the end, and not whole sectors. */
    assert_int_equal(request(0, 63, 1024), 1);
    assert_int_equal(request(1, UINT64_MAX, 512), 1);
    assert_int_equal(request(0, UINT64_C(1) << 55, 512), 1);
    assert_int_equal(request(0, 0, 100), 1);
    virtio_block_free(dev);
    free(mmio);
}

static void read_only_and_cow(void **state)
{
    uint8_t buf[512], got[1024];
    (void)state;
    memset(buf, 0x77, sizeof buf);
    attach(disk(",ro", 16 * 512));
    start();
    assert_true(dev->features & 1u << 5);
    put(DATA, buf, sizeof buf);
    assert_int_equal(request(1, 0, 512), 1);
    assert_int_equal(request(0, 0, 512), 0);
    virtio_block_free(dev);
    free(mmio);

    attach(disk(",cow", 15 * 512)); /* the last page is not whole */
    start();
    put(DATA, buf, sizeof buf);
    assert_int_equal(request(1, 14, 512), 0);
    assert_int_equal(request(0, 13, 1024), 0);
    mem_read(DATA, got, 1024);
    assert_int_equal(got[0], 13);
    assert_int_equal(got[512], 0x77);
    assert_int_equal(file_byte(14 * 512), 14);
    virtio_block_free(dev);
    free(mmio);
}

static void errors_of_the_host(void **state)
{
    uint8_t buf[512] = {1};
    struct rlimit old, limit;
    struct error e = {0};
    (void)state;
    attach(disk("", 64 * 512));
    start();
    assert_null(virtio_block_new(path, &e)); /* in use */
    assert_int_equal(truncate(path, 10 * 512), 0);
    assert_int_equal(request(0, 9, 512), 0);
    assert_int_equal(request(0, 10, 512), 1);
    /* A full disk: here, a file that must not grow. */
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 20 * 512;
    setrlimit(RLIMIT_FSIZE, &limit);
    put(DATA, buf, sizeof buf);
    assert_int_equal(request(1, 30, 512), 1);
    assert_int_equal(request(1, 5, 512), 0);
    setrlimit(RLIMIT_FSIZE, &old);
    virtio_block_free(dev);
    free(mmio);

    assert_null(virtio_block_new("/nonexistent/disk", &e));
    assert_null(virtio_block_new("/", &e));
    assert_null(virtio_block_new("/dev/null", &e));
}

/* -- Garbage ------------------------------------------------------------------------------------------ */

static bool broken(void)
{
    return reg(0x70) & VIRTIO_NEEDS_RESET;
}

static void bad_chains(void **state)
{
    (void)state;
    attach(virtio_rng_new());
    static const struct {
        gpa addr;
        uint32_t bytes;
        uint16_t flags, next;
    } bad[] = {
        {DATA, 16, WRITE | NEXT, 0},     /* a circle */
        {DATA, 16, WRITE | NEXT, SIZE},  /* beyond the table */
        {DATA, 1u << 30, WRITE, 0},      /* longer than any */
        {0, 64, WRITE, 0},               /* no memory there */
        {RAM + BYTES - 8, 64, WRITE, 0}, /* over the end */
        {REGS, 4, WRITE, 0},             /* a device */
        {UINT64_MAX - 3, 64, WRITE, 0},  /* around the end of all addresses */
        {DATA, 8, INDIRECT, 0},          /* a part of a table */
        {DATA, 32, INDIRECT | NEXT, 1},  /* goes on */
        {0x123, 32, INDIRECT, 0},        /* no memory there */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        start();
        describe(0, bad[i].addr, bad[i].bytes, bad[i].flags, bad[i].next);
        offer(0);
        if (!broken())
            fail_msg("chain %u was taken", i);
        start();
        assert_false(broken());
    }
    /* Rings that are nowhere, and a ring of no size. */
    negotiate();
    set_queue(0, 0x10, 0xffffffff00000000u, SIZE);
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
    set(0x50, 0);
    assert_true(broken());
    negotiate();
    set_queue(DESC, AVAIL, USED, 3);
    assert_true(broken());
    virtio_rng_free(dev);
    free(mmio);
}

/* Random rings: nothing outside RAM is touched (the sanitizers and mem_write's own checks), the device comes back. */
static void fuzz(void **state)
{
    const uint64_t seed = 20;
    struct rng r;
    (void)state;
    rng_seed(&r, seed);
    print_message("seed %" PRIu64 "\n", seed);
    for (unsigned kind = 0; kind < 2; kind++) {
        attach(kind ? disk(",cow", 64 * 512) : virtio_rng_new());
        for (unsigned round = 0; round < 3000; round++) {
            start();
            for (unsigned n = 0; n < SIZE; n++) {
                static const gpa near[] = {
                    DATA, HEAD, DESC, AVAIL, USED, RAM + BYTES - 600, 0, REGS, UINT64_MAX - 100};
                uint64_t x = rng_u64(&r);
                gpa addr = x % 13 == 0 ? rng_u64(&r) : near[x % ARRAY_SIZE(near)] + (x >> 8) % 300;
                uint32_t bytes =
                    x >> 20 & 1 ? (uint32_t)(x >> 32) % 2000 : 16 * (uint32_t)(x >> 32 & 63);
                describe(n, addr, bytes, (uint16_t)(x >> 40 & (x >> 60 == 0 ? 0xffff : 7)),
                         (uint16_t)((x >> 50) % (SIZE + 1)));
            }
            uint64_t x = rng_u64(&r);
            offer((uint16_t)(x % (SIZE + 2)));
            if (x >> 8 & 1) {
                avail_index = (uint16_t)(x >> 16);
                device_lock();
                put(AVAIL + 2, &avail_index, 2);
                device_unlock();
                set(0x50, 0);
            }
            if (x >> 9 & 1)
                set((uint32_t)(x >> 32) % 0x100 & ~3u, (uint32_t)rng_u64(&r));
        }
        device_lock();
        virtio_mmio_reset(mmio);
        device_unlock();
        usleep(20000); /* what the disk was doing ends */
        start();
        if (kind)
            assert_int_equal(request(0, 1, 512), 0);
        if (kind)
            virtio_block_free(dev);
        else
            virtio_rng_free(dev);
        free(mmio);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(read_write_flush),
        cmocka_unit_test(read_only_and_cow),
        cmocka_unit_test(errors_of_the_host),
        cmocka_unit_test(bad_chains),
        cmocka_unit_test(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
