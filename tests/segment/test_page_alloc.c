// SPDX-License-Identifier: MIT
/*
 * The writer's allocator against an oracle that knows nothing of buddies or
 * bitmaps: a map of 64-byte units and a list of what is live.  The oracle says
 * of every request whether it must succeed (the arena is small enough for the
 * allocator to promise to find any room there is) and of every mark what it
 * must return.
 */
#include "segment/page_alloc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/child.h"
#include "support/must.h"
#include "support/rng.h"
#include "support/scale.h"

enum {
    UNITS = UT_ALLOC_PAGE / UT_ALLOC_GRANULE,
    START_PAGE = 13, /* as odd as a real segment's */
    ARENA_PAGES = 120,
    LIMIT_PAGE = START_PAGE + ARENA_PAGES,
    MAX_LIVE = ARENA_PAGES * UNITS,
};

#define PAGE ((uint64_t)UT_ALLOC_PAGE)
#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)

struct live {
    uint64_t offset, bytes;
};

struct world {
    ut_page_alloc *alloc;
    uint32_t end_page;
    uint32_t owner[LIMIT_PAGE * UNITS]; /* of each unit: index in live + 1, or 0 */
    struct live live[MAX_LIVE];
    unsigned lives;
};

/* ------------------------------------------------------------------------
 * The oracle
 */
static bool divides(uint64_t divisor, uint64_t n) {
    return n % divisor == 0;
}

static struct world *world_new(void) {
    struct world *w = calloc(1, sizeof *w);
    must(w != NULL);
    must_ok(ut_alloc_create(START_PAGE * PAGE, LIMIT_PAGE * PAGE, &w->alloc));
    w->end_page = START_PAGE;
    return w;
}

static void world_free(struct world *w) {
    ut_alloc_destroy(w->alloc);
    free(w);
}

static void world_extend(struct world *w, uint32_t pages) {
    uint32_t room = LIMIT_PAGE - w->end_page;
    w->end_page += pages < room ? pages : room;
    ut_alloc_extend(w->alloc, w->end_page * PAGE);
}

static bool units_are_free(const struct world *w, uint64_t offset, uint64_t rounded) {
    uint64_t first = offset / UT_ALLOC_GRANULE;
    for (uint64_t u = first; u < first + rounded / UT_ALLOC_GRANULE; u++)
        if (w->owner[u])
            return false;
    return true;
}

/* The rounded size of the slots in a page, PAGE for one that a run covers, 0 for a free one. */
static uint64_t page_holds(const struct world *w, uint64_t page) {
    for (uint64_t u = page * UNITS; u < (page + 1) * UNITS; u++)
        if (w->owner[u]) {
            uint64_t rounded = ut_alloc_rounded(w->live[w->owner[u] - 1].bytes);
            return rounded < PAGE ? rounded : PAGE;
        }
    return 0;
}

static bool has_free_slot(const struct world *w, uint64_t page, uint64_t size) {
    for (uint64_t offset = 0; offset + size <= PAGE; offset += size)
        if (units_are_free(w, page * PAGE + offset, size))
            return true;
    return false;
}

static bool has_room(const struct world *w, uint64_t bytes) {
    uint64_t size = ut_alloc_rounded(bytes), row = 0;
    for (uint64_t page = START_PAGE; page < w->end_page; page++) {
        uint64_t holds = page_holds(w, page);
        row = holds ? 0 : row + PAGE;
        if (row >= size || (size < PAGE && holds == size && has_free_slot(w, page, size)))
            return true;
    }
    return false;
}

static int expected_mark(const struct world *w, uint64_t offset, uint64_t bytes) {
    uint64_t size = ut_alloc_rounded(bytes);
    uint64_t page = offset / PAGE, in_page = offset % PAGE, end = w->end_page * PAGE;
    if (offset < START_PAGE * PAGE || offset >= end || size > end - offset)
        return -1;
    if (size >= PAGE ? in_page != 0 : in_page % size != 0 || in_page + size > PAGE)
        return -1;
    uint32_t owner = w->owner[offset / UT_ALLOC_GRANULE];
    if (owner && w->live[owner - 1].offset == offset &&
        ut_alloc_rounded(w->live[owner - 1].bytes) == size)
        return 0;
    if (!units_are_free(w, offset, size))
        return -1;
    if (size < PAGE) {
        uint64_t holds = page_holds(w, page);
        return holds == 0 || holds == size ? 1 : -1;
    }
    return 1;
}

