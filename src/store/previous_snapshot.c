// SPDX-License-Identifier: MIT
/*
 * The previous snapshot.
 *
 * A damaged one is passed over: an older one does as well, since a chunk of equal version and
 * extent has equal content, whichever snapshot it is in.
 */
#include "store/previous_snapshot.h"

#include "base/file_ops.h"
#include "base/status.h"
#include "store/manifest_layout.h"
#include "store/retention.h"
#include "store/stored_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- which --- */

static bool same_uuid(const ut_store_view *view, const uint64_t uuid[2]) {
    return view->manifest.uuid[0] == uuid[0] && view->manifest.uuid[1] == uuid[1];
}

/* Of an epoch before the segment's, but nothing that it began from: chunks of equal version need
 * not have equal content. */
static bool is_strange(const ut_superblock *super, const ut_store_view *view) {
    const ut_manifest_snapshot *manifest = &view->manifest;
    return same_uuid(view, super->uuid) &&
           ut_lineage_commit(super, &manifest->lineage, manifest->commit) == 0 &&
           !ut_lineage_is_rival(super, &manifest->lineage, manifest->commit);
}

/* The newest whole one up to `most`.  None: previous->view stays NULL. */
static untorn_status open_newest(const ut_store *store, const ut_superblock *super,
                                 const uint64_t *commits, size_t count, uint64_t most,
                                 ut_previous *previous) {
    for (size_t i = 0; i < count; i++) {
        if (commits[i] > most)
            continue;
        untorn_status status = ut_store_view_open(store, commits[i], &previous->view);
        if (status == UNTORN_OK && !is_strange(super, previous->view))
            return status;
        if (status == UNTORN_OK) {
            ut_store_view_close(previous->view);
            status = UNTORN_E_ABSENT;
        }
        previous->view = NULL;
        if (status != UNTORN_E_CORRUPT && status != UNTORN_E_ABSENT)
            return status;
        previous->skipped = true;
        if (commits[i] == most) /* publishing would find it in its place */
            return status;
    }
    return UNTORN_OK;
}

static bool is_rival(const ut_superblock *super, const ut_store_view *view) {
    return ut_lineage_is_rival(super, &view->manifest.lineage, view->manifest.commit);
}

untorn_status ut_previous_open(const ut_store *store, const ut_superblock *super, uint64_t commit,
                               ut_previous *previous, bool *there) {
    uint64_t *commits = NULL;
    size_t count = 0;
    *there = false;
    untorn_status status = ut_store_commits(store, &commits, &count);
    if (status != UNTORN_OK)
        return status;
    /* Whose store it is comes first: its commits mean nothing to another segment. */
    bool went_on = count > 0 && commits[0] > commit;
    status = open_newest(store, super, commits, count, went_on ? UINT64_MAX : commit, previous);
    if (status != UNTORN_OK)
        goto free_commits;
    if (previous->view != NULL && !same_uuid(previous->view, super->uuid))
        status = ut_fail(UNTORN_E_FOREIGN_STORE, "%s: belongs to another segment", store->who);
    else if (went_on)
        status = ut_fail(UNTORN_E_FOREIGN_STORE,
                         "%s: has a snapshot of commit %" PRIu64 ", above %" PRIu64
                         ": the store went on without this segment",
                         store->who, commits[0], commit);
    else if (previous->view != NULL && is_rival(super, previous->view))
        status = ut_lineage_fail(store->who, "this segment", previous->view->manifest.commit);
    previous->linkable = true;
    *there = previous->view != NULL && previous->view->manifest.commit == commit;
free_commits:
    free(commits);
    return status;
}

