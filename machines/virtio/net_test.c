/*
 * net_test.c — the network card on each kind of cable; packets that make no sense, and random rings
 *
 * The tap interface is made in a network namespace of the test's own; where that or /dev/net/tun is not permitted, the test says so and
 * is skipped.
 */
#include "machines/virtio/driver_testlib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { RX, TX };
#define HEADER 12
#define ROOM   2048

static struct virtio_dev *make(const char *spec)
{
    struct error e = {0};
    struct virtio_dev *d = virtio_net_new(spec, &e);
    if (!d)
        fail_msg("%s", e.text);
    return d;
}

/* Begin, with all descriptors of the receive ring as buffers. */
static void begin(struct virtio_dev *d)
{
    attach(d);
    start();
    queue = RX;
    for (uint16_t i = 0; i < SIZE; i++) {
        describe(i, DATA + i * ROOM, ROOM, WRITE, 0);
        offer(i);
    }
}

static void plug_in(const char *spec)
{
    begin(make(spec));
}

static uint32_t send_frame(const void *frame, uint32_t bytes)
{
    static const uint8_t header[HEADER];
    queue = TX;
    put(HEAD, header, HEADER);
    put(DATA, frame, bytes);
    describe(0, HEAD, HEADER, NEXT, 1);
    describe(1, DATA, bytes, 0, 0);
    offer(0);
    return used();
}

/* The n-th frame that came since plug_in(); its bytes. */
static size_t receive(uint16_t n, uint8_t frame[ROOM])
{
    uint16_t num_buffers;
    queue = RX;
    for (unsigned tries = 0; used_now() <= n; tries++) {
        if (tries > TRIES)
            fail_msg("frame %u does not come", n);
        usleep(1000);
    }
    uint32_t bytes = written(n);
    assert_in_range(bytes, HEADER + 14, ROOM);
    get(DATA + n * ROOM + 10, &num_buffers, 2);
    assert_int_equal(num_buffers, 1);
    get(DATA + n * ROOM + HEADER, frame, bytes - HEADER);
    return bytes - HEADER;
}

static void fill(uint8_t *frame, size_t bytes, uint8_t seed)
{
    for (size_t i = 0; i < bytes; i++)
        frame[i] = (uint8_t)(i * 7 + seed);
}

static void loop(void **state)
{
    uint8_t frame[1514], got[ROOM];
    (void)state;
    plug_in("loop,mac=02:11:22:33:44:5a");
    assert_int_equal(reg(8), VIRTIO_ID_NET);
    assert_int_equal(reg(0x100), 0x33221102);
    assert_int_equal(reg(0x104) & 0xffffff, 0x015a44); /* and: the link is up */
    for (uint16_t i = 0; i < 6; i++) {
        size_t bytes = i ? 14 + 300u * (i - 1) : 1514;
        fill(frame, bytes, (uint8_t)i);
        send_frame(frame, (uint32_t)bytes);
        assert_int_equal(receive(i, got), bytes);
        assert_memory_equal(got, frame, bytes);
    }
    /* Too short for Ethernet: sent, and gone. */
    send_frame(frame, 13);
    send_frame(frame, 0);
    queue = RX;
    usleep(20000);
    assert_int_equal(used_now(), 6);
    /* More than there are buffers for: kept until there are. */
    for (unsigned i = 0; i < 4; i++)
        send_frame(frame, 60 + i);
    assert_int_equal(receive(7, got), 61);
    queue = RX;
    assert_int_equal(used_now(), 8);
    offer(0);
    offer(1);
    for (unsigned tries = 0; used_now() < 10 && tries < TRIES; tries++)
        usleep(1000);
    assert_int_equal(written(8), HEADER + 62);
    assert_int_equal(written(9), HEADER + 63);
    assert_false(broken());
    /* A reset: what waits is not for the next driver. */
    send_frame(frame, 100);
    start();
    queue = RX;
    describe(0, DATA, ROOM, WRITE, 0);
    offer(0);
    usleep(20000);
    assert_int_equal(used_now(), 0);
    detach();
}

