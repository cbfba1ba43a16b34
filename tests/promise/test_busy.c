// SPDX-License-Identifier: MIT
/*
 * Who is in the way of a second writer: named as a process only if that is one.  A process id of
 * another pid namespace is some other process's here, or nobody's.  The second test needs the right
 * to make a pid namespace.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/must.h"
#include "../support/names.h"
#include "../support/scale.h"

#define CANNOT_UNSHARE 77

static const char *segment, *other, *store;

static untorn_status open_writer(const char *name, untorn_writer **writer) {
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.store = store;
    options.size = 1u << 20;
    return untorn_writer_open(name, &options, writer);
}

static int write_until_told(void *argument, int report, int orders) {
    untorn_writer *writer = NULL;
    uint64_t word;
    (void)argument;
    must_ok(open_writer(segment, &writer));
    test_send(report, (uint64_t)getpid());
    test_receive_maybe(orders, &word);
    untorn_writer_close(writer);
    return 0;
}

static int write_in_a_namespace(void *argument, int report, int orders) {
    int status = 0;
    if (unshare(CLONE_NEWPID) != 0)
        return CANNOT_UNSHARE;
    pid_t pid = fork(); // the first process there
    if (pid == 0)
        _exit(write_until_told(argument, report, orders));
    must(pid > 0 && waitpid(pid, &status, 0) == pid, "child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : TEST_CHILD_FAILED;
}

static void begin(void) {
    static char path[600];
    snprintf(path, sizeof path, "%s/store", test_directory("busy"));
    store = path;
    segment = test_segment("busy");
    other = test_segment("other");
}

// The segment is taken, and so is the store.
static void must_both_say(const char *process) {
    untorn_writer *writer = NULL;
    must_say(UNTORN_E_BUSY, process, open_writer(segment, &writer));
    must_say(UNTORN_E_BUSY, segment, untorn_segment_remove(segment));
    must_say(UNTORN_E_BUSY, process, open_writer(other, &writer));
    must(strstr(untorn_message(), store), "%s", untorn_message());
}

static void a_process_is_named(void **state) {
    char process[100], command[64] = "";
    (void)state;
    skip_under_tsan();
    begin();
    struct test_child child = test_child_start(write_until_told, NULL);
    FILE *comm = fopen("/proc/self/comm", "r");
    must(comm && fgets(command, sizeof command, comm), "/proc/self/comm");
    command[strcspn(command, "\n")] = '\0';
    fclose(comm);
    snprintf(process, sizeof process, "process %d (%s) is its writer",
             (int)test_receive(child.from), command);
    must_both_say(process);
    test_send(child.to, 0);
    test_child_finish(&child);
    must_ok(untorn_segment_remove(segment));
}

static void a_process_of_another_pid_namespace_is_not_taken_for_one_of_ours(void **state) {
    uint64_t pid = 0;
    (void)state;
    skip_under_tsan();
    begin();
    struct test_child child = test_child_start(write_in_a_namespace, NULL);
    if (!test_receive_maybe(child.from, &pid)) {
        int status = test_child_wait(&child);
        must(status == CANNOT_UNSHARE, "status %d", status);
        skip_because("cannot make a pid namespace");
    }
    must(pid == 1, "the first process there is %llu", (unsigned long long)pid);
    must_both_say("process 1 of another pid namespace is its writer");
    must(strchr(strstr(untorn_message(), "process 1"), '(') == NULL, "%s", untorn_message());
    test_send(child.to, 0);
    test_child_finish(&child);
    must_ok(untorn_segment_remove(segment));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_named),
        cmocka_unit_test(a_process_of_another_pid_namespace_is_not_taken_for_one_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