static untorn_status open_own(ut_segment *segment, const char *path, uint64_t commit,
                              ut_previous *previous) {
    uint64_t *commits = NULL;
    size_t count = 0;
    untorn_status status = ut_store_open(&previous->other, path, false);
    if (status != UNTORN_OK)
        return status;
    status = ut_store_commits(&previous->other, &commits, &count);
    if (status == UNTORN_OK)
        status = open_newest(&previous->other, segment->super, commits, count, commit, previous);
    free(commits);
    if (status != UNTORN_OK)
        return status;
    if (previous->view == NULL)
        return ut_fail(UNTORN_E_CORRUPT, "%s: has no whole snapshot up to commit %" PRIu64,
                       previous->other.who, commit);
    if (!same_uuid(previous->view, segment->super->uuid))
        return ut_fail(UNTORN_E_FOREIGN_STORE, "%s: belongs to another segment",
                       previous->other.who);
    if (is_rival(segment->super, previous->view))
        return ut_lineage_fail(previous->other.who, segment->message_name,
                               previous->view->manifest.commit);
    return ut_lease_take(previous->view->path, &previous->lease);
}

void ut_previous_open_own(ut_segment *segment, uint64_t commit, ut_previous *previous) {
    char path[UNTORN_MAX_STORE_PATH];
    /* Acquire: the path was stored before. */
    uint32_t bytes = ut_load_acquire(&segment->store->path_bytes);
    if (bytes == 0 || bytes >= sizeof path || bytes > sizeof segment->store->path)
        return;
    memcpy(path, segment->store->path, bytes);
    path[bytes] = '\0';
    if (open_own(segment, path, commit, previous) == UNTORN_OK)
        return;
    ut_store_view_close(previous->view);
    previous->view = NULL;
    strncpy(previous->missing, untorn_message(), sizeof previous->missing - 1);
}

void ut_previous_close(ut_previous *previous) {
    ut_store_view_close(previous->view);
    if (previous->lease >= 0)
        ut_files->close(previous->lease);
    if (previous->other.path[0] != '\0')
        ut_store_close(&previous->other);
}

bool ut_previous_find(const ut_previous *previous, const ut_definition *definition,
                      ut_manifest_object *object) {
    return previous->view != NULL &&
           ut_manifest_find_object(&previous->view->manifest, definition->name, object) &&
           object->kind == UT_KIND_ARRAY && object->uid == definition->uid;
}

/* --- whole arrays --- */

/* The head says what is wanted. */
static bool same_head(const struct ut_manifest_array_head *h, const ut_manifest_array *head,
                      const ut_definition *definition) {
    return h->head.magic == UT_MANIFEST_MAGIC && h->head.version == UT_MANIFEST_VERSION &&
           h->head.required == 0 && h->head.byte_order == UT_MANIFEST_BYTE_ORDER &&
           h->head.kind == UT_MANIFEST_ARRAY && h->head.head_bytes >= sizeof *h &&
           h->head.head_bytes % 8 == 0 && h->head.zarr_format == head->zarr_format &&
           h->head.uuid[0] == head->uuid[0] && h->head.uuid[1] == head->uuid[1] &&
           h->uid == head->uid && h->data_commit == head->data_commit &&
           h->rank == definition->rank &&
           h->definition_bytes == definition->text_bytes - sizeof(ut_text) &&
           h->attributes_bytes == strlen(head->attributes) &&
           memcmp(h->shape, head->shape, definition->rank * sizeof *h->shape) == 0;
}

