// SPDX-License-Identifier: MIT
/*
 * The list of what goes into a store snapshot.
 *
 * Objects come in any order; the manifest and the making of directories want them ascending in byte
 * order, in which a group comes before what lies in it.  So they are gathered and sorted once.  All
 * names that begin with "g/" stand together then, hence the group "g" is first implied where the
 * name before does not begin so: every implied group is found once, without a table of them.
 */
#include "store/snapshot_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "segment/layout.h"

static untorn_status no_memory(const ut_snapshot_writer *writer) {
    return ut_fail(UNTORN_E_NO_MEMORY, "%s: out of memory for a snapshot", writer->store->who);
}

/* Copy a text to *at, and on. */
static const char *take_text(char **at, const char *text) {
    size_t bytes = strlen(text) + 1;
    const char *copy = memcpy(*at, text, bytes);
    *at += bytes;
    return copy;
}

untorn_status ut_snapshot_add_node(ut_snapshot_writer *writer, const ut_manifest_object *object,
                                   ut_snapshot_node **node) {
    if (writer->count == writer->capacity) {
        size_t capacity = 2 * writer->capacity + 64;
        ut_snapshot_node *grown = realloc(writer->nodes, capacity * sizeof *grown);
        if (grown == NULL)
            return no_memory(writer);
        writer->nodes = grown;
        writer->capacity = capacity;
    }
    ut_snapshot_node *added = &writer->nodes[writer->count];
    *added = (ut_snapshot_node){.object = *object};
    added->texts =
        malloc(strlen(object->name) + strlen(object->directory) + strlen(object->attributes) + 3);
    if (added->texts == NULL)
        return no_memory(writer);
    char *at = added->texts;
    added->object.name = take_text(&at, object->name);
    added->object.directory = take_text(&at, object->directory);
    added->object.attributes = take_text(&at, object->attributes);
    writer->count++;
    *node = added;
    return UNTORN_OK;
}

void ut_snapshot_drop_last_node(ut_snapshot_writer *writer) {
    ut_snapshot_node *node = &writer->nodes[--writer->count];
    free(node->texts);
    free(node->metadata);
    free(node->attributes);
}

static int compare_nodes(const void *a, const void *b) {
    const ut_snapshot_node *x = a, *y = b;
    return strcmp(x->object.name, y->object.name);
}

static void sort_nodes(ut_snapshot_writer *writer) {
    if (writer->count > 0)
        qsort(writer->nodes, writer->count, sizeof *writer->nodes, compare_nodes);
}

static untorn_status check_twice(const ut_snapshot_writer *writer) {
    for (size_t i = 1; i < writer->count; i++)
        if (compare_nodes(&writer->nodes[i - 1], &writer->nodes[i]) == 0)
            return ut_fail(UNTORN_E_ARGUMENT, "%s: snapshot: \"%s\" occurs twice",
                           writer->store->who, writer->nodes[i].object.name);
    return UNTORN_OK;
}

/* Among the first `known` nodes, which are sorted. */
static const ut_snapshot_node *find(const ut_snapshot_writer *writer, size_t known,
                                    const char *name) {
    ut_snapshot_node wanted = {.object = {.name = name}};
    if (known == 0)
        return NULL;
    return bsearch(&wanted, writer->nodes, known, sizeof wanted, compare_nodes);
}

static untorn_status imply(ut_snapshot_writer *writer, size_t known, const char *name) {
    const ut_snapshot_node *there = find(writer, known, name);
    if (there != NULL && there->object.kind == UT_KIND_ARRAY)
        return ut_fail(UNTORN_E_ARGUMENT, "%s: snapshot: something lies below the array \"%s\"",
                       writer->store->who, name);
    if (there != NULL)
        return UNTORN_OK;
    ut_manifest_object group = {
        .kind = UT_KIND_GROUP, .name = name, .directory = "", .attributes = ""};
    ut_snapshot_node *node;
    untorn_status status = ut_snapshot_add_node(writer, &group, &node);
    if (status == UNTORN_OK)
        node->implied = true;
    return status;
}

/* The groups that node i lies in and the node before it does not. */
static untorn_status imply_ancestors(ut_snapshot_writer *writer, size_t known, size_t i) {
    char group[UNTORN_MAX_NAME + 1];
    const char *name = writer->nodes[i].object.name;
    const char *before = i > 0 ? writer->nodes[i - 1].object.name : "";
    untorn_status status = UNTORN_OK;
    for (const char *slash = strchr(name, '/'); slash != NULL && status == UNTORN_OK;
         slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - name);
        if (strncmp(before, name, length + 1) == 0)
            continue;
        memcpy(group, name, length);
        group[length] = '\0';
        status = imply(writer, known, group);
    }
    return status;
}

untorn_status ut_snapshot_complete_nodes(ut_snapshot_writer *writer) {
    sort_nodes(writer);
    untorn_status status = check_twice(writer);
    size_t known = writer->count;
    if (status == UNTORN_OK)
        status = imply(writer, known, "");
    for (size_t i = 0; i < known && status == UNTORN_OK; i++)
        status = imply_ancestors(writer, known, i);
    sort_nodes(writer);
    return status;
}
