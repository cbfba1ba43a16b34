// SPDX-License-Identifier: MIT
/*
 * Definitions: from the user, to the segment, and back; definition.h has the format.
 */
#include "array/definition.h"

#include "array/grid.h"
#include "array/name.h"
#include "base/atomic_order.h"
#include "base/hash.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXED_BYTES 48u
#define NO_NAME UINT32_MAX
#define MAX_DIMENSION_NAME 255u

static bool all_zero(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* Lay out an empty definition with room for everything that varies. */
static ut_definition *allocate(unsigned kind, unsigned rank, size_t itemsize, size_t name_length,
                               const uint32_t *dimension_lengths) {
    size_t dimensions = 0,
           text = sizeof(ut_text) + FIXED_BYTES + 8 * rank + itemsize + name_length + 1;
    for (unsigned i = 0; i < rank; i++) {
        size_t length = dimension_lengths[i] == NO_NAME ? 0 : dimension_lengths[i];
        dimensions += length + 1;
        text += 4 + length + 1;
    }
    /* The fill value comes first: storage is as aligned as the structure. */
    size_t storage = itemsize + name_length + 1 + dimensions;
    ut_definition *definition = calloc(1, sizeof *definition + storage + 16);
    if (definition == NULL)
        return NULL;
    definition->references = 1;
    definition->kind = kind;
    definition->rank = rank;
    definition->text_bytes = text;
    char *next = definition->storage;
    next += (16 - (uintptr_t)next % 16) % 16;
    definition->fill = next;
    next += itemsize;
    definition->name = next;
    next += name_length + 1;
    for (unsigned i = 0; i < rank; i++) {
        if (dimension_lengths[i] == NO_NAME)
            continue;
        definition->dimension_names[i] = next;
        next += dimension_lengths[i] + 1;
    }
    return definition;
}

static untorn_status check_dimension_name(const char *name, unsigned axis, const char *dimension) {
    size_t length = strlen(dimension);
    if (length > MAX_DIMENSION_NAME)
        return ut_fail(
            UNTORN_E_NAME,
            "array \"%s\": dimension name of axis %u has %zu bytes, at most %u are allowed", name,
            axis, length, MAX_DIMENSION_NAME);
    const char *at = dimension;
    while (*at != '\0') {
        uint32_t code;
        size_t used = ut_utf8_decode(at, length - (size_t)(at - dimension), &code);
        if (used == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
            return ut_fail(
                UNTORN_E_NAME,
                "array \"%s\": dimension name of axis %u: byte %zu is not printable UTF-8", name,
                axis, (size_t)(at - dimension));
        at += used;
    }
    return UNTORN_OK;
}

untorn_status ut_definition_make(const char *name, const untorn_definition *from, uint64_t uid,
                                 ut_definition **out) {
    untorn_status status = ut_name_check_array(name);
    if (status != UNTORN_OK)
        return status;
    if (from == NULL || from->struct_size < offsetof(untorn_definition, codec))
        return ut_fail(UNTORN_E_ARGUMENT, "array \"%s\": uninitialized definition", name);
    if (from->dtype == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "array \"%s\": the definition has no dtype", name);
    ut_dtype dtype;
    status = ut_dtype_parse(from->dtype, &dtype);
    if (status != UNTORN_OK) {
        char reason[256];
        snprintf(reason, sizeof reason, "%s", untorn_message());
        return ut_fail(status, "array \"%s\": %s", name, reason);
    }
    if (from->rank > UNTORN_MAX_RANK || (from->rank > 0 && from->shape == NULL))
        return ut_fail(UNTORN_E_SHAPE, "array \"%s\": rank %u, with 0 to %u axes allowed", name,
                       from->rank, UNTORN_MAX_RANK);
    uint64_t chunks[UNTORN_MAX_RANK];
    if (from->chunks != NULL)
        memcpy(chunks, from->chunks, from->rank * sizeof *chunks);
    else if (ut_product(from->rank, from->shape) != UINT64_MAX)
        ut_default_chunks(from->rank, from->shape, dtype.itemsize, chunks);
    else
        return ut_fail(UNTORN_E_SHAPE, "array \"%s\": shape is too large", name);
    for (unsigned i = 0; i < from->rank; i++)
        if (chunks[i] == 0)
            return ut_fail(UNTORN_E_SHAPE, "array \"%s\": chunk length 0 on axis %u", name, i);
    if (!ut_grid_valid(from->rank, from->shape, chunks, dtype.itemsize))
        return ut_fail(UNTORN_E_SHAPE, "array \"%s\": shape or chunks are too large", name);
    const char *codec =
        from->struct_size >= sizeof *from && from->codec != NULL ? from->codec : "lz4";
    if (strcmp(codec, "lz4") != 0 && strcmp(codec, "none") != 0)
        return ut_fail(UNTORN_E_ARGUMENT,
                       "array \"%s\": codec \"%.32s\" is neither \"lz4\" nor \"none\"", name,
                       codec);
    uint32_t lengths[UNTORN_MAX_RANK];
    for (unsigned i = 0; i < from->rank; i++) {
        const char *dimension = from->dimension_names != NULL ? from->dimension_names[i] : NULL;
        if (dimension != NULL) {
            status = check_dimension_name(name, i, dimension);
            if (status != UNTORN_OK)
                return status;
        }
        lengths[i] = dimension == NULL ? NO_NAME : (uint32_t)strlen(dimension);
    }
    ut_definition *definition =
        allocate(UT_KIND_ARRAY, from->rank, dtype.itemsize, strlen(name), lengths);
    if (definition == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "array \"%s\": out of memory", name);
    definition->uid = uid;
    definition->dtype = dtype;
    strcpy(definition->codec, codec);
    memcpy(definition->chunks, chunks, from->rank * sizeof *chunks);
    definition->slot_bytes = ut_product(from->rank, chunks) * dtype.itemsize;
    if (from->fill != NULL)
        memcpy((void *)(uintptr_t)definition->fill, from->fill, dtype.itemsize);
    definition->fill_is_zero = all_zero(definition->fill, dtype.itemsize);
    strcpy((char *)(uintptr_t)definition->name, name);
    for (unsigned i = 0; i < from->rank; i++)
        if (lengths[i] != NO_NAME)
            strcpy((char *)(uintptr_t)definition->dimension_names[i], from->dimension_names[i]);
    *out = definition;
    return UNTORN_OK;
}

untorn_status ut_definition_make_group(const char *name, uint64_t uid, ut_definition **out) {
    untorn_status status = name[0] == '\0' ? UNTORN_OK : ut_name_check_array(name);
    if (status != UNTORN_OK)
        return status;
    ut_definition *definition = allocate(UT_KIND_GROUP, 0, 0, strlen(name), NULL);
    if (definition == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "group \"%s\": out of memory", name);
    definition->uid = uid;
    definition->slot_bytes = 1;
    definition->fill_is_zero = true;
    strcpy((char *)(uintptr_t)definition->name, name);
    *out = definition;
    return UNTORN_OK;
}

/* --- encoding --- */

static unsigned char *put(unsigned char *to, const void *bytes, size_t n) {
    if (n > 0)
        memcpy(to, bytes, n);
    return to + n;
}
static unsigned char *put32(unsigned char *to, uint32_t value) {
    return put(to, &value, 4); /* little-endian machines only: the signature refuses others */
}

void ut_definition_encode(const ut_definition *definition, void *text) {
    unsigned char *begin = (unsigned char *)text + sizeof(ut_text), *at = begin;
    uint32_t name_length = (uint32_t)strlen(definition->name);
    at = put32(at, definition->kind);
    at = put32(at, definition->rank);
    at = put(at, &definition->uid, 8);
    at = put32(at, definition->dtype.itemsize);
    at = put32(at, name_length);
    at = put(at, definition->dtype.text, 16);
    at = put(at, definition->codec, 8);
    at = put(at, definition->chunks, 8 * definition->rank);
    at = put(at, definition->fill, definition->dtype.itemsize);
    at = put(at, definition->name, name_length + 1);
    for (unsigned i = 0; i < definition->rank; i++) {
        const char *dimension = definition->dimension_names[i];
        uint32_t length = dimension == NULL ? NO_NAME : (uint32_t)strlen(dimension);
        at = put32(at, length);
        at =
            put(at, dimension != NULL ? dimension : "", dimension != NULL ? (size_t)length + 1 : 1);
    }
    ut_text head = {.length = (uint64_t)(at - begin)};
    head.check = ut_hash(begin, (size_t)(at - begin));
    memcpy(text, &head, sizeof head);
}

/* --- decoding --- */

typedef struct reader {
    const unsigned char *at, *end;
    bool bad;
} reader;

static const unsigned char *get(reader *r, size_t n) {
    if (r->bad || (size_t)(r->end - r->at) < n) {
        r->bad = true;
        return NULL;
    }
    const unsigned char *bytes = r->at;
    r->at += n;
    return bytes;
}
static uint32_t get32(reader *r) {
    uint32_t value = 0;
    const unsigned char *bytes = get(r, 4);
    if (bytes != NULL)
        memcpy(&value, bytes, 4);
    return value;
}
static uint64_t get64(reader *r) {
    uint64_t value = 0;
    const unsigned char *bytes = get(r, 8);
    if (bytes != NULL)
        memcpy(&value, bytes, 8);
    return value;
}

static untorn_status bad(const char *what) {
    return ut_fail(UNTORN_E_CORRUPT, "damaged definition: %s", what);
}

/* What is wrong with the values, or NULL. */
static const char *check_values(ut_definition *definition) {
    if (definition->name[0] != '\0' && ut_name_check_array(definition->name) != UNTORN_OK)
        return "name";
    if (definition->kind == UT_KIND_GROUP)
        return definition->rank == 0 ? NULL : "rank of a group";
    ut_dtype dtype;
    definition->dtype.text[sizeof definition->dtype.text - 1] = '\0';
    if (ut_dtype_parse(definition->dtype.text, &dtype) != UNTORN_OK ||
        dtype.itemsize != definition->dtype.itemsize)
        return "data type";
    definition->dtype = dtype;
    if (strcmp(definition->codec, "lz4") != 0 && strcmp(definition->codec, "none") != 0)
        return "codec";
    static const uint64_t empty[UNTORN_MAX_RANK];
    if (!ut_grid_valid(definition->rank, empty, definition->chunks, dtype.itemsize))
        return "chunk shape";
    return NULL;
}

untorn_status ut_definition_decode(const void *text, size_t bytes, ut_definition **out) {
    reader r = {text, (const unsigned char *)text + bytes, false};
    uint32_t kind = get32(&r), rank = get32(&r);
    uint64_t uid = get64(&r);
    uint32_t itemsize = get32(&r), name_length = get32(&r);
    const unsigned char *dtype = get(&r, 16), *codec = get(&r, 8);
    if (r.bad || (kind != UT_KIND_GROUP && kind != UT_KIND_ARRAY) || rank > UNTORN_MAX_RANK ||
        itemsize > UT_MAX_ITEMSIZE || name_length > UNTORN_MAX_NAME ||
        (kind == UT_KIND_ARRAY && itemsize == 0))
        return bad("head");
    const unsigned char *chunks = get(&r, 8 * (size_t)rank), *fill = get(&r, itemsize),
                        *name = get(&r, (size_t)name_length + 1);
    uint32_t lengths[UNTORN_MAX_RANK];
    const unsigned char *dimensions[UNTORN_MAX_RANK];
    for (unsigned i = 0; i < rank && !r.bad; i++) {
        lengths[i] = get32(&r);
        if (lengths[i] != NO_NAME && lengths[i] > MAX_DIMENSION_NAME)
            return bad("dimension name");
        dimensions[i] = get(&r, lengths[i] == NO_NAME ? 1 : (size_t)lengths[i] + 1);
    }
    if (r.bad || r.at != r.end || name[name_length] != 0 ||
        strlen((const char *)name) != name_length)
        return bad("length");
    ut_definition *definition = allocate(kind, rank, itemsize, name_length, lengths);
    if (definition == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a definition");
    definition->uid = uid;
    memcpy(definition->dtype.text, dtype, 16);
    definition->dtype.itemsize = itemsize;
    memcpy(definition->codec, codec, 8);
    definition->codec[7] = '\0';
    memcpy(definition->chunks, chunks, 8 * (size_t)rank);
    memcpy((void *)(uintptr_t)definition->fill, fill, itemsize);
    memcpy((void *)(uintptr_t)definition->name, name, name_length);
    for (unsigned i = 0; i < rank; i++)
        if (lengths[i] != NO_NAME)
            memcpy((void *)(uintptr_t)definition->dimension_names[i], dimensions[i], lengths[i]);
    definition->fill_is_zero = all_zero(fill, itemsize);
    const char *wrong = check_values(definition);
    if (wrong != NULL) {
        free(definition);
        return bad(wrong);
    }
    definition->slot_bytes =
        kind == UT_KIND_GROUP ? 1 : ut_product(rank, definition->chunks) * itemsize;
    *out = definition;
    return UNTORN_OK;
}

bool ut_definition_peek(const void *text, size_t bytes, unsigned *kind, const char **name) {
    reader r = {text, (const unsigned char *)text + bytes, false};
    *kind = get32(&r);
    uint32_t rank = get32(&r);
    get(&r, 8);
    uint32_t itemsize = get32(&r), length = get32(&r);
    get(&r, 16 + 8);
    if (r.bad || (*kind != UT_KIND_GROUP && *kind != UT_KIND_ARRAY) || rank > UNTORN_MAX_RANK ||
        itemsize > UT_MAX_ITEMSIZE || length > UNTORN_MAX_NAME)
        return false;
    get(&r, 8 * (size_t)rank + itemsize);
    *name = (const char *)get(&r, (size_t)length + 1);
    return !r.bad && strnlen(*name, (size_t)length + 1) == length;
}

void ut_definition_hold(ut_definition *definition) {
    ut_fetch_add_relaxed(&definition->references, 1);
}

void ut_definition_drop(ut_definition *definition) {
    if (definition != NULL &&
        atomic_fetch_sub_explicit(&definition->references, 1, memory_order_acq_rel) == 1)
        free(definition);
}

void ut_definition_info(const ut_definition *definition, untorn_array_info *info) {
    *info = (untorn_array_info){.name = definition->name,
                                .dtype = definition->dtype.text,
                                .itemsize = definition->dtype.itemsize,
                                .rank = definition->rank,
                                .chunks = definition->chunks,
                                .fill = definition->fill,
                                .dimension_names = definition->dimension_names,
                                .codec = definition->codec};
}
