// SPDX-License-Identifier: MIT
// The one function for copying bytes that another process may be writing at the same time, and
// for writing bytes that another may be reading.
//
// C11 has no memcpy that is allowed to race.  The bytes copied here mean nothing until a fence and
// a check have shown that nobody wrote them meanwhile; whoever skips that check is wrong.  What
// has to hold of the copy itself is only this: the compiler must not take the source for the
// copy, or it could read the source a second time after the check.  So the destination is handed
// to an empty asm statement after the copy, as if it had been changed there.
//
// Under ThreadSanitizer the copy is made of relaxed atomics, which may race by definition; so it
// reports every race but the intended ones.
//
// Many runs at once are racy_rows.h's.
#ifndef UT_RACY_COPY_H
#define UT_RACY_COPY_H

#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define UT_RACY_ATOMIC 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UT_RACY_ATOMIC 1
#endif
#endif
#ifndef UT_RACY_ATOMIC
#define UT_RACY_ATOMIC 0
#endif

// The general cases, for any size.
void ut_racy_copy_any(void *to, const void *from, size_t bytes);
void ut_racy_fill_zero_any(void *to, size_t bytes);

// Copy `bytes` bytes between places of any alignment that do not overlap.
static inline void ut_racy_copy(void *to, const void *from, size_t bytes) {
#if !UT_RACY_ATOMIC
    // Elements of regions with gaps come one by one: spare those a call.
    // The compiler is not to know what the pointers point to: where it knows the object's size it
    // warns of the cases that are too large for it, although they are never taken.
    __asm__("" : "+r"(to), "+r"(from));
#define UT_RACY_COPY_CASE(n)                                                                       \
    case n:                                                                                        \
        memcpy(to, from, n);                                                                       \
        __asm__ volatile("" : : "r"(to) : "memory");                                               \
        return
    switch (bytes) {
        UT_RACY_COPY_CASE(1);
        UT_RACY_COPY_CASE(2);
        UT_RACY_COPY_CASE(4);
        UT_RACY_COPY_CASE(8);
        UT_RACY_COPY_CASE(16);
        UT_RACY_COPY_CASE(32);
        UT_RACY_COPY_CASE(64);
    default:
        break;
    }
#undef UT_RACY_COPY_CASE
#endif
    ut_racy_copy_any(to, from, bytes);
}

// Write `bytes` zero bytes.
static inline void ut_racy_fill_zero(void *to, size_t bytes) {
    ut_racy_fill_zero_any(to, bytes);
}

#endif
