// SPDX-License-Identifier: MIT
/*
 * The writer's half of the table: next's from now's, at a cost of what changes.
 *
 * COPY ON WRITE.  A node that any published generation reaches is not changed in
 * cells that were ever visible: the path down to a changed cell is copied, and
 * the old nodes are superseded.
 *
 * IN PLACE.  Cells beyond the last chunk of now's shape were visible to nobody, so
 * growing writes them where they are: an append copies nothing.  That is right
 * because
 *   - shrinking copies the whole path along its edge, even where no cell changes:
 *     what remains of an older, longer table lies in nodes that it alone reaches;
 *   - a cell that straddles the edge counts as visible, absent or not;
 *   - a node is made all absent, and an update that failed half-way, or whose
 *     writer died, is cleared away before the next (ut_table_trim).
 *
 * A tree grows at the top: the old root becomes the first cell of a new one.
 *
 * ONE CHUNK that is visible already, in a table that keeps its form, is the commonest change.
 * All that is to be copied is then known after one descent: see "one path".
 *
 * EVICTED.  A chunk that is only in the store has a cell with its version and no slot.  A node all
 * of whose chunks are so, and which is wholly visible, is replaced by one cell for the
 * subtree; where something below must change, a node is made for it again from what the store has.
 */
#include "segment/publisher.h"

#include "base/check.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "base/test_hooks.h"

static uint64_t span_of(unsigned level) {
    return level >= UT_MAX_DEPTH ? UINT64_MAX : UINT64_C(1) << (level * UT_NODE_SHIFT);
}

/* NULL if there can be no such node: of a table that was damaged in a way that taking over could
 * not tell, the writer must not make more damage. */
static ut_node *node_at(ut_publisher *publisher, ut_place place, uint64_t uid, unsigned level) {
    if (!ut_ref_good(place.ref, place.version, uid, level))
        return NULL;
    return ut_at(publisher->segment, ut_ref_offset(place.ref), sizeof(ut_node));
}

static untorn_status damaged(const ut_publisher *publisher, const ut_object *object,
                             ut_place place) {
    return ut_fail(UNTORN_E_CORRUPT, "%s: object %u: damaged table: reference to %llu",
                   publisher->segment->message_name, object->index,
                   (unsigned long long)ut_ref_offset(place.ref));
}

typedef struct update {
    ut_publisher *publisher;
    ut_object *object;
    uint64_t version; /* the commit's number */
    uint64_t uid;
    uint64_t visible; /* cells of the table worked on that somebody may see */
    bool collapse;    /* evicting: subtrees that are wholly in the store become one cell */
} update;

static ut_place fresh_place(const update *u, uint64_t offset, uint64_t flags, unsigned level) {
    return (ut_place){ut_ref_make(offset, flags, u->version, u->uid, level), u->version};
}

static untorn_status old_node(const update *u, ut_place place, unsigned level, ut_node **node) {
    *node = node_at(u->publisher, place, u->uid, level);
    return *node != NULL ? UNTORN_OK : damaged(u->publisher, u->object, place);
}

/* A node all absent, or a copy. */
static untorn_status new_node(update *u, const ut_node *from, unsigned level, ut_node **node,
                              ut_place *place) {
    untorn_status status = ut_items_reserve(&u->object->fresh, 1);
    uint64_t offset = 0;
    if (status == UNTORN_OK)
        status = ut_space_take(u->publisher, u->object, sizeof(ut_node), &offset);
    if (status != UNTORN_OK)
        return status;
    u->object->fresh.list[u->object->fresh.count++] =
        (ut_item){.offset = offset, .bytes = sizeof(ut_node)};
    *node = (ut_node *)(u->publisher->segment->base + offset);
    if (from != NULL)
        ut_racy_copy(*node, from, sizeof **node);
    else
        ut_racy_fill_zero(*node, sizeof **node);
    *place = fresh_place(u, offset, 0, level);
    return UNTORN_OK;
}

static untorn_status supersede_node(update *u, ut_place place) {
    return ut_items_push(&u->object->nodes, (ut_item){.offset = ut_ref_offset(place.ref),
                                                      .bytes = sizeof(ut_node),
                                                      .born = place.version});
}

