// SPDX-License-Identifier: MIT
/*
 * Verifying a store; verify.h says how.
 *
 * The writer may go on flushing and deleting.  A snapshot is held by its lease while it is looked
 * at; where that cannot be had (no rights, no locks on this file system), what is missing is damage
 * only if the snapshot is still there after it was missed.
 */
#include "store/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_ops.h"
#include "segment/layout.h"
#include "store/lease.h"
#include "store/stored_file.h"

#define TELL_EVERY ((uint64_t)1 << 20) /* bytes between calls of the progress callback */

void ut_verify_damaged(ut_verify *verify) {
    const char *sentence = untorn_message();
    if (verify->result.damaged++ == 0)
        snprintf(verify->first, sizeof verify->first, "%s", sentence);
    if (verify->options.damaged != NULL)
        verify->options.damaged(verify->options.context, sentence);
}

untorn_status ut_verify_note(ut_verify_snapshot *snapshot, untorn_status status) {
    if (status != UNTORN_E_CORRUPT && status != UNTORN_E_VERSION && status != UNTORN_E_ABSENT)
        return status;
    struct stat there;
    if (status == UNTORN_E_ABSENT && snapshot->lease < 0 &&
        ut_files->lstat(snapshot->path, &there) != 0 && errno == ENOENT)
        return UT_VERIFY_GONE;
    ut_verify_damaged(snapshot->verify);
    return UNTORN_OK;
}

static void tell(ut_verify *verify) {
    verify->told = verify->done;
    if (verify->options.progress != NULL)
        verify->options.progress(verify->options.context, verify->done, verify->total);
}

void ut_verify_progress(ut_verify *verify, uint64_t bytes) {
    /* What came after the total was made is not of it. */
    uint64_t left = verify->total - verify->done;
    verify->done += bytes < left ? bytes : left;
    if (verify->done - verify->told >= TELL_EVERY)
        tell(verify);
}

/* ------------------------------------------------------------ files that are texts */

/* 0 to n: the first byte that differs. */
static size_t first_difference(const char *a, const char *b, size_t n) {
    size_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static untorn_status compare_text(const char *path, const char *text, size_t n) {
    int fd;
    struct stat stat;
    untorn_status status = ut_stored_file_open(path, &fd, &stat);
    if (status != UNTORN_OK)
        return status;
    char *read = NULL;
    if ((uint64_t)stat.st_size != n)
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": has %" PRIu64 " bytes instead of %zu", path,
                         (uint64_t)stat.st_size, n);
    else if ((read = malloc(n + 1)) == NULL)
        status = ut_fail(UNTORN_E_NO_MEMORY, "\"%s\": out of memory", path);
    else
        status = ut_stored_file_read(fd, path, read, n);
    ut_files->close(fd);
    if (status == UNTORN_OK && memcmp(read, text, n) != 0)
        status = ut_fail(UNTORN_E_CORRUPT, "\"%s\": is not what the manifest says, from byte %zu",
                         path, first_difference(read, text, n));
    free(read);
    return status;
}

