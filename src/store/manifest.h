// SPDX-License-Identifier: MIT
/*
 * Manifests: the binary files that say what a store holds, so that a restart
 * needs no JSON and every chunk file can be checked.  docs/manifest.md has the
 * format byte by byte.
 *
 *   array manifest      one per array directory: definition, shape, attributes,
 *                       and a record for each chunk that has a file
 *   snapshot manifest   one per store snapshot: the groups with their attributes
 *                       and the arrays, with the directory and the hash of the
 *                       manifest of each
 *
 * Both are written front to back through a sink, however many records there are,
 * and read in place: memory of the file's bytes, aligned to 8, that does not
 * change while the view is open; mmap() of an immutable file will do.  Opening
 * checks everything: the file's own hash, and that all fields and records are
 * possible and in order.  After that, looking up a chunk is a binary search in
 * the file's bytes.
 *
 * What a manifest cannot know is its user's to check: that uuid is the store's,
 * that directories and files exist, and that an array manifest is the one that
 * the snapshot manifest names (uid, name, file_bytes, file_hash).
 */
#ifndef UT_MANIFEST_H
#define UT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "array/definition.h"
#include "store/lineage.h"
#include "untorn.h"

#define UT_MANIFEST_VERSION 1u
#define UT_MANIFEST_MAX_DIRECTORY 255u

/* One chunk's file.  This is the record itself, in place. */
typedef struct ut_manifest_chunk {
    uint64_t number;   /* linear, in the grid of the manifest's shape */
    uint64_t version;  /* the commit that wrote the chunk */
    uint64_t bytes;    /* of the file */
    uint64_t hash;     /* ut_hash() of the file */
    uint64_t extent[]; /* `rank` elements: how much of the chunk was visible, from its begin */
} ut_manifest_chunk;

/* ------------------------------------------------------------ reading */

typedef struct ut_manifest_array {
    uint64_t uuid[2]; /* of the store */
    uint64_t uid;
    uint64_t generation;
    uint64_t commit;      /* that published the generation */
    uint64_t data_commit; /* that last changed data or shape */
    int64_t time;         /* of the commit, ns since 1970 */
    unsigned zarr_format; /* 2 or 3 */
    unsigned rank;
    uint64_t shape[UNTORN_MAX_RANK];
    uint64_t cells[UNTORN_MAX_RANK]; /* chunks along each axis */
    ut_definition *definition;
    const char *attributes; /* in place, NUL-terminated; "": none */
    uint64_t count;         /* of chunks that have a file */
    const unsigned char *records;
    size_t record_bytes;
    uint64_t file_bytes;
    uint64_t file_hash; /* that the file ends with */
} ut_manifest_array;

/* UNTORN_E_CORRUPT, _VERSION, _NO_MEMORY; _ARGUMENT: not aligned. */
untorn_status ut_manifest_open_array(const void *bytes, size_t n, ut_manifest_array *array);
void ut_manifest_close_array(ut_manifest_array *array);

/* The i-th record, ascending by number; that of a chunk, or NULL if it has no file. */
const ut_manifest_chunk *ut_manifest_chunk_at(const ut_manifest_array *array, uint64_t i);
const ut_manifest_chunk *ut_manifest_find_chunk(const ut_manifest_array *array, uint64_t number);

/* Whether the file still is what a chunk of this version and visible extent is. */
bool ut_manifest_same_chunk(const ut_manifest_chunk *chunk, unsigned rank, uint64_t version,
                            const uint64_t *extent);

/* What an array's chunk files are together, so that telling it takes no look at each array. */
typedef struct ut_manifest_totals {
    bool known; /* false: a group, or an older writer did not say */
    uint64_t chunks;
    uint64_t file_bytes;
    uint64_t data_bytes; /* of what is visible of these chunks, not encoded */
} ut_manifest_totals;

/* The sums over an array manifest's records. */
ut_manifest_totals ut_manifest_count(const ut_manifest_array *array);

