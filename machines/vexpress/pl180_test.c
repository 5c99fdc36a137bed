/*
 * pl180_test.c — the MMC interface as Linux drives it: an empty slot, a card, and a card whose file fails
 *
 * Paths: identification; registers sent as data; one block and many, each way; the end of the card, write protection, a file that shrinks,
 * a file that must not grow; a transfer that is ended half-way; random registers.
 */
#include "machines/fakes_testlib.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/vexpress/devices.h"
#include "machines/vexpress/sd_card.h"

#define REGS  UINT64_C(0x1c050000)
#define BYTES (2u << 20)
#define RCA   (0x4567u << 16)

/* clang-format off */
enum { ARGUMENT = 0x08, COMMAND = 0x0c, RESPONSE = 0x14, LENGTH = 0x28, DATA_CTRL = 0x2c, DATA_CNT = 0x30, STATUS = 0x34, CLEAR = 0x38,
       MASK0 = 0x3c, MASK1 = 0x40, FIFO_CNT = 0x48, FIFO = 0x80 };
enum { CRC_FAIL = 2, CMD_TIMEOUT = 4, DATA_TIMEOUT = 8, RESP_END = 0x40, SENT = 0x80, DATA_END = 0x100, TX_HALF_EMPTY = 0x4000,
       RX_HALF_FULL = 0x8000, RX_AVAILABLE = 0x200000 };
/* clang-format on */
enum { NONE = 0, SHORT = 0x40, LONG = 0xc0 };

static struct pl180 *mmc;
static struct sd_card *card;
static unsigned irq[2];
static uint32_t expected; /* bytes of the transfer from the card */
static char path[300];

static void set_irq(void *opaque, unsigned n, bool level)
{
    (void)opaque;
    irq[n] = level;
}

static void plug_in(const char *mode)
{
    struct error e = {0};
    char spec[310];
    fake_reset();
    card = NULL;
    if (mode) {
        uint8_t *data = malloc(BYTES);
        for (unsigned i = 0; i < BYTES; i++)
            data[i] = (uint8_t)(i / 512 * 3 + i);
        snprintf(path, sizeof path, "%s", fake_file(data, BYTES));
        free(data);
        snprintf(spec, sizeof spec, "%s%s", path, mode);
        card = sd_card_new(spec, &e);
        if (!card)
            fail_msg("%s", e.text);
    }
    device_lock();
    mmc = pl180_new((struct irq_line){set_irq, NULL, 0}, (struct irq_line){set_irq, NULL, 1}, card);
    device_unlock();
    mem_add_mmio(REGS, 0x1000, &pl180_ops, mmc, "mmc");
}

static void pull_out(void)
{
    pl180_stop(mmc);
    device_lock();
    pl180_reset(mmc);
    device_unlock();
    sd_card_free(card);
    free(mmc);
}

static uint32_t reg(uint32_t off)
{
    return rd(REGS + off);
}

static void set(uint32_t off, uint32_t val)
{
    wr(REGS + off, val);
}

/* Send a command; its status bit. */
static uint32_t command(unsigned index, uint32_t arg, uint32_t answer)
{
    set(CLEAR, 0x7ff);
    set(ARGUMENT, arg);
    set(COMMAND, 0x400 | answer | index);
    uint32_t s = reg(STATUS) & (CMD_TIMEOUT | RESP_END | SENT);
    if (s == RESP_END)
        assert_int_equal(reg(0x10), answer == LONG ? 63 : index);
    return s;
}

static uint32_t r1(unsigned index, uint32_t arg)
{
    assert_int_equal(command(index, arg, SHORT), RESP_END);
    return reg(RESPONSE);
}

static void app(void)
{
    assert_true(r1(55, RCA) & 0x20);
}

static uint32_t wait_for(uint32_t bits)
{
    for (unsigned tries = 0; tries < 60000; tries++) {
        uint32_t s = reg(STATUS);
        if (s & bits)
            return s;
        usleep(1000);
    }
    fail_msg("status %#x has none of %#x", reg(STATUS), bits);
    return 0;
}

