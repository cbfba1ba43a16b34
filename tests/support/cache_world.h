// SPDX-License-Identifier: MIT
/*
 * A small segment with a store behind it, and means to take from memory, at any moment, what the
 * store has.
 *
 * Files lie on the tmpfs of the segments, and nothing there is synced: these tests are about what
 * is read, not about what survives a power cut.
 */
#ifndef UT_TEST_CACHE_WORLD_H
#define UT_TEST_CACHE_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "array/writer.h"
#include "untorn.h"

struct cache {
    const char *segment;
    char store[512];
    untorn_writer_options options; // what cache_open() opens with
    untorn_writer *writer;
    untorn_reader *reader;
    uint64_t told; // notifications
};

// A new segment of `size` bytes and a new store, flushed on demand only; writer and reader open.
void cache_begin(struct cache *cache, const char *what, uint64_t size);
void cache_end(struct cache *cache);

// Open the writer (again).
void cache_open(struct cache *cache);

// End as a kill between two calls would: what is committed stays, nothing is flushed.  Both handles
// are gone and the segment has another name; cache->segment is it.
void cache_die(struct cache *cache);

// The commit of the newest store snapshot; 0: there is none.
uint64_t cache_stored_commit(const struct cache *cache);

// Close both, remove the segment, and begin again from the store.
void cache_restart(struct cache *cache);

// Take everything out of memory that is in the store as it is and that nothing pins.  Returns the
// number of commits that made.
uint64_t cache_evict(untorn_writer *writer);

// Flush, then evict.
void cache_flush_and_evict(struct cache *cache);

// How many chunks of the last commit are in memory.
uint64_t cache_resident(untorn_writer *writer, const char *array);

// An array of u4 whose chunks have `chunks` elements; defined, not committed.
untorn_writer_array *cache_define(struct cache *cache, const char *name, unsigned rank,
                                  const uint64_t *shape, const uint64_t *chunks, uint32_t fill);

// The path of the file of a chunk in the newest store snapshot; "" for the array's directory.  Ends
// up in a real file, no link is on the way.  Static storage.
const char *cache_file(const struct cache *cache, const char *array, const char *chunk);

// Whether the text of the thread's last failure has `part` in it.
int cache_said(const char *part);

#endif
