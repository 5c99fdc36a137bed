/*
 * registers.c — the guest's registers as GDB numbers and describes them
 */
#include "engine/gdb/registers.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/arm/arm.h"
#include "engine/arm/fp.h"

unsigned register_bytes(unsigned n)
{
    return n >= REG_D0 && n < REG_FPSCR ? 8 : 4;
}

static void put_le(uint8_t *out, uint64_t x, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(x >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, unsigned bytes)
{
    uint64_t x = 0;
    for (unsigned i = 0; i < bytes; i++)
        x |= (uint64_t)in[i] << (8 * i);
    return x;
}

void register_read(const struct vcpu *v, unsigned n, uint8_t *out)
{
    uint64_t x;
    if (n < REG_PC)
        x = v->r[n];
    else if (n == REG_PC)
        x = v->r[15] & ~1u;
    else if (n == REG_CPSR)
        x = arm_cpsr_read(v);
    else if (n < REG_FPSCR)
        x = v->vfp[n - REG_D0];
    else
        x = v->fpscr;
    put_le(out, x, register_bytes(n));
}

void register_write(struct vcpu *v, unsigned n, const uint8_t *in)
{
    uint64_t x = get_le(in, register_bytes(n));
    if (n < REG_PC)
        v->r[n] = (uint32_t)x;
    else if (n == REG_PC)
        v->r[15] = ((uint32_t)x & ~1u) | v->thumb;
    else if (n == REG_CPSR)
        arm_cpsr_write(v, (uint32_t)x, ~(uint32_t)CPSR_J);
    else if (n < REG_FPSCR)
        v->vfp[n - REG_D0] = x;
    else
        v->fpscr = (uint32_t)x & FPSCR_WRITABLE;
}

/* -- The description ------------------------------------------------------------------------------------------------------------- */

static char xml[8192];
static size_t xml_len;

PRINTF_LIKE(1, 2) static void add(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    xml_len += (size_t)vsnprintf(xml + xml_len, sizeof xml - xml_len, fmt, ap);
    va_end(ap);
    CHECK(xml_len < sizeof xml, "target description of more than %zu bytes", sizeof xml);
}

static void describe(void)
{
    add("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">"
        "<architecture>arm</architecture><feature name=\"org.gnu.gdb.arm.core\">");
    for (unsigned i = 0; i < 13; i++)
        add("<reg name=\"r%u\" bitsize=\"32\" type=\"uint32\"/>", i);
    add("<reg name=\"sp\" bitsize=\"32\" type=\"data_ptr\"/><reg name=\"lr\" bitsize=\"32\" type=\"code_ptr\"/>"
        "<reg name=\"pc\" bitsize=\"32\" type=\"code_ptr\"/><reg name=\"cpsr\" bitsize=\"32\" type=\"uint32\"/>"
        "</feature><feature name=\"org.gnu.gdb.arm.vfp\">");
    for (unsigned i = 0; i < 32; i++)
        add("<reg name=\"d%u\" bitsize=\"64\" type=\"ieee_double\"/>", i);
    /* The last feature has no registers: it says that pairs of d make a q, and that both hold vectors. */
    add("<reg name=\"fpscr\" bitsize=\"32\" type=\"int\" group=\"float\"/></feature>"
        "<feature name=\"org.gnu.gdb.arm.neon\"/></target>");
}

const char *registers_xml(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, describe);
    return xml;
}