/* A copy to be changed, in place of a node that readers reach. */
static untorn_status copy_node(update *u, ut_place place, unsigned level, ut_node **node,
                               ut_place *copy) {
    ut_node *old;
    untorn_status status = old_node(u, place, level, &old);
    if (status == UNTORN_OK)
        status = new_node(u, old, level, node, copy);
    return status == UNTORN_OK ? supersede_node(u, place) : status;
}

/* --- subtrees that are only in the store --- */

static bool is_subtree(ut_place place) {
    return (place.ref & UT_REF_SUBTREE) != 0;
}

static untorn_status next_stored(const ut_publisher *publisher, const ut_object *object,
                                 ut_place place, uint64_t first, uint64_t end, uint64_t *number,
                                 uint64_t *version) {
    if (publisher->relief == NULL)
        return ut_fail(UNTORN_E_STATE,
                       "%s: object %u: chunks are only in the store, which is not open",
                       publisher->segment->message_name, object->index);
    return publisher->relief->next(publisher->relief->context, object, place, first, end, number,
                                   version);
}

static ut_place evicted_place(uint64_t version, uint64_t flags, uint64_t uid, unsigned level) {
    if (level > 0)
        flags |= UT_REF_SUBTREE;
    return (ut_place){ut_ref_make(0, flags | UT_REF_EVICTED, version, uid, level), version};
}

/* A node in place of a subtree's cell. */
static untorn_status expand(update *u, ut_place place, unsigned level, uint64_t first,
                            ut_node **node, ut_place *fresh) {
    if (!ut_ref_good(place.ref, place.version, u->uid, level))
        return damaged(u->publisher, u->object, place);
    untorn_status status = new_node(u, NULL, level, node, fresh);
    uint64_t child = span_of(level - 1);
    for (unsigned i = 0; i < UT_NODE_CELLS && status == UNTORN_OK; i++) {
        uint64_t begin = first + i * child, number, version = 0;
        if (begin >= u->object->now.cells)
            break;
        status =
            next_stored(u->publisher, u->object, place, begin, begin + child, &number, &version);
        if (status == UNTORN_OK && version != 0)
            ut_cell_store(&(*node)->cells[i],
                          evicted_place(level > 1 ? place.version : version, 0, u->uid, level - 1));
    }
    return status;
}

/* A node to be changed, for one that readers reach or for a subtree's cell. */
static untorn_status own_node(update *u, ut_place *place, unsigned level, uint64_t first,
                              ut_node **node) {
    ut_place old = *place;
    return is_subtree(old) ? expand(u, old, level, first, node, place)
                           : copy_node(u, old, level, node, place);
}

/* A node that was made in this update is not needed after all. */
static void discard(update *u, ut_place place) {
    ut_items *fresh = &u->object->fresh;
    uint64_t offset = ut_ref_offset(place.ref);
    for (size_t i = fresh->count; i-- > 0;)
        if (fresh->list[i].offset == offset) {
            ut_space_give(u->publisher, offset, fresh->list[i].bytes);
            fresh->list[i] = fresh->list[--fresh->count];
            return;
        }
}

/*
 * If all that the node has is only in the store: a cell for the subtree.
 *
 * It stands for what is absent, too, and for where chunks are in the grid: store snapshots from
 * before the last cut or renumbering have both otherwise.  So one after that must be there, and the
 * cell's version keeps to those.
 */
static void collapse(update *u, ut_node *node, ut_place *place, unsigned level, uint64_t first) {
    const ut_object *object = u->object;
    if (!u->collapse || span_of(level) > object->now.cells - first ||
        (ut_load_relaxed(&u->publisher->segment->store->flushed_commit) < object->cut &&
         !UT_SEEDED(305)))
        return;
    uint64_t highest = 0;
    for (unsigned i = 0; i < UT_NODE_CELLS; i++) {
        ut_place below = ut_cell_load(&node->cells[i]);
        /* A sealed one would lose its seal. */
        if (below.ref != 0 && (!(below.ref & UT_REF_EVICTED) || (below.ref & UT_REF_SEALED)))
            return;
        if (below.ref != 0 && below.version > highest)
            highest = below.version;
    }
    if (highest == 0)
        return;
    if (highest < object->cut && !UT_SEEDED(306))
        highest = object->cut;
    discard(u, *place);
    *place = evicted_place(highest, 0, u->uid, level);
}

