// SPDX-License-Identifier: MIT
/* Where the chunks of an array are, as an inspection sees it. */
#ifndef BENCH_INSPECT_H
#define BENCH_INSPECT_H

#include "segment.h"

struct bench_residence {
    uint64_t resident, evicted; /* chunks in memory, and only in the store */
};

/* Of the segment's array of this name. */
struct bench_residence bench_residence(const char *segment, const char *array);

#endif
