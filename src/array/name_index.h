// SPDX-License-Identifier: MIT
/*
 * A map from names to what they name, which also knows which names are path
 * prefixes of others.  Private memory; one thread at a time.
 */
#ifndef UT_NAME_INDEX_H
#define UT_NAME_INDEX_H

#include "untorn.h"

#include <stdbool.h>

typedef struct ut_name_entry {
    char *name;
    void *value;  /* NULL: only a prefix of others */
    size_t below; /* names with a value that this one is a path prefix of */
    struct ut_name_entry *next;
} ut_name_entry;

typedef struct ut_name_index {
    ut_name_entry **buckets;
    size_t bucket_count, entry_count;
} ut_name_index;

/* NULL if the name is not in the index. */
ut_name_entry *ut_name_index_find(const ut_name_index *index, const char *name);
/* Name `value`; there must be no value of this name.  UNTORN_E_NO_MEMORY. */
untorn_status ut_name_index_put(ut_name_index *index, const char *name, void *value);
/* The name means nothing any more. */
void ut_name_index_remove(ut_name_index *index, const char *name);
void ut_name_index_free(ut_name_index *index);

#endif
