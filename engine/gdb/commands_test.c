/*
 * commands_test.c — packets as GDB sends them, and mutants of them, to a machine that stands still
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "engine/base/rng.h"
#include "engine/exec/debug.h"
#include "engine/gdb/gdb_testlib.h"
#include "engine/mem/mem.h"
#include "engine/sync/sync.h"

static struct gdb_session session;
static char last_line[256];

static void monitor(const char *line, void (*print)(const char *text))
{
    snprintf(last_line, sizeof last_line, "%s", line);
    print("a\n");
    print("b\n");
}

static void stopped(void) {}

static int up(void **state)
{
    (void)state;
    machine_up();
    gdb_session_begin(&session, monitor);
    target_attach(stopped);
    gdb_tell_stop(&session, 5);
    return 0;
}

static int down(void **state)
{
    (void)state;
    target_detach();
    machine_down();
    return 0;
}

#define ASK(packet, answer) assert_string_equal(ask(&session, packet), answer)

static void the_stop(void **state)
{
    (void)state;
    ASK("?", "T05thread:1;core:0;");
    ASK("qC", "QC1");
    debug_state(vcpus[1])->why = DEBUG_BREAK;
    vcpus[1]->r[15] = TEST_RAM + 8;
    ASK("Z0,80000008,4", "OK");
    ASK("qSupported:swbreak+;hwbreak+",
        "PacketSize=4000;QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+");
    gdb_tell_stop(&session, 5);
    ASK("?", "T05thread:2;core:1;swbreak:;");
    ASK("qC", "QC2");
    debug_state(vcpus[0])->why = DEBUG_WATCH;
    debug_state(vcpus[0])->addr = 0x80000104;
    debug_state(vcpus[0])->watch = WATCH_ACCESS;
    debug_state(vcpus[1])->why = DEBUG_WATCH;
    gdb_tell_stop(&session, 5);
    ASK("?", "T05thread:1;core:0;awatch:80000104;"); /* its turn: vCPU 1 was told last */
    gdb_tell_stop(&session, 2);
    ASK("?", "T02thread:1;core:0;");
}

/* Two steps end at once: one is told, the other when the client wants to step on. */
static void a_second_step_is_kept(void **state)
{
    (void)state;
    debug_state(vcpus[0])->why = debug_state(vcpus[1])->why = DEBUG_STEP;
    gdb_tell_stop(&session, 5);
    ASK("?", "T05thread:2;core:1;");
    ask(&session, "vCont;s:1");
    assert_false(target_resume(session.resume));
    gdb_tell_stop(&session, 5);
    ASK("?", "T05thread:1;core:0;");
    ask(&session, "vCont;s:1");
    assert_true(target_resume(session.resume));
    assert_int_equal(atomic_load(&vcpus[0]->poll) & POLL_STEP, POLL_STEP);
    sync_hold(3);
}

static void registers(void **state)
{
    (void)state;
    ASK("Hg2", "OK");
    ASK("P3=78563412", "OK");
    assert_int_equal(vcpus[1]->r[3], 0x12345678);
    ASK("p3", "78563412");
    ASK("Pf=05000080", "OK");
    assert_int_equal(vcpus[1]->r[15], TEST_RAM + 4); /* bit 0 is CPSR.T's */
    ASK("P10=3f000000", "OK");                       /* cpsr: Thumb */
    assert_int_equal(vcpus[1]->r[15], TEST_RAM + 5);
    ASK("pf", "04000080");
    ASK("P30=0807060504030201", "OK"); /* d31 */
    assert_true(vcpus[1]->vfp[31] == UINT64_C(0x0102030405060708));
    ASK("P31=ffffffff", "OK"); /* fpscr: what can be written */
    ASK("p31", "9f00f7ff");
    assert_int_equal(strlen(ask(&session, "g")), 2 * REGISTERS_BYTES);
    /* All of them back: nothing changes, in whichever order they depend on each other. */
    char packet[2 * REGISTERS_BYTES + 2];
    packet[0] = 'G';
    memcpy(packet + 1, session.reply.data, 2 * REGISTERS_BYTES + 1);
    ASK(packet, "OK");
    assert_string_equal(ask(&session, "g"), packet + 1);
    assert_int_equal(vcpus[0]->r[3], 0);
    /* Modes bank sp: it is that of the mode which the same packet brings. */
    ASK("Hg1", "OK");
    vcpus[0]->sys.bank_r13[BANK_IRQ] = 0x1000;
    ASK("P10=12000000", "OK");
    ASK("pd", "00100000");
    ASK("P10=1e000000", "OK"); /* no such mode: stays */
    ASK("p10", "12000000");
}

