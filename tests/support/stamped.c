// SPDX-License-Identifier: MIT
/* Arrays rewritten with the self-checking fill: see stamped.h. */
#include "stamped.h"

#include <stdlib.h>
#include <string.h>

#include "base/racy_copy.h"
#include "must.h"
#include "pattern.h"

size_t stamped_itemsize(const struct stamped *stamped) {
    size_t itemsize = 0;
    must_ok(untorn_dtype_size(stamped->dtype, &itemsize));
    return itemsize;
}

size_t stamped_size(const struct stamped *stamped) {
    size_t size = stamped_itemsize(stamped);
    for (unsigned i = 0; i < stamped->rank; i++)
        size *= (size_t)stamped->shape[i];
    return size;
}

untorn_writer_array *stamped_require(untorn_writer *writer, const struct stamped *stamped) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = stamped->dtype;
    definition.rank = stamped->rank;
    definition.shape = stamped->shape;
    definition.chunks = stamped->chunks;
    untorn_writer_array *array = NULL;
    must_ok(untorn_require(writer, stamped->name, &definition, &array));
    return array;
}

static void *buffer_of(size_t size) {
    void *buffer = malloc(size ? size : 1);
    must(buffer, "malloc");
    return buffer;
}

untorn_status stamped_write(untorn_writer_array *array, const struct stamped *stamped,
                            uint64_t stamp) {
    size_t size = stamped_size(stamped);
    void *bytes = buffer_of(size);
    pattern_fill(stamped->id, stamp, 0, bytes, size);
    untorn_status status = untorn_write(array, NULL, NULL, NULL, bytes);
    free(bytes);
    return status;
}

// Copy one chunk's elements from the array's bytes in C order: row by row of the last axis.
static void fill_one(const struct stamped *stamped, const uint64_t *index, size_t itemsize,
                     const unsigned char *bytes, unsigned char *memory) {
    unsigned rank = stamped->rank;
    uint64_t row[STAMPED_RANK] = {0};
    uint64_t width = rank ? stamped->chunks[rank - 1] : 1;
    for (;;) {
        uint64_t place = 0;
        int inside = 1;
        for (unsigned i = 0; i < rank; i++) {
            uint64_t at = index[i] * stamped->chunks[i] + row[i];
            inside &= at < stamped->shape[i];
            place = place * stamped->shape[i] + at;
        }
        if (inside) {
            uint64_t left =
                rank ? stamped->shape[rank - 1] - index[rank - 1] * stamped->chunks[rank - 1] : 1;
            ut_racy_copy(memory, bytes + place * itemsize,
                         (size_t)(left < width ? left : width) * itemsize);
        }
        memory += width * itemsize;
        unsigned axis = rank ? rank - 1 : 0;
        while (axis > 0 && ++row[axis - 1] == stamped->chunks[axis - 1])
            row[--axis] = 0;
        if (axis == 0)
            return;
    }
}

untorn_status stamped_fill(untorn_writer_array *array, const struct stamped *stamped,
                           uint64_t stamp) {
    size_t size = stamped_size(stamped);
    unsigned char *bytes = buffer_of(size);
    uint64_t index[STAMPED_RANK] = {0};
    untorn_status status = UNTORN_OK;
    pattern_fill(stamped->id, stamp, 0, bytes, size);
    for (int more = size != 0; more && status == UNTORN_OK;) {
        void *memory = NULL;
        status = untorn_chunk_begin(array, index, 0, &memory);
        if (status != UNTORN_OK)
            break;
        fill_one(stamped, index, stamped_itemsize(stamped), bytes, memory);
        status = untorn_chunk_done(array, index);
        unsigned axis = stamped->rank;
        while (axis > 0 &&
               ++index[axis - 1] * stamped->chunks[axis - 1] >= stamped->shape[axis - 1])
            index[--axis] = 0;
        more = axis != 0;
    }
    free(bytes);
    return status;
}

uint64_t stamped_check(const struct stamped *stamped, const void *bytes) {
    size_t size = stamped_size(stamped);
    uint64_t stamp = pattern_stamp(bytes, size);
    size_t bad = pattern_check(stamped->id, stamp, 0, bytes, size);
    must(bad == PATTERN_GOOD, "TORN: %s has stamp %llu, but not at byte %zu of %zu", stamped->name,
         (unsigned long long)stamp, bad, size);
    return stamp;
}

untorn_status stamped_read(untorn_array *array, const struct stamped *stamped, uint64_t *stamp,
                           untorn_result *result) {
    size_t size = stamped_size(stamped);
    void *bytes = buffer_of(size);
    untorn_status status = untorn_read(array, NULL, NULL, bytes, size, result);
    if (status == UNTORN_OK)
        *stamp = stamped_check(stamped, bytes);
    free(bytes);
    return status;
}

untorn_status stamped_snapshot_read(untorn_snapshot *snapshot, size_t i,
                                    const struct stamped *stamped, uint64_t *stamp) {
    size_t size = stamped_size(stamped);
    void *bytes = buffer_of(size);
    untorn_status status = untorn_snapshot_read(snapshot, i, NULL, NULL, bytes, size);
    if (status == UNTORN_OK)
        *stamp = stamped_check(stamped, bytes);
    free(bytes);
    return status;
}

untorn_status stamped_read_group(untorn_reader *reader, untorn_array *const *arrays,
                                 const struct stamped *stamped, size_t count, uint64_t *stamp,
                                 untorn_result *result) {
    untorn_request *requests = calloc(count, sizeof *requests);
    must(requests, "calloc");
    for (size_t i = 0; i < count; i++) {
        requests[i].array = arrays[i];
        requests[i].capacity = stamped_size(&stamped[i]);
        requests[i].destination = buffer_of(requests[i].capacity);
    }
    untorn_status status = untorn_read_group(reader, requests, count, result);
    for (size_t i = 0; i < count; i++) {
        uint64_t got =
            status == UNTORN_OK ? stamped_check(&stamped[i], requests[i].destination) : 0;
        if (status == UNTORN_OK && i == 0)
            *stamp = got;
        if (status == UNTORN_OK)
            must(got == *stamp, "TORN group: %s has stamp %llu, %s has %llu", stamped[0].name,
                 (unsigned long long)*stamp, stamped[i].name, (unsigned long long)got);
        free(requests[i].destination);
    }
    free(requests);
    return status;
}
