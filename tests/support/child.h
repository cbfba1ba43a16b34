// SPDX-License-Identifier: MIT
/*
 * Child processes of a test: started with a pipe each way and a function, killed
 * with the test, and waited for with a limit, so that a hang is a failure and
 * not a hang.  The limit is generous and only that: nothing asserts on time.
 */
#ifndef UT_TEST_CHILD_H
#define UT_TEST_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Seconds after which a child counts as hung.
#define TEST_HUNG 400

struct test_child {
    pid_t pid;
    int from; // what the child reports
    int to;   // what it is told
};

// What runs in a child: reports through `report`, is told through `orders`.
// Its return value is the exit status: 0 for success.
typedef int test_child_function(void *argument, int report, int orders);

struct test_child test_child_start(test_child_function *function, void *argument);

// One word through a pipe.  test_receive() fails the test if the other end closed
// or nothing comes in TEST_HUNG; test_receive_maybe() returns 0 then.
void test_send(int fd, uint64_t word);
uint64_t test_receive(int fd);
int test_receive_maybe(int fd, uint64_t *word);

// The exit status, or 256 + the signal that ended it.  A hung child is killed and
// fails the test.
int test_child_wait(struct test_child *child);

// Wait, and fail the test unless the child succeeded.
void test_child_finish(struct test_child *child);

// SIGKILL, and wait for it to be gone.
void test_child_kill(struct test_child *child);

// Until the child is stopped by a signal (returns 1) or ended (returns 0, with its
// status as of test_child_wait() in *status).
int test_child_wait_stopped(struct test_child *child, int *status);

// Memory that children share with the test, zeroed.  Never freed.
void *test_shared(size_t size);

void test_sleep_us(uint64_t microseconds);

#endif