static void own(struct world *w, uint64_t offset, uint64_t bytes, uint32_t owner) {
    uint64_t first = offset / UT_ALLOC_GRANULE;
    for (uint64_t u = 0; u < ut_alloc_rounded(bytes) / UT_ALLOC_GRANULE; u++)
        w->owner[first + u] = owner;
}

static void world_add(struct world *w, uint64_t offset, uint64_t bytes) {
    uint64_t size = ut_alloc_rounded(bytes);
    must(divides(size < PAGE ? UT_ALLOC_GRANULE : PAGE, offset), "misaligned");
    must(offset >= START_PAGE * PAGE && offset + size <= w->end_page * PAGE, "outside");
    must(units_are_free(w, offset, size), "handed out twice: %llu", (unsigned long long)offset);
    w->live[w->lives] = (struct live){offset, bytes};
    own(w, offset, bytes, ++w->lives);
}

static bool world_take(struct world *w, uint64_t bytes) {
    bool expected = has_room(w, bytes);
    uint64_t offset = ut_alloc_take(w->alloc, bytes);
    must((offset != 0) == expected, "%llu bytes: room %d, offset %llu", (unsigned long long)bytes,
         expected, (unsigned long long)offset);
    if (offset)
        world_add(w, offset, bytes);
    return offset != 0;
}

static void world_give(struct world *w, unsigned i) {
    struct live gone = w->live[i], last = w->live[w->lives - 1];
    ut_alloc_give(w->alloc, gone.offset, gone.bytes);
    own(w, gone.offset, gone.bytes, 0);
    if (i != --w->lives) {
        w->live[i] = last;
        own(w, last.offset, last.bytes, i + 1);
    }
}

static void world_give_all(struct world *w, struct test_rng *rng) {
    while (w->lives)
        world_give(w, (unsigned)rng_below(rng, w->lives));
}

static int world_mark(struct world *w, uint64_t offset, uint64_t bytes) {
    int expected = expected_mark(w, offset, bytes);
    int got = ut_alloc_mark(w->alloc, offset, bytes);
    must(got == expected, "mark(%llu, %llu): %d, wanted %d", (unsigned long long)offset,
         (unsigned long long)bytes, got, expected);
    if (got == 1)
        world_add(w, offset, bytes);
    return got;
}

static void world_check(const struct world *w) {
    uint64_t taken = 0;
    for (unsigned i = 0; i < w->lives; i++)
        taken += ut_alloc_rounded(w->live[i].bytes);
    must(ut_alloc_check(w->alloc));
    must(ut_alloc_end(w->alloc) == w->end_page * PAGE);
    must(ut_alloc_free_bytes(w->alloc) == (w->end_page - START_PAGE) * PAGE - taken);
}

static uint64_t random_bytes(struct test_rng *rng) {
    switch (rng_below(rng, 8)) {
    case 0:
        return rng_range(rng, 1, 128);
    case 1:
    case 2:
    case 3:
        return rng_range(rng, 1, 2100);
    case 4:
        return rng_range(rng, 2048, PAGE);
    case 5:
        return rng_range(rng, 1, 40) * PAGE;
    default:
        return rng_range(rng, PAGE, 6 * PAGE);
    }
}

static struct test_rng rng_for(uint64_t round) {
    return (struct test_rng){test_mix(test_seed() + round)};
}

