// SPDX-License-Identifier: MIT
/*
 * Reading a region of one generation of an array, where the region may depend on the shape
 * ("the last ten rows") and the shape may change at any time.
 */
#ifndef UT_READING_H
#define UT_READING_H

#include "tools/element.h"
#include "tools/region.h"
#include "untorn.h"

#include <stddef.h>
#include <stdint.h>

struct ut_reading {
    /* set by ut_cli_reading_read(); begin with zeros */
    void *data; /* C order; reused by the next read */
    size_t capacity;
    size_t bytes;
    struct ut_box box;               /* what was read */
    uint64_t shape[UNTORN_MAX_RANK]; /* of the whole array */
    uint64_t generation;
    uint64_t commit;
    int64_t time; /* of the commit, ns since 1970 */
};

/*
 * Read `region` of `array`, all of one generation: the newest, or with `commit` that commit's.
 * UNTORN_OK, or a status whose sentence is in reading_message().
 */
untorn_status ut_cli_reading_read(untorn_reader *reader, untorn_array *array,
                                  const struct ut_region *region, uint64_t commit,
                                  struct ut_reading *reading);

/* The sentence of the last failed ut_cli_reading_read(). */
const char *ut_cli_reading_message(void);

void ut_cli_reading_free(struct ut_reading *reading);

#endif
