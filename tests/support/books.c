// SPDX-License-Identifier: MIT
/* The writer's books and perfect deaths: see books.h. */
#include "books.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "must.h"
#include "names.h"

/* ---- books ---- */

struct sum {
    untorn_writer *writer;
    const ut_object *object;
    uint64_t used;
};

static void add(struct sum *sum, uint64_t bytes) {
    sum->used += ut_alloc_rounded(bytes);
}

static void add_place(struct sum *sum, ut_place place, unsigned level, uint64_t first) {
    const ut_object *object = sum->object;
    if (place.ref == 0)
        return;
    ut_segment *segment = &sum->writer->segment;
    uint64_t offset = ut_ref_offset(place.ref);
    must(ut_ref_good(place.ref, place.version, object->now.uid, level), "a cell of object %u",
         object->index);
    if (place.ref & UT_REF_EVICTED) /* only in the store */
        return;
    if (level == 0) {
        add(sum, ut_slot_bytes(segment, object->now.slot_bytes, offset));
        return;
    }
    add(sum, sizeof(ut_node));
    ut_node *node = ut_at(segment, offset, sizeof *node);
    must(node != NULL, "a node of object %u", object->index);
    uint64_t child = UINT64_C(1) << ((level - 1) * UT_NODE_SHIFT);
    for (unsigned i = 0; i < UT_NODE_CELLS; i++) {
        uint64_t number = first + i * child;
        ut_place below = ut_cell_load(&node->cells[i]);
        if (number < object->now.cells)
            add_place(sum, below, level - 1, number);
        else
            must(below.ref == 0, "object %u: cell %llu beyond the last is not cleared",
                 object->index, (unsigned long long)number);
    }
}

static void add_object(struct sum *sum, const ut_object *object) {
    ut_segment *segment = &sum->writer->segment;
    sum->object = object;
    add(sum, UT_RING_BYTES(object->ring_entries));
    for (size_t i = 0; i < object->retained_count; i++)
        add(sum, sizeof(ut_descriptor_slot));
    uint64_t queued = 0;
    for (size_t i = 0; i < object->queue_count; i++) {
        const ut_item *item =
            &object->queue[(object->queue_head + i) & (object->queue_capacity - 1)];
        add(sum, item->bytes);
        queued += item->bytes;
    }
    must(queued == object->queue_bytes, "object %u: bytes in its queue", object->index);
    for (size_t i = 0; i < object->changes.count; i++) {
        const ut_change *change = &object->changes.list[i];
        if (change->offset != 0 && change->version == 0)
            add(sum, ut_slot_bytes(segment, object->next.slot_bytes, change->offset));
    }
    if (ut_object_is_free(object))
        return;
    add_place(sum, (ut_place){object->now.root_ref, object->now.root_version},
              ut_kind_depth(object->now.kind), 0);
    if (object->now.attributes_ref != 0)
        add(sum, ut_slot_bytes(segment, 0, ut_ref_offset(object->now.attributes_ref)));
}

uint64_t books_take_ballast(untorn_writer *writer, uint64_t leave) {
    uint64_t taken = 0;
    while (ut_alloc_free_bytes(writer->publisher.alloc) > leave) {
        must(ut_alloc_take(writer->publisher.alloc, UT_PAGE) != 0, "ballast");
        taken += UT_PAGE;
    }
    return taken;
}

void books_must_add_up(untorn_writer *writer, uint64_t ballast, const char *when) {
    struct sum sum = {.writer = writer, .used = ballast};
    ut_publisher *publisher = &writer->publisher;
    ut_segment *segment = &writer->segment;
    must(ut_alloc_check(publisher->alloc), "%s", when);
    for (uint64_t page = 0; page < UT_DIRECTORY_SIZE; page++)
        if (ut_load_relaxed(&segment->directory[page]) != 0)
            add(&sum, UT_PAGE);
    for (uint32_t i = 0; i < publisher->object_count; i++)
        add_object(&sum, publisher->objects[i]);
    ut_header *next = ut_segment_header(segment, publisher->object_count);
    if (next != NULL && ut_load_relaxed(&next->ring) != 0) /* its making ran out of space */
        add(&sum, UT_RING_BYTES(UT_RING_SMALL));
    for (size_t i = 0; i < publisher->held.count; i++)
        add(&sum, publisher->held.list[i].bytes);
    for (unsigned i = 0; i < publisher->eviction_pages; i++)
        add(&sum, UT_PAGE);
    for (uint32_t i = 0; i < writer->arrays_capacity; i++)
        if (writer->arrays[i] != NULL && writer->arrays[i]->attributes != 0)
            add(&sum, writer->arrays[i]->attributes_bytes);
    uint64_t used =
        ut_alloc_end(publisher->alloc) - UT_HEAP_OFFSET - ut_alloc_free_bytes(publisher->alloc);
    must(used == sum.used, "%s: %llu bytes are taken, but %llu are accounted for", when,
         (unsigned long long)used, (unsigned long long)sum.used);
}

/* ---- death ---- */

static void copy_file(const char *from, const char *to, const char *suffix) {
    int in = open(test_segment_path(from, suffix), O_RDONLY | O_CLOEXEC);
    int out = open(test_segment_path(to, suffix), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(in >= 0 && out >= 0, "copy of %s%s", from, suffix);
    struct stat file;
    must(fstat(in, &file) == 0, "stat");
    unsigned char *bytes = malloc((size_t)file.st_size);
    must(bytes != NULL && pread(in, bytes, (size_t)file.st_size, 0) == file.st_size, "read");
    must(pwrite(out, bytes, (size_t)file.st_size, 0) == file.st_size, "write");
    free(bytes);
    close(in);
    close(out);
}

void books_copy_segment(const char *from, const char *to) {
    copy_file(from, to, UT_SUFFIX_CONTROL);
    copy_file(from, to, UT_SUFFIX_DATA);
}

int books_keep_readers(const char *segment) {
    int fd = open(test_segment_path(segment, UT_SUFFIX_CONTROL), O_RDWR | O_CLOEXEC);
    must(fd >= 0, "control file");
    ut_control *control = malloc(sizeof *control);
    must(control != NULL && pread(fd, control, sizeof *control, 0) == sizeof *control, "read");
    for (unsigned i = 0; i < UT_LINES; i++) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)i, .l_len = 1};
        if (ut_load_relaxed(&control->lines[i].nonce) != 0)
            must(fcntl(fd, F_OFD_SETLK, &lock) == 0, "line %u", i);
    }
    free(control);
    return fd;
}

int books_pinned(const ut_segment *segment, uint64_t commit) {
    for (unsigned i = 0; i < UT_LINES; i++) {
        uint64_t nonce = ut_load_relaxed(&segment->acks[i].nonce);
        if (nonce != 0 && ut_load_relaxed(&segment->acks[i].commit) == commit &&
            ut_load_relaxed(&segment->control->lines[i].nonce) == nonce)
            return 1;
    }
    return 0;
}
