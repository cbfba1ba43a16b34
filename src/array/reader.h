// SPDX-License-Identifier: MIT
/*
 * The reader's handle and its arrays, as the files of the reading half share them.
 *
 * A copy counts once it has passed its check: after an acquire fence, either the
 * window still reaches back to the generation it was made from, or a pin stands
 * on the commit for which that generation was chosen.
 */
#ifndef UT_READER_H
#define UT_READER_H

#include "array/backing.h"
#include "array/definition.h"
#include "array/slot_guess.h"
#include "segment/cell_table.h"
#include "segment/reader_line.h"

#include <pthread.h>

/* --- hold.c: what makes reads valid --- */

typedef struct ut_hold {
    ut_segment *segment;
    uint64_t commit; /* descriptors were chosen as of this one; 0: each the newest */
    ut_pin own;      /* nonce 0: none posted */
    ut_pin joined;   /* somebody's pin on the same commit; nonce 0: none */
} ut_hold;

/* Whether all that was read so far of this generation of the object is valid. */
bool ut_hold_valid(ut_hold *hold, const ut_header *header, uint64_t generation);

/* A bounded number of attempts at one consistent read: optimistic ones, then with a pin. */
typedef struct ut_attempts {
    untorn_reader *reader;
    ut_hold hold;
    unsigned count;  /* begun */
    unsigned denied; /* pins that were refused or revoked */
    bool group;      /* needs one commit for several objects */
    uint32_t line;
} ut_attempts;

void ut_attempts_begin(ut_attempts *attempts, untorn_reader *reader, bool group);
/* Begin an attempt; sets hold.commit.  UNTORN_E_OVERTAKEN if there were enough. */
untorn_status ut_attempts_next(ut_attempts *attempts);
void ut_attempts_end(ut_attempts *attempts);
/* The descriptor that this attempt reads: of hold.commit, or the newest. */
ut_found ut_attempts_descriptor(ut_attempts *attempts, ut_header *header, ut_descriptor *cached);

/* --- catalogue.c --- */

typedef struct ut_catalogue_entry {
    uint64_t version; /* of the text; 0: absent */
    unsigned kind;
    const char *name; /* points into text */
    char *text;       /* the encoded definition */
    size_t length;
    ut_definition *definition; /* decoded when first asked for */
} ut_catalogue_entry;

/* Definitions by object index, as of one generation of the catalogue. */
typedef struct ut_catalogue {
    ut_descriptor descriptor; /* cached; stamp of what the entries are */
    uint64_t stamp;           /* generation that the entries show; 0: none */
    uint64_t commit;
    ut_catalogue_entry *entries;
    size_t count, capacity;
} ut_catalogue;

/* Whether a descriptor may be the catalogue's. */
bool ut_catalogue_plausible(const ut_descriptor *descriptor);
/* The entry of the group, or NULL; *below: whether a name has it as a path prefix. */
ut_catalogue_entry *ut_catalogue_find_group(const ut_catalogue *catalogue, const char *group,
                                            bool *below);
/* The entry's definition, which lives as long as the entry unless it is held. */
untorn_status ut_catalogue_decode(ut_catalogue_entry *entry, ut_definition **definition);

/* Bring the entries up to what the attempt sees.  Overtaken: UT_NOT_FOUND. */
ut_found ut_catalogue_refresh(ut_catalogue *catalogue, ut_attempts *attempts,
                              untorn_status *failure);
void ut_catalogue_free(ut_catalogue *catalogue);
/* With attempts of its own. */
untorn_status ut_catalogue_update(untorn_reader *reader);

/* Copy the text at `place` (level UT_LEVEL_ATTRIBUTES, or 0 for definitions) behind a
 * NUL-terminated private copy, which the caller frees.  Not yet validated. */
ut_found ut_text_copy(ut_segment *segment, uint64_t offset, uint64_t most, char **text,
                      size_t *length);

/* --- catalogue_find.c --- */

/* The object of this name and kind in the newest catalogue.  *definition is held for the caller;
 * NULL: there is none. */
untorn_status ut_catalogue_find(untorn_reader *reader, const char *name, unsigned kind,
                                uint32_t *object, ut_definition **definition);

/* --- handles --- */

/* --- what lies behind the segment: backing.h --- */

struct untorn_reader {
    ut_segment *segment;
    const ut_backing *backing; /* NULL: chunks that are only in the store cannot be read */
    void *backed;              /* its own, of this attachment; under `lock` */
    size_t cache_bytes;        /* for it */
    unsigned threads;          /* for one call of it */
    unsigned attempts;         /* optimistic ones */
    unsigned flags;
    int64_t spin;               /* ns that a wait looks before it sleeps */
    unsigned serial;            /* counts attachments */
    _Atomic int64_t gone_since; /* monotonic ns when first no writer was found; 0: there was one */
    pthread_mutex_t lock;       /* lines, catalogue, lists of handles */
    ut_reader_lines lines;
    ut_catalogue catalogue;
    struct untorn_array *arrays;
    struct untorn_snapshot *snapshots;
    struct untorn_snapshot *spare; /* closed; its memory is for the next one; NULL: none */
};

/* Reads were completed: of this commit, 0: of the newest.  Counted if the reader owns a line, for
 * whoever looks at it from outside; no reader takes one for that. */
void ut_reader_publish(untorn_reader *reader, ut_line *line, unsigned reads, unsigned attempts,
                       uint64_t commit);
