/*
 * packet_test.c — framing, checksums, escapes: by hand, and with bytes of any kind
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "engine/base/rng.h"
#include "engine/gdb/packet.h"

static struct gdb_parser parser;

/* Feeds text; returns the last answer that was not GDB_MORE, and counts them. */
static enum gdb_input feed(const char *bytes, size_t n, unsigned *answers)
{
    enum gdb_input last = GDB_MORE;
    *answers = 0;
    for (size_t i = 0; i < n; i++) {
        enum gdb_input got = gdb_parse(&parser, (uint8_t)bytes[i]);
        if (got == GDB_MORE)
            continue;
        last = got;
        ++*answers;
    }
    return last;
}

static void packets_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum gdb_input answer;
        const char *data;
    } rows[] = {
        {"$g#67", GDB_PACKET, "g"},
        {"$#00", GDB_PACKET, ""},
        {"$m80000000,4#55", GDB_PACKET, "m80000000,4"},
        {"$m80000000,4#55", GDB_PACKET, "m80000000,4"},
        {"noise$g#67", GDB_PACKET, "g"},
        {"$half$g#67", GDB_PACKET, "g"}, /* a bare $ begins anew */
        {"$half#$g#67", GDB_PACKET, "g"},
        {"$X}\x03}\x04}\x5d#33", GDB_PACKET, "X#$}"},
        {"$mA#AE", GDB_PACKET, "mA"},
        {"$g#68", GDB_WRONG_SUM, "g"},
        {"$g#6x", GDB_WRONG_SUM, "g"},
        {"$g#xx", GDB_WRONG_SUM, "g"},
        {"+", GDB_ACK, NULL},
        {"-", GDB_NAK, NULL},
        {"\x03", GDB_INTERRUPT, NULL},
        {"$a\x03z#de", GDB_PACKET, "a\x03z"}, /* inside of a packet it is a byte like others */
        {"abc#12", GDB_MORE, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned answers;
        memset(&parser, 0, sizeof parser);
        enum gdb_input got = feed(rows[i].bytes, strlen(rows[i].bytes), &answers);
        assert_int_equal(got, rows[i].answer);
        assert_int_equal(answers, got != GDB_MORE);
        if (rows[i].data)
            assert_string_equal(parser.data, rows[i].data);
    }
}

static void a_packet_of_the_most_bytes_fits(void **state)
{
    (void)state;
    static char bytes[GDB_PACKET_MAX + 8];
    for (unsigned more = 0; more < 2; more++) {
        size_t n = GDB_PACKET_MAX + more;
        memset(&parser, 0, sizeof parser);
        bytes[0] = '$';
        memset(bytes + 1, 'a', n);
        unsigned sum = (unsigned)(n * 'a') & 0xff;
        snprintf(bytes + 1 + n, 4, "#%02x", sum);
        unsigned answers;
        assert_int_equal(feed(bytes, n + 4, &answers), more ? GDB_TOO_LONG : GDB_PACKET);
        assert_int_equal(answers, 1);
        assert_int_equal(feed("$g#67", 5, &answers), GDB_PACKET); /* the next is not lost with it */
        assert_string_equal(parser.data, "g");
    }
}

static void what_is_framed_comes_back(void **state)
{
    (void)state;
    static struct gdb_reply r;
    static char frame[GDB_FRAME_MAX];
    static const uint8_t special[] = {'#', '$', '}', '*'};
    struct rng rng;
    rng_seed(&rng, 7);
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t bytes[64];
        size_t n = rng_below(&rng, sizeof bytes + 1);
        for (size_t i = 0; i < n; i++)
            bytes[i] = rng_below(&rng, 4) ? (uint8_t)rng_u32(&rng) : special[rng_below(&rng, 4)];
        gdb_clear(&r);
        gdb_put_binary(&r, bytes, n);
        unsigned answers;
        assert_int_equal(feed(frame, gdb_frame(&r, frame), &answers), GDB_PACKET);
        assert_int_equal(answers, 1);
        assert_int_equal(parser.n, n);
        assert_memory_equal(parser.data, bytes, n);
    }
}

static void a_reply_is_cut_where_it_is_full(void **state)
{
    (void)state;
    static struct gdb_reply r;
    static uint8_t zeros[GDB_PACKET_MAX];
    gdb_clear(&r);
    gdb_put_hex(&r, zeros, sizeof zeros);
    assert_true(r.full);
    assert_int_equal(r.n, GDB_PACKET_MAX);
    gdb_put(&r, "%s", "more");
    assert_int_equal(r.n, GDB_PACKET_MAX);
    gdb_clear(&r);
    gdb_put(&r, "%s", "abc");
    gdb_put(&r, "%0*d", GDB_PACKET_MAX - 2, 1);
    assert_true(r.full);
    assert_string_equal(r.data, "abc");
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t x;
        char behind;
    } rows[] = {{"0", true, 0, 0},
                {"1f,", true, 0x1f, ','},
                {"FFFFFFFF", true, UINT32_MAX, 0},
                {"", false, 0, 0},
                {"x1", false, 0, 'x'},
                {"-1", false, 0, '-'},
                {"100000000", false, 0, 0},
                {"00000000000000001", false, 0, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *p = rows[i].text;
        uint32_t x;
        assert_int_equal(gdb_number32(&p, &x), rows[i].ok);
        assert_int_equal(*p, rows[i].behind);
        if (rows[i].ok)
            assert_int_equal(x, rows[i].x);
    }
    uint8_t b[2];
    assert_true(gdb_bytes("aB01", b, 2) && b[0] == 0xab && b[1] == 1);
    assert_false(gdb_bytes("aB0", b, 2));
    assert_false(gdb_bytes("ag", b, 1));
}

/* Any bytes at all: no answer but the known ones, and what is kept stays within its bounds. */
static void noise(void **state)
{
    (void)state;
    static const char liked[] = {'$', '#', '}', '+', '-', 3, '0', 'f', 0};
    struct rng rng;
    rng_seed(&rng, 99);
    memset(&parser, 0, sizeof parser);
    for (unsigned i = 0; i < 3000000; i++) {
        uint8_t byte = rng_below(&rng, 3) ? (uint8_t)rng_u32(&rng) : (uint8_t)liked[rng_below(&rng, sizeof liked - 1)];
        if (i / 200000 % 2 && strchr("$#", byte))
            byte = 'x'; /* long ones */
        enum gdb_input got = gdb_parse(&parser, byte);
        assert_in_range(got, GDB_MORE, GDB_INTERRUPT);
        assert_in_range(parser.n, 0, GDB_PACKET_MAX);
        if (got == GDB_PACKET || got == GDB_WRONG_SUM)
            assert_int_equal(parser.data[parser.n], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_understood),
        cmocka_unit_test(a_packet_of_the_most_bytes_fits),
        cmocka_unit_test(what_is_framed_comes_back),
        cmocka_unit_test(a_reply_is_cut_where_it_is_full),
        cmocka_unit_test(numbers),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
