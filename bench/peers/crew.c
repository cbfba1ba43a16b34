// SPDX-License-Identifier: MIT
/*
 * Who does what when.  The writer writes what there is at first; then the
 * readers open.  Where commits are compared, the writer first works alone.  Then
 * the readers are told a time in the near future when to begin counting, and one
 * when to stop, so that all count the same time whenever they get the processor.
 *
 * Commits are counted from the end of one to the end of another: the first
 * process waits for the number to change at both ends, and takes the time.
 *
 * The writer warms up by commits before all that: STEADY_COMMITS are three times
 * as many as the copies that a peer keeps of a large array, and STEADY_TIME is
 * time for hundreds of a small one, of which a peer may keep more.  Readers
 * beside a writer get the time that as many reads take, to have seen all copies.
 *
 * A signal that ends the first process first ends the others, before servers and
 * files go: by telling them to, since some servers do not survive clients that
 * just vanish, and by force if that does not help.
 */
#include "crew.h"

#include "measured.h"
#include "pace.h"
#include "server.h"
#include "support/machine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARM_UP 50000000     /* ns */
#define WARM_UP_EACH 1000000 /* per reader */
#define STEADY_COMMITS 16
#define STEADY_TIME 5000000     /* ns */
#define STEADY_MOST 2000000000  /* for the slow */
#define PER_BYTE 0.2            /* ns; of a read */
#define FOR_A_LOOK 60000000000  /* for the read of what measured commits left behind */
#define LONGEST_SLEEP 20000000  /* between looks whether all processes are alive */
#define BETWEEN_LOOKS 20        /* us, whether there was a commit */
#define FOR_GOODBYE 1500000000  /* at the end before its time */
#define WRITER PEER_MAX_READERS /* its number */

enum { WORK = BENCH_FIRST_COMMAND };

static struct {
    struct cell *cell;
    const struct workload *workload;
    struct stage *stage;
    struct bench_child writer, reader[PEER_MAX_READERS];
} crew;
static pid_t owner;
static void (*previous[NSIG])(int);

/* ---- the writer's process */

static void tell_progress(struct role *role) {
    atomic_store_explicit(&role->control->progress, role->round, memory_order_relaxed);
}

/* Beside readers. */
static void write_while(struct role *role, uint32_t command) {
    struct pace pace;
    int paced = pace_begin(&pace, role->cell->duty, role->cell->rate);
    while (bench_child_going(role->control, command)) {
        role_commit(role, crew.workload);
        tell_progress(role);
        if (paced)
            pace_commit(&pace, role->control, command);
    }
}

/* Until all memory that commits take was written to more than once. */
static void become_steady(struct role *role) {
    int64_t start = bench_now(), spent = 0;
    if (!crew.workload->commit || crew.workload->renew)
        return;
    for (unsigned n = 0; (n < STEADY_COMMITS || spent < STEADY_TIME) && spent < STEADY_MOST; n++) {
        role_commit(role, crew.workload);
        spent = bench_now() - start;
    }
}

static void ignore_ends(void) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void writer_main(struct bench_control *control, void *context) {
    static unsigned selected[PEER_MAX_ARRAYS];
    const struct peer *peer = crew.cell->peer;
    struct role role = {.cell = crew.cell,
                        .stage = crew.stage,
                        .control = control,
                        .number = WRITER,
                        .selected = selected};
    uint32_t command;
    (void)context;
    ignore_ends();
    if (peer->writer_open)
        peer->writer_open(&crew.cell->layout);
    crew.workload->prepare(&role);
    become_steady(&role);
    tell_progress(&role);
    while ((command = bench_child_wait(control)) != BENCH_QUIT)
        if (crew.cell->kind == CELL_CALLS) {
            measured_commits(&role, crew.workload);
            tell_progress(&role);
            bench_child_done(control);
        } else if (crew.workload->writer) {
            crew.workload->writer(&role, command);
        } else {
            write_while(&role, command);
        }
    if (peer->copies)
        atomic_store(&role.stage->copies, peer->copies());
    if (peer->writer_close)
        peer->writer_close();
}

