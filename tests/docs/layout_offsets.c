// SPDX-License-Identifier: MIT
/*
 * Prints the tables of docs/segment-layout.md as the headers have them, one line for each field:
 *
 *     STRUCTURE FIELD OFFSET SIZE
 *     constant NAME VALUE
 *
 * test_layout_doc.sh compares them with the document's.  A field that is missing here would leave a
 * gap between its neighbours, which the program refuses.
 */
#include "array/definition.h"
#include "segment/layout.h"

#include <inttypes.h>
#include <stdio.h>

static size_t reached; /* the end of the structure's last field */
static int gaps;

static void field(const char *structure, const char *name, size_t offset, size_t size) {
    if (offset != reached) {
        fprintf(stderr, "%s: %zu bytes before \"%s\" are not listed\n", structure, offset - reached,
                name);
        gaps = 1;
    }
    reached = offset + size;
    printf("%s %s %zu %zu\n", structure, name, offset, size);
}

static void end(const char *structure, size_t size) {
    if (reached != size) {
        fprintf(stderr, "%s: the last %zu bytes are not listed\n", structure, size - reached);
        gaps = 1;
    }
    reached = 0;
}

#define FIELD(s, f) field(#s, #f, offsetof(s, f), sizeof(((s *)0)->f))

static void superblock(void) {
    FIELD(ut_superblock, magic);
    FIELD(ut_superblock, version);
    FIELD(ut_superblock, lines);
    FIELD(ut_superblock, signature);
    FIELD(ut_superblock, nonce);
    FIELD(ut_superblock, uuid);
    FIELD(ut_superblock, size);
    FIELD(ut_superblock, created);
    FIELD(ut_superblock, versions);
    FIELD(ut_superblock, lease_ms);
    FIELD(ut_superblock, mode);
    FIELD(ut_superblock, control_mode);
    FIELD(ut_superblock, check);
    FIELD(ut_superblock, origin_commit);
    FIELD(ut_superblock, origin_nonce);
    FIELD(ut_superblock, reserved0);
    FIELD(ut_superblock, commit);
    FIELD(ut_superblock, reserved1);
    FIELD(ut_superblock, prepared);
    FIELD(ut_superblock, next_uid);
    FIELD(ut_superblock, objects);
    FIELD(ut_superblock, reserved2);
    FIELD(ut_superblock, published);
    FIELD(ut_superblock, reserved3);
    FIELD(ut_superblock, reserve);
    FIELD(ut_superblock, writer_state);
    FIELD(ut_superblock, writer_pid);
    FIELD(ut_superblock, writer_since);
    FIELD(ut_superblock, reserved4);
    FIELD(ut_superblock, reserved5);
    end("ut_superblock", sizeof(ut_superblock));
}

static void record(void) {
    FIELD(ut_record, commit);
    FIELD(ut_record, count);
    FIELD(ut_record, list);
    FIELD(ut_record, check);
    FIELD(ut_record, unused);
    FIELD(ut_record, entries);
    end("ut_record", sizeof(ut_record));
    FIELD(ut_record_entry, object);
    FIELD(ut_record_entry, generation);
    end("ut_record_entry", sizeof(ut_record_entry));
}

static void objects(void) {
    FIELD(ut_header, generation);
    FIELD(ut_header, oldest);
    FIELD(ut_header, ring);
    FIELD(ut_header, retained);
    FIELD(ut_header, published);
    FIELD(ut_header, unused);
    FIELD(ut_header, inherited);
    FIELD(ut_header, root_hint);
    FIELD(ut_header, reserved);
    end("ut_header", sizeof(ut_header));
    FIELD(ut_descriptor, stamp);
    FIELD(ut_descriptor, check);
    FIELD(ut_descriptor, next);
    FIELD(ut_descriptor, uid);
    FIELD(ut_descriptor, commit);
    FIELD(ut_descriptor, data_commit);
    FIELD(ut_descriptor, time);
    FIELD(ut_descriptor, until);
    FIELD(ut_descriptor, kind);
    FIELD(ut_descriptor, root_ref);
    FIELD(ut_descriptor, root_version);
    FIELD(ut_descriptor, attributes_ref);
    FIELD(ut_descriptor, attributes_version);
    FIELD(ut_descriptor, slot_bytes);
    FIELD(ut_descriptor, cells);
    FIELD(ut_descriptor, changed);
    FIELD(ut_descriptor, shape);
    end("ut_descriptor", sizeof(ut_descriptor));
    FIELD(ut_cell, ref);
    FIELD(ut_cell, version);
    end("ut_cell", sizeof(ut_cell));
    FIELD(ut_text, length);
    FIELD(ut_text, check);
    end("ut_text", sizeof(ut_text));
    FIELD(ut_name_pair, hash);
    FIELD(ut_name_pair, object);
    end("ut_name_pair", sizeof(ut_name_pair));
}

