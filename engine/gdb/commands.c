/*
 * commands.c — what each packet asks for: registers, memory, breakpoints, going on
 *
 * Source: "Debugging with GDB", appendix E.2 (Packets) and E.3 (Stop Reply Packets). Errors are Exx with the errno that fits: 01 no
 * such thing, 0e an address that cannot be read or written, 16 a packet that makes no sense, 1c no room.
 */
#include "engine/gdb/commands.h"

enum { NO_SUCH = 0x01, BAD_ADDRESS = 0x0e, NONSENSE = 0x16, NO_ROOM = 0x1c };

static enum gdb_after fail(struct gdb_session *s, unsigned code)
{
    gdb_clear(&s->reply);
    gdb_put(&s->reply, "E%02x", code);
    return GDB_ANSWER;
}

static enum gdb_after ok(struct gdb_session *s)
{
    gdb_put(&s->reply, "OK");
    return GDB_ANSWER;
}

void gdb_session_begin(struct gdb_session *s, gdb_monitor monitor)
{
    memset(s, 0, sizeof *s);
    s->monitor = monitor;
    s->run_all = true;
}

/* -- Stops ----------------------------------------------------------------------------------------------------------------------------- */

void gdb_tell_stop(struct gdb_session *s, unsigned signal)
{
    static const char *const names[] = {[WATCH_WRITE] = "watch", [WATCH_READ] = "rwatch", [WATCH_ACCESS] = "awatch"};
    struct target_stop stop = target_why();
    s->reg_vcpu = s->run_vcpu = stop.vcpu;
    gdb_clear(&s->stop);
    gdb_put(&s->stop, "T%02xthread:%x;core:%x;", stop.why == DEBUG_NONE ? signal : 5, stop.vcpu + 1, stop.vcpu);
    if (stop.why == DEBUG_WATCH)
        gdb_put(&s->stop, "%s:%x;", names[stop.watch], stop.addr);
    else if (stop.why == DEBUG_BREAK && (stop.breaks & BREAK_SOFTWARE) && s->swbreak)
        gdb_put(&s->stop, "swbreak:;");
    else if (stop.why == DEBUG_BREAK && (stop.breaks & BREAK_HARDWARE) && s->hwbreak)
        gdb_put(&s->stop, "hwbreak:;");
}

/* -- Threads --------------------------------------------------------------------------------------------------------------------------- */

bool gdb_thread(const char **p, int *id)
{
    if (gdb_skip(p, '-')) {
        *id = -1;
        return gdb_skip(p, '1');
    }
    uint32_t x;
    if (!gdb_number32(p, &x) || x > nvcpus)
        return false;
    *id = (int)x;
    return true;
}

static enum gdb_after choose_thread(struct gdb_session *s, const char *p)
{
    char what = *p;
    int id;
    if ((what != 'g' && what != 'c') || (p++, !gdb_thread(&p, &id)) || *p)
        return fail(s, NONSENSE);
    if (what == 'c') {
        s->run_all = id <= 0;
        if (id > 0)
            s->run_vcpu = (unsigned)id - 1;
    } else if (id > 0) {
        s->reg_vcpu = (unsigned)id - 1;
    }
    return ok(s);
}

static enum gdb_after thread_alive(struct gdb_session *s, const char *p)
{
    int id;
    return gdb_thread(&p, &id) && id > 0 && !*p ? ok(s) : fail(s, NO_SUCH);
}

/* -- Registers ------------------------------------------------------------------------------------------------------------------------- */

static enum gdb_after read_all(struct gdb_session *s)
{
    uint8_t regs[REGISTERS_BYTES];
    target_registers(s->reg_vcpu, regs);
    gdb_put_hex(&s->reply, regs, sizeof regs);
    return GDB_ANSWER;
}