static void memory(void **state)
{
    (void)state;
    ASK("M80000100,4:deadBEEF", "OK");
    ASK("m80000100,4", "deadbeef");
    ASK("m80000101,1", "ad");
    ASK("m800ffffe,4", "0000"); /* as far as there is any */
    ASK("m80100000,4", "E0e");
    ASK("m80000000,0", "");
    ASK("M800ffffe,4:01020304", "E0e");
    ASK("m800ffffe,2", "0000"); /* nothing of it */
    asked = gdb_command(&session, "X80000200,3:\0#x", 15);
    assert_string_equal(session.reply.data, "OK");
    ASK("m80000200,3", "002378");
    asked = gdb_command(&session, "X80000200,0:", 12); /* GDB asks by it whether there is X */
    assert_string_equal(session.reply.data, "OK");
    ASK("m1c000000,4", "E0e");
    ASK("M1c000000,1:00", "E0e");
    ASK("m1bfffffc,8", "E0e");
    ASK("mfffffffe,4", "E0e");
    assert_int_equal(test_device_touched, 0);
    ask(&session, "m80000000,ffffffff"); /* as much as fits in a packet */
    assert_int_equal(session.reply.n, GDB_PACKET_MAX);
}

static void breakpoints(void **state)
{
    (void)state;
    ASK("Z0,80000100,4", "OK");
    ASK("Z0,80000100,4", "OK");
    ASK("Z1,80000100,4", "OK");
    assert_int_equal(debug_break_at(TEST_RAM + 0x100), BREAK_SOFTWARE | BREAK_HARDWARE);
    ASK("z0,80000100,4", "OK");
    ASK("z0,80000100,4", "OK");
    assert_int_equal(debug_break_at(TEST_RAM + 0x100), BREAK_HARDWARE);
    ASK("Z0,80000080,2;X1,00", "OK");
    assert_int_equal(debug_next_break(0), TEST_RAM + 0x80);
    assert_int_equal(debug_next_break(TEST_RAM + 0x80), TEST_RAM + 0x100);
    assert_int_equal(debug_next_break(TEST_RAM + 0x100), 0);
    ASK("z1,80000100,4", "OK");
    ASK("z0,80000080,2", "OK");
    assert_int_equal(debug_next_break(0), 0);
    for (unsigned i = 0; i <= DEBUG_BREAKS; i++) {
        char packet[32];
        snprintf(packet, sizeof packet, "Z0,%x,4",
                 (uint32_t)TEST_RAM + 4 * (i * 7 % DEBUG_BREAKS) + (i == DEBUG_BREAKS ? 2 : 0));
        ASK(packet, i < DEBUG_BREAKS ? "OK" : "E1c");
    }
    ASK("Z2,80000100,4", "OK");
    ASK("Z3,80000100,0", "E1c");
    ASK("Z4,fffffffc,8", "E1c");
    ASK("Z4,80000000,20000", "E1c");
    ASK("z2,80000100,4", "OK");
    ASK("Z5,80000100,4", "");
}