static void expect_data(uint32_t bytes)
{
    expected = bytes;
    set(DATA_CTRL, 0);
    set(LENGTH, bytes);
    set(DATA_CTRL, 3 | 9 << 4);
}

/* What came; by the FIFO's own flags. Returns the status bits of the end. */
static uint32_t take(uint8_t *buf, uint32_t bytes)
{
    uint32_t got = 0;
    while (got < bytes) {
        uint32_t s = wait_for(RX_AVAILABLE | DATA_TIMEOUT | CRC_FAIL);
        if (!(s & RX_AVAILABLE))
            return s & 0x7ff;
        uint32_t there = expected - got - 4 * reg(FIFO_CNT);
        assert_in_range(there, 1, 64);
        assert_int_equal(!!(s & RX_HALF_FULL), there >= 32);
        assert_int_equal(reg(DATA_CNT), expected - got);
        uint32_t w = reg(FIFO + (got & 0x3c));
        memcpy(buf + got, &w, 4);
        got += 4;
    }
    return reg(STATUS) & (DATA_END | DATA_TIMEOUT | CRC_FAIL);
}

static uint32_t give(const uint8_t *buf, uint32_t bytes)
{
    set(DATA_CTRL, 0);
    set(LENGTH, bytes);
    set(DATA_CTRL, 1 | 9 << 4);
    for (uint32_t at = 0; at < bytes; at += 4) {
        uint32_t w;
        memcpy(&w, buf + at, 4);
        assert_true(reg(STATUS) & TX_HALF_EMPTY);
        set(FIFO, w);
    }
    return wait_for(DATA_END | DATA_TIMEOUT | CRC_FAIL) & (DATA_END | DATA_TIMEOUT | CRC_FAIL);
}

/* As Linux does it, with the commands of SDIO and MMC that nobody answers. */
static void identify(void)
{
    command(52, 0xc00, SHORT);
    assert_int_equal(command(0, 0, NONE), SENT);
    assert_int_equal(r1(8, 0x1aa), 0x1aa);
    assert_int_equal(command(5, 0, SHORT), CMD_TIMEOUT);
    r1(55, 0);
    assert_false(r1(41, 0) >> 31); /* only asked */
    command(0, 0, NONE);
    r1(8, 0x1aa);
    r1(55, 0);
    assert_int_equal(r1(41, 0x40ff8000) >> 30, 3);
    assert_int_equal(command(2, 0, LONG), RESP_END);
    assert_int_equal(r1(3, 0) & 0xffff0000, RCA);
    assert_int_equal(command(9, RCA, LONG), RESP_END);
    uint32_t c_size = (reg(RESPONSE + 4) & 0x3f) << 16 | reg(RESPONSE + 8) >> 16;
    assert_int_equal((c_size + 1) * (512u << 10), BYTES);
    assert_int_equal(r1(7, RCA) >> 9 & 15, 3);
    assert_int_equal(r1(13, RCA) >> 9 & 15, 4);
}

static void empty_slot(void **state)
{
    (void)state;
    plug_in(NULL);
    assert_int_equal(command(0, 0, NONE), SENT);
    assert_int_equal(command(8, 0x1aa, SHORT), CMD_TIMEOUT);
    assert_int_equal(command(2, 0, LONG), CMD_TIMEOUT);
    expect_data(512);
    assert_true(reg(STATUS) & DATA_TIMEOUT);
    assert_int_equal(irq[0] | irq[1], 0);
    set(MASK0, DATA_TIMEOUT);
    assert_int_equal(irq[0], 1);
    set(CLEAR, DATA_TIMEOUT);
    assert_int_equal(irq[0], 0);
    pull_out();
}

