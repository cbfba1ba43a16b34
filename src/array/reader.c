// SPDX-License-Identifier: MIT
/*
 * The reader's handle: attaching, opening arrays, listing, and what the segment
 * says of itself.
 */
#include "array/reader.h"

#include "array/name.h"
#include "array/snapshot.h"
#include "base/fork_guard.h"
#include "base/status.h"
#include "segment/writer_lock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ATTEMPTS 8u
#define DEFAULT_THREADS 4u
#define MOST_THREADS 64u
#define MOST_ATTEMPTS 65536u /* more would be a hang */

untorn_status ut_array_fail(const untorn_array *array, untorn_status status, const char *format,
                            ...) {
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return ut_fail(status, "%s: array \"%.1023s\": %s", array->reader->segment->message_name,
                   array->definition->name, reason);
}

/* --- attaching --- */

static untorn_status attach(untorn_reader *reader, const char *name) {
    ut_segment *segment = malloc(sizeof *segment);
    if (segment == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "segment \"%s\": out of memory", name);
    untorn_status status =
        ut_segment_attach(segment, name, false, !(reader->flags & UNTORN_READ_NO_CONTROL));
    if (status != UNTORN_OK) {
        free(segment);
        return status;
    }
    reader->segment = segment;
    ut_lines_init(&reader->lines, segment);
    return UNTORN_OK;
}

untorn_status ut_reader_open(const char *segment, const untorn_reader_options *options,
                             const ut_backing *backing, untorn_reader **out) {
    /* `spin` came later than the other options. */
    if (segment == NULL || out == NULL ||
        (options != NULL && options->struct_size < offsetof(untorn_reader_options, spin)))
        return ut_fail(UNTORN_E_ARGUMENT, "reader_open: no segment name, no place for the handle "
                                          "or uninitialized options");
    untorn_status status = ut_name_check_segment(segment);
    if (status != UNTORN_OK)
        return status;
    untorn_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "segment \"%s\": out of memory", segment);
    reader->flags = options != NULL ? options->flags : 0;
    reader->attempts =
        options != NULL && options->attempts != 0 ? options->attempts : DEFAULT_ATTEMPTS;
    if (reader->attempts > MOST_ATTEMPTS)
        reader->attempts = MOST_ATTEMPTS;
    reader->cache_bytes = options != NULL ? options->cache_bytes : 0;
    reader->threads = options != NULL && options->threads != 0 ? options->threads : DEFAULT_THREADS;
    if (reader->threads > MOST_THREADS)
        reader->threads = MOST_THREADS;
    reader->spin = options != NULL && options->struct_size >= sizeof *options ? options->spin : 0;
    reader->serial = 1;
    ut_fork_generation();
    status = attach(reader, segment);
    if (status != UNTORN_OK) {
        free(reader);
        return status;
    }
    pthread_mutex_init(&reader->lock, NULL);
    reader->backing = backing;
    *out = reader;
    return UNTORN_OK;
}

untorn_status ut_reader_open_flusher(const char *segment, untorn_reader **out) {
    untorn_status status = ut_reader_open(segment, NULL, NULL, out);
    if (status != UNTORN_OK)
        return status;
    (*out)->lines.flusher = true;
    /* The line's lock is kept from here on, so that it cannot be anybody else's. */
    ut_line_give(&(*out)->lines, ut_line_take(&(*out)->lines));
    return UNTORN_OK;
}

static void detach(untorn_reader *reader) {
    if (reader->backed != NULL)
        reader->backing->detach(reader->backed);
    reader->backed = NULL;
    ut_lines_close(&reader->lines);
    ut_catalogue_free(&reader->catalogue);
    memset(&reader->catalogue, 0, sizeof reader->catalogue);
    ut_segment_detach(reader->segment);
    free(reader->segment);
}

void untorn_reader_close(untorn_reader *reader) {
    if (reader == NULL)
        return;
    while (reader->snapshots != NULL)
        untorn_snapshot_close(reader->snapshots);
    ut_snapshot_free_spare(reader);
    while (reader->arrays != NULL)
        untorn_array_close(reader->arrays);
    detach(reader);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}