static void going_on(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        struct target_resume r[2];
    } rows[] = {
        {"vCont;c", {{ACTION_GO, 0, 0}, {ACTION_GO, 0, 0}}},
        {"vCont;s:2;c", {{ACTION_GO, 0, 0}, {ACTION_STEP, 0, 0}}},
        {"vCont;s:1", {{ACTION_STEP, 0, 0}, {ACTION_NONE, 0, 0}}},
        {"vCont;C05:2", {{ACTION_NONE, 0, 0}, {ACTION_GO, 0, 0}}},
        {"vCont;S05:1;c:-1", {{ACTION_STEP, 0, 0}, {ACTION_GO, 0, 0}}},
        {"vCont;r80000000,80000010:1;c:2", {{ACTION_STEP, 0x80000000, 0x80000010}, {ACTION_GO, 0, 0}}},
        {"c", {{ACTION_GO, 0, 0}, {ACTION_GO, 0, 0}}},
        {"s", {{ACTION_STEP, 0, 0}, {ACTION_GO, 0, 0}}},
        {"C02", {{ACTION_GO, 0, 0}, {ACTION_GO, 0, 0}}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ask(&session, rows[i].packet);
        assert_int_equal(asked, GDB_RESUME);
        assert_memory_equal(session.resume, rows[i].r, sizeof rows[i].r);
    }
    ASK("Hc2", "OK");
    ask(&session, "s80000040");
    assert_int_equal(session.resume[0].action, ACTION_NONE);
    assert_int_equal(session.resume[1].action, ACTION_STEP);
    assert_int_equal(vcpus[1]->r[15], TEST_RAM + 0x40);
    ASK("Hc-1", "OK");
    ask(&session, "D");
    assert_int_equal(asked, GDB_DETACH);
    ask(&session, "k");
    assert_int_equal(asked, GDB_KILL);
    assert_string_equal(session.reply.data, "");
    ASK("vKill;1", "OK");
    assert_int_equal(asked, GDB_KILL);
}

static void threads(void **state)
{
    (void)state;
    ASK("qfThreadInfo", "m1,2");
    ASK("qsThreadInfo", "l");
    ASK("T1", "OK");
    ASK("T3", "E01");
    ASK("T0", "E01");
    ASK("Hg3", "E16");
    ASK("Hx1", "E16");
    vcpu_thread(vcpus[1])->sleep = SLEEP_WFI;
    ASK("qThreadExtraInfo,2", "7643505520312c207379732c20776169747320666f7220616e20696e74657272757074");
    assert_non_null(
        strstr(ask(&session, "qXfer:threads:read::0,1000"),
               "<thread id=\"2\" core=\"1\" name=\"vCPU 1\">sys, waits for an interrupt</thread></threads>"));
    assert_int_equal(session.reply.data[0], 'l');
    vcpu_thread(vcpus[1])->sleep = 0;
}

static void long_texts_come_in_pieces(void **state)
{
    (void)state;
    char whole[8192] = "";
    for (unsigned at = 0;; at += 100) {
        char packet[64];
        snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%x,64", at);
        const char *piece = ask(&session, packet);
        strcat(whole, piece + 1);
        if (piece[0] == 'l')
            break;
        assert_int_equal(piece[0], 'm');
        assert_int_equal(strlen(piece), 101);
    }
    assert_string_equal(whole, registers_xml());
    unsigned regs = 0;
    for (const char *p = whole; (p = strstr(p, "<reg ")); p++)
        regs++;
    assert_int_equal(regs, REGISTERS);
    ASK("qXfer:features:read:target.xml:ffff,10", "E16");
    ASK("qXfer:features:read:other.xml:0,10", "E00");
    ASK("qXfer:auxv:read::0,10", "");
}

static void the_rest(void **state)
{
    (void)state;
    ASK("vMustReplyEmpty", "");
    ASK("", "");
    ASK("!", "");
    ASK("qAttached", "1");
    ASK("vCont?", "vCont;c;C;s;S;r");
    ASK("qSymbol::", "OK");
    ASK("QStartNoAckMode", "OK");
    assert_true(session.no_ack);
    ASK("qRcmd,696e666f2074625f", "610a620a");
    assert_string_equal(last_line, "info tb_");
    ASK("qRcmd,6", "E16");
    ASK("qRcmd,zz", "E16");
}

