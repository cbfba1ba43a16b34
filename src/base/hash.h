// SPDX-License-Identifier: MIT
// The one hash of the library: XXH3 with 64 bits, for checksums of records and for tables.  Its
// value for given bytes is fixed by the xxHash specification, so it may be stored.  Inlined, since
// most of what is hashed is short.  Not for bytes that another process may be changing: copy first.
#ifndef UT_HASH_H
#define UT_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

static inline uint64_t ut_hash(const void *bytes, size_t n) {
    return XXH3_64bits(bytes, n);
}

#endif