untorn_status untorn_reader_reattach(untorn_reader *reader) {
    if (reader == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "reattach: no reader");
    untorn_reader fresh = {.flags = reader->flags};
    untorn_status status = attach(&fresh, reader->segment->name);
    if (status != UNTORN_OK)
        return status;
    for (untorn_snapshot *snapshot = reader->snapshots; snapshot != NULL; snapshot = snapshot->next)
        ut_snapshot_invalidate(snapshot);
    detach(reader);
    reader->segment = fresh.segment;
    reader->lines = fresh.lines;
    reader->serial++;
    /* Reading again looks at nothing but this. */
    for (untorn_array *array = reader->arrays; array != NULL; array = array->next)
        array->single_stamp = 0;
    return UNTORN_OK;
}

untorn_status untorn_reader_check(untorn_reader *reader) {
    if (reader == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "check: no reader");
    ut_segment *segment = reader->segment;
    untorn_status named = ut_segment_named(segment);
    if (named != UNTORN_OK)
        return named;
    if (ut_writer_alive(segment))
        return UNTORN_OK;
    if (ut_load_acquire(&segment->super->writer_state) == UT_WRITER_ACTIVE)
        return ut_fail(UNTORN_E_WRITER_DIED, "%s: its writer, process %u, died",
                       segment->message_name, ut_load_relaxed(&segment->super->writer_pid));
    return ut_fail(UNTORN_E_WRITER_CLOSED, "%s: its writer closed", segment->message_name);
}

uint64_t untorn_reader_commit(untorn_reader *reader) {
    return ut_load_acquire(&reader->segment->super->commit);
}

untorn_status untorn_reader_stat(untorn_reader *reader, untorn_stat *stat) {
    if (reader == NULL || stat == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "stat: no reader or no place for the result");
    untorn_status status = ut_catalogue_update(reader);
    if (status != UNTORN_OK)
        return status;
    ut_superblock *super = reader->segment->super;
    memset(stat, 0, sizeof *stat);
    stat->size = super->size;
    stat->reserved = ut_load_relaxed(&super->reserve);
    stat->commit = ut_load_relaxed(&super->commit);
    stat->versions = super->versions;
    stat->created = super->created;
    stat->writer_since = ut_load_relaxed(&super->writer_since);
    stat->writer_pid = (int)ut_load_relaxed(&super->writer_pid);
    pthread_mutex_lock(&reader->lock);
    for (size_t i = 0; i < reader->catalogue.count; i++) {
        stat->arrays += reader->catalogue.entries[i].kind == UT_KIND_ARRAY;
    }
    pthread_mutex_unlock(&reader->lock);
    return UNTORN_OK;
}

/* --- listing --- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const untorn_entry *)a)->name, ((const untorn_entry *)b)->name);
}

static untorn_status add_entry(untorn_listing *listing, size_t *capacity, const char *name,
                               size_t length, untorn_kind kind) {
    if (listing->count == *capacity) {
        size_t more = *capacity != 0 ? *capacity * 2 : 64;
        untorn_entry *entries =
            realloc((void *)(uintptr_t)listing->entries, more * sizeof *entries);
        if (entries == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a listing");
        listing->entries = entries;
        *capacity = more;
    }
    char *copy = strndup(name, length);
    if (copy == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a listing");
    ((untorn_entry *)(uintptr_t)listing->entries)[listing->count++] = (untorn_entry){copy, kind};
    return UNTORN_OK;
}

/* Sorted, keep one of each name. */
static void drop_repeats(untorn_listing *listing) {
    untorn_entry *entries = (untorn_entry *)(uintptr_t)listing->entries;
    size_t kept = 0;
    for (size_t i = 0; i < listing->count; i++) {
        if (kept != 0 && strcmp(entries[kept - 1].name, entries[i].name) == 0)
            free((void *)(uintptr_t)entries[i].name);
        else
            entries[kept++] = entries[i];
    }
    listing->count = kept;
}

/* Arrays, groups with attributes, and every path prefix of either. */
static untorn_status fill_listing(const ut_catalogue *catalogue, untorn_listing *listing) {
    size_t capacity = 0;
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < catalogue->count && status == UNTORN_OK; i++) {
        const ut_catalogue_entry *entry = &catalogue->entries[i];
        if (entry->text == NULL || entry->name[0] == '\0')
            continue;
        size_t length = strlen(entry->name);
        status = add_entry(listing, &capacity, entry->name, length,
                           entry->kind == UT_KIND_ARRAY ? UNTORN_KIND_ARRAY : UNTORN_KIND_GROUP);
        for (size_t at = 1; at < length && status == UNTORN_OK; at++)
            if (entry->name[at] == '/')
                status = add_entry(listing, &capacity, entry->name, at, UNTORN_KIND_GROUP);
    }
    if (status == UNTORN_OK && listing->count > 0) {
        qsort((void *)(uintptr_t)listing->entries, listing->count, sizeof *listing->entries,
              by_name);
        drop_repeats(listing);
    }
    return status;
}