/* Supersede the nodes of a subtree (not its chunks: those are in object->dropped). */
static untorn_status drop(update *u, ut_place place, unsigned level) {
    if (place.ref == 0 || level == 0 || (place.ref & UT_REF_EVICTED))
        return UNTORN_OK;
    ut_node *node;
    untorn_status found = old_node(u, place, level, &node);
    if (found != UNTORN_OK)
        return found;
    if (level > 1) {
        for (unsigned i = 0; i < UT_NODE_CELLS; i++) {
            untorn_status status = drop(u, ut_cell_load(&node->cells[i]), level - 1);
            if (status != UNTORN_OK)
                return status;
        }
    }
    return supersede_node(u, place);
}

/* Cut everything at and above `keep` off; `first` is the subtree's first chunk. */
static untorn_status cut(update *u, ut_place *place, unsigned level, uint64_t first,
                         uint64_t keep) {
    if (place->ref == 0)
        return UNTORN_OK;
    if (first >= keep) {
        untorn_status status = drop(u, *place, level);
        *place = (ut_place){0, 0};
        return status;
    }
    uint64_t span = span_of(level);
    if (level == 0 || keep - first >= span)
        return UNTORN_OK;
    ut_node *node;
    ut_place copy = *place;
    untorn_status status = own_node(u, &copy, level, first, &node);
    if (status != UNTORN_OK)
        return status;
    uint64_t child = span_of(level - 1);
    for (unsigned i = (unsigned)((keep - first) / child); i < UT_NODE_CELLS; i++) {
        ut_place below = ut_cell_load(&node->cells[i]);
        status = cut(u, &below, level - 1, first + i * child, keep);
        if (status != UNTORN_OK)
            return status;
        ut_cell_store(&node->cells[i], below);
    }
    *place = copy;
    return UNTORN_OK;
}

static inline ut_place chunk_place(const ut_change *change, uint64_t version, uint64_t uid) {
    if (change->offset == 0 && change->flags == 0)
        return (ut_place){0, 0};
    if (change->version != 0)
        version = change->version;
    return (ut_place){ut_ref_make(change->offset, change->flags, version, uid, 0), version};
}

static ut_place place_of(const update *u, const ut_change *change) {
    return chunk_place(change, u->version, u->uid);
}

/* Whether the sorted changes can be made in this node without changing a cell that somebody may
 * see.  A child that straddles the edge is seen even where it is absent: a node put there would
 * be reached from generations older than itself, and freed under a pin that needs it. */
static bool extendable(const update *u, ut_place place, unsigned level, uint64_t first,
                       const ut_change *changes, size_t count) {
    if (place.ref == 0 || is_subtree(place) || changes[0].number < u->visible)
        return false;
    uint64_t child = level > 1 ? span_of(level - 1) : 1;
    if (u->visible <= first || (u->visible - first) % child == 0)
        return true;
    uint64_t edge = (u->visible - first) / child;
    uint64_t edge_first = first + edge * child;
    size_t within = 0;
    while (within < count && changes[within].number - edge_first < child)
        within++;
    if (within == 0)
        return true;
    ut_node *node = node_at(u->publisher, place, u->uid, level);
    if (node == NULL)
        return false; /* and then it cannot be copied either */
    ut_place below = ut_cell_load(&node->cells[edge]);
    return extendable(u, below, level - 1, edge_first, changes, within);
}

/* Apply sorted changes to the subtree over [first, first + span of level). */
static untorn_status apply(update *u, ut_place *place, unsigned level, uint64_t first,
                           const ut_change *changes, size_t count) {
    if (level == 0) {
        *place = place_of(u, changes);
        return UNTORN_OK;
    }
    ut_node *node;
    if (place->ref == 0) {
        size_t present = 0;
        while (present < count && changes[present].offset == 0 && changes[present].flags == 0)
            present++;
        if (present == count)
            return UNTORN_OK; /* absent in the absent */
        untorn_status status = new_node(u, NULL, level, &node, place);
        if (status != UNTORN_OK)
            return status;
    } else if ((place->version == u->version && !is_subtree(*place)) ||
               extendable(u, *place, level, first, changes, count)) {
        untorn_status status = old_node(u, *place, level, &node);
        if (status != UNTORN_OK)
            return status;
    } else {
        untorn_status status = own_node(u, place, level, first, &node);
        if (status != UNTORN_OK)
            return status;
    }
    uint64_t child = span_of(level - 1);
    for (size_t i = 0; i < count;) {
        uint64_t index = (changes[i].number - first) / child;
        uint64_t below_first = first + index * child;
        size_t end = i + 1;
        while (end < count && changes[end].number - below_first < child)
            end++;
        ut_place old = ut_cell_load(&node->cells[index]), below = old;
        untorn_status status = apply(u, &below, level - 1, below_first, changes + i, end - i);
        if (status != UNTORN_OK)
            return status;
        if (below.ref != old.ref || below.version != old.version)
            ut_cell_store(&node->cells[index], below);
        i = end;
    }
    collapse(u, node, place, level, first);
    return UNTORN_OK;
}

