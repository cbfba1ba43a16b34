// SPDX-License-Identifier: MIT
/*
 * Answering a request; see the header.
 */
#include "array/request.h"

#include "array/box.h"
#include "array/grid.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

untorn_status ut_request_check(const untorn_request *request, const untorn_array *array) {
    if (request->strides != NULL && (request->flags & UNTORN_GROW))
        return ut_array_fail(array, UNTORN_E_ARGUMENT, "UNTORN_GROW does not go with strides");
    return UNTORN_OK;
}

untorn_status ut_request_too_small(const untorn_array *array, size_t capacity, uint64_t needed) {
    return ut_array_fail(array, UNTORN_E_BUFFER_TOO_SMALL,
                         "buffer of %zu bytes is too small for %" PRIu64, capacity, needed);
}

static untorn_status make_room(untorn_request *request, const untorn_array *array,
                               uint64_t needed) {
    if (needed <= request->capacity && (request->destination != NULL || needed == 0))
        return UNTORN_OK;
    if (!(request->flags & UNTORN_GROW))
        return needed <= request->capacity
                   ? ut_array_fail(array, UNTORN_E_ARGUMENT, "no destination")
                   : ut_request_too_small(array, request->capacity, needed);
    /* Room to grow into, so that a growing array does not mean a realloc for each read. */
    uint64_t capacity = needed + needed / 2 + 64;
    void *destination = realloc(request->destination, capacity);
    if (destination == NULL)
        return ut_array_fail(array, UNTORN_E_NO_MEMORY, "out of memory for %" PRIu64 " bytes",
                             capacity);
    request->destination = destination;
    request->capacity = capacity;
    return UNTORN_OK;
}

untorn_status ut_request_prepare(untorn_request *request, const untorn_array *array,
                                 const ut_descriptor *descriptor, uint64_t *from, uint64_t *n,
                                 ut_region *region) {
    size_t itemsize = array->definition->dtype.itemsize;
    unsigned rank = array->definition->rank;
    request->generation = descriptor->stamp;
    request->commit = descriptor->commit;
    memcpy(request->shape, descriptor->shape, rank * sizeof *request->shape);
    untorn_status status = ut_region_take(array, descriptor->shape, request->start, request->count,
                                          request->steps, from, n, region);
    if (status != UNTORN_OK)
        return status;
    memcpy(request->counted, n, rank * sizeof *n);
    if (request->strides != NULL) {
        if (request->destination == NULL && ut_product(rank, n) != 0)
            return ut_array_fail(array, UNTORN_E_ARGUMENT, "no destination");
        memcpy(region->strides, request->strides, rank * sizeof *request->strides);
    } else {
        status = make_room(request, array, ut_product(rank, n) * itemsize);
        if (status != UNTORN_OK)
            return status;
        ut_c_strides(rank, itemsize, n, region->strides);
    }
    region->destination = request->destination;
    return UNTORN_OK;
}
