// SPDX-License-Identifier: MIT
// Atomics with the memory order in the name.  The whole library goes through these, so that every
// use shows which order it relies on and can be justified where it stands: say what the operation
// pairs with and what breaks without it.  x86 hides missing fences; write for ARM64 and RISC-V.
//
// The load, store and read-modify-write macros take a pointer to an _Atomic object of 32 or 64
// bits.  All of these are lock-free on every machine that the library is built for, which the
// static asserts below insist on: a lock hidden in a process would not work across processes.
#ifndef UT_ATOMIC_ORDER_H
#define UT_ATOMIC_ORDER_H

#include <stdatomic.h>
#include <stdint.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2 &&
                   ATOMIC_LLONG_LOCK_FREE == 2,
               "shared memory needs lock-free atomics of 32 and 64 bits");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4,
               "atomics in shared memory have the size of their values");

// One whole value, in no order with anything else: counters, hints, and every field that a fence
// or a later check makes good.
#define ut_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)

// Sees everything that was written before the store-release that it reads from.
#define ut_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)

// One whole value, published by something later: a store-release or a fence.
#define ut_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

// Publishes everything that this thread wrote before it, streaming stores excepted: those need
// ut_store_fence() first.
#define ut_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)

// Statistics and other counts that order nothing.
#define ut_fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define ut_fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)

// A count that publishes what was written before it.
#define ut_fetch_add_release(p, v) atomic_fetch_add_explicit((p), (v), memory_order_release)

// Take over a word that several may want: acquires what its last owner released and releases what
// was prepared for the next.  On failure `*expected` gets the value found, acquired.
#define ut_compare_exchange_acq_rel(p, expected, desired)                                          \
    atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acq_rel,      \
                                            memory_order_acquire)

// GCC warns that ThreadSanitizer does not model fences.  It need not: all that the fences order is
// read and written by atomics or by ut_racy_copy(), which ThreadSanitizer takes as ordered enough.
#if defined(__GNUC__) && !defined(__clang__) && defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif

// Between reads that must not be done later than this and the check that makes them good: no read
// before the fence moves behind any access after it.
static inline void ut_fence_acquire(void) {
    atomic_thread_fence(memory_order_acquire);
}

// Between a word that warns (a stamp taken away, a window raised) and the ordinary writes it warns
// of: whoever sees one of those writes and then fences, sees the warning too.
static inline void ut_fence_release(void) {
    atomic_thread_fence(memory_order_release);
}

// Between one's own store and a load of what another stores, in both parties: at least one of the
// two sees the other's store.  Only this fence orders a store with a later load.
static inline void ut_fence_seq_cst(void) {
    atomic_thread_fence(memory_order_seq_cst);
}

// A release fence that streaming (non-temporal) stores cannot pass.  A large memcpy writes with
// them; x86 leaves them in write-combining buffers, from which they may become visible before
// earlier ordinary stores and after later ones.  A release fence is there only a barrier to the
// compiler, and a store-release a plain mov: neither empties the buffers, sfence does.  Elsewhere
// a release fence is an instruction that orders every kind of store.
static inline void ut_store_fence(void) {
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("sfence" ::: "memory");
#endif
    atomic_thread_fence(memory_order_release);
}

#if defined(__GNUC__) && !defined(__clang__) && defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic pop
#endif

#endif
