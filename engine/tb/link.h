/*
 * link.h — the two halves of unchaining, for invalidate.c
 */
#ifndef ENGINE_TB_LINK_H
#define ENGINE_TB_LINK_H

#include "engine/tb/tb.h"

void tb_unchain_incoming(struct tb *tb);
void tb_unchain_outgoing(struct tb *tb);

#endif
