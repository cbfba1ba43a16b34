// SPDX-License-Identifier: MIT
/*
 * Untorn: a shared-memory array cache with one writer and many readers, in
 * which no reader ever sees a half-written array.
 *
 * INTRODUCTION
 *
 *   A *segment* is a named piece of POSIX shared memory that holds any number
 *   of *arrays*.  One process at a time is its *writer*; any number of
 *   processes are *readers* and need read permission only.
 *
 *   Writer: open the segment, define arrays, change any chunks of any arrays,
 *   and untorn_commit().  Everything changed since the last commit (the open
 *   *transaction*) becomes visible at one instant, in all arrays at once.
 *
 *   Reader: open the segment, open arrays, and read.  A read returns the
 *   array as of exactly one *generation*: shape, attributes and every chunk.
 *   A group read or a *snapshot* returns several arrays as of one *commit*.
 *   Readers never block the writer and the writer never blocks readers.
 *
 *   Store: a writer may have one, a directory that any Zarr reader opens.  What
 *   is committed is flushed to it now and then, as a whole, and outlives the
 *   segment.
 *
 * CONVENTIONS
 *
 *   Every call that can fail returns an untorn_status; results go through
 *   pointers, which are written only on UNTORN_OK unless said otherwise.
 *   untorn_message() gives the sentence that belongs to the calling thread's
 *   last failure.  Shapes, starts and counts are arrays of `rank` elements
 *   (never bytes), strides are in bytes.  Times are nanoseconds.  Strings are
 *   UTF-8.  Structures that you fill begin with `struct_size`; initialize
 *   them with the *_INIT macros so that later versions can add members.
 *
 * THREADS
 *
 *   untorn_writer and its untorn_writer_array handles: one thread at a time,
 *   but for untorn_chunk_begin() and untorn_chunk_done(), which any number of
 *   threads may call at once (on different chunks) while no other call on
 *   that writer runs.
 *   untorn_reader: any number of threads.  untorn_array and untorn_snapshot:
 *   one thread at a time each; threads open their own.
 *
 * CAVEATS
 *
 *   fork: a child may not use an inherited writer (calls fail with
 *   UNTORN_E_FORKED; the writer's memory is not even mapped in the child).
 *   An inherited reader goes on reading.  Children that are made without the
 *   fork handlers of the C library (raw clone, _Fork) must exec or exit.
 *
 *   signals: no call is async-signal-safe.  Waits return early with
 *   UNTORN_E_INTERRUPTED when a signal handler ran.
 *
 *   containers: /dev/shm is often 64 MiB there.  All memory is reserved when
 *   it is first needed, so a full mount is UNTORN_E_NO_SPACE from the call
 *   that needed it, never SIGBUS.
 *
 *   Who may write to a segment's files can truncate them under everybody
 *   (SIGBUS); this library does not defend against that.  Keep the mode of
 *   the data at 0640 or 0600 and the control file to the same user.
 *
 *   Shared memory is local to a machine: nothing here works across hosts or
 *   on network file systems.
 */
#ifndef UNTORN_H
#define UNTORN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(UNTORN_BUILD)
#define UNTORN_API __attribute__((visibility("default")))
#else
#define UNTORN_API
#endif

#define UNTORN_VERSION_MAJOR 0
#define UNTORN_VERSION_MINOR 1
#define UNTORN_VERSION_PATCH 0

/* "0.1.0".  Static storage. */
UNTORN_API const char *untorn_version(void);

/* Arrays have 0 to UNTORN_MAX_RANK axes. */
#define UNTORN_MAX_RANK 16
/* The longest array name, in bytes, without the terminating NUL. */
#define UNTORN_MAX_NAME 1023
/* The longest attribute text, in bytes, without the terminating NUL. */
#define UNTORN_MAX_ATTRIBUTES (1u << 20)

/* ------------------------------------------------------------------------
 * Status codes.  The numbers are stable.
 */
#define UNTORN_STATUS_LIST(X)                                                                      \
    X(UNTORN_OK, 0, "success")                                                                     \
    /* the caller */                                                                               \
    X(UNTORN_E_ARGUMENT, 1, "invalid argument")                                                    \
    X(UNTORN_E_NAME, 2, "invalid name")                                                            \
    X(UNTORN_E_DTYPE, 3, "invalid or unsupported data type")                                       \
    X(UNTORN_E_SHAPE, 4, "invalid shape")                                                          \
    X(UNTORN_E_REGION, 5, "region exceeds shape")                                                  \
    X(UNTORN_E_BUFFER_TOO_SMALL, 6, "buffer too small")                                            \
    X(UNTORN_E_JSON, 7, "attributes are not a JSON object")                                        \
    X(UNTORN_E_STATE, 8, "call not allowed in this state")                                         \
    X(UNTORN_E_FORKED, 9, "handle was inherited over a fork")                                      \
    /* what was asked for */                                                                       \
    X(UNTORN_E_NO_SEGMENT, 20, "no such segment")                                                  \
    X(UNTORN_E_SEGMENT_EXISTS, 21, "segment exists")                                               \
    X(UNTORN_E_NO_ARRAY, 22, "no such array")                                                      \
    X(UNTORN_E_ARRAY_EXISTS, 23, "array exists")                                                   \
    X(UNTORN_E_ARRAY_DELETED, 24, "array was deleted")                                             \
    X(UNTORN_E_MISMATCH, 25, "array is defined differently")                                       \
    X(UNTORN_E_NO_COMMIT, 26, "commit can no longer be read")                                      \
    X(UNTORN_E_BUSY, 27, "another writer is alive")                                                \
    X(UNTORN_E_ABSENT, 28, "chunk is absent")                                                      \
    X(UNTORN_E_NO_STORE, 29, "no such store")                                                      \
    X(UNTORN_E_FOREIGN_STORE, 30, "store and segment do not belong together")                      \
    /* progress */                                                                                 \
    X(UNTORN_E_OVERTAKEN, 40, "overtaken by the writer")                                           \
    X(UNTORN_E_TIMEOUT, 41, "timed out")                                                           \
    X(UNTORN_E_INTERRUPTED, 42, "interrupted by a signal")                                         \
    X(UNTORN_E_WRITER_CLOSED, 43, "the writer closed")                                             \
    X(UNTORN_E_WRITER_DIED, 44, "the writer died")                                                 \
    X(UNTORN_E_REMOVED, 45, "segment was removed")                                                 \
    X(UNTORN_E_REPLACED, 46, "segment was replaced")                                               \
    /* resources */                                                                                \
    X(UNTORN_E_NO_SPACE, 60, "no space")                                                           \
    X(UNTORN_E_NO_MEMORY, 61, "out of memory")                                                     \
    X(UNTORN_E_PERMISSION, 62, "permission denied")                                                \
    X(UNTORN_E_SYSTEM, 63, "system call failed")                                                   \
    X(UNTORN_E_LIMIT, 64, "limit reached")                                                         \
    /* what is there */                                                                            \
    X(UNTORN_E_VERSION, 80, "segment has another format version")                                  \
    X(UNTORN_E_LAYOUT, 81, "segment was made by an incompatible build")                            \
    X(UNTORN_E_CORRUPT, 82, "corrupt")

