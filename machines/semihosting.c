/*
 * semihosting.c — the Angel calls
 *
 * The guest sees the console as ":tt" (mode 0..3 input, 4..7 output, 8..11 error output, which goes to the
 * host's stderr), ":semihosting-features", and the host's regular files for reading. Whatever would change
 * the host (writing, removing, renaming, running programs) is refused with an errno and said once.
 *
 * Console output is collected per call and handed over whole, so calls of several vCPUs do not mix within
 * a line. The table of handles is guarded by its own lock, a leaf.
 */
#include "machines/semihosting.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "machines/console.h"
#include "machines/machine.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITEC = 0x03,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_READC = 0x07,
    SYS_ISERROR = 0x08,
    SYS_ISTTY = 0x09,
    SYS_SEEK = 0x0a,
    SYS_FLEN = 0x0c,
    SYS_TMPNAM = 0x0d,
    SYS_REMOVE = 0x0e,
    SYS_RENAME = 0x0f,
    SYS_CLOCK = 0x10,
    SYS_TIME = 0x11,
    SYS_SYSTEM = 0x12,
    SYS_ERRNO = 0x13,
    SYS_GET_CMDLINE = 0x15,
    SYS_HEAPINFO = 0x16,
    SYS_EXIT = 0x18,
    SYS_EXIT_EXTENDED = 0x20,
    SYS_ELAPSED = 0x30,
    SYS_TICKFREQ = 0x31,
};

#define APPLICATION_EXIT 0x20026u /* ADP_Stopped_ApplicationExit */
#define ERROR            UINT32_MAX
#define HANDLES          32
#define STRING_MAX       ((size_t)1 << 20)
#define CHUNK            ((size_t)65536)
#define NAME_MAX_BYTES   4096

enum handle_kind { FREE, TTY_IN, TTY_OUT, TTY_ERR, FEATURES, HOST_FILE };

struct handle {
    enum handle_kind kind;
    int fd;
    uint64_t pos;
    uint64_t bytes; /* of a file when it was opened */
};

/* "SHFB", then a byte: bit 0 SYS_EXIT_EXTENDED, bit 1 :tt has separate output and error output. */
static const uint8_t features[] = {'S', 'H', 'F', 'B', 0x03};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle handles[HANDLES]; /* guarded by lock; handle n of the guest is handles[n - 1] */
static _Atomic int last_errno;         /* any vCPU, relaxed */

/* const after LAUNCH */
static char *command_line;
static uint32_t heap_base, heap_limit;

struct call {
    const struct semihost_mem *mem;
    void *cpu;
    bool *wait; /* to be set when nothing was done and the call should come again */
};

static uint32_t fail(int err)
{
    atomic_store_explicit(&last_errno, err, memory_order_relaxed);
    return ERROR;
}

static bool get_words(const struct call *c, gva at, uint32_t *w, unsigned n)
{
    uint8_t raw[16];
    if (!c->mem->read(c->cpu, at, raw, n * 4))
        return false;
    for (unsigned i = 0; i < n; i++)
        w[i] = raw[4 * i] | (uint32_t)raw[4 * i + 1] << 8 | (uint32_t)raw[4 * i + 2] << 16 |
               (uint32_t)raw[4 * i + 3] << 24;
    return true;
}

static bool put_words(const struct call *c, gva at, const uint32_t *w, unsigned n)
{
    uint8_t raw[16];
    for (unsigned i = 0; i < n; i++)
        for (unsigned b = 0; b < 4; b++)
            raw[4 * i + b] = (uint8_t)(w[i] >> (8 * b));
    return c->mem->write(c->cpu, at, raw, n * 4);
}

/* -- Console ------------------------------------------------------------------------------------- */