static void nonsense(void **state)
{
    uint8_t frame[200];
    (void)state;
    fill(frame, sizeof frame, 1);
    plug_in("loop");
    queue = TX; /* no header */
    describe(0, HEAD, 11, 0, 0);
    offer(0);
    for (unsigned tries = 0; !broken() && tries < TRIES; tries++)
        usleep(1000);
    assert_true(broken());

    start(); /* a receive buffer that is too small for what comes */
    queue = RX;
    describe(0, DATA, 100, WRITE, 0);
    offer(0);
    send_frame(frame, 150);
    for (unsigned tries = 0; !broken() && tries < TRIES; tries++)
        usleep(1000);
    assert_true(broken());

    start(); /* no card sends that much: lost, and the card goes on */
    assert_false(broken());
    queue = TX;
    describe(0, RAM, 0x80000, 0, 0);
    offer(0);
    used();
    assert_false(broken());
    detach();
}

static void socket_path(struct sockaddr_un *at)
{
    const char *dir = getenv("TEST_TMPDIR");
    at->sun_family = AF_UNIX;
    snprintf(at->sun_path, sizeof at->sun_path, "%.70s/net-%d", dir && strlen(dir) < 70 ? dir : "/tmp", (int)getpid());
}

static void cable(void **state)
{
    struct sockaddr_un at;
    char spec[200];
    uint8_t frame[1514], got[ROOM];
    (void)state;
    socket_path(&at);
    unlink(at.sun_path);
    snprintf(spec, sizeof spec, "unix:%s", at.sun_path);
    fill(frame, sizeof frame, 9);

    /* We come second; twice. */
    plug_in(spec);
    assert_int_equal(reg(0x104) & 0xff00, 0x5600);
    send_frame(frame, 60); /* nobody there */
    for (uint16_t turn = 0; turn < 2; turn++) {
        int peer = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        assert_int_equal(connect(peer, (struct sockaddr *)&at, sizeof at), 0);
        assert_int_equal(send(peer, frame, 1000, 0), 1000);
        assert_int_equal(receive(turn, got), 1000);
        assert_memory_equal(got, frame, 1000);
        send_frame(frame, 1514);
        assert_int_equal(recv(peer, got, sizeof got, 0), 1514);
        assert_memory_equal(got, frame, 1514);
        close(peer);
    }
    detach();
    assert_int_equal(access(at.sun_path, F_OK), -1);

    /* We come first; before us somebody left his socket lying there. */
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    plug_in(spec);
    assert_int_equal(reg(0x104) & 0xff00, 0x5700);
    int peer = accept(listener, NULL, NULL);
    send_frame(frame, 70);
    assert_int_equal(recv(peer, got, sizeof got, 0), 70);
    close(peer);
    close(listener);
    usleep(20000);
    send_frame(frame, 71); /* dead */
    detach();
    assert_int_equal(access(at.sun_path, F_OK), 0);
    attach(make(spec)); /* takes the place of the one left */
    detach();
    assert_int_equal(access(at.sun_path, F_OK), -1);
}

/* Who has address `to`? */
static void ask(uint8_t arp[42], uint32_t from, uint32_t to)
{
    static const uint8_t head[22] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34,
                                     0x56, 8,    6,    0,    1,    8,    0,    6,    4, 0,    1};
    memset(arp, 0, 42);
    memcpy(arp, head, 22);
    memcpy(arp + 22, head + 6, 6);
    for (unsigned i = 0; i < 4; i++) {
        arp[28 + i] = (uint8_t)(from >> 8 * (3 - i));
        arp[38 + i] = (uint8_t)(to >> 8 * (3 - i));
    }
}

/* Ask, and wait for the answer among what else comes. */
static void answered(uint32_t from, uint32_t to)
{
    uint8_t arp[42], got[ROOM];
    ask(arp, from, to);
    send_frame(arp, 42);
    for (uint16_t n = 0; n < SIZE; n++) {
        size_t bytes = receive(n, got);
        if (bytes >= 42 && got[12] == 8 && got[13] == 6 && got[21] == 2 && !memcmp(got + 28, arp + 38, 4))
            return;
    }
    fail_msg("no answer");
}

static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

