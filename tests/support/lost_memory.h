// SPDX-License-Identifier: MIT
/*
 * Memory that a writer loses when it dies.
 *
 * A writer that dies within this process is left by longjmp.  What only its stack led to cannot be
 * freed any more: no leak of the library's, for the kernel would have taken back a killed process's
 * memory.  Whether the leak sanitizer comes upon a stale copy of such a pointer is chance, so what
 * is allocated between these two calls, by this thread, is not looked for.
 */
#ifndef UNTORN_TESTS_LOST_MEMORY_H
#define UNTORN_TESTS_LOST_MEMORY_H

#if defined(__SANITIZE_ADDRESS__)
#define LOST_MEMORY_IS_LOOKED_FOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOST_MEMORY_IS_LOOKED_FOR
#endif
#endif

#ifdef LOST_MEMORY_IS_LOOKED_FOR

#include <sanitizer/lsan_interface.h>

static inline void lost_memory_begins(void) {
    __lsan_disable();
}

static inline void lost_memory_ends(void) {
    __lsan_enable();
}

#else

static inline void lost_memory_begins(void) {
}

static inline void lost_memory_ends(void) {
}

#endif

#endif