typedef enum untorn_status {
#define UNTORN_STATUS_ENUM(name, number, text) name = number,
    UNTORN_STATUS_LIST(UNTORN_STATUS_ENUM)
#undef UNTORN_STATUS_ENUM
} untorn_status;

/* The short text of a status ("no such array").  Static storage, never NULL. */
UNTORN_API const char *untorn_status_text(untorn_status status);

/*
 * The sentence that belongs to the calling thread's last failed call, such as
 *   segment "cam": array "frames": region 0:900 exceeds shape 600 on axis 0
 * Empty before the first failure.  Valid until the thread's next failing call.
 */
UNTORN_API const char *untorn_message(void);

/* ------------------------------------------------------------------------
 * Data types, by NumPy's names, little-endian:
 *   "?" or "b1" bool, "i1" "i2" "i4" "i8", "u1" "u2" "u4" "u8",
 *   "f2" "f4" "f8", "c8" "c16", "S<n>" bytes, "V<n>" raw bytes (n >= 1).
 * A leading '<', '=' or '|' is accepted.  '>' is not: convert first.
 */
#define UNTORN_MAX_DTYPE 16 /* bytes of a dtype's text, NUL included */

/* The size of one element in bytes.  UNTORN_E_DTYPE names what is wrong. */
UNTORN_API untorn_status untorn_dtype_size(const char *dtype, size_t *itemsize);

/* ------------------------------------------------------------------------
 * The writer
 */
typedef struct untorn_writer untorn_writer;
typedef struct untorn_writer_array untorn_writer_array;

/*
 * Told what nobody asked about: that a flush failed, that a file of the store is missing or of
 * another length and was written anew, or that the newest store snapshot is damaged and an older
 * one was taken.  `sentence` lives until the callback returns.  Called from the thread
 * that opens the writer, or from the flusher's; it must not call anything on this writer.
 */
typedef void untorn_notify(void *context, untorn_status status, const char *sentence);

#define UNTORN_ON_DEMAND (-1) /* a flush_interval: only by untorn_flush() and at close */

/* untorn_writer_options.flags */
#define UNTORN_CREATE_ONLY 1u /* UNTORN_E_SEGMENT_EXISTS if there is one */
#define UNTORN_ADOPT_ONLY 2u  /* UNTORN_E_NO_SEGMENT if there is none */
#define UNTORN_READ_STORE 4u  /* nothing is written to the store, which may be read-only */

typedef struct untorn_writer_options {
    size_t struct_size;
    unsigned flags;
    /* The rest is for a segment that is created; an adopted one keeps its own. 0 = default. */
    uint64_t
        size; /* bytes it may grow to; default the lesser of 256 MiB and 80 % of what is free */
    unsigned mode;         /* permissions of the data, default 0640 */
    unsigned control_mode; /* permissions of the control file, default 0600 */
    unsigned versions;     /* versions kept of what is rewritten, 2 to 64, default 4 */
    unsigned lease_ms; /* pins older than this may be revoked when space is out, default 10000 */

    /*
     * The store that the segment is flushed to: a directory, which is made if it is not there.
     * NULL: what the segment was given earlier, if anything.  A segment has one store for life.
     * What is 0 below is as the segment has it, or the default.
     */
    const char *store;
    int64_t flush_interval;  /* ns, default 1 s; an interval shorter than its flush stretches */
    uint64_t flush_bytes;    /* flush also when this much was written; default: an eighth of size;
                              * without effect if flush_interval is UNTORN_ON_DEMAND */
    unsigned flush_threads;  /* that compress, default 1 */
    unsigned store_format;   /* of Zarr: 2 (default) or 3, for arrays that are written anew */
    unsigned keep_snapshots; /* store snapshots that are kept, default 4 ... */
    int64_t keep_time;       /* ... and as long as they are younger, ns, default 60 s */
    untorn_notify *notify;   /* NULL: a damaged newest store snapshot fails the opening */
    void *notify_context;
} untorn_writer_options;
#define UNTORN_WRITER_OPTIONS_INIT                                                                 \
    { sizeof(untorn_writer_options), 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL }

/*
 * Become the writer of `segment` ([A-Za-z0-9._-], 1 to 200 characters):
 * create it, or adopt the one that a writer left, by closing or by dying, with
 * all that was committed.  `options` may be NULL.
 *
 * With a store, a thread of the library flushes to it.  If there is no segment, but the store
 * has a snapshot, the segment is made from the newest one that is whole, and commit numbers go on
 * above all in the store.  If there are both, they must belong together.
 * With UNTORN_READ_STORE a segment can be made from a store on a read-only file system: the store
 * is not locked, nothing is flushed (untorn_flush() is UNTORN_E_STATE), and what is committed is in
 * memory only.
 *
 * UNTORN_E_BUSY: another writer is alive, or has the store; the message says which process.
 * UNTORN_E_FOREIGN_STORE: the store is another segment's, or went on without this one.
 * UNTORN_E_NO_SPACE, _PERMISSION, _VERSION, _LAYOUT, _CORRUPT, _NAME, _ARGUMENT,
 * _SEGMENT_EXISTS, _NO_SEGMENT, _NO_MEMORY, _SYSTEM.
 */
