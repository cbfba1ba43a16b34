// SPDX-License-Identifier: MIT
// A set of byte strings: open addressing with linear probing, at most half full; the keys lie one
// after another in one piece of memory.
#include "store/key_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/status.h"

static untorn_status no_memory(void) {
    return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for a set of names");
}

/* The slot that has the key, or the empty one where it belongs. */
static size_t find_slot(const ut_key_set *set, uint64_t hash, const void *key, size_t n) {
    size_t slot = (size_t)hash & (set->slot_count - 1);
    for (; set->slots[slot] != 0; slot = (slot + 1) & (set->slot_count - 1)) {
        const ut_key *other = &set->keys[set->slots[slot] - 1];
        if (other->hash == hash && other->n == n && memcmp(set->bytes + other->offset, key, n) == 0)
            break;
    }
    return slot;
}

static bool grow_slots(ut_key_set *set) {
    size_t count = set->slot_count > 0 ? 2 * set->slot_count : 64;
    size_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < set->count; i++) {
        size_t slot = (size_t)set->keys[i].hash & (count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (count - 1);
        slots[slot] = i + 1;
    }
    free(set->slots);
    set->slots = slots;
    set->slot_count = count;
    return true;
}

static bool make_room(ut_key_set *set, size_t n) {
    if (2 * (set->count + 1) > set->slot_count && !grow_slots(set))
        return false;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? 2 * set->capacity : 32;
        ut_key *keys = realloc(set->keys, capacity * sizeof *keys);
        if (keys == NULL)
            return false;
        set->keys = keys;
        set->capacity = capacity;
    }
    if (set->room - set->used < n + 1) {
        size_t room = 2 * (set->used + n + 1);
        char *bytes = realloc(set->bytes, room);
        if (bytes == NULL)
            return false;
        set->bytes = bytes;
        set->room = room;
    }
    return true;
}

untorn_status ut_key_set_add(ut_key_set *set, const void *key, size_t n, bool *added) {
    if (added != NULL)
        *added = false;
    uint64_t hash = ut_hash(key, n);
    if (set->slot_count > 0 && set->slots[find_slot(set, hash, key, n)] != 0)
        return UNTORN_OK;
    if (!make_room(set, n))
        return no_memory();
    set->slots[find_slot(set, hash, key, n)] = set->count + 1;
    set->keys[set->count++] = (ut_key){hash, set->used, n, false};
    memcpy(set->bytes + set->used, key, n);
    set->bytes[set->used + n] = '\0';
    set->used += n + 1;
    if (added != NULL)
        *added = true;
    return UNTORN_OK;
}

ut_key *ut_key_set_find(const ut_key_set *set, const void *key, size_t n) {
    if (set->slot_count == 0)
        return NULL;
    size_t slot = find_slot(set, ut_hash(key, n), key, n);
    return set->slots[slot] != 0 ? &set->keys[set->slots[slot] - 1] : NULL;
}

const char *ut_key_set_bytes(const ut_key_set *set, size_t i) {
    return set->bytes + set->keys[i].offset;
}

void ut_key_set_free(ut_key_set *set) {
    free(set->keys);
    free(set->bytes);
    free(set->slots);
    *set = (ut_key_set)UT_KEY_SET_INIT;
}
