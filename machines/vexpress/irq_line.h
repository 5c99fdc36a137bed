/*
 * irq_line.h — the wire from a device's interrupt output to an input of the interrupt controller
 */
#ifndef MACHINES_VEXPRESS_IRQ_LINE_H
#define MACHINES_VEXPRESS_IRQ_LINE_H

#include "engine/base/base.h"

/* Device lock held. set may be NULL: not connected. */
struct irq_line {
    void (*set)(void *opaque, unsigned n, bool level);
    void *opaque;
    unsigned n;
};

static inline void irq_line_set(const struct irq_line *l, bool level)
{
    if (l->set)
        l->set(l->opaque, l->n, level);
}

#endif
