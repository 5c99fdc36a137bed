/*
 * pl180.c — the MMC interface
 *
 * Source: PrimeCell MultiMedia Card Interface (PL180) TRM, ARM DDI 0172. With no card in the slot a command that expects a response times
 * out, one that expects none is sent, and a transfer of data times out.
 *
 * The FIFO: a transfer (DataLength, less than 64 KiB) has a buffer. What the card sends is first read from the file as a whole, by the
 * interface's thread, and then there to be read through the FIFO, of which the guest sees 64 bytes. What the guest stores is
 * gathered and then written as a whole. Time on the card's bus is not modelled, so the data timer never runs out but where
 * nobody would answer.
 *
 * M1: the file is used by the thread only, for one job at a time, without any lock. A job's buffer is the job's own.
 * M2: a job's result counts only if the transfer that asked for it has not been ended meanwhile (m->transfer).
 */
#include <pthread.h>
#include <stdlib.h>

#include "engine/base/log.h"
#include "machines/vexpress/devices.h"
#include "machines/vexpress/sd_card.h"

enum { CMD_RESPONSE = 0x40, CMD_LONG = 0x80, CMD_ENABLE = 0x400 };
enum { DATA_ENABLE = 1, DATA_FROM_CARD = 2 };
enum {
    ST_DATA_CRC_FAIL = 2,
    ST_CMD_TIMEOUT = 4,
    ST_DATA_TIMEOUT = 8,
    ST_CMD_RESP_END = 0x40,
    ST_CMD_SENT = 0x80,
    ST_DATA_END = 0x100,
    ST_BLOCK_END = 0x400,
    ST_CLEARABLE = 0x7ff,
    /* from here on as things are, not as they were */
    ST_TX_ACTIVE = 0x1000,
    ST_RX_ACTIVE = 0x2000,
    ST_TX_HALF_EMPTY = 0x4000,
    ST_RX_HALF_FULL = 0x8000,
    ST_RX_FULL = 0x20000,
    ST_TX_EMPTY = 0x40000,
    ST_RX_EMPTY = 0x80000,
    ST_TX_AVAILABLE = 0x100000,
    ST_RX_AVAILABLE = 0x200000,
};
#define FIFO_BYTES 64u
#define DATA_MAX   0x10000u

struct job {
    uint32_t transfer; /* M2 */
    bool write;
    uint64_t at;
    uint32_t bytes;
    uint8_t *buf;
};

struct pl180 {
    struct irq_line irq[2]; /* const after LAUNCH */
    struct sd_card *card;   /* const after LAUNCH; NULL: none */
    /* guarded by device lock */
    uint32_t power, clock, argument, command, resp_cmd, response[4], timer, length, data_ctrl, status, mask[2];
    uint32_t transfer;     /* counts transfers begun and ended */
    bool active, to_guest; /* a transfer, and its direction */
    bool waits;            /* for the thread */
    uint8_t *buf;          /* of the transfer */
    uint32_t at, filled;   /* buf: moved through the FIFO; come from the card */
    uint32_t left;         /* bytes that have not been through the FIFO */
    /* the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* a leaf; guards the next four */
    pthread_cond_t wake;
    bool started, stop;
    struct job next; /* buf NULL: none */
};

/* -- State as the guest sees it ----------------------------------------------------------------------- */

static uint32_t available(const struct pl180 *m)
{
    uint32_t n = m->filled - m->at;
    return !m->active || !m->to_guest ? 0 : n < FIFO_BYTES ? n : FIFO_BYTES;
}

static uint32_t status(const struct pl180 *m)
{
    uint32_t s = m->status, n = available(m);
    if (!m->active)
        return s;
    if (!m->to_guest)
        return s | ST_TX_ACTIVE | (m->waits ? ST_TX_AVAILABLE : ST_TX_HALF_EMPTY | ST_TX_EMPTY);
    return s | ST_RX_ACTIVE | (n ? ST_RX_AVAILABLE : ST_RX_EMPTY) | (n >= FIFO_BYTES / 2 ? ST_RX_HALF_FULL : 0) |
           (n == FIFO_BYTES ? ST_RX_FULL : 0);
}

static void update_irq(struct pl180 *m)
{
    uint32_t s = status(m);
    irq_line_set(&m->irq[0], s & m->mask[0]);
    irq_line_set(&m->irq[1], s & m->mask[1]);
}

/* -- Transfers ------------------------------------------------------------------------------------------ */

static void end_transfer(struct pl180 *m, uint32_t why)
{
    m->active = m->waits = false;
    m->transfer++;
    m->status |= why;
    free(m->buf);
    m->buf = NULL;
    m->at = m->filled = m->left = 0;
}