/* --- one path --- */

/*
 * The nodes above a chunk that somebody may see, from the root to the leaf.  NULL: not all of them
 * are there as nodes, or they are damaged, which other ways of going down find out.
 *
 * Who changes a chunk looks it up first, so the last path is kept.  It is the same as long as the
 * root is, for no cell that anybody may see changes in its node.
 */
static const ut_path *find_path(ut_publisher *publisher, const ut_object *object, uint64_t number) {
    ut_path *path = &publisher->path;
    ut_place place = {object->now.root_ref, object->now.root_version};
    unsigned depth = ut_kind_depth(object->now.kind);
    bool kept = path->object == object && path->number == number && path->root.ref == place.ref &&
                path->root.version == place.version && path->depth == depth;
    if (kept || depth == 0 || depth > UT_MAX_DEPTH || number >= span_of(depth))
        return kept ? path : NULL;
    path->object = NULL;
    path->root = place;
    ut_path_step *step = path->steps;
    for (unsigned level = depth; level > 0; level--, step++) {
        if (place.ref == 0 || is_subtree(place) || place.version > publisher->commit ||
            !ut_ref_good(place.ref, place.version, object->now.uid, level))
            return NULL;
        step->place = place;
        step->node = ut_at(publisher->segment, ut_ref_offset(place.ref), sizeof(ut_node));
        if (step->node == NULL)
            return NULL;
        step->index = number >> ((level - 1) * UT_NODE_SHIFT) & (UT_NODE_CELLS - 1);
        if (level > 1)
            place = ut_cell_load(&step->node->cells[step->index]);
    }
    path->object = object;
    path->number = number;
    path->depth = depth;
    return path;
}

/* Copies of the path's nodes, each of which leads to the next, the last to what changes. */
static untorn_status replace_path(update *u, const ut_path *path, ut_place *root) {
    unsigned depth = path->depth;
    ut_items *fresh = &u->object->fresh, *nodes = &u->object->nodes;
    untorn_status status = ut_items_reserve(fresh, depth);
    if (status == UNTORN_OK)
        status = ut_items_reserve(nodes, depth);
    ut_place below = place_of(u, u->object->changes.list);
    for (unsigned level = 1; level <= depth && status == UNTORN_OK; level++) {
        const ut_path_step *at = &path->steps[depth - level];
        uint64_t offset;
        status = ut_space_take(u->publisher, u->object, sizeof(ut_node), &offset);
        if (status != UNTORN_OK)
            break;
        fresh->list[fresh->count++] = (ut_item){.offset = offset, .bytes = sizeof(ut_node)};
        nodes->list[nodes->count++] = (ut_item){.offset = ut_ref_offset(at->place.ref),
                                                .bytes = sizeof(ut_node),
                                                .born = at->place.version};
        ut_node *node = (ut_node *)(u->publisher->segment->base + offset);
        ut_racy_copy(node, at->node, sizeof *node);
        ut_cell_store(&node->cells[at->index], below);
        below = fresh_place(u, offset, 0, level);
    }
    *root = below;
    return status;
}

/* Whether all that changes is one chunk that somebody may see, in a table that stays as deep. */
static bool is_one_path(const update *u, unsigned depth) {
    const ut_object *object = u->object;
    return depth > 0 && object->changes.count == 1 && !u->collapse &&
           object->keep == object->now.cells && object->changes.list[0].number < object->keep &&
           object->next.cells <= span_of(depth);
}

