// SPDX-License-Identifier: MIT
/*
 * The shared layout: every structure that lies in a segment, and its offsets.
 * docs/segment-layout.md describes the same for readers in other languages.
 *
 * All numbers are little-endian.  A reference to a place in the data segment is
 * its offset from the segment's begin.  Offset 0 is never a valid target.
 *
 *   DATA SEGMENT  untorn.NAME                            written by the writer alone
 *        0  +--------------------------------------------+
 *           | superblock                       2048 bytes|
 *     2048  | commit record                    2048 bytes|
 *     4096  +--------------------------------------------+
 *           | acks: 256 x 64 bytes                       |
 *    20480  +--------------------------------------------+
 *           | directory: 4096 x 8 bytes, each the offset |
 *           | of a page of 32 headers, or 0              |
 *    53248  +--------------------------------------------+
 *           | store block                      4096 bytes|
 *    57344  +--------------------------------------------+
 *           | heap: pages of headers, descriptor rings,  |
 *           | retained descriptors, table nodes, chunks, |
 *           | definitions, attributes                    |
 *           +--------------------------------------------+  superblock.reserve
 *
 *   CONTROL SEGMENT  untorn.NAME~ctl                     written by readers
 *        0  +--------------------------------------------+
 *           | control block                    4096 bytes|
 *     4096  +--------------------------------------------+
 *           | lines: 256 x 128 bytes                     |
 *    36864  +--------------------------------------------+
 *
 * An *object* is what has a header: the catalogue (object 0), a group, an array.
 *
 *   header ---- ring ------> descriptor of generation g (slot g mod entries)
 *          \--- retained --> descriptor -> descriptor -> ...
 *   descriptor -- root ----> node -> ... -> node -> chunk
 *              \- attrs ---> text
 *
 * A *cell* is a reference and the commit that wrote what it refers to.  A table
 * is a tree of nodes of 32 cells.  depth 0: the descriptor's root cell is that
 * of the only chunk; depth d: it is that of a node over 32^d chunks.
 */
#ifndef UT_LAYOUT_H
#define UT_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

#define UT_MAGIC UINT64_C(0x0a314e524f544e55)         /* "UNTORN1\n" */
#define UT_CONTROL_MAGIC UINT64_C(0x0a434e524f544e55) /* "UNTORNC\n" */
#define UT_FORMAT_VERSION 3u

#define UT_PAGE UINT64_C(4096)
#define UT_UNIT UINT64_C(64) /* every target of a reference is aligned to this */

#define UT_LINES 256u
#define UT_FLUSHER_LINE 255u /* of the writer's flusher; readers take those below */
#define UT_DIRECTORY_SIZE 4096u
#define UT_HEADERS_PER_PAGE 32u
#define UT_MAX_OBJECTS (UT_DIRECTORY_SIZE * UT_HEADERS_PER_PAGE)

#define UT_NODE_CELLS 32u
#define UT_NODE_SHIFT 5u
#define UT_MAX_DEPTH 13u /* there are below 2^62 chunks; 32^12 are 2^60 */

#define UT_RING_SMALL 8u
#define UT_RING_LARGE 64u

#define UT_MIN_SIZE (UINT64_C(256) << 10)
#define UT_MAX_SIZE (UINT64_C(1) << 43)

/* Commit numbers carry the epoch above this bit. */
#define UT_EPOCH_SHIFT 48u

/*
 * A cell's reference word:
 *    0-39  offset / 64
 *   40-47  flags
 *   48-63  check over the rest, the version, the object's uid and the level
 * A zero word means absent: the chunk, or everything below the node, reads as
 * the fill value.
 */
