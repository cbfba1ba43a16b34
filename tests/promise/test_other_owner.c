// SPDX-License-Identifier: MIT
/*
 * P7: whoever leaves a segment behind cannot have another user write where it says.  The user
 * "nobody" makes a segment, then has it name a directory of root's as its store; root adopts it.
 * This needs root.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/nobody.h"
#include "../support/scale.h"

#define SEGMENT "left"

// Of one length, so that the one can stand in the other's place.
static char own[600], victim[600];

static untorn_status open_writer(const char *store) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    untorn_writer *writer = NULL;
    options.store = store;
    options.flags = strcmp(store ? store : "", own) == 0 ? 0 : UNTORN_ADOPT_ONLY;
    options.size = 1u << 20;
    untorn_status status = untorn_writer_open(SEGMENT, &options, &writer);
    if (status == UNTORN_OK)
        untorn_writer_close(writer);
    return status;
}

// Put the one path in the place of the other, all over the segment.
static void redirect(const char *from, const char *to) {
    int fd = open(test_segment_path(SEGMENT, ""), O_RDWR | O_CLOEXEC);
    struct stat file;
    must(fd >= 0 && fstat(fd, &file) == 0, "the data file");
    size_t size = (size_t)file.st_size, length = strlen(from);
    unsigned found = 0;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(bytes != MAP_FAILED && length == strlen(to), "mmap");
    for (char *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), from, length)) != NULL;) {
        memcpy(at, to, length);
        found++;
    }
    must(found == 1, "the path is there %u times", found);
    munmap(bytes, size);
    close(fd);
}

static int leave_a_segment(void *argument, int report, int orders) {
    (void)argument;
    (void)report;
    (void)orders;
    test_become_nobody();
    must_ok(open_writer(own));
    must_ok(open_writer(NULL)); // of our own: its word is ours
    redirect(own, victim);
    return 0;
}

static void prepare(void) {
    const char *top = test_directory("owner");
    char path[600];
    snprintf(own, sizeof own, "%s/1/store", top);
    snprintf(victim, sizeof victim, "%s/2/store", top);
    must(chmod(top, 0755) == 0, "chmod");
    snprintf(path, sizeof path, "%s/1", top);
    must(mkdir(path, 0777) == 0 && chmod(path, 0777) == 0, "mkdir");
    snprintf(path, sizeof path, "%s/2", top);
    must(mkdir(path, 0700) == 0, "mkdir");
    // Not sticky: there the kernel itself may refuse to open others' files so.
    snprintf(path, sizeof path, "%s/shm", top);
    must(mkdir(path, 0777) == 0 && chmod(path, 0777) == 0, "mkdir");
    must(setenv("UNTORN_SHM_DIR", path, 1) == 0, "setenv");
}

static void P7_a_segment_of_another_user_does_not_say_where_to_write(void **state) {
    (void)state;
    skip_under_tsan();
    prepare();
    if (!test_can_be_nobody(test_shm_dir()))
        skip_because("needs root to become somebody else");
    struct test_child child = test_child_start(leave_a_segment, NULL);
    test_child_finish(&child);
    must_say(UNTORN_E_PERMISSION, victim, open_writer(NULL));
    must(strstr(untorn_message(), SEGMENT) && strstr(untorn_message(), "user 65534"), "%s",
         untorn_message());
    must_be(UNTORN_E_FOREIGN_STORE, open_writer(own)); // not the one that it names
    must(access(victim, F_OK) != 0, "%s was made", victim);
    // It may be adopted by whoever names the store; and what has none may be adopted by anybody.
    redirect(victim, own);
    must_say(UNTORN_E_PERMISSION, own, open_writer(NULL));
    must_ok(open_writer(own));
    must_ok(untorn_segment_remove(SEGMENT));
}

static int leave_one_without_a_store(void *argument, int report, int orders) {
    untorn_writer *writer = NULL;
    (void)argument;
    (void)report;
    (void)orders;
    test_become_nobody();
    must_ok(untorn_writer_open(SEGMENT, NULL, &writer));
    untorn_writer_close(writer);
    return 0;
}

static void a_segment_of_another_user_without_a_store_is_adopted(void **state) {
    (void)state;
    skip_under_tsan();
    prepare();
    if (!test_can_be_nobody(test_shm_dir()))
        skip_because("needs root to become somebody else");
    struct test_child child = test_child_start(leave_one_without_a_store, NULL);
    test_child_finish(&child);
    must_ok(open_writer(NULL));
    must_ok(untorn_segment_remove(SEGMENT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(P7_a_segment_of_another_user_does_not_say_where_to_write),
        cmocka_unit_test(a_segment_of_another_user_without_a_store_is_adopted),
    };
    return cmocka_run_group_tests_name("segments of other users", tests, NULL, NULL);
}
