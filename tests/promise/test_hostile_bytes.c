// SPDX-License-Identifier: MIT
/*
 * P8: a segment of any bytes gives data or an error, never a crash, a hang or a
 * byte from outside of it.
 *
 * A good segment is made once.  Every case copies its files under another name,
 * damages the copies (bits, words, ranges, length; before attaching, or under an
 * attached reader) and then does everything that a reader and an adopting writer can
 * do, in a child.  The child says which case it is at; when one kills or hangs it,
 * that case's number is the failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/pattern.h"
#include "../support/rng.h"
#include "../support/scale.h"
#include "../support/stamped.h"

#define CASE_SECONDS 120 // after which a case counts as a hang
#define BUFFER (1u << 20)

static const char *const suffixes[] = {"", "~ctl", "~lock", "~alive"};
#define FILES 4

struct bytes {
    unsigned char *data;
    size_t size;
    unsigned mode;
};

struct original {
    struct bytes files[FILES];
};

struct campaign {
    struct original *original;
    const char *segment; // the copies' name
    uint64_t seed;
    uint64_t first;
    uint64_t end;
    unsigned what; // of the files: 0 the data, 1 the control file
    _Atomic uint64_t at;
    _Atomic uint64_t attached;
    _Atomic uint64_t adopted;
    _Atomic uint64_t read;
};

/* ---- the good segment ---- */

static const struct stamped stamped[] = {
    {"a/scalar", 1, "f8", 0, {0}, {0}},
    {"a/row", 2, "i2", 1, {3000}, {100}},
    {"b/plane", 3, "f4", 2, {70, 50}, {9, 50}},
    {"b/cube", 4, "V3", 3, {9, 10, 11}, {2, 3, 11}},
};
#define STAMPED (sizeof stamped / sizeof stamped[0])

static void write_all(untorn_writer *writer, unsigned commits) {
    untorn_writer_array *handles[STAMPED];
    for (size_t i = 0; i < STAMPED; i++)
        handles[i] = stamped_require(writer, &stamped[i]);
    for (unsigned commit = 1; commit <= commits; commit++) {
        for (size_t i = 0; i < STAMPED; i++)
            must_ok(stamped_write(handles[i], &stamped[i], commit));
        must_ok(untorn_commit(writer, NULL));
    }
}

static void write_rows(untorn_writer *writer) {
    uint64_t zero = 0;
    uint64_t chunk = 16;
    const char *names[1] = {"time"};
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    untorn_writer_array *rows = NULL;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &zero;
    definition.chunks = &chunk;
    definition.dimension_names = names;
    definition.attributes = "{\"units\": \"s\"}";
    must_ok(untorn_define(writer, "deep/er/rows", &definition, &rows));
    for (uint64_t i = 0; i < 3000; i++) { // a table of more than one level
        must_ok(untorn_append(rows, 0, 1, NULL, &i));
        if (i % 300 == 0)
            must_ok(untorn_commit(writer, NULL));
    }
    must_ok(untorn_set_group_attributes(writer, "deep", "{\"title\": \"d\"}"));
    must_ok(untorn_commit(writer, NULL));
}

static struct bytes slurp(const char *path) {
    struct bytes bytes = {0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bytes;
    must(fstat(fd, &status) == 0, "fstat");
    bytes.mode = status.st_mode & 0777;
    bytes.size = (size_t)status.st_size;
    bytes.data = malloc(bytes.size + 1);
    must(pread(fd, bytes.data, bytes.size, 0) == (ssize_t)bytes.size, "read %s", path);
    close(fd);
    return bytes;
}

static struct original *make_original(void) {
    static struct original original;
    if (original.files[0].data)
        return &original;
    const char *segment = test_segment("good");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_writer *writer = NULL;
    untorn_reader *reader = NULL;
    untorn_snapshot *snapshot = NULL;
    options.size = 2u << 20;
    must_ok(untorn_writer_open(segment, &options, &writer));
    write_all(writer, 3);
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &snapshot));
    write_all(writer, 20); // with a pin and retained descriptors
    write_rows(writer);
    for (int i = 0; i < FILES; i++)
        original.files[i] = slurp(test_segment_path(segment, suffixes[i]));
    untorn_snapshot_close(snapshot);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
    must(original.files[0].size > 0, "the data file is not where it should be");
    return &original;
}