/* False: there is no room, nothing was taken. Error output is the host's stderr: who does not read that stops us all. */
static bool write_out(enum handle_kind kind, const void *buf, size_t bytes)
{
    if (kind == TTY_OUT)
        return console_put(buf, bytes);
    const char *p = buf;
    while (bytes) {
        ssize_t n = write(STDERR_FILENO, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        p += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* 0: the end, or wait. */
static size_t read_in(const struct call *c, void *buf, size_t max)
{
    bool ended;
    size_t n = console_get_or_ask(buf, max, &ended);
    *c->wait = !n && !ended;
    return n;
}

static uint32_t sys_writec(const struct call *c, uint32_t param)
{
    char ch;
    if (!c->mem->read(c->cpu, param, &ch, 1))
        return fail(EFAULT);
    *c->wait = !write_out(TTY_OUT, &ch, 1);
    return param;
}

/* The string at addr up to its NUL, at most max - 1 bytes. Reads within aligned blocks of 64 bytes, so that
 * it never reads on a page that the string does not reach. Returns its length, or -1. */
static ssize_t get_string(const struct call *c, gva addr, char *buf, size_t max)
{
    size_t used = 0;
    while (used < max - 1) {
        size_t n = 64 - (addr & 63);
        if (n > max - 1 - used)
            n = max - 1 - used;
        if (!c->mem->read(c->cpu, addr, buf + used, n))
            return -1;
        char *nul = memchr(buf + used, 0, n);
        if (nul)
            return nul - buf;
        used += n;
        addr += (gva)n;
    }
    buf[used] = 0;
    return (ssize_t)used;
}

static uint32_t sys_write0(const struct call *c, uint32_t param)
{
    char small[1024];
    ssize_t n = get_string(c, param, small, sizeof small);
    if (n < 0)
        return fail(EFAULT);
    if ((size_t)n < sizeof small - 1) {
        *c->wait = !write_out(TTY_OUT, small, (size_t)n);
        return param;
    }
    char *large = malloc(STRING_MAX);
    if (!large)
        return fail(ENOMEM);
    n = get_string(c, param, large, STRING_MAX);
    if (n >= 0)
        *c->wait = !write_out(TTY_OUT, large, (size_t)n);
    if (n == (ssize_t)STRING_MAX - 1)
        guest_error("SYS_WRITE0: the string at 0x%" PRIx32 " has no end in %zu bytes; cut", param, STRING_MAX);
    free(large);
    return n < 0 ? fail(EFAULT) : param;
}

/* -- Files --------------------------------------------------------------------------------------- */

/* A copy of handle h. False for a number that is not open. */
static bool get_handle(uint32_t h, struct handle *copy)
{
    if (h == 0 || h > HANDLES)
        return false;
    pthread_mutex_lock(&lock);
    *copy = handles[h - 1];
    pthread_mutex_unlock(&lock);
    return copy->kind != FREE;
}

static uint32_t new_handle(struct handle h)
{
    pthread_mutex_lock(&lock);
    uint32_t n = 0;
    while (n < HANDLES && handles[n].kind != FREE)
        n++;
    if (n < HANDLES)
        handles[n] = h;
    pthread_mutex_unlock(&lock);
    if (n < HANDLES)
        return n + 1;
    if (h.kind == HOST_FILE)
        close(h.fd);
    return fail(EMFILE);
}

static uint32_t open_host_file(const char *name, uint32_t mode)
{
    if (mode > 1) {
        guest_error("SYS_OPEN: \"%s\" in mode %" PRIu32 " refused: files of the host can only be read", name, mode);
        return fail(EACCES);
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(errno);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        guest_error("SYS_OPEN: \"%s\" refused: only regular files of the host can be read", name);
        close(fd);
        return fail(EACCES);
    }
    return new_handle((struct handle){.kind = HOST_FILE, .fd = fd, .bytes = (uint64_t)st.st_size});
}

static uint32_t sys_open(const struct call *c, uint32_t param)
{
    uint32_t w[3]; /* name, mode, length of name */
    char name[NAME_MAX_BYTES];

    if (!get_words(c, param, w, 3))
        return fail(EFAULT);
    if (w[1] > 11)
        return fail(EINVAL);
    if (w[2] >= sizeof name)
        return fail(ENAMETOOLONG);
    if (w[2] && !c->mem->read(c->cpu, w[0], name, w[2]))
        return fail(EFAULT);
    name[w[2]] = 0;
    if (strlen(name) != w[2])
        return fail(EINVAL);
    if (strcmp(name, ":tt") == 0)
        return new_handle((struct handle){.kind = w[1] < 4 ? TTY_IN : w[1] < 8 ? TTY_OUT : TTY_ERR});
    if (strcmp(name, ":semihosting-features") == 0) {
        if (w[1] > 1)
            return fail(EACCES);
        return new_handle((struct handle){.kind = FEATURES, .bytes = sizeof features});
    }
    return open_host_file(name, w[1]);
}

static uint32_t sys_close(const struct call *c, uint32_t param)
{
    uint32_t w[1];
    if (!get_words(c, param, w, 1))
        return fail(EFAULT);
    if (w[0] == 0 || w[0] > HANDLES)
        return fail(EBADF);
    pthread_mutex_lock(&lock);
    struct handle h = handles[w[0] - 1];
    handles[w[0] - 1] = (struct handle){.kind = FREE};
    pthread_mutex_unlock(&lock);
    if (h.kind == FREE)
        return fail(EBADF);
    if (h.kind == HOST_FILE)
        close(h.fd);
    return 0;
}

/* Returns the number of bytes not written. */
static uint32_t sys_write(const struct call *c, uint32_t param)
{
    uint32_t w[3]; /* handle, buffer, bytes */
    struct handle h;
    char small[1024], *buf = small;

    if (!get_words(c, param, w, 3))
        return fail(EFAULT);
    if (!get_handle(w[0], &h) || (h.kind != TTY_OUT && h.kind != TTY_ERR)) {
        fail(EBADF);
        return w[2];
    }
    size_t size = w[2] < CHUNK ? w[2] : CHUNK;
    if (size > sizeof small && !(buf = malloc(size)))
        return fail(ENOMEM);
    uint32_t left = w[2], addr = w[1], result = 0;
    while (left) {
        size_t n = left < size ? left : size;
        if (!c->mem->read(c->cpu, addr, buf, n)) {
            result = fail(EFAULT);
            break;
        }
        if (!write_out(h.kind, buf, n)) {
            *c->wait = left == w[2]; /* else a part was written, and the result says so */
            result = left;
            break;
        }
        addr += (uint32_t)n;
        left -= (uint32_t)n;
    }
    if (buf != small)
        free(buf);
    return result;
}

/* Read on from the position of handle n, 0 at the end. Under the lock: another vCPU may close the handle.
 * Regular files do not wait. */
static ssize_t read_handle(uint32_t n, void *buf, size_t max)
{
    pthread_mutex_lock(&lock);
    struct handle *h = &handles[n - 1];
    ssize_t got = -1;
    if (h->kind == FEATURES) {
        size_t rest = h->pos < sizeof features ? sizeof features - (size_t)h->pos : 0;
        got = (ssize_t)(max < rest ? max : rest);
        memcpy(buf, features + sizeof features - rest, (size_t)got);
    } else if (h->kind == HOST_FILE) {
        got = pread(h->fd, buf, max, (off_t)h->pos);
    } else {
        errno = EBADF;
    }
    if (got > 0)
        h->pos += (uint64_t)got;
    pthread_mutex_unlock(&lock);
    return got;
}

/* Returns the number of bytes not read. */
static uint32_t sys_read(const struct call *c, uint32_t param)
{
    uint32_t w[3]; /* handle, buffer, bytes */
    struct handle h;
    uint8_t buf[4096];

    if (!get_words(c, param, w, 3))
        return fail(EFAULT);
    if (!get_handle(w[0], &h) || h.kind == TTY_OUT || h.kind == TTY_ERR)
        return fail(EBADF);
    if (h.kind == TTY_IN) {
        if (!w[2])
            return 0;
        size_t n = read_in(c, buf, w[2] < sizeof buf ? w[2] : sizeof buf);
        if (n && !c->mem->write(c->cpu, w[1], buf, n))
            return fail(EFAULT);
        return w[2] - (uint32_t)n;
    }
    uint32_t done = 0;
    while (done < w[2]) {
        size_t want = w[2] - done < sizeof buf ? w[2] - done : sizeof buf;
        ssize_t n = read_handle(w[0], buf, want);
        if (n < 0)
            fail(errno);
        if (n <= 0)
            break;
        if (!c->mem->write(c->cpu, w[1] + done, buf, (size_t)n))
            return fail(EFAULT);
        done += (uint32_t)n;
    }
    return w[2] - done;
}

static uint32_t sys_readc(const struct call *c)
{
    unsigned char ch;
    return read_in(c, &ch, 1) ? ch : ERROR;
}

static uint32_t sys_istty(const struct call *c, uint32_t param)
{
    uint32_t w[1];
    struct handle h;
    if (!get_words(c, param, w, 1))
        return fail(EFAULT);
    if (!get_handle(w[0], &h))
        return fail(EBADF);
    return h.kind == TTY_IN || h.kind == TTY_OUT || h.kind == TTY_ERR;
}

static uint32_t sys_seek(const struct call *c, uint32_t param)
{
    uint32_t w[2];
    if (!get_words(c, param, w, 2))
        return fail(EFAULT);
    if (w[0] == 0 || w[0] > HANDLES)
        return fail(EBADF);
    pthread_mutex_lock(&lock);
    struct handle *h = &handles[w[0] - 1];
    int err = h->kind == FREE                               ? EBADF
              : h->kind != HOST_FILE && h->kind != FEATURES ? ESPIPE
              : w[1] > h->bytes                             ? EINVAL
                                                            : 0;
    if (!err)
        h->pos = w[1];
    pthread_mutex_unlock(&lock);
    return err ? fail(err) : 0;
}

static uint32_t sys_flen(const struct call *c, uint32_t param)
{
    uint32_t w[1];
    struct handle h;
    if (!get_words(c, param, w, 1))
        return fail(EFAULT);
    if (!get_handle(w[0], &h))
        return fail(EBADF);
    if (h.kind != HOST_FILE && h.kind != FEATURES)
        return fail(ESPIPE);
    if (h.bytes > INT32_MAX)
        return fail(EOVERFLOW);
    return (uint32_t)h.bytes;
}

/* -- The rest ------------------------------------------------------------------------------------ */

static uint32_t sys_elapsed(const struct call *c, uint32_t param)
{
    uint64_t t = virtual_now_ns();
    uint32_t w[2] = {(uint32_t)t, (uint32_t)(t >> 32)};
    return put_words(c, param, w, 2) ? 0 : fail(EFAULT);
}

static uint32_t sys_get_cmdline(const struct call *c, uint32_t param)
{
    uint32_t w[2]; /* buffer, its bytes; receives the length of the string */
    const char *line = command_line ? command_line : "";
    size_t n = strlen(line);
    if (!get_words(c, param, w, 2))
        return fail(EFAULT);
    if (n + 1 > w[1])
        return fail(E2BIG);
    w[1] = (uint32_t)n;
    if (!c->mem->write(c->cpu, w[0], line, n + 1) || !put_words(c, param, w, 2))
        return fail(EFAULT);
    return 0;
}

static uint32_t sys_heapinfo(const struct call *c, uint32_t param)
{
    uint32_t block;
    /* The stack grows down from the heap's end, as far as the heap lets it. */
    uint32_t w[4] = {heap_base, heap_limit, heap_limit, heap_base};
    if (!get_words(c, param, &block, 1) || !put_words(c, block, w, 4))
        return fail(EFAULT);
    return 0;
}

#define ONLY_READING " refused: the guest may only read files of the host"

static uint32_t perform(const struct call *c, uint32_t op, uint32_t param, bool *exited)
{
    uint32_t w[2];

    switch (op) {
    case SYS_OPEN: return sys_open(c, param);
    case SYS_CLOSE: return sys_close(c, param);
    case SYS_WRITEC: return sys_writec(c, param);
    case SYS_WRITE0: return sys_write0(c, param);
    case SYS_WRITE: return sys_write(c, param);
    case SYS_READ: return sys_read(c, param);
    case SYS_READC: return sys_readc(c);
    case SYS_ISERROR: return get_words(c, param, w, 1) ? w[0] >> 31 : fail(EFAULT);
    case SYS_ISTTY: return sys_istty(c, param);
    case SYS_SEEK: return sys_seek(c, param);
    case SYS_FLEN: return sys_flen(c, param);
    case SYS_CLOCK: return (uint32_t)(virtual_now_ns() / 10000000);
    case SYS_TIME: return (uint32_t)time(NULL);
    case SYS_ERRNO: return (uint32_t)atomic_load_explicit(&last_errno, memory_order_relaxed);
    case SYS_GET_CMDLINE: return sys_get_cmdline(c, param);
    case SYS_HEAPINFO: return sys_heapinfo(c, param);
    case SYS_ELAPSED: return sys_elapsed(c, param);
    case SYS_TICKFREQ: return 1000000000;

    case SYS_EXIT:
        /* On AArch32 the parameter is the reason itself; there is no place for an exit code. */
        *exited = true;
        machine_request_end(END_EXIT, param == APPLICATION_EXIT ? 0 : 1);
        return op;
    case SYS_EXIT_EXTENDED:
        if (!get_words(c, param, w, 2))
            return fail(EFAULT);
        *exited = true;
        machine_request_end(END_EXIT, w[0] == APPLICATION_EXIT ? (int)(w[1] & 0xff) : 1);
        return op;

    case SYS_TMPNAM: guest_error("SYS_TMPNAM" ONLY_READING); return fail(EACCES);
    case SYS_REMOVE: guest_error("SYS_REMOVE" ONLY_READING); return fail(EACCES);
    case SYS_RENAME: guest_error("SYS_RENAME" ONLY_READING); return fail(EACCES);
    case SYS_SYSTEM: guest_error("SYS_SYSTEM" ONLY_READING); return fail(EACCES);
    default: guest_error("semihosting call 0x%" PRIx32 " is not known; ignored", op); return fail(ENOSYS);
    }
}

enum semihost_end semihost_call(const struct semihost_mem *mem, void *cpu, uint32_t op, uint32_t param,
                                uint32_t *result)
{
    bool wait = false, exited = false;
    const struct call c = {mem, cpu, &wait};
    uint32_t r = perform(&c, op, param, &exited);
    if (exited)
        return SEMIHOST_EXIT;
    if (wait)
        return SEMIHOST_WAIT;
    *result = r;
    return SEMIHOST_DONE;
}

/* -- Setup --------------------------------------------------------------------------------------- */

void semihost_setup(const char *const *argv, uint32_t base, uint32_t limit)
{
    semihost_reset();
    free(command_line);
    command_line = NULL;
    heap_base = base;
    heap_limit = limit;

    size_t bytes = 1;
    for (unsigned i = 0; argv && argv[i]; i++)
        bytes += strlen(argv[i]) + 1;
    command_line = calloc(1, bytes);
    CHECK(command_line, "out of memory");
    size_t at = 0;
    for (unsigned i = 0; argv && argv[i]; i++)
        at += (size_t)snprintf(command_line + at, bytes - at, "%s%s", i ? " " : "", argv[i]);
}

void semihost_reset(void)
{
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < HANDLES; i++) {
        if (handles[i].kind == HOST_FILE)
            close(handles[i].fd);
        handles[i] = (struct handle){.kind = FREE};
    }
    pthread_mutex_unlock(&lock);
}
