/*
 * disk_test.c — the virtio disk on files of every kind, and on a host that fails
 *
 * Paths: reads, writes, flushes, read-only and cow disks; files that are no disks; a file that shrinks; a host's disk that is full or
 * gives I/O errors, each an error of that request and of no other; random rings.
 */
#include "machines/virtio/driver_testlib.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define F_FLUSH (UINT64_C(1) << 9)

/* -- A host that fails: these take the place of the C library's -------------------------------------------- */

static _Atomic unsigned flushes, fail_flush, fail_write, fail_read;

int fdatasync(int fd)
{
    flushes++;
    if (fail_flush) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* By pieces, as a host may. */
ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
    if (fail_write) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, buf, bytes > 700 ? 700 : bytes, at);
}

ssize_t pread(int fd, void *buf, size_t bytes, off_t at)
{
    if (fail_read) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, buf, bytes > 700 ? 700 : bytes, at);
}

/* -- The driver ---------------------------------------------------------------------------------------------- */

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

/* -- Tests ------------------------------------------------------------------------------------------------------ */

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
    unsigned before = flushes;
    assert_int_equal(request(4, 0, 0), 0);
    assert_int_equal(flushes, before + 1); /* before it was acknowledged */
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

/* A driver that knows no flush takes each write that was acknowledged for a lasting one (5.2.6.2). */
static void write_through(void **state)
{
    (void)state;
    attach(disk("", 16 * 512));
    start();
    unsigned before = flushes;
    assert_int_equal(request(1, 1, 512), 0);
    assert_int_equal(flushes, before);
    declined = F_FLUSH;
    start();
    assert_int_equal(request(1, 1, 512), 0);
    assert_int_equal(flushes, before + 1);
    fail_flush = 1;
    assert_int_equal(request(1, 1, 512), 1);
    fail_flush = 0;
    detach();
}

/* Each is an error of its request, and the next request is done. */
static void io_errors(void **state)
{
    uint8_t buf[512] = {1};
    (void)state;
    attach(disk("", 64 * 512));
    start();
    put(DATA, buf, sizeof buf);
    fail_read = 1;
    assert_int_equal(request(0, 0, 512), 1);
    fail_read = 0;
    assert_int_equal(request(0, 0, 512), 0);
    fail_write = 1;
    assert_int_equal(request(1, 5, 512), 1);
    assert_int_equal(request(0, 5, 512), 0);
    fail_write = 0;
    assert_int_equal(request(1, 5, 512), 0);
    fail_flush = 1;
    assert_int_equal(request(4, 0, 0), 1);
    fail_flush = 0;
    assert_int_equal(request(4, 0, 0), 0);
    assert_false(broken());
    detach();

    attach(disk(",cow", 64 * 512)); /* the file that takes what the guest writes */
    start();
    fail_write = 1;
    assert_int_equal(request(1, 5, 512), 1);
    fail_write = 0;
    assert_int_equal(request(0, 5, 512), 0);
    assert_int_equal(request(1, 5, 512), 0);
    detach();
}