/* ---- damage ---- */

static void put_file(const char *path, const struct bytes *bytes) {
    unlink(path);
    if (!bytes->data)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0, "%s: %s", path, strerror(errno));
    must(pwrite(fd, bytes->data, bytes->size, 0) == (ssize_t)bytes->size, "write %s", path);
    close(fd);
}

static uint64_t poison(struct test_rng *rng) {
    static const uint64_t values[] = {0,
                                      1,
                                      7,
                                      64,
                                      4095,
                                      4096,
                                      0x7fffffff,
                                      0xffffffff,
                                      UINT64_MAX,
                                      UINT64_MAX / 2,
                                      UINT64_MAX - 7,
                                      1u << 20};
    return rng_chance(rng, 30) ? rng_next(rng)
                               : values[rng_below(rng, sizeof values / sizeof values[0])];
}

// Metadata is what matters: prefer the places whose words are small but not zero, and the start.
static size_t pick_place(const unsigned char *data, size_t size, struct test_rng *rng) {
    if (rng_chance(rng, 25))
        return (size_t)rng_below(rng, size < 8192 ? size : 8192);
    for (int tries = 0; tries < 60; tries++) {
        size_t at = (size_t)rng_below(rng, size / 8) * 8;
        uint64_t word;
        memcpy(&word, data + at, 8);
        if (word && word < 1u << 24)
            return at;
    }
    return (size_t)rng_below(rng, size);
}

static void damage(unsigned char *data, size_t size, struct test_rng *rng) {
    if (size < 16)
        return;
    uint64_t strokes = rng_range(rng, 1, rng_chance(rng, 50) ? 2 : 40);
    for (uint64_t i = 0; i < strokes; i++) {
        size_t at = pick_place(data, size - 8, rng);
        switch (rng_below(rng, 5)) {
        case 0:
            data[at] ^= (unsigned char)(1u << rng_below(rng, 8));
            break;
        case 1: {
            uint64_t word = poison(rng);
            memcpy(data + at, &word, rng_chance(rng, 50) ? 8 : 4);
            break;
        }
        case 2: { // a word from elsewhere: a link into the wrong place
            size_t from = pick_place(data, size - 8, rng);
            memmove(data + at, data + from, 8);
            break;
        }
        case 3: {
            uint64_t word;
            memcpy(&word, data + at, 8);
            word += rng_chance(rng, 50) ? 1 : UINT64_MAX;
            memcpy(data + at, &word, 8);
            break;
        }
        default: {
            size_t length = (size_t)rng_range(rng, 1, 300);
            if (length > size - at)
                length = size - at;
            memset(data + at, rng_chance(rng, 50) ? 0 : 0xff, length);
        }
        }
    }
}

/* ---- everything that can be done ---- */

