// SPDX-License-Identifier: MIT
/*
 * Publishing a transaction.
 *
 *   1. everything that can fail: tables, ring slots, room in queues and record
 *   2. complete descriptors, in their ring slots
 *   3. the commit record
 *   4. store-release(prepared, T + 1)
 *   5. store-release(generation, ...) for each object
 *   6. store-release(commit, T + 1)              <- here it becomes visible, all at once
 *   7. published words, fence(seq_cst), wake words of who waits, wake
 *   8. grant what was requested; oldest of deleted objects
 *
 * A reader that meets a generation whose commit is above the commit counter
 * takes the generation before.  If the writer dies before 4, nothing of the
 * transaction is reachable: generations are as they were, and stamps above them
 * are ignored.  If it dies between 4 and 6, the next writer replays exactly the
 * record: it holds absolute generations, so doing it twice does no harm, and it
 * names the objects, so descriptors of transactions that died or were aborted
 * earlier are not revived.
 */
#include "segment/publisher.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/test_hooks.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IDLE_WAKES                                                                                 \
    1000u /* wakes in a row that woke nobody, after which waiters are counted anew                 \
           */

static ut_record *record_of(ut_segment *segment) {
    return (ut_record *)(segment->base + UT_RECORD_OFFSET);
}

static uint64_t record_check(const ut_record *record, const ut_record_entry *entries) {
    return ut_hash(entries, record->count * sizeof *entries) ^ record->commit ^
           record->count * UINT64_C(0x9e3779b97f4a7c15);
}

/* --- waking --- */