/* Takes and gives, drifting between empty and full. */
static void churn(struct world *w, struct test_rng *rng, unsigned steps) {
    unsigned percent = 50;
    for (unsigned i = 0; i < steps; i++) {
        if (i % 64 == 0)
            percent = (unsigned)rng_range(rng, 20, 90);
        if (w->lives == 0 || (rng_chance(rng, percent) && w->lives < MAX_LIVE))
            world_take(w, random_bytes(rng));
        else
            world_give(w, (unsigned)rng_below(rng, w->lives));
        if (i % 16 == 0)
            world_check(w);
    }
    world_check(w);
}

/* ------------------------------------------------------------------------
 * Tests against the oracle
 */
static void random_takes_and_gives_agree_with_the_oracle(void **state) {
    (void)state;
    uint64_t rounds = test_count(200);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_rng rng = rng_for(round);
        struct world *w = world_new();
        must(ut_alloc_take(w->alloc, 1) == 0, "nothing is free before the first extension");
        while (w->end_page < LIMIT_PAGE) {
            world_extend(w, (uint32_t)rng_range(&rng, 1, 50));
            churn(w, &rng, 400);
        }
        world_give_all(w, &rng);
        world_check(w);
        world_free(w);
    }
}

/* What one allocator handed out is marked in another in random order, twice and
 * among marks that must be refused; then the second one goes on. */
static void marks_in_any_order_rebuild_the_books(void **state) {
    (void)state;
    uint64_t rounds = test_count(200);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_rng rng = rng_for(round + 1000);
        struct world *from = world_new(), *to = world_new();
        world_extend(from, ARENA_PAGES);
        world_extend(to, ARENA_PAGES);
        churn(from, &rng, (unsigned)rng_range(&rng, 50, 800));
        for (unsigned left = from->lives; left;) {
            unsigned i = (unsigned)rng_below(&rng, left--);
            struct live mark = from->live[i];
            from->live[i] = from->live[left];
            from->live[left] = mark;
            must(world_mark(to, mark.offset, mark.bytes) == 1);
            must(world_mark(to, mark.offset, mark.bytes) == 0);
        }
        world_check(to);
        must(from->lives == to->lives);
        churn(to, &rng, 400);
        for (unsigned i = 0; i < 400; i++) {
            uint64_t grain = rng_chance(&rng, 50) ? PAGE : UT_ALLOC_GRANULE;
            world_mark(to, rng_below(&rng, (LIMIT_PAGE + 2) * PAGE / grain) * grain,
                       random_bytes(&rng));
            if (to->lives && rng_chance(&rng, 60))
                world_give(to, (unsigned)rng_below(&rng, to->lives));
        }
        world_check(to);
        world_give_all(to, &rng);
        world_check(to);
        world_free(from);
        world_free(to);
    }
}

static void exhausted_space_recovers(void **state) {
    (void)state;
    static const uint64_t sizes[] = {
        1,    64,   65,       200,      300,       600,       1024,      1344,      2048,
        2049, PAGE, 3 * PAGE, 5 * PAGE, 16 * PAGE, 33 * PAGE, 60 * PAGE, 61 * PAGE, 120 * PAGE};
    struct test_rng rng = rng_for(2000);
    struct world *w = world_new();
    world_extend(w, ARENA_PAGES);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t size = ut_alloc_rounded(sizes[s]);
        uint64_t per_page = size < PAGE ? PAGE / size : 0;
        uint64_t fit = per_page ? per_page * ARENA_PAGES : ARENA_PAGES * PAGE / size;
        for (int again = 0; again < 2; again++) {
            while (world_take(w, sizes[s]))
                continue;
            must(w->lives == fit, "%llu bytes: %u fitted", (unsigned long long)size, w->lives);
            world_check(w);
            world_give(w, (unsigned)rng_below(&rng, w->lives));
            must(world_take(w, sizes[s]) && !world_take(w, sizes[s]));
            world_give_all(w, &rng);
            world_check(w);
        }
    }
    world_free(w);
}

/* ------------------------------------------------------------------------
 * Tests of single properties
 */
