// SPDX-License-Identifier: MIT
/* Appending to an array that nobody reads; another process looks at all of it afterwards. */
#include "workload.h"

#include "support/pattern.h"

static const char *unable(const struct cell *cell) {
    return cell->peer->append ? NULL : cell->peer->unable.append;
}

static size_t room(const struct cell *cell) {
    return cell->layout.capacity;
}

static void begin(struct role *role) {
    role->cell->peer->append_begin();
    atomic_store(&role->stage->appended, 0);
}

/* No store to shared memory here: it would take as long as the shortest appends. */
static void append(struct role *role) {
    role->cell->peer->append(role->cell->layout.bytes);
}

static size_t until_renewal(const struct role *role) {
    const struct peer_layout *layout = &role->cell->layout;
    uint64_t now = atomic_load_explicit(&role->stage->appended, memory_order_relaxed);
    return (layout->capacity - (size_t)now) / layout->bytes;
}

static void renew(struct role *role, unsigned commits) {
    uint64_t now = atomic_load_explicit(&role->stage->appended, memory_order_relaxed);
    now += commits * role->cell->layout.bytes;
    atomic_store_explicit(&role->stage->appended, now, memory_order_relaxed);
    if (now == role->cell->layout.capacity)
        begin(role);
}

static uint64_t take(struct role *role, const void **data, int64_t deadline) {
    size_t bytes = role->cell->peer->appended(role->buffer);
    (void)data, (void)deadline;
    return bytes == atomic_load(&role->stage->appended);
}

static int whole(const struct role *role, const void *data) {
    size_t bytes = (size_t)atomic_load(&role->stage->appended);
    return bytes == 0 || (bench_pattern_round(data) == 1 && bench_pattern_whole(data, bytes));
}

const struct workload workload_append = {.name = "append",
                                         .kind = CELL_CALLS,
                                         .unable = unable,
                                         .room = room,
                                         .prepare = begin,
                                         .commit = append,
                                         .renew = renew,
                                         .until_renewal = until_renewal,
                                         .take = take,
                                         .whole = whole};
