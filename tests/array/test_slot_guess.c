// SPDX-License-Identifier: MIT
/*
 * What a handle guesses of where chunks lie: right after a few chunks of an array that was written
 * in order, kept when some chunks were rewritten, silent where there is no order; and without any
 * say in what is read.
 */
#include "../support/must.h"
#include "../support/names.h"
#include "../support/rng.h"
#include "../support/scale.h"

#include "array/reader.h"
#include "segment/page_alloc.h"

#include <stdlib.h>

#define CHUNKS 5000u /* more than 32 * 32, so that the table is three levels deep */

static void the_order_is_learnt_and_kept(void **state) {
    (void)state;
    ut_slot_guess guess = {0};
    for (uint64_t i = 0; i <= UT_GUESS_SURPRISES; i++)
        ut_slot_guess_learn(&guess, i * 64, 8192 + i * 64);
    must(guess.first == 8192, "%llu", (unsigned long long)guess.first);
    ut_slot_guess_learn(&guess, 77 * 64, 8192 + 77 * 64);
    must(guess.surprises == 0, "%u surprises", guess.surprises);
    for (uint64_t i = 1; i < UT_GUESS_SURPRISES; i++)
        ut_slot_guess_learn(&guess, i * 64, 1u << 20);
    must(guess.first == 8192, "strays change the guess");
    ut_slot_guess_learn(&guess, 64, 8192 + 64);
    must(guess.surprises == 0, "%u surprises after a hit", guess.surprises);
    for (uint64_t i = 0; i < 100; i++)
        ut_slot_guess_learn(&guess, i * 64, (i * i % 97 + 3) * 4096);
    must(guess.surprises == UT_GUESS_SURPRISES, "fetches what is not there");
}

static void the_spacing_is_the_allocators(void **state) {
    (void)state;
    for (uint64_t bytes = 64; bytes <= 1u << 20; bytes *= 2)
        must(ut_slot_spacing(bytes) == ut_alloc_rounded(bytes), "%llu bytes",
             (unsigned long long)bytes);
    must(ut_slot_spacing(1) == 64 && ut_slot_spacing(65) == 128 && ut_slot_spacing(5000) == 8192,
         "rounding");
}

// Chunks of `elements` numbers that tell where they are; *guess: the handle's after reading some.
static void read_any(uint64_t elements, unsigned rewritten, ut_slot_guess *guess) {
    const char *segment = test_segment("slot-guess");
    untorn_writer_options options = UNTORN_WRITER_OPTIONS_INIT;
    options.size = 64u << 20;
    untorn_writer *writer;
    must_ok(untorn_writer_open(segment, &options, &writer));
    uint64_t shape = CHUNKS * elements;
    untorn_definition definition = UNTORN_DEFINITION_INIT;
    definition.dtype = "u8";
    definition.rank = 1;
    definition.shape = &shape;
    definition.chunks = &elements;
    untorn_writer_array *array;
    must_ok(untorn_require(writer, "a", &definition, &array));
    uint64_t *values = calloc(shape, sizeof *values);
    must(values != NULL, "out of memory");
    for (uint64_t i = 0; i < shape; i++)
        values[i] = i;
    must_ok(untorn_write(array, NULL, NULL, NULL, values));
    must_ok(untorn_commit(writer, NULL));
    struct test_rng rng = {.state = test_seed()};
    for (unsigned i = 0; i < rewritten; i++) {
        uint64_t from = rng_below(&rng, CHUNKS) * elements;
        must_ok(untorn_write(array, &from, &elements, NULL, values + from));
        must_ok(untorn_commit(writer, NULL));
    }
    untorn_reader *reader;
    untorn_array *view;
    must_ok(untorn_reader_open(segment, NULL, &reader));
    must_ok(untorn_array_open(reader, "a", &view));
    for (unsigned i = 0; i < 300; i++) {
        uint64_t count = 1 + rng_below(&rng, 2 * elements);
        uint64_t from = rng_below(&rng, shape - count);
        must_ok(untorn_read(view, &from, &count, values, count * sizeof *values, NULL));
        for (uint64_t k = 0; k < count; k++)
            must(values[k] == from + k, "element %llu is %llu", (unsigned long long)(from + k),
                 (unsigned long long)values[k]);
    }
    *guess = view->guess;
    free(values);
    untorn_reader_close(reader);
    untorn_writer_close(writer);
    must_ok(untorn_segment_remove(segment));
}

static void chunks_written_in_order_lie_in_order(void **state) {
    (void)state;
    ut_slot_guess guess;
    read_any(8, 0, &guess);
    must(guess.surprises == 0, "64 B: %u surprises", guess.surprises);
    read_any(64, 0, &guess);
    must(guess.surprises == 0, "512 B: %u surprises", guess.surprises);
}

static void what_is_read_does_not_depend_on_it(void **state) {
    (void)state;
    ut_slot_guess guess;
    read_any(8, 300, &guess);
    read_any(8, 2 * CHUNKS, &guess);
    read_any(24, 100, &guess); // slots of 192 bytes leave gaps in pages
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_learnt_and_kept),
        cmocka_unit_test(the_spacing_is_the_allocators),
        cmocka_unit_test(chunks_written_in_order_lie_in_order),
        cmocka_unit_test(what_is_read_does_not_depend_on_it),
    };
    return cmocka_run_group_tests_name("slot guess", tests, NULL, NULL);
}
