// SPDX-License-Identifier: MIT
/*
 * The writer's half of a segment: its private books, and what it may do to the
 * shared words.
 *
 * THE RULE.  What generations below s could reach is reused only after
 *
 *     store-release(oldest, s); fence(release); store fence
 *
 * A reader that saw one reused byte and then fences sees an oldest above its own
 * generation.  That is the whole correctness argument of copying; everything
 * else decides when this may be done, and to what.
 *
 * A superseded item (a chunk's slot, a node, a text) was reachable from commit
 * `born` to before commit `commit`; from generation `generation` on it is not.
 * It waits in its object's queue, and may be taken
 *   - once oldest >= generation, which the writer raises: to newest generation - versions + 1
 *     at will, and to the newest itself if it evicts or nothing else helps (see space.c);
 *   - and unless a pin stands on a commit in [born, commit): then it is held.
 * `reach` is the highest `commit` of anything taken so far, ring slots included:
 * everything live at a commit >= reach is still there, so that commit can be pinned.
 */
#ifndef UT_PUBLISHER_H
#define UT_PUBLISHER_H

#include "segment/cell_table.h"
#include "segment/page_alloc.h"

/* Something superseded. */
typedef struct ut_item {
    uint64_t offset;
    uint64_t bytes;
    uint64_t born;       /* the commit that wrote it */
    uint64_t commit;     /* the first that does not reach it */
    uint64_t generation; /* the object's first that does not reach it */
} ut_item;

/* A growing list. */
typedef struct ut_items {
    ut_item *list;
    size_t count, capacity;
} ut_items;
untorn_status ut_items_grow(ut_items *items, size_t more);
static inline untorn_status ut_items_reserve(ut_items *items, size_t more) {
    return items->capacity - items->count >= more ? UNTORN_OK : ut_items_grow(items, more);
}
untorn_status ut_items_push(ut_items *items, ut_item item);

/* What a transaction does to one chunk's cell. */
typedef struct ut_change {
    uint64_t number;  /* the chunk's */
    uint64_t offset;  /* 0: absent */
    uint64_t flags;   /* of the reference */
    uint64_t version; /* 0: taken in this transaction, gets the commit's number */
} ut_change;

/* A map from chunk number to change. */
typedef struct ut_changes {
    ut_change *list;
    size_t count, capacity;
    uint32_t *index; /* open addressing over list; built above a few entries */
    size_t index_size;
} ut_changes;
ut_change *ut_changes_search(const ut_changes *changes, uint64_t number);
/* Most often the first chunk of its transaction is asked for. */
static inline ut_change *ut_changes_find(const ut_changes *changes, uint64_t number) {
    return changes->count == 0 ? NULL : ut_changes_search(changes, number);
}
/* Find or add (zeroed but for its number). NULL: out of memory. */
ut_change *ut_changes_put_any(ut_changes *changes, uint64_t number);
static inline ut_change *ut_changes_put(ut_changes *changes, uint64_t number) {
    if (changes->count != 0 || changes->capacity == 0)
        return ut_changes_put_any(changes, number);
    changes->list[0] = (ut_change){.number = number};
    changes->count = 1;
    return &changes->list[0];
}
void ut_changes_sort(ut_changes *changes);
void ut_changes_clear(ut_changes *changes);
void ut_changes_free(ut_changes *changes);

typedef struct ut_retained {
    ut_descriptor_slot *slot;
    uint64_t commit, until; /* needed by pins in between; until 0: free */
} ut_retained;

