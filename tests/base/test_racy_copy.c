// SPDX-License-Identifier: MIT
// Racy copying: every alignment of both sides and every size to 80, nothing touched beside the
// destination; and, under ThreadSanitizer, no report when two threads copy the same bytes.
#include "base/racy_copy.h"

#include "base/atomic_order.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 128, MOST = 80, BIG = 1 << 20 };

static void copies_of_every_alignment_and_size_are_exact(void **state) {
    (void)state;
    _Alignas(16) unsigned char from[ROOM], to[ROOM], expected[ROOM];
    for (size_t i = 0; i < ROOM; i++)
        from[i] = (unsigned char)(i * 7 + 1);
    for (size_t f = 0; f < 16; f++)
        for (size_t t = 0; t < 16; t++)
            for (size_t n = 0; n <= MOST; n++) {
                memset(to, 0xee, ROOM);
                memset(expected, 0xee, ROOM);
                memcpy(expected + t, from + f, n);
                ut_racy_copy(to + t, from + f, n);
                assert_memory_equal(to, expected, ROOM);
            }
}

static void zeros_of_every_alignment_and_size_are_exact(void **state) {
    (void)state;
    _Alignas(16) unsigned char to[ROOM], expected[ROOM];
    for (size_t t = 0; t < 16; t++)
        for (size_t n = 0; n <= MOST; n++) {
            memset(to, 0xee, ROOM);
            memset(expected, 0xee, ROOM);
            memset(expected + t, 0, n);
            ut_racy_fill_zero(to + t, n);
            assert_memory_equal(to, expected, ROOM);
        }
}

static void large_copies_are_exact(void **state) {
    (void)state;
    unsigned char *from = malloc(BIG), *to = calloc(1, BIG);
    assert_non_null(from);
    assert_non_null(to);
    for (size_t i = 0; i < BIG; i++)
        from[i] = (unsigned char)(i * 2654435761u >> 13);
    ut_racy_copy(to, from, BIG);
    assert_memory_equal(to, from, BIG);
    ut_racy_fill_zero(to + 3, BIG - 5);
    for (size_t i = 3; i < BIG - 2; i++)
        assert_int_equal(to[i], 0);
    assert_int_equal(to[2], from[2]);
    assert_int_equal(to[BIG - 2], from[BIG - 2]);
    free(from);
    free(to);
}

static void no_bytes_may_be_nowhere(void **state) {
    (void)state;
    ut_racy_copy(NULL, NULL, 0);
    ut_racy_fill_zero(NULL, 0);
}

// The size is a constant here, so that the compiler inlines the copy and could be tempted to read
// the source again instead of the copy.
static void a_small_copy_is_not_read_again_from_its_source(void **state) {
    (void)state;
    uint64_t source = 5, copy;
    ut_racy_copy(&copy, &source, sizeof(copy));
    source = 6;
    assert_int_equal(copy, 5);
}

struct race {
    unsigned char bytes[4096];
    _Atomic uint32_t stop;
};

static void *keep_writing(void *argument) {
    struct race *race = argument;
    unsigned char pattern[sizeof(race->bytes)];
    for (unsigned i = 0; ut_load_relaxed(&race->stop) == 0; i++) {
        memset(pattern, (int)(i & 0xff), sizeof(pattern));
        ut_racy_copy(race->bytes, pattern, sizeof(pattern));
        ut_racy_copy(race->bytes + 3, pattern, 1 + i % 64);
        ut_racy_fill_zero(race->bytes + 5, 1 + i % 64);
    }
    return NULL;
}

static void racing_copies_are_not_reported(void **state) {
    (void)state;
    static struct race race;
    unsigned char seen[sizeof(race.bytes)];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keep_writing, &race), 0);
    for (size_t i = 0; i < 2000; i++) {
        ut_racy_copy(seen, race.bytes, sizeof(seen));
        ut_racy_copy(seen + 1, race.bytes + 2, 1 + i % 64);
    }
    ut_store_relaxed(&race.stop, 1u);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_every_alignment_and_size_are_exact),
        cmocka_unit_test(zeros_of_every_alignment_and_size_are_exact),
        cmocka_unit_test(large_copies_are_exact),
        cmocka_unit_test(no_bytes_may_be_nowhere),
        cmocka_unit_test(a_small_copy_is_not_read_again_from_its_source),
        cmocka_unit_test(racing_copies_are_not_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
