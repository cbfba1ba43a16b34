// SPDX-License-Identifier: MIT
/*
 * The names in a segment: a linear hash table, so that one definition is found without reading all.
 *
 * A bucket is a text of pairs (hash, object) in a cell of the catalogue (segment/layout.h), and is
 * published with the definitions that it names.  There is a bucket for seven objects.  Their number
 * is therefore known from the catalogue's shape, and grows one by one: bucket n is split off from
 * bucket n - 2^k, the greatest power of two that is at most n, and no other changes.  A definition
 * that comes or goes changes one bucket, and every seventh that comes splits one.
 *
 * The pairs are as many as fill the text's slot, and those that are not used are zero.  So pairs
 * come and go within a slot that is the transaction's own without taking another.
 */
#ifndef UT_NAME_BUCKET_H
#define UT_NAME_BUCKET_H

#include "base/hash.h"
#include "segment/layout.h"

#include <stddef.h>
#include <string.h>

#define UT_MAX_BUCKET (UT_MAX_OBJECTS * sizeof(ut_name_pair) + UT_UNIT)

static inline uint32_t ut_name_hash(const char *name) {
    return (uint32_t)ut_hash(name, strlen(name));
}

/* The bucket of a hash among so many, at least 1: its low bits; where there is no such bucket yet,
 * the one that it will be split off from. */
static inline uint64_t ut_name_bucket(uint32_t hash, uint64_t buckets) {
    uint64_t power = 1;
    while (power < buckets)
        power *= 2;
    uint64_t bucket = hash & (power - 1);
    return bucket < buckets ? bucket : bucket - power / 2;
}

/* The bucket from which bucket `number`, at least 1, is split off. */
static inline uint64_t ut_name_bucket_parent(uint64_t number) {
    uint64_t power = 1;
    while (power <= number / 2)
        power *= 2;
    return number - power;
}

/* Of a bucket that has so many: how many pairs its text is made for. */
static inline size_t ut_name_bucket_capacity(size_t pairs) {
    size_t bytes = sizeof(ut_text) + pairs * sizeof(ut_name_pair);
    bytes = (bytes + UT_UNIT - 1) / UT_UNIT * UT_UNIT;
    return (bytes - sizeof(ut_text)) / sizeof(ut_name_pair);
}

#endif
