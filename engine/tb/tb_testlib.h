/*
 * tb_testlib.h — two vCPUs, RAM and code memory, and blocks that are published without having been translated
 */
#ifndef ENGINE_TB_TB_TESTLIB_H
#define ENGINE_TB_TB_TESTLIB_H

#include "engine/mem/mem_testlib.h"
#include "engine/tb/tb.h"

/* Every axis has its default scheme. */
void test_default_schemes(void);

/* test_machine() with TB_TEST_RAM_BYTES, code memory, and a grace-period thread, under the schemes in use. */
#define TB_TEST_RAM_BYTES (1u << 20)
void test_translations(size_t code_bytes, unsigned chunks_per_pool);
void test_translations_free(void);

/* A block of [canon, canon + bytes), perhaps across a page, published as exec/translate.c does it; or the one that was
 * there. Its code is 16 bytes that nobody wrote, ninsns the byte of RAM at its begin. */
struct tb *test_publish(struct vcpu *v, gpa canon, unsigned bytes);

#endif
