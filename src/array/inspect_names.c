// SPDX-License-Identifier: MIT
/*
 * Looking at the buckets of the catalogue's names (name_bucket.h): whoever opens an array by its
 * name relies on them, and a definition that is in none is there and cannot be found.
 */
#include "array/inspect.h"

#include "array/name_bucket.h"

#include <inttypes.h>
#include <stdlib.h>

/* One bucket's pairs; false: it is damaged. */
static bool look_at_pairs(untorn_inspection *inspection, const ut_descriptor *catalogue,
                          uint64_t bucket, const ut_name_pair *pairs, size_t count,
                          ut_inspected_name *names) {
    uint64_t buckets = ut_catalogue_buckets(catalogue->shape[0]);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        ut_name_pair pair = pairs[i];
        if (pair.object == 0)
            continue;
        if (pair.object >= catalogue->shape[0]) {
            good = false;
            continue;
        }
        ut_inspected_name *name = &names[pair.object];
        if (name->listed || ut_name_bucket(pair.hash, buckets) != bucket ||
            (!name->damaged && (!name->defined || name->hash != pair.hash)))
            ut_inspect_note(inspection,
                            "catalogue: object %" PRIu32 " does not belong into bucket %" PRIu64
                            " of the names",
                            pair.object, bucket);
        name->listed = true;
    }
    return good;
}

static bool look_at_bucket(untorn_inspection *inspection, const ut_descriptor *catalogue,
                           uint64_t bucket, ut_inspected_name *names) {
    ut_segment *segment = &inspection->segment;
    ut_table_cursor cursor = {0};
    ut_place place;
    if (ut_table_lookup(segment, catalogue, bucket * UT_CATALOGUE_STRIDE, &cursor, &place) !=
        UT_FOUND)
        return false;
    if (place.ref == 0)
        return true;
    char *text = NULL;
    size_t length;
    if (ut_text_copy(segment, ut_ref_offset(place.ref), UT_MAX_BUCKET, &text, &length) != UT_FOUND)
        return false;
    bool good =
        length % sizeof(ut_name_pair) == 0 &&
        look_at_pairs(inspection, catalogue, bucket, (const ut_name_pair *)(const void *)text,
                      length / sizeof(ut_name_pair), names);
    free(text);
    return good;
}

void ut_inspect_names(untorn_inspection *inspection, const ut_descriptor *catalogue,
                      ut_inspected_name *names) {
    bool all = true;
    for (uint64_t i = 0; i < ut_catalogue_buckets(catalogue->shape[0]); i++)
        if (!look_at_bucket(inspection, catalogue, i, names)) {
            ut_inspect_note(inspection, "catalogue: bucket %" PRIu64 " of the names is damaged", i);
            all = false;
        }
    /* What was in a damaged one cannot be known. */
    for (uint64_t i = 1; i < catalogue->shape[0] && all; i++)
        if (names[i].defined && !names[i].listed)
            ut_inspect_note(inspection,
                            "catalogue: object %" PRIu64 " is defined, but no bucket names it", i);
}