typedef struct ut_object {
    uint32_t index; /* of the header */
    ut_header *header;
    ut_descriptor now; /* the last published; stamp 0: none since the header is this object's */
    uint64_t cut;      /* no commit since took cells away or gave them other numbers */

    /* mirrors of the shared words */
    uint64_t generation; /* of the header; goes on where a deleted object's ended */
    uint64_t oldest;
    ut_descriptor_slot *ring;
    uint64_t ring_entries;
    uint64_t ring_commits[UT_RING_LARGE];
    ut_retained *retained;
    size_t retained_count, retained_capacity;

    /* superseded items, first in first out */
    ut_item *queue;
    size_t queue_head, queue_count, queue_capacity;
    uint64_t queue_bytes;
    struct ut_object *reclaim_previous, *reclaim_next; /* in publisher.reclaim, if listed */
    bool reclaim_listed;

    /* the open transaction's part */
    bool touched;
    ut_descriptor
        next;      /* uid, kind, shape, cells, slot_bytes, attributes; publishing sets the rest */
    uint64_t keep; /* leading cells of now's table that still mean the same */
    bool data_changed;
    ut_changes changes;
    ut_items dropped; /* what now reaches and next does not: chunks, texts */
    ut_items nodes;   /* nodes that next does not reach; built while publishing */
    ut_items fresh;   /* nodes taken while publishing, to give back if it fails */
    ut_place root;    /* of next's table; built while publishing */
    unsigned root_depth;
    bool table_built; /* root and root_depth are set, and nodes and fresh, before publishing */
    bool reusing;     /* the last chunk was taken from the queue, or could have been */
    bool busy;        /* a call is changing it: nothing of it may be evicted now */
    bool evicting;    /* what is published changes nothing but where chunks are */
} ut_object;

/*
 * The layer above, which knows the store.
 *
 * evict   clean chunks gave up at least some slots: look again.  False: there was nothing to do.
 * wait    no flush pins anything now, or one more ended: look again.  False: none can help any
 *         more, and the message says why.
 * end     after `wait` was called: room was found, or not.
 * dirty   bytes of chunks that were committed and are not in the store as they are.  May set the
 *         message.
 * next    of a subtree that is only in the store: the first present chunk in [first, end) and its
 *         version; *version 0: there is none.
 */
typedef struct ut_relief {
    void *context;
    bool pinned; /* evict() passed over something that could go but for readers' pins */
    bool (*evict)(void *context, uint64_t bytes);
    bool (*wait)(void *context);
    void (*end)(void *context);
    uint64_t (*dirty)(void *context);
    untorn_status (*next)(void *context, const ut_object *object, ut_place place, uint64_t first,
                          uint64_t end, uint64_t *number, uint64_t *version);
} ut_relief;

typedef struct ut_grants {
    uint64_t posted; /* control.posted as last seen */
    unsigned standing;
    uint64_t lines[UT_LINES / 64]; /* on which pins stand, a bit each */
    uint64_t nonce[UT_LINES];      /* 0: none stands; mirrors acks */
    uint64_t commit[UT_LINES];
    int64_t granted[UT_LINES];
    uint64_t lowest, highest; /* of the standing pins' commits */
    /* Shared with the thread that deletes store snapshots: see pinned.c. */
    _Atomic uint64_t floor;   /* what lower commits need the store may lack */
    _Atomic uint64_t changes; /* odd while the others change */
} ut_grants;

/* The nodes of an object's newest table that lead to a chunk's cell, from the root to the leaf, and
 * which cell of each leads on. */
typedef struct ut_path_step {
    ut_node *node;
    ut_place place; /* the node's own */
    unsigned index;
} ut_path_step;
typedef struct ut_path {
    const ut_object *object; /* NULL: there is none */
    uint64_t number;         /* of the chunk */
    ut_place root;
    unsigned depth;
    ut_path_step steps[UT_MAX_DEPTH];
} ut_path;

typedef struct ut_publisher {
    ut_segment *segment;
    ut_page_alloc *alloc;
    uint64_t commit;
    uint64_t reach;
    unsigned versions;
    uint64_t step;       /* the file grows to multiples of it; a power of two */
    uint64_t untouched;  /* from here on nobody used the file since it grew; 0: it did not grow,
                            UINT64_MAX: it does not matter */
    bool small_pages;    /* the kernel gives no huge ones */
    int grow_error;      /* errno of the last try to have it grow; 0: none failed */
    uint64_t budget;     /* superseded bytes an object keeps beyond its versions */
    uint64_t aged;       /* what was superseded by this commit or an earlier one has had time */
    uint64_t age_begin;  /* the next value of `aged`, */
    uint64_t age_bytes;  /* once this much was superseded since */
    uint64_t ring_bytes; /* in large rings */
    ut_object **objects; /* by header index */
    uint32_t object_count, object_capacity;
    uint32_t *free_list;                     /* indices of objects that are free */
    uint32_t free_count, free_capacity;      /* capacity >= object_count */
    ut_object *reclaim_first, *reclaim_last; /* whose queue may have something to give */
    ut_grants grants;
    const ut_relief *relief;   /* NULL: there is no store */
    bool publishing;           /* nothing may be evicted now */
    bool pressing;             /* readers' pins do not keep chunks from being evicted */
    bool evicted;              /* the segment was found with chunks that are only in the store */
    uint64_t eviction_reserve; /* the first of the pages for evictions' nodes, each of which begins
                                  with the next one's offset; 0: there is none */
    unsigned eviction_pages;   /* how many */
    ut_path path;              /* the last that was looked for */
    ut_items held;             /* taken out of their queues, but a pin stands on them */
    unsigned idle_wakes;
} ut_publisher;