static void use_array(struct campaign *campaign, untorn_reader *reader, const char *name,
                      unsigned char *buffer) {
    untorn_array *array = NULL;
    untorn_result result = {0};
    untorn_array_info info;
    char *json = NULL;
    if (untorn_array_open(reader, name, &array) != UNTORN_OK)
        return;
    if (untorn_array_get_info(array, &info) == UNTORN_OK) {
        must(info.rank <= UNTORN_MAX_RANK, "rank %u", info.rank);
        must(strlen(info.name) <= UNTORN_MAX_NAME, "name");
    }
    if (untorn_read(array, NULL, NULL, buffer, BUFFER, &result) == UNTORN_OK)
        campaign->read++;
    uint64_t start[UNTORN_MAX_RANK] = {0};
    uint64_t count[UNTORN_MAX_RANK];
    for (int i = 0; i < UNTORN_MAX_RANK; i++)
        count[i] = 2;
    untorn_read(array, start, count, buffer, BUFFER, &result);
    start[0] = 50;
    untorn_read(array, start, count, buffer, BUFFER, NULL);
    untorn_request request = {.array = array, .destination = buffer, .capacity = BUFFER};
    request.attributes = &json;
    if (untorn_read_group(reader, &request, 1, &result) == UNTORN_OK)
        must(strlen(json) <= UNTORN_MAX_ATTRIBUTES, "attributes");
    free(json);
    json = NULL;
    if (untorn_attributes(array, &json, &result) == UNTORN_OK)
        free(json);
    untorn_peek(array, &result);
    untorn_wait(array, result.generation, 0);
    untorn_wait_length(array, 0, 5, 0);
    untorn_array_close(array);
}

static void use_snapshot(untorn_reader *reader, unsigned char *buffer) {
    untorn_snapshot *snapshot = NULL;
    if (untorn_snapshot_open(reader, NULL, 0, UNTORN_NEWEST, &snapshot) != UNTORN_OK)
        return;
    size_t count = untorn_snapshot_count(snapshot);
    for (size_t i = 0; i < count && i < 20; i++) {
        untorn_array_info info;
        untorn_result result;
        char *json = NULL;
        untorn_snapshot_describe(snapshot, i, &info, &result);
        if (untorn_snapshot_attributes(snapshot, i, &json) == UNTORN_OK)
            free(json);
        untorn_snapshot_read(snapshot, i, NULL, NULL, buffer, BUFFER);
        static const uint64_t steps[UNTORN_MAX_RANK] = {3, 2, 1, 1, 1, 1, 1, 1,
                                                        1, 1, 1, 1, 1, 1, 1, 1};
        untorn_request request = {
            .steps = steps, .destination = buffer, .capacity = BUFFER, .attributes = &json};
        if (untorn_snapshot_read_group(snapshot, &i, &request, 1) == UNTORN_OK)
            free(json);
        uint64_t index[UNTORN_MAX_RANK] = {0};
        const void *memory = NULL;
        if (untorn_snapshot_chunk(snapshot, i, index, &memory) == UNTORN_OK) {
            volatile unsigned char sum = 0; // all of it must be mapped
            uint64_t size = info.itemsize;
            for (unsigned axis = 0; axis < info.rank; axis++)
                size *= info.chunks[axis];
            for (uint64_t at = 0; at < size && at < BUFFER; at += 64)
                sum = (unsigned char)(sum + ((const volatile unsigned char *)memory)[at]);
        }
    }
    untorn_snapshot_check(snapshot);
    untorn_snapshot_close(snapshot);
}

static void use_reader(struct campaign *campaign, untorn_reader *reader, unsigned char *buffer) {
    untorn_listing *listing = NULL;
    untorn_stat stat;
    char *json = NULL;
    if (untorn_list(reader, &listing) == UNTORN_OK) {
        for (size_t i = 0; i < listing->count && i < 40; i++)
            use_array(campaign, reader, listing->entries[i].name, buffer);
        untorn_listing_free(listing);
    }
    for (size_t i = 0; i < STAMPED; i++)
        use_array(campaign, reader, stamped[i].name, buffer);
    use_array(campaign, reader, "deep/er/rows", buffer);
    use_snapshot(reader, buffer);
    if (untorn_group_attributes(reader, "deep", &json) == UNTORN_OK)
        free(json);
    untorn_reader_stat(reader, &stat);
    untorn_reader_check(reader);
    untorn_wait_commit(reader, untorn_reader_commit(reader) + 1, 0);
}

