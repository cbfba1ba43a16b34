// SPDX-License-Identifier: MIT
/*
 * The writer's handle: becoming the writer, committing, aborting, leaving.
 */
#include "array/writer.h"

#include "array/name.h"
#include "base/clock.h"
#include "base/fork_guard.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMIT_ROUNDS                                                                              \
    256u /* of making room; pins that are posted anew must not make it for ever                    \
          */
#define COMMIT_BYTES (UINT64_C(64) << 10) /* to be made free for a commit's tables at a time */

untorn_status ut_writer_usable(const untorn_writer *writer) {
    if (writer == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "no writer");
    if (__builtin_expect(writer->fork_generation != ut_fork_generation_now(), 0))
        return ut_fail(UNTORN_E_FORKED, "%s: this writer was inherited over a fork",
                       writer->segment.message_name);
    return UNTORN_OK;
}

untorn_status ut_writer_fail(const untorn_writer_array *array, untorn_status status,
                             const char *format, ...) {
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return ut_fail(status, "%s: array \"%.256s\": %s", array->writer->segment.message_name,
                   array->definition->name, reason);
}

void ut_writer_touch(untorn_writer_array *array) {
    ut_object *object = array->object;
    if (object->touched)
        return;
    object->touched = true;
    ut_descriptor_copy(&object->next, &object->now);
    object->keep = object->now.cells;
    object->data_changed = false;
    array->previous_touched = NULL;
    array->next_touched = array->writer->touched;
    if (array->next_touched != NULL)
        array->next_touched->previous_touched = array;
    array->writer->touched = array;
}

/* --- opening and closing --- */

static untorn_status create(untorn_writer *writer, const char *name,
                            const untorn_writer_options *options, const ut_writer_hooks *hooks) {
    ut_segment_options create = {.size = options->size,
                                 .mode = options->mode,
                                 .control_mode = options->control_mode,
                                 .versions = options->versions,
                                 .lease_ms = options->lease_ms};
    untorn_status status = UNTORN_OK;
    if (hooks->creating != NULL)
        status = hooks->creating(hooks->context, &create);
    if (status == UNTORN_OK)
        status = ut_segment_create(name, &create);
    return status == UNTORN_OK ? ut_segment_attach(&writer->segment, name, true, true) : status;
}

static bool is_restoring(const untorn_writer *writer) {
    return ut_load_acquire(&writer->segment.super->writer_state) == UT_WRITER_RESTORING;
}

/* Map the segment, or a fresh one. */
static untorn_status attach(untorn_writer *writer, const char *name,
                            const untorn_writer_options *options, const ut_writer_hooks *hooks) {
    untorn_status status = ut_segment_attach(&writer->segment, name, true, true);
    if (status == UNTORN_OK && is_restoring(writer)) {
        /* Whoever was making it from a store died; nobody ever saw it. */
        ut_segment_detach(&writer->segment);
        status = ut_segment_unlink(name);
        if (status == UNTORN_OK)
            status = ut_fail(UNTORN_E_NO_SEGMENT, "segment \"%s\": does not exist", name);
    }
    if (status == UNTORN_E_NO_SEGMENT && !(options->flags & UNTORN_ADOPT_ONLY))
        return create(writer, name, options, hooks);
    if (status == UNTORN_OK && (options->flags & UNTORN_CREATE_ONLY)) {
        ut_segment_detach(&writer->segment);
        return ut_fail(UNTORN_E_SEGMENT_EXISTS, "segment \"%s\": exists", name);
    }
    writer->adopted = status == UNTORN_OK;
    return status;
}

static untorn_status open_locked(untorn_writer *writer, const char *name,
                                 const untorn_writer_options *options,
                                 const ut_writer_hooks *hooks) {
    untorn_status status = attach(writer, name, options, hooks);
    if (status != UNTORN_OK)
        return status;
    bool restoring = is_restoring(writer);
    status = ut_adopt(&writer->publisher, &writer->segment);
    if (status != UNTORN_OK)
        goto detach;
    status = ut_writer_load_catalogue(writer);
    ut_store_relaxed(&writer->changed, writer->publisher.commit);
    if (status == UNTORN_OK && restoring && hooks->restore != NULL)
        status = hooks->restore(hooks->context, writer);
    if (status == UNTORN_OK && hooks->opened != NULL)
        status = hooks->opened(hooks->context, writer);
    if (status == UNTORN_OK)
        status = ut_writer_lock_announce(&writer->lock, &writer->segment);
    if (status != UNTORN_OK)
        goto free_publisher;
    ut_superblock *super = writer->segment.super;
    ut_store_relaxed(&super->writer_pid, (uint32_t)getpid());
    ut_store_relaxed(&super->writer_since, ut_clock_wall());
    ut_store_release(&super->writer_state, UT_WRITER_ACTIVE);
    ut_publish_wake_all(&writer->publisher);
    return UNTORN_OK;

free_publisher:
    ut_publisher_free(&writer->publisher);
detach:
    ut_segment_detach(&writer->segment);
    if (restoring) {
        char reason[1024];
        snprintf(reason, sizeof reason, "%s", untorn_message());
        ut_segment_unlink(name);
        ut_fail(status, "%s", reason);
    }
    return status;
}