#define UT_REF_UNITS ((UINT64_C(1) << 40) - 1)
#define UT_REF_SEALED (UINT64_C(1) << 40)  /* no appending in place: more was visible once */
#define UT_REF_EVICTED (UINT64_C(1) << 41) /* only in the store; the offset is 0 */
/* In an inner node, together with EVICTED: all below is as the store has it for this version. */
#define UT_REF_SUBTREE (UINT64_C(1) << 42)
#define UT_REF_FLAGS (UT_REF_SEALED | UT_REF_EVICTED | UT_REF_SUBTREE)
#define UT_REF_CHECK_SHIFT 48u

typedef struct ut_cell {
    _Atomic uint64_t ref;
    _Atomic uint64_t version; /* the commit that wrote it */
} ut_cell;

/* Written by the writer before it is reachable; in cells beyond all that was ever visible in
 * this node, also afterwards.  Read under the window. */
typedef struct ut_node {
    ut_cell cells[UT_NODE_CELLS];
} ut_node;

/* The salt of a cell's check. Levels: 0 a chunk, 1 and up a node. */
#define UT_LEVEL_ATTRIBUTES 200u

/* descriptor.kind: flags | rank << 32 | depth << 40 */
#define UT_KIND_CATALOGUE 1u
#define UT_KIND_GROUP 2u
#define UT_KIND_ARRAY 3u
#define UT_KIND_MASK 0xffu
#define UT_KIND_DELETED 0x100u

/*
 * What generation `stamp` of an object is.  A plain copy of it is what code
 * works on; in shared memory it is read and written as 32 atomic words.
 * stamp 0: being written, or nothing.  check covers the stamp and everything
 * from uid to the end of the shape.
 */
typedef struct ut_descriptor {
    uint64_t stamp;
    uint64_t check;
    uint64_t next;        /* retained list only: offset of the next; else 0 */
    uint64_t uid;         /* of the object, never reused */
    uint64_t commit;      /* that published this generation */
    uint64_t data_commit; /* that last changed the data or the shape */
    int64_t time;         /* of the commit, ns since 1970 */
    uint64_t until;       /* retained list only: the commit of the next generation; else 0 */
    uint64_t kind;        /* see above */
    uint64_t root_ref;    /* cell of the table's root */
    uint64_t root_version;
    uint64_t attributes_ref; /* cell of a ut_text; 0: none */
    uint64_t attributes_version;
    uint64_t slot_bytes; /* of a chunk's slot; 0: texts, which tell their own length */
    uint64_t cells;      /* of the table that are visible: chunks of the shape's grid */
    uint64_t changed;    /* the last generation that was published by more than an eviction */
    uint64_t shape[UNTORN_MAX_RANK];
} ut_descriptor;

#define UT_DESCRIPTOR_WORDS 32u
#define UT_DESCRIPTOR_BODY 3u /* the first word that the check covers */

typedef struct ut_descriptor_slot {
    _Atomic uint64_t words[UT_DESCRIPTOR_WORDS];
} ut_descriptor_slot;

/*
 * An object's seqlock.  Written by the writer; read by all.
 * Invariant: 1 <= oldest <= generation + 1; neither ever decreases.
 */
typedef struct ut_header {
    _Atomic uint64_t generation; /* the newest published; 0: none yet */
    _Atomic uint64_t oldest;     /* nothing of this generation or a newer one has been reused */
    _Atomic uint64_t ring;       /* offset of the ring | log2 of its entries */
    _Atomic uint64_t retained;   /* offset of the first retained descriptor, or 0; append-only */
    _Atomic uint32_t published;  /* futex word: low bits of generation, stored after commit */
    uint32_t unused;
    _Atomic uint64_t inherited; /* generations that it had in the store when it came from there */
    /* A guess: where the newest root lies | how many lines of it a reader may ask for ahead; 0:
     * none. Prefetched, never trusted, so it needs no order: it may be of another generation. */
    _Atomic uint64_t root_hint;
    uint64_t reserved[9];
} ut_header;

/* A definition, a bucket of names or an attribute text: the head of its bytes. */
typedef struct ut_text {
    uint64_t length; /* of the bytes that follow */
    uint64_t check;  /* ut_hash() of them */
} ut_text;

