/*
 * console_test.c — nothing is lost, mixed or read unasked; the guest never waits for the terminal
 */
#include "machines/fakes_testlib.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "machines/console.h"

static int in_pipe[2], out_pipe[2];
static sem_t again;

static void try_again(void)
{
    sem_post(&again);
}

/* At least one byte; 0: the end. */
static size_t read_some(void *buf, size_t max)
{
    bool ended;
    size_t n;
    while (!(n = console_get_or_ask(buf, max, &ended)) && !ended)
        sem_wait(&again);
    return n;
}

static void put_all(const void *buf, size_t bytes)
{
    while (!console_put(buf, bytes))
        usleep(100);
}

static void start(void)
{
    struct error e = {0};
    assert_int_equal(pipe(in_pipe), 0);
    assert_int_equal(pipe(out_pipe), 0);
    console_setup(in_pipe[0], out_pipe[1]);
    sem_init(&again, 0, 0);
    console_on_wait(try_again);
    assert_true(console_start(&e));
}

static void finish(void)
{
    for (unsigned i = 0; i < 2; i++) {
        close(in_pipe[i]);
        close(out_pipe[i]);
    }
}

static void *writer(void *arg)
{
    char line[64];
    for (unsigned i = 0; i < 500; i++) {
        int n = snprintf(line, sizeof line, "%s says line %u of 500\n", (const char *)arg, i);
        if (i % 2)
            put_all(line, (size_t)n);
        else
            while (!console_put(line, (size_t)n)) {}
    }
    return NULL;
}

static void *stop_console(void *unused)
{
    console_stop();
    return unused;
}

static void lines_stay_whole(void **state)
{
    (void)state;
    pthread_t th[2];
    unsigned next[2] = {0, 0};
    start();
    pthread_create(&th[0], NULL, writer, "A");
    pthread_create(&th[1], NULL, writer, "B");
    FILE *f = fdopen(dup(out_pipe[0]), "r");
    for (unsigned i = 0; i < 1000; i++) {
        char who, line[128];
        unsigned n;
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(sscanf(line, "%c says line %u of 500\n", &who, &n), 2);
        assert_true(who == 'A' || who == 'B');
        assert_int_equal(n, next[who - 'A']++);
    }
    pthread_join(th[0], NULL);
    pthread_join(th[1], NULL);
    console_stop();
    fclose(f);
    finish();
}

/* A reader that is far behind: put says so instead of waiting, and nothing of what it took is lost. */
static void slow_reader(void **state)
{
    (void)state;
    static char block[65536], got[65536];
    size_t taken = 0, seen = 0;
    pthread_t th;
    start();
    memset(block, 'x', sizeof block);
    while (console_put(block, sizeof block))
        taken += sizeof block;
    assert_true(taken >= 1 << 20);
    /* The thread may come late to what the pipe still takes: 16 times at most, then nothing moves. */
    unsigned rounds = 0;
    do
        while (console_put("y", 1))
            taken++;
    while (console_has_room() && ++rounds < 1000);
    assert_false(console_has_room());
    pthread_create(&th, NULL, stop_console, NULL); /* stop drains first */
    while (seen < taken) {
        ssize_t n = read(out_pipe[0], got, sizeof got);
        assert_true(n > 0);
        seen += (size_t)n;
    }
    pthread_join(th, NULL);
    assert_int_equal(seen, taken);
    sem_wait(&again); /* who was sent away is told that there is room */
    finish();
}

/* Bytes of a line come together; a prompt without an end of line comes soon. */
static void lines_by_bytes(void **state)
{
    (void)state;
    char buf[64];
    unsigned pieces = 0;
    start();
    for (unsigned i = 0; i < 20; i++) {
        size_t got = 0;
        for (const char *s = "Hello, world\n"; *s; s++)
            console_put(s, 1);
        for (; got < 13; pieces++)
            got += (size_t)read(out_pipe[0], buf + got, sizeof buf - got);
        assert_memory_equal(buf, "Hello, world\n", 13);
    }
    assert_true(pieces < 13 * 20 / 2); /* a busy host may cut some */
    console_put("$ ", 2);
    assert_int_equal(read(out_pipe[0], buf, sizeof buf), 2);
    console_put("end", 3);
    console_stop();
    assert_int_equal(read(out_pipe[0], buf, sizeof buf), 3);
    finish();
}

static void reader_gone(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    start();
    close(out_pipe[0]);
    for (unsigned i = 0; i < 100000; i++)
        put_all("into the void\n", 14);
    console_stop();
    finish();
}

static _Atomic unsigned told;

static void tell(void *opaque)
{
    (void)opaque;
    atomic_fetch_add(&told, 1);
}

static void input_only_on_demand(void **state)
{
    (void)state;
    char buf[16];
    start();
    console_on_input(tell, NULL);
    assert_int_equal(write(in_pipe[1], "hello", 5), 5);
    usleep(20000);
    assert_int_equal(console_get(buf, sizeof buf), 0);
    assert_int_equal(told, 0);

    assert_int_equal(read_some(buf, 2), 2);
    assert_memory_equal(buf, "he", 2);
    assert_int_equal(console_get(buf, sizeof buf), 3);
    assert_memory_equal(buf, "llo", 3);
    close(in_pipe[1]);
    assert_int_equal(read_some(buf, sizeof buf), 0); /* the end */
    console_stop();
    assert_true(told >= 2);
    in_pipe[1] = dup(in_pipe[0]);
    finish();
}

static void *read_forever(void *result)
{
    char c;
    *(size_t *)result = read_some(&c, 1);
    return NULL;
}

static void stop_wakes_readers(void **state)
{
    (void)state;
    pthread_t th;
    size_t result = 99;
    start();
    pthread_create(&th, NULL, read_forever, &result);
    usleep(10000);
    console_stop();
    pthread_join(th, NULL);
    assert_int_equal(result, 0);
    finish();
}

static void more_input_than_the_ring_holds(void **state)
{
    (void)state;
    enum { N = 20000 };
    uint8_t *sent = malloc(N), buf[50];
    size_t got = 0;
    start();
    for (unsigned i = 0; i < N; i++)
        sent[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(write(in_pipe[1], sent, N), N);
    while (got < N) {
        size_t n = read_some(buf, 1 + got % sizeof buf);
        assert_true(n > 0);
        assert_memory_equal(buf, sent + got, n);
        got += n;
    }
    console_stop();
    free(sent);
    finish();
}

static void without_a_thread(void **state)
{
    (void)state;
    char buf[16];
    assert_int_equal(pipe(out_pipe), 0);
    console_setup(-1, out_pipe[1]);
    assert_true(console_put("direct", 6));
    assert_int_equal(read(out_pipe[0], buf, sizeof buf), 6);
    assert_int_equal(read_some(buf, 1), 0);
    console_setup(-1, -1);
    assert_true(console_put("nowhere", 7));
    close(out_pipe[0]);
    close(out_pipe[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_thread),   cmocka_unit_test(lines_stay_whole),
        cmocka_unit_test(slow_reader),        cmocka_unit_test(reader_gone),
        cmocka_unit_test(lines_by_bytes),     cmocka_unit_test(input_only_on_demand),
        cmocka_unit_test(stop_wakes_readers), cmocka_unit_test(more_input_than_the_ring_holds),
    };
    fake_reset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