/* --- grants.c: pins --- */

/* Grant what was requested and end what was released.  Call before raising a
 * window or reusing a ring slot.  One load if nothing was posted. */
void ut_grants_scan(ut_publisher *publisher);
static inline void ut_grants_look(ut_publisher *publisher) {
    /* Acquire: pairs with the reader's release after it wrote its line.  A request that is
     * missed here is seen at the next look; the reader fails once more at most. */
    if (ut_load_acquire(&publisher->segment->control->posted) != publisher->grants.posted)
        ut_grants_scan(publisher);
}
/* Whether a pin stands on a commit in [born, until). */
bool ut_grants_need(const ut_grants *grants, uint64_t born, uint64_t until);
/* End one pin: of a dead reader, else past its lease, else the newest.  False: there is none. */
bool ut_grants_revoke(ut_publisher *publisher);
/* Count the sleeping readers from their lines: the counts are hints that die with readers. */
void ut_grants_count_waiters(ut_publisher *publisher);
/* The lowest commit that a pin stands on, or that may still get one: what it needs of the store
 * must stay.  From then on no other pin is granted below `floor`.  For another thread of the
 * writer's process. */
uint64_t ut_grants_needed(ut_publisher *publisher, uint64_t floor);
/* Take up the acks of the last writer; end those of dead readers; grant what waits. */
void ut_grants_adopt(ut_publisher *publisher);

/* --- space.c --- */

/* `bytes` bytes for `object` that nothing reaches from any window or pin.
 * UNTORN_E_NO_SPACE (message set). */
untorn_status ut_space_take(ut_publisher *publisher, ut_object *object, uint64_t bytes,
                            uint64_t *offset);
/* Free memory only: nothing is reclaimed, evicted or waited for.  0: there is none. */
uint64_t ut_space_take_free(ut_publisher *publisher, uint64_t bytes);
/* Or what was superseded, too. */
uint64_t ut_space_take_reclaimed(ut_publisher *publisher, uint64_t bytes);
/* Whatever may make room for a commit that found none: evict, end a pin, wait for a flush.  False:
 * nothing did. */
bool ut_space_relieve(ut_publisher *publisher, uint64_t bytes);
/* Give back what no published generation ever reached. */
void ut_space_give(ut_publisher *publisher, uint64_t offset, uint64_t bytes);
/* Queue what the object's newest generation does not reach any more. */
untorn_status ut_space_grow_queue(ut_object *object, size_t more);
static inline untorn_status ut_space_reserve_queue(ut_object *object, size_t more) {
    return object->queue_capacity - object->queue_count >= more ? UNTORN_OK
                                                                : ut_space_grow_queue(object, more);
}
void ut_space_supersede(ut_publisher *publisher, ut_object *object, const ut_item *item);
/* The same of each of the items, whatever they say of commit and generation: they are of this
 * commit and the object's newest generation.  Room in the queue is reserved. */
void ut_space_supersede_all(ut_publisher *publisher, ut_object *object, const ut_items *items,
                            uint64_t commit);
/* After a commit: reckon with how much it superseded. */
void ut_space_age(ut_publisher *publisher);
/* After the object's generation moved on or its queue grew. */
void ut_space_list(ut_publisher *publisher, ut_object *object);
/* After pins ended: free what none holds any more. */
void ut_space_release_held(ut_publisher *publisher);
/* Raise the object's window. */
void ut_space_raise(ut_publisher *publisher, ut_object *object, uint64_t oldest);
/* Bytes of what lies at `offset`: a chunk's slot_bytes, or, if that is 0, what the text there
 * says of itself; 0 if that cannot be. */
uint64_t ut_slot_bytes(ut_segment *segment, uint64_t slot_bytes, uint64_t offset);
#define UT_RING_BYTES(entries) ((uint64_t)(entries) * sizeof(ut_descriptor_slot))

/* --- table_update.c --- */

