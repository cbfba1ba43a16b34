// SPDX-License-Identifier: MIT
/* A workload: what the writer's process and the readers' processes do, and which is measured. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "cell.h"
#include "support/child.h"

/* Shared memory of all processes of a cell. */
struct stage {
    _Alignas(64) _Atomic int64_t start, end;      /* of the time that is measured */
    _Alignas(64) _Atomic int64_t stamp;           /* wake: just before the last publication */
    _Atomic uint64_t awaited[PEER_MAX_READERS];   /* wake: the round that a reader waits for */
    _Atomic unsigned copies;                      /* peer.copies */
    _Atomic uint64_t appended;                    /* append: bytes since it began anew */
    struct figures figures[PEER_MAX_READERS + 1]; /* of the readers; the last are the writer's */
};

/* A process, as it sees itself. */
struct role {
    const struct cell *cell;
    struct stage *stage;
    struct bench_control *control; /* the writer's, in every role */
    unsigned number;
    uint64_t round;     /* the writer: the last that it wrote */
    unsigned *selected; /* the writer: room for the numbers of all arrays */
    void *buffer;       /* a reader: what it copies to now */
};

static inline struct figures *role_figures(const struct role *role) {
    return &role->stage->figures[role->number];
}

/* Until the time is up, but one call is measured at least, however late and long it is.  An end of
 * 0 is at once. */
static inline int role_goes_on(const struct role *role, int64_t now) {
    int64_t end = atomic_load_explicit(&role->stage->end, memory_order_relaxed);
    return end != 0 && (now < end || role_figures(role)->calls == 0);
}

struct workload {
    const char *name;
    enum cell_kind kind;

    /* Why the peer cannot do it, or NULL. */
    const char *(*unable)(const struct cell *cell);

    /* A reader's buffer. */
    size_t (*room)(const struct cell *cell);

    /* The writer, before readers open: what there is at first. */
    void (*prepare)(struct role *role);

    /* The writer: one commit, by role->round, which is a new one.  NULL: it sleeps. */
    void (*commit)(struct role *role);

    /* The writer, after so many measured commits: outside the time; NULL: nothing. */
    void (*renew)(struct role *role, unsigned commits);

    /* How many commits may be made before the next renew(); NULL: any number. */
    size_t (*until_renewal)(const struct role *role);

    /* A reader: whatever is asked of a peer; returns as peer.read(). */
    uint64_t (*take)(struct role *role, const void **data, int64_t deadline);

    /* Whether what was taken is of one round. */
    int (*whole)(const struct role *role, const void *data);

    /* In place of commit() or take() again and again, if not NULL. */
    void (*writer)(struct role *role, uint32_t command);
    void (*reader)(struct role *role);
};

extern const struct workload workload_read, workload_rewrite, workload_commit, workload_append,
    workload_wake, workload_snapshot;

/* The writer: one commit, of the next round. */
static inline void role_commit(struct role *role, const struct workload *workload) {
    role->round++;
    workload->commit(role);
}

/* What several have in common; workload_read.c. */
void workload_write_once(struct role *role);
size_t workload_room_for_one(const struct cell *cell);
uint64_t workload_take_one(struct role *role, const void **data, int64_t deadline);
int workload_whole_one(const struct role *role, const void *data);

#endif