/* ---- a reader's process */

/* At what measured commits left behind. */
static void read_once(struct role *role) {
    const void *data = role->buffer;
    uint64_t attempts = crew.workload->take(role, &data, bench_now() + FOR_A_LOOK);
    role_figures(role)->torn = attempts == 0 || !crew.workload->whole(role, data);
}

static void reader_main(struct bench_control *control, void *context) {
    const struct peer *peer = crew.cell->peer;
    struct role role = {.cell = crew.cell,
                        .stage = crew.stage,
                        .control = crew.writer.control,
                        .number = *(unsigned *)context};
    ignore_ends();
    role.buffer = bench_private_memory(measured_room(crew.cell, crew.workload));
    if (peer->reader_open)
        peer->reader_open(&crew.cell->layout);
    while (bench_child_wait(control) != BENCH_QUIT) {
        if (crew.cell->kind == CELL_CALLS)
            read_once(&role);
        else if (crew.workload->reader)
            crew.workload->reader(&role);
        else
            measured_reads(&role, crew.workload);
        bench_child_done(control);
    }
    if (peer->reader_close)
        peer->reader_close();
}

/* ---- the first process */

static unsigned readers(void) {
    return crew.cell->kind == CELL_CALLS ? 1 : crew.cell->layout.readers;
}

static void check_all(void) {
    bench_child_check(&crew.writer);
    for (unsigned i = 0; i < readers(); i++)
        if (crew.reader[i].pid)
            bench_child_check(&crew.reader[i]);
}

static void sleep_until(int64_t time) {
    int64_t left;
    while ((left = time - bench_now()) > 0) {
        usleep((useconds_t)((left > LONGEST_SLEEP ? LONGEST_SLEEP : left) / 1000 + 1));
        check_all();
    }
}

struct mark {
    uint64_t commits;
    int64_t time;
};

static struct mark now(void) {
    return (struct mark){atomic_load(&crew.writer.control->progress), bench_now()};
}

/* The end of the next commit; if there is none for as long as is measured, just now. */
static struct mark next_commit(void) {
    uint64_t before = atomic_load(&crew.writer.control->progress);
    int64_t give_up = bench_now() + (int64_t)(crew.cell->seconds * 1e9);
    for (;;) {
        struct mark mark = now();
        if (mark.commits != before || mark.time > give_up)
            return mark;
        check_all();
        usleep(BETWEEN_LOOKS);
    }
}

/* Commits per nanosecond. */
static double rate_between(struct mark from, struct mark to) {
    return (double)(to.commits - from.commits) / (double)(to.time - from.time);
}

static double rate_alone(void) {
    sleep_until(bench_now() + WARM_UP);
    struct mark from = next_commit();
    sleep_until(from.time + (int64_t)(crew.cell->seconds * 1e9));
    return rate_between(from, next_commit());
}

/* Of readers that share a processor. */
static int64_t time_to_see_all_copies(void) {
    const struct peer_layout *layout = &crew.cell->layout;
    double bytes = (double)layout->bytes * layout->arrays * readers();
    return crew.cell->kind == CELL_READS_BESIDE_COMMITS
               ? (int64_t)(STEADY_COMMITS * PER_BYTE * bytes)
               : 0;
}

static void set_time(void) {
    int64_t start = bench_now() + WARM_UP + WARM_UP_EACH * (int64_t)readers();
    start += time_to_see_all_copies();
    atomic_store(&crew.stage->start, start);
    atomic_store(&crew.stage->end, start + (int64_t)(crew.cell->seconds * 1e9));
}

static void add_up(void) {
    struct figures *total = &crew.cell->total;
    for (unsigned i = 0; i <= WRITER; i++)
        figures_merge(total, &crew.stage->figures[i]);
    crew.cell->wall = total->ended - total->begun;
}

static void start_readers(void) {
    for (unsigned i = 0; i < readers(); i++) {
        crew.reader[i] = bench_child_start_on(BENCH_READER_CORE, reader_main, &i);
        bench_child_ready(&crew.reader[i]);
    }
}