UNTORN_API untorn_status untorn_writer_open(const char *segment,
                                            const untorn_writer_options *options,
                                            untorn_writer **writer);

/* Abort the open transaction, flush, tell readers that the writer closed, and free
 * `writer` and its array handles.  The segment stays.  Who wants to know how the flush went
 * calls untorn_flush() before.  NULL is allowed. */
UNTORN_API void untorn_writer_close(untorn_writer *writer);

/* Remove a segment's files.  Readers that are attached keep what they have and
 * learn that it was removed.  UNTORN_E_BUSY while a writer is alive. */
UNTORN_API untorn_status untorn_segment_remove(const char *segment);

typedef struct untorn_definition {
    size_t struct_size;
    const char *dtype;
    unsigned rank;
    const uint64_t *shape;              /* rank elements, each may be 0 */
    const uint64_t *chunks;             /* rank elements, each at least 1; NULL: about 1 MiB */
    const void *fill;                   /* one element; NULL: zero bytes */
    const char *const *dimension_names; /* rank strings, each may be NULL; NULL: none */
    const char *attributes;             /* a JSON object; NULL: none */
    const char *codec;                  /* in the store: "lz4" (default, NULL) or "none" */
} untorn_definition;
#define UNTORN_DEFINITION_INIT                                                                     \
    { sizeof(untorn_definition), NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL }

/*
 * Define an array as part of the open transaction.  Every element reads as the
 * fill value until it is written.  `name` nests with '/'; components have 1 to
 * 255 bytes, do not begin with '.' or "__" and are not "zarr.json"; no array's
 * name is a path prefix of another's.
 *
 * The handle is the writer's: it lives until the array is deleted, the
 * definition is aborted, or the writer is closed; it is never freed by the
 * caller.
 *
 * UNTORN_E_ARRAY_EXISTS, _NAME, _DTYPE, _SHAPE, _JSON, _LIMIT, _NO_SPACE, _NO_MEMORY.
 */
UNTORN_API untorn_status untorn_define(untorn_writer *writer, const char *name,
                                       const untorn_definition *definition,
                                       untorn_writer_array **array);

/* The handle of an array that exists.  UNTORN_E_NO_ARRAY. */
UNTORN_API untorn_status untorn_writer_array_open(untorn_writer *writer, const char *name,
                                                  untorn_writer_array **array);

/* Open the array if it exists with this dtype, rank and chunk shape (chunks
 * NULL: any), whatever its length; define it if it does not exist.
 * UNTORN_E_MISMATCH says what differs; otherwise as untorn_define(). */
UNTORN_API untorn_status untorn_require(untorn_writer *writer, const char *name,
                                        const untorn_definition *definition,
                                        untorn_writer_array **array);

/* Delete an array as part of the open transaction.  Its handle is invalid at
 * once.  UNTORN_E_NO_ARRAY. */
UNTORN_API untorn_status untorn_delete(untorn_writer *writer, const char *name);

/* The array's shape in the open transaction: `rank` elements. */
UNTORN_API untorn_status untorn_writer_array_shape(const untorn_writer_array *array, unsigned *rank,
                                                   uint64_t *shape);

/*
 * Write the region start : start + count from `source`, whose element (i, j, ...)
 * is at source + i * strides[0] + j * strides[1] + ... bytes.  strides NULL: C
 * order without gaps.  start NULL: zeros; count NULL: to the end of every axis.
 * The source is copied before the call returns.
 * UNTORN_E_REGION, _NO_SPACE, _NO_MEMORY.  A failed write leaves the
 * transaction without a defined content for this region: abort it, or write again.
 */
UNTORN_API untorn_status untorn_write(untorn_writer_array *array, const uint64_t *start,
                                      const uint64_t *count, const int64_t *strides,
                                      const void *source);

/*
 * Grow `axis` by `count` and write the new part.  The other axes' lengths are
 * the array's.  `strides` as above.  Costs what is appended.
 * UNTORN_E_ARGUMENT, _SHAPE (a length overflows), _NO_SPACE, _NO_MEMORY; on
 * failure the shape is unchanged.
 */
UNTORN_API untorn_status untorn_append(untorn_writer_array *array, unsigned axis, uint64_t count,
                                       const int64_t *strides, const void *source);

/* Give the array a new shape of the same rank.  What is cut off is gone; what
 * is added reads as the fill value.  UNTORN_E_SHAPE, _NO_SPACE, _NO_MEMORY. */
UNTORN_API untorn_status untorn_resize(untorn_writer_array *array, const uint64_t *shape);

/* Replace the array's attributes with a JSON object (NULL: none).
 * UNTORN_E_JSON, _NO_SPACE. */
UNTORN_API untorn_status untorn_set_attributes(untorn_writer_array *array, const char *json);

/* Replace a group's attributes; "" is the root group.  The group comes into
 * being with this if no array lies below it.  UNTORN_E_NAME, _JSON, _NO_SPACE. */
UNTORN_API untorn_status untorn_set_group_attributes(untorn_writer *writer, const char *group,
                                                     const char *json);

#define UNTORN_CHUNK_KEEP 1u /* begin with the chunk's present content */

/*
 * Fill one chunk directly in shared memory.  `index` is the chunk's place in
 * the grid (rank elements).  *memory gets the chunk in C order at full chunk
 * shape, writable until untorn_chunk_done() of the same chunk, which must come
 * before the commit.  Without UNTORN_CHUNK_KEEP the content is undefined and
 * every element within the array's shape must be written.
 * Several threads may fill different chunks at once.
 * UNTORN_E_REGION (no such chunk), _STATE (it is being filled), _NO_SPACE.
 */
UNTORN_API untorn_status untorn_chunk_begin(untorn_writer_array *array, const uint64_t *index,
                                            unsigned flags, void **memory);
UNTORN_API untorn_status untorn_chunk_done(untorn_writer_array *array, const uint64_t *index);

