/*
 * packet.c — GDB's remote serial protocol below the commands
 */
#include "engine/gdb/packet.h"

#include <stdarg.h>
#include <stdio.h>

static const char digits[] = "0123456789abcdef";

/* -- From the client ----------------------------------------------------------------------------------------------------------- */

static void keep(struct gdb_parser *p, char c)
{
    if (p->n < GDB_PACKET_MAX)
        p->data[p->n++] = c;
    else
        p->too_long = true;
}

static enum gdb_input complete(struct gdb_parser *p, int low)
{
    p->state = OUTSIDE;
    p->data[p->n] = 0;
    if (p->too_long)
        return GDB_TOO_LONG;
    return low < 0 || (p->told << 4 | low) != p->sum ? GDB_WRONG_SUM : GDB_PACKET;
}

/* -1: no hexadecimal digit */
static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum gdb_input gdb_parse(struct gdb_parser *p, uint8_t byte)
{
    /* A $ is always escaped inside of a packet: a bare one begins the next, whatever became of this one. */
    if (byte == '$') {
        p->state = INSIDE;
        p->n = 0;
        p->sum = 0;
        p->too_long = false;
        return GDB_MORE;
    }
    switch (p->state) {
    case OUTSIDE: return byte == '+' ? GDB_ACK : byte == '-' ? GDB_NAK : byte == 3 ? GDB_INTERRUPT : GDB_MORE;
    case INSIDE:
        if (byte == '#') {
            p->state = SUM_1;
            return GDB_MORE;
        }
        p->sum += byte;
        if (byte == '}')
            p->state = ESCAPED;
        else
            keep(p, (char)byte);
        return GDB_MORE;
    case ESCAPED:
        p->sum += byte;
        p->state = INSIDE;
        keep(p, (char)(byte ^ 0x20));
        return GDB_MORE;
    case SUM_1: {
        int high = nibble((char)byte);
        if (high < 0)
            return complete(p, -1);
        p->told = (uint8_t)high;
        p->state = SUM_2;
        return GDB_MORE;
    }
    case SUM_2: break;
    }
    return complete(p, nibble((char)byte));
}

/* -- To the client --------------------------------------------------------------------------------------------------------------- */

void gdb_clear(struct gdb_reply *r)
{
    r->n = 0;
    r->full = false;
    r->data[0] = 0;
}

static bool room(struct gdb_reply *r, size_t n)
{
    if (n > GDB_PACKET_MAX - r->n)
        r->full = true;
    return !r->full;
}

void gdb_put(struct gdb_reply *r, const char *fmt, ...)
{
    size_t left = GDB_PACKET_MAX - r->n;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(r->data + r->n, left + 1, fmt, ap);
    va_end(ap);
    if (room(r, (size_t)n))
        r->n += (size_t)n;
    r->data[r->n] = 0;
}

void gdb_put_hex(struct gdb_reply *r, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < n && room(r, 2); i++) {
        r->data[r->n++] = digits[from[i] >> 4];
        r->data[r->n++] = digits[from[i] & 15];
    }
    r->data[r->n] = 0;
}

void gdb_put_binary(struct gdb_reply *r, const void *bytes, size_t n)
{
    const char *from = bytes;
    for (size_t i = 0; i < n; i++) {
        /* memchr() looks at the 0 of no string here: a 0 byte needs no escape. */
        bool escape = memchr("#$}*", from[i], 4) != NULL;
        if (!room(r, escape ? 2 : 1))
            break;
        if (escape)
            r->data[r->n++] = '}';
        r->data[r->n++] = escape ? from[i] ^ 0x20 : from[i];
    }
    r->data[r->n] = 0;
}

size_t gdb_frame(const struct gdb_reply *r, char *out)
{
    uint8_t sum = 0;
    out[0] = '$';
    for (size_t i = 0; i < r->n; i++) {
        out[1 + i] = r->data[i];
        sum += (uint8_t)r->data[i];
    }
    out[1 + r->n] = '#';
    out[2 + r->n] = digits[sum >> 4];
    out[3 + r->n] = digits[sum & 15];
    return r->n + 4;
}

/* -- Reading a packet ---------------------------------------------------------------------------------------------------------- */

/* A hexadecimal number of 1 to 16 digits at *p, which moves behind it. */
static bool number(const char **p, uint64_t *x)
{
    unsigned n = 0;
    *x = 0;
    for (int d; (d = nibble(**p)) >= 0; (*p)++, n++)
        *x = *x << 4 | (unsigned)d;
    return n >= 1 && n <= 16;
}

bool gdb_number32(const char **p, uint32_t *x)
{
    uint64_t wide;
    if (!number(p, &wide) || wide > UINT32_MAX)
        return false;
    *x = (uint32_t)wide;
    return true;
}

bool gdb_skip(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

bool gdb_bytes(const char *p, void *out, size_t n)
{
    uint8_t *to = out;
    for (size_t i = 0; i < n; i++, p += 2) {
        int high = nibble(p[0]), low = high < 0 ? -1 : nibble(p[1]);
        if (low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
