// SPDX-License-Identifier: MIT
// A program of someone who installed the library: it is compiled outside the source tree, as C11
// and as C++, with what pkg-config says.  It writes an array, reads it back and compares.
#include <untorn.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int failed(const char *what, untorn_status status) {
    fprintf(stderr, "%s: %s: %s\n", what, untorn_status_text(status), untorn_message());
    return 1;
}

static untorn_status write_array(const char *segment, const double *values, uint64_t count) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer *writer = NULL;
    untorn_writer_array *array = NULL;
    options.size = 16u << 20;
    definition.dtype = "f8";
    definition.rank = 1;
    definition.shape = &count;

    untorn_status status = untorn_writer_open(segment, &options, &writer);
    if (status != UNTORN_OK)
        return status;
    status = untorn_define(writer, "values", &definition, &array);
    if (status == UNTORN_OK)
        status = untorn_write(array, NULL, NULL, NULL, values);
    if (status == UNTORN_OK)
        status = untorn_commit(writer, NULL);
    untorn_writer_close(writer);
    return status;
}

static untorn_status read_array(const char *segment, double *values, size_t bytes) {
    untorn_reader *reader = NULL;
    untorn_array *array = NULL;
    untorn_status status = untorn_reader_open(segment, NULL, &reader);
    if (status != UNTORN_OK)
        return status;
    status = untorn_array_open(reader, "values", &array);
    if (status == UNTORN_OK)
        status = untorn_read(array, NULL, NULL, values, bytes, NULL);
    untorn_reader_close(reader);
    return status;
}

int main(void) {
    const double written[3] = {1.5, -2.0, 3.25};
    double got[3] = {0, 0, 0};
    char segment[64];
    snprintf(segment, sizeof(segment), "test-install-%ld", (long)getpid());

    untorn_status status = write_array(segment, written, 3);
    if (status != UNTORN_OK)
        return failed("write", status);
    status = read_array(segment, got, sizeof(got));
    if (status != UNTORN_OK) {
        failed("read", status);
        (void)untorn_segment_remove(segment);
        return 1;
    }
    status = untorn_segment_remove(segment);
    if (status != UNTORN_OK)
        return failed("remove", status);
    if (memcmp(written, got, sizeof(got)) != 0) {
        fprintf(stderr, "read back other values\n");
        return 1;
    }
    printf("untorn %s works\n", untorn_version());
    return 0;
}