untorn_status ut_verify_text(ut_verify_snapshot *snapshot, const char *directory, const char *file,
                             const char *text, size_t n) {
    char path[UT_STORE_PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", directory, file) >= UT_STORE_PATH_MAX)
        return ut_fail(UNTORN_E_LIMIT, "\"%s\": the path is too long", directory);
    snapshot->verify->result.bytes += n;
    return ut_verify_note(snapshot, compare_text(path, text, n));
}

/* ------------------------------------------------------------ a snapshot */

static untorn_status verify_objects(ut_verify_snapshot *s) {
    untorn_status status = UNTORN_OK;
    for (uint64_t i = 0; i < s->view->manifest.count && status == UNTORN_OK; i++) {
        ut_manifest_object object;
        ut_snapshot_node *node;
        ut_manifest_object_at(&s->view->manifest, i, &object);
        if (object.kind == UT_KIND_ARRAY)
            status = ut_verify_array(s, &object);
        else
            status = ut_snapshot_add_node(&s->nodes, &object, &node);
    }
    return status == UNTORN_OK ? ut_verify_metadata(s) : status;
}

static untorn_status verify_held(ut_verify_snapshot *s, uint64_t commit) {
    ut_verify *verify = s->verify;
    untorn_status status = ut_store_view_open(&verify->store, commit, &s->view);
    if (status == UNTORN_E_ABSENT) /* as a whole: it was deleted, or removed by somebody */
        return UT_VERIFY_GONE;
    verify->result.snapshots++;
    if (status != UNTORN_OK)
        return ut_verify_note(s, status);
    verify->result.bytes += s->view->manifest.file_bytes;
    ut_verify_progress(verify, s->view->manifest.file_bytes);
    status = verify_objects(s);
    ut_store_view_close(s->view);
    while (s->nodes.count > 0)
        ut_snapshot_drop_last_node(&s->nodes);
    free(s->nodes.nodes);
    return status;
}

static untorn_status verify_snapshot(ut_verify *verify, uint64_t commit) {
    ut_verify_snapshot s = {.verify = verify, .lease = -1, .nodes_known = true};
    s.nodes.store = &verify->store;
    untorn_status status = ut_store_path(&verify->store, s.path, "snapshots/%" PRIu64, commit);
    if (status != UNTORN_OK)
        return status;
    status = ut_lease_take(s.path, &s.lease);
    if (status == UNTORN_E_ABSENT)
        return UNTORN_OK;
    if (status == UNTORN_E_CORRUPT) {
        char sentence[UT_MESSAGE_BYTES];
        snprintf(sentence, sizeof sentence, "%s", untorn_message());
        /* If it is the directory that is not one, opening the manifest says so. */
        if (ut_stored_directory_check(s.path) == UNTORN_OK) {
            ut_fail(UNTORN_E_CORRUPT, "%s", sentence);
            ut_verify_damaged(verify);
        }
    }
    status = verify_held(&s, commit);
    if (s.lease >= 0)
        ut_files->close(s.lease);
    return status == UT_VERIFY_GONE ? UNTORN_OK : status;
}

/* ------------------------------------------------------------ the store */

/* The bytes of an array's files. */
static uint64_t array_bytes(const ut_store_view *view, const ut_manifest_object *object) {
    ut_stored_array *array;
    if (ut_stored_array_open(view, object, &array) != UNTORN_OK)
        return 0;
    uint64_t bytes = array->manifest.file_bytes;
    for (uint64_t i = 0; i < array->manifest.count; i++)
        bytes += ut_manifest_chunk_at(&array->manifest, i)->bytes;
    ut_stored_array_close(array);
    return bytes;
}

/* What there is to do, for the progress.  Damage is met again later. */
static untorn_status measure(ut_verify *verify, const uint64_t *commits, size_t count) {
    ut_key_set met = UT_KEY_SET_INIT;
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < count && status == UNTORN_OK; i++) {
        ut_store_view *view;
        if (ut_store_view_open(&verify->store, commits[i], &view) != UNTORN_OK)
            continue;
        verify->total += view->manifest.file_bytes;
        for (uint64_t k = 0; k < view->manifest.count && status == UNTORN_OK; k++) {
            ut_manifest_object object;
            bool added = true;
            ut_manifest_object_at(&view->manifest, k, &object);
            if (object.directory[0] != '\0')
                status = ut_key_set_add(&met, object.directory, strlen(object.directory), &added);
            if (object.kind == UT_KIND_ARRAY && status == UNTORN_OK && added)
                verify->total += array_bytes(view, &object);
        }
        ut_store_view_close(view);
    }
    ut_key_set_free(&met);
    return status;
}

/* `latest` is replaced by a rename and names what is never deleted, so it always names something.
 * There may be none: after a crash before the first was made, or in a copy. */
static untorn_status verify_latest(ut_verify *verify) {
    char path[UT_STORE_PATH_MAX];
    struct stat stat;
    uint64_t commit;
    untorn_status status = ut_store_path(&verify->store, path, "latest");
    if (status == UNTORN_OK)
        status = ut_store_latest(&verify->store, &commit);
    if (status != UNTORN_OK || commit != 0)
        return status;
    if (ut_files->lstat(path, &stat) == 0 && S_ISLNK(stat.st_mode)) {
        ut_fail(UNTORN_E_CORRUPT, "\"%s\": names no snapshot", path);
        ut_verify_damaged(verify);
    }
    return UNTORN_OK;
}

static untorn_status verify_store(ut_verify *verify) {
    uint64_t *commits;
    size_t count;
    untorn_status status = ut_store_commits(&verify->store, &commits, &count);
    if (status != UNTORN_OK)
        return status;
    if (verify->options.progress != NULL)
        status = measure(verify, commits, count);
    if (status == UNTORN_OK)
        status = verify_latest(verify);
    for (size_t i = 0; i < count && status == UNTORN_OK; i++)
        status = verify_snapshot(verify, commits[i]);
    free(commits);
    verify->done = verify->total;
    if (status == UNTORN_OK)
        tell(verify);
    return status;
}

static void free_state(ut_verify *verify) {
    for (size_t i = 0; i < verify->arrays.count && i < verify->texts_capacity; i++) {
        free(verify->texts[i].metadata);
        free(verify->texts[i].zattrs);
    }
    free(verify->texts);
    ut_key_set_free(&verify->arrays);
    ut_key_set_free(&verify->files);
    free(verify->chunk);
    ut_codec_scratch_free(&verify->scratch);
    ut_store_close(&verify->store);
    free(verify);
}

untorn_status untorn_store_verify(const char *store, const untorn_verify_options *options,
                                  untorn_verify_result *result) {
    if (store == NULL || result == NULL ||
        (options != NULL && options->struct_size < sizeof *options))
        return ut_fail(UNTORN_E_ARGUMENT, "store_verify: no store, no place for the result or "
                                          "uninitialized options");
    ut_verify *verify = calloc(1, sizeof *verify);
    if (verify == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "store \"%s\": out of memory", store);
    if (options != NULL)
        verify->options = *options;
    untorn_status status = ut_store_open(&verify->store, store, false);
    if (status != UNTORN_OK) {
        free(verify);
        return status;
    }
    status = verify_store(verify);
    if (status == UNTORN_OK) {
        *result = verify->result;
        if (verify->result.damaged > 0)
            status = ut_fail(UNTORN_E_CORRUPT, "%s: %s", verify->store.who, verify->first);
    }
    free_state(verify);
    return status;
}