static void sizes_are_rounded_to_classes_and_pages(void **state) {
    (void)state;
    uint64_t previous = 0;
    for (uint64_t bytes = 0; bytes <= 3 * PAGE; bytes++) {
        uint64_t rounded = ut_alloc_rounded(bytes);
        must(rounded >= bytes && rounded >= 64 && divides(64, rounded) && rounded >= previous);
        must(ut_alloc_rounded(rounded) == rounded);
        must(bytes <= 2048 ? rounded <= 2048 : divides(PAGE, rounded));
        must(bytes == 0 || bytes > 2048 || rounded < bytes + bytes / 2 + 64, "wasteful");
        previous = rounded;
    }
    static const uint64_t exact[] = {64,  128, 192,  256,  320,  384,  512,
                                     640, 768, 1024, 1344, 2048, PAGE, MIB + PAGE};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        must(ut_alloc_rounded(exact[i]) == exact[i]);
    must(ut_alloc_rounded(UINT64_MAX) >= UINT64_MAX - PAGE);
    must(ut_alloc_rounded(UINT64_MAX - PAGE + 1) == UINT64_MAX - PAGE + 1);
}

static ut_page_alloc *arena(uint64_t start, uint64_t end) {
    ut_page_alloc *a = NULL;
    must_ok(ut_alloc_create(start, end, &a));
    ut_alloc_extend(a, end);
    return a;
}

static void absurd_requests_find_no_room(void **state) {
    (void)state;
    ut_page_alloc *a = arena(MIB, 2 * MIB);
    static const uint64_t sizes[] = {
        MIB + 1, TIB, UINT64_C(1) << 44, UINT64_C(1) << 63, UINT64_MAX - PAGE, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        must(ut_alloc_take(a, sizes[i]) == 0);
        must(ut_alloc_mark(a, MIB, sizes[i]) == -1);
        must(ut_alloc_mark(a, sizes[i] + MIB, PAGE) == -1);
    }
    must(ut_alloc_check(a) && ut_alloc_largest(a) == MIB);
    ut_alloc_destroy(a);

    ut_page_alloc *none = NULL;
    must_say(UNTORN_E_LIMIT, "16 TiB", ut_alloc_create(MIB, UINT64_C(1) << 44, &none));
    must(none == NULL);
    ut_alloc_destroy(NULL);
}

static void what_is_given_back_joins_into_one_block(void **state) {
    (void)state;
    struct test_rng rng = rng_for(3000);
    ut_page_alloc *a = arena(64 * MIB, 128 * MIB);
    must(ut_alloc_largest(a) == 64 * MIB);
    enum { N = 500 };
    struct live live[N];
    for (unsigned i = 0; i < N; i++) {
        live[i].bytes = random_bytes(&rng);
        live[i].offset = ut_alloc_take(a, live[i].bytes);
        must(live[i].offset != 0);
    }
    must(ut_alloc_check(a) && ut_alloc_largest(a) < 64 * MIB);
    for (unsigned left = N; left; left--) {
        unsigned i = (unsigned)rng_below(&rng, left);
        ut_alloc_give(a, live[i].offset, live[i].bytes);
        live[i] = live[left - 1];
    }
    must(ut_alloc_check(a) && ut_alloc_free_bytes(a) == 64 * MIB);
    /* The spare pages of the classes stand in the way only until they are needed. */
    must(ut_alloc_take(a, 64 * MIB) == 64 * MIB);
    ut_alloc_give(a, 64 * MIB, 64 * MIB);
    must(ut_alloc_largest(a) == 64 * MIB);
    ut_alloc_destroy(a);
}

static void a_run_occupies_exactly_its_pages(void **state) {
    (void)state;
    ut_page_alloc *a = arena(4 * MIB, 8 * MIB);
    uint64_t run = ut_alloc_take(a, MIB + PAGE);
    must(run != 0 && divides(PAGE, run));
    must(ut_alloc_free_bytes(a) == 3 * MIB - PAGE);
    for (uint64_t i = 0; i < 3 * MIB / PAGE - 1; i++)
        must(ut_alloc_take(a, PAGE) != 0);
    must(ut_alloc_take(a, 1) == 0 && ut_alloc_check(a));
    ut_alloc_destroy(a);
}

