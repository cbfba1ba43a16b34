// SPDX-License-Identifier: MIT
/*
 * A segment's files: their names, creating them, attaching to them.
 *
 *   untorn.NAME        data.  Readers map it PROT_READ.
 *   untorn.NAME~ctl    control: readers write their requests here.
 *   untorn.NAME~lock   who holds its lock is the writer (segment/writer_lock.h).
 *   untorn.NAME~alive  readers ask here whether a writer lives.
 *
 * All in /dev/shm, where shm_open() puts them; UNTORN_SHM_DIR in the
 * environment names another directory (ignored in set-uid programs).
 */
#ifndef UT_SEGMENT_H
#define UT_SEGMENT_H

#include "segment/layout.h"

#include "base/atomic_order.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define UT_SUFFIX_DATA ""
#define UT_SUFFIX_CONTROL "~ctl"
#define UT_SUFFIX_LOCK "~lock"
#define UT_SUFFIX_ALIVE "~alive"

/* A path of a segment's file: directory + "/untorn." + NAME + suffix + ".new". */
#define UT_PATH_MAX 4096
untorn_status ut_segment_path(const char *name, const char *suffix, char path[UT_PATH_MAX]);

/* A mapped segment. */
typedef struct ut_segment {
    char name[208];
    unsigned char *base;
    uint64_t mapped; /* bytes of address space: the size it may grow to */
    ut_superblock *super;
    ut_ack *acks;
    _Atomic uint64_t *directory;
    ut_store_block *store;
    ut_control *control; /* NULL: no permission, or not wanted */
    int fd;              /* of the data: for fstat; carries no lock */
    int control_fd;      /* -1: none; carries no lock */
    dev_t device;
    ino_t inode;
    bool writable;
    /* The reserve as last seen and found to be backed by the file. */
    _Atomic uint64_t reserve;
    char message_name[224]; /* `segment "NAME"` */
} ut_segment;

typedef struct ut_segment_options {
    uint64_t size; /* 0: default */
    unsigned mode;
    unsigned control_mode;
    unsigned versions;
    unsigned lease_ms;
    /* Of a segment that is made from a store; it stays UT_WRITER_RESTORING until its content is
     * there.  0: begins with nothing, under an identity of its own. */
    uint64_t uuid[2];
    uint64_t first_commit;
    uint64_t next_uid;
    uint64_t origin_commit;
    uint64_t origin_nonce[2];
} ut_segment_options;

/* The layout's signature in this build. */
uint64_t ut_segment_signature(void);

/* Build a segment with an empty catalogue under temporary names and publish it.
 * The caller holds the writer's lock.  UNTORN_E_SEGMENT_EXISTS if the name is taken. */
untorn_status ut_segment_create(const char *name, const ut_segment_options *options);

/* The first look at a file that may be a segment's data: the superblock, which has the magic, and
 * how long the file is.  `who` begins the messages. */
untorn_status ut_segment_look(const char *who, int fd, const char *path, ut_superblock *first,
                              struct stat *file);

/* Map a segment and check its superblock.  One that is still being made from a store is
 * UNTORN_E_NO_SEGMENT to readers.  `write`: for the writer, whose
 * mapping is not inherited over a fork. `control`: map the control file too;
 * a reader goes without it if that is not permitted. */
untorn_status ut_segment_attach(ut_segment *segment, const char *name, bool write, bool control);
void ut_segment_detach(ut_segment *segment);

/* Whether there is a data file of this name. */
bool ut_segment_exists(const char *name);

/* Unlink the data, control and alive files. */
untorn_status ut_segment_unlink(const char *name);

/* OK, _REMOVED or _REPLACED: what the name means now. */
untorn_status ut_segment_named(const ut_segment *segment);

/* Slow path of ut_at(): look at the reserve again. */
bool ut_segment_backed(ut_segment *segment, uint64_t end);

/* The place of `bytes` bytes at `offset`, or NULL if they are not all within what is backed. */
static inline void *ut_at(ut_segment *segment, uint64_t offset, uint64_t bytes) {
    uint64_t end = offset + bytes;
    if (end > ut_load_relaxed(&segment->reserve) || end < offset || offset < UT_HEAP_OFFSET) {
        if (end < offset || offset < UT_HEAP_OFFSET || !ut_segment_backed(segment, end))
            return NULL;
    }
    return segment->base + offset;
}

/* The header of an object, or NULL if there is none. */
ut_header *ut_segment_header(ut_segment *segment, uint64_t index);

#endif