/*
 * Publish the open transaction: all of it becomes visible at one instant.
 * *commit (may be NULL) gets its number; with nothing changed, the last one.
 * No system call is made unless a reader is waiting or space is needed.
 * UNTORN_E_STATE: a chunk is still being filled.  UNTORN_E_NO_SPACE: the last
 * commit stands, and the transaction is still open: abort it, or free
 * something and commit again.
 */
UNTORN_API untorn_status untorn_commit(untorn_writer *writer, uint64_t *commit);

/* Forget the open transaction.  Handles of arrays it defined become invalid;
 * arrays it deleted must be opened again. */
UNTORN_API void untorn_abort(untorn_writer *writer);

/* The number of the last commit. */
UNTORN_API uint64_t untorn_writer_commit(const untorn_writer *writer);

/*
 * Flush: return once the last commit is in the store; *commit (may be NULL) gets its number.  The
 * open transaction has no part in it.
 * UNTORN_E_STATE: the segment has no store.  Otherwise the error of the flush; the segment and the
 * last store snapshot are as before, and flushing is tried again at the next interval.
 */
UNTORN_API untorn_status untorn_flush(untorn_writer *writer, uint64_t *commit);

/*
 * Bring chunks that are only in the store into memory, as long as there is free space: after a
 * restart, say.  Nothing changes for readers but where their data comes from.  `progress` (may be
 * NULL) is called with the bytes that were brought in, of all that are only in the store.
 * UNTORN_E_STATE: a transaction is open.  UNTORN_E_CORRUPT names the damaged file.  _NO_MEMORY,
 * _SYSTEM.
 */
UNTORN_API untorn_status untorn_warm(untorn_writer *writer,
                                     void (*progress)(void *context, uint64_t done, uint64_t total),
                                     void *context);

/* True if the segment existed and was adopted. */
UNTORN_API int untorn_writer_adopted(const untorn_writer *writer);

/* ------------------------------------------------------------------------
 * Readers
 */
typedef struct untorn_reader untorn_reader;
typedef struct untorn_array untorn_array;
typedef struct untorn_snapshot untorn_snapshot;

#define UNTORN_READ_NO_CONTROL 1u /* do not use the control file even if permitted */

typedef struct untorn_reader_options {
    size_t struct_size;
    unsigned flags;
    unsigned attempts; /* optimistic attempts before a pin is requested, default 8 */
    size_t
        cache_bytes;  /* keep that much of what was read from the store in memory; default: none */
    unsigned threads; /* that read from the store for one call, default 4 */
    int64_t spin;     /* ns that a wait spins before it sleeps, default 0; see Waiting */
} untorn_reader_options;
#define UNTORN_READER_OPTIONS_INIT                                                                 \
    { sizeof(untorn_reader_options), 0, 0, 0, 0, 0 }

/*
 * Attach to a segment, whether its writer is alive or not.  Needs read
 * permission for the data only.  Without permission for the control file
 * everything works but pins (reads that need one end in UNTORN_E_OVERTAKEN,
 * snapshots are valid only as long as the window reaches back to them), and
 * waiting polls every millisecond.
 * UNTORN_E_NO_SEGMENT, _PERMISSION, _VERSION, _LAYOUT, _CORRUPT, _NAME, _NO_MEMORY, _SYSTEM.
 */
UNTORN_API untorn_status untorn_reader_open(const char *segment,
                                            const untorn_reader_options *options,
                                            untorn_reader **reader);

/* Free the reader, its arrays and its snapshots.  NULL is allowed. */
UNTORN_API void untorn_reader_close(untorn_reader *reader);

/*
 * Attach again after the segment was replaced.  Array handles stay usable:
 * each finds its array again by name; one that has another data type or rank now
 * has to be opened again (UNTORN_E_MISMATCH).  Snapshots become invalid.  No other
 * thread may use the reader meanwhile.  Errors as untorn_reader_open(); on
 * failure the reader is as before.
 */
UNTORN_API untorn_status untorn_reader_reattach(untorn_reader *reader);

/* UNTORN_OK if a writer is alive, else _WRITER_CLOSED, _WRITER_DIED, _REMOVED or _REPLACED. */
UNTORN_API untorn_status untorn_reader_check(untorn_reader *reader);

/* The number of the last commit. */
UNTORN_API uint64_t untorn_reader_commit(untorn_reader *reader);

typedef enum untorn_kind { UNTORN_KIND_GROUP = 1, UNTORN_KIND_ARRAY = 2 } untorn_kind;

typedef struct untorn_entry {
    const char *name;
    untorn_kind kind;
} untorn_entry;

typedef struct untorn_listing {
    size_t count;
    const untorn_entry *entries; /* sorted by name in byte order */
    uint64_t commit;             /* as of */
} untorn_listing;

/* All arrays and groups as of one commit, the root group left out.
 * Free with untorn_listing_free().  UNTORN_E_OVERTAKEN, _CORRUPT, _NO_MEMORY. */
UNTORN_API untorn_status untorn_list(untorn_reader *reader, untorn_listing **listing);
UNTORN_API void untorn_listing_free(untorn_listing *listing);

/* A group's attributes (JSON, NUL-terminated; free() it).  "" is the root
 * group.  UNTORN_E_NO_ARRAY if there is no such group. */
UNTORN_API untorn_status untorn_group_attributes(untorn_reader *reader, const char *group,
                                                 char **json);

/* Open an array by name.  UNTORN_E_NO_ARRAY, _NAME, _OVERTAKEN, _CORRUPT, _NO_MEMORY. */
UNTORN_API untorn_status untorn_array_open(untorn_reader *reader, const char *name,
                                           untorn_array **array);
UNTORN_API void untorn_array_close(untorn_array *array);

/* What never changes while an array lives.  Pointers live as long as the handle. */
typedef struct untorn_array_info {
    const char *name;
    const char *dtype;
    size_t itemsize;
    unsigned rank;
    const uint64_t *chunks;
    const void *fill;
    const char *const *dimension_names; /* rank entries, each may be NULL */
    const char *codec;
} untorn_array_info;
UNTORN_API untorn_status untorn_array_get_info(untorn_array *array, untorn_array_info *info);