/* 20 MiB are cut from buddy blocks of 32 MiB, of which 256 MiB less a header hold
 * only 7; packed, and with holes found again, all 12 that there is room for fit. */
static void runs_of_odd_sizes_waste_nothing(void **state) {
    (void)state;
    struct test_rng rng = rng_for(5000);
    static const uint64_t sizes[] = {20 * MIB, MIB + PAGE, 400 * PAGE, 480 * PAGE, 65 * PAGE};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        ut_page_alloc *a = arena(START_PAGE * PAGE, 256 * MIB);
        enum { MOST = 1024 };
        uint64_t offset[MOST];
        uint64_t fit = (256 * MIB - START_PAGE * PAGE) / sizes[s], fitted = 0;
        while (fitted < MOST && (offset[fitted] = ut_alloc_take(a, sizes[s])))
            fitted++;
        must(fitted == fit, "%llu of %llu fitted", (unsigned long long)fitted,
             (unsigned long long)fit);
        for (unsigned i = 0; i < 3000; i++) {
            uint64_t j = rng_below(&rng, fitted);
            ut_alloc_give(a, offset[j], sizes[s]);
            offset[j] = ut_alloc_take(a, sizes[s]);
            must(offset[j] != 0);
        }
        must(ut_alloc_check(a));
        ut_alloc_destroy(a);
    }
}

static void extending_in_steps_is_extending_at_once(void **state) {
    (void)state;
    struct test_rng rng = rng_for(4000);
    ut_page_alloc *a = NULL;
    must_ok(ut_alloc_create(START_PAGE * PAGE, 64 * MIB, &a));
    for (uint64_t end = START_PAGE; end < 64 * MIB / PAGE;) {
        ut_alloc_extend(a, end * PAGE); /* by nothing, too */
        end += rng_range(&rng, 1, 700);
        end = end < 64 * MIB / PAGE ? end : 64 * MIB / PAGE;
        ut_alloc_extend(a, end * PAGE);
        must(ut_alloc_end(a) == end * PAGE);
        must(ut_alloc_free_bytes(a) == (end - START_PAGE) * PAGE && ut_alloc_check(a));
    }
    ut_page_alloc *once = arena(START_PAGE * PAGE, 64 * MIB);
    must(ut_alloc_largest(a) == 32 * MIB && ut_alloc_largest(once) == 32 * MIB);
    ut_alloc_destroy(a);
    ut_alloc_destroy(once);
}

static uint64_t resident_bytes(void) {
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long long total = 0, resident = 0;
    must(f != NULL);
    int fields = fscanf(f, "%llu %llu", &total, &resident);
    must(fields == 2);
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void a_terabyte_costs_what_is_used_of_it(void **state) {
    (void)state;
    uint64_t before = resident_bytes();
    ut_page_alloc *a = arena(START_PAGE * PAGE, TIB);
    uint64_t half = ut_alloc_take(a, TIB / 2 - PAGE);
    uint64_t quarter = ut_alloc_take(a, TIB / 4 + PAGE);
    must(half && quarter && ut_alloc_take(a, TIB / 2) == 0);
    must(ut_alloc_mark(a, half, TIB / 2 - PAGE) == 0);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t bytes = 1 + i % 5000;
        must(ut_alloc_take(a, bytes) != 0);
    }
    must(ut_alloc_check(a));
    must(resident_bytes() - before < 16 * MIB, "books of 6 GiB must stay virtual");
    ut_alloc_give(a, half, TIB / 2 - PAGE);
    ut_alloc_give(a, quarter, TIB / 4 + PAGE);
    must(ut_alloc_check(a) && ut_alloc_largest(a) >= TIB / 4);
    ut_alloc_destroy(a);
}

