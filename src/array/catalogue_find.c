// SPDX-License-Identifier: MIT
/*
 * Finding one definition by its name, at a cost that does not depend on how many there are.
 *
 * The name's bucket (name_bucket.h) has the objects whose names have the same hash; the
 * definition of each, in nearly all cases one, tells its whole name.  All of it is read from one
 * generation of the catalogue, and means nothing until that is found to be valid: not even that
 * there is no such name.
 */
#include "array/name_bucket.h"
#include "array/reader.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdlib.h>

typedef struct wanted {
    const char *name;
    unsigned kind;
    uint32_t object; /* 0: none was found */
    ut_definition *definition;
    untorn_status failure;
} wanted;

/* The definition of this object, if that is what is wanted. */
static ut_found try_object(ut_segment *segment, const ut_descriptor *catalogue, uint32_t object,
                           wanted *w) {
    if (object >= catalogue->shape[0])
        return UT_DAMAGED;
    ut_table_cursor cursor = {0};
    ut_place place;
    ut_found found =
        ut_table_lookup(segment, catalogue, ut_catalogue_cell(object), &cursor, &place);
    if (found != UT_FOUND || place.ref == 0)
        return UT_DAMAGED;
    char *text = NULL;
    size_t length;
    found = ut_text_copy(segment, ut_ref_offset(place.ref), UT_MAX_DEFINITION, &text, &length);
    if (found != UT_FOUND)
        return found;
    unsigned kind;
    const char *name;
    if (!ut_definition_peek(text, length, &kind, &name)) {
        found = UT_DAMAGED;
    } else if (kind == w->kind && strcmp(name, w->name) == 0) {
        w->object = object;
        w->failure = ut_definition_decode(text, length, &w->definition);
    }
    free(text);
    return found;
}

/* UT_FOUND with w->object 0: there is none. */
static ut_found find_in(ut_segment *segment, const ut_descriptor *catalogue, wanted *w) {
    uint64_t buckets = ut_catalogue_buckets(catalogue->shape[0]);
    if (buckets == 0)
        return UT_FOUND;
    uint32_t hash = ut_name_hash(w->name);
    ut_table_cursor cursor = {0};
    ut_place place;
    ut_found found = ut_table_lookup(
        segment, catalogue, ut_name_bucket(hash, buckets) * UT_CATALOGUE_STRIDE, &cursor, &place);
    UT_STEP("bucket's cell read");
    if (found != UT_FOUND || place.ref == 0)
        return found;
    char *text = NULL;
    size_t length;
    found = ut_text_copy(segment, ut_ref_offset(place.ref), UT_MAX_BUCKET, &text, &length);
    if (found != UT_FOUND)
        return found;
    const ut_name_pair *pairs = (const ut_name_pair *)(const void *)text;
    if (length % sizeof *pairs != 0)
        found = UT_DAMAGED;
    for (size_t i = 0; i < length / sizeof *pairs && found == UT_FOUND && w->object == 0; i++)
        if (pairs[i].hash == hash && pairs[i].object != 0)
            found = try_object(segment, catalogue, pairs[i].object, w);
    free(text);
    return found;
}

static void forget(wanted *w) {
    ut_definition_drop(w->definition);
    w->definition = NULL;
    w->object = 0;
    w->failure = UNTORN_OK;
}

/* One attempt, in which everything is of one generation. */
static ut_found attempt(ut_attempts *attempts, wanted *w) {
    ut_segment *segment = attempts->reader->segment;
    ut_header *header = ut_segment_header(segment, 0);
    if (header == NULL)
        return UT_DAMAGED;
    ut_descriptor descriptor = {.stamp = 0};
    ut_found found = ut_attempts_descriptor(attempts, header, &descriptor);
    if (found != UT_FOUND)
        return found;
    forget(w);
    found = ut_catalogue_plausible(&descriptor) ? find_in(segment, &descriptor, w) : UT_DAMAGED;
    UT_STEP("name looked up");
    return ut_hold_valid(&attempts->hold, header, descriptor.stamp) || UT_SEEDED(331)
               ? found
               : UT_NOT_FOUND;
}

untorn_status ut_catalogue_find(untorn_reader *reader, const char *name, unsigned kind,
                                uint32_t *object, ut_definition **definition) {
    wanted w = {.name = name, .kind = kind};
    ut_attempts attempts;
    ut_attempts_begin(&attempts, reader, false);
    untorn_status status;
    ut_found found = UT_NOT_FOUND;
    while (found == UT_NOT_FOUND && (status = ut_attempts_next(&attempts)) == UNTORN_OK)
        found = attempt(&attempts, &w);
    ut_attempts_end(&attempts);
    if (found == UT_DAMAGED)
        status = ut_fail(UNTORN_E_CORRUPT, "%s: damaged catalogue", reader->segment->message_name);
    else if (status == UNTORN_OK && w.failure != UNTORN_OK)
        status = ut_fail(w.failure, "%s: \"%.1000s\": damaged definition",
                         reader->segment->message_name, name);
    if (status != UNTORN_OK) {
        forget(&w);
        return status;
    }
    *object = w.object;
    *definition = w.definition;
    return UNTORN_OK;
}
