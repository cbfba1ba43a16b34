// SPDX-License-Identifier: MIT
/*
 * The structures that manifests are made of, for what writes and what reads
 * them; docs/manifest.md describes the same.  Little-endian, aligned to 8.
 *
 *   array manifest                        snapshot manifest
 *   +---------------------------------+   +---------------------------------+
 *   | array head            256 bytes |   | snapshot head         128 bytes |
 *   | definition, padded to 8         |   | objects, each padded to 8       |
 *   | attributes, NUL, padded to 8    |   |                                 |
 *   | chunk records                   |   |                                 |
 *   | trailer                32 bytes |   | trailer                32 bytes |
 *   +---------------------------------+   +---------------------------------+
 */
#ifndef UT_MANIFEST_LAYOUT_H
#define UT_MANIFEST_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "untorn.h"

#define UT_MANIFEST_MAGIC UINT64_C(0x0a4d4e524f544e55)     /* "UNTORNM\n" */
#define UT_MANIFEST_END_MAGIC UINT64_C(0x0a454e524f544e55) /* "UNTORNE\n" */
#define UT_MANIFEST_BYTE_ORDER 0x01020304u
#define UT_MANIFEST_ARRAY 1u
#define UT_MANIFEST_SNAPSHOT 2u
#define UT_MANIFEST_MAX_RECORD 4096u

struct ut_manifest_head {
    uint64_t magic;
    uint32_t version;
    uint32_t byte_order;
    uint32_t kind;
    uint32_t required; /* features that a reader must know; none are defined */
    uint32_t head_bytes;
    uint32_t zarr_format;
    uint64_t uuid[2];
};

struct ut_manifest_array_head {
    struct ut_manifest_head head;
    uint64_t uid;
    uint64_t generation;
    uint64_t commit;
    uint64_t data_commit;
    int64_t time;
    uint32_t rank;
    uint32_t record_bytes;
    uint64_t definition_bytes; /* without the padding */
    uint64_t attributes_bytes; /* without NUL and padding */
    uint64_t reserved[2];
    uint64_t shape[UNTORN_MAX_RANK];
};

struct ut_manifest_snapshot_head {
    struct ut_manifest_head head;
    uint64_t commit;
    int64_t time;
    uint64_t next_uid;
    uint64_t nonce[2]; /* of the segment; 0: not told */
    uint64_t origin_nonce[2];
    uint64_t origin_commit;
    uint64_t reserved[2];
};

struct ut_manifest_entry {
    uint32_t bytes; /* of the entry with its texts and padding */
    uint32_t kind;
    uint64_t uid;
    uint64_t generation;
    uint64_t commit;
    uint64_t data_commit;
    int64_t time;
    uint64_t file_bytes;
    uint64_t file_hash;
    uint32_t name_bytes; /* lengths without NUL */
    uint32_t directory_bytes;
    uint32_t attributes_bytes;
    uint32_t totals_bytes; /* of the totals; 0: there are none */
    /* name, NUL, directory, NUL, attributes, NUL, padding to 8, totals */
};

struct ut_manifest_entry_totals {
    uint64_t chunks;
    uint64_t file_bytes;
    uint64_t data_bytes;
};

struct ut_manifest_trailer {
    uint64_t count; /* of records or objects */
    uint64_t file_bytes;
    uint64_t magic;
    uint64_t hash; /* of all bytes before this one's */
};

static_assert(sizeof(struct ut_manifest_head) == 48, "head");
static_assert(sizeof(struct ut_manifest_array_head) == 256, "array head");
static_assert(offsetof(struct ut_manifest_array_head, rank) == 88, "array head.rank");
static_assert(offsetof(struct ut_manifest_array_head, shape) == 128, "array head.shape");
static_assert(sizeof(struct ut_manifest_snapshot_head) == 128, "snapshot head");
static_assert(sizeof(struct ut_manifest_entry) == 80, "entry");
static_assert(sizeof(struct ut_manifest_entry_totals) == 24, "totals");
static_assert(sizeof(struct ut_manifest_trailer) == 32, "trailer");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are copied as they are");

static inline uint64_t ut_manifest_padded(uint64_t n) {
    return (n + 7) & ~UINT64_C(7);
}

#endif
