/*
 * disk_file.h — a file of the host that a guest sees as a disk or a card
 *
 * FILE is written; FILE,ro is not; with FILE,cow what the guest writes goes to a temporary file that nobody else sees and that is gone
 * afterwards. A file that is written belongs to one run (flock); readers may share.
 */
#ifndef MACHINES_DISK_FILE_H
#define MACHINES_DISK_FILE_H

#include "engine/base/base.h"

#define SECTOR 512

struct disk_file {
    int fd, overlay_fd;   /* const after LAUNCH; overlay: -1 if not cow */
    bool read_only;       /* const after LAUNCH */
    uint64_t sectors;     /* const after LAUNCH: whole units of the device */
    uint8_t *overlay_has; /* a bit for each page of the file; the thread that transfers */
};

/* LAUNCH. option: what the user typed before the =, for messages. unit: what the device counts its size in, bytes, a multiple of SECTOR;
 * the rest at the end is not seen by the guest, which is said. False with e filled. */
bool disk_file_open(struct disk_file *d, const char *option, const char *spec, uint32_t unit, struct error *e);
/* Also of what was not opened, if it is zero but for fd and overlay_fd -1. */
void disk_file_close(struct disk_file *d);

/* One thread at a time, no lock needed; may wait for the host. bytes and at: within the file. False: the host failed, or the file has
 * become shorter. */
bool disk_file_transfer(struct disk_file *d, uint8_t *buf, size_t bytes, uint64_t at, bool write);
/* What was written lasts (fdatasync). errno is set if not. */
bool disk_file_flush(struct disk_file *d);

#endif
