// SPDX-License-Identifier: MIT
// Copying that may race: see the header for why.  Two builds of the same two functions.
#include "base/racy_copy.h"

#include <stdint.h>

#if !UT_RACY_ATOMIC

void ut_racy_copy_any(void *to, const void *from, size_t bytes) {
    // memcpy() is not to be given null pointers, not even for no bytes.
    if (bytes == 0)
        return;
    memcpy(to, from, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
}

void ut_racy_fill_zero_any(void *to, size_t bytes) {
    if (bytes == 0)
        return;
    memset(to, 0, bytes);
    __asm__ volatile("" : : "r"(to) : "memory");
}

#else

// The memory has the types of others; may_alias makes these accesses as free as memcpy's.
typedef uint64_t ut_word __attribute__((may_alias));

static inline void ut_copy_byte(unsigned char *to, const unsigned char *from) {
    __atomic_store_n(to, __atomic_load_n(from, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

// Words where both sides can be aligned at once, single bytes before, after and otherwise.
void ut_racy_copy_any(void *to, const void *from, size_t bytes) {
    unsigned char *t = to;
    const unsigned char *f = from;
    if ((((uintptr_t)t ^ (uintptr_t)f) % sizeof(ut_word)) == 0) {
        for (; bytes > 0 && (uintptr_t)t % sizeof(ut_word) != 0; bytes--)
            ut_copy_byte(t++, f++);
        for (; bytes >= sizeof(ut_word); bytes -= sizeof(ut_word)) {
            ut_word word = __atomic_load_n((const ut_word *)(const void *)f, __ATOMIC_RELAXED);
            __atomic_store_n((ut_word *)(void *)t, word, __ATOMIC_RELAXED);
            t += sizeof(ut_word);
            f += sizeof(ut_word);
        }
    }
    for (; bytes > 0; bytes--)
        ut_copy_byte(t++, f++);
}

void ut_racy_fill_zero_any(void *to, size_t bytes) {
    unsigned char *t = to;
    for (; bytes > 0 && (uintptr_t)t % sizeof(ut_word) != 0; bytes--)
        __atomic_store_n(t++, 0, __ATOMIC_RELAXED);
    for (; bytes >= sizeof(ut_word); bytes -= sizeof(ut_word)) {
        __atomic_store_n((ut_word *)(void *)t, 0, __ATOMIC_RELAXED);
        t += sizeof(ut_word);
    }
    for (; bytes > 0; bytes--)
        __atomic_store_n(t++, 0, __ATOMIC_RELAXED);
}

#endif
