/*
 * semihost_io.c — Angel calls on the console and on files: the table of handles
 *
 * The guest sees the console as ":tt" (mode 0..3 input, 4..7 output, 8..11 error output, which goes to the
 * host's stderr), ":semihosting-features", and the host's regular files for reading. Whatever would change
 * the host (writing, removing, renaming, running programs) is refused with an errno and said once.
 *
 * Console output is collected per call and handed over whole, so calls of several vCPUs do not mix within
 * a line. The table of handles is guarded by its own lock, a leaf.
 */
#include "machines/semihost_call.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "machines/console.h"

#define HANDLES        32
#define STRING_MAX     ((size_t)1 << 20)
#define CHUNK          ((size_t)65536)
#define NAME_MAX_BYTES 4096

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

uint32_t call_writec(const struct call *c, uint32_t param)
{
    char ch;
    if (!c->mem->read(c->cpu, param, &ch, 1))
        return call_fail(EFAULT);
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

uint32_t call_write0(const struct call *c, uint32_t param)
{
    char small[1024];
    ssize_t n = get_string(c, param, small, sizeof small);
    if (n < 0)
        return call_fail(EFAULT);
    if ((size_t)n < sizeof small - 1) {
        *c->wait = !write_out(TTY_OUT, small, (size_t)n);
        return param;
    }
    char *large = malloc(STRING_MAX);
    if (!large)
        return call_fail(ENOMEM);
    n = get_string(c, param, large, STRING_MAX);
    if (n >= 0)
        *c->wait = !write_out(TTY_OUT, large, (size_t)n);
    if (n == (ssize_t)STRING_MAX - 1)
        guest_error("SYS_WRITE0: the string at 0x%" PRIx32 " has no end in %zu bytes; cut", param, STRING_MAX);
    free(large);
    return n < 0 ? call_fail(EFAULT) : param;
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
    return call_fail(EMFILE);
}

static uint32_t open_host_file(const char *name, uint32_t mode)
{
    if (mode > 1) {
        guest_error("SYS_OPEN: \"%s\" in mode %" PRIu32 " refused: files of the host can only be read", name, mode);
        return call_fail(EACCES);
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return call_fail(errno);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        guest_error("SYS_OPEN: \"%s\" refused: only regular files of the host can be read", name);
        close(fd);
        return call_fail(EACCES);
    }
    return new_handle((struct handle){.kind = HOST_FILE, .fd = fd, .bytes = (uint64_t)st.st_size});
}

uint32_t call_open(const struct call *c, uint32_t param)
{
    uint32_t w[3]; /* name, mode, length of name */
    char name[NAME_MAX_BYTES];

    if (!call_get_words(c, param, w, 3))
        return call_fail(EFAULT);
    if (w[1] > 11)
        return call_fail(EINVAL);
    if (w[2] >= sizeof name)
        return call_fail(ENAMETOOLONG);
    if (w[2] && !c->mem->read(c->cpu, w[0], name, w[2]))
        return call_fail(EFAULT);
    name[w[2]] = 0;
    if (strlen(name) != w[2])
        return call_fail(EINVAL);
    if (strcmp(name, ":tt") == 0)
        return new_handle((struct handle){.kind = w[1] < 4 ? TTY_IN : w[1] < 8 ? TTY_OUT : TTY_ERR});
    if (strcmp(name, ":semihosting-features") == 0) {
        if (w[1] > 1)
            return call_fail(EACCES);
        return new_handle((struct handle){.kind = FEATURES, .bytes = sizeof features});
    }
    return open_host_file(name, w[1]);
}

uint32_t call_close(const struct call *c, uint32_t param)
{
    uint32_t w[1];
    if (!call_get_words(c, param, w, 1))
        return call_fail(EFAULT);
    if (w[0] == 0 || w[0] > HANDLES)
        return call_fail(EBADF);
    pthread_mutex_lock(&lock);
    struct handle h = handles[w[0] - 1];
    handles[w[0] - 1] = (struct handle){.kind = FREE};
    pthread_mutex_unlock(&lock);
    if (h.kind == FREE)
        return call_fail(EBADF);
    if (h.kind == HOST_FILE)
        close(h.fd);
    return 0;
}

/* Returns the number of bytes not written. */
uint32_t call_write(const struct call *c, uint32_t param)
{
    uint32_t w[3]; /* handle, buffer, bytes */
    struct handle h;
    char small[1024], *buf = small;

    if (!call_get_words(c, param, w, 3))
        return call_fail(EFAULT);
    if (!get_handle(w[0], &h) || (h.kind != TTY_OUT && h.kind != TTY_ERR)) {
        call_fail(EBADF);
        return w[2];
    }
    size_t size = w[2] < CHUNK ? w[2] : CHUNK;
    if (size > sizeof small && !(buf = malloc(size)))
        return call_fail(ENOMEM);
    uint32_t left = w[2], addr = w[1], result = 0;
    while (left) {
        size_t n = left < size ? left : size;
        if (!c->mem->read(c->cpu, addr, buf, n)) {
            result = call_fail(EFAULT);
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
uint32_t call_read(const struct call *c, uint32_t param)
{
    uint32_t w[3]; /* handle, buffer, bytes */
    struct handle h;
    uint8_t buf[4096];

    if (!call_get_words(c, param, w, 3))
        return call_fail(EFAULT);
    if (!get_handle(w[0], &h) || h.kind == TTY_OUT || h.kind == TTY_ERR)
        return call_fail(EBADF);
    if (h.kind == TTY_IN) {
        if (!w[2])
            return 0;
        size_t n = read_in(c, buf, w[2] < sizeof buf ? w[2] : sizeof buf);
        if (n && !c->mem->write(c->cpu, w[1], buf, n))
            return call_fail(EFAULT);
        return w[2] - (uint32_t)n;
    }
    uint32_t done = 0;
    while (done < w[2]) {
        size_t want = w[2] - done < sizeof buf ? w[2] - done : sizeof buf;
        ssize_t n = read_handle(w[0], buf, want);
        if (n < 0)
            call_fail(errno);
        if (n <= 0)
            break;
        if (!c->mem->write(c->cpu, w[1] + done, buf, (size_t)n))
            return call_fail(EFAULT);
        done += (uint32_t)n;
    }
    return w[2] - done;
}

uint32_t call_readc(const struct call *c)
{
    unsigned char ch;
    return read_in(c, &ch, 1) ? ch : ERROR;
}

/* A copy of the handle that is the call's only parameter. Returns 0, or what is wrong. */
static int handle_param(const struct call *c, uint32_t param, struct handle *copy)
{
    uint32_t w[1];
    if (!call_get_words(c, param, w, 1))
        return EFAULT;
    return get_handle(w[0], copy) ? 0 : EBADF;
}

uint32_t call_istty(const struct call *c, uint32_t param)
{
    struct handle h;
    int err = handle_param(c, param, &h);
    if (err)
        return call_fail(err);
    return h.kind == TTY_IN || h.kind == TTY_OUT || h.kind == TTY_ERR;
}

uint32_t call_seek(const struct call *c, uint32_t param)
{
    uint32_t w[2];
    if (!call_get_words(c, param, w, 2))
        return call_fail(EFAULT);
    if (w[0] == 0 || w[0] > HANDLES)
        return call_fail(EBADF);
    pthread_mutex_lock(&lock);
    struct handle *h = &handles[w[0] - 1];
    int err = h->kind == FREE                               ? EBADF
              : h->kind != HOST_FILE && h->kind != FEATURES ? ESPIPE
              : w[1] > h->bytes                             ? EINVAL
                                                            : 0;
    if (!err)
        h->pos = w[1];
    pthread_mutex_unlock(&lock);
    return err ? call_fail(err) : 0;
}

uint32_t call_flen(const struct call *c, uint32_t param)
{
    struct handle h;
    int err = handle_param(c, param, &h);
    if (err)
        return call_fail(err);
    if (h.kind != HOST_FILE && h.kind != FEATURES)
        return call_fail(ESPIPE);
    if (h.bytes > INT32_MAX)
        return call_fail(EOVERFLOW);
    return (uint32_t)h.bytes;
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
