// SPDX-License-Identifier: MIT
/*
 * What an array or group is and stays: name, data type, chunk shape, fill value,
 * dimension names, codec.  In the segment it is a text that the catalogue's cell
 * of the same index as the object's header refers to.
 *
 * The bytes after the ut_text head, little-endian:
 *
 *    0  u32  kind: 2 group, 3 array
 *    4  u32  rank
 *    8  u64  uid
 *   16  u32  itemsize
 *   20  u32  length of the name
 *   24  16   data type, NUL-padded
 *   40  8    codec, NUL-padded
 *   48  u64  chunk shape, `rank` times
 *       itemsize bytes: the fill value
 *       the name, then a NUL
 *       per axis: u32 length of the dimension's name (2^32 - 1: none), its bytes, a NUL
 */
#ifndef UT_DEFINITION_H
#define UT_DEFINITION_H

#include "array/dtype.h"
#include "segment/layout.h"

#include <stdatomic.h>
#include <stdbool.h>

#define UT_MAX_DEFINITION (UINT64_C(128) << 10)

typedef struct ut_definition {
    _Atomic uint32_t references;
    unsigned kind; /* UT_KIND_GROUP or UT_KIND_ARRAY */
    unsigned rank;
    uint64_t uid;
    ut_dtype dtype;
    char codec[8];
    uint64_t chunks[UNTORN_MAX_RANK];
    uint64_t slot_bytes; /* of a chunk; 1 for groups, which have none */
    const char *name;
    const void *fill;
    bool fill_is_zero;
    const char *dimension_names[UNTORN_MAX_RANK];
    size_t text_bytes; /* of the encoded form */
    char storage[];    /* what the pointers point into */
} ut_definition;

/* Check and copy a user's definition.  The message names the array. */
untorn_status ut_definition_make(const char *name, const untorn_definition *from, uint64_t uid,
                                 ut_definition **out);
untorn_status ut_definition_make_group(const char *name, uint64_t uid, ut_definition **out);

/* The encoded form, ut_text head included: `definition->text_bytes` bytes. */
void ut_definition_encode(const ut_definition *definition, void *text);

/* Decode `bytes` bytes that follow a ut_text head and were copied out of the
 * segment.  UNTORN_E_CORRUPT if they cannot be a definition. */
untorn_status ut_definition_decode(const void *text, size_t bytes, ut_definition **out);

/* Only the kind and the name of an encoded definition; *name points into `text`.  False if they
 * cannot be; the rest is not looked at. */
bool ut_definition_peek(const void *text, size_t bytes, unsigned *kind, const char **name);

void ut_definition_hold(ut_definition *definition);
void ut_definition_drop(ut_definition *definition); /* NULL is allowed */

void ut_definition_info(const ut_definition *definition, untorn_array_info *info);

#endif