static void free_arrays(untorn_writer *writer) {
    for (uint32_t i = 0; i < writer->arrays_capacity; i++)
        ut_writer_free_array(writer->arrays[i]);
    free(writer->arrays);
    ut_name_index_free(&writer->names);
    free(writer->filling);
    free(writer->published);
}

untorn_status ut_writer_open(const char *segment, const untorn_writer_options *options,
                             const ut_writer_hooks *hooks, untorn_writer **out) {
    const unsigned either = UNTORN_CREATE_ONLY | UNTORN_ADOPT_ONLY;
    if ((options->flags & ~(either | UNTORN_READ_STORE)) != 0 ||
        (options->flags & either) == either)
        return ut_fail(UNTORN_E_ARGUMENT, "segment \"%.200s\": bad flags 0x%x", segment,
                       options->flags);
    untorn_status status = ut_name_check_segment(segment);
    if (status != UNTORN_OK)
        return status;
    untorn_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "segment \"%s\": out of memory", segment);
    writer->fork_generation = ut_fork_generation();
    writer->alarm = UINT64_MAX;
    pthread_mutex_init(&writer->filling_lock, NULL);
    status = ut_writer_lock_take(&writer->lock, segment);
    if (status != UNTORN_OK)
        goto free_writer;
    status = open_locked(writer, segment, options, hooks);
    if (status != UNTORN_OK)
        goto drop_lock;
    *out = writer;
    return UNTORN_OK;

drop_lock:
    /* A lock file that this made for nothing goes again. */
    ut_writer_lock_drop(&writer->lock, segment, !ut_segment_exists(segment));
free_writer:
    free_arrays(writer);
    pthread_mutex_destroy(&writer->filling_lock);
    free(writer);
    return status;
}

void ut_writer_close(untorn_writer *writer) {
    if (writer->fork_generation == ut_fork_generation_now()) {
        untorn_abort(writer);
        ut_store_release(&writer->segment.super->writer_state, UT_WRITER_CLOSED);
        ut_publish_wake_all(&writer->publisher);
        ut_writer_lock_drop(&writer->lock, writer->segment.name, false);
    } else {
        writer->segment.base = NULL; /* not mapped here; what lies there now is not ours */
    }
    ut_publisher_free(&writer->publisher);
    ut_segment_detach(&writer->segment);
    free_arrays(writer);
    pthread_mutex_destroy(&writer->filling_lock);
    free(writer);
}

untorn_status untorn_segment_remove(const char *segment) {
    if (segment == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "segment_remove: no name");
    untorn_status status = ut_name_check_segment(segment);
    if (status != UNTORN_OK)
        return status;
    ut_writer_lock lock;
    status = ut_writer_lock_take(&lock, segment);
    if (status != UNTORN_OK)
        return status;
    status = ut_segment_unlink(segment);
    ut_writer_lock_drop(&lock, segment, status == UNTORN_OK || status == UNTORN_E_NO_SEGMENT);
    return status;
}

uint64_t untorn_writer_commit(const untorn_writer *writer) {
    return writer->publisher.commit;
}

int untorn_writer_adopted(const untorn_writer *writer) {
    return writer->adopted;
}

/* --- the end of a transaction --- */