/*
 * The catalogue's table holds texts of two kinds.  Cell 8k is bucket k of a linear hash table over
 * names (array/name_bucket.h); the cells between are the objects' definitions, in order: object 1
 * is cell 1, object 8 is cell 9.  Both grow with shape[0], the number of objects, and change with
 * the same commit.
 */
#define UT_CATALOGUE_STRIDE 8u

/* In a bucket, which is an array of these. */
typedef struct ut_name_pair {
    uint32_t hash;   /* the low half of ut_hash() of the name */
    uint32_t object; /* 0: an unused pair */
} ut_name_pair;

#define UT_WRITER_NONE 0u
#define UT_WRITER_ACTIVE 1u
#define UT_WRITER_CLOSED 2u
#define UT_WRITER_RESTORING 3u /* being made from a store: nobody else's business yet */

typedef struct ut_superblock {
    /* Written once, before the segment has its name. */
    uint64_t magic;
    uint32_t version;
    uint32_t lines;
    uint64_t
        signature; /* of the layout's constants: differently built processes refuse each other */
    uint64_t nonce[2]; /* the same in all files of the segment */
    uint64_t uuid[2];  /* shared with the store */
    uint64_t size;     /* the most it may grow to; all map this much */
    int64_t created;   /* ns since 1970 */
    uint32_t versions;
    uint32_t lease_ms;
    uint32_t mode;
    uint32_t control_mode;
    uint64_t check; /* ut_hash() of all above */
    /* Of a segment that was made from a store: the snapshot's commit, and the nonce of the segment
     * that flushed it (0: not known).  Commit 0: it began with nothing. */
    uint64_t origin_commit;
    uint64_t origin_nonce[2];
    uint64_t reserved0[17];

    /* The one truth: the last finished transaction.  Own cache line. */
    _Atomic uint64_t commit;
    uint64_t reserved1[15];

    /* Private to the writer and the next one. */
    _Atomic uint64_t prepared; /* commit, or commit + 1 while one is being published */
    _Atomic uint64_t next_uid;
    _Atomic uint64_t objects; /* headers in use have a lower index */
    uint64_t reserved2[13];

    /* Futex word of the segment: low bits of commit, stored after it. */
    _Atomic uint32_t published;
    uint32_t reserved3[31];

    /* Bytes of the file that are backed by memory.  Readers touch nothing beyond. */
    _Atomic uint64_t reserve;
    _Atomic uint32_t writer_state;
    _Atomic uint32_t writer_pid;
    _Atomic int64_t writer_since; /* ns since 1970 */
    uint64_t reserved4[13];

    uint64_t reserved5[160];
} ut_superblock;

/*
 * What the transaction being published changes, so that the next writer can
 * finish it.  Valid while prepared == commit + 1.
 */
typedef struct ut_record_entry {
    uint64_t object;     /* index of the header */
    uint64_t generation; /* the new one, absolute: replaying is idempotent */
} ut_record_entry;

#define UT_RECORD_INLINE 125u

typedef struct ut_record {
    uint64_t commit;
    uint64_t count;
    uint64_t list;  /* offset of `count` entries elsewhere, or 0: inline */
    uint64_t check; /* ut_hash() of the entries ^ commit ^ count */
    uint64_t unused[2];
    ut_record_entry entries[UT_RECORD_INLINE];
} ut_record;

/* A grant.  Written by the writer; read by all.  One cache line each. */
typedef struct ut_ack {
    _Atomic uint64_t nonce;  /* of the request that was granted; 0: none stands */
    _Atomic uint64_t commit; /* that is held; set before nonce */
    _Atomic uint64_t last;   /* the highest nonce ever granted or refused here */
    _Atomic int64_t granted; /* monotonic ns */
    uint64_t reserved[4];
} ut_ack;

#define UT_STORE_ERROR_BYTES 512u
#define UT_STORE_PATH_BYTES 3072u
#define UT_STORE_ONLY_READ (1u << 31)

