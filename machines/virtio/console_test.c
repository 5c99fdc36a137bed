/*
 * console_test.c — the virtio console against a file, a pseudo-terminal and the terminal's stand-in; and garbage
 *
 * Paths: output in several parts; input as much as there are buffers; nobody at the other end, or one who does not read; a reset while a
 * chain is held; random rings.
 */
#include "machines/virtio/driver_testlib.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machines/console.h"

enum { RX, TX };
static char pty[64];

static struct virtio_dev *make(const char *spec)
{
    struct error e = {0};
    struct virtio_dev *d = virtio_console_new(spec, pty, &e);
    if (!d)
        fail_msg("%s", e.text);
    return d;
}

static void say(const char *text)
{
    queue = TX;
    put(DATA, text, strlen(text));
    describe(0, DATA, (uint32_t)strlen(text), 0, 0);
    offer(0);
}

/* Offer a buffer for input; what came. */
static const char *hear(void)
{
    static char buf[65];
    queue = RX;
    uint32_t n = used();
    assert_in_range(n, 1, 64);
    get(DATA, buf, n);
    buf[n] = 0;
    return buf;
}

static void listen_for(uint32_t bytes)
{
    queue = RX;
    describe(0, DATA, bytes, WRITE, 0);
    offer(0);
}

static void to_a_file(void **state)
{
    char spec[300], got[64] = "";
    (void)state;
    snprintf(spec, sizeof spec, "file:%s", fake_file("", 0));
    attach(make(spec));
    start();
    assert_int_equal(reg(8), VIRTIO_ID_CONSOLE);
    queue = TX;
    put(DATA, "one two\n", 8);
    describe(0, DATA, 3, NEXT, 1);
    describe(1, DATA + 3, 0, NEXT, 2);
    describe(2, DATA + 3, 5, 0, 0);
    offer(0);
    assert_int_equal(used(), 0);
    say("three\n");
    used();
    assert_int_equal(irq_level, 1);
    listen_for(16); /* nothing ever comes from a file */
    detach();
    FILE *f = fopen(spec + 5, "r");
    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof got, f), 14);
    fclose(f);
    assert_string_equal(got, "one two\nthree\n");
}

static int open_slave(void)
{
    int fd = open(pty, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static void expect(int fd, const char *text)
{
    char buf[100];
    size_t n = 0;
    for (unsigned tries = 0; tries < 60000 && n < strlen(text); tries++) {
        ssize_t got = read(fd, buf + n, sizeof buf - n);
        n += got > 0 ? (size_t)got : 0;
        usleep(1000);
    }
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, n);
}

static void both_ways(void **state)
{
    (void)state;
    attach(make("pty"));
    int fd = open_slave();
    start();
    say("hello\r\n"); /* raw: bytes are bytes */
    used();
    expect(fd, "hello\r\n");
    listen_for(3);
    assert_int_equal(write(fd, "\x03keys\n", 6), 6);
    assert_string_equal(hear(), "\x03ke");
    listen_for(64);
    assert_string_equal(hear(), "ys\n");
    /* Somebody leaves, another comes. */
    close(fd);
    listen_for(64);
    usleep(20000);
    say("to nobody\n");
    used();
    fd = open_slave();
    assert_int_equal(write(fd, "again", 5), 5);
    assert_string_equal(hear(), "again");
    say("back\n");
    used();
    expect(fd, "back\n");
    close(fd);
    detach();
}

static void nobody_reads(void **state)
{
    (void)state;
    attach(make("pty"));
    start();
    say("nobody has it open");
    used();
    int fd = open_slave(); /* has it open, does not read */
    for (unsigned i = 0; i < 300; i++) {
        queue = TX;
        describe(0, RAM, 4096, 0, 0);
        offer(0);
        used(); /* a second at most, once */
    }
    /* A chain is held when the driver resets: it is not given back to the rings that come then. */
    start();
    usleep(150000);
    queue = TX;
    assert_int_equal(used_now(), 0);
    close(fd);
    detach();
}

static void terminal(void **state)
{
    int in[2], out[2];
    struct error e = {0};
    (void)state;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    console_setup(in[0], out[1]);
    attach(make("stdio"));
    virtio_console_connect(dev);
    assert_true(console_start(&e));
    start();
    say("a line\n");
    used();
    expect(out[0], "a line\n");
    listen_for(64);
    assert_int_equal(write(in[1], "typed", 5), 5);
    assert_string_equal(hear(), "typed");
    console_stop();
    say("after the end\n");
    used();
    detach();
    expect(out[0], "after the end\n");
    for (unsigned i = 0; i < 2; i++)
        close(in[i]), close(out[i]);
}

static void refusals(void **state)
{
    static const struct {
        const char *spec;
        int code;
    } rows[] = {{"", 2},      {"tty", 2}, {"file:", 2}, {"file", 2}, {"pty:1", 2}, {"file:/nonexistent/f", 1},
                {"file:/", 1}};
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error e = {0};
        assert_null(virtio_console_new(rows[i].spec, pty, &e));
        assert_int_equal(e.exit_code, rows[i].code);
        assert_non_null(strstr(e.text, "--virtio-console"));
    }
}

static void fuzz(void **state)
{
    (void)state;
    attach(make("pty"));
    int fd = open_slave();
    for (unsigned i = 0; i < 8; i++) {
        assert_true(write(fd, "some keys for the buffers of the guest", 38) > 0);
        fuzz_device(400, 100 + i);
        char sink[4096];
        while (read(fd, sink, sizeof sink) > 0)
            ;
    }
    say("there");
    used();
    assert_false(broken());
    close(fd);
    detach();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_a_file), cmocka_unit_test(both_ways), cmocka_unit_test(nobody_reads),
        cmocka_unit_test(terminal),  cmocka_unit_test(refusals),  cmocka_unit_test(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