/* The thread, no lock; then with the device lock. */
static bool perform(struct pl180 *m, const struct job *j)
{
    struct disk_file *f = sd_card_file(m->card);
    bool ok = disk_file_transfer(f, j->buf, j->bytes, j->at, j->write);
    if (!ok)
        guest_error("sd: a %s at byte %" PRIu64 " failed on the host; the guest sees an error",
                    j->write ? "write" : "read", j->at);
    return ok;
}

static void complete(struct pl180 *m, struct job *j, bool ok)
{
    if (j->transfer != m->transfer)
        return;
    m->waits = false;
    if (!ok) {
        end_transfer(m, j->write ? ST_DATA_CRC_FAIL : ST_DATA_TIMEOUT);
    } else if (j->write) {
        sd_card_moved(m->card, j->bytes);
        end_transfer(m, ST_DATA_END | ST_BLOCK_END);
    } else {
        memcpy(m->buf, j->buf, j->bytes);
        m->filled = j->bytes;
    }
    update_irq(m);
}

static void *work(void *opaque)
{
    struct pl180 *m = opaque;
    for (;;) {
        pthread_mutex_lock(&m->lock);
        while (!m->next.buf && !m->stop)
            pthread_cond_wait(&m->wake, &m->lock);
        struct job j = m->next;
        m->next.buf = NULL;
        bool stop = m->stop && !j.buf; /* what the guest has stored is still written */
        pthread_mutex_unlock(&m->lock);
        if (stop)
            return NULL;
        bool ok = perform(m, &j);
        device_lock();
        complete(m, &j, ok);
        device_unlock();
        free(j.buf);
    }
}

/* A job that has not begun and belongs to a transfer that was ended gives way. */
static void give_job(struct pl180 *m, struct job j)
{
    pthread_mutex_lock(&m->lock);
    if (!m->started && !m->stop) {
        int err = pthread_create(&m->thread, NULL, work, m);
        CHECK(!err, "no thread for the MMC interface: %s", strerror(err));
        pthread_setname_np(m->thread, "mmc");
        m->started = true;
    }
    free(m->next.buf);
    m->next = j;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    m->waits = true;
}

static uint8_t *new_buf(uint32_t bytes)
{
    uint8_t *p = malloc(bytes ? bytes : 1);
    CHECK(p, "out of memory");
    return p;
}

/* After a command, a store to DataCtrl, or the last byte from the guest: does the card's side go on? */
static void advance(struct pl180 *m)
{
    const uint8_t *reg;
    uint64_t at, most = 0;
    if (!m->active || m->waits || m->filled)
        return;
    if (!m->card) {
        end_transfer(m, ST_DATA_TIMEOUT);
        return;
    }
    enum sd_data kind = sd_card_data(m->card, &reg, &at, &most);
    if (m->to_guest && kind == SD_REGISTER) {
        m->filled = m->left < most ? m->left : (uint32_t)most;
        memcpy(m->buf, reg, m->filled);
    } else if (m->to_guest && kind == SD_READ) {
        if (m->left > most)
            end_transfer(m, ST_DATA_TIMEOUT); /* beyond the card's end */
        else
            give_job(m, (struct job){m->transfer, false, at, m->left, new_buf(m->left)});
    } else if (!m->to_guest && m->left == 0) {
        if (kind != SD_WRITE || m->length > most) {
            end_transfer(m, ST_DATA_CRC_FAIL); /* nobody acknowledges the block */
        } else {
            give_job(m, (struct job){m->transfer, true, at, m->length, m->buf});
            m->buf = NULL;
        }
    }
}

static void write_data_ctrl(struct pl180 *m, uint32_t val)
{
    if (m->active)
        end_transfer(m, 0);
    m->data_ctrl = val & 0xff;
    if (!(val & DATA_ENABLE) || !m->length)
        return;
    m->active = true;
    m->transfer++;
    m->to_guest = val & DATA_FROM_CARD;
    m->left = m->length;
    m->buf = new_buf(DATA_MAX);
    advance(m);
}

static uint32_t fifo_read(struct pl180 *m)
{
    uint32_t val = 0, n = available(m);
    n = n < 4 ? n : 4;
    if (!n)
        return 0;
    memcpy(&val, m->buf + m->at, n);
    m->at += n;
    m->left -= n;
    if (m->at == m->filled) {
        sd_card_moved(m->card, m->filled);
        end_transfer(m, m->left ? ST_DATA_TIMEOUT : ST_DATA_END | ST_BLOCK_END);
    }
    return val;
}