static long wake(_Atomic uint32_t *word) {
    return syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Release: who loads the new word finds what was committed before. */
static long count_up_and_wake(_Atomic uint32_t *word) {
    if (!UT_SEEDED(126))
        ut_fetch_add_release(word, 1);
    return wake(word);
}

static long wake_object(ut_publisher *publisher, ut_object *object) {
    return object->index < UT_WAKE_WORDS
               ? count_up_and_wake(&publisher->segment->control->array_wakes[object->index])
               : wake(&object->header->published);
}

void ut_publish_wake_all(ut_publisher *publisher) {
    for (uint32_t i = 0; i < publisher->object_count; i++)
        wake_object(publisher, publisher->objects[i]);
    count_up_and_wake(&publisher->segment->control->segment_wakes);
}

/* Step 7, the second half. */
static void wake_waiters(ut_publisher *publisher, ut_object *const *objects, size_t count) {
    ut_control *control = publisher->segment->control;
    /* Pairs with the waiter's fence between adding itself to a count and looking for what it
     * waits for: either it finds it, or we see it waiting.  Without it a wake-up is lost. */
    ut_fence_seq_cst();
    uint32_t arrays = ut_load_relaxed(&control->array_waiters);
    uint32_t segment = ut_load_relaxed(&control->segment_waiters);
    if (((arrays | segment) & UT_WAITERS) == 0)
        return;
    long woken = 0;
    if ((arrays & UT_WAITERS) != 0)
        for (size_t i = 0; i < count; i++)
            woken += wake_object(publisher, objects[i]);
    if ((segment & UT_WAITERS) != 0)
        woken += count_up_and_wake(&publisher->segment->control->segment_wakes);
    publisher->idle_wakes = woken > 0 ? 0 : publisher->idle_wakes + 1;
    if (publisher->idle_wakes >= IDLE_WAKES) {
        publisher->idle_wakes = 0;
        ut_grants_count_waiters(publisher);
    }
}

/* --- step 1 --- */

static untorn_status prepare(ut_publisher *publisher, ut_object *object) {
    untorn_status status = UNTORN_OK;
    if (!object->table_built)
        status = ut_table_update(publisher, object);
    if (status != UNTORN_OK)
        return status;
    status = ut_ring_prepare(publisher, object);
    if (status == UNTORN_OK)
        status = ut_space_reserve_queue(object, object->dropped.count + object->nodes.count);
    if (status != UNTORN_OK)
        ut_table_undo(publisher, object);
    return status;
}

/* Entries of the record: inline, or in a piece of the heap for large transactions. */
static untorn_status record_list(ut_publisher *publisher, size_t count, uint64_t *offset) {
    *offset = 0;
    return count <= UT_RECORD_INLINE
               ? UNTORN_OK
               : ut_space_take(publisher, NULL, count * sizeof(ut_record_entry), offset);
}

/* --- steps 2 and 3 --- */

static void fill_descriptors(ut_publisher *publisher, ut_object *const *objects, size_t count) {
    int64_t now = ut_clock_wall();
    for (size_t i = 0; i < count; i++) {
        ut_object *object = objects[i];
        uint64_t generation = object->generation + 1;
        ut_descriptor *next = &object->next;
        next->commit = publisher->commit + 1;
        if (object->data_changed)
            next->data_commit = next->commit;
        if (!object->evicting)
            next->changed = generation;
        next->time = now;
        next->root_ref = object->root.ref;
        next->root_version = object->root.version;
        next->kind = ut_kind_make((unsigned)(next->kind & (UT_KIND_MASK | UT_KIND_DELETED)),
                                  ut_kind_rank(next->kind), object->root_depth);
        ut_descriptor_slot *slot = &object->ring[generation & (object->ring_entries - 1)];
        if (UT_SEEDED(101))
            ut_descriptor_fill(slot, next, generation);
        else
            ut_descriptor_store(slot, next, generation);
        UT_STEP("descriptor filled");
    }
}

static void fill_record(ut_publisher *publisher, ut_object *const *objects, size_t count,
                        uint64_t list) {
    ut_record *record = record_of(publisher->segment);
    ut_record_entry *entries =
        list != 0 ? (ut_record_entry *)(publisher->segment->base + list) : record->entries;
    /* The last commit's store must not be passed by these: else the record of a transaction
     * that is still to be finished would be overwritten. */
    ut_fence_release();
    for (size_t i = 0; i < count; i++)
        entries[i] = (ut_record_entry){objects[i]->index, objects[i]->generation + 1};
    record->commit = publisher->commit + 1;
    record->count = count;
    record->list = list;
    record->check = record_check(record, entries);
}

/* --- step 5 --- */

#define NODE_BYTES_AHEAD 256u /* of a node any cell may be wanted */

/* A whole chunk, but for one line of 64: what the line's number has room for. */
static uint64_t root_hint(const ut_object *object) {
    uint64_t offset = ut_ref_offset(object->root.ref);
    uint64_t bytes = object->root_depth == 0 ? object->next.slot_bytes : NODE_BYTES_AHEAD;
    uint64_t lines = (bytes + UT_UNIT - 1) / UT_UNIT;
    return offset == 0 ? 0 : offset | (lines < UT_UNIT ? lines : UT_UNIT - 1);
}

/* --- after step 6 --- */

static void settle(ut_publisher *publisher, ut_object *object) {
    if (object->now.stamp == 0)
        object->cut = object->next.data_commit;
    else if (object->keep < object->now.cells)
        object->cut = object->next.commit;
    ut_descriptor_copy(&object->now, &object->next);
    object->now.stamp = object->generation;
    object->ring_commits[object->generation & (object->ring_entries - 1)] = object->next.commit;
    if (object->dropped.count != 0)
        ut_space_supersede_all(publisher, object, &object->dropped, object->next.commit);
    if (object->nodes.count != 0)
        ut_space_supersede_all(publisher, object, &object->nodes, object->next.commit);
    ut_space_list(publisher, object);
    ut_object_clear_transaction(object);
}

/* A deleted object's generations all go at once. */
static void close_window(ut_publisher *publisher, ut_object *object) {
    if (!(object->next.kind & UT_KIND_DELETED) || object->oldest == object->generation)
        return;
    /* A reader that asked for a pin before it saw this commit counts on the window until it is
     * granted, and nothing but a deletion closes it over a newest generation.  The fence in
     * wake_waiters() stands between the commit and this look. */
    if (!UT_SEEDED(121) && !UT_SEEDED(105))
        ut_grants_look(publisher);
    ut_store_release(&object->header->oldest, object->generation);
    /* THE RULE, as in ut_space_raise(): what the object held may be reused from here on. */
    ut_fence_release();
    ut_store_fence();
    object->oldest = object->generation;
}

untorn_status ut_publish(ut_publisher *publisher, ut_object *const *objects, size_t count) {
    ut_superblock *super = publisher->segment->super;
    if (!UT_SEEDED(105))
        ut_grants_look(publisher); /* before ring slots are reused */
    UT_STEP("commit begins");
    uint64_t list = 0;
    size_t prepared = 0;
    untorn_status status = UNTORN_OK;
    publisher->publishing = true; /* an eviction would take the number that is used below */
    while (prepared < count && status == UNTORN_OK) {
        status = prepare(publisher, objects[prepared]);
        prepared += status == UNTORN_OK;
    }
    if (status == UNTORN_OK)
        status = record_list(publisher, count, &list);
    publisher->publishing = false;
    if (status != UNTORN_OK)
        goto undo_prepared;
    UT_STEP("tables built");

    uint64_t commit = publisher->commit + 1;
    if (UT_SEEDED(109)) /* publish before completing */
        for (size_t i = 0; i < count; i++)
            ut_store_release(&objects[i]->header->generation, objects[i]->generation + 1);
    if (UT_SEEDED(110))
        ut_store_release(&super->commit, commit);
    fill_descriptors(publisher, objects, count);
    fill_record(publisher, objects, count, list);
    /* Streaming stores of large fills stay behind nothing else: see ut_store_fence(). */
    ut_store_fence();
    UT_STEP("record filled");
    /* From here on the next writer would finish this transaction. */
    ut_store_release(&super->prepared, commit);
    UT_STEP("prepared");
    for (size_t i = 0; i < count; i++) {
        ut_store_relaxed(&objects[i]->header->root_hint, root_hint(objects[i]));
        /* Pairs with the reader's acquire: the descriptor and all it leads to are seen. */
        ut_store_release(&objects[i]->header->generation, ++objects[i]->generation);
        UT_STEP("generation stored");
    }
    /* Pairs with the reader's acquire: who sees the commit sees every object's generation. */
    ut_store_release(&super->commit, commit);
    UT_STEP("committed");
    publisher->commit = commit;
    for (size_t i = 0; i < count; i++) {
        ut_object *object = objects[i];
        if (UT_SEEDED(121))
            close_window(publisher, object);
        /* After commit: who is woken by it finds what it waits for.  Stored before, a waiter
         * could load the new word, not find the data, and sleep through the commit. */
        ut_store_release(&object->header->published, (uint32_t)object->generation);
    }
    ut_store_release(&super->published, (uint32_t)commit);
    wake_waiters(publisher, objects, count);
    UT_STEP("woken");
    for (size_t i = 0; i < count; i++) {
        close_window(publisher, objects[i]);
        settle(publisher, objects[i]);
    }
    ut_space_age(publisher);
    if (list != 0)
        ut_space_give(publisher, list, count * sizeof(ut_record_entry));
    return UNTORN_OK;

undo_prepared:
    while (prepared-- > 0)
        ut_table_undo(publisher, objects[prepared]);
    return status;
}

/* --- taking over --- */

static untorn_status damaged(ut_segment *segment, const char *what) {
    return ut_fail(UNTORN_E_CORRUPT, "%s: damaged: %s", segment->message_name, what);
}

/* What replaying was once meant to do: whatever is complete and has the number. */
static void revive(ut_segment *segment, uint64_t commit) {
    for (uint64_t i = 0; i < ut_load_relaxed(&segment->super->objects); i++) {
        ut_header *header = ut_segment_header(segment, i);
        uint64_t next = ut_load_relaxed(&header->generation) + 1;
        ut_descriptor descriptor;
        if (ut_descriptor_of_generation(segment, header, next, &descriptor) == UT_FOUND &&
            descriptor.commit == commit)
            ut_store_relaxed(&header->generation, next);
    }
}

untorn_status ut_publish_replay(ut_segment *segment) {
    ut_superblock *super = segment->super;
    uint64_t commit = ut_load_acquire(&super->commit);
    uint64_t prepared = ut_load_acquire(&super->prepared);
    if (commit == 0)
        return damaged(segment, "the commit counter is 0");
    if (prepared == commit)
        return UNTORN_OK; /* nothing of a broken transaction was ever reachable */
    if (prepared != commit + 1)
        return damaged(segment, "prepared is neither commit nor commit + 1");
    const ut_record *record = record_of(segment);
    const ut_record_entry *entries = record->entries;
    if (record->list != 0) {
        if (record->list % UT_UNIT != 0 || record->count > UT_MAX_OBJECTS)
            return damaged(segment, "commit record");
        entries = ut_at(segment, record->list, record->count * sizeof *entries);
    } else if (record->count > UT_RECORD_INLINE) {
        return damaged(segment, "commit record");
    }
    if (entries == NULL || record->commit != prepared ||
        record->check != record_check(record, entries))
        return damaged(segment, "commit record (checksum)");
    for (uint64_t i = 0; i < record->count; i++) {
        ut_header *header = ut_segment_header(segment, entries[i].object);
        if (header == NULL)
            return damaged(segment, "commit record (object)");
        uint64_t generation = ut_load_relaxed(&header->generation);
        if (generation != entries[i].generation && generation + 1 != entries[i].generation)
            return damaged(segment, "commit record (generation)");
    }
    if (UT_SEEDED(136))
        revive(segment, prepared);
    for (uint64_t i = 0; i < record->count; i++)
        ut_store_release(&ut_segment_header(segment, entries[i].object)->generation,
                         entries[i].generation);
    ut_store_release(&super->commit, prepared);
    return UNTORN_OK;
}
