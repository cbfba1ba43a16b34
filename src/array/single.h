// SPDX-License-Identifier: MIT
/*
 * Arrays that are one chunk: what reading the whole of one needs, out of its descriptor alone.
 *
 * The table of such an array is the cell in the descriptor, so there is nothing to look up; and
 * if the chunk's rows are as long as the array's, the array is the beginning of the chunk, without
 * gaps.
 */
#ifndef UT_SINGLE_H
#define UT_SINGLE_H

#include "array/definition.h"
#include "segment/descriptor.h"

/* Whether the whole array is the beginning of its only chunk, without gaps, and that is in memory
 * or absent.  The descriptor fits the definition. */
static inline bool ut_is_single(const ut_definition *definition, const ut_descriptor *descriptor,
                                size_t *bytes) {
    if (ut_kind_depth(descriptor->kind) != 0 || (descriptor->root_ref & UT_REF_EVICTED))
        return false;
    uint64_t elements = 1;
    for (unsigned axis = 0; axis < definition->rank; axis++) {
        uint64_t length = descriptor->shape[axis];
        if (length > definition->chunks[axis] || (axis > 0 && length != definition->chunks[axis]))
            return false;
        elements *= length;
    }
    *bytes = elements * definition->dtype.itemsize;
    return true;
}

/* Where the chunk lies, which is not absent; NULL: damaged. */
static inline const void *ut_single_slot(ut_segment *segment, const ut_definition *definition,
                                         const ut_descriptor *descriptor) {
    uint64_t ref = descriptor->root_ref;
    return ut_ref_good(ref, descriptor->root_version, descriptor->uid, 0)
               ? ut_at(segment, ut_ref_offset(ref), definition->slot_bytes)
               : NULL;
}

/* Bytes of a copy from which on it is worth asking for the beginning of the next while it is made:
 * the processor foresees the lines of a copy, but not where the next one begins. */
#define UT_LONG_COPY 1024u

/* Of the roots of many arrays that are asked for together: they must not drive each other out. */
#define UT_LINES_OF_MANY 4u

static inline void ut_single_prefetch(uintptr_t chunk) {
    for (unsigned i = 0; i < 64 * UT_LINES_OF_MANY; i += 64)
        __builtin_prefetch((const void *)(chunk + i));
}

#endif