static void measure_readers(void) {
    int compares = crew.cell->kind == CELL_READS_BESIDE_COMMITS;
    double alone = 0;
    struct mark start = {0, 0}, from = start, to = {0, 1};
    start_readers();
    if (crew.workload->commit || crew.workload->writer)
        bench_child_command(&crew.writer, WORK);
    if (compares)
        alone = rate_alone();
    set_time();
    for (unsigned i = 0; i < readers(); i++)
        bench_child_tell(&crew.reader[i], WORK);
    sleep_until(atomic_load(&crew.stage->start));
    if (compares) {
        start = now();
        from = next_commit();
    }
    sleep_until(atomic_load(&crew.stage->end));
    if (compares)
        to = next_commit();
    for (unsigned i = 0; i < readers(); i++)
        bench_child_await_done(&crew.reader[i]);
    if (compares && to.commits == from.commits) { /* in all the time there may be some */
        from = start;
        to = now();
    }
    bench_child_command(&crew.writer, BENCH_IDLE);
    add_up();
    crew.cell->commits = rate_between(from, to) * (double)crew.cell->wall;
    crew.cell->commits_alone = alone * (double)crew.cell->wall;
}

static void measure_writer(void) {
    set_time();
    bench_child_tell(&crew.writer, WORK);
    sleep_until(atomic_load(&crew.stage->end));
    bench_child_await_done(&crew.writer);
    start_readers();
    bench_child_tell(&crew.reader[0], WORK);
    bench_child_await_done(&crew.reader[0]);
    add_up();
}

/* From here on it is none of end_all()'s. */
static void stop(struct bench_child *child) {
    struct bench_child last = *child;
    child->pid = 0;
    bench_child_stop(&last);
}

void crew_run(struct cell *cell, const struct workload *workload) {
    crew.cell = cell;
    crew.workload = workload;
    crew.stage = bench_shared_memory(sizeof(*crew.stage));
    crew.writer = bench_child_start(writer_main, NULL);
    bench_child_ready(&crew.writer);
    if (cell->kind == CELL_CALLS)
        measure_writer();
    else
        measure_readers();
    for (unsigned i = 0; i < readers(); i++)
        stop(&crew.reader[i]);
    stop(&crew.writer);
    cell->copies = atomic_load(&crew.stage->copies);
    bench_shared_memory_free(crew.stage, sizeof(*crew.stage));
}

/* ---- the end before its time */

/* To the writer and the readers that run. */
static int children(struct bench_child *child[PEER_MAX_READERS + 1]) {
    int count = 0;
    if (crew.writer.pid > 0)
        child[count++] = &crew.writer;
    for (unsigned i = 0; i < PEER_MAX_READERS; i++)
        if (crew.reader[i].pid > 0)
            child[count++] = &crew.reader[i];
    return count;
}

static int ended_by(pid_t pid, int64_t time) {
    const struct timespec moment = {0, 5000000};
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (bench_now() > time)
            return 0;
        nanosleep(&moment, NULL);
    }
    return 1;
}

/* Called by exit(), too, after a failure; then one of them has ended already. */
static void end_all(void) {
    struct bench_child *child[PEER_MAX_READERS + 1];
    if (getpid() != owner)
        return;
    int count = children(child);
    if (count > 0)
        atomic_store(&crew.stage->end, 0);
    for (int i = 0; i < count; i++)
        bench_child_tell(child[i], BENCH_QUIT);
    int64_t give_up = bench_now() + FOR_GOODBYE;
    for (int i = 0; i < count; i++)
        if (!ended_by(child[i]->pid, give_up)) {
            kill(child[i]->pid, SIGKILL);
            waitpid(child[i]->pid, NULL, 0);
        }
}

static void on_signal(int number) {
    end_all();
    server_stop();
    if (previous[number] != SIG_DFL && previous[number] != SIG_IGN)
        previous[number](number);
    _exit(128 + number);
}

void crew_catch_signals(void) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    owner = getpid();
    atexit(end_all);
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        previous[ends[i]] = signal(ends[i], on_signal);
}
