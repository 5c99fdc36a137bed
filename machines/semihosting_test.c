/*
 * semihosting_test.c — each Angel call, with good parameters and with bad ones
 */
#include "machines/fakes_testlib.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "machines/console.h"
#include "machines/semihosting.h"
#include "machines/timers.h"

/* The guest's memory: 0x1000..0x8fff; everything else faults. */
#define LOW  0x1000u
#define HIGH 0x9000u
static uint8_t guest[HIGH - LOW];
static int out_pipe[2], in_pipe[2];

static bool in_guest(gva at, size_t n)
{
    return at >= LOW && at <= HIGH && n <= HIGH - at;
}

static bool guest_read(void *cpu, gva at, void *buf, size_t n)
{
    (void)cpu;
    if (!in_guest(at, n))
        return false;
    memcpy(buf, guest + (at - LOW), n);
    return true;
}

static bool guest_write(void *cpu, gva at, const void *buf, size_t n)
{
    (void)cpu;
    if (!in_guest(at, n))
        return false;
    memcpy(guest + (at - LOW), buf, n);
    return true;
}

static const struct semihost_mem mem = {guest_read, guest_write};
static sem_t again;

static void try_again(void)
{
    sem_post(&again);
}

/* As a vCPU makes it: again and again until there is something. */
static uint32_t call(uint32_t op, uint32_t param)
{
    uint32_t r;
    enum semihost_end end;
    while ((end = semihost_call(&mem, NULL, op, param, &r)) == SEMIHOST_WAIT)
        sem_wait(&again);
    assert_int_equal(end, SEMIHOST_DONE);
    return r;
}

static uint32_t block(uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t w[3] = {a, b, c};
    assert_true(guest_write(NULL, 0x2000, w, sizeof w));
    return 0x2000;
}

static uint32_t text(gva at, const char *s)
{
    assert_true(guest_write(NULL, at, s, strlen(s) + 1));
    return at;
}

static uint32_t open_file(const char *name, uint32_t mode)
{
    text(0x3000, name);
    return call(1, block(0x3000, mode, (uint32_t)strlen(name)));
}

static void expect_output(const char *s)
{
    char buf[8192];
    size_t n = strlen(s), got = 0;
    while (got < n) {
        ssize_t k = read(out_pipe[0], buf + got, n - got);
        assert_true(k > 0);
        got += (size_t)k;
    }
    assert_memory_equal(buf, s, n);
}

static int setup(void **state)
{
    (void)state;
    static const char *const argv[] = {"guest.elf", "one", "two words", NULL};
    assert_int_equal(pipe(out_pipe), 0);
    assert_int_equal(pipe(in_pipe), 0);
    console_setup(in_pipe[0], out_pipe[1]);
    semihost_setup(argv, 0x80020000, 0x80fff000);
    memset(guest, 0, sizeof guest);
    fake_reset();
    sem_init(&again, 0, 0);
    console_on_wait(try_again);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    semihost_reset();
    for (unsigned i = 0; i < 2; i++) {
        close(out_pipe[i]);
        close(in_pipe[i]);
    }
    return 0;
}

static void console_output(void **state)
{
    (void)state;
    char big[3000];
    guest[0] = 'c';
    call(0x03, LOW);
    call(0x04, text(0x3001, "hello\n"));
    uint32_t tty = open_file(":tt", 4);
    assert_true(tty > 0 && tty < 100);
    text(0x4000, "some bytes");
    assert_int_equal(call(0x05, block(tty, 0x4000, 10)), 0);
    assert_int_equal(call(0x09, block(tty, 0, 0)), 1);
    expect_output("chello\nsome bytes");

    memset(big, 'b', sizeof big);
    big[sizeof big - 1] = 0;
    call(0x04, text(0x4123, big)); /* longer than the first buffer */
    expect_output(big);
    assert_int_equal(call(0x02, block(tty, 0, 0)), 0);
    assert_int_equal(call(0x05, block(tty, 0x4000, 10)), 10);
    assert_int_equal(call(0x13, 0), EBADF);
}

static void string_at_the_end_of_memory(void **state)
{
    (void)state;
    text(HIGH - 4, "end");
    call(0x04, HIGH - 4);
    expect_output("end");
    memset(guest + sizeof guest - 100, 'x', 100); /* no end before the page that faults */
    assert_int_equal(call(0x04, HIGH - 100), UINT32_MAX);
    assert_int_equal(call(0x13, 0), EFAULT);
}

