// SPDX-License-Identifier: MIT
/*
 * A store's directory: what lies where, who may write to it, and which snapshots it has.
 *
 *   STORE/.lock                             who holds its lock is the store's writer
 *   STORE/latest -> snapshots/<commit>      replaced by one rename
 *   STORE/snapshots/<commit>/               a store snapshot: a Zarr group; immutable
 *       .manifest .lease .zgroup ...        (.lease: readers lock it to keep the snapshot)
 *   STORE/arrays/<uid>-<commit>-<nonce>/    one array's metadata and chunk files; immutable
 *       .manifest .zarray ... 0.0 0.1 ...
 *   STORE/passed-over/<commit>/             a damaged snapshot that a restart put aside; for people
 *   STORE/.../.tmp-<nonce>                  being built, or being deleted
 *
 * Numbers in names are decimal, a nonce is 16 hexadecimal digits.
 */
#ifndef UT_STORE_DIRECTORY_H
#define UT_STORE_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

#define UT_STORE_ASIDE "passed-over"
#define UT_STORE_PATH_MAX 4096 /* of anything in it */

typedef struct ut_store {
    char path[UNTORN_MAX_STORE_PATH]; /* absolute, resolved */
    char who[256];                    /* how messages begin: `store "PATH"` */
    int lock_fd;                      /* -1: open for looking only */
} ut_store;

/* Open a store.  write: make it if it is not there (its parent must be), take its lock (never
 * inherited over a fork; UNTORN_E_BUSY says which process holds it), and remove what an unfinished
 * flush left.  Else UNTORN_E_NO_STORE if there is none: a directory without snapshots/ is none.
 * write refuses a directory that has something in it but is no store: UNTORN_E_ARGUMENT. */
untorn_status ut_store_open(ut_store *store, const char *path, bool write);
void ut_store_close(ut_store *store);

/* The absolute, resolved form of a store's path, which need not exist but for its parent. */
untorn_status ut_store_resolve(const char *path, char resolved[UNTORN_MAX_STORE_PATH]);

/* STORE/ and the formatted rest.  UNTORN_E_LIMIT if it is too long. */
untorn_status ut_store_path(const ut_store *store, char path[UT_STORE_PATH_MAX], const char *format,
                            ...) __attribute__((format(printf, 3, 4)));

/* For the names of what is being built or deleted: a number that was hardly ever used before. */
uint64_t ut_store_nonce(void);

/* The commits of the snapshots that are there, descending; free() the list. */
untorn_status ut_store_commits(const ut_store *store, uint64_t **commits, size_t *count);

/* What `latest` names; 0: there is none, or it names none of the snapshots. */
untorn_status ut_store_latest(const ut_store *store, uint64_t *commit);

/* Make `latest` name this snapshot: one rename, synced. */
untorn_status ut_store_set_latest(const ut_store *store, uint64_t commit);

/* For a snapshot that is found in its place instead of being written: publishing it may have failed
 * when it could no longer be taken back, so sync its name, and let `latest` name it unless that
 * names a newer one. */
untorn_status ut_store_confirm(const ut_store *store, uint64_t commit);

#endif