static void shrinks(void **state)
{
    (void)state;
    attach(disk("", 64 * 512));
    start();
    assert_int_equal(truncate(path, 10 * 512 + 100), 0);
    assert_int_equal(request(0, 9, 512), 0);
    assert_int_equal(request(0, 10, 512), 1);
    assert_int_equal(request(0, 9, 1024), 1);
    assert_int_equal(request(1, 20, 512), 0); /* a write makes it longer again */
    assert_int_equal(request(0, 20, 512), 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(request(0, 0, 512), 1);
    assert_int_equal(request(4, 0, 0), 0);
    detach();
}

static void file_must_not_grow(void **state)
{
    uint8_t buf[512] = {1};
    struct rlimit old, limit;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 20 * 512;
    for (unsigned cow = 0; cow < 2; cow++) {
        attach(disk(cow ? ",cow" : "", 64 * 512));
        assert_int_equal(truncate(path, cow ? 64 * 512 : 10 * 512), 0);
        start();
        put(DATA, buf, sizeof buf);
        setrlimit(RLIMIT_FSIZE, &limit);
        assert_int_equal(request(1, 30, 512), 1);
        assert_int_equal(request(1, 5, 512), 0);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(request(1, 30, 512), 0);
        detach();
    }
}

static void refused(const char *spec, const char *says)
{
    struct error e = {0};
    if (virtio_block_new(spec, &e))
        fail_msg("%s was taken", spec);
    if (e.exit_code != 1 || strncmp(e.text, "--disk: ", 8) || !strstr(e.text, says))
        fail_msg("%s: %d, %s", spec, e.exit_code, e.text);
}

static void no_disks(void **state)
{
    struct error e = {0};
    char spec[320] = "";
    (void)state;
    refused("/nonexistent/disk", "No such file");
    refused("/nonexistent/disk,ro", "No such file");
    refused("/", "directory");
    refused("/,ro", "neither a regular file nor a block device");
    refused("/dev/null", "neither a regular file nor a block device");
    refused("/dev/full,ro", "neither a regular file nor a block device");
    refused(fake_file("", 0), "0 bytes are no disk");
    refused(fake_file(spec, 300), "300 bytes are no disk; it needs at least one sector of 512");

    attach(disk("", 64 * 512)); /* one writes: nobody else */
    refused(path, "in use");
    snprintf(spec, sizeof spec, "%s,ro", path);
    refused(spec, "in use");
    detach();
    attach(disk(",ro", 64 * 512)); /* one reads: others may read */
    refused(path, "in use");
    struct virtio_dev *other = virtio_block_new(spec, &e);
    assert_non_null(other);
    virtio_free(other);
    snprintf(spec, sizeof spec, "%s,cow", path);
    assert_non_null(other = virtio_block_new(spec, &e));
    virtio_free(other);
    detach();
    char *before = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
    setenv("TMPDIR", "/nonexistent", 1);
    refused(spec, "cannot make a temporary file in /nonexistent");
    unsetenv("TMPDIR");
    if (before)
        setenv("TMPDIR", before, 1);
    free(before);
}

/* Root may read and write anything: the rights are looked at as somebody else. */
static void rights(void **state)
{
    char spec[320];
    struct error e = {0};
    (void)state;
    virtio_free(disk("", 64 * 512));
    chmod(path, 0444);
    bool root = geteuid() == 0;
    if (root && seteuid(65534)) {
        print_message("skipped: root, and cannot be anybody else\n");
        skip();
    }
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        print_message("skipped: the test's folder is closed to others\n");
        assert_false(root && seteuid(0));
        skip();
    }
    close(fd);
    refused(path, "Permission denied; add ,ro or ,cow");
    snprintf(spec, sizeof spec, "%s,ro", path);
    struct virtio_dev *d = virtio_block_new(spec, &e);
    assert_non_null(d);
    virtio_free(d);
    assert_false(root && seteuid(0));
    chmod(path, 0);
    assert_false(root && seteuid(65534));
    snprintf(spec, sizeof spec, "%s,cow", path);
    refused(spec, "Permission denied");
    refused(path, "Permission denied");
    assert_false(root && seteuid(0));
    chmod(path, 0600);
}

/* What is behind the last whole sector is not there for the guest. */
static void odd_size(void **state)
{
    (void)state;
    attach(disk("", 3 * 512 + 100));
    start();
    assert_int_equal(rd(REGS + VIRTIO_SLOT_BYTES + 0x100), 3);
    assert_int_equal(request(0, 2, 512), 0);
    assert_int_equal(request(0, 3, 512), 1);
    assert_int_equal(request(1, 3, 512), 1);
    detach();
}

static void fuzz(void **state)
{
    (void)state;
    attach(disk(",cow", 64 * 512));
    fuzz_device(3000, 21);
    assert_int_equal(request(0, 1, 512), 0);
    detach();
}

/* A file system of 256 KiB and a sparse file of 1 MiB on it. Last: the mounts of this process are its own from here on. */
static void full_file_system(void **state)
{
    char folder[] = "/tmp/dbtlab-full-XXXXXX", file[64];
    struct error e = {0};
    (void)state;
    if (!mkdtemp(folder) || (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS)) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("dbtlab", folder, "tmpfs", 0, "size=256k")) {
        print_message("skipped: no file system can be mounted: %s\n", strerror(errno));
        rmdir(folder);
        skip();
    }
    snprintf(file, sizeof file, "%s/disk", folder);
    int fd = open(file, O_RDWR | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    attach(virtio_block_new(file, &e));
    start();
    unsigned good = 0, bad = 0;
    for (unsigned sector = 0; sector < 2048; sector += 8) {
        uint8_t status = request(1, sector, 4096);
        assert_true(status <= 1);
        good += status == 0;
        bad += status == 1;
    }
    assert_in_range(good, 16, 64);
    assert_int_equal(good + bad, 256);
    assert_int_equal(request(0, 0, 4096), 0);
    assert_int_equal(request(1, 0, 4096), 0); /* has its place already */
    assert_false(broken());
    detach();
    unlink(file);
    umount(folder);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_write_flush), cmocka_unit_test(read_only_and_cow),
        cmocka_unit_test(write_through),    cmocka_unit_test(io_errors),
        cmocka_unit_test(shrinks),          cmocka_unit_test(file_must_not_grow),
        cmocka_unit_test(no_disks),         cmocka_unit_test(rights),
        cmocka_unit_test(odd_size),         cmocka_unit_test(fuzz),
        cmocka_unit_test(full_file_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
