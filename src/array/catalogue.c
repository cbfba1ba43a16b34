// SPDX-License-Identifier: MIT
/*
 * The reader's private copy of the catalogue, for whoever wants all of it: the
 * texts of definitions by object index.  Who wants one goes by its name, see
 * catalogue_find.c.
 *
 * It is brought up to date by walking the catalogue's table and reading only the
 * texts whose version differs from what is there; a version never has two
 * contents.
 */
#include "array/reader.h"

#include "base/hash.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>
#include <string.h>

ut_found ut_text_copy(ut_segment *segment, uint64_t offset, uint64_t most, char **text,
                      size_t *length) {
    ut_text head;
    const void *place = ut_at(segment, offset, sizeof head);
    if (place == NULL)
        return UT_DAMAGED;
    ut_racy_copy(&head, place, sizeof head);
    UT_STEP("text begins");
    if (head.length > most || (place = ut_at(segment, offset + sizeof head, head.length)) == NULL)
        return UT_DAMAGED;
    char *copy = malloc(head.length + 1);
    if (copy == NULL)
        return UT_NOT_FOUND;
    ut_racy_copy(copy, place, head.length);
    copy[head.length] = '\0';
    UT_STEP("text copied");
    if (ut_hash(copy, head.length) != head.check) {
        free(copy);
        return UT_DAMAGED;
    }
    *text = copy;
    *length = head.length;
    return UT_FOUND;
}

typedef struct fresh_entry {
    uint64_t index;
    ut_catalogue_entry entry;
} fresh_entry;

typedef struct fresh_entries {
    fresh_entry *list;
    size_t count, capacity;
} fresh_entries;

static bool add_fresh(fresh_entries *fresh, uint64_t index, ut_catalogue_entry entry) {
    if (fresh->count == fresh->capacity) {
        size_t capacity = fresh->capacity != 0 ? fresh->capacity * 2 : 64;
        fresh_entry *list = realloc(fresh->list, capacity * sizeof *list);
        if (list == NULL)
            return false;
        fresh->list = list;
        fresh->capacity = capacity;
    }
    fresh->list[fresh->count++] = (fresh_entry){index, entry};
    return true;
}

static void free_entry(ut_catalogue_entry *entry) {
    free(entry->text);
    ut_definition_drop(entry->definition);
    memset(entry, 0, sizeof *entry);
}

static void free_fresh(fresh_entries *fresh) {
    for (size_t i = 0; i < fresh->count; i++)
        free_entry(&fresh->list[i].entry);
    free(fresh->list);
}

static ut_found read_entry(ut_segment *segment, ut_place place, ut_catalogue_entry *entry) {
    ut_found found = ut_text_copy(segment, ut_ref_offset(place.ref), UT_MAX_DEFINITION,
                                  &entry->text, &entry->length);
    if (found == UT_FOUND &&
        !ut_definition_peek(entry->text, entry->length, &entry->kind, &entry->name))
        found = UT_DAMAGED;
    if (found != UT_FOUND)
        free_entry(entry);
    return found;
}

/* Read what differs from the entries. */
static ut_found collect(ut_catalogue *catalogue, ut_attempts *attempts, ut_header *header,
                        const ut_descriptor *descriptor, fresh_entries *fresh) {
    ut_segment *segment = attempts->reader->segment;
    ut_table_cursor cursor = {0};
    uint64_t count = descriptor->shape[0];
    for (uint64_t i = 1; i < count || i < catalogue->count; i++) {
        ut_place place = {0, 0};
        if (i < count) {
            ut_found found =
                ut_table_lookup(segment, descriptor, ut_catalogue_cell(i), &cursor, &place);
            if (found != UT_FOUND)
                return found;
        }
        uint64_t version = place.ref != 0 ? place.version : 0;
        if (version == (i < catalogue->count ? catalogue->entries[i].version : 0))
            continue;
        ut_catalogue_entry entry = {.version = version};
        if (version != 0) {
            ut_found found = read_entry(segment, place, &entry);
            if (found != UT_FOUND)
                return found;
        }
        if (!add_fresh(fresh, i, entry)) {
            free_entry(&entry);
            return UT_NOT_FOUND;
        }
        if ((fresh->count & 63) == 0 && !ut_hold_valid(&attempts->hold, header, descriptor->stamp))
            return UT_NOT_FOUND;
    }
    return UT_FOUND;
}

ut_catalogue_entry *ut_catalogue_find_group(const ut_catalogue *catalogue, const char *group,
                                            bool *below) {
    ut_catalogue_entry *found = NULL;
    size_t length = strlen(group);
    *below = false;
    for (size_t i = 0; i < catalogue->count; i++) {
        ut_catalogue_entry *entry = &catalogue->entries[i];
        if (entry->name == NULL || strncmp(entry->name, group, length) != 0)
            continue;
        *below |= entry->name[length] == '/';
        if (entry->name[length] == '\0' && entry->kind == UT_KIND_GROUP)
            found = entry;
    }
    return found;
}

