// SPDX-License-Identifier: MIT
/*
 * A reader's lines in the control segment: asking for pins, and being counted
 * among the sleeping.
 *
 * A line belongs to whoever holds the kernel's lock on its byte of the control
 * file, through an open file that is never mapped and is closed in forked
 * children.  Each line holds one pin at a time.
 *
 * All of it is optional: a reader without rights to the control file gets no
 * line, no pin and no prompt wake-up.
 */
#ifndef UT_READER_LINE_H
#define UT_READER_LINE_H

#include "segment/descriptor.h"

#define UT_NO_LINE UINT32_MAX

/* What a process has of the control file. */
typedef struct ut_reader_lines {
    ut_segment *segment;
    int fd; /* with the locks; -1: none yet, or never */
    unsigned fork_generation;
    bool flusher;                  /* of the writer's flusher, which has a line of its own */
    unsigned char owned[UT_LINES]; /* 1: locked by us and free to use; 2: in use */
    uint32_t given;                /* the line given back last, which is free more often than not */
    _Atomic(ut_line *) counted;    /* the first line that was taken: statistics go there */
} ut_reader_lines;

void ut_lines_init(ut_reader_lines *lines, ut_segment *segment);
void ut_lines_close(ut_reader_lines *lines);

/* A line for a pin, or UT_NO_LINE. The caller serializes these two. */
uint32_t ut_line_take(ut_reader_lines *lines);
void ut_line_give(ut_reader_lines *lines, uint32_t line);

/* A pin, as its reader sees it. */
typedef struct ut_pin {
    uint32_t line;
    uint64_t nonce;  /* of the request; 0: none posted */
    uint64_t commit; /* granted; 0: not yet */
} ut_pin;

/* Ask for a pin on `wanted` (0: the newest). */
void ut_pin_request(ut_segment *segment, ut_pin *pin, uint64_t wanted);
/* Look whether it was granted; true if so, and pin->commit is set. */
bool ut_pin_granted(ut_segment *segment, ut_pin *pin);
/* Whether the grant still stands.  The caller's reads are behind an acquire fence. */
bool ut_pin_stands(ut_segment *segment, const ut_pin *pin);
/* Whether it was refused or ended: this nonce will not be granted any more. */
bool ut_pin_ended(ut_segment *segment, const ut_pin *pin);
void ut_pin_release(ut_segment *segment, ut_pin *pin);

/* Anybody's pin that stands on this commit; false if there is none. */
bool ut_pin_find(ut_segment *segment, uint64_t commit, ut_pin *pin);

#endif
