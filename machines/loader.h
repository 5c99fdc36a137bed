/*
 * loader.h — guest images: ELF32 ARM little-endian executables, and raw binaries
 *
 * A file is untrusted: it is checked completely before a byte goes to guest memory.
 */
#ifndef MACHINES_LOADER_H
#define MACHINES_LOADER_H

#include "engine/base/base.h"

/* Memory that an image may be loaded to. */
struct load_range {
    gpa base;
    uint64_t bytes;
    const char *name; /* for messages: "RAM" */
};

struct image_segment {
    gpa base;
    uint64_t mem_bytes;  /* bytes above file_bytes are zero */
    uint64_t file_off;   /* file_off + file_bytes <= size of the file */
    uint64_t file_bytes; /* <= mem_bytes */
};

struct image {
    uint8_t *data; /* the file */
    size_t data_bytes;
    struct image_segment *segments; /* by ascending base, no two overlap, each within one load_range */
    unsigned segment_count;
    uint32_t entry; /* physical, without the Thumb bit */
    bool thumb;
    gpa end; /* first byte after the last segment in the memory that holds the entry: a heap may begin here */
};

/* Read a regular file of at most max_bytes. Returns false with e filled; *data is for free(). */
bool load_file(const char *path, uint64_t max_bytes, uint8_t **data, size_t *bytes, struct error *e);

/* Check data as an ELF file and fill img->segments, entry, thumb, end. img->data is not touched; path
 * is for messages. Returns false with e filled and nothing allocated. */
bool elf_parse(struct image *img, const uint8_t *data, size_t bytes, const char *path, const struct load_range *ranges,
               unsigned range_count, struct error *e);

/* Both steps. ranges[0] is the RAM; a raw image goes to raw_base and is entered there. */
bool image_open(struct image *img, const char *path, bool raw, gpa raw_base, const struct load_range *ranges,
                unsigned range_count, struct error *e);
/* Store the image to guest memory. clear: write the zero bytes too; needed unless memory is fresh.
 * LAUNCH, or all vCPUs stopped. */
void image_place(const struct image *img, bool clear);
void image_free(struct image *img);

#endif