untorn_status ut_catalogue_decode(ut_catalogue_entry *entry, ut_definition **definition) {
    if (entry->definition == NULL) {
        untorn_status status = ut_definition_decode(entry->text, entry->length, &entry->definition);
        if (status != UNTORN_OK)
            return status;
    }
    *definition = entry->definition;
    return UNTORN_OK;
}

static untorn_status apply(ut_catalogue *catalogue, fresh_entries *fresh) {
    for (size_t i = 0; i < fresh->count; i++) {
        uint64_t index = fresh->list[i].index;
        if (index >= catalogue->capacity) {
            size_t capacity = catalogue->capacity != 0 ? catalogue->capacity : 64;
            while (capacity <= index)
                capacity *= 2;
            ut_catalogue_entry *entries = realloc(catalogue->entries, capacity * sizeof *entries);
            if (entries == NULL)
                return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the catalogue");
            memset(entries + catalogue->capacity, 0,
                   (capacity - catalogue->capacity) * sizeof *entries);
            catalogue->entries = entries;
            catalogue->capacity = capacity;
        }
        if (index >= catalogue->count)
            catalogue->count = index + 1;
        free_entry(&catalogue->entries[index]);
        catalogue->entries[index] = fresh->list[i].entry;
        memset(&fresh->list[i].entry, 0, sizeof fresh->list[i].entry);
    }
    return UNTORN_OK;
}

/* Start anew after a failure half-way. */
static void reset(ut_catalogue *catalogue) {
    ut_catalogue_free(catalogue);
    memset(catalogue, 0, sizeof *catalogue);
}

bool ut_catalogue_plausible(const ut_descriptor *descriptor) {
    return (descriptor->kind & UT_KIND_MASK) == UT_KIND_CATALOGUE && descriptor->uid == 1 &&
           ut_kind_rank(descriptor->kind) == 1 && descriptor->shape[0] <= UT_MAX_OBJECTS &&
           descriptor->cells == ut_catalogue_cells(descriptor->shape[0]);
}

ut_found ut_catalogue_refresh(ut_catalogue *catalogue, ut_attempts *attempts,
                              untorn_status *failure) {
    ut_segment *segment = attempts->reader->segment;
    *failure = UNTORN_OK;
    ut_header *header = ut_segment_header(segment, 0);
    if (header == NULL)
        return UT_DAMAGED;
    ut_found found = ut_attempts_descriptor(attempts, header, &catalogue->descriptor);
    if (found != UT_FOUND)
        return found;
    const ut_descriptor *descriptor = &catalogue->descriptor;
    if (descriptor->stamp == catalogue->stamp)
        return UT_FOUND;
    /* A pin's commit may be older than what another thread has brought the shared one up to:
     * what somebody saw must stay. */
    if (!attempts->group && descriptor->stamp < catalogue->stamp && !UT_SEEDED(124))
        return UT_FOUND;
    if (!ut_catalogue_plausible(descriptor))
        return UT_DAMAGED;
    fresh_entries fresh = {NULL, 0, 0};
    found = collect(catalogue, attempts, header, descriptor, &fresh);
    UT_STEP("catalogue collected");
    if (!ut_hold_valid(&attempts->hold, header, descriptor->stamp))
        found = UT_NOT_FOUND;
    if (found == UT_FOUND) {
        *failure = apply(catalogue, &fresh);
        if (*failure == UNTORN_OK) {
            catalogue->stamp = descriptor->stamp;
            catalogue->commit = descriptor->commit;
        } else {
            reset(catalogue);
        }
    }
    free_fresh(&fresh);
    return found;
}

void ut_catalogue_free(ut_catalogue *catalogue) {
    for (size_t i = 0; i < catalogue->count; i++)
        free_entry(&catalogue->entries[i]);
    free(catalogue->entries);
    catalogue->entries = NULL;
    catalogue->count = catalogue->capacity = 0;
}

untorn_status ut_catalogue_update(untorn_reader *reader) {
    ut_attempts attempts;
    ut_attempts_begin(&attempts, reader, false);
    untorn_status status;
    for (;;) {
        status = ut_attempts_next(&attempts);
        if (status != UNTORN_OK)
            break;
        pthread_mutex_lock(&reader->lock);
        ut_found found = ut_catalogue_refresh(&reader->catalogue, &attempts, &status);
        pthread_mutex_unlock(&reader->lock);
        if (found == UT_FOUND || status != UNTORN_OK)
            break;
        if (found == UT_DAMAGED) {
            status =
                ut_fail(UNTORN_E_CORRUPT, "%s: damaged catalogue", reader->segment->message_name);
            break;
        }
    }
    ut_attempts_end(&attempts);
    return status;
}