static void registers_as_data(void **state)
{
    uint8_t buf[64];
    (void)state;
    plug_in("");
    identify();
    app();
    expect_data(8);
    r1(51, 0);
    assert_int_equal(take(buf, 8), DATA_END);
    assert_int_equal(buf[0], 2);
    assert_int_equal(buf[1] & 15, 5);
    app();
    expect_data(64);
    r1(13, 0);
    assert_int_equal(take(buf, 64), DATA_END);
    expect_data(64);
    r1(6, 0x00fffff1);
    assert_int_equal(take(buf, 64), DATA_END);
    assert_int_equal(buf[13], 1);
    app();
    assert_int_equal(r1(6, 2) >> 9 & 15, 4); /* the bus's width, not the switch */
    assert_int_equal(r1(13, RCA) >> 9 & 15, 4);
    /* More than the register has. */
    app();
    expect_data(512);
    r1(51, 0);
    assert_int_equal(reg(FIFO) & 0xff, 2);
    assert_false(reg(STATUS) & DATA_TIMEOUT);
    reg(FIFO);
    assert_true(reg(STATUS) & DATA_TIMEOUT);
    pull_out();
}

static uint8_t content(uint32_t at)
{
    return (uint8_t)(at / 512 * 3 + at);
}

static void blocks(void **state)
{
    static uint8_t buf[32768], was[512];
    (void)state;
    plug_in("");
    identify();
    expect_data(512);
    r1(17, 5);
    assert_int_equal(take(buf, 512), DATA_END);
    for (unsigned i = 0; i < 512; i++)
        assert_int_equal(buf[i], content(5 * 512 + i));
    assert_int_equal(r1(13, RCA) >> 9 & 15, 4);

    r1(18, 7); /* here the command is first; and two transfers follow one command */
    for (unsigned part = 0; part < 2; part++) {
        expect_data(sizeof buf);
        assert_int_equal(take(buf, sizeof buf), DATA_END);
        for (unsigned i = 0; i < sizeof buf; i++)
            assert_int_equal(buf[i], content(7 * 512 + part * sizeof buf + i));
    }
    r1(12, 0);
    assert_int_equal(r1(13, RCA) >> 9 & 15, 4);

    memcpy(was, buf, 512);
    for (unsigned i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(i * 11);
    r1(24, 9);
    assert_int_equal(give(buf, 512), DATA_END);
    r1(25, BYTES / 512 - 64);
    assert_int_equal(give(buf, sizeof buf), DATA_END);
    r1(12, 0);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 9 * 512, SEEK_SET);
    assert_int_equal(fread(was, 1, 512, f), 512);
    assert_memory_equal(was, buf, 512);
    assert_int_equal(fgetc(f), content(10 * 512));
    fseek(f, -512, SEEK_END);
    assert_int_equal(fread(was, 1, 512, f), 512);
    assert_memory_equal(was, buf + sizeof buf - 512, 512);
    fclose(f);
    pull_out();
}

static void refused_by_the_card(void **state)
{
    uint8_t buf[1024] = {0};
    (void)state;
    plug_in(",ro");
    identify();
    assert_true(r1(17, BYTES / 512) & BIT(31)); /* beyond the end */
    assert_true(r1(24, 0) & BIT(26));           /* protected */
    assert_int_equal(give(buf, 512), CRC_FAIL); /* and nobody takes data */
    assert_int_equal(r1(13, RCA) >> 9 & 15, 4);
    r1(18, BYTES / 512 - 1);
    expect_data(1024);
    assert_true(reg(STATUS) & DATA_TIMEOUT);
    r1(12, 0);
    assert_int_equal(command(12, 0, SHORT), CMD_TIMEOUT); /* nothing to stop */
    assert_true(r1(13, RCA) & BIT(22));
    assert_false(r1(13, RCA) & BIT(22));
    assert_int_equal(command(9, RCA, LONG), CMD_TIMEOUT); /* not while selected */
    assert_int_equal(command(7, 0, NONE), SENT);
    assert_int_equal(command(9, RCA, LONG), RESP_END);
    assert_true(reg(RESPONSE + 12) & BIT(13));
    pull_out();
}