static bool read_at(int fd, uint64_t at, void *to, size_t n) {
    return ut_files->pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* Definition and attributes, which follow the head, byte for byte. */
static bool same_texts(int fd, const struct ut_manifest_array_head *h,
                       const ut_manifest_array *head, const ut_definition *definition) {
    size_t attributes = (size_t)h->attributes_bytes;
    size_t padded = (size_t)ut_manifest_padded(h->definition_bytes);
    bool same = false;
    char *ours = calloc(1, definition->text_bytes), *theirs = calloc(1, padded + attributes + 1);
    if (ours == NULL || theirs == NULL)
        goto free_both;
    ut_definition_encode(definition, ours);
    same = read_at(fd, h->head.head_bytes, theirs, padded + attributes + 1) &&
           memcmp(theirs, ours + sizeof(ut_text), (size_t)h->definition_bytes) == 0 &&
           memcmp(theirs + padded, head->attributes, attributes + 1) == 0;
free_both:
    free(ours);
    free(theirs);
    return same;
}

static bool same_manifest(int fd, uint64_t bytes, const ut_manifest_object *object,
                          const ut_manifest_array *head, const ut_definition *definition,
                          uint64_t *count) {
    struct ut_manifest_array_head h;
    struct ut_manifest_trailer trailer;
    if (bytes != object->file_bytes || bytes < sizeof h + sizeof trailer ||
        !read_at(fd, 0, &h, sizeof h) ||
        !read_at(fd, bytes - sizeof trailer, &trailer, sizeof trailer))
        return false;
    *count = trailer.count;
    return trailer.magic == UT_MANIFEST_END_MAGIC && trailer.file_bytes == bytes &&
           trailer.hash == object->file_hash && same_head(&h, head, definition) &&
           same_texts(fd, &h, head, definition);
}

bool ut_previous_same_array(const ut_store *store, const ut_manifest_object *object,
                            const ut_manifest_array *head, const ut_definition *definition,
                            ut_stored_array *stored) {
    char path[UT_STORE_PATH_MAX];
    int fd;
    struct stat stat;
    /* An exported array lies in its snapshot, where no other can link to it. */
    if (object->directory[0] == '\0' || object->data_commit != head->data_commit ||
        ut_store_path(store, path, "arrays/%s/.manifest", object->directory) != UNTORN_OK ||
        ut_store_path(store, stored->path, "arrays/%s", object->directory) != UNTORN_OK ||
        ut_stored_file_open(path, &fd, &stat) != UNTORN_OK)
        return false;
    uint64_t count = 0;
    bool same = same_manifest(fd, (uint64_t)stat.st_size, object, head, definition, &count);
    ut_files->close(fd);
    if (!same || ut_codec_parse(definition->codec, &stored->codec) != UNTORN_OK)
        return false;
    stored->manifest = *head;
    stored->manifest.definition = (ut_definition *)(uintptr_t)definition;
    stored->manifest.count = count;
    stored->manifest.file_bytes = object->file_bytes;
    stored->manifest.file_hash = object->file_hash;
    snprintf(stored->who, sizeof stored->who, "%.200s: array \"%.40s\"", store->who,
             definition->name);
    stored->mapping = NULL;
    stored->mapped = 0;
    return true;
}

/* --- records --- */

void ut_records_begin(ut_records *records, const ut_manifest_array *manifest,
                      const uint64_t *cells) {
    *records = (ut_records){.manifest = manifest, .cells = cells, .same_grid = true};
    /* How long the first axis is has no bearing on the numbers. */
    for (unsigned axis = 1; manifest != NULL && axis < manifest->rank; axis++)
        records->same_grid &= manifest->cells[axis] == cells[axis];
}

/* The present number of a chunk; if the present grid has none such, that of the next it has. */
static uint64_t present_number(const ut_records *records, uint64_t number, bool *there) {
    const ut_manifest_array *manifest = records->manifest;
    uint64_t index[UNTORN_MAX_RANK], present = 0;
    *there = true;
    if (records->same_grid)
        return number;
    for (unsigned axis = manifest->rank; axis-- > 0;) {
        index[axis] = number % manifest->cells[axis];
        number /= manifest->cells[axis];
    }
    for (unsigned axis = 0; axis < manifest->rank; axis++) {
        uint64_t cells = records->cells[axis];
        present *= cells;
        if (*there)
            present += index[axis] < cells ? index[axis] : cells;
        *there &= index[axis] < cells;
    }
    return present;
}

const ut_manifest_chunk *ut_records_find(ut_records *records, uint64_t from, uint64_t end,
                                         uint64_t *number) {
    if (records->manifest == NULL)
        return NULL;
    for (; records->next < records->manifest->count; records->next++) {
        const ut_manifest_chunk *chunk = ut_manifest_chunk_at(records->manifest, records->next);
        bool there;
        *number = present_number(records, chunk->number, &there);
        if (*number >= end)
            return NULL;
        if (there && *number >= from)
            return chunk;
    }
    return NULL;
}