/* What a read returned. */
typedef struct untorn_result {
    uint64_t generation; /* of the array (group reads: of the first) */
    uint64_t commit;     /* that published this generation; group reads: the commit of the whole */
    int64_t time;        /* of that commit, ns since 1970, to the clock tick */
    unsigned attempts;   /* copies begun, at least 1 */
    unsigned pinned;     /* 1 if a pin was needed */
    unsigned rank;
    uint64_t shape[UNTORN_MAX_RANK]; /* of the whole array; rank elements are set */
} untorn_result;

#define UNTORN_TO_END UINT64_MAX /* a count: up to the axis's end */

/*
 * Copy the region start : start + count of one generation to `destination`, in
 * C order without gaps.  start NULL: zeros; count NULL: to the end of every
 * axis; a count may be UNTORN_TO_END.  `capacity` is the destination's size in
 * bytes.  `result` may be NULL; on UNTORN_E_BUFFER_TOO_SMALL and _REGION its
 * shape is set.  Never blocks; the attempts are bounded.
 * UNTORN_E_REGION, _BUFFER_TOO_SMALL, _ARRAY_DELETED, _OVERTAKEN (no pin could
 * be had), _CORRUPT, _NO_MEMORY.  On failure the destination's content is undefined.
 */
UNTORN_API untorn_status untorn_read(untorn_array *array, const uint64_t *start,
                                     const uint64_t *count, void *destination, size_t capacity,
                                     untorn_result *result);

#define UNTORN_GROW 1u /* the library may realloc() destination and raise capacity */

typedef struct untorn_request {
    untorn_array *array;
    const uint64_t *start;  /* as in untorn_read() */
    const uint64_t *count;  /* of elements that are taken: with a step, of every step-th */
    const uint64_t *steps;  /* from one to the next along each axis, at least 1; NULL: all 1 */
    const int64_t *strides; /* of the destination, bytes; NULL: C order without gaps */
    void *destination;      /* UNTORN_GROW: NULL or from malloc(); free() it at the end */
    size_t capacity;
    unsigned flags;
    char **attributes; /* NULL, or where to put the attributes (free() them) */
    /* set by the call */
    uint64_t generation;
    uint64_t commit;                   /* that published this generation */
    uint64_t shape[UNTORN_MAX_RANK];   /* of the whole array */
    uint64_t counted[UNTORN_MAX_RANK]; /* elements that were taken along each axis */
} untorn_request;

/* Read regions of several arrays of one reader as of one commit.  An array may
 * occur more than once.  Errors as untorn_read().
 * With steps, only what is taken is copied, and only chunks in which something is taken are looked
 * at.  Start 2, count 5 and step 8 are the elements 2, 10, 18, 26, 34, NumPy's array[2:40:8]; a
 * count of UNTORN_TO_END takes as many as there are.  UNTORN_E_REGION, too, if a step is 0.
 * This is the fastest way to have copies of several arrays that belong together: the
 * writer is asked for nothing unless it overtakes the reader again and again.
 * Fastest of all are whole arrays of one chunk each (start, count and steps NULL), as C order
 * without gaps and without attributes.  Keep the handles, and the requests if they stay the same.
 */
UNTORN_API untorn_status untorn_read_group(untorn_reader *reader, untorn_request *requests,
                                           size_t count, untorn_result *result);

/* The array's attributes now (JSON, NUL-terminated; free() it). */
UNTORN_API untorn_status untorn_attributes(untorn_array *array, char **json, untorn_result *result);

/* The array's shape, generation and commit now, without copying data. */
UNTORN_API untorn_status untorn_peek(untorn_array *array, untorn_result *result);

/* ------------------------------------------------------------------------
 * Snapshots: several arrays as of one commit, held by a pin, read without
 * copying or in any number of reads.  A busy writer has to grant the pin, which
 * takes some microseconds: for one copy of each array untorn_read_group() is faster.
 */
#define UNTORN_NEWEST 0 /* a commit number: the newest */

/*
 * Take a snapshot of `count` arrays (0: all that exist) as of `commit`: UNTORN_NEWEST,
 * or a number while it is in the window or pinned by anyone, so that several
 * processes can work on the same commit.  The pin takes hold before the
 * writer next reuses anything.  It ends with untorn_snapshot_close(), when the
 * reader dies, or when the writer is out of space (the newest go first, and
 * those past their lease before); untorn_snapshot_check() tells.
 * UNTORN_E_NO_COMMIT, _ARRAY_DELETED, _OVERTAKEN, _CORRUPT, _NO_MEMORY, _LIMIT.
 */
UNTORN_API untorn_status untorn_snapshot_open(untorn_reader *reader, untorn_array *const *arrays,
                                              size_t count, uint64_t commit,
                                              untorn_snapshot **snapshot);
UNTORN_API void untorn_snapshot_close(untorn_snapshot *snapshot);

/* The commit it is of, and the number of arrays in it. */
UNTORN_API uint64_t untorn_snapshot_commit(const untorn_snapshot *snapshot);
UNTORN_API size_t untorn_snapshot_count(const untorn_snapshot *snapshot);

/* What the array at place `i` is (pointers live as long as the snapshot), and
 * its shape, generation and commit in this snapshot.  Either may be NULL. */
UNTORN_API untorn_status untorn_snapshot_describe(untorn_snapshot *snapshot, size_t i,
                                                  untorn_array_info *info, untorn_result *result);

/* As untorn_attributes(), untorn_read() and their errors, as of the snapshot.
 * UNTORN_E_OVERTAKEN: the snapshot is not valid any more. */
UNTORN_API untorn_status untorn_snapshot_attributes(untorn_snapshot *snapshot, size_t i,
                                                    char **json);
UNTORN_API untorn_status untorn_snapshot_read(untorn_snapshot *snapshot, size_t i,
                                              const uint64_t *start, const uint64_t *count,
                                              void *destination, size_t capacity);

/* As untorn_read_group() and its errors, as of the snapshot: requests[k] is of the array at place
 * places[k], or k if `places` is NULL.  Its `array` is NULL or a handle of that array, else
 * UNTORN_E_ARGUMENT. */
