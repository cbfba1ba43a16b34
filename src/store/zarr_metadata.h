// SPDX-License-Identifier: MIT
/*
 * The text of a Zarr store's metadata files, format 2 and 3, from definitions.
 *
 *   format 2   .zarray, .zattrs, .zgroup, and .zmetadata, which repeats them all
 *   format 3   zarr.json; the root's may repeat all others
 *
 * Choices, each for the sake of the readers that there are:
 *
 * - The same chunk files serve both formats: format 3 gets the chunk key encoding
 *   "v2" with separator ".", so that a chunk is "2.4" and that of rank 0 is "0".
 * - Dimension names are the attribute _ARRAY_DIMENSIONS in format 2, after xarray's
 *   convention: left out when no axis has a name; if only some have, the others
 *   are called dim_0, dim_1, ... by their place.  One that the attributes have
 *   is replaced.  Format 3 has dimension_names, with null for no name.
 * - NaN other than the usual one keeps its bits in format 3 ("0x7fc00001"); format 2
 *   has only "NaN".  The manifest always has the bits.
 * - S and V types are refused in format 3: its specification has no fixed-length
 *   strings; for raw bits it has "r24", zarr-python calls them "raw_bytes", and
 *   neither reads the other's.
 * - The root group tells which commit the store snapshot is of in an attribute
 *   "untorn", replacing one that the user set:
 *     {"uuid":"…","epoch":1,"commit":281474976710659,"time":"2026-01-02T03:04:05.123456789Z"}
 *   Commit numbers are integers of 64 bits.
 *
 * All texts are compact JSON in ASCII (zarr-python 2 reads nothing else), without a
 * newline, and are added to `out`, which the
 * caller may have cleared.  All functions check `attributes` (a JSON object; NULL
 * or "": none) and all names again, and return UNTORN_E_JSON, _CORRUPT or
 * _NO_MEMORY; `out` is then of no use.
 */
#ifndef UT_ZARR_METADATA_H
#define UT_ZARR_METADATA_H

#include <stddef.h>
#include <stdint.h>

#include "array/definition.h"
#include "base/text.h"
#include "untorn.h"

typedef enum ut_zarr_format { UT_ZARR_V2 = 2, UT_ZARR_V3 = 3 } ut_zarr_format;

/* What the root group says about the store snapshot. */
typedef struct ut_zarr_stamp {
    uint64_t uuid[2];
    uint64_t commit;
    int64_t time; /* ns since 1970 */
} ut_zarr_stamp;

/* Whether the array can be in a store of this format: UNTORN_E_DTYPE or, for a
 * chunk that the codec cannot encode, UNTORN_E_LIMIT.  To be asked when the
 * array is defined, so that no flush fails. */
untorn_status ut_zarr_check(ut_zarr_format format, const ut_definition *definition);

/* Format 2: the files of an array and of a group. */
untorn_status ut_zarr_v2_array(ut_growing_text *out, const ut_definition *definition,
                               const uint64_t *shape);
untorn_status ut_zarr_v2_group(ut_growing_text *out);

/* .zattrs of either: `definition` for dimension names, `stamp` for the root; NULL: none. */
untorn_status ut_zarr_v2_attributes(ut_growing_text *out, const ut_definition *definition,
                                    const char *attributes, const ut_zarr_stamp *stamp);

/* Format 3: zarr.json.  UNTORN_E_DTYPE as ut_zarr_check(). */
untorn_status ut_zarr_v3_array(ut_growing_text *out, const ut_definition *definition,
                               const uint64_t *shape, const char *attributes);
untorn_status ut_zarr_v3_group(ut_growing_text *out, const char *attributes,
                               const ut_zarr_stamp *stamp);

/*
 * Consolidated metadata: .zmetadata of format 2, the root's zarr.json of format 3.
 *
 *     ut_zarr_consolidate_begin(&c, format, out, root attributes, stamp);
 *     ut_zarr_consolidate_add(&c, "group/array", ".zarray", text); ...
 *     ut_zarr_consolidate_end(&c);
 *
 * Format 2 also wants the root's own files, of name "".  Format 3 does not; there
 * `file` does not matter, and there is one per node.
 */
typedef struct ut_zarr_consolidation {
    ut_zarr_format format;
    ut_growing_text *out;
    size_t count;
} ut_zarr_consolidation;

untorn_status ut_zarr_consolidate_begin(ut_zarr_consolidation *c, ut_zarr_format format,
                                        ut_growing_text *out, const char *attributes,
                                        const ut_zarr_stamp *stamp);
untorn_status ut_zarr_consolidate_add(ut_zarr_consolidation *c, const char *name, const char *file,
                                      const char *content);
untorn_status ut_zarr_consolidate_end(ut_zarr_consolidation *c);

/*
 * The name of a chunk's file: "2.4", rank 0: "0".  `number` is the chunk's linear
 * number in a grid of `cells` (ut_grid_cells()) chunks.  Returns the length.
 */
#define UT_ZARR_KEY_BYTES 337 /* 16 numbers of 20 digits, dots, NUL */
size_t ut_zarr_chunk_key(unsigned rank, const uint64_t *cells, uint64_t number,
                         char key[UT_ZARR_KEY_BYTES]);

#endif
