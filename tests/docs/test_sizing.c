// SPDX-License-Identifier: MIT
// docs/sizing.md is right about memory.  Each row of its table is computed again with its formula,
// and then made: a segment of the formula's size takes everything, one that has room for the chunks
// and their versions alone does not.  The worked example likewise.
#include "support/must.h"
#include "support/names.h"

#include "untorn.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MAX_ARRAYS 1000
#define COMMITS 40

typedef struct load {
    uint64_t chunk;     // bytes
    uint64_t chunks;    // of an array
    uint64_t rewritten; // chunks of each array that every commit writes anew
    uint64_t versions;
    uint64_t arrays;
} load;

// --- the formula, as the page has it ---

static uint64_t slot_of(uint64_t bytes) {
    static const uint64_t classes[] = {64,  128, 192, 256, 320,  384,  448,
                                       512, 576, 640, 768, 1024, 1344, 2048};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (bytes <= classes[i])
            return classes[i];
    return (bytes + 4095) / 4096 * 4096;
}

// The nodes of a table, and how many of them change with `rewritten` chunks.
static uint64_t nodes_of(uint64_t chunks, uint64_t rewritten, uint64_t *changed) {
    uint64_t nodes = 0;
    *changed = 0;
    for (uint64_t level = chunks; level > 1; nodes += level) {
        level = (level + 31) / 32;
        *changed += level < rewritten ? level : rewritten;
    }
    return nodes;
}

static uint64_t array_bytes(const load *l) {
    uint64_t changed, nodes = nodes_of(l->chunks, l->rewritten, &changed);
    return l->chunks * slot_of(l->chunk) + nodes * 512 +
           l->versions * (l->rewritten * slot_of(l->chunk) + changed * 512) + 4 * KIB;
}

static uint64_t formula(const load *l) {
    return l->arrays * array_bytes(l) + slot_of(l->chunk) + 64 * KIB;
}

// --- what really happens ---

static untorn_writer *open_segment(const char *segment, uint64_t size, uint64_t versions) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_writer *writer;
    options.size = (size + 4095) / 4096 * 4096;
    options.versions = (unsigned)versions;
    must_ok(untorn_writer_open(segment, &options, &writer));
    return writer;
}

static untorn_status define_all(untorn_writer *writer, const load *l, const unsigned char *bytes,
                                untorn_writer_array **arrays) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t shape = l->chunk * l->chunks;
    definition.dtype = "u1";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &l->chunk;
    for (uint64_t i = 0; i < l->arrays; i++) {
        char name[32];
        snprintf(name, sizeof name, "array%llu", (unsigned long long)i);
        untorn_status status = untorn_define(writer, name, &definition, &arrays[i]);
        if (status == UNTORN_OK)
            status = untorn_write(arrays[i], NULL, NULL, NULL, bytes);
        if (status != UNTORN_OK)
            return status;
    }
    return untorn_commit(writer, NULL);
}

static untorn_status rewrite_all(untorn_writer *writer, const load *l, const unsigned char *bytes,
                                 untorn_writer_array *const *arrays) {
    for (uint64_t turn = 0; turn < COMMITS; turn++) {
        for (uint64_t i = 0; i < l->arrays; i++)
            for (uint64_t k = 0; k < l->rewritten; k++) {
                uint64_t start = (turn * l->rewritten + k) % l->chunks * l->chunk;
                untorn_status status = untorn_write(arrays[i], &start, &l->chunk, NULL, bytes);
                if (status != UNTORN_OK)
                    return status;
            }
        untorn_status status = untorn_commit(writer, NULL);
        if (status != UNTORN_OK)
            return status;
    }
    return UNTORN_OK;
}

// Whether a segment of this size takes the load.
static bool suffices(const load *l, uint64_t size) {
    static untorn_writer_array *arrays[MAX_ARRAYS];
    const char *segment = test_segment("sizing");
    unsigned char *bytes = calloc(l->chunks, l->chunk);
    must(bytes != NULL, "memory");
    must(l->arrays <= MAX_ARRAYS, "arrays");
    untorn_writer *writer = open_segment(segment, size, l->versions);
    untorn_status status = define_all(writer, l, bytes, arrays);
    if (status == UNTORN_OK)
        status = rewrite_all(writer, l, bytes, arrays);
    must(status == UNTORN_OK || status == UNTORN_E_NO_SPACE, "%s", untorn_message());
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    free(bytes);
    return status == UNTORN_OK;
}