/* From the table with this root. */
static untorn_status update_table(update *u, ut_place root, unsigned depth) {
    ut_object *object = u->object;
    untorn_status status = UNTORN_OK;
    u->visible = object->keep;
    if (is_one_path(u, depth)) {
        const ut_path *path = find_path(u->publisher, object, object->changes.list[0].number);
        if (path != NULL) {
            object->root_depth = depth;
            return replace_path(u, path, &object->root);
        }
    }
    if (object->keep < object->now.cells) {
        if (!UT_SEEDED(108))
            status = cut(u, &root, depth, 0, object->keep);
        if (status != UNTORN_OK)
            return status;
        if (root.ref == 0)
            depth = 0;
    }
    while (depth < UT_MAX_DEPTH && object->next.cells > span_of(depth)) {
        if (root.ref != 0) {
            ut_node *node;
            ut_place top;
            status = new_node(u, NULL, depth + 1, &node, &top);
            if (status != UNTORN_OK)
                return status;
            ut_cell_store(&node->cells[0], root);
            root = top;
        }
        depth++;
    }
    ut_changes_sort(&object->changes);
    if (object->changes.count > 0) {
        status = apply(u, &root, depth, 0, object->changes.list, object->changes.count);
        if (status != UNTORN_OK)
            return status;
    }
    object->root = root;
    object->root_depth = depth;
    return UNTORN_OK;
}

untorn_status ut_table_update(ut_publisher *publisher, ut_object *object) {
    uint64_t version = publisher->commit + 1;
    ut_place root = {object->now.root_ref, object->now.root_version};
    unsigned depth = ut_kind_depth(object->now.kind);
    object->nodes.count = object->fresh.count = 0;
    if (ut_object_is_free(object)) {
        root = (ut_place){0, 0};
        depth = 0;
        object->keep = 0;
    }
    if (depth == 0 && object->keep == object->now.cells && object->next.cells <= 1) {
        /* One chunk before and after: its cell is all there is. */
        object->root = object->changes.count == 0
                           ? root
                           : chunk_place(object->changes.list, version, object->next.uid);
        object->root_depth = 0;
        return UNTORN_OK;
    }
    update u = {.publisher = publisher,
                .object = object,
                .version = version,
                .uid = object->next.uid,
                .collapse = object->evicting};
    untorn_status status = update_table(&u, root, depth);
    if (status != UNTORN_OK)
        ut_table_undo(publisher, object);
    return status;
}

void ut_table_undo(ut_publisher *publisher, ut_object *object) {
    /* First nothing may refer to the fresh nodes. */
    ut_table_trim(publisher, object);
    for (size_t i = 0; i < object->fresh.count; i++)
        ut_space_give(publisher, object->fresh.list[i].offset, object->fresh.list[i].bytes);
    object->fresh.count = object->nodes.count = 0;
}

void ut_table_trim(ut_publisher *publisher, ut_object *object) {
    if (ut_object_is_free(object))
        return;
    ut_place place = {object->now.root_ref, object->now.root_version};
    uint64_t first = 0, cells = object->now.cells;
    for (unsigned level = ut_kind_depth(object->now.kind); level > 0 && place.ref != 0; level--) {
        if (place.ref & UT_REF_EVICTED || cells - first >= span_of(level))
            return;
        ut_node *node = node_at(publisher, place, object->now.uid, level);
        if (node == NULL)
            return;
        uint64_t child = span_of(level - 1);
        uint64_t edge = (cells - first) / child;
        bool partly = (cells - first) % child != 0;
        for (uint64_t i = edge + partly; i < UT_NODE_CELLS; i++)
            if (ut_load_relaxed(&node->cells[i].ref) != 0)
                ut_cell_store(&node->cells[i], (ut_place){0, 0});
        if (!partly)
            return;
        place = ut_cell_load(&node->cells[edge]);
        first += edge * child;
    }
}

/* Whether a chunk's slot, or a text, is where the place says. */
static bool slot_is_good(ut_publisher *publisher, const ut_object *object, ut_place place) {
    uint64_t offset = ut_ref_offset(place.ref);
    uint64_t bytes = ut_slot_bytes(publisher->segment, object->now.slot_bytes, offset);
    return ut_ref_good(place.ref, place.version, object->now.uid, 0) &&
           ((place.ref & UT_REF_EVICTED) ||
            (bytes != 0 && ut_at(publisher->segment, offset, bytes) != NULL));
}

/* The chunk's own cell, where only the subtree that it lies in has one. */
static untorn_status resolve(ut_publisher *publisher, const ut_object *object, uint64_t number,
                             ut_place *place) {
    uint64_t found, version = 0;
    untorn_status status =
        next_stored(publisher, object, *place, number, number + 1, &found, &version);
    *place = version != 0 ? evicted_place(version, 0, object->now.uid, 0) : (ut_place){0, 0};
    return status;
}