/* The reader of the output is far behind: the call is to come again, and nothing is written twice. */
static void output_waits(void **state)
{
    (void)state;
    struct error e = {0};
    uint32_t r, written = 0;
    char got[65536];
    assert_true(console_start(&e));
    uint32_t tty = open_file(":tt", 4);
    memset(guest, 'x', 0x7000);
    while (semihost_call(&mem, NULL, 0x05, block(tty, 0x3000, 0x5000), &r) == SEMIHOST_DONE)
        written += 0x5000 - r;
    while (semihost_call(&mem, NULL, 0x03, LOW, &r) == SEMIHOST_DONE)
        written++;
    assert_true(written > 1 << 20);
    for (size_t seen = 0; seen < written;) {
        ssize_t n = read(out_pipe[0], got, sizeof got);
        assert_true(n > 0);
        seen += (size_t)n;
    }
    assert_int_equal(call(0x05, block(tty, 0x3000, 1)), 0); /* was told that there is room */
    assert_int_equal(read(out_pipe[0], got, sizeof got), 1);
    console_stop();
}

static void console_input(void **state)
{
    (void)state;
    struct error e = {0};
    assert_true(console_start(&e));
    uint32_t tty = open_file(":tt", 0);
    assert_int_equal(write(in_pipe[1], "xyz", 3), 3);
    assert_int_equal(call(0x07, 0), 'x');
    uint32_t r;
    assert_int_equal(call(0x06, block(tty, 0x5000, 100)), 98); /* what there is, not all that was asked for */
    assert_memory_equal(guest + 0x4000, "yz", 2);
    assert_int_equal(semihost_call(&mem, NULL, 0x07, 0, &r), SEMIHOST_WAIT);
    assert_int_equal(semihost_call(&mem, NULL, 0x06, block(tty, 0x5000, 100), &r), SEMIHOST_WAIT);
    assert_int_equal(write(in_pipe[1], "z", 1), 1);
    assert_int_equal(call(0x07, 0), 'z');
    close(in_pipe[1]);
    assert_int_equal(call(0x06, block(tty, 0x5000, 100)), 100);
    assert_int_equal(call(0x07, 0), UINT32_MAX);
    console_stop();
    in_pipe[1] = dup(out_pipe[0]);
}

static void files_are_read(void **state)
{
    (void)state;
    char data[10000], got[10000];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 13 + i / 256);
    uint32_t h = open_file(fake_file(data, sizeof data), 1);
    assert_true(h < 100);
    assert_int_equal(call(0x0c, block(h, 0, 0)), sizeof data);
    assert_int_equal(call(0x09, block(h, 0, 0)), 0);
    assert_int_equal(call(0x06, block(h, 0x5000, 6000)), 0);
    guest_read(NULL, 0x5000, got, 6000);
    assert_memory_equal(got, data, 6000);
    assert_int_equal(call(0x06, block(h, 0x5000, 6000)), 2000);
    guest_read(NULL, 0x5000, got, 4000);
    assert_memory_equal(got, data + 6000, 4000);
    assert_int_equal(call(0x0a, block(h, 9990, 0)), 0);
    assert_int_equal(call(0x06, block(h, 0x5000, 6000)), 5990);
    assert_int_equal(call(0x0a, block(h, 10001, 0)), UINT32_MAX);
    assert_int_equal(call(0x05, block(h, 0x5000, 10)), 10); /* not one of it is written */
    assert_int_equal(call(0x02, block(h, 0, 0)), 0);
    assert_int_equal(call(0x02, block(h, 0, 0)), UINT32_MAX);
    assert_int_equal(call(0x0c, block(h, 0, 0)), UINT32_MAX);
}

static void the_host_is_not_changed(void **state)
{
    (void)state;
    const char *path = fake_file("keep", 4);
    for (uint32_t mode = 2; mode < 12; mode++) {
        assert_int_equal(open_file(path, mode), UINT32_MAX);
        assert_int_equal(call(0x13, 0), EACCES);
    }
    assert_int_equal(open_file(path, 12), UINT32_MAX);
    assert_int_equal(open_file("/nowhere", 0), UINT32_MAX);
    assert_int_equal(call(0x13, 0), ENOENT);
    assert_int_equal(open_file("/", 0), UINT32_MAX);
    assert_int_equal(open_file("/dev/zero", 0), UINT32_MAX);
    static const uint32_t refused[] = {0x0d, 0x0e, 0x0f, 0x12};
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        text(0x3000, path);
        assert_int_equal(call(refused[i], block(0x3000, (uint32_t)strlen(path), 0)), UINT32_MAX);
    }
    assert_int_equal(access(path, R_OK), 0);
}