/* Build next's table from now's, the kept cells and the sorted changes; sets
 * object->root, root_depth, nodes and fresh.  On failure everything is as before. */
untorn_status ut_table_update(ut_publisher *publisher, ut_object *object);
/* Undo it. */
void ut_table_undo(ut_publisher *publisher, ut_object *object);
/* Clear the cells at and above `cells` in nodes of now's table: nobody sees
 * them, but a transaction that died may have written there. */
void ut_table_trim(ut_publisher *publisher, ut_object *object);
/* The cell of a chunk of now's table. */
untorn_status ut_table_get(ut_publisher *publisher, const ut_object *object, uint64_t number,
                           ut_place *place);
/* Call `visit` for every present chunk with first <= number < end, in order. */
typedef untorn_status ut_table_visit(void *context, uint64_t number, ut_place place);
untorn_status ut_table_walk(ut_publisher *publisher, const ut_object *object, uint64_t first,
                            uint64_t end, ut_table_visit *visit, void *context);
/* As ut_table_walk(), without subtrees that are only in the store. */
untorn_status ut_table_walk_memory(ut_publisher *publisher, const ut_object *object, uint64_t first,
                                   uint64_t end, ut_table_visit *visit, void *context);

/* --- evict.c --- */

#define UT_EVICTION_PAGES 16u /* at most, and at most a 16th of the segment */
#define UT_EVICTION_LEAST_PAGES 2u

/* Take the chunks of these ascending numbers, which are in the store as they are, out of memory:
 * a commit of its own, in which nothing else changes.  The open transaction, if the object has a
 * part in it, goes on; it may give them up, but not refer to them otherwise. */
untorn_status ut_evict(ut_publisher *publisher, ut_object *object, const uint64_t *numbers,
                       size_t count);
/* The other way round: chunks that are only in the store get these slots, which were taken for
 * them and hold their content.  No transaction is open.  On failure the slots are the caller's. */
untorn_status ut_bring_in(ut_publisher *publisher, ut_object *object, const uint64_t *numbers,
                          const uint64_t *offsets, size_t count);
/* Set as many pages aside for the next eviction, as far as there is room: the least before anybody
 * else gets what an eviction gave up, or it would be the last; the rest afterwards. */
void ut_evict_reserve(ut_publisher *publisher, unsigned pages);

/* --- ring.c --- */

/* Make sure the slot of the next generation may be reused: retain what a pin
 * needs of it, grow the ring of a busy object. */
untorn_status ut_ring_prepare(ut_publisher *publisher, ut_object *object);
/* Read the ring and the retained list of a header into the mirrors. */
untorn_status ut_ring_adopt(ut_publisher *publisher, ut_object *object);

/* --- publish.c --- */

/* Publish the `count` objects' transactions at once.  On failure (UNTORN_E_NO_SPACE,
 * _NO_MEMORY) nothing was published. */
untorn_status ut_publish(ut_publisher *publisher, ut_object *const *objects, size_t count);
/* Finish what the last writer was publishing.  UNTORN_E_CORRUPT. */
untorn_status ut_publish_replay(ut_segment *segment);
/* Wake everybody who waits for anything. */
void ut_publish_wake_all(ut_publisher *publisher);

/* --- objects.c --- */

/* An object for a free header, or for a fresh one.  Its counters go on where the
 * last owner's ended, so that no reader of that one takes the new one's bytes for its own. */
untorn_status ut_object_new(ut_publisher *publisher, ut_object **object);
/* Nothing published is this object's any more. */
void ut_object_give(ut_publisher *publisher, ut_object *object);
static inline bool ut_object_is_free(const ut_object *object) {
    return object->now.stamp == 0 || (object->now.kind & UT_KIND_DELETED) != 0;
}
/* A fresh object without a header; a publisher's objects are freed with it. */
ut_object *ut_object_alloc(uint32_t index);
untorn_status ut_object_add(ut_publisher *publisher, ut_object *object);
void ut_object_clear_transaction(ut_object *object);
void ut_publisher_free(ut_publisher *publisher);

/* --- adopt.c --- */

/* Take over a segment whose writer's lock the caller holds: finish or forget what
 * the last writer was doing, and rebuild the books.  UNTORN_E_CORRUPT names what is damaged. */
untorn_status ut_adopt(ut_publisher *publisher, ut_segment *segment);

#endif