static void marks_that_conflict_are_refused(void **state) {
    (void)state;
    ut_page_alloc *a = NULL;
    must_ok(ut_alloc_create(16 * PAGE, 64 * PAGE, &a));
    must(ut_alloc_mark(a, 16 * PAGE, PAGE) == -1); /* not extended yet */
    ut_alloc_extend(a, 48 * PAGE);
    must(ut_alloc_mark(a, 17 * PAGE, 3 * PAGE) == 1);
    must(ut_alloc_mark(a, 17 * PAGE, 3 * PAGE - 1) == 0); /* the same when rounded */
    must(ut_alloc_mark(a, 17 * PAGE, 2 * PAGE) == -1);
    must(ut_alloc_mark(a, 17 * PAGE, 4 * PAGE) == -1);
    must(ut_alloc_mark(a, 18 * PAGE, PAGE) == -1);
    must(ut_alloc_mark(a, 18 * PAGE, 64) == -1);
    must(ut_alloc_mark(a, 16 * PAGE, 2 * PAGE) == -1);
    must(ut_alloc_mark(a, 20 * PAGE + 64, PAGE) == -1);
    must(ut_alloc_mark(a, 15 * PAGE, PAGE) == -1);
    must(ut_alloc_mark(a, 47 * PAGE, 2 * PAGE) == -1);
    must(ut_alloc_mark(a, 48 * PAGE, 64) == -1);
    must(ut_alloc_mark(a, 0, 64) == -1);

    must(ut_alloc_mark(a, 20 * PAGE + 2 * 192, 192) == 1);
    must(ut_alloc_mark(a, 20 * PAGE + 2 * 192, 130) == 0);
    must(ut_alloc_mark(a, 20 * PAGE + 2 * 192, 128) == -1); /* a page has one class */
    must(ut_alloc_mark(a, 20 * PAGE, 64) == -1);
    must(ut_alloc_mark(a, 20 * PAGE, PAGE) == -1);
    must(ut_alloc_mark(a, 20 * PAGE + 64, 192) == -1);       /* between slots */
    must(ut_alloc_mark(a, 20 * PAGE + 20 * 192, 192) == 1);  /* the last slot */
    must(ut_alloc_mark(a, 20 * PAGE + 21 * 192, 192) == -1); /* beyond it */
    must(ut_alloc_mark(a, 20 * PAGE + 1, 192) == -1);
    must(ut_alloc_check(a));

    /* What was marked is given like what was taken; an empty page refuses nothing. */
    ut_alloc_give(a, 20 * PAGE + 2 * 192, 192);
    ut_alloc_give(a, 20 * PAGE + 20 * 192, 192);
    must(ut_alloc_mark(a, 20 * PAGE + 64, 64) == 1);
    ut_alloc_give(a, 20 * PAGE + 64, 64);
    ut_alloc_give(a, 17 * PAGE, 3 * PAGE);
    must(ut_alloc_mark(a, 16 * PAGE, 32 * PAGE) == 1);
    must(ut_alloc_check(a) && ut_alloc_free_bytes(a) == 0);
    ut_alloc_destroy(a);
}

static void low_offsets_are_preferred(void **state) {
    (void)state;
    static const uint64_t sizes[] = {64, 1000, PAGE, 3 * PAGE, MIB};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        ut_page_alloc *a = arena(64 * MIB, 128 * MIB);
        uint64_t offset[20];
        for (unsigned i = 0; i < 20; i++) {
            offset[i] = ut_alloc_take(a, sizes[s]);
            must(i == 0 || offset[i] > offset[i - 1]);
        }
        /* Lower than the front of its list goes to the front. */
        ut_alloc_give(a, offset[16], sizes[s]);
        ut_alloc_give(a, offset[2], sizes[s]);
        must(ut_alloc_take(a, sizes[s]) == offset[2]);
        must(ut_alloc_take(a, sizes[s]) == offset[16]);
        ut_alloc_destroy(a);
    }
}

/* One empty page of slots is kept, so that the edge of a page costs nothing,
 * but not a second one. */