/*
 * Which store the segment is flushed to, and how that goes.  Written by the writer's process;
 * read by all.
 *
 * The configuration belongs to the writer's thread.  A path is set once in a segment's life:
 * path_bytes is stored, with release, after the path.
 *
 * The state belongs to the flusher's thread, which brackets each change: stamp odd, fence(release),
 * fields, stamp even with release.  A reader takes the stamp with acquire, the fields, a
 * fence(acquire) and the stamp again; a writer that died in between leaves it odd, and the next
 * one makes it even.
 */
typedef struct ut_store_block {
    _Atomic uint32_t path_bytes; /* without NUL; 0: there is no store */
    _Atomic uint32_t zarr_format;
    _Atomic int64_t interval; /* ns; below 0: only on demand and at close */
    _Atomic uint64_t flush_bytes;
    _Atomic uint32_t threads; /* that compress; UT_STORE_ONLY_READ: nobody flushes */
    _Atomic uint32_t keep_snapshots;
    _Atomic int64_t keep_time; /* ns */
    uint64_t reserved0[11];

    _Atomic uint64_t stamp;
    _Atomic uint64_t flushed_commit; /* of the newest store snapshot; 0: none yet */
    _Atomic int64_t flushed_time;    /* of that commit */
    _Atomic int64_t finished;        /* when it was published, ns since 1970 */
    _Atomic int64_t duration;        /* ns that it took */
    _Atomic uint64_t flushes;        /* that succeeded, of all writers */
    _Atomic uint64_t failures;       /* in a row; 0: the last one succeeded */
    _Atomic int64_t failed;          /* when the last failure was */
    _Atomic uint64_t status;         /* untorn_status of the last one */
    _Atomic uint64_t bytes_written;  /* of chunk files, by the last one that succeeded */
    _Atomic uint64_t chunks_written;
    _Atomic uint64_t chunks_linked;
    _Atomic uint64_t total_bytes; /* of chunk files, by all */
    uint64_t reserved1[3];

    _Atomic uint32_t ended; /* futex word: counts flushes that ended, either way */
    _Atomic uint32_t begun; /* counts those that began; they do not overlap */
    uint32_t reserved2[30];

    char error[UT_STORE_ERROR_BYTES]; /* the sentence of the last failure; under stamp */
    char path[UT_STORE_PATH_BYTES];   /* absolute */
    uint64_t reserved3[16];
} ut_store_block;

#define UT_RECORD_OFFSET UINT64_C(2048)
#define UT_ACKS_OFFSET UINT64_C(4096)
#define UT_DIRECTORY_OFFSET (UT_ACKS_OFFSET + UT_LINES * 64)
#define UT_STORE_OFFSET (UT_DIRECTORY_OFFSET + UT_DIRECTORY_SIZE * 8)
#define UT_HEAP_OFFSET (UT_STORE_OFFSET + sizeof(ut_store_block))

/*
 * One reader's line.  Written by the reader that holds the kernel lock on byte
 * `line` of the control file; read by the writer, who believes nothing of it.
 */
typedef struct ut_line {
    _Atomic uint64_t nonce;   /* of the request; 0: none; set after wanted */
    _Atomic uint64_t wanted;  /* a commit, or 0: the newest */
    _Atomic uint32_t waiting; /* 1: waits on arrays, 2: waits on the segment */
    _Atomic uint32_t pid;
    _Atomic uint64_t reads;
    _Atomic uint64_t attempts;
    _Atomic uint64_t last_commit;
    uint64_t reserved[10];
} ut_line;

/*
 * Counts of waiters: the low half is how many wait, the high half counts those that ever began.
 * With both, the writer that counts anew sees whether one ended and another began meanwhile, which
 * leaves their number as it was.
 */
#define UT_WAITER_BEGINS 0x10001u
#define UT_WAITERS 0xffffu

