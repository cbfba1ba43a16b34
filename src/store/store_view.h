// SPDX-License-Identifier: MIT
/*
 * Reading a store snapshot: its manifests, mapped, and the chunks that they name.
 *
 * Nothing on the disk is trusted: a manifest is checked whole when it is opened, an array's
 * manifest against what the snapshot's says of it, a chunk file's length and hash against its
 * record before it is decoded.
 *
 * A view may be used by many threads at once; opening and closing arrays of it is the owner's.
 * Snapshots can be deleted while they are read: a file that is not there is UNTORN_E_ABSENT, and
 * the caller knows whether it ought to be there.
 */
#ifndef UT_STORE_VIEW_H
#define UT_STORE_VIEW_H

#include "store/codec.h"
#include "store/manifest.h"
#include "store/store_directory.h"

typedef struct ut_store_view {
    char path[UT_STORE_PATH_MAX]; /* of the snapshot's directory */
    char store_path[UNTORN_MAX_STORE_PATH];
    char who[256];
    ut_manifest_snapshot manifest;
    void *mapping;
    size_t mapped;
} ut_store_view;

/* The snapshot of this commit.  UNTORN_E_ABSENT: there is none.  UNTORN_E_CORRUPT, _VERSION (what
 * is damaged is named), _PERMISSION, _NO_MEMORY, _SYSTEM. */
untorn_status ut_store_view_open(const ut_store *store, uint64_t commit, ut_store_view **view);
void ut_store_view_close(ut_store_view *view);

/* An array of it. */
typedef struct ut_stored_array {
    char path[UT_STORE_PATH_MAX]; /* of its directory */
    char who[256];
    ut_manifest_array manifest;
    ut_codec codec;
    void *mapping;
    size_t mapped;
} ut_stored_array;

/* Open an array that the snapshot's manifest names.  Its directory is STORE/arrays/<directory>, or,
 * if the manifest gives none, the place of its name in the snapshot itself. */
untorn_status ut_stored_array_open(const ut_store_view *view, const ut_manifest_object *object,
                                   ut_stored_array **array);
void ut_stored_array_close(ut_stored_array *array);

/* The path of a chunk's file. */
untorn_status ut_stored_chunk_path(const ut_stored_array *array, uint64_t number,
                                   char path[UT_STORE_PATH_MAX]);

/* Read, check and decode a chunk: manifest.definition->slot_bytes bytes.  What lies beyond the
 * record's extent is the fill value.  UNTORN_E_ABSENT: no such file.  UNTORN_E_CORRUPT names the
 * file and what is wrong with it. */
untorn_status ut_stored_chunk_read(const ut_stored_array *array, const ut_manifest_chunk *chunk,
                                   void *out, ut_codec_scratch *scratch);

#endif