static void one_empty_page_of_slots_is_kept(void **state) {
    (void)state;
    ut_page_alloc *a = arena(16 * PAGE, 32 * PAGE);
    uint64_t slot[6];
    for (unsigned i = 0; i < 6; i++)
        slot[i] = ut_alloc_take(a, 2048);
    must(ut_alloc_largest(a) == 8 * PAGE);
    for (unsigned i = 0; i < 6; i++)
        ut_alloc_give(a, slot[i], 2048);
    must(ut_alloc_check(a) && ut_alloc_free_bytes(a) == 16 * PAGE);
    must(ut_alloc_largest(a) == 8 * PAGE);              /* the lowest page is the spare */
    must(ut_alloc_take(a, 15 * PAGE + 1) == 16 * PAGE); /* it goes when it is in the way */
    must(ut_alloc_check(a));
    ut_alloc_destroy(a);
}

/* ------------------------------------------------------------------------
 * Wrong gives abort
 */
struct wrong {
    const char *what;
    uint64_t offset, bytes; /* offset relative to the thing taken */
    int kind;               /* 0: a run of 3 pages, 1: a slot of 192 bytes */
    int again;              /* after the right give */
};

static int give_wrongly(void *argument, int report, int orders) {
    (void)report;
    (void)orders;
    const struct wrong *wrong = argument;
    if (!freopen("/dev/null", "w", stderr))
        return 1;
    ut_page_alloc *a = arena(16 * PAGE, 64 * PAGE);
    uint64_t bytes = wrong->kind ? 192 : 3 * PAGE;
    uint64_t keep = ut_alloc_take(a, bytes); /* so that the page of slots stays one */
    uint64_t offset = ut_alloc_take(a, bytes);
    if (wrong->again)
        ut_alloc_give(a, offset, bytes);
    ut_alloc_give(a, offset + wrong->offset, wrong->bytes);
    return keep ? 0 : 1;
}

static void wrong_gives_abort(void **state) {
    (void)state;
    static struct wrong wrongs[] = {
        {"run, twice", 0, 3 * PAGE, 0, 1},
        {"run, too short", 0, 2 * PAGE, 0, 0},
        {"run, too long", 0, 4 * PAGE, 0, 0},
        {"run, as a slot", 0, 192, 0, 0},
        {"run, inside", PAGE, PAGE, 0, 0},
        {"run, misaligned", 64, 3 * PAGE, 0, 0},
        {"run, outside", TIB, 3 * PAGE, 0, 0},
        {"slot, twice", 0, 192, 1, 1},
        {"slot, another class", 0, 256, 1, 0},
        {"slot, as a run", 0, PAGE, 1, 0},
        {"slot, misaligned", 64, 192, 1, 0},
        {"slot, never taken", 192, 192, 1, 0},
        {"slot, before the start", (uint64_t)-16 * PAGE, 192, 1, 0},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct test_child child = test_child_start(give_wrongly, &wrongs[i]);
        int status = test_child_wait(&child);
        must(status == 256 + SIGABRT, "%s: %d", wrongs[i].what, status);
    }
    /* The control: the right give does not. */
    struct wrong right = {"right", 0, 192, 1, 0};
    struct test_child child = test_child_start(give_wrongly, &right);
    test_child_finish(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_to_classes_and_pages),
        cmocka_unit_test(absurd_requests_find_no_room),
        cmocka_unit_test(what_is_given_back_joins_into_one_block),
        cmocka_unit_test(a_run_occupies_exactly_its_pages),
        cmocka_unit_test(runs_of_odd_sizes_waste_nothing),
        cmocka_unit_test(extending_in_steps_is_extending_at_once),
        cmocka_unit_test(a_terabyte_costs_what_is_used_of_it),
        cmocka_unit_test(marks_that_conflict_are_refused),
        cmocka_unit_test(low_offsets_are_preferred),
        cmocka_unit_test(one_empty_page_of_slots_is_kept),
        cmocka_unit_test(exhausted_space_recovers),
        cmocka_unit_test(random_takes_and_gives_agree_with_the_oracle),
        cmocka_unit_test(marks_in_any_order_rebuild_the_books),
        cmocka_unit_test(wrong_gives_abort),
    };
    return cmocka_run_group_tests_name("page_alloc", tests, NULL, NULL);
}