/* Objects of this index or above have no wake word: who waits for them sleeps on `published`. */
#define UT_WAKE_WORDS 512u

typedef struct ut_control {
    uint64_t magic;
    uint64_t nonce[2];
    uint64_t reserved0[13];
    _Atomic uint64_t posted; /* counts changes of any line's request; readers add */
    uint64_t reserved1[15];
    /* Readers that sleep: UT_WAITERS. */
    _Atomic uint32_t array_waiters;   /* until arrays are published */
    _Atomic uint32_t segment_waiters; /* until anything is */
    /* Futex words of readers that are counted: the writer counts one up before it wakes. */
    _Atomic uint32_t segment_wakes;
    uint32_t reserved2[29];
    _Atomic uint32_t flush_requests; /* futex word of the flusher: counts wishes for a flush */
    uint32_t reserved4[31];
    _Atomic uint32_t array_wakes[UT_WAKE_WORDS]; /* futex words, by the index of the object */
    uint64_t reserved3[192];
    ut_line lines[UT_LINES];
} ut_control;

static_assert(sizeof(ut_cell) == 16, "cell");
static_assert(sizeof(ut_name_pair) == 8, "name pair");
static_assert(sizeof(ut_node) == 512, "node");
static_assert(sizeof(ut_descriptor) == 256, "descriptor");
static_assert(offsetof(ut_descriptor, next) == 16, "descriptor.next");
static_assert(offsetof(ut_descriptor, uid) == 8 * UT_DESCRIPTOR_BODY, "descriptor.uid");
static_assert(offsetof(ut_descriptor, commit) == 32, "descriptor.commit");
static_assert(offsetof(ut_descriptor, data_commit) == 40, "descriptor.data_commit");
static_assert(offsetof(ut_descriptor, time) == 48, "descriptor.time");
static_assert(offsetof(ut_descriptor, until) == 56, "descriptor.until");
static_assert(offsetof(ut_descriptor, kind) == 64, "descriptor.kind");
static_assert(offsetof(ut_descriptor, root_ref) == 72, "descriptor.root_ref");
static_assert(offsetof(ut_descriptor, attributes_ref) == 88, "descriptor.attributes_ref");
static_assert(offsetof(ut_descriptor, slot_bytes) == 104, "descriptor.slot_bytes");
static_assert(offsetof(ut_descriptor, cells) == 112, "descriptor.cells");
static_assert(offsetof(ut_descriptor, changed) == 120, "descriptor.changed");
static_assert(offsetof(ut_descriptor, shape) == 128, "descriptor.shape");
static_assert(sizeof(ut_descriptor_slot) == sizeof(ut_descriptor), "descriptor slot");
static_assert(sizeof(ut_header) == 128, "header");
static_assert(offsetof(ut_header, oldest) == 8, "header.oldest");
static_assert(offsetof(ut_header, ring) == 16, "header.ring");
static_assert(offsetof(ut_header, retained) == 24, "header.retained");
static_assert(offsetof(ut_header, published) == 32, "header.published");
static_assert(offsetof(ut_header, inherited) == 40, "header.inherited");
static_assert(offsetof(ut_header, root_hint) == 48, "header.root_hint");
static_assert(sizeof(ut_superblock) == 2048, "superblock");
static_assert(offsetof(ut_superblock, signature) == 16, "superblock.signature");
static_assert(offsetof(ut_superblock, nonce) == 24, "superblock.nonce");
static_assert(offsetof(ut_superblock, uuid) == 40, "superblock.uuid");
static_assert(offsetof(ut_superblock, size) == 56, "superblock.size");
static_assert(offsetof(ut_superblock, created) == 64, "superblock.created");
static_assert(offsetof(ut_superblock, versions) == 72, "superblock.versions");
static_assert(offsetof(ut_superblock, check) == 88, "superblock.check");
static_assert(offsetof(ut_superblock, origin_commit) == 96, "superblock.origin_commit");
static_assert(offsetof(ut_superblock, commit) == 256, "superblock.commit");
static_assert(offsetof(ut_superblock, prepared) == 384, "superblock.prepared");
static_assert(offsetof(ut_superblock, published) == 512, "superblock.published");
static_assert(offsetof(ut_superblock, reserve) == 640, "superblock.reserve");
static_assert(sizeof(ut_record) == 2048, "record");
static_assert(sizeof(ut_store_block) == 4096, "store block");
static_assert(offsetof(ut_store_block, stamp) == 128, "store block.stamp");
static_assert(offsetof(ut_store_block, ended) == 256, "store block.ended");
static_assert(offsetof(ut_store_block, error) == 384, "store block.error");
static_assert(offsetof(ut_store_block, path) == 896, "store block.path");
static_assert(sizeof(ut_ack) == 64, "ack");
static_assert(sizeof(ut_line) == 128, "line");
static_assert(offsetof(ut_control, segment_wakes) == 264, "control.segment_wakes");
static_assert(offsetof(ut_control, flush_requests) == 384, "control.flush_requests");
static_assert(offsetof(ut_control, array_wakes) == 512, "control.array_wakes");
static_assert(offsetof(ut_control, lines) == 4096, "control.lines");
static_assert(sizeof(ut_control) == 4096 + UT_LINES * 128, "control");
static_assert(UT_HEAP_OFFSET % UT_PAGE == 0, "heap");
static_assert(sizeof(ut_header) * UT_HEADERS_PER_PAGE == UT_PAGE, "header page");

