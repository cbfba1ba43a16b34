// SPDX-License-Identifier: MIT
/* Writers with a store; store.h says what for. */
#include "store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

untorn_writer *bench_store_writer(const char *segment, uint64_t size, const char *store,
                                  unsigned threads) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_writer *writer;
    options.size = size;
    options.versions = 2;
    options.store = store;
    options.flush_interval = UNTORN_ON_DEMAND;
    options.flush_bytes = UINT64_MAX;
    options.flush_threads = threads;
    options.keep_snapshots = 1;
    options.keep_time = 1;
    BENCH_MUST(untorn_writer_open(segment, &options, &writer));
    return writer;
}

void bench_store_close(untorn_writer *writer, const char *segment) {
    untorn_writer_close(writer);
    BENCH_MUST(untorn_segment_remove(segment));
}

untorn_writer_array *bench_define_stored(untorn_writer *writer, const char *name, const char *dtype,
                                         uint64_t length, uint64_t chunk, const char *codec) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *array;
    definition.dtype = dtype;
    definition.rank = 1;
    definition.shape = &length;
    definition.chunks = &chunk;
    definition.codec = codec;
    BENCH_MUST(untorn_define(writer, name, &definition, &array));
    return array;
}

void bench_store_verify(const char *store) {
    untorn_verify_result result;
    BENCH_MUST(untorn_store_verify(store, NULL, &result));
    if (result.chunks == 0)
        bench_die("%s: there is no chunk file in it", store);
}

void bench_stored_array(const char *store, const char *array, char path[BENCH_PATH]) {
    char name[BENCH_PATH], real[PATH_MAX];
    snprintf(name, sizeof(name), "%.300s/latest/%.100s", store, array);
    if (!realpath(name, real) || strlen(real) >= BENCH_PATH)
        bench_die("%s: %s", name, strerror(errno));
    strcpy(path, real);
}
