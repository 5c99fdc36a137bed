/*
 * virtio_test.c — a driver in C against the devices, through the registers of the transport; and rings full of garbage
 *
 * Paths: register layout and negotiation; chains, indirect tables, interrupts; rings outside RAM, circular, too long; the bounds of
 * guest RAM under random rings. Each other device has a test of its own.
 */
#include "machines/virtio/driver_testlib.h"

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
    attach(virtio_rng_new());
    fuzz_device(3000, 20);
    detach();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(bad_chains),
        cmocka_unit_test(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