static inline unsigned ut_kind_rank(uint64_t kind) {
    return (unsigned)(kind >> 32) & 0xff;
}
static inline unsigned ut_kind_depth(uint64_t kind) {
    return (unsigned)(kind >> 40) & 0xff;
}
static inline uint64_t ut_kind_make(unsigned flags, unsigned rank, unsigned depth) {
    return flags | (uint64_t)rank << 32 | (uint64_t)depth << 40;
}

/* The cell of an object's definition; objects begin with 1, the catalogue itself has none. */
static inline uint64_t ut_catalogue_cell(uint64_t object) {
    return object + (object - 1) / (UT_CATALOGUE_STRIDE - 1);
}
/* How many buckets, and how many cells in all, a catalogue of so many objects has. */
static inline uint64_t ut_catalogue_buckets(uint64_t objects) {
    return objects < 2 ? 0 : (objects - 2) / (UT_CATALOGUE_STRIDE - 1) + 1;
}
static inline uint64_t ut_catalogue_cells(uint64_t objects) {
    return objects < 2 ? 0 : ut_catalogue_cell(objects - 1) + 1;
}

/* A word that tells a damaged or foreign cell from a good one with 16 bits. */
static inline uint64_t ut_cell_check(uint64_t ref, uint64_t version, uint64_t uid, unsigned level) {
    uint64_t x = (ref & ((UINT64_C(1) << UT_REF_CHECK_SHIFT) - 1)) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= (version + (uid << 8) + level + 1) * UINT64_C(0xc2b2ae3d27d4eb4f);
    x ^= x >> 29;
    x *= UINT64_C(0x165667b19e3779f9);
    return x & (UINT64_C(0xffff) << UT_REF_CHECK_SHIFT);
}
static inline uint64_t ut_ref_make(uint64_t offset, uint64_t flags, uint64_t version, uint64_t uid,
                                   unsigned level) {
    uint64_t ref = offset / UT_UNIT | flags;
    return ref | ut_cell_check(ref, version, uid, level);
}
static inline uint64_t ut_ref_offset(uint64_t ref) {
    return (ref & UT_REF_UNITS) * UT_UNIT;
}
static inline int ut_ref_good(uint64_t ref, uint64_t version, uint64_t uid, unsigned level) {
    return (ref & (UINT64_C(0xffff) << UT_REF_CHECK_SHIFT)) ==
           ut_cell_check(ref, version, uid, level);
}

#endif
