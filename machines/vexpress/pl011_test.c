/*
 * pl011_test.c — the UART: output without setting up, input through FIFO and interrupts, loopback
 */
#include "machines/fakes_testlib.h"

#include <pthread.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/console.h"
#include "machines/timers.h"
#include "machines/vexpress/devices.h"

#define U 0x10000u
enum {
    DR = U,
    FR = U + 0x18,
    LCR = U + 0x2c,
    CR = U + 0x30,
    IFLS = U + 0x34,
    IMSC = U + 0x38,
    RIS = U + 0x3c,
    MIS = U + 0x40,
    ICR = U + 0x44
};
enum { RX = 0x10, TX = 0x20, RT = 0x40 };

static bool irq_level; /* guarded by device lock */
static int in_pipe[2], out_pipe[2];

static void set_irq(void *opaque, unsigned n, bool level)
{
    (void)opaque;
    (void)n;
    assert_true(device_lock_held());
    irq_level = level;
}

static bool irq_is_up(void)
{
    device_lock();
    bool up = irq_level;
    device_unlock();
    return up;
}

static int start(void **state)
{
    (void)state;
    struct error e = {0};
    fake_reset();
    assert_int_equal(pipe(in_pipe), 0);
    assert_int_equal(pipe(out_pipe), 0);
    console_setup(in_pipe[0], out_pipe[1]);
    device_lock();
    irq_level = false;
    mem_add_mmio(U, 0x1000, &pl011_ops, fake_own(pl011_new((struct irq_line){set_irq, NULL, 0}, true)), "uart");
    mem_add_mmio(U + 0x1000, 0x1000, &pl011_ops, fake_own(pl011_new((struct irq_line){set_irq, NULL, 1}, false)),
                 "other");
    device_unlock();
    assert_true(console_start(&e));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    console_stop();
    for (unsigned i = 0; i < 2; i++) {
        close(in_pipe[i]);
        close(out_pipe[i]);
    }
    return 0;
}

static void send(const char *s)
{
    assert_int_equal(write(in_pipe[1], s, strlen(s)), (ssize_t)strlen(s));
}

static void await_irq(void)
{
    while (!irq_is_up())
        usleep(100);
}