// --- the page ---

static FILE *open_page(void) {
    const char *top = getenv("TOP");
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/sizing.md", top != NULL ? top : ".");
    FILE *page = fopen(path, "re");
    must(page != NULL, "%s", path);
    return page;
}

static void the_table_is_what_the_formula_gives_and_suffices(void **state) {
    (void)state;
    FILE *page = open_page();
    char line[1024];
    unsigned rows = 0;
    while (fgets(line, sizeof line, page) != NULL) {
        unsigned long long chunk, chunks, rewritten, versions, arrays, computed, found;
        if (sscanf(line, "| %llu | %llu | %llu | %llu | %llu | %llu | %llu |", &chunk, &chunks,
                   &rewritten, &versions, &arrays, &computed, &found) != 7)
            continue;
        load l = {chunk, chunks, rewritten, versions, arrays};
        must((formula(&l) + KIB - 1) / KIB == computed, "%s: the formula gives %llu KiB", line,
             (unsigned long long)(formula(&l) + KIB - 1) / KIB);
        must(found <= computed, "%s", line);
        must(suffices(&l, formula(&l)), "%s", line);
        must(suffices(&l, found * KIB), "%s", line);
        uint64_t bare = arrays * (chunks + versions * rewritten) * slot_of(chunk);
        if (bare >= 256 * KIB)
            must(!suffices(&l, bare), "%s", line);
        rows++;
    }
    fclose(page);
    must(rows >= 6, "%u rows", rows);
}

// An image of 2 MiB that every commit replaces, and a log of 100 000 rows of 128 bytes.
static void the_worked_example_fits_its_size(void **state) {
    (void)state;
    load image = {512 * KIB, 4, 4, 4, 1}, log = {512 * KIB, 25, 0, 4, 1};
    uint64_t total = array_bytes(&image) + array_bytes(&log) + 512 * KIB + 64 * KIB;
    char sentence[64], line[1024];
    snprintf(sentence, sizeof sentence, "= %llu KiB", (unsigned long long)(total / KIB));
    FILE *page = open_page();
    bool said = false, size_said = false;
    while (fgets(line, sizeof line, page) != NULL) {
        said |= strstr(line, sentence) != NULL;
        size_said |= strstr(line, "untorn create camera --size 24M") != NULL;
    }
    fclose(page);
    must(said, "the page does not say \"%s\"", sentence);
    must(size_said, "the page does not create it");
    must(total <= 24 * KIB * KIB, "24 MiB");

    const char *segment = test_segment("sizing");
    untorn_writer *writer = open_segment(segment, 24 * KIB * KIB, 4);
    untorn_writer_array *frame, *rows;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u2", definition.rank = 2;
    definition.shape = (const uint64_t[]){1024, 1024};
    definition.chunks = (const uint64_t[]){256, 1024};
    must_ok(untorn_define(writer, "frame", &definition, &frame));
    definition.dtype = "f8";
    definition.shape = (const uint64_t[]){0, 16};
    definition.chunks = (const uint64_t[]){4096, 16};
    must_ok(untorn_define(writer, "log", &definition, &rows));
    void *bytes = calloc(1, 2 * KIB * KIB);
    must(bytes != NULL, "memory");
    for (int i = 0; i < 100; i++) {
        must_ok(untorn_write(frame, NULL, NULL, NULL, bytes));
        must_ok(untorn_append(rows, 0, 1000, NULL, bytes));
        must_ok(untorn_commit(writer, NULL));
    }
    free(bytes);
    untorn_reader *reader;
    untorn_stat stat;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_reader_stat(reader, &stat));
    // Data and versions are really there, and no more than the size was taken.
    must(stat.reserved >= (2 + 3 * 2) * KIB * KIB + 25 * 512 * KIB, "%llu",
         (unsigned long long)stat.reserved);
    must(stat.reserved <= 24 * KIB * KIB, "%llu", (unsigned long long)stat.reserved);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_what_the_formula_gives_and_suffices),
        cmocka_unit_test(the_worked_example_fits_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
