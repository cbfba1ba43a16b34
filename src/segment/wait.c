// SPDX-License-Identifier: MIT
/*
 * Sleeping on published words; wait.h has the argument.
 */
#include "segment/wait.h"

#include "base/test_hooks.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNTED_SLICE 100000000 /* ns */
#define UNCOUNTED_SLICE 1000000

static _Atomic uint32_t *count_of(ut_waiter *waiter) {
    ut_control *control = waiter->segment->control;
    return waiter->waiting == 1 ? &control->array_waiters : &control->segment_waiters;
}

void ut_wait_begin(ut_waiter *waiter, ut_segment *segment, uint32_t line, uint32_t waiting) {
    *waiter = (ut_waiter){segment, line, waiting};
    if (line == UT_NO_LINE)
        return;
    ut_store_relaxed(&segment->control->lines[line].waiting, waiting);
    /* Release: who counts anew and sees the sum sees the flag. */
    ut_fetch_add_release(count_of(waiter), UT_WAITER_BEGINS);
    /* Pairs with the writer's fence between the commit and the counts. */
    ut_fence_seq_cst();
}

void ut_wait_end(ut_waiter *waiter) {
    if (waiter->line == UT_NO_LINE)
        return;
    /* In this order: who counts anew in between counts one too many, which is found again.  One too
     * few would be 0 while somebody sleeps. */
    ut_fetch_sub_relaxed(count_of(waiter), 1);
    UT_STEP("waiter leaves");
    /* Release: who counts anew and sees no flag sees the sum change. */
    ut_store_release(&waiter->segment->control->lines[waiter->line].waiting, 0);
    waiter->line = UT_NO_LINE;
}

int64_t ut_wait_slice(const ut_waiter *waiter) {
    return waiter->line == UT_NO_LINE ? UNCOUNTED_SLICE : COUNTED_SLICE;
}

_Atomic uint32_t *ut_wait_object_word(const ut_waiter *waiter, ut_header *header, uint32_t index) {
    if (waiter->line == UT_NO_LINE || index >= UT_WAKE_WORDS)
        return &header->published;
    return &waiter->segment->control->array_wakes[index];
}

_Atomic uint32_t *ut_wait_segment_word(const ut_waiter *waiter, ut_segment *segment) {
    return waiter->line == UT_NO_LINE ? &segment->super->published
                                      : &segment->control->segment_wakes;
}

static int sleep_on_one(_Atomic uint32_t *word, uint32_t value, int64_t slice) {
    struct timespec relative = {slice / 1000000000, slice % 1000000000};
    if (syscall(SYS_futex, word, FUTEX_WAIT, value, &relative, NULL, 0) == 0)
        return 0;
    return errno == EAGAIN ? 0 : errno;
}

/* Out of line: so much room on the stack is not for one word. */
__attribute__((noinline)) static int sleep_on_several(_Atomic uint32_t *const *words,
                                                      const uint32_t *values, size_t count,
                                                      int64_t slice) {
#ifdef SYS_futex_waitv
    struct futex_waitv list[UT_WAIT_WORDS];
    for (size_t i = 0; i < count; i++)
        list[i] =
            (struct futex_waitv){.val = values[i], .uaddr = (uintptr_t)words[i], .flags = FUTEX_32};
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    int64_t end = (int64_t)deadline.tv_sec * 1000000000 + deadline.tv_nsec + slice;
    deadline = (struct timespec){end / 1000000000, end % 1000000000};
    if (syscall(SYS_futex_waitv, list, count, 0, &deadline, CLOCK_MONOTONIC) >= 0)
        return 0;
    if (errno != ENOSYS)
        return errno == EAGAIN ? 0 : errno;
#else
    (void)words;
    (void)values;
    (void)count;
#endif
    /* A kernel without futex_waitv: look again soon. */
    if (slice > UNCOUNTED_SLICE)
        slice = UNCOUNTED_SLICE;
    struct timespec relative = {0, slice};
    return nanosleep(&relative, NULL) == 0 ? ETIMEDOUT : EINTR;
}

int ut_wait_sleep(_Atomic uint32_t *const *words, const uint32_t *values, size_t count,
                  int64_t slice) {
    UT_STEP("sleep begins");
    return count == 1 ? sleep_on_one(words[0], values[0], slice)
                      : sleep_on_several(words, values, count, slice);
}
