// SPDX-License-Identifier: MIT
/* By name through the inspection's catalogue. */
#include "inspect.h"

#include <string.h>

struct bench_residence bench_residence(const char *segment, const char *array) {
    untorn_inspection *inspection;
    untorn_array_state state;
    const char *const *names;
    size_t count, i = 0;
    BENCH_MUST(untorn_inspect_open(segment, 0, &inspection));
    BENCH_MUST(untorn_inspect_catalogue(inspection, &names, &count));
    while (i < count && strcmp(names[i], array) != 0)
        i++;
    if (i == count)
        bench_die("segment \"%s\" has no array \"%s\"", segment, array);
    BENCH_MUST(untorn_inspect_array(inspection, i, 0, &state));
    struct bench_residence residence = {state.resident, state.evicted};
    untorn_inspect_close(inspection);
    return residence;
}
