// SPDX-License-Identifier: MIT
/*
 * Small stores without a segment: snapshots of three arrays and some groups, whose every byte
 * follows from the array, the chunk and the commit that wrote it.
 *
 *   "a"      10 x 7 of i4 in chunks of 4 x 4, lz4, dimension names and attributes
 *   "g/b"    30 of f8 in chunks of 8, none, fill value 1.5, chunk 2 absent
 *   "g/h/c"  one u1, lz4
 *   groups: the root, "e" and "g" with attributes, "g/h" only implied
 */
#ifndef UT_TEST_SAMPLE_STORE_H
#define UT_TEST_SAMPLE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/snapshot_writer.h"
#include "store/store_view.h"

#define SAMPLE_ARRAYS 3
#define SAMPLE_FILES (6 + 3 + 1) // chunk files of a snapshot all of which was written
extern const char *const sample_names[SAMPLE_ARRAYS];

// Commits as a segment's first epoch has them.
#define SAMPLE_COMMIT(n) ((UINT64_C(1) << 48) + (n))

// A fresh store, open for writing, in a directory that goes when the process ends.
void sample_begin(ut_store *store, const char *what);

// Publish a snapshot.  previous: commit of the one to link from, 0: none.  Of arrays whose bit is
// in `changed`, chunk 0 is written anew and the others are linked; the rest is linked whole.
void sample_publish(const ut_store *store, uint64_t commit, uint64_t previous, unsigned changed,
                    ut_zarr_format format, bool real_directories);

// The chunk as it has to be read: what `version` wrote within the extent, else the fill value.
void sample_chunk(const ut_stored_array *array, const ut_manifest_chunk *chunk, void *bytes);

// Read every chunk of every array of the snapshot and compare.
void sample_check(const ut_store *store, uint64_t commit);

// The array of this name in a view.
ut_stored_array *sample_array(const ut_store_view *view, const char *name);

// STORE/snapshots/<commit>/<rest>, and the real directory of an array there; static memory each.
const char *sample_path(const ut_store *store, uint64_t commit, const char *rest);
const char *sample_array_path(const ut_store *store, uint64_t commit, const char *name);

// Change one bit; shorten or lengthen by a byte; replace all.
void sample_flip(const char *path, uint64_t bit);
void sample_resize(const char *path, int by);
void sample_write(const char *path, const void *bytes, size_t n);
size_t sample_read(const char *path, unsigned char **bytes); // free() them

#endif
