/*
 * peek.h — a debugger's look at guest memory: by virtual address, whatever the rights, and without side effects
 */
#ifndef ENGINE_MEM_PEEK_H
#define ENGINE_MEM_PEEK_H

#include "engine/base/base.h"

struct vcpu;

/* QUIESCED. Through v's present page tables; what is mapped but forbidden to the present mode is allowed. Only RAM: a device
 * would notice. Returns the bytes that could be read, from the first on. */
size_t mem_peek(struct vcpu *v, gva va, void *buf, size_t bytes);

/* QUIESCED, a registered thread. All or nothing; read-only pages are written too. Translations of the bytes die, reservations on
 * them break. */
bool mem_poke(struct vcpu *v, gva va, const void *buf, size_t bytes);

#endif