static enum gdb_after write_all(struct gdb_session *s, const char *p)
{
    uint8_t regs[REGISTERS_BYTES];
    if (strlen(p) != 2 * sizeof regs || !gdb_bytes(p, regs, sizeof regs))
        return fail(s, NONSENSE);
    target_set_registers(s->reg_vcpu, regs);
    return ok(s);
}

static enum gdb_after read_one(struct gdb_session *s, const char *p)
{
    uint32_t n;
    uint8_t reg[8];
    if (!gdb_number32(&p, &n) || *p || n >= REGISTERS)
        return fail(s, NONSENSE);
    target_register(s->reg_vcpu, n, reg);
    gdb_put_hex(&s->reply, reg, register_bytes(n));
    return GDB_ANSWER;
}

static enum gdb_after write_one(struct gdb_session *s, const char *p)
{
    uint32_t n;
    uint8_t reg[8];
    if (!gdb_number32(&p, &n) || !gdb_skip(&p, '=') || n >= REGISTERS || strlen(p) != 2 * register_bytes(n) ||
        !gdb_bytes(p, reg, register_bytes(n)))
        return fail(s, NONSENSE);
    target_set_register(s->reg_vcpu, n, reg);
    return ok(s);
}

/* -- Memory ------------------------------------------------------------------------------------------------------------------------------ */

static bool range(const char **p, gva *va, uint32_t *bytes)
{
    return gdb_number32(p, va) && gdb_skip(p, ',') && gdb_number32(p, bytes);
}

static enum gdb_after read_memory(struct gdb_session *s, const char *p)
{
    static uint8_t buf[GDB_PACKET_MAX / 2]; /* the server's thread alone */
    gva va;
    uint32_t bytes;
    if (!range(&p, &va, &bytes) || *p)
        return fail(s, NONSENSE);
    if (bytes > sizeof buf)
        bytes = sizeof buf;
    size_t n = target_read(s->reg_vcpu, va, buf, bytes);
    if (!n && bytes)
        return fail(s, BAD_ADDRESS);
    gdb_put_hex(&s->reply, buf, n);
    return GDB_ANSWER;
}

/* M: digits, X: bytes as they are. end: of the packet. */
static enum gdb_after write_memory(struct gdb_session *s, const char *p, const char *end, bool binary)
{
    static uint8_t buf[GDB_PACKET_MAX];
    gva va;
    uint32_t bytes;
    if (!range(&p, &va, &bytes) || !gdb_skip(&p, ':') || bytes > sizeof buf ||
        (size_t)(end - p) != (binary ? bytes : 2 * (size_t)bytes))
        return fail(s, NONSENSE);
    if (binary)
        memcpy(buf, p, bytes);
    else if (!gdb_bytes(p, buf, bytes))
        return fail(s, NONSENSE);
    return target_write(s->reg_vcpu, va, buf, bytes) ? ok(s) : fail(s, BAD_ADDRESS);
}

/* -- Breakpoints ------------------------------------------------------------------------------------------------------------------------- */

/* Z type,addr,kind and what may follow: conditions and commands, which we have not offered. */
static enum gdb_after point(struct gdb_session *s, const char *p, bool set)
{
    uint32_t type, kind;
    gva addr;
    if (!gdb_number32(&p, &type) || !gdb_skip(&p, ',') || !range(&p, &addr, &kind) || (*p && *p != ';'))
        return fail(s, NONSENSE);
    if (type > 4)
        return GDB_ANSWER; /* empty: not known here */
    return target_point(type, addr, kind, set) ? ok(s) : fail(s, NO_ROOM);
}

/* -- Going on ------------------------------------------------------------------------------------------------------------------------------- */