untorn_status untorn_list(untorn_reader *reader, untorn_listing **out) {
    if (reader == NULL || out == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "list: no reader or no place for the listing");
    untorn_status status = ut_catalogue_update(reader);
    if (status != UNTORN_OK)
        return status;
    untorn_listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a listing");
    pthread_mutex_lock(&reader->lock);
    listing->commit = reader->catalogue.commit;
    status = fill_listing(&reader->catalogue, listing);
    pthread_mutex_unlock(&reader->lock);
    if (status != UNTORN_OK) {
        untorn_listing_free(listing);
        return status;
    }
    *out = listing;
    return UNTORN_OK;
}

void untorn_listing_free(untorn_listing *listing) {
    if (listing == NULL)
        return;
    for (size_t i = 0; i < listing->count; i++)
        free((void *)(uintptr_t)listing->entries[i].name);
    free((void *)(uintptr_t)listing->entries);
    free(listing);
}

/* --- array handles --- */

untorn_status ut_array_make(untorn_reader *reader, uint32_t index, ut_definition *definition,
                            untorn_array **out) {
    untorn_array *array = calloc(1, sizeof *array);
    if (array == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory", reader->segment->message_name);
    array->header = ut_segment_header(reader->segment, index);
    if (array->header == NULL) {
        free(array);
        return ut_fail(UNTORN_E_CORRUPT, "%s: object %u has no header",
                       reader->segment->message_name, index);
    }
    array->reader = reader;
    array->serial = reader->serial;
    array->index = index;
    array->definition = definition;
    ut_definition_hold(definition);
    *out = array;
    return UNTORN_OK;
}

void ut_array_free(untorn_array *array) {
    ut_definition_drop(array->definition);
    for (size_t i = 0; i < array->former_count; i++)
        ut_definition_drop(array->former[i]);
    free(array->former);
    free(array->kept);
    free(array);
}

/* Look an array up in the newest catalogue; the definition is held for the caller. */
static untorn_status look_up(untorn_reader *reader, const char *name, uint32_t *index,
                             ut_definition **definition) {
    untorn_status status = ut_catalogue_find(reader, name, UT_KIND_ARRAY, index, definition);
    if (status == UNTORN_OK && *definition == NULL)
        status = ut_fail(UNTORN_E_NO_ARRAY, "%s: array \"%.1000s\": does not exist",
                         reader->segment->message_name, name);
    return status;
}

untorn_status untorn_array_open(untorn_reader *reader, const char *name, untorn_array **out) {
    if (reader == NULL || name == NULL || out == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "array_open: no reader, name or place for the handle");
    untorn_status status = ut_name_check_array(name);
    if (status != UNTORN_OK)
        return status;
    uint32_t index;
    ut_definition *definition;
    status = look_up(reader, name, &index, &definition);
    if (status != UNTORN_OK)
        return status;
    untorn_array *array;
    status = ut_array_make(reader, index, definition, &array);
    ut_definition_drop(definition);
    if (status != UNTORN_OK)
        return status;
    pthread_mutex_lock(&reader->lock);
    array->next = reader->arrays;
    if (array->next != NULL)
        array->next->previous = array;
    reader->arrays = array;
    pthread_mutex_unlock(&reader->lock);
    *out = array;
    return UNTORN_OK;
}

void untorn_array_close(untorn_array *array) {
    if (array == NULL)
        return;
    untorn_reader *reader = array->reader;
    pthread_mutex_lock(&reader->lock);
    if (array->previous != NULL)
        array->previous->next = array->next;
    else
        reader->arrays = array->next;
    if (array->next != NULL)
        array->next->previous = array->previous;
    pthread_mutex_unlock(&reader->lock);
    ut_array_free(array);
}

/* Whoever opened it goes by what it was: how long starts and strides are, and elements. */
static untorn_status check_same_kind(const untorn_array *array, const ut_definition *now) {
    const ut_definition *before = array->definition;
    if (now->rank == before->rank && strcmp(now->dtype.text, before->dtype.text) == 0)
        return UNTORN_OK;
    return ut_array_fail(array, UNTORN_E_MISMATCH,
                         "has data type %s and %u axes now, not %s and %u: open it again",
                         now->dtype.text, now->rank, before->dtype.text, before->rank);
}

/* Out of line: nearly every call of ut_array_resolve() ends before it. */
__attribute__((noinline, cold)) static untorn_status find_again(untorn_array *array) {
    untorn_reader *reader = array->reader;
    uint32_t index;
    ut_definition *definition;
    untorn_status status = look_up(reader, array->definition->name, &index, &definition);
    if (status != UNTORN_OK)
        return status;
    status = check_same_kind(array, definition);
    if (status != UNTORN_OK) {
        ut_definition_drop(definition);
        return status;
    }
    ut_definition **former =
        realloc(array->former, (array->former_count + 1) * sizeof(ut_definition *));
    ut_header *header = ut_segment_header(reader->segment, index);
    if (former == NULL || header == NULL) {
        if (former != NULL)
            array->former = former;
        ut_definition_drop(definition);
        return former == NULL ? ut_array_fail(array, UNTORN_E_NO_MEMORY, "out of memory")
                              : ut_array_fail(array, UNTORN_E_CORRUPT, "has no header");
    }
    array->former = former;
    array->former[array->former_count++] = array->definition;
    array->definition = definition;
    array->index = index;
    array->header = header;
    array->cached.stamp = 0;
    array->checked = array->all_cells = array->single_stamp = 0;
    array->guess = (ut_slot_guess){0};
    array->serial = reader->serial;
    return UNTORN_OK;
}

untorn_status ut_array_resolve(untorn_array *array) {
    if (array == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "no array");
    if (__builtin_expect(array->serial == array->reader->serial, 1))
        return UNTORN_OK;
    return find_again(array);
}

untorn_status untorn_array_get_info(untorn_array *array, untorn_array_info *info) {
    untorn_status status = ut_array_resolve(array);
    if (status == UNTORN_OK)
        ut_definition_info(array->definition, info);
    return status;
}

/* A group that is only a prefix of names is in no bucket: look through all.  *definition NULL: it
 * has no attributes. */
static untorn_status look_through(untorn_reader *reader, const char *group, uint32_t *index,
                                  ut_definition **definition) {
    untorn_status status = ut_catalogue_update(reader);
    if (status != UNTORN_OK)
        return status;
    *definition = NULL;
    bool below;
    pthread_mutex_lock(&reader->lock);
    ut_catalogue_entry *entry = ut_catalogue_find_group(&reader->catalogue, group, &below);
    if (entry != NULL && (status = ut_catalogue_decode(entry, definition)) == UNTORN_OK) {
        ut_definition_hold(*definition);
        *index = (uint32_t)(entry - reader->catalogue.entries);
    }
    pthread_mutex_unlock(&reader->lock);
    if (status != UNTORN_OK)
        return ut_fail(status, "%s: \"%.1000s\": damaged definition", reader->segment->message_name,
                       group);
    if (entry == NULL && !below)
        return ut_fail(UNTORN_E_NO_ARRAY, "%s: group \"%.1000s\": does not exist",
                       reader->segment->message_name, group);
    return UNTORN_OK;
}

untorn_status untorn_group_attributes(untorn_reader *reader, const char *group, char **json) {
    if (reader == NULL || group == NULL || json == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "group_attributes: no reader, group or place");
    uint32_t index;
    ut_definition *definition;
    untorn_status status = ut_catalogue_find(reader, group, UT_KIND_GROUP, &index, &definition);
    if (status == UNTORN_OK && definition == NULL &&
        group[0] != '\0') /* the root is always there */
        status = look_through(reader, group, &index, &definition);
    if (status == UNTORN_OK && definition == NULL) {
        *json = strdup("{}");
        return *json != NULL
                   ? UNTORN_OK
                   : ut_fail(UNTORN_E_NO_MEMORY, "group \"%.256s\": out of memory", group);
    }
    if (status != UNTORN_OK)
        return status;
    untorn_array *array;
    status = ut_array_make(reader, index, definition, &array);
    ut_definition_drop(definition);
    if (status != UNTORN_OK)
        return status;
    status = untorn_attributes(array, json, NULL);
    ut_array_free(array);
    return status;
}