static void use_writer(struct campaign *campaign, const char *segment) {
    untorn_writer *writer = NULL;
    if (untorn_writer_open(segment, NULL, &writer) != UNTORN_OK)
        return;
    campaign->adopted++;
    untorn_writer_array *array = NULL;
    static unsigned char
        bytes[70000]; // an element has at most 65535 bytes, whatever the dtype became
    for (size_t i = 0; i < STAMPED; i++) {
        unsigned rank = 0;
        uint64_t shape[UNTORN_MAX_RANK];
        if (untorn_writer_array_open(writer, stamped[i].name, &array) != UNTORN_OK)
            continue;
        // The array may have any shape by now: write one element where there is one.
        uint64_t zeros[UNTORN_MAX_RANK] = {0};
        uint64_t ones[UNTORN_MAX_RANK];
        for (int axis = 0; axis < UNTORN_MAX_RANK; axis++)
            ones[axis] = 1;
        if (untorn_writer_array_shape(array, &rank, shape) == UNTORN_OK)
            untorn_write(array, zeros, ones, NULL, bytes);
        if (untorn_commit(writer, NULL) != UNTORN_OK)
            untorn_abort(writer);
    }
    if (untorn_writer_array_open(writer, "deep/er/rows", &array) == UNTORN_OK) {
        for (int i = 0; i < 10; i++)
            untorn_append(array, 0, 1, NULL, bytes);
        if (untorn_commit(writer, NULL) != UNTORN_OK)
            untorn_abort(writer);
    }
    uint64_t length = 300;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "f4";
    definition.rank = 1;
    definition.shape = &length;
    if (untorn_define(writer, "new", &definition, &array) == UNTORN_OK)
        untorn_write(array, NULL, NULL, NULL, bytes);
    untorn_delete(writer, "a/row");
    if (untorn_commit(writer, NULL) != UNTORN_OK)
        untorn_abort(writer);
    untorn_writer_close(writer);
}

/* ---- cases ---- */

static void lay_out(struct campaign *campaign, struct test_rng *rng, int damaged) {
    struct original *original = campaign->original;
    for (unsigned i = 0; i < FILES; i++) {
        struct bytes copy = original->files[i];
        if (i == campaign->what && damaged) {
            copy.data = malloc(copy.size + 1);
            memcpy(copy.data, original->files[i].data, copy.size);
            damage(copy.data, copy.size, rng);
            if (rng_chance(rng, 8))
                copy.size = (size_t)rng_below(rng, copy.size);
        }
        put_file(test_segment_path(campaign->segment, suffixes[i]), &copy);
        if (copy.data != original->files[i].data)
            free(copy.data);
    }
}

// Damage the file under an attached reader.
static void damage_in_place(struct campaign *campaign, struct test_rng *rng) {
    const char *path = test_segment_path(campaign->segment, suffixes[campaign->what]);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0, "%s", path);
    size_t size = (size_t)lseek(fd, 0, SEEK_END);
    unsigned char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(data != MAP_FAILED, "mmap");
    damage(data, size, rng);
    munmap(data, size);
    close(fd);
}

static void one_case(struct campaign *campaign, uint64_t number, unsigned char *buffer) {
    struct test_rng rng = {test_mix(campaign->seed ^ (number * 0x9e3779b97f4a7c15u))};
    int attached_before = number % 3 == 2;
    untorn_reader *reader = NULL;
    untorn_reader_options options = UNTORN_READER_OPTIONS_INIT;
    options.flags = number % 5 == 0 ? UNTORN_READ_NO_CONTROL : 0;
    lay_out(campaign, &rng, !attached_before);
    if (untorn_reader_open(campaign->segment, &options, &reader) == UNTORN_OK) {
        campaign->attached++;
        if (attached_before) {
            use_reader(campaign, reader, buffer); // so that handles and descriptors are cached
            damage_in_place(campaign, &rng);
        }
        use_reader(campaign, reader, buffer);
        use_writer(campaign, campaign->segment);
        use_reader(campaign, reader, buffer);
        untorn_reader_close(reader);
    } else {
        must(!attached_before, "the undamaged copy: %s", untorn_message());
        must(untorn_message()[0], "an error without a sentence");
        use_writer(campaign, campaign->segment);
    }
}

