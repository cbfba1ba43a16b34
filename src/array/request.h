// SPDX-License-Identifier: MIT
/*
 * An untorn_request: what a group read and a snapshot have in common in answering one.
 */
#ifndef UT_REQUEST_H
#define UT_REQUEST_H

#include "array/reader.h"

/* What can be wrong with it whatever the array's shape is. */
untorn_status ut_request_check(const untorn_request *request, const untorn_array *array);

/*
 * Resolve the request's region against the array's shape, which this descriptor says: `from` and
 * `n` get start and count, `region` the rest but what is kept.  Answers all but the bytes and the
 * attributes, as far as it comes; a destination that may grow has room then.
 */
untorn_status ut_request_prepare(untorn_request *request, const untorn_array *array,
                                 const ut_descriptor *descriptor, uint64_t *from, uint64_t *n,
                                 ut_region *region);

untorn_status ut_request_too_small(const untorn_array *array, size_t capacity, uint64_t needed);

/* Answer all but the bytes of a request for the whole array. */
static inline void ut_request_answer_whole(untorn_request *request,
                                           const ut_descriptor *descriptor) {
    unsigned rank = ut_kind_rank(descriptor->kind);
    request->generation = descriptor->stamp;
    request->commit = descriptor->commit;
    if (__builtin_expect(rank == 1, 1))
        request->shape[0] = request->counted[0] = descriptor->shape[0];
    else
        for (unsigned axis = 0; axis < rank; axis++)
            request->shape[axis] = request->counted[axis] = descriptor->shape[axis];
}

#endif