UNTORN_API untorn_status untorn_snapshot_read_group(untorn_snapshot *snapshot, const size_t *places,
                                                    untorn_request *requests, size_t count);

/*
 * A chunk in shared memory, without a copy.  *memory gets the chunk in C order
 * at full chunk shape; only elements within the array's shape are defined.
 * Whatever was computed from it counts only if untorn_snapshot_check()
 * succeeds *afterwards*.  The memory is there until untorn_snapshot_close().
 * A chunk that is only in the store is read from there, into memory of the snapshot.
 * UNTORN_E_ABSENT: the chunk reads as the fill value.
 * UNTORN_E_REGION, _OVERTAKEN, _CORRUPT.
 */
UNTORN_API untorn_status untorn_snapshot_chunk(untorn_snapshot *snapshot, size_t i,
                                               const uint64_t *index, const void **memory);

/* UNTORN_OK if everything read from the snapshot so far was valid, else
 * UNTORN_E_OVERTAKEN.  No system call. */
UNTORN_API untorn_status untorn_snapshot_check(untorn_snapshot *snapshot);

/* ------------------------------------------------------------------------
 * Waiting.  Needs read permission only.  A timeout below 0 is for ever; 0 only
 * looks.  All return UNTORN_E_TIMEOUT, _INTERRUPTED, _WRITER_CLOSED,
 * _WRITER_DIED, _REMOVED or _REPLACED if what was waited for did not come; the
 * last four not before it is certain, which takes up to 100 ms.
 *
 * A wait sleeps in the kernel, from which it takes microseconds to wake up.  With
 * untorn_reader_options.spin it first looks at the published word again and again for that long:
 * it then returns within a fraction of a microsecond of the commit, at the price of a processor,
 * and the commit makes no system call for it.  INT64_MAX never sleeps.  A signal does not end
 * spinning.  untorn_peek() is the look by itself, for loops of one's own: while nothing is
 * published it costs about as much as a read of one cache line.
 */

/* Until the array's generation is above `generation`. */
UNTORN_API untorn_status untorn_wait(untorn_array *array, uint64_t generation, int64_t timeout);

/* Until any of several arrays' generations is above its `generations` entry;
 * *which (may be NULL) gets the place of one. */
UNTORN_API untorn_status untorn_wait_any(untorn_array *const *arrays, const uint64_t *generations,
                                         size_t count, int64_t timeout, size_t *which);

/* Until the segment's last commit is at or above `commit`. */
UNTORN_API untorn_status untorn_wait_commit(untorn_reader *reader, uint64_t commit,
                                            int64_t timeout);

/* Until the array has at least `length` elements along `axis`. */
UNTORN_API untorn_status untorn_wait_length(untorn_array *array, unsigned axis, uint64_t length,
                                            int64_t timeout);

/* Until an array of this name exists; then as untorn_array_open(). */
UNTORN_API untorn_status untorn_wait_array(untorn_reader *reader, const char *name, int64_t timeout,
                                           untorn_array **array);

/* ------------------------------------------------------------------------
 * Stores: what a segment is flushed to.  A store is a directory:
 *
 *   STORE/latest -> snapshots/N    a Zarr group: the newest store snapshot
 *   STORE/snapshots/N/             the store snapshot of commit N; never changes
 *   STORE/arrays/                  what the snapshots' arrays are links to
 *
 * Any Zarr reader opens a store snapshot.  To see one commit, resolve the symbolic link `latest`
 * first (realpath) and open what it names.
 */
#define UNTORN_MAX_STORE_PATH 2048

/* How flushing goes. */
typedef struct untorn_flush_state {
    char store[UNTORN_MAX_STORE_PATH]; /* absolute; "": the segment has none */
    unsigned store_format;
    int64_t interval;        /* ns; below 0: only on demand and at close */
    uint64_t flushed_commit; /* of the newest store snapshot; 0: none yet */
    int64_t flushed_time;    /* of that commit, ns since 1970 */
    int64_t finished;        /* when it was published, ns since 1970 */
    int64_t duration;        /* ns that the flush took */
    uint64_t flushes;        /* that succeeded */
    uint64_t failures;       /* since the last one that succeeded */
    int64_t failed;          /* when the last one failed; 0: none did */
    untorn_status status;    /* of the last one, or of deleting old snapshots after it */
    char error[512];         /* the last failure's sentence; "" if none */
    uint64_t bytes_written;  /* of chunk files, by the last flush that succeeded */
    uint64_t chunks_written;
    uint64_t chunks_linked; /* that had not changed */
    uint64_t total_bytes;   /* of chunk files, by all flushes */
} untorn_flush_state;

/* The state of the segment's flushing.  UNTORN_E_OVERTAKEN: it was being changed. */
UNTORN_API untorn_status untorn_reader_flush_state(untorn_reader *reader,
                                                   untorn_flush_state *state);

/*
 * Ask the live writer to flush, and wait until the commit that is the last now is in the store.
 * *commit (may be NULL) gets that of the store snapshot.  Needs rights to the control file.
 * UNTORN_E_STATE: the segment has no store, or its writer only reads it.  UNTORN_E_PERMISSION,
 * _TIMEOUT, _INTERRUPTED, _WRITER_CLOSED, _WRITER_DIED, _REMOVED, _REPLACED, or the error of the
 * flush, such as UNTORN_E_NO_STORE if the store was moved or removed.
 */
UNTORN_API untorn_status untorn_request_flush(untorn_reader *reader, int64_t timeout,
                                              uint64_t *commit);

typedef struct untorn_export_options {
    size_t struct_size;
    unsigned format;  /* of Zarr: 2 (default) or 3 */
    unsigned threads; /* that compress, default 1 */
    uint64_t commit;  /* UNTORN_NEWEST (default) or one that can be read */
} untorn_export_options;
#define UNTORN_EXPORT_OPTIONS_INIT                                                                 \
    { sizeof(untorn_export_options), 0, 0, 0 }

/*
 * Write the arrays and groups of one commit to another store, as a store snapshot of real
 * directories without links.  *commit (may be NULL) gets its number.  `options` may be NULL.
 * UNTORN_E_FOREIGN_STORE: there is a store of another segment; _BUSY: it is in use.
 */