static int run_cases(void *argument, int report, int orders) {
    struct campaign *campaign = argument;
    unsigned char *buffer = malloc(BUFFER); // of its own, so that AddressSanitizer sees its end
    (void)report;
    (void)orders;
    if (!TEST_ASAN) { // a size from damaged bytes must not become the machine's trouble
        struct rlimit limit = {4ul << 30, 4ul << 30};
        setrlimit(RLIMIT_AS, &limit);
    }
    for (uint64_t i = campaign->first; i < campaign->end; i++) {
        campaign->at = i;
        alarm(CASE_SECONDS);
        one_case(campaign, i, buffer);
    }
    alarm(0);
    free(buffer);
    return 0;
}

static void run_campaign(const char *name, unsigned what, uint64_t cases) {
    struct campaign *campaign = test_shared(sizeof *campaign);
    const char *only = getenv("UNTORN_TEST_CASE"); // to repeat one case by its number
    campaign->original = make_original();
    campaign->segment = test_segment(name);
    campaign->seed = test_seed() + what;
    campaign->what = what;
    campaign->end = only ? strtoull(only, NULL, 0) + 1 : cases;
    campaign->first = only ? campaign->end - 1 : 0;
    unsigned failures = 0;
    if (only) { // in this process, for a debugger
        run_cases(campaign, -1, -1);
        return;
    }
    while (campaign->first < campaign->end) {
        struct test_child child = test_child_start(run_cases, campaign);
        int status = test_child_wait(&child);
        if (status == 0)
            break;
        fprintf(stderr, "case %llu of seed %llu (%s): %s %d\n", (unsigned long long)campaign->at,
                (unsigned long long)test_seed(), name,
                status == 256 + SIGALRM ? "HANG, signal"
                : status >= 256         ? "CRASH, signal"
                                        : "exit status",
                status >= 256 ? status - 256 : status);
        failures++;
        if (failures == 10)
            break;
        campaign->first = campaign->at + 1;
    }
    print_message("%llu cases: %llu could be attached to, %llu adopted, %llu reads succeeded\n",
                  (unsigned long long)cases, (unsigned long long)campaign->attached,
                  (unsigned long long)campaign->adopted, (unsigned long long)campaign->read);
    must(failures == 0, "%u cases failed", failures);
}

// The copies are as good as the original where nothing is damaged: else the rest proves nothing.
static void an_undamaged_copy_is_good(void **state) {
    (void)state;
    skip_under_tsan();
    struct campaign *campaign = test_shared(sizeof *campaign);
    struct test_rng rng = {0};
    untorn_reader *reader = NULL;
    campaign->original = make_original();
    campaign->segment = test_segment("copy");
    lay_out(campaign, &rng, 0);
    must_ok(untorn_reader_open(campaign->segment, NULL, &reader));
    for (size_t i = 0; i < STAMPED; i++) {
        untorn_array *array = NULL;
        uint64_t stamp = 0;
        must_ok(untorn_array_open(reader, stamped[i].name, &array));
        must_ok(stamped_read(array, &stamped[i], &stamp, NULL));
        must(stamp == 20, "stamp %llu", (unsigned long long)stamp);
    }
    untorn_writer *writer = NULL;
    must_ok(untorn_writer_open(campaign->segment, NULL, &writer));
    must(untorn_writer_adopted(writer), "adopted");
    write_all(writer, 30);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(campaign->segment));
}

static void P8_damaged_data_is_data_or_an_error(void **state) {
    (void)state;
    skip_under_tsan();
    run_campaign("data", 0, test_count(12000));
}