static inline void ut_reader_count(untorn_reader *reader, unsigned reads, unsigned attempts,
                                   uint64_t commit) {
    ut_line *line = ut_load_acquire(&reader->lines.counted);
    if (__builtin_expect(line != NULL, 0))
        ut_reader_publish(reader, line, reads, attempts, commit);
}

untorn_status ut_reader_open(const char *segment, const untorn_reader_options *options,
                             const ut_backing *backing, untorn_reader **reader);

/* For the writer's flusher, in its own process: with the line that is kept for it. */
untorn_status ut_reader_open_flusher(const char *segment, untorn_reader **reader);

/* What was copied and passed its check, of one tile. */
typedef struct ut_kept {
    uint64_t version; /* of the chunk; UT_KEPT_ABSENT; 0: nothing kept */
    uint64_t rows;    /* along the first axis */
} ut_kept;
#define UT_KEPT_ABSENT UINT64_MAX

struct untorn_array {
    /* What reading an array of one chunk again needs comes first, to share cache lines. */
    uint64_t single_stamp; /* the generation for which the next two are; 0: none */
    const void *single;    /* the slot of an array that is one chunk */
    size_t single_bytes;
    ut_header *header;
    untorn_reader *reader;
    unsigned serial; /* of the attachment that the rest belongs to */
    unsigned again;  /* times that it was read again and that is not counted yet */
    uint32_t index;
    ut_definition *definition;
    ut_descriptor cached;            /* the last that was seen; keyed by its own stamp */
    uint64_t checked;                /* stamp of the descriptor found to fit the definition */
    uint64_t shape[UNTORN_MAX_RANK]; /* that was found to fit it, ... */
    uint64_t cells[UNTORN_MAX_RANK]; /* ... and of its grid */
    uint64_t all_cells;              /* 0: none was yet */
    ut_slot_guess guess;             /* where chunks lie */
    ut_kept *kept;                   /* scratch */
    size_t kept_capacity;
    ut_definition **former; /* definitions of earlier attachments: info may point there */
    size_t former_count;
    struct untorn_array *previous, *next;
};

/* Find the array again if the reader was attached anew. */
untorn_status ut_array_resolve(untorn_array *array);
untorn_status ut_array_make(untorn_reader *reader, uint32_t index, ut_definition *definition,
                            untorn_array **out);
void ut_array_free(untorn_array *array);
/* Set the message to `segment "s": array "a": ` and the reason; returns `status`. */
untorn_status ut_array_fail(const untorn_array *array, untorn_status status, const char *format,
                            ...) __attribute__((format(printf, 3, 4)));

/* --- copy.c --- */

/* Whether the descriptor is of this array and fits its definition.  UT_NOT_FOUND: the array
 * was deleted.  Sets array->cells. */
ut_found ut_array_check(untorn_array *array, const ut_descriptor *descriptor);

/* One region to be read, over all attempts. */
typedef struct ut_region {
    uint64_t start[UNTORN_MAX_RANK];
    uint64_t count[UNTORN_MAX_RANK];
    int64_t strides[UNTORN_MAX_RANK]; /* of the destination */
    bool stepped;                     /* else all steps are 1 and not set */
    uint64_t step[UNTORN_MAX_RANK];
    unsigned char *destination;
    ut_kept *kept; /* NULL: keeps nothing */
    size_t kept_count;
    bool kept_valid;       /* what is kept is for these starts and trailing counts */
    untorn_status failure; /* of the store, with its message; else UNTORN_OK */
} ut_region;

/* Copy the region of this generation.  UT_NOT_FOUND: overtaken; what passed is kept.  UT_DAMAGED:
 * see region->failure for whether it is the store or the segment. */
ut_found ut_region_copy(ut_hold *hold, untorn_array *array, const ut_descriptor *descriptor,
                        ut_region *region);

/* Resolve start and count (NULL, UNTORN_TO_END) against a shape.  UNTORN_E_REGION. */
untorn_status ut_region_bounds(const untorn_array *array, const uint64_t *shape,
                               const uint64_t *start, const uint64_t *count, uint64_t *from,
                               uint64_t *n);

/* The same with steps (NULL: all 1), which become the region's. */
untorn_status ut_region_take(const untorn_array *array, const uint64_t *shape,
                             const uint64_t *start, const uint64_t *count, const uint64_t *steps,
                             uint64_t *from, uint64_t *n, ut_region *region);

/* A chunk that is only in the store, whose cell was read from this descriptor and found valid.
 * *present false: it is absent.  `memory` has slot_bytes bytes. */
ut_found ut_evicted_read(ut_hold *hold, untorn_array *array, const ut_descriptor *descriptor,
                         const uint64_t *index, ut_place place, void *memory, bool *present,
                         untorn_status *failure);

static inline void ut_result_set(untorn_result *result, const ut_descriptor *descriptor,
                                 unsigned attempts, bool pinned) {
    if (result == NULL)
        return;
    unsigned rank = ut_kind_rank(descriptor->kind);
    result->generation = descriptor->stamp;
    result->commit = descriptor->commit;
    result->time = descriptor->time;
    result->attempts = attempts;
    result->pinned = pinned;
    result->rank = rank;
    for (unsigned axis = 0; axis < rank; axis++)
        result->shape[axis] = descriptor->shape[axis];
}

/* The attributes of a descriptor, as a private text. Not yet validated. */
ut_found ut_attributes_copy(ut_segment *segment, const ut_descriptor *descriptor, char **json);

#endif