UNTORN_API untorn_status untorn_export(untorn_reader *reader, const char *store,
                                       const untorn_export_options *options, uint64_t *commit);

typedef struct untorn_store_snapshot {
    uint64_t commit;
    int64_t time; /* of the commit, ns since 1970 */
    uint64_t arrays;
    const char *path;     /* of the directory, absolute */
    int latest;           /* the store's `latest` names it */
    untorn_status status; /* UNTORN_E_CORRUPT: its manifest is damaged, time and arrays are 0 */
} untorn_store_snapshot;

typedef struct untorn_store_listing {
    size_t count;
    const untorn_store_snapshot *snapshots; /* ascending by commit */
} untorn_store_listing;

/* The snapshots of a store.  Free with untorn_store_listing_free().
 * UNTORN_E_NO_STORE, _PERMISSION, _NO_MEMORY, _SYSTEM. */
UNTORN_API untorn_status untorn_store_list(const char *store, untorn_store_listing **listing);
UNTORN_API void untorn_store_listing_free(untorn_store_listing *listing);

typedef struct untorn_verify_options {
    size_t struct_size;
    /* Called now and then with the bytes that were checked, of all there are; may be NULL. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    /* Called with a sentence for each damaged file, naming it; may be NULL. */
    void (*damaged)(void *context, const char *sentence);
    void *context;
} untorn_verify_options;
#define UNTORN_VERIFY_OPTIONS_INIT                                                                 \
    { sizeof(untorn_verify_options), NULL, NULL, NULL }

typedef struct untorn_verify_result {
    uint64_t snapshots;
    uint64_t arrays;
    uint64_t chunks; /* files, each counted once */
    uint64_t bytes;
    uint64_t damaged; /* files */
} untorn_verify_result;

/*
 * Check every file of all snapshots of a store against its hash, and that each decompresses to a
 * chunk.  Changes nothing; a live writer may go on flushing.
 * UNTORN_OK: and result->damaged is 0.  UNTORN_E_CORRUPT: it is not; the message names the first.
 * UNTORN_E_NO_STORE, _PERMISSION, _NO_MEMORY, _SYSTEM.
 */
UNTORN_API untorn_status untorn_store_verify(const char *store,
                                             const untorn_verify_options *options,
                                             untorn_verify_result *result);

/* ------------------------------------------------------------------------
 * For inspection
 */

/* Copy a segment's bytes to a new file, for a post-mortem.  Takes no part in
 * the protocol: what the writer changes meanwhile may be caught half-way. */
UNTORN_API untorn_status untorn_segment_dump(const char *segment, const char *path);

typedef struct untorn_stat {
    uint64_t size;     /* bytes it may grow to */
    uint64_t reserved; /* bytes taken from the mount so far */
    uint64_t commit;
    uint64_t arrays;
    unsigned versions;
    int64_t created;      /* ns since 1970 */
    int64_t writer_since; /* ns since 1970 */
    int writer_pid;       /* as the writer's own pid namespace counts; 0 if none ever was */
} untorn_stat;
UNTORN_API untorn_status untorn_reader_stat(untorn_reader *reader, untorn_stat *stat);

typedef struct untorn_commit_entry {
    uint64_t commit;
    int64_t time;    /* ns since 1970 */
    uint64_t arrays; /* that it defined, changed or deleted, as far as that is still known */
    int whole;       /* all arrays and groups can be read as of it; else only some can */
    int pinned;      /* somebody's pin stands on it */
} untorn_commit_entry;

typedef struct untorn_commit_listing {
    size_t count;
    const untorn_commit_entry *commits; /* ascending */
} untorn_commit_listing;

/*
 * The commits that can be read from memory at this moment; a live writer's next commits take the
 * oldest of them away.  At any other commit between two of a listing, an array is as it was at the
 * lower one.  Free with untorn_commit_listing_free().
 * UNTORN_E_CORRUPT, _NO_MEMORY.
 */
UNTORN_API untorn_status untorn_commit_list(untorn_reader *reader, untorn_commit_listing **listing);
UNTORN_API void untorn_commit_listing_free(untorn_commit_listing *listing);

/*
 * Looking at a segment from outside: what shmstat is made of.
 *
 * An inspection maps the data read-only and takes no part in the protocol: it pins nothing, takes
 * no line and no lock.  It attaches to what a reader would refuse and collects sentences that say
 * what is wrong.  What the writer changes meanwhile is tried a few times and then marked.
 * One thread at a time.
 */
typedef struct untorn_inspection untorn_inspection;

#define UNTORN_INSPECT_DUMP 1u /* `name` is the path of a file that untorn_segment_dump() made */

/*
 * Damage is no failure; see untorn_inspect_problem().  UNTORN_E_NO_SEGMENT, _PERMISSION, _NAME,
 * _NO_MEMORY, _SYSTEM; _VERSION, _LAYOUT, _CORRUPT: nothing in it can be made sense of.
 */
UNTORN_API untorn_status untorn_inspect_open(const char *name, unsigned flags,
                                             untorn_inspection **inspection);
UNTORN_API void untorn_inspect_close(untorn_inspection *inspection); /* NULL is allowed */

/* The i-th sentence on what is wrong, NULL if there is none.  They grow in number with every call
 * below and live as long as the inspection. */
UNTORN_API const char *untorn_inspect_problem(const untorn_inspection *inspection, size_t i);

typedef enum untorn_writer_state {
    UNTORN_WRITER_NONE = 0,    /* there was none yet */
    UNTORN_WRITER_ALIVE = 1,   /* runs or sleeps */
    UNTORN_WRITER_STOPPED = 2, /* alive, but stopped by a signal or a debugger */
    UNTORN_WRITER_CLOSED = 3,
    UNTORN_WRITER_DEAD = 4,
    UNTORN_WRITER_UNKNOWN = 5 /* a dump: there was one that had not closed */
} untorn_writer_state;

#define UNTORN_COMMAND_BYTES 64

