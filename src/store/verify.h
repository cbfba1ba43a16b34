// SPDX-License-Identifier: MIT
/*
 * Verifying a store: what the parts of it share.
 *
 * Every file is read once, however many snapshots reach it: an array's directory is known by its
 * name and the hash of its manifest, a chunk file that is linked more than once by its inode and
 * what its record says.  Damage is told and counted, and never ends the verifying; what keeps it
 * from looking (rights, memory) does.
 */
#ifndef UT_VERIFY_H
#define UT_VERIFY_H

#include "base/status.h"
#include "store/key_set.h"
#include "store/snapshot_parts.h"
#include "store/store_view.h"

/* What an array's metadata files have to be, from its manifest. */
typedef struct ut_verify_texts {
    unsigned format; /* 0: the manifest is damaged, so nobody knows */
    char *metadata;
    char *zattrs; /* NULL: there is no .zattrs */
} ut_verify_texts;

typedef struct ut_verify {
    ut_store store;
    untorn_verify_options options;
    untorn_verify_result result;
    uint64_t done, told, total;
    ut_key_set arrays;      /* that were met */
    ut_verify_texts *texts; /* of each of them */
    size_t texts_capacity;
    ut_key_set files; /* chunk files of several names that were met */
    void *chunk;      /* room for one */
    size_t chunk_bytes;
    ut_codec_scratch scratch;
    char first[UT_MESSAGE_BYTES]; /* what was told first */
} ut_verify;

/* One snapshot being verified. */
typedef struct ut_verify_snapshot {
    ut_verify *verify;
    char path[UT_STORE_PATH_MAX];
    int lease; /* -1: none could be had, so it may be deleted meanwhile */
    ut_store_view *view;
    ut_snapshot_writer nodes; /* only its list of nodes is used */
    bool nodes_known;         /* no array's texts are missing */
} ut_verify_snapshot;

/* What a snapshot's parts return when the snapshot was deleted meanwhile. */
#define UT_VERIFY_GONE UNTORN_E_NO_COMMIT

/* A file is damaged: tell the thread's last sentence. */
void ut_verify_damaged(ut_verify *verify);

/* Turn what came of looking at a file into UNTORN_OK, having told damage, UT_VERIFY_GONE, or what
 * ends the verifying. */
untorn_status ut_verify_note(ut_verify_snapshot *snapshot, untorn_status status);

/* So many bytes more are done. */
void ut_verify_progress(ut_verify *verify, uint64_t bytes);

/* DIRECTORY/FILE is exactly `text`, of `n` bytes. */
untorn_status ut_verify_text(ut_verify_snapshot *snapshot, const char *directory, const char *file,
                             const char *text, size_t n);

/* An array: its link in the snapshot, and, if it was not met before, all its files.  It is added to
 * the snapshot's nodes. */
untorn_status ut_verify_array(ut_verify_snapshot *snapshot, const ut_manifest_object *object);

/* The snapshot's own metadata files, after all objects are in its nodes. */
untorn_status ut_verify_metadata(ut_verify_snapshot *snapshot);

#endif
