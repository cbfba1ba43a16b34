// SPDX-License-Identifier: MIT
/* Scenarios with mistakes: see seeded.h. */
#include "seeded.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_hooks.h"
#include "child.h"
#include "must.h"

#define ATTEMPTS 5 // at noticing a mistake: some depend on what other threads are just doing

int test_with_seed(void (*scenario)(void), int seed) {
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (child == 0) {
        test_is_child = 1;
        ut_seeded_bug = seed;
        if (seed != 0) {
            alarm(60); // a hang is noticed, too
            if (freopen("/dev/null", "w", stderr) == NULL ||
                freopen("/dev/null", "w", stdout) == NULL)
                _exit(1);
        }
        scenario();
        _exit(0);
    }
    int status = 0;
    must(child > 0 && waitpid(child, &status, 0) == child, "child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

void test_scenarios_pass(const struct test_seeded *table, size_t count) {
    unsigned failed = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = 0;
        while (table[first].scenario != table[i].scenario)
            first++;
        if (first == i && test_with_seed(table[i].scenario, 0) != 0) {
            print_message("the scenario of %d fails\n", table[i].seed);
            failed++;
        }
    }
    must(failed == 0, "%u scenarios fail", failed);
}

void test_mistakes_are_noticed(const struct test_seeded *table, size_t count) {
    unsigned missed = 0;
    for (size_t i = 0; i < count; i++) {
        int status = table[i].seed != 0 ? 0 : 1;
        for (int attempt = 0; status == 0 && attempt < ATTEMPTS; attempt++)
            status = test_with_seed(table[i].scenario, table[i].seed);
        if (status == 0) {
            print_message("seed %d was not noticed\n", table[i].seed);
            missed++;
        } else if (status != TEST_CHILD_FAILED && table[i].seed != 0) {
            print_message("seed %d: status %d\n", table[i].seed, status);
        }
    }
    must(missed == 0, "%u mistakes were not noticed", missed);
}