static void fifo_write(struct pl180 *m, uint32_t val)
{
    uint32_t n = m->left < 4 ? m->left : 4;
    if (!m->active || m->to_guest || m->waits || !n)
        return;
    memcpy(m->buf + m->at, &val, n);
    m->at += n;
    m->left -= n;
    advance(m);
}

/* -- Commands --------------------------------------------------------------------------------------------- */

static void write_command(struct pl180 *m, uint32_t val)
{
    uint32_t r[4] = {0};
    unsigned index = val & 63;
    m->command = val & 0x7ff & ~(uint32_t)CMD_ENABLE;
    if (!(val & CMD_ENABLE))
        return;
    enum sd_answer a = m->card ? sd_card_command(m->card, index, m->argument, r) : SD_SILENT;
    if (!(val & CMD_RESPONSE)) {
        m->status |= ST_CMD_SENT;
    } else if (a == SD_SILENT || (a == SD_LONG) != !!(val & CMD_LONG)) {
        m->status |= ST_CMD_TIMEOUT;
    } else {
        m->resp_cmd = a == SD_LONG ? 63 : index;
        memcpy(m->response, r, sizeof r);
        m->status |= ST_CMD_RESP_END;
    }
    advance(m);
}

/* -- Registers ---------------------------------------------------------------------------------------------- */

static uint32_t reg_read(struct pl180 *m, uint32_t off)
{
    switch (off & ~3u) {
    case 0x00: return m->power;
    case 0x04: return m->clock;
    case 0x08: return m->argument;
    case 0x0c: return m->command;
    case 0x10: return m->resp_cmd;
    case 0x14:
    case 0x18:
    case 0x1c:
    case 0x20: return m->response[(off - 0x14) / 4];
    case 0x24: return m->timer;
    case 0x28: return m->length;
    case 0x2c: return m->data_ctrl;
    case 0x30: return m->left;
    case 0x34: return status(m);
    case 0x3c: return m->mask[0];
    case 0x40: return m->mask[1];
    case 0x48: return (m->left - available(m) + 3) / 4; /* words that are not in the FIFO yet */
    default: return 0;
    }
}

static bool pl180_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct pl180 *m = dev;
    DCHECK(device_lock_held(), "PL180 read without the device lock");
    (void)cpu;
    if (primecell_id(off, 0x180, 0, 0, val))
        return true;
    if (off >= 0x80 && off < 0x100) {
        *val = size == 4 ? fifo_read(m) : 0;
        update_irq(m);
        return true;
    }
    *val = word_part(reg_read(m, off), off, size);
    return true;
}

static bool pl180_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct pl180 *m = dev;
    DCHECK(device_lock_held(), "PL180 write without the device lock");
    (void)cpu;
    if (size != 4)
        return true;
    switch (off) {
    case 0x00: m->power = val & 0xff; break;
    case 0x04: m->clock = val & 0xfff; break;
    case 0x08: m->argument = val; break;
    case 0x0c: write_command(m, val); break;
    case 0x24: m->timer = val; break;
    case 0x28: m->length = val & 0xffff; break;
    case 0x2c: write_data_ctrl(m, val); break;
    case 0x38: m->status &= ~(val & ST_CLEARABLE); break;
    case 0x3c: m->mask[0] = val & 0x3fffff; break;
    case 0x40: m->mask[1] = val & 0x3fffff; break;
    default:
        if (off >= 0x80 && off < 0x100)
            fifo_write(m, val);
        break;
    }
    update_irq(m);
    return true;
}

void pl180_reset(void *dev)
{
    struct pl180 *m = dev;
    end_transfer(m, 0);
    m->power = m->clock = m->argument = m->command = m->resp_cmd = m->timer = m->length = m->data_ctrl = m->status = 0;
    memset(m->response, 0, sizeof m->response);
    memset(m->mask, 0, sizeof m->mask);
    if (m->card)
        sd_card_reset(m->card);
    update_irq(m);
}

struct pl180 *pl180_new(struct irq_line irq0, struct irq_line irq1, struct sd_card *card)
{
    struct pl180 *m = calloc(1, sizeof *m);
    CHECK(m, "out of memory");
    m->irq[0] = irq0;
    m->irq[1] = irq1;
    m->card = card;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->wake, NULL);
    pl180_reset(m);
    return m;
}

void pl180_stop(struct pl180 *m)
{
    pthread_mutex_lock(&m->lock);
    m->stop = true;
    bool started = m->started;
    m->started = false;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    if (started)
        pthread_join(m->thread, NULL);
}

const struct mmio_ops pl180_ops = {pl180_read, pl180_write};