/* Returns the port of the host that leads to the guest. Another program may take the free one first: the next one then. */
static unsigned plug_in_user(void)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        char spec[64];
        struct error e = {0};
        unsigned port = free_port();
        snprintf(spec, sizeof spec, "user,hostfwd=tcp:%u:22", port);
        struct virtio_dev *d = virtio_net_new(spec, &e);
        if (d) {
            begin(d);
            return port;
        }
        print_message("%s\n", e.text);
    }
    fail_msg("no port is free");
    return 0;
}

static void user(void **state)
{
    uint8_t got[ROOM];
    (void)state;
    plug_in_user();
    answered(0x0a00020f, 0x0a000202);
    detach();

    /* A connection from the host: libslirp asks the guest for its address. */
    unsigned port = plug_in_user();
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fd, (struct sockaddr *)&at, sizeof at);
    bool asked = false;
    for (uint16_t n = 0; n < SIZE && !asked; n++) {
        size_t bytes = receive(n, got);
        asked = bytes >= 42 && got[12] == 8 && got[13] == 6 && got[21] == 1 && got[41] == 15;
    }
    assert_true(asked);
    close(fd);
    detach();
}

static void tap(void **state)
{
    struct error e = {0};
    (void)state;
    if (access("/dev/net/tun", R_OK | W_OK) || (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))) {
        print_message("skipped: no network namespace or no /dev/net/tun for this user: %s\n", strerror(errno));
        skip();
    }
    struct virtio_dev *d = virtio_net_new("tap:dbt0", &e);
    if (!d) {
        print_message("skipped: %s\n", e.text);
        skip();
    }
    struct ifreq r = {.ifr_name = "dbt0"};
    struct sockaddr_in *at = (struct sockaddr_in *)&r.ifr_addr;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(0xc0000201);
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &r), 0);
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    close(fd);
    assert_null(virtio_net_new("tap:dbt0", &e)); /* it is ours */
    assert_non_null(strstr(e.text, "another program"));

    begin(d);
    answered(0xc0000202, 0xc0000201);
    detach();
}

static void refusals(void **state)
{
    static const struct {
        const char *spec, *says;
        int code;
    } rows[] = {
        {"", "choose one of", 2},
        {"wifi", "choose one of", 2},
        {"tap", "choose one of", 2},
        {"tap:", "choose one of", 2},
        {"loop:1", "choose one of", 2},
        {"user:1", "choose one of", 2},
        {"tap:a-name-that-is-too-long", "at most 15 characters", 2},
        {"loop,mac=1:2", "six bytes", 2},
        {"loop,mac=03:00:00:00:00:00", "first one even", 2},
        {"loop,mac=02:00:00:00:00:00:00", "six bytes", 2},
        {"loop,hostfwd=tcp:1:1", "no option", 2},
        {"user,hostfwd=tcp:70000:1", "hostfwd=tcp:70000:1: write", 2},
        {"user,hostfwd=ftp:2222:22", "write tcp:", 2},
        {"user,hostfwd=tcp:2222", "write tcp:", 2},
        {"user,speed=high", "no option", 2},
        {"unix:/nonexistent/folder/socket", "cannot listen there", 1},
        {"unix:/proc/version", "no socket", 1},
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error e = {0};
        if (virtio_net_new(rows[i].spec, &e))
            fail_msg("%s was taken", rows[i].spec);
        if (e.exit_code != rows[i].code || !strstr(e.text, rows[i].says) || strncmp(e.text, "--net", 5))
            fail_msg("%s: %d, %s", rows[i].spec, e.exit_code, e.text);
    }
}

static void fuzz(void **state)
{
    static const char *const specs[] = {"loop", "user"};
    uint8_t frame[100];
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(specs); i++) {
        attach(make(specs[i]));
        fuzz_device(3000, 31 + i);
        fill(frame, sizeof frame, 1);
        send_frame(frame, sizeof frame);
        assert_false(broken());
        detach();
    }
}

int main(void)
{
    /* tap is last: it leaves the network behind. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop),     cmocka_unit_test(nonsense), cmocka_unit_test(cable), cmocka_unit_test(user),
        cmocka_unit_test(refusals), cmocka_unit_test(fuzz),     cmocka_unit_test(tap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
