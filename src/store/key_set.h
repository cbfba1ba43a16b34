// SPDX-License-Identifier: MIT
/*
 * A set of byte strings, each with a mark: what has been met already, among very many.
 * Private memory; one thread at a time.  Begin with UT_KEY_SET_INIT.
 */
#ifndef UT_KEY_SET_H
#define UT_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

typedef struct ut_key {
    uint64_t hash;
    size_t offset, n; /* in the set's bytes, followed by a NUL */
    bool mark;
} ut_key;

typedef struct ut_key_set {
    ut_key *keys; /* in the order in which they were added */
    size_t count, capacity;
    char *bytes;
    size_t used, room;
    size_t *slots; /* open addressing: a key's number + 1, or 0 */
    size_t slot_count;
} ut_key_set;
#define UT_KEY_SET_INIT                                                                            \
    { NULL, 0, 0, NULL, 0, 0, NULL, 0 }

/* *added (may be NULL): it was not there before.  UNTORN_E_NO_MEMORY. */
untorn_status ut_key_set_add(ut_key_set *set, const void *key, size_t n, bool *added);

/* NULL: it is not there.  Valid until the next add. */
ut_key *ut_key_set_find(const ut_key_set *set, const void *key, size_t n);

/* The i-th key's bytes.  Valid until the next add. */
const char *ut_key_set_bytes(const ut_key_set *set, size_t i);

void ut_key_set_free(ut_key_set *set);

#endif