/* c [addr], s [addr], C sig[;addr], S sig[;addr]: the thread of Hc, or all of them with the present one doing what was asked. */
static enum gdb_after go_on(struct gdb_session *s, const char *p)
{
    enum target_action action = (*p | 0x20) == 's' ? ACTION_STEP : ACTION_GO;
    bool has_signal = *p == 'C' || *p == 'S';
    unsigned now = s->run_all ? s->reg_vcpu : s->run_vcpu;
    uint32_t signal, addr;
    p++;
    if (has_signal && (!gdb_number32(&p, &signal) || (*p && !gdb_skip(&p, ';'))))
        return fail(s, NONSENSE);
    if (*p) {
        if (!gdb_number32(&p, &addr) || *p)
            return fail(s, NONSENSE);
        uint8_t pc[8] = {(uint8_t)addr, (uint8_t)(addr >> 8), (uint8_t)(addr >> 16), (uint8_t)(addr >> 24)};
        target_set_register(now, REG_PC, pc);
    }
    memset(s->resume, 0, sizeof s->resume);
    for (unsigned i = 0; i < nvcpus && s->run_all; i++)
        s->resume[i].action = ACTION_GO;
    s->resume[now].action = action;
    return GDB_RESUME;
}

/* One action of vCont, up to ; or the end. */
static bool one_action(struct gdb_session *s, const char **p)
{
    struct target_resume r = {.action = ACTION_GO};
    uint32_t signal;
    int id = -1;
    switch (*(*p)++) {
    case 'c': break;
    case 'C':
        if (!gdb_number32(p, &signal))
            return false;
        break;
    case 's': r.action = ACTION_STEP; break;
    case 'S':
        r.action = ACTION_STEP;
        if (!gdb_number32(p, &signal))
            return false;
        break;
    case 'r':
        r.action = ACTION_STEP;
        if (!gdb_number32(p, &r.lo) || !gdb_skip(p, ',') || !gdb_number32(p, &r.hi))
            return false;
        break;
    default: (*p)--; return false;
    }
    if (gdb_skip(p, ':') && !gdb_thread(p, &id))
        return false;
    if (id == 0)
        id = (int)s->reg_vcpu + 1;
    /* The leftmost action that fits a thread is its own. */
    for (unsigned i = 0; i < nvcpus; i++)
        if ((id < 0 || (int)i == id - 1) && s->resume[i].action == ACTION_NONE)
            s->resume[i] = r;
    return true;
}

static enum gdb_after v_cont(struct gdb_session *s, const char *p)
{
    memset(s->resume, 0, sizeof s->resume);
    if (!*p)
        return fail(s, NONSENSE);
    while (*p)
        if (!gdb_skip(&p, ';') || !one_action(s, &p))
            return fail(s, NONSENSE);
    return GDB_RESUME;
}

/* -- All ------------------------------------------------------------------------------------------------------------------------------------- */

enum gdb_after gdb_command(struct gdb_session *s, const char *packet, size_t n)
{
    const char *rest = packet + (n != 0);
    gdb_clear(&s->reply);
    switch (packet[0]) {
    case '?': s->reply = s->stop; return GDB_ANSWER;
    case 'g': return read_all(s);
    case 'G': return write_all(s, rest);
    case 'p': return read_one(s, rest);
    case 'P': return write_one(s, rest);
    case 'm': return read_memory(s, rest);
    case 'M': return write_memory(s, rest, packet + n, false);
    case 'X': return write_memory(s, rest, packet + n, true);
    case 'Z': return point(s, rest, true);
    case 'z': return point(s, rest, false);
    case 'H': return choose_thread(s, rest);
    case 'T': return thread_alive(s, rest);
    case 'c':
    case 'C':
    case 's':
    case 'S': return go_on(s, packet);
    case 'D': ok(s); return GDB_DETACH;
    case 'k': return GDB_KILL;
    case 'v':
        if (!strncmp(packet, "vCont", 5) && (packet[5] == ';' || !packet[5]))
            return v_cont(s, packet + 5);
        return gdb_query(s, packet, n);
    case 'q':
    case 'Q': return gdb_query(s, packet, n);
    default: return GDB_ANSWER; /* an empty reply: not known here */
    }
}