untorn_status ut_table_get(ut_publisher *publisher, const ut_object *object, uint64_t number,
                           ut_place *place) {
    if (ut_object_is_free(object) || number >= object->now.cells) {
        *place = (ut_place){0, 0};
        return UNTORN_OK;
    }
    ut_found found = UT_FOUND;
    const ut_path *path = find_path(publisher, object, number);
    if (path != NULL) {
        const ut_path_step *leaf = &path->steps[path->depth - 1];
        /* Who asks is about to change the chunk, and then the leaf is copied: have it on its way
         * while the cell is still awaited. */
        for (size_t at = 0; at < sizeof(ut_node); at += UT_UNIT)
            __builtin_prefetch((const unsigned char *)leaf->node + at);
        *place = ut_cell_load(&leaf->node->cells[leaf->index]);
        if (is_subtree(*place)) /* of no chunk can that be said */
            found = UT_DAMAGED;
    } else {
        ut_table_cursor cursor = {0};
        found = ut_table_lookup(publisher->segment, &object->now, number, &cursor, place);
    }
    if (found == UT_FOUND && is_subtree(*place))
        return resolve(publisher, object, number, place);
    if (found != UT_FOUND || (place->ref != 0 && !slot_is_good(publisher, object, *place)))
        return ut_fail(UNTORN_E_CORRUPT, "%s: object %u: damaged table at chunk %llu",
                       publisher->segment->message_name, object->index, (unsigned long long)number);
    return UNTORN_OK;
}

/* A walk over the present chunks with from <= number < end. */
typedef struct walking {
    ut_publisher *publisher;
    const ut_object *object;
    uint64_t from, end;
    bool stored; /* also those that only a subtree's cell stands for */
    ut_table_visit *visit;
    void *context;
} walking;

static untorn_status walk_stored(const walking *w, ut_place place, uint64_t first, uint64_t end) {
    while (first < end) {
        uint64_t number, version = 0;
        untorn_status status =
            next_stored(w->publisher, w->object, place, first, end, &number, &version);
        if (status == UNTORN_OK && version != 0)
            status = w->visit(w->context, number, evicted_place(version, 0, w->object->now.uid, 0));
        if (status != UNTORN_OK || version == 0)
            return status;
        first = number + 1;
    }
    return UNTORN_OK;
}

static untorn_status walk(const walking *w, ut_place place, unsigned level, uint64_t first) {
    if (place.ref == 0)
        return UNTORN_OK;
    if (level == 0)
        return slot_is_good(w->publisher, w->object, place)
                   ? w->visit(w->context, first, place)
                   : damaged(w->publisher, w->object, place);
    if (is_subtree(place)) {
        uint64_t end = span_of(level) < w->end - first ? first + span_of(level) : w->end;
        return w->stored ? walk_stored(w, place, first > w->from ? first : w->from, end)
                         : UNTORN_OK;
    }
    ut_node *node = node_at(w->publisher, place, w->object->now.uid, level);
    if (node == NULL)
        return damaged(w->publisher, w->object, place);
    uint64_t child = span_of(level - 1);
    uint64_t i = w->from > first ? (w->from - first) / child : 0;
    for (; i < UT_NODE_CELLS && first + i * child < w->end; i++) {
        untorn_status status = walk(w, ut_cell_load(&node->cells[i]), level - 1, first + i * child);
        if (status != UNTORN_OK)
            return status;
    }
    return UNTORN_OK;
}

static untorn_status walk_from_root(const walking *w) {
    const ut_object *object = w->object;
    if (ut_object_is_free(object) || w->from >= w->end)
        return UNTORN_OK;
    ut_place root = {object->now.root_ref, object->now.root_version};
    return walk(w, root, ut_kind_depth(object->now.kind), 0);
}

untorn_status ut_table_walk(ut_publisher *publisher, const ut_object *object, uint64_t first,
                            uint64_t end, ut_table_visit *visit, void *context) {
    walking w = {publisher, object, first, end, true, visit, context};
    return walk_from_root(&w);
}

untorn_status ut_table_walk_memory(ut_publisher *publisher, const ut_object *object, uint64_t first,
                                   uint64_t end, ut_table_visit *visit, void *context) {
    walking w = {publisher, object, first, end, false, visit, context};
    return walk_from_root(&w);
}
