/*
 * disk_file.c — a file of the host that a guest sees as a disk or a card
 */
#include "machines/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/log.h"

#define COW_PAGE 4096

/* -- Transfers ----------------------------------------------------------------------------------- */

static bool transfer_all(int fd, uint8_t *buf, size_t bytes, uint64_t at, bool write)
{
    while (bytes) {
        ssize_t n = write ? pwrite(fd, buf, bytes, (off_t)at) : pread(fd, buf, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        buf += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool overlaid(const struct disk_file *d, uint64_t page)
{
    return d->overlay_has[page / 8] >> page % 8 & 1;
}

/* One page's part of a transfer with cow. */
static bool cow_piece(struct disk_file *d, uint8_t *buf, size_t bytes, uint64_t at, bool write)
{
    uint64_t page = at / COW_PAGE, base = page * COW_PAGE, end = d->sectors * SECTOR;
    if (!write)
        return transfer_all(overlaid(d, page) ? d->overlay_fd : d->fd, buf, bytes, at, false);
    if (!overlaid(d, page) && bytes != COW_PAGE) {
        uint8_t whole[COW_PAGE];
        size_t n = end - base < COW_PAGE ? (size_t)(end - base) : COW_PAGE;
        if (!transfer_all(d->fd, whole, n, base, false) || !transfer_all(d->overlay_fd, whole, n, base, true))
            return false;
    }
    if (!transfer_all(d->overlay_fd, buf, bytes, at, true))
        return false;
    d->overlay_has[page / 8] |= (uint8_t)(1u << page % 8);
    return true;
}

bool disk_file_transfer(struct disk_file *d, uint8_t *buf, size_t bytes, uint64_t at, bool write)
{
    if (d->overlay_fd < 0)
        return transfer_all(d->fd, buf, bytes, at, write);
    while (bytes) {
        size_t n = COW_PAGE - at % COW_PAGE;
        n = n < bytes ? n : bytes;
        if (!cow_piece(d, buf, n, at, write))
            return false;
        buf += n;
        at += n;
        bytes -= n;
    }
    return true;
}

/* What a cow file takes is forgotten at the end anyway. */
bool disk_file_flush(struct disk_file *d)
{
    return d->overlay_fd >= 0 || d->read_only || !fdatasync(d->fd);
}

/* -- Opening --------------------------------------------------------------------------------------- */

/* FILE[,ro|,cow]: what is behind the last comma counts only if it is one of the words. */
static char *parse(const char *spec, bool *ro, bool *cow)
{
    char *path = strdup(spec);
    CHECK(path, "out of memory");
    char *comma = strrchr(path, ',');
    *ro = comma && !strcmp(comma, ",ro");
    *cow = comma && !strcmp(comma, ",cow");
    if (*ro || *cow)
        *comma = 0;
    return path;
}

static bool open_overlay(struct disk_file *d, const char *option, struct error *e)
{
    const char *dir = getenv("TMPDIR");
    d->overlay_fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (d->overlay_fd < 0) {
        error_set(e, 1, "--%s: cannot make a temporary file in %s for what the guest writes: %s", option,
                  dir && *dir ? dir : "/tmp", strerror(errno));
        return false;
    }
    d->overlay_has = calloc(1, d->sectors * SECTOR / COW_PAGE / 8 + 1);
    CHECK(d->overlay_has, "out of memory");
    return true;
}

static bool open_file(struct disk_file *d, const char *option, const char *path, bool ro, bool cow, uint32_t unit,
                      struct error *e)
{
    struct stat st;
    d->fd = open(path, (ro || cow ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);
    if (d->fd < 0) {
        bool may_read = errno == EACCES || errno == EROFS || errno == EPERM;
        error_set(e, 1, "--%s: cannot open %s%s: %s%s", option, path, ro || cow ? "" : " to be written",
                  strerror(errno), may_read && !ro && !cow ? "; add ,ro or ,cow" : "");
        return false;
    }
    off_t bytes = -1;
    if (!fstat(d->fd, &st) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
        bytes = lseek(d->fd, 0, SEEK_END);
    if (bytes < 0) {
        error_set(e, 1, "--%s: %s: neither a regular file nor a block device", option, path);
        return false;
    }
    if (bytes < unit) {
        error_set(e, 1, "--%s: %s: %lld bytes are no disk; it needs at least %s of %u", option, path, (long long)bytes,
                  unit == SECTOR ? "one sector" : "one unit", unit);
        return false;
    }
    if (flock(d->fd, (ro || cow ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
        error_set(e, 1, "--%s: %s is in use by another guest that writes to it%s", option, path,
                  ro || cow ? "" : ", or reads it");
        return false;
    }
    if (bytes % unit)
        log_line("disk", "%s: %lld bytes are no multiple of %u; the guest does not see the last %lld", path,
                 (long long)bytes, unit, (long long)bytes % unit);
    d->sectors = (uint64_t)bytes / unit * (unit / SECTOR);
    d->read_only = ro;
    return !cow || open_overlay(d, option, e);
}

bool disk_file_open(struct disk_file *d, const char *option, const char *spec, uint32_t unit, struct error *e)
{
    bool ro, cow;
    char *path = parse(spec, &ro, &cow);
    *d = (struct disk_file){.fd = -1, .overlay_fd = -1};
    bool ok = open_file(d, option, path, ro, cow, unit, e);
    free(path);
    if (!ok)
        disk_file_close(d);
    return ok;
}

void disk_file_close(struct disk_file *d)
{
    if (d->fd >= 0)
        close(d->fd);
    if (d->overlay_fd >= 0)
        close(d->overlay_fd);
    free(d->overlay_has);
    *d = (struct disk_file){.fd = -1, .overlay_fd = -1};
}