static void output_at_once(void **state)
{
    (void)state;
    char buf[16];
    assert_int_equal(rd(FR) & 0xf8, 0x90); /* both FIFOs empty */
    for (const char *s = "guest\n"; *s; s++)
        wr(DR, (uint8_t)*s);
    for (size_t got = 0; got < 6;)
        got += (size_t)read(out_pipe[0], buf + got, 6 - got);
    assert_memory_equal(buf, "guest\n", 6);
    assert_int_equal(rd(FR) & 0xf8, 0x90);
    assert_int_equal(rd(CR), 0x300);
    assert_int_equal(rd(IFLS), 0x12);
    static const uint8_t ids[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(rd(U + 0xfe0 + 4 * i), ids[i]);
    assert_true(fake_write(DR, 1, 0, 'b')); /* bytes are as good as words */
    assert_int_equal(read(out_pipe[0], buf, 1), 1);
    assert_int_equal(buf[0], 'b');
    wr(U + 0x1000, 'x'); /* a UART without a console swallows it */
}

static void transmit_interrupt(void **state)
{
    (void)state;
    wr(IMSC, TX);
    assert_false(irq_is_up());
    wr(DR, 'x');
    assert_true(irq_is_up());
    assert_int_equal(rd(MIS), TX);
    wr(ICR, TX);
    assert_false(irq_is_up());
    wr(DR, 'x');
    wr(IMSC, 0);
    assert_false(irq_is_up());
    assert_int_equal(rd(RIS), TX);
}

static void polled_input(void **state)
{
    (void)state;
    send("ab");
    usleep(10000);
    while (rd(FR) & 0x10)
        ;
    assert_int_equal(rd(DR), 'a');
    while (rd(FR) & 0x10)
        ;
    assert_int_equal(rd(DR), 'b');
    assert_int_equal(rd(FR) & 0x10, 0x10);
    assert_int_equal(rd(DR), 0);
    assert_int_equal(rd(U + 0x1000 + 0x18) & 0x10, 0x10);
}

static void receive_interrupts(void **state)
{
    (void)state;
    wr(LCR, 0x70); /* FIFOs; trigger at a half */
    wr(IMSC, RX | RT);
    send("12345678");
    await_irq();
    while (!(rd(RIS) & RX))
        usleep(100);
    assert_int_equal(rd(DR), '1');
    assert_int_equal(rd(RIS) & RX, 0); /* below the trigger level */
    for (unsigned c = '2'; c <= '8'; c++)
        assert_int_equal(rd(DR), c);
    assert_false(irq_is_up());
    send("x"); /* below the level: timeout */
    await_irq();
    assert_int_equal(rd(MIS), RT);
    assert_int_equal(rd(DR), 'x');
    assert_false(irq_is_up());
    wr(LCR, 0); /* one character deep */
    send("yz");
    await_irq();
    assert_int_equal(rd(MIS), RX);
    assert_int_equal(rd(FR) & 0x40, 0x40);
    assert_int_equal(rd(DR), 'y');
    await_irq();
    assert_int_equal(rd(DR), 'z');
    assert_false(irq_is_up());
}

static void nothing_is_lost(void **state)
{
    (void)state;
    char text[5001];
    for (unsigned i = 0; i < 5000; i++)
        text[i] = (char)('!' + i * 7 % 90);
    text[5000] = 0;
    wr(LCR, 0x10);
    send(text);
    for (unsigned i = 0; i < 5000; i++) {
        while (rd(FR) & 0x10)
            ;
        assert_int_equal(rd(DR), (uint8_t)text[i]);
    }
}

static void loopback(void **state)
{
    (void)state;
    wr(LCR, 0x10);
    wr(CR, 0x381);
    for (unsigned i = 0; i < 17; i++)
        wr(DR, 'a' + i);
    assert_int_equal(rd(FR) & 0x50, 0x40);
    assert_int_equal(rd(RIS) & 0x400, 0x400); /* overrun */
    assert_int_equal(rd(U + 4), 8);
    wr(U + 4, 0);
    assert_int_equal(rd(U + 4), 0);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(rd(DR), 'a' + i);
    assert_int_equal(rd(FR) & 0x10, 0x10);
}

static void *guest_thread(void *seed)
{
    struct rng r;
    rng_seed(&r, (uint64_t)(uintptr_t)seed);
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t x = rng_u64(&r);
        uint32_t val;
        if (x & 1)
            fake_write(U + (x >> 8) % 0x60, 1u << (x >> 4) % 3, (int)(x >> 20) % 2, (uint32_t)(x >> 32));
        else
            fake_read(U + (x >> 8) % 0x60, 1u << (x >> 4) % 3, (int)(x >> 20) % 2, &val);
    }
    return NULL;
}

static void *drain(void *unused)
{
    char buf[4096];
    while (read(out_pipe[0], buf, sizeof buf) > 0) {}
    return unused;
}

static void anything_by_two(void **state)
{
    (void)state;
    pthread_t th[2], reader;
    char noise[1000];
    memset(noise, 'n', sizeof noise);
    pthread_create(&reader, NULL, drain, NULL);
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&th[i], NULL, guest_thread, (void *)(i + 1));
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(write(in_pipe[1], noise, sizeof noise), (ssize_t)sizeof noise);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(th[i], NULL);
    console_stop();
    close(out_pipe[1]);
    pthread_join(reader, NULL);
    out_pipe[1] = dup(out_pipe[0]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(output_at_once),  TEST(transmit_interrupt), TEST(polled_input),    TEST(receive_interrupts),
        TEST(nothing_is_lost), TEST(loopback),           TEST(anything_by_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
