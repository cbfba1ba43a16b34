// SPDX-License-Identifier: MIT
/*
 * How the peer untorn keeps an array, and how many places its writer goes round.
 *
 * A writer of untorn never writes where readers of the last versions may be, so
 * an array that is rewritten takes turns with the memory of several copies: as
 * many as it keeps versions and one more, or, if they are small, as many as fit
 * what the segment spares for them.  How many is not reckoned here but looked at:
 * the memory that untorn_chunk_begin() hands out for the first chunk, commit by
 * commit, until there is nothing new.
 */
#ifndef BENCH_UNTORN_ARRAY_H
#define BENCH_UNTORN_ARRAY_H

#include "flat.h"
#include "support/scratch.h"
#include "support/segment.h"

#define UNTORN_ARRAY_VERSIONS 4
#define UNTORN_PLACES 1024 /* the last that are remembered */

struct untorn_places {
    const void *last[UNTORN_PLACES];
    uint64_t count; /* of all */
};

/* Nothing but a store, since it is part of what is measured. */
static inline void untorn_places_add(struct untorn_places *places, const void *place) {
    places->last[places->count++ % UNTORN_PLACES] = place;
}

/* How many different ones there are among the last. */
static inline unsigned untorn_places_different(const struct untorn_places *places) {
    uint64_t count = places->count < UNTORN_PLACES ? places->count : UNTORN_PLACES;
    unsigned different = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t before = 0;
        while (before < i && places->last[before] != places->last[i])
            before++;
        different += before == i;
    }
    return different;
}

/* All versions, and whatever every reader may hold on to; it is an upper bound, taken as needed. */
static inline uint64_t untorn_array_segment_bytes(const struct peer_layout *layout) {
    uint64_t all = flat_bytes(layout), free_bytes, files;
    uint64_t wanted =
        all * (8 + 2 * layout->readers) + (layout->arrays + 16) * ((uint64_t)64 << 10);
    bench_room(BENCH_TMPFS, &free_bytes, &files);
    return wanted < free_bytes / 2 ? wanted : free_bytes / 2;
}

static inline untorn_writer *untorn_array_writer(const char *segment,
                                                 const struct peer_layout *layout) {
    return bench_writer(segment, untorn_array_segment_bytes(layout), UNTORN_ARRAY_VERSIONS);
}

static inline untorn_writer_array *untorn_array_define(untorn_writer *writer, const char *name,
                                                       const struct peer_layout *layout) {
    return bench_define(writer, name, "u8", layout->capacity ? 0 : layout->bytes / 8,
                        layout->chunk / 8);
}

/* A commit of the whole array, with whatever lies in its memory; where its first chunk is. */
static inline const void *untorn_array_turn(untorn_writer *writer, untorn_writer_array *array,
                                            const struct peer_layout *layout) {
    const void *first = NULL;
    for (uint64_t c = 0; c * layout->chunk < layout->bytes; c++) {
        void *memory;
        BENCH_MUST(untorn_chunk_begin(array, &c, 0, &memory));
        BENCH_MUST(untorn_chunk_done(array, &c));
        first = c == 0 ? memory : first;
    }
    BENCH_MUST(untorn_commit(writer, NULL));
    return first;
}

/* How many copies of one array of this layout a writer goes round.  Twice as many commits as there
 * are places, and some more, have shown all of them. */
static inline unsigned untorn_array_copies(const struct peer_layout *layout) {
    static struct untorn_places places;
    const char *segment = bench_segment_name("copies");
    untorn_writer *writer = untorn_array_writer(segment, layout);
    untorn_writer_array *array = untorn_array_define(writer, "array", layout);
    unsigned different = 0;
    do {
        untorn_places_add(&places, untorn_array_turn(writer, array, layout));
        if (places.count % 4 == 0)
            different = untorn_places_different(&places);
    } while (places.count < 2 * different + 8 && places.count < UNTORN_PLACES);
    untorn_writer_close(writer);
    bench_segment_remove(segment);
    return different;
}

#endif