static void errors_of_the_host(void **state)
{
    uint8_t buf[1024] = {0};
    struct rlimit old, limit;
    (void)state;
    plug_in("");
    identify();
    assert_int_equal(truncate(path, 100 * 512), 0);
    expect_data(512);
    r1(17, 100);
    assert_int_equal(take(buf, 512), DATA_TIMEOUT | (reg(STATUS) & RESP_END));
    command(12, 0, SHORT);
    expect_data(512);
    r1(17, 99);
    assert_int_equal(take(buf, 512), DATA_END);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 110 * 512;
    setrlimit(RLIMIT_FSIZE, &limit);
    r1(24, 200);
    assert_int_equal(give(buf, 512), CRC_FAIL);
    r1(12, 0);
    r1(24, 100);
    assert_int_equal(give(buf, 512), DATA_END);
    setrlimit(RLIMIT_FSIZE, &old);
    pull_out();
}

static void ended_half_way(void **state)
{
    static uint8_t buf[32768];
    (void)state;
    plug_in(",cow");
    identify();
    for (unsigned i = 0; i < 200; i++) {
        expect_data(sizeof buf);
        r1(18, i);
        if (i & 1)
            take(buf, 4 * (i % 50));
        set(DATA_CTRL, 0);
        r1(12, 0);
        expect_data(512);
        r1(17, i);
        assert_int_equal(take(buf, 512), DATA_END);
        assert_int_equal(buf[1], content(i * 512 + 1));
    }
    r1(25, 0); /* what is not whole is not written */
    set(LENGTH, 1024);
    set(DATA_CTRL, 1);
    for (unsigned i = 0; i < 255; i++)
        set(FIFO, 0);
    device_lock();
    pl180_reset(mmc);
    device_unlock();
    identify();
    expect_data(512);
    r1(17, 0);
    assert_int_equal(take(buf, 512), DATA_END);
    assert_int_equal(buf[1], content(1));
    pull_out();
}

static void no_cards(void **state)
{
    static const struct {
        const char *spec, *says;
    } rows[] = {{"/nonexistent/card", "--sd: cannot open /nonexistent/card"},
                {"/dev/null", "neither a regular file"},
                {"/", "directory"}};
    static uint8_t small[4096];
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error e = {0};
        assert_null(sd_card_new(rows[i].spec, &e));
        assert_non_null(strstr(e.text, rows[i].says));
    }
    struct error e = {0};
    assert_null(sd_card_new(fake_file(small, sizeof small), &e));
    assert_non_null(strstr(e.text, "4096 bytes are no disk; it needs at least one unit of 524288"));
}

/* Whatever is stored where, nothing is touched that should not be (the sanitizers see), and a reset brings it back. */
static void fuzz(void **state)
{
    const uint64_t seed = 180;
    struct rng r;
    uint8_t buf[512];
    (void)state;
    rng_seed(&r, seed);
    print_message("seed %" PRIu64 "\n", seed);
    plug_in(",cow");
    for (unsigned round = 0; round < 200; round++) {
        static const uint8_t likely[] = {0, 2, 3, 6, 7, 8, 9, 12, 13, 17, 18, 24, 25, 41, 51, 55};
        if (round & 1)
            identify();
        for (unsigned i = 0; i < 300; i++) {
            uint64_t x = rng_u64(&r);
            uint32_t off = (uint32_t)(x >> 8) % 0x100 & ~3u, val = (uint32_t)(x >> 32);
            switch (x % 8) {
            case 0:
                command(likely[(x >> 8) % ARRAY_SIZE(likely)], x & 0x80 ? RCA : val % 5000,
                        x & 0x40 ? SHORT : val & LONG);
                break;
            case 1: set(LENGTH, val % 5 ? val % 2048 : val); break;
            case 2: set(DATA_CTRL, val); break;
            case 3:
            case 4: reg(off); break;
            case 5: set(FIFO + (off & 0x3c), val); break;
            default: set(off, val); break;
            }
        }
        device_lock();
        pl180_reset(mmc);
        device_unlock();
    }
    identify();
    expect_data(512);
    r1(17, BYTES / 512 - 1);
    assert_int_equal(take(buf, 512), DATA_END);
    pull_out();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slot),
        cmocka_unit_test(registers_as_data),
        cmocka_unit_test(blocks),
        cmocka_unit_test(refused_by_the_card),
        cmocka_unit_test(errors_of_the_host),
        cmocka_unit_test(ended_half_way),
        cmocka_unit_test(no_cards),
        cmocka_unit_test(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
