// SPDX-License-Identifier: MIT
/*
 * P7: reading and waiting need read permission for the data only, and the data is
 * mapped without the right to write.  The user "nobody" reads a segment of root's, so
 * this needs root; without it all but the mapping is skipped.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/ledger.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/nobody.h"
#include "../support/scale.h"

// The mappings of the segment's files that are writable.
static unsigned writable_mappings(const char *segment, unsigned *all) {
    char line[1000];
    unsigned writable = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    must(maps, "/proc/self/maps");
    *all = 0;
    while (fgets(line, sizeof line, maps)) {
        char rights[8] = "";
        const char *file = strstr(line, segment);
        // The data file: its name ends with the segment's.
        if (!file || strchr(file, '~') || sscanf(line, "%*s %7s", rights) != 1)
            continue;
        (*all)++;
        writable += rights[1] == 'w';
    }
    fclose(maps);
    return writable;
}

static int map_and_look(void *argument, int report, int orders) {
    struct ledger_reader reader;
    struct ledger *ledger = argument;
    unsigned all = 0;
    (void)report;
    (void)orders;
    ledger_attach(&reader, ledger, 0);
    must(ledger_check_snapshot(&reader), "overtaken");
    must(writable_mappings(ledger->segment, &all) == 0, "a reader can write to the data");
    must(all > 0, "the data's mapping is not to be found");
    ledger_detach(&reader);
    must(writable_mappings(ledger->segment, &all) == 0 && all == 0, "a mapping is left");
    return 0;
}

static void P7_the_data_is_mapped_read_only(void **state) {
    (void)state;
    skip_under_tsan();
    struct ledger *ledger = test_shared(sizeof *ledger);
    struct ledger_writer writer;
    ledger->segment = test_segment("mapped");
    ledger_open(&writer, ledger);
    struct test_child child = test_child_start(map_and_look, ledger);
    test_child_finish(&child);
    ledger_close(&writer);
    must_ok(untorn_segment_remove(ledger->segment));
}

static int read_as_nobody(void *argument, int report, int orders) {
    struct ledger *ledger = argument;
    struct ledger_reader reader;
    test_become_nobody();
    ledger_attach(&reader, ledger, 0);
    must(ledger_check(&reader), "overtaken by a silent writer");
    must(ledger_check_snapshot(&reader), "overtaken by a silent writer");
    must_ok(untorn_reader_check(reader.reader));
    uint64_t commit = untorn_reader_commit(reader.reader);
    test_send(report, 1);
    must_ok(untorn_wait_commit(reader.reader, commit + 1, -1)); // by looking every millisecond
    test_receive(orders);                                       // now at full rate
    uint64_t good = 0;
    for (int i = 0; i < 300 || good == 0; i++) { // at the latest, when the writer is silent
        good += (uint64_t)ledger_check(&reader);
        good += (uint64_t)ledger_check_snapshot(&reader);
    }
    test_send(report, good);
    untorn_writer *writer = NULL;
    must_be(UNTORN_E_PERMISSION, untorn_writer_open(ledger->segment, NULL, &writer));
    untorn_status status = untorn_segment_remove(ledger->segment);
    must(status == UNTORN_E_PERMISSION || status == UNTORN_E_BUSY, "remove as nobody: %d",
         (int)status);
    test_receive(orders); // the writer is dead now
    status = untorn_wait_commit(reader.reader, UINT64_MAX, -1);
    must(status == UNTORN_E_WRITER_CLOSED, "status %d", (int)status);
    must(ledger_check(&reader), "overtaken by nobody");
    ledger_detach(&reader);
    return 0;
}

static void open_with_mode(struct ledger_writer *writer, struct ledger *ledger, unsigned mode) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.mode = mode;
    untorn_writer *creator = NULL;
    must_ok(untorn_writer_open(ledger->segment, &options, &creator));
    untorn_writer_close(creator);
    ledger_open(writer, ledger);
    struct stat status;
    must(stat(test_segment_path(ledger->segment, ""), &status) == 0, "the data file");
    must((status.st_mode & 0777) == mode, "mode %o", status.st_mode & 0777);
    must(stat(test_segment_path(ledger->segment, "~ctl"), &status) == 0, "the control file");
    must((status.st_mode & 0777) == 0600, "mode %o", status.st_mode & 0777);
}

static void P7_read_permission_is_enough_to_read_and_wait(void **state) {
    (void)state;
    skip_under_tsan();
    if (!test_can_be_nobody(test_shm_dir()))
        skip_because("needs root to become somebody else");
    struct ledger *ledger = test_shared(sizeof *ledger);
    struct ledger_writer writer;
    ledger->segment = test_segment("nobody");
    open_with_mode(&writer, ledger, 0644);
    struct test_child child = test_child_start(read_as_nobody, ledger);
    test_receive(child.from);
    test_sleep_us(3000);
    ledger_commit(&writer);
    test_send(child.to, 1);
    uint64_t good = 0;
    for (int i = 0; i < 3000; i++) {
        ledger_commit(&writer);
        if (i % 20 == 0)
            test_sleep_us(500);
    }
    good = test_receive(child.from);
    print_message("%llu of 600 reads without a pin were not overtaken\n", (unsigned long long)good);
    must(good > 0, "not one read without a pin");
    ledger_close(&writer);
    test_send(child.to, 2);
    test_child_finish(&child);
    must_ok(untorn_segment_remove(ledger->segment));
}

static int be_refused(void *argument, int report, int orders) {
    struct ledger *ledger = argument;
    untorn_reader *reader = NULL;
    (void)report;
    (void)orders;
    test_become_nobody();
    must_say(UNTORN_E_PERMISSION, ledger->segment,
             untorn_reader_open(ledger->segment, NULL, &reader));
    return 0;
}

static void without_read_permission_it_says_so(void **state) {
    (void)state;
    skip_under_tsan();
    if (!test_can_be_nobody(test_shm_dir()))
        skip_because("needs root to become somebody else");
    struct ledger *ledger = test_shared(sizeof *ledger);
    struct ledger_writer writer;
    ledger->segment = test_segment("private");
    open_with_mode(&writer, ledger, 0600);
    struct test_child child = test_child_start(be_refused, ledger);
    test_child_finish(&child);
    ledger_close(&writer);
    must_ok(untorn_segment_remove(ledger->segment));
}

// How much rubbish there is does not depend on how fast who is: one piece at least and MOST at most
// for each round of looking.
struct rubbish {
    struct ledger ledger;
    _Atomic uint64_t rounds, pieces;
};
#define MOST 4

// Whoever may write to the control file writes rubbish to it: the others' reads stay whole, and
// the writer goes on.
static int scribble(void *argument, int report, int orders) {
    struct rubbish *shared = argument;
    unsigned char rubbish[64];
    uint64_t state = 12345;
    int fd = open(test_segment_path(shared->ledger.segment, "~ctl"), O_RDWR | O_CLOEXEC);
    must(fd >= 0, "the control file");
    off_t size = lseek(fd, 0, SEEK_END);
    (void)orders;
    test_send(report, 1);
    for (uint64_t i = 0;; i++) {
        while (shared->pieces >= MOST * (shared->rounds + 1))
            test_sleep_us(20);
        for (size_t j = 0; j < sizeof rubbish; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            rubbish[j] = (unsigned char)(i % 3 == 0 ? 0xff : state >> 40);
        }
        off_t place = (off_t)((state >> 20) % (uint64_t)(size - (off_t)sizeof rubbish));
        must(pwrite(fd, rubbish, sizeof rubbish, place) > 0, "pwrite");
        shared->pieces++;
    }
}

static void P7_rubbish_in_the_control_file_tears_nothing(void **state) {
    (void)state;
    skip_under_tsan();
    struct rubbish *shared = test_shared(sizeof *shared);
    struct ledger *ledger = &shared->ledger;
    struct ledger_writer writer;
    struct ledger_reader readers[2];
    ledger->segment = test_segment("rubbish");
    ledger->size = 16u << 20;
    ledger_open(&writer, ledger);
    ledger_attach(&readers[0], ledger, 0);
    ledger_attach(&readers[1], ledger, UNTORN_READ_NO_CONTROL);
    struct test_child child = test_child_start(scribble, shared);
    test_receive(child.from);
    uint64_t rounds = test_count(8000);
    uint64_t good = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        ledger_commit(&writer);
        for (int j = 0; j < 2; j++) {
            good += (uint64_t)ledger_check(&readers[j]);
            good += (uint64_t)ledger_check_snapshot(&readers[j]);
        }
        shared->rounds = i + 1;
        while (shared->pieces <= i)
            test_sleep_us(20);
    }
    print_message("%llu of %llu looks were not overtaken\n", (unsigned long long)good,
                  (unsigned long long)(4 * rounds));
    must(good >= 3 * rounds, "rubbish in the control file stops readers");
    test_child_kill(&child);
    ledger_close(&writer);
    ledger_open(&writer, ledger); // adoption believes nothing either
    ledger_commit(&writer);
    ledger_close(&writer);
    ledger_detach(&readers[0]);
    ledger_detach(&readers[1]);
    must_ok(untorn_segment_remove(ledger->segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P7_the_data_is_mapped_read_only),
        cmocka_unit_test(P7_read_permission_is_enough_to_read_and_wait),
        cmocka_unit_test(without_read_permission_it_says_so),
        cmocka_unit_test(P7_rubbish_in_the_control_file_tears_nothing),
    };
    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
