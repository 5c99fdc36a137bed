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

#include "machines/virtio/driver_testlib.h"

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
    get(STAT, &status, 1);
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
    detach();
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
    get(DATA, buf, 64);
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
    detach();
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
    get(DATA, got, 1024);
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(got[i], (uint8_t)(3 + i / 512 + i));
    memset(buf, 0x5a, sizeof buf);
    put(DATA, buf, sizeof buf);
    assert_int_equal(request(1, 62, 1024), 0);
    assert_int_equal(request(4, 0, 0), 0);
    assert_int_equal(file_byte(64 * 512 - 1), 0x5a);
    assert_int_equal(request(8, 0, 20), 0);
    get(DATA, got, 7);
    assert_string_equal(got, "dbtlab");
    assert_int_equal(request(77, 0, 0), 2);

    /* Beyond the end, and not whole sectors. */
    assert_int_equal(request(0, 63, 1024), 1);
    assert_int_equal(request(1, UINT64_MAX, 512), 1);
    assert_int_equal(request(0, UINT64_C(1) << 55, 512), 1);
    assert_int_equal(request(0, 0, 100), 1);
    detach();
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
    detach();

    attach(disk(",cow", 15 * 512)); /* the last page is not whole */
    start();
    put(DATA, buf, sizeof buf);
    assert_int_equal(request(1, 14, 512), 0);
    assert_int_equal(request(0, 13, 1024), 0);
    get(DATA, got, 1024);
    assert_int_equal(got[0], 13);
    assert_int_equal(got[512], 0x77);
    assert_int_equal(file_byte(14 * 512), 14);
    detach();
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
    detach();

    assert_null(virtio_block_new("/nonexistent/disk", &e));
    assert_null(virtio_block_new("/", &e));
    assert_null(virtio_block_new("/dev/null", &e));
}

/* -- Garbage ------------------------------------------------------------------------------------------ */

static void bad_chains(void **state)
{
    (void)state;
    attach(virtio_rng_new());
    const struct {
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
    set_rings(0, 0x10, 0xffffffff00000000u, SIZE);
    set(0x70, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
    set(0x50, 0);
    assert_true(broken());
    negotiate();
    set_rings(DESC, AVAIL, USED, 3);
    assert_true(broken());
    detach();
}

static void fuzz(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        attach(kind ? disk(",cow", 64 * 512) : virtio_rng_new());
        fuzz_device(3000, 20);
        if (kind)
            assert_int_equal(request(0, 1, 512), 0);
        detach();
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
