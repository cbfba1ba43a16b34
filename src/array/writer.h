// SPDX-License-Identifier: MIT
/*
 * The writer's handle and its arrays, as the files of the writing half share them.
 *
 * A chunk in the open transaction is one of
 *   absent      no cell: reads as the fill value
 *   committed   in a slot that readers reach.  Bytes within `shape of the last
 *               commit` are untouchable; bytes beyond it may be written in place,
 *               unless the cell is sealed
 *   fresh       in a slot of this transaction, all ours
 */
#ifndef UT_WRITER_H
#define UT_WRITER_H

#include "array/backing.h"
#include "array/definition.h"
#include "array/name_index.h"
#include "segment/publisher.h"
#include "segment/writer_lock.h"

#include <pthread.h>
#include <stdatomic.h>

struct untorn_writer_array {
    untorn_writer *writer;
    ut_object *object;
    ut_definition *definition;
    uint64_t shape[UNTORN_MAX_RANK]; /* in the open transaction */
    uint64_t cells[UNTORN_MAX_RANK]; /* of its grid, per axis */
    uint64_t attributes;             /* offset of a text of this transaction; 0: unchanged */
    uint64_t attributes_bytes;
    bool attributes_changed;
    bool created; /* in this transaction */
    bool deleted; /* in this transaction */
    struct untorn_writer_array *previous_touched, *next_touched;
};

struct untorn_writer {
    ut_segment segment;
    ut_writer_lock lock;
    ut_publisher publisher;
    unsigned fork_generation;
    bool adopted;
    ut_name_index names;
    untorn_writer_array catalogue; /* object 0 */
    untorn_writer_array **arrays;  /* by object index; NULL: none */
    uint32_t arrays_capacity;
    untorn_writer_array *touched; /* those with a part in the transaction */
    bool names_changed;           /* by this transaction */
    pthread_mutex_t filling_lock; /* serializes chunk_begin and chunk_done */
    struct ut_filling {
        untorn_writer_array *array;
        uint64_t number;
    } * filling;
    size_t filling_count, filling_capacity;
    ut_object **published; /* scratch for commit */
    size_t published_capacity;
    void *store; /* of the layer above; NULL: none */
    /* A chunk that is only in the store; absent ones are UNTORN_E_CORRUPT here. */
    untorn_status (*fetch)(untorn_writer *writer, const ut_wanted *wanted, void *memory);
    untorn_status (*admit)(const untorn_writer *writer, const ut_definition *definition);
    uint64_t written; /* bytes, by all transactions */
    uint64_t alarm;   /* call `alarmed` once that much was written and committed */
    void (*alarmed)(untorn_writer *writer);
    _Atomic uint64_t changed; /* the last commit of a transaction; for the flusher's thread */
};

/*
 * What the layer that knows about stores has to say while a writer opens.  Either may be NULL.
 *
 *   creating   there is no segment of this name, or one whose making from a store was not
 *              finished: *create may be completed.
 *   restore    the fresh segment is to be filled; readers do not see it yet.
 *   opened     the books are there; readers do not know of this writer yet.
 */
typedef struct ut_writer_hooks {
    void *context;
    untorn_status (*creating)(void *context, ut_segment_options *create);
    untorn_status (*restore)(void *context, untorn_writer *writer);
    untorn_status (*opened)(void *context, untorn_writer *writer);
} ut_writer_hooks;

untorn_status ut_writer_open(const char *segment, const untorn_writer_options *options,
                             const ut_writer_hooks *hooks, untorn_writer **writer);
/* NULL is not allowed. */
void ut_writer_close(untorn_writer *writer);

/* UNTORN_E_FORKED if the handle was inherited over a fork. */
untorn_status ut_writer_usable(const untorn_writer *writer);

/* Begin the array's part in the open transaction, if it has none yet. */
void ut_writer_touch(untorn_writer_array *array);

/* Set the message to `segment "s": array "a": ` and the reason; returns `status`. */
untorn_status ut_writer_fail(const untorn_writer_array *array, untorn_status status,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- chunk_edit.c --- */

/* Where a chunk is in the open transaction. */
typedef struct ut_view {
    uint64_t offset; /* 0: absent */
    uint64_t flags;
    uint64_t version; /* 0: fresh */
} ut_view;
untorn_status ut_chunk_view(untorn_writer_array *array, uint64_t number, ut_view *view);

/* A slot for the chunk, whose view this is, that is ours.  `keep`: with the present content, fill
 * value included; else undefined.  The view changes if making room evicts the chunk; it is not
 * passed by value because a copy by larger pieces than it was just stored in has to wait. */
untorn_status ut_chunk_own_viewed(untorn_writer_array *array, uint64_t number,
                                  const uint64_t *index, ut_view *view, bool keep,
                                  unsigned char **memory);
static inline untorn_status ut_chunk_own(untorn_writer_array *array, uint64_t number,
                                         const uint64_t *index, bool keep, unsigned char **memory) {
    ut_view view;
    untorn_status status = ut_chunk_view(array, number, &view);
    return status == UNTORN_OK ? ut_chunk_own_viewed(array, number, index, &view, keep, memory)
                               : status;
}

/* The array's shape becomes `shape`.  `fill`: write the fill value into newly
 * visible parts of chunks; else the caller writes all of them. */
untorn_status ut_chunks_reshape(untorn_writer_array *array, const uint64_t *shape, bool fill);

/* Everything of the array goes: for deletion. */
untorn_status ut_chunks_drop_all(untorn_writer_array *array);

/* The shape of the last commit again. */
void ut_array_restore_shape(untorn_writer_array *array);

/* Give back the slots that the transaction took. */
void ut_chunks_forget(untorn_writer_array *array);

/* --- define.c --- */

untorn_status ut_writer_load_catalogue(untorn_writer *writer);
void ut_writer_free_array(untorn_writer_array *array);
untorn_status ut_writer_rebuild_names(untorn_writer *writer);
/* Make an object for a definition, which is taken over, as part of the open transaction. */
untorn_status ut_writer_enter(untorn_writer *writer, ut_definition *definition,
                              const uint64_t *shape, untorn_writer_array **array);

/* --- restore.c --- */

/* What an array or group was in a store. */
typedef struct ut_restored {
    ut_definition *definition; /* a reference is taken */
    const uint64_t *shape;
    const char *attributes; /* NULL or "": none */
    uint64_t generation;
    uint64_t data_commit;
    ut_place root; /* of its table, whose depth is that of the shape's grid */
} ut_restored;

/* Enter it in the open transaction as it was, its counters going on from there. */
untorn_status ut_writer_restore(untorn_writer *writer, const ut_restored *restored);

#endif