typedef struct untorn_segment_state {
    const char *name; /* or the dump's path */
    unsigned char uuid[16];
    uint64_t size;       /* bytes it may grow to */
    uint64_t reserved;   /* bytes taken from the mount so far */
    uint64_t file_bytes; /* length of the data file */
    uint64_t commit;
    unsigned versions;
    unsigned lease_ms;
    unsigned mode; /* permissions of the data */
    int64_t now;   /* ns since 1970: when this was looked at; of a dump: when it was made */
    int64_t created;
    untorn_writer_state writer;
    int writer_pid; /* as the writer's own pid namespace counts; 0 if none ever was */
    int64_t writer_since;
    char writer_command[UNTORN_COMMAND_BYTES]; /* "": not known */
    int readers;                               /* that have a line; -1: not permitted to know */
    unsigned pins;                             /* grants that stand */
    unsigned waiting;                          /* readers that sleep until something is published */
} untorn_segment_state;
UNTORN_API untorn_status untorn_inspect_segment(untorn_inspection *inspection,
                                                untorn_segment_state *state);

/* As untorn_reader_flush_state(), of a damaged segment or a dump, too. */
UNTORN_API untorn_status untorn_inspect_flush(untorn_inspection *inspection,
                                              untorn_flush_state *state);

/*
 * Read the catalogue anew.  *names gets *count arrays' names in the order of their numbers; they
 * live until the next call or the end of the inspection.
 */
UNTORN_API untorn_status untorn_inspect_catalogue(untorn_inspection *inspection,
                                                  const char *const **names, size_t *count);

typedef struct untorn_array_state {
    untorn_array_info info; /* lives as long as the names */
    uint64_t shape[UNTORN_MAX_RANK];
    uint64_t generation;
    uint64_t oldest; /* the window is oldest .. generation */
    uint64_t commit; /* that published the generation */
    uint64_t data_commit;
    int64_t time;        /* of `commit` */
    unsigned versions;   /* generations that can still be read, of the window and held by pins */
    unsigned intervals;  /* between the commits of which a descriptor is left; their lengths, ns: */
    int64_t interval[4]; /* p10, p50, p90, greatest; 0 if there is no interval */
    /* Of the newest generation: */
    uint64_t chunks;      /* of the grid */
    uint64_t resident;    /* in memory */
    uint64_t dirty;       /* resident and not in the store as they are */
    uint64_t evicted;     /* in the store alone */
    uint64_t memory;      /* bytes: slots, table, descriptors, definition, attributes */
    uint64_t dirty_bytes; /* of slots */
    uint64_t last_bytes;  /* that `data_commit` wrote */
    int partial;          /* the budget was used up: the numbers above are of a part */
    int overtaken;        /* the writer was faster, every time: they are of several generations */
    int damaged;          /* the descriptor or the table is; a problem says what */
    uint64_t inherited; /* of the generations, that it had when the segment was made from a store */
} untorn_array_state;

/* Look at the i-th array of the catalogue.  `budget`: chunks to look at at most, 0: no bound.
 * UNTORN_E_ARRAY_DELETED: it is not there any more; _OVERTAKEN, _CORRUPT. */
UNTORN_API untorn_status untorn_inspect_array(untorn_inspection *inspection, size_t i,
                                              uint64_t budget, untorn_array_state *state);

#define UNTORN_CHUNK_ABSENT 0 /* reads as the fill value */
#define UNTORN_CHUNK_CLEAN 1  /* in memory, and in the store as it is */
#define UNTORN_CHUNK_DIRTY 2  /* in memory, and not in the store as it is */
#define UNTORN_CHUNK_EVICTED 3

/* The states of `count` chunks from number `first` on (C order of the grid), one byte each. */
UNTORN_API untorn_status untorn_inspect_chunks(untorn_inspection *inspection, size_t i,
                                               uint64_t first, size_t count, unsigned char *states);

/* What the newest store snapshot has of the i-th array. UNTORN_E_ABSENT: nothing;
 * UNTORN_E_STATE: there is no store; _CORRUPT, _PERMISSION, _NO_MEMORY, _SYSTEM. */
typedef struct untorn_stored_state {
    uint64_t chunks;     /* that have a file */
    uint64_t file_bytes; /* of the files */
    uint64_t data_bytes; /* of what is visible of these chunks, not encoded */
} untorn_stored_state;
UNTORN_API untorn_status untorn_inspect_stored(untorn_inspection *inspection, size_t i,
                                               untorn_stored_state *state);

#define UNTORN_MAX_READERS 256

/* A line that a reader owns: it has pinned or waited.  Others are not known to anybody. */
typedef struct untorn_reader_state {
    unsigned line;
    int pid; /* as the reader says */
    char command[UNTORN_COMMAND_BYTES];
    int flusher;          /* it is the writer's own */
    unsigned waiting;     /* 1: sleeps on arrays; 2: on the segment */
    uint64_t reads;       /* since the reader has a line */
    uint64_t attempts;    /* that those took */
    uint64_t last_commit; /* the newest that it read; 0: none yet */
    uint64_t pin;         /* commit that it holds; 0: none */
    int64_t pin_age;      /* ns; -1: not known */
} untorn_reader_state;

/* UNTORN_E_PERMISSION: the control file may not be read.  *count is at most UNTORN_MAX_READERS.  A
 * dump does not tell who lived: it has all lines that were ever used. */
UNTORN_API untorn_status untorn_inspect_readers(untorn_inspection *inspection,
                                                untorn_reader_state *readers, size_t *count);

/* A reader of what is inspected, for its data: it belongs to the inspection, has no rights to
 * pins, and must not be closed.  UNTORN_E_CORRUPT, _NO_MEMORY. */
UNTORN_API untorn_status untorn_inspect_reader(untorn_inspection *inspection,
                                               untorn_reader **reader);

typedef struct untorn_segment_names {
    size_t count;
    const char *const *names; /* sorted */
} untorn_segment_names;

/* The segments on this machine, whether one may read them or not. */
UNTORN_API untorn_status untorn_segments(untorn_segment_names **names);
UNTORN_API void untorn_segments_free(untorn_segment_names *names);

#ifdef __cplusplus
}
#endif
#endif