/* Make next what the transaction says. */
static void complete_next(untorn_writer *writer, untorn_writer_array *array) {
    ut_object *object = array->object;
    ut_descriptor *next = &object->next;
    if (array == &writer->catalogue)
        return; /* kept up to date as it changes */
    const ut_definition *definition = array->definition;
    uint64_t cells = definition->rank == 0 ? 1 : array->cells[0];
    next->shape[0] = array->shape[0];
    for (unsigned axis = 1; axis < definition->rank; axis++) {
        next->shape[axis] = array->shape[axis];
        cells *= array->cells[axis];
    }
    next->cells = definition->kind == UT_KIND_ARRAY && !array->deleted ? cells : 0;
    if (array->attributes_changed) {
        uint64_t version = writer->publisher.commit + 1;
        next->attributes_version = array->attributes != 0 ? version : 0;
        next->attributes_ref = array->attributes != 0 ? ut_ref_make(array->attributes, 0, version,
                                                                    next->uid, UT_LEVEL_ATTRIBUTES)
                                                      : 0;
    }
}

/* Everything is published; the transaction's marks go. */
static void settle(untorn_writer *writer) {
    for (untorn_writer_array *array = writer->touched, *next; array != NULL; array = next) {
        next = array->next_touched;
        array->attributes = 0;
        array->attributes_changed = false;
        array->created = false;
        if (array->deleted) {
            writer->arrays[array->object->index] = NULL;
            ut_object_give(&writer->publisher, array->object);
            ut_writer_free_array(array);
        }
    }
    writer->touched = NULL;
    writer->names_changed = false;
}

untorn_status untorn_commit(untorn_writer *writer, uint64_t *commit) {
    untorn_status status = ut_writer_usable(writer);
    if (status != UNTORN_OK)
        return status;
    if (writer->filling_count != 0)
        return ut_writer_fail(writer->filling[0].array, UNTORN_E_STATE,
                              "commit: a chunk is still being filled");
    size_t count = 0;
    for (untorn_writer_array *array = writer->touched; array != NULL; array = array->next_touched) {
        if (count == writer->published_capacity) {
            size_t capacity = writer->published_capacity != 0 ? writer->published_capacity * 2 : 16;
            ut_object **list = realloc(writer->published, capacity * sizeof(ut_object *));
            if (list == NULL)
                return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for a commit",
                               writer->segment.message_name);
            writer->published = list;
            writer->published_capacity = capacity;
        }
        complete_next(writer, array);
        writer->published[count++] = array->object;
    }
    if (count != 0) {
        status = ut_publish(&writer->publisher, writer->published, count);
        /* Evicting takes a commit number: what was completed with the next one is so again. */
        uint64_t bytes = COMMIT_BYTES;
        for (unsigned i = 0; status == UNTORN_E_NO_SPACE && i < COMMIT_ROUNDS &&
                             ut_space_relieve(&writer->publisher, bytes);
             i++) {
            /* So much was there, and it was not enough. */
            if (bytes < writer->segment.super->size)
                bytes *= 2;
            for (untorn_writer_array *array = writer->touched; array != NULL;
                 array = array->next_touched)
                complete_next(writer, array);
            status = ut_publish(&writer->publisher, writer->published, count);
        }
        if (status != UNTORN_OK)
            return status;
        settle(writer);
        ut_store_relaxed(&writer->changed, writer->publisher.commit);
        if (__builtin_expect(writer->written >= writer->alarm, 0))
            writer->alarmed(writer);
    }
    if (commit != NULL)
        *commit = writer->publisher.commit;
    return UNTORN_OK;
}

void untorn_abort(untorn_writer *writer) {
    if (ut_writer_usable(writer) != UNTORN_OK)
        return;
    for (untorn_writer_array *array = writer->touched, *next; array != NULL; array = next) {
        next = array->next_touched;
        ut_object *object = array->object;
        if (array == &writer->catalogue) {
            for (size_t i = 0; i < object->changes.count; i++) {
                const ut_change *change = &object->changes.list[i];
                if (change->offset != 0 && change->version == 0)
                    ut_space_give(&writer->publisher, change->offset,
                                  ut_slot_bytes(&writer->segment, 0, change->offset));
            }
            array->shape[0] = object->now.shape[0];
        } else {
            ut_chunks_forget(array);
        }
        if (array->attributes != 0)
            ut_space_give(&writer->publisher, array->attributes, array->attributes_bytes);
        array->attributes = 0;
        array->attributes_changed = false;
        ut_object_clear_transaction(object);
        if (array->created) {
            writer->arrays[object->index] = NULL;
            ut_object_give(&writer->publisher, object);
            ut_writer_free_array(array);
            continue;
        }
        array->deleted = false;
        if (array != &writer->catalogue)
            ut_array_restore_shape(array);
    }
    writer->touched = NULL;
    writer->filling_count = 0;
    if (writer->names_changed)
        ut_writer_rebuild_names(writer);
    writer->names_changed = false;
}
