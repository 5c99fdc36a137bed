/*
 * driver_testlib.h — a driver in C for tests: one device behind the transport, rings and buffers in the first half MiB of RAM
 *
 * The functions work on the queue that `queue` names, whose rings and buffers lie at DESC, AVAIL, USED, HEAD, STAT, DATA.
 */
#ifndef MACHINES_VIRTIO_DRIVER_TESTLIB_H
#define MACHINES_VIRTIO_DRIVER_TESTLIB_H

#include "machines/fakes_testlib.h"

#include "engine/mem/mem.h"
#include "machines/vexpress/devices.h"
#include "machines/virtio/virtio.h"

#define REGS  UINT64_C(0x1c130000)
#define RAM   UINT64_C(0x80000000)
#define BYTES UINT64_C(0x100000)
#define RINGS (RAM + queue * 0x40000u)
#define DESC  RINGS
#define AVAIL (RINGS + 0x1000)
#define USED  (RINGS + 0x2000)
#define HEAD  (RINGS + 0x3000)
#define STAT  (RINGS + 0x3800)
#define DATA  (RINGS + 0x4000)
#define SIZE  8

/* Of a millisecond at least, for what comes at once on a quiet host. */
#define TRIES 60000

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

extern struct virtio_mmio *mmio;
extern struct virtio_dev *dev;
extern unsigned irq_level;
extern unsigned queue;
extern uint16_t avail_index[VIRTIO_QUEUES];

void attach(struct virtio_dev *d);
/* Ends the device and the transport. */
void detach(void);
uint32_t reg(uint32_t off);
void set(uint32_t off, uint32_t val);
void put(gpa at, const void *val, size_t bytes);
void set_rings(gpa desc, gpa avail, gpa used, unsigned size);
/* Features of the device that negotiate() does not accept. */
extern uint64_t declined;
void negotiate(void);
/* Negotiate all features, zero the rings, make all queues ready, DRIVER_OK; queue 0 is chosen. */
void start(void);
void describe(unsigned n, gpa addr, uint32_t bytes, uint16_t flags, uint16_t next);
void offer(uint16_t head);
/* Wait until the device has used all that was offered; the bytes it says it wrote. */
uint32_t used(void);
/* How many chains the device has used. */
uint16_t used_now(void);
/* What the element of chain n says that was written. */
uint32_t written(uint16_t n);
void get(gpa at, void *buf, size_t bytes);
bool broken(void);
/* Random rings and registers for a while: nothing outside RAM is touched (the sanitizers and mem_write's own checks), and the device
 * comes back. Seeded, the seed is printed. */
void fuzz_device(unsigned rounds, uint64_t seed);

#endif
