// SPDX-License-Identifier: MIT
/*
 * A chained hash table; every path prefix of a name has an entry that counts
 * the names below it.
 */
#include "array/name_index.h"

#include "base/hash.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static ut_name_entry **bucket_of(const ut_name_index *index, const char *name, size_t length) {
    return &index->buckets[ut_hash(name, length) & (index->bucket_count - 1)];
}

static ut_name_entry *find(const ut_name_index *index, const char *name, size_t length) {
    if (index->bucket_count == 0)
        return NULL;
    for (ut_name_entry *entry = *bucket_of(index, name, length); entry != NULL; entry = entry->next)
        if (strncmp(entry->name, name, length) == 0 && entry->name[length] == '\0')
            return entry;
    return NULL;
}

ut_name_entry *ut_name_index_find(const ut_name_index *index, const char *name) {
    return find(index, name, strlen(name));
}

static bool grow(ut_name_index *index) {
    size_t count = index->bucket_count != 0 ? index->bucket_count * 2 : 64;
    ut_name_entry **buckets = calloc(count, sizeof(ut_name_entry *));
    if (buckets == NULL)
        return false;
    ut_name_index bigger = {buckets, count, index->entry_count};
    for (size_t i = 0; i < index->bucket_count; i++)
        for (ut_name_entry *entry = index->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            ut_name_entry **bucket = bucket_of(&bigger, entry->name, strlen(entry->name));
            entry->next = *bucket;
            *bucket = entry;
        }
    free(index->buckets);
    *index = bigger;
    return true;
}

static ut_name_entry *find_or_add(ut_name_index *index, const char *name, size_t length) {
    ut_name_entry *entry = find(index, name, length);
    if (entry != NULL)
        return entry;
    if (index->entry_count >= index->bucket_count && !grow(index))
        return NULL;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL || (entry->name = strndup(name, length)) == NULL) {
        free(entry);
        return NULL;
    }
    ut_name_entry **bucket = bucket_of(index, name, length);
    entry->next = *bucket;
    *bucket = entry;
    index->entry_count++;
    return entry;
}

static void remove_if_empty(ut_name_index *index, ut_name_entry *entry) {
    if (entry->value != NULL || entry->below != 0)
        return;
    ut_name_entry **link = bucket_of(index, entry->name, strlen(entry->name));
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    free(entry->name);
    free(entry);
    index->entry_count--;
}

/* Take `count` prefixes' counts back. */
static void uncount_prefixes(ut_name_index *index, const char *name, size_t before) {
    for (size_t i = 0; i < before; i++)
        if (name[i] == '/') {
            ut_name_entry *prefix = find(index, name, i);
            prefix->below--;
            remove_if_empty(index, prefix);
        }
}

untorn_status ut_name_index_put(ut_name_index *index, const char *name, void *value) {
    size_t length = strlen(name), i = 0;
    for (; i < length; i++) {
        if (name[i] != '/')
            continue;
        ut_name_entry *prefix = find_or_add(index, name, i);
        if (prefix == NULL)
            goto uncount;
        prefix->below++;
    }
    ut_name_entry *entry = find_or_add(index, name, length);
    if (entry == NULL)
        goto uncount;
    entry->value = value;
    return UNTORN_OK;
uncount:
    uncount_prefixes(index, name, i);
    return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the name \"%s\"", name);
}

void ut_name_index_remove(ut_name_index *index, const char *name) {
    ut_name_entry *entry = ut_name_index_find(index, name);
    if (entry == NULL || entry->value == NULL)
        return;
    uncount_prefixes(index, name, strlen(name));
    entry->value = NULL;
    remove_if_empty(index, entry);
}

void ut_name_index_free(ut_name_index *index) {
    for (size_t i = 0; i < index->bucket_count; i++)
        for (ut_name_entry *entry = index->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            free(entry->name);
            free(entry);
        }
    free(index->buckets);
    *index = (ut_name_index){NULL, 0, 0};
}
