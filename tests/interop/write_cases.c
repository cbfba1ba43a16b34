// SPDX-License-Identifier: MIT
/*
 * Writes all samples to a store, through a segment, as any program would, and beside it what each
 * array contains:
 *
 *     write_cases DIR FORMAT      makes DIR/store, DIR/export, DIR/cases.json, DIR/raw/N
 *
 * cases.json tells for each array its name, data type, shape, chunk shape, dimension names and
 * attributes, its fill value's bytes in hexadecimal, and N; raw/N has its elements in C order.
 * What the raw files hold comes from a model of its own, not from reading the segment.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "samples.h"
#include "values.h"

static const char *top;
static char segment[64];
static untorn_writer *writer;

static void clean_up(void) {
    if (writer == NULL)
        return;
    untorn_writer_close(writer);
    untorn_segment_remove(segment);
}

static void must(int good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "write_cases: %s: %s\n", what, errno ? strerror(errno) : untorn_message());
    exit(1);
}

static void must_do(untorn_status status, const char *what) {
    errno = 0;
    must(status == UNTORN_OK, what);
}

static char *path_of(char path[4096], const char *format, ...) {
    int n = snprintf(path, 4096, "%s/", top);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + n, 4096 - (size_t)n, format, arguments);
    va_end(arguments);
    return path;
}

// ------------------------------------------------------------ a case: a sample with a codec

typedef struct test_case {
    const sample *sample;
    const char *codec;
    char name[UNTORN_MAX_NAME + 1];
    size_t itemsize, elements, chunks;
    uint64_t grid[UNTORN_MAX_RANK]; // chunks along each axis
    unsigned char *expected, *values;
    untorn_writer_array *array; // NULL: the format does not have the type
} test_case;

static char kind_of(const sample *s) {
    return s->dtype[0];
}

static void prepare(test_case *c, const sample *s, const char *codec) {
    *c = (test_case){.sample = s, .codec = codec, .elements = 1, .chunks = 1};
    snprintf(c->name, sizeof c->name, "%s/%s%s", codec, s->name,
             strchr(s->name, '/') != NULL ? "" : "/values");
    must_do(untorn_dtype_size(s->dtype, &c->itemsize), c->name);
    for (unsigned i = 0; i < s->rank; i++) {
        c->grid[i] = (s->shape[i] + s->chunks[i] - 1) / s->chunks[i];
        c->elements *= (size_t)s->shape[i];
        c->chunks *= (size_t)c->grid[i];
    }
    size_t bytes = c->elements * c->itemsize;
    c->expected = calloc(1, bytes + 1);
    c->values = malloc(bytes + 1);
    must(c->expected != NULL && c->values != NULL, "memory");
    if (s->fill != NULL)
        for (size_t i = 0; i < bytes; i++)
            c->expected[i] = (unsigned char)s->fill[i % c->itemsize];
    if (s->content == NOISE)
        make_noise(c->values, bytes, 1);
    else
        make_values(c->values, c->elements, kind_of(s), c->itemsize, 0);
}

// The number of the chunk that has the element of this number in C order.
static size_t chunk_of(const test_case *c, size_t element) {
    size_t chunk = 0, factor = 1;
    for (unsigned i = c->sample->rank; i-- > 0;) {
        size_t at = element % c->sample->shape[i];
        element /= c->sample->shape[i];
        chunk += at / c->sample->chunks[i] * factor;
        factor *= c->grid[i];
    }
    return chunk;
}

// The chunks 0, step, 2 * step ... that are below `end` get the values, in the segment and in what
// is expected.
static void write_chunks(test_case *c, size_t step, size_t end) {
    const sample *s = c->sample;
    int64_t strides[UNTORN_MAX_RANK];
    int64_t stride = (int64_t)c->itemsize;
    for (unsigned i = s->rank; i-- > 0; stride *= (int64_t)s->shape[i])
        strides[i] = stride;
    for (size_t chunk = 0; chunk < end && chunk < c->chunks; chunk += step) {
        uint64_t start[UNTORN_MAX_RANK], count[UNTORN_MAX_RANK];
        const unsigned char *source = c->values;
        size_t rest = chunk;
        for (unsigned i = s->rank; i-- > 0;) {
            start[i] = rest % c->grid[i] * s->chunks[i];
            rest /= c->grid[i];
            count[i] = s->shape[i] - start[i];
            if (count[i] > s->chunks[i])
                count[i] = s->chunks[i];
            source += start[i] * (uint64_t)strides[i];
        }
        must_do(untorn_write(c->array, start, count, strides, source), c->name);
    }
    for (size_t i = 0; i < c->elements; i++) {
        size_t chunk = chunk_of(c, i);
        if (chunk % step == 0 && chunk < end)
            memcpy(c->expected + i * c->itemsize, c->values + i * c->itemsize, c->itemsize);
    }
}

// ------------------------------------------------------------ the writer's side

static const char *const *dimensions_of(const sample *s) {
    static const char *const numbered[] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"};
    return s->dimensions != NULL ? s->dimensions : numbered;
}

static void define(test_case *c, unsigned format) {
    const sample *s = c->sample;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    uint64_t shape[UNTORN_MAX_RANK];
    memcpy(shape, s->shape, sizeof shape);
    if (s->content == GROWN)
        shape[0] /= 2;
    definition.dtype = s->dtype;
    definition.rank = s->rank;
    definition.shape = shape;
    definition.chunks = s->chunks;
    definition.fill = s->fill;
    definition.dimension_names = dimensions_of(s);
    definition.attributes = s->attributes;
    definition.codec = c->codec;
    untorn_status status = untorn_define(writer, c->name, &definition, &c->array);
    if (format == 3 && (kind_of(s) == 'S' || kind_of(s) == 'V')) {
        errno = 0;
        must(status == UNTORN_E_DTYPE, "a type that format 3 does not have was not refused");
        c->array = NULL;
        return;
    }
    must_do(status, c->name);
}

// What is written before the first flush.
static void first_stage(test_case *c) {
    uint64_t count[UNTORN_MAX_RANK];
    switch (c->sample->content) {
    case NOTHING:
        return;
    case HOLES:
        write_chunks(c, 2, SIZE_MAX);
        return;
    case FIRST:
        write_chunks(c, 1, 1);
        return;
    case GROWN:
        memcpy(count, c->sample->shape, sizeof count);
        count[0] /= 2;
        must_do(untorn_write(c->array, NULL, count, NULL, c->values), c->name);
        memcpy(c->expected, c->values, c->elements * c->itemsize);
        return;
    default:
        if (c->elements > 0)
            write_chunks(c, 1, SIZE_MAX);
    }
}

// What is done between the first flush and the second.
static void second_stage(test_case *c) {
    const sample *s = c->sample;
    uint64_t shape[UNTORN_MAX_RANK];
    memcpy(shape, s->shape, sizeof shape);
    size_t half = (size_t)(s->shape[0] / 2), row = 0;
    if (s->shape[0] > 0)
        row = c->elements / (size_t)s->shape[0] * c->itemsize;
    switch (s->content) {
    case REWRITTEN:
        make_values(c->values, c->elements, kind_of(s), c->itemsize, 5);
        write_chunks(c, 2, SIZE_MAX);
        must_do(untorn_set_attributes(c->array, rewritten_attributes), c->name);
        return;
    case GROWN:
        must_do(untorn_append(c->array, 0, s->shape[0] - half, NULL, c->values + half * row),
                c->name);
        return;
    case SHRUNK:
        shape[0] = half;
        must_do(untorn_resize(c->array, shape), c->name);
        return;
    default:
        return;
    }
}

// Between the second flush and the third.
static void third_stage(test_case *c) {
    if (c->sample->content != SHRUNK)
        return;
    size_t half = (size_t)(c->sample->shape[0] / 2);
    size_t row = c->elements / (size_t)c->sample->shape[0] * c->itemsize;
    must_do(untorn_resize(c->array, c->sample->shape), c->name);
    memset(c->expected + half * row, 0, c->elements * c->itemsize - half * row);
}

// ------------------------------------------------------------ what is expected

static void print_numbers(FILE *f, const char *name, unsigned n, const uint64_t *numbers) {
    fprintf(f, "\"%s\":[", name);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "%s%llu", i > 0 ? "," : "", (unsigned long long)numbers[i]);
    fputs("],", f);
}

static void describe(FILE *f, const test_case *c, size_t number) {
    const sample *s = c->sample;
    fprintf(f, "%s\n{\"number\":%zu,\"name\":\"%s\",\"dtype\":\"%s\",\"codec\":\"%s\",",
            number > 0 ? "," : "", number, c->name, s->dtype, c->codec);
    print_numbers(f, "shape", s->rank, s->shape);
    print_numbers(f, "chunks", s->rank, s->chunks);
    fputs("\"dimensions\":[", f);
    for (unsigned i = 0; i < s->rank; i++) {
        const char *name = dimensions_of(s)[i];
        if (name != NULL)
            fprintf(f, "%s\"%s\"", i > 0 ? "," : "", name);
        else
            fprintf(f, "%snull", i > 0 ? "," : "");
    }
    fputs("],\"fill\":\"", f);
    for (size_t i = 0; i < c->itemsize; i++)
        fprintf(f, "%02x", s->fill != NULL ? (unsigned char)s->fill[i] : 0u);
    const char *attributes = s->content == REWRITTEN ? rewritten_attributes
                             : s->attributes != NULL ? s->attributes
                                                     : "{}";
    fprintf(f, "\",\"attributes\":%s}", attributes);
    char path[4096];
    FILE *raw = fopen(path_of(path, "raw/%zu", number), "wb");
    must(raw != NULL && fwrite(c->expected, c->itemsize, c->elements, raw) == c->elements &&
             fclose(raw) == 0,
         path);
}

static const char root_attributes[] = "{\"title\":\"all \xc3\xa9\"}";
static const char group_attributes[] = "{\"group\":[1,\"\xf0\x9f\x8c\x8a\"]}";

static void describe_all(const test_case *cases, size_t n, uint64_t commit) {
    char path[4096];
    FILE *f = fopen(path_of(path, "cases.json"), "wb");
    must(f != NULL, path);
    fprintf(f, "{\"commit\":%llu,\"groups\":{\"\":%s,\"lz4/empty\":%s},\"cases\":[",
            (unsigned long long)commit, root_attributes, group_attributes);
    size_t number = 0;
    for (size_t i = 0; i < n; i++)
        if (cases[i].array != NULL)
            describe(f, &cases[i], number++);
    fputs("\n]}\n", f);
    must(fclose(f) == 0, path);
}

// ------------------------------------------------------------ all of it

static void open_writer(unsigned format) {
    char store[4096];
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.flags = UNTORN_CREATE_ONLY;
    options.size = 64u << 20;
    options.store = path_of(store, "store");
    options.store_format = format;
    options.flush_interval = UNTORN_ON_DEMAND;
    snprintf(segment, sizeof segment, "interop-%d-v%u", (int)getpid(), format);
    must_do(untorn_writer_open(segment, &options, &writer), segment);
}

static void flush(void) {
    must_do(untorn_commit(writer, NULL), "commit");
    must_do(untorn_flush(writer, NULL), "flush");
}

// An array that is deleted after the first flush must not be in the last snapshot.
static void define_deleted(void) {
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    const uint64_t shape[1] = {3};
    definition.dtype = "i4";
    definition.rank = 1;
    definition.shape = shape;
    untorn_writer_array *array;
    must_do(untorn_define(writer, "deleted/values", &definition, &array), "deleted");
}

static void export(unsigned format) {
    char path[4096];
    untorn_reader *reader;
    untorn_export_options options = UNTORN_EXPORT_OPTIONS_INIT;
    options.format = format;
    must_do(untorn_reader_open(segment, NULL, &reader), segment);
    must_do(untorn_export(reader, path_of(path, "export"), &options, NULL), "export");
    untorn_reader_close(reader);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: write_cases DIR FORMAT\n", stderr);
        return 2;
    }
    top = argv[1];
    unsigned format = (unsigned)atoi(argv[2]);
    char path[4096];
    must(mkdir(top, 0755) == 0 || errno == EEXIST, top);
    must(mkdir(path_of(path, "raw"), 0755) == 0, path);
    atexit(clean_up);
    open_writer(format);
    static const char *const codecs[] = {"lz4", "none"};
    size_t n = 2 * sample_count;
    test_case *cases = calloc(n, sizeof *cases);
    must(cases != NULL, "memory");

    for (size_t i = 0; i < n; i++) {
        prepare(&cases[i], &samples[i / 2], codecs[i % 2]);
        define(&cases[i], format);
        if (cases[i].array != NULL)
            first_stage(&cases[i]);
    }
    define_deleted();
    must_do(untorn_set_group_attributes(writer, "", root_attributes), "root");
    must_do(untorn_set_group_attributes(writer, "lz4/empty", group_attributes), "group");
    flush();
    must_do(untorn_delete(writer, "deleted/values"), "delete");
    for (size_t i = 0; i < n; i++)
        if (cases[i].array != NULL)
            second_stage(&cases[i]);
    flush();
    for (size_t i = 0; i < n; i++)
        if (cases[i].array != NULL)
            third_stage(&cases[i]);
    flush();

    describe_all(cases, n, untorn_writer_commit(writer));
    export(format);
    for (size_t i = 0; i < n; i++) {
        free(cases[i].expected);
        free(cases[i].values);
    }
    free(cases);
    return 0;
}