static void pins(void) {
    FIELD(ut_ack, nonce);
    FIELD(ut_ack, commit);
    FIELD(ut_ack, last);
    FIELD(ut_ack, granted);
    FIELD(ut_ack, reserved);
    end("ut_ack", sizeof(ut_ack));
    FIELD(ut_control, magic);
    FIELD(ut_control, nonce);
    FIELD(ut_control, reserved0);
    FIELD(ut_control, posted);
    FIELD(ut_control, reserved1);
    FIELD(ut_control, array_waiters);
    FIELD(ut_control, segment_waiters);
    FIELD(ut_control, segment_wakes);
    FIELD(ut_control, reserved2);
    FIELD(ut_control, flush_requests);
    FIELD(ut_control, reserved4);
    FIELD(ut_control, array_wakes);
    FIELD(ut_control, reserved3);
    FIELD(ut_control, lines);
    end("ut_control", sizeof(ut_control));
    FIELD(ut_line, nonce);
    FIELD(ut_line, wanted);
    FIELD(ut_line, waiting);
    FIELD(ut_line, pid);
    FIELD(ut_line, reads);
    FIELD(ut_line, attempts);
    FIELD(ut_line, last_commit);
    FIELD(ut_line, reserved);
    end("ut_line", sizeof(ut_line));
}

static void store_block(void) {
    FIELD(ut_store_block, path_bytes);
    FIELD(ut_store_block, zarr_format);
    FIELD(ut_store_block, interval);
    FIELD(ut_store_block, flush_bytes);
    FIELD(ut_store_block, threads);
    FIELD(ut_store_block, keep_snapshots);
    FIELD(ut_store_block, keep_time);
    FIELD(ut_store_block, reserved0);
    FIELD(ut_store_block, stamp);
    FIELD(ut_store_block, flushed_commit);
    FIELD(ut_store_block, flushed_time);
    FIELD(ut_store_block, finished);
    FIELD(ut_store_block, duration);
    FIELD(ut_store_block, flushes);
    FIELD(ut_store_block, failures);
    FIELD(ut_store_block, failed);
    FIELD(ut_store_block, status);
    FIELD(ut_store_block, bytes_written);
    FIELD(ut_store_block, chunks_written);
    FIELD(ut_store_block, chunks_linked);
    FIELD(ut_store_block, total_bytes);
    FIELD(ut_store_block, reserved1);
    FIELD(ut_store_block, ended);
    FIELD(ut_store_block, begun);
    FIELD(ut_store_block, reserved2);
    FIELD(ut_store_block, error);
    FIELD(ut_store_block, path);
    FIELD(ut_store_block, reserved3);
    end("ut_store_block", sizeof(ut_store_block));
}

#define CONSTANT(c) printf("constant %s %" PRIu64 "\n", #c, (uint64_t)(c))

static void constants(void) {
    CONSTANT(UT_FORMAT_VERSION);
    CONSTANT(UT_PAGE);
    CONSTANT(UT_UNIT);
    CONSTANT(UT_LINES);
    CONSTANT(UT_WAKE_WORDS);
    CONSTANT(UT_WAITERS);
    CONSTANT(UT_WAITER_BEGINS);
    CONSTANT(UT_FLUSHER_LINE);
    CONSTANT(UT_DIRECTORY_SIZE);
    CONSTANT(UT_HEADERS_PER_PAGE);
    CONSTANT(UT_NODE_CELLS);
    CONSTANT(UT_MAX_DEPTH);
    CONSTANT(UT_RING_SMALL);
    CONSTANT(UT_RING_LARGE);
    CONSTANT(UT_MIN_SIZE);
    CONSTANT(UT_MAX_SIZE);
    CONSTANT(UT_RECORD_OFFSET);
    CONSTANT(UT_RECORD_INLINE);
    CONSTANT(UT_ACKS_OFFSET);
    CONSTANT(UT_DIRECTORY_OFFSET);
    CONSTANT(UT_STORE_OFFSET);
    CONSTANT(UT_HEAP_OFFSET);
    CONSTANT(UT_REF_CHECK_SHIFT);
    CONSTANT(UT_LEVEL_ATTRIBUTES);
    CONSTANT(UT_CATALOGUE_STRIDE);
    CONSTANT(UT_KIND_CATALOGUE);
    CONSTANT(UT_KIND_GROUP);
    CONSTANT(UT_KIND_ARRAY);
    CONSTANT(UT_KIND_DELETED);
    CONSTANT(UT_DESCRIPTOR_BODY);
    CONSTANT(UT_EPOCH_SHIFT);
    CONSTANT(UT_WRITER_NONE);
    CONSTANT(UT_WRITER_ACTIVE);
    CONSTANT(UT_WRITER_CLOSED);
    CONSTANT(UT_WRITER_RESTORING);
    CONSTANT(UT_STORE_ERROR_BYTES);
    CONSTANT(UT_STORE_PATH_BYTES);
    CONSTANT(UT_STORE_ONLY_READ);
    CONSTANT(UT_MAX_DEFINITION);
    CONSTANT(UNTORN_MAX_RANK);
    CONSTANT(UNTORN_MAX_ATTRIBUTES);
}

int main(void) {
    superblock();
    record();
    objects();
    pins();
    store_block();
    constants();
    return gaps;
}