static void P8_a_damaged_control_file_is_no_danger(void **state) {
    (void)state;
    skip_under_tsan();
    run_campaign("control", 1, test_count(3000));
}

// Every length up to some pages, and then every page.
static int open_truncated(void *argument, int report, int orders) {
    struct campaign *campaign = argument;
    struct test_rng rng = {0};
    const char *path = test_segment_path(campaign->segment, suffixes[campaign->what]);
    size_t size = campaign->original->files[campaign->what].size;
    unsigned char *buffer = malloc(BUFFER);
    (void)report;
    (void)orders;
    lay_out(campaign, &rng, 0);
    for (size_t length = size; length > 0; length = length > 9000 ? length - 4096 : length - 97) {
        untorn_reader *reader = NULL;
        must(truncate(path, (off_t)length) == 0, "truncate");
        alarm(CASE_SECONDS);
        if (untorn_reader_open(campaign->segment, NULL, &reader) == UNTORN_OK) {
            must(campaign->what != 0 || length == size, "attached to data cut to %zu of %zu",
                 length, size);
            use_reader(campaign, reader, buffer);
            untorn_reader_close(reader);
        }
        if (length < 98)
            break;
    }
    must(truncate(path, 0) == 0, "truncate");
    untorn_reader *reader = NULL;
    if (untorn_reader_open(campaign->segment, NULL, &reader) == UNTORN_OK) {
        must(campaign->what != 0, "attached to empty data");
        untorn_reader_close(reader);
    }
    free(buffer);
    return 0;
}

static void P8_truncated_before_attaching_is_an_error(void **state) {
    (void)state;
    skip_under_tsan();
    for (unsigned what = 0; what < 2; what++) {
        struct campaign *campaign = test_shared(sizeof *campaign);
        campaign->original = make_original();
        campaign->segment = test_segment("cut");
        campaign->what = what;
        if (!campaign->original->files[what].data)
            continue;
        struct test_child child = test_child_start(open_truncated, campaign);
        test_child_finish(&child);
    }
}

// What is no segment at all is told from what is one of another version.
static void P8_foreign_files_are_refused(void **state) {
    (void)state;
    const char *segment = test_segment("foreign");
    static unsigned char rubbish[40000];
    struct test_rng rng = {test_seed() + 9};
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < sizeof rubbish; i++)
            rubbish[i] = kind == 0   ? 0
                         : kind == 1 ? 0xff
                         : kind == 2 ? (unsigned char)"not a segment "[i % 14]
                                     : (unsigned char)rng_next(&rng);
        struct bytes bytes = {rubbish, sizeof rubbish, 0600};
        put_file(test_segment_path(segment, ""), &bytes);
        untorn_reader *reader = NULL;
        untorn_writer *writer = NULL;
        untorn_status status = untorn_reader_open(segment, NULL, &reader);
        must(status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION || status == UNTORN_E_LAYOUT,
             "kind %d: %d %s", kind, (int)status, untorn_message());
        must(strstr(untorn_message(), segment), "the segment is not named: %s", untorn_message());
        status = untorn_writer_open(segment, NULL, &writer);
        must(status == UNTORN_E_CORRUPT || status == UNTORN_E_VERSION || status == UNTORN_E_LAYOUT,
             "writer, kind %d: %d %s", kind, (int)status, untorn_message());
    }
    must_ok(untorn_segment_remove(segment)); // it can be removed all the same
    must(test_segment_files(segment) == 0, "files are left");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undamaged_copy_is_good),
        cmocka_unit_test(P8_foreign_files_are_refused),
        cmocka_unit_test(P8_truncated_before_attaching_is_an_error),
        cmocka_unit_test(P8_damaged_data_is_data_or_an_error),
        cmocka_unit_test(P8_a_damaged_control_file_is_no_danger),
    };
    return cmocka_run_group_tests_name("hostile bytes", tests, NULL, NULL);
}