static void nonsense(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const packets[] = {
        "m",     "m,",       "mx,1",    "m0",         "m1ffffffff,1", "m0,1,2", "M80000000,4:00", "M80000000,1:0x",
        "M0,",   "P",        "P99=00",  "P0=00",      "P0=0000000z",  "p",      "p32",            "pffffffff",
        "G00",   "Z0",       "Z0,",     "Z0,80000000", "Z0,80000000,", "Z,0,0", "z0,1,2x",        "H",
        "Hg",    "Hg-2",     "Hgx",     "Cx",         "C05x",         "sx",     "c1ffffffff",     "vCont",
        "vCont;", "vCont;x", "vCont;c:9", "vCont;s:",  "vCont;r1:1",   "vCont;C",
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
        if (strcmp(ask(&session, packets[i]), "E16"))
            fail_msg("%s: %s", packets[i], session.reply.data);
}

/* -- Mutants ------------------------------------------------------------------------------------------------------------- */

static uint32_t ram_sum(void)
{
    const uint32_t *p = (const void *)mem_ram_ptr(TEST_RAM, NULL);
    uint32_t sum = 0;
    for (unsigned i = 0; i < TB_TEST_RAM_BYTES / 4; i++)
        sum = sum * 31 + p[i];
    return sum;
}

/* Whatever is sent: a reply of its form, devices untouched, and RAM changed only by packets that say OK to M and X. */
static void mutants(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const seeds[] = {
        "?", "g", "p1f", "P10=d3000000", "P3=01020304", "m80000000,40", "m800fff00,200", "M80000010,4:01020304",
        "X80000010,4:abcd", "Z0,80000010,4", "z0,80000010,4", "Z2,80000100,8", "z2,80000100,8", "Z4,800ffff8,8", "Hg1",
        "Hc-1", "T2", "c80000000", "s", "C05;80000000", "vCont;s:1;c", "vCont;r80000000,80000020:2;c:-1", "vCont?",
        "qSupported:swbreak+;xmlRegisters=i386", "qXfer:features:read:target.xml:0,ffb", "qXfer:threads:read::0,100",
        "qThreadExtraInfo,1", "qRcmd,68656c70", "qfThreadInfo", "QStartNoAckMode", "vKill;1", "D", "qC",
    };
    /* clang-format on */
    struct rng rng;
    rng_seed(&rng, 20161);
    print_message("seed 20161\n");
    uint32_t sum = ram_sum();
    for (unsigned round = 0; round < 60000; round++) {
        char packet[128];
        snprintf(packet, sizeof packet, "%s", seeds[rng_below(&rng, ARRAY_SIZE(seeds))]);
        size_t n = strlen(packet);
        for (unsigned k = rng_below(&rng, 5); k--;) {
            size_t at = rng_below(&rng, (uint32_t)n + 1);
            switch (rng_below(&rng, 5)) {
            case 0: packet[at] = (char)rng_u32(&rng); break; /* the 0 behind it too: longer */
            case 1: packet[at] = "0123456789abcdef,;:-="[rng_below(&rng, 21)]; break;
            case 2: n = at; break;
            case 3: /* doubled in part */
                if (n + (n - at) < sizeof packet - 1) {
                    memmove(packet + n, packet + at, n - at);
                    n += n - at;
                }
                break;
            default: packet[at] ^= (char)(1 << rng_below(&rng, 8)); break;
            }
            if (at == n && n < sizeof packet - 2)
                n++;
            packet[n] = 0;
        }
        bool writes = packet[0] == 'M' || packet[0] == 'X';
        enum gdb_after after = gdb_command(&session, packet, n);
        assert_in_range(after, GDB_ANSWER, GDB_KILL);
        assert_in_range(session.reply.n, 0, GDB_PACKET_MAX);
        if (writes && !strcmp(session.reply.data, "OK"))
            sum = ram_sum();
        else if (round % 16 == 0)
            assert_int_equal(ram_sum(), sum);
        if (after == GDB_RESUME)
            target_resume(session.resume);
        sync_hold(3);
        assert_in_range(session.reg_vcpu, 0, 1);
        assert_in_range(session.run_vcpu, 0, 1);
        assert_int_equal(test_device_touched, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_stop, up, down),
        cmocka_unit_test_setup_teardown(a_second_step_is_kept, up, down),
        cmocka_unit_test_setup_teardown(registers, up, down),
        cmocka_unit_test_setup_teardown(memory, up, down),
        cmocka_unit_test_setup_teardown(breakpoints, up, down),
        cmocka_unit_test_setup_teardown(going_on, up, down),
        cmocka_unit_test_setup_teardown(threads, up, down),
        cmocka_unit_test_setup_teardown(long_texts_come_in_pieces, up, down),
        cmocka_unit_test_setup_teardown(the_rest, up, down),
        cmocka_unit_test_setup_teardown(nonsense, up, down),
        cmocka_unit_test_setup_teardown(mutants, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