/* A group or array of a store snapshot. */
typedef struct ut_manifest_object {
    unsigned kind; /* UT_KIND_GROUP or UT_KIND_ARRAY */
    uint64_t uid;
    uint64_t generation;
    uint64_t commit;
    uint64_t data_commit;
    int64_t time;
    uint64_t file_bytes;    /* arrays: of the array manifest */
    uint64_t file_hash;     /* arrays: that the array manifest ends with */
    const char *name;       /* "" is the root group */
    const char *directory;  /* arrays: its name in the store's arrays/, or "": it lies in the
                               snapshot  itself, under the array's name; groups: "" */
    const char *attributes; /* groups: JSON, or "" for none; arrays: "" */
    ut_manifest_totals totals;
} ut_manifest_object;

typedef struct ut_manifest_snapshot {
    uint64_t uuid[2];
    uint64_t commit;
    int64_t time;
    uint64_t next_uid;    /* above all that were ever given out */
    unsigned zarr_format; /* of arrays that are written anew */
    ut_lineage lineage;   /* of the segment that flushed it */
    uint64_t count;
    const unsigned char *bytes;
    uint64_t *offsets; /* of the objects, ascending by name in byte order */
    uint64_t file_bytes;
    uint64_t file_hash;
} ut_manifest_snapshot;

/* As ut_manifest_open_array().  Also checks that names and uids occur once, and
 * that no array's name is a path prefix of another object's. */
untorn_status ut_manifest_open_snapshot(const void *bytes, size_t n,
                                        ut_manifest_snapshot *snapshot);
void ut_manifest_close_snapshot(ut_manifest_snapshot *snapshot);

/* The i-th object; the texts are in place.  By name: false if there is none. */
void ut_manifest_object_at(const ut_manifest_snapshot *snapshot, uint64_t i,
                           ut_manifest_object *object);
bool ut_manifest_find_object(const ut_manifest_snapshot *snapshot, const char *name,
                             ut_manifest_object *object);

/* ------------------------------------------------------------ writing */

/* Takes the file's next bytes.  A failure ends the writing and is passed on. */
typedef untorn_status ut_manifest_sink(void *context, const void *bytes, size_t n);

typedef struct ut_manifest_writer ut_manifest_writer;

/* An array manifest.  Of `head`, uuid, generation, commit, data_commit, time and
 * zarr_format are used.  attributes: NULL or "": none.
 * UNTORN_E_ARGUMENT, _NO_MEMORY, or what the sink returned. */
untorn_status ut_manifest_begin_array(ut_manifest_writer **writer, const ut_manifest_array *head,
                                      const ut_definition *definition, const uint64_t *shape,
                                      const char *attributes, ut_manifest_sink *sink,
                                      void *context);

/* The next chunk; numbers ascend.  UNTORN_E_ARGUMENT, or from the sink. */
untorn_status ut_manifest_add_chunk(ut_manifest_writer *writer, uint64_t number, uint64_t version,
                                    const uint64_t *extent, uint64_t bytes, uint64_t hash);

/* Of the chunks added so far. */
ut_manifest_totals ut_manifest_written(const ut_manifest_writer *writer);

/* A snapshot manifest.  Of `head`, uuid, commit, time, next_uid, zarr_format and lineage are used.
 */
untorn_status ut_manifest_begin_snapshot(ut_manifest_writer **writer,
                                         const ut_manifest_snapshot *head, ut_manifest_sink *sink,
                                         void *context);

/* The next object; names ascend in byte order. */
untorn_status ut_manifest_add_object(ut_manifest_writer *writer, const ut_manifest_object *object);

/* Write what is left.  *bytes and *hash (may be NULL) get the file's length and the hash it ends
 * with.  Frees the writer, also on failure. */
untorn_status ut_manifest_end(ut_manifest_writer *writer, uint64_t *bytes, uint64_t *hash);

/* Free the writer without finishing the file.  NULL is allowed. */
void ut_manifest_abandon(ut_manifest_writer *writer);

#endif