static void features_file(void **state)
{
    (void)state;
    uint32_t h = open_file(":semihosting-features", 0);
    assert_int_equal(call(0x0c, block(h, 0, 0)), 5);
    assert_int_equal(call(0x06, block(h, 0x5000, 4)), 0);
    assert_memory_equal(guest + 0x4000, "SHFB", 4);
    assert_int_equal(call(0x06, block(h, 0x5000, 4)), 3);
    assert_int_equal(guest[0x4000], 3);
    assert_int_equal(call(0x0a, block(h, 0, 0)), 0);
    assert_int_equal(call(0x06, block(h, 0x5000, 1)), 0);
    assert_int_equal(guest[0x4000], 'S');
}

static void handles_run_out(void **state)
{
    (void)state;
    unsigned n = 0;
    while (open_file(":tt", 4) != UINT32_MAX)
        n++;
    assert_int_equal(n, 32);
    assert_int_equal(call(0x13, 0), EMFILE);
    const char *path = fake_file("x", 1);
    for (unsigned i = 0; i < 2000; i++) /* host descriptors are given back */
        assert_int_equal(open_file(path, 0), UINT32_MAX);
    assert_int_equal(call(0x13, 0), EMFILE);
}

static void clocks(void **state)
{
    (void)state;
    timers_manual(UINT64_C(7123456789));
    assert_int_equal(call(0x10, 0), 712);
    assert_int_equal(call(0x30, 0x5000), 0);
    uint64_t t;
    guest_read(NULL, 0x5000, &t, 8);
    assert_int_equal(t, UINT64_C(7123456789));
    assert_int_equal(call(0x31, 0), 1000000000);
    assert_true(call(0x11, 0) > 1700000000);
    assert_int_equal(call(0x30, HIGH - 4), UINT32_MAX);
}

static void environment(void **state)
{
    (void)state;
    uint32_t w[4];
    assert_int_equal(call(0x15, block(0x5000, 100, 0)), 0);
    assert_string_equal((char *)guest + 0x4000, "guest.elf one two words");
    guest_read(NULL, 0x2004, w, 4);
    assert_int_equal(w[0], 23);
    assert_int_equal(call(0x15, block(0x5000, 23, 0)), UINT32_MAX);
    assert_int_equal(call(0x15, block(0x5000, 24, 0)), 0);
    assert_int_equal(call(0x16, block(0x6000, 0, 0)), 0);
    guest_read(NULL, 0x6000, w, sizeof w);
    assert_int_equal(w[0], 0x80020000);
    assert_int_equal(w[1], 0x80fff000);
    assert_int_equal(w[2], 0x80fff000);
    assert_int_equal(call(0x08, block(0, 0, 0)), 0);
    assert_int_not_equal(call(0x08, block(UINT32_MAX, 0, 0)), 0);
}

static void ends(void **state)
{
    (void)state;
    static const struct {
        uint32_t op, reason, code;
        int expect;
    } rows[] = {
        {0x18, 0x20026, 0, 0}, {0x18, 0x20023, 0, 1},   {0x18, 0, 0, 1},
        {0x20, 0x20026, 0, 0}, {0x20, 0x20026, 42, 42}, {0x20, 0x20023, 5, 1},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t r, param = rows[i].op == 0x20 ? block(rows[i].reason, rows[i].code, 0) : rows[i].reason;
        assert_int_equal(semihost_call(&mem, NULL, rows[i].op, param, &r), SEMIHOST_EXIT);
        assert_int_equal(fake_end.count, i + 1);
        assert_int_equal(fake_end.how, END_EXIT);
        assert_int_equal(fake_end.exit_code, rows[i].expect);
    }
    assert_int_equal(call(0x20, 0), UINT32_MAX); /* faults: no exit */
}

/* Any call with any parameter block. The console has no readers, so that nothing is waited for. */
static void anything(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 7);
    console_setup(-1, -1);
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t w[4], result;
        for (unsigned k = 0; k < 4; k++) {
            uint64_t x = rng_u64(&r);
            w[k] = x % 4 == 0 ? (uint32_t)(x >> 32) : x % 4 == 1 ? LOW + (x >> 8) % (HIGH - LOW) : (x >> 8) % 12;
        }
        guest_write(NULL, 0x2000, w, sizeof w);
        uint32_t op = (uint32_t)(rng_u64(&r) % 0x34);
        if (op == 0x05 || op == 0x01) /* writing to stderr, opening files by random name: covered above */
            continue;
        semihost_call(&mem, NULL, op, rng_u64(&r) % 4 ? 0x2000 : w[3], &result);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(console_output), T(string_at_the_end_of_memory),
        T(output_waits),   T(console_input),
        T(files_are_read), T(the_host_is_not_changed),
        T(features_file),  T(handles_run_out),
        T(environment),    T(ends),
        T(anything),       T(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
