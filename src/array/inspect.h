// SPDX-License-Identifier: MIT
/*
 * An inspection: a segment or a dump of one, mapped read-only by somebody who takes no part in the
 * protocol.  Shared by the files that fill the inspecting calls' structures.
 *
 * What is wrong is a sentence in a list and not a failure.  Since a thing that is being changed
 * looks like a damaged one, a sentence is added only once the window vouches for what was seen,
 * or after several looks.
 */
#ifndef UT_INSPECT_H
#define UT_INSPECT_H

#include "array/definition.h"
#include "array/reader.h"

#define UT_INSPECT_LOOKS 8u /* at what the writer changes meanwhile */

typedef struct ut_inspected_array {
    uint32_t object;
    ut_definition *definition;
} ut_inspected_array;

struct untorn_inspection {
    ut_segment segment; /* its control is NULL: nothing here may write to it */
    bool dump;
    char *label; /* the segment's name, or the dump's path */
    const ut_control *control;
    size_t control_mapped; /* 0: it lies in the dump */
    int control_fd;        /* to ask for locks; -1: a dump, or not permitted */
    bool control_denied;
    uint64_t limit; /* bytes that are there */

    char **problems;
    size_t problem_count;

    ut_inspected_array *arrays;
    const char **names;
    size_t array_count, array_capacity;

    untorn_reader reader;
    bool reader_made;

    void *stored; /* of the layer above, which frees it by this */
    void (*stored_free)(void *stored);
};

/* Add a sentence, once. */
void ut_inspect_note(untorn_inspection *inspection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Forget the sentences from `count` on: they were about what was being changed. */
void ut_inspect_forget(untorn_inspection *inspection, size_t count);

/* The newest committed descriptor.  `what` names the object in sentences.  If it is damaged, an
 * older one from the ring and *damaged.  UT_NOT_FOUND: the writer was faster; UT_DAMAGED: none. */
ut_found ut_inspect_descriptor(untorn_inspection *inspection, ut_header *header, const char *what,
                               ut_descriptor *descriptor, bool *damaged);

/* A present chunk, or a subtree that is only in the store.  False ends the walk. */
typedef bool ut_inspect_visit(void *context, const ut_table_cell *cell);

typedef struct ut_inspect_walk {
    uint64_t nodes; /* of the table that were seen */
    bool damaged;   /* some references are bad; what is behind them was left out */
} ut_inspect_walk;

/* Visit what is present of chunks [first, last). */
ut_inspect_walk ut_inspect_table(untorn_inspection *inspection, const ut_descriptor *descriptor,
                                 uint64_t first, uint64_t last, ut_inspect_visit *visit,
                                 void *context);

/* What an inspection of the catalogue knows of an object. */
typedef struct ut_inspected_name {
    bool defined, damaged; /* has a definition, or one that cannot be read */
    bool listed;           /* a bucket names it */
    uint32_t hash;         /* of the definition's name */
} ut_inspected_name;

/* Whether the buckets of the catalogue's names have what the definitions say: `names` is by object,
 * shape[0] of them.  What is wrong is noted. */
void ut_inspect_names(untorn_inspection *inspection, const ut_descriptor *catalogue,
                      ut_inspected_name *names);

/* The i-th array of the catalogue, or NULL with the failure set. */
ut_inspected_array *ut_inspected(untorn_inspection *inspection, size_t i);

/* The reader of what is inspected; `backing` as of ut_reader_open(). */
void ut_inspect_make_reader(untorn_inspection *inspection, const ut_backing *backing,
                            untorn_reader **reader);

/* The name of the process, "" if it is not to be had.  `since` (ns since 1970; 0: whenever): a
 * process that started later is another one.  Returns its state's letter, or 0. */
char ut_inspect_process(int pid, int64_t since, char command[UNTORN_COMMAND_BYTES]);

/* Which lines of the control file are owned.  False if that cannot be known. */
bool ut_inspect_owned(const untorn_inspection *inspection, bool owned[UT_LINES]);

#endif
