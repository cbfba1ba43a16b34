// SPDX-License-Identifier: MIT
/*
 * The demo's script of events.
 *
 *     driver SEGMENT DIRECTORY BUILD STORE
 *
 * A recorder samples this machine's kernel counters a thousand times a second
 * into a group of arrays; three consumers read the whole group as fast as they
 * can, two by group reads and one by snapshots, and judge every read.  Halfway
 * the recorder is killed with SIGKILL and another adopts the segment, with the
 * consumers attached.  All the while it is flushed to a store.  At the end all of
 * them are killed with SIGKILL and the segment's files are removed, as a power cut
 * would do it; the segment is made again from the store, and the judge looks at
 * every row of it.  Then the same judge looks at a plain copy without any
 * protocol.  Exit status 0 if no read was torn, no row lost, no flushed row lost
 * over the restart, and the judge did catch the plain copy.
 */
#include "stats.h"

#include "untorn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define GROUP "kernel"
#define HUNG 60000000000u /* ns */

struct demo {
    const char *segment, *directory, *build, *store;
    double seconds; /* of each recorder */
    char stats_path[512], plain_path[512];
    struct demo_stats *stats, *plain;
    pid_t recorder, consumer[DEMO_READERS];
    untorn_reader *reader;
    uint64_t row_bytes[ROW_ARRAYS];
    /* what happened */
    uint64_t commits, rows_at_kill, rows_at_end, reads_without_writer;
    uint64_t lost_at_end; /* rows that a consumer had seen before the kill and that are gone */
    double adoption_ms;
    untorn_flush_state flushed; /* what the last flush before the end reported */
    uint64_t rows_flushed;      /* at least so many rows it had */
    uint64_t rows_restarted;
    enum row_verdict restarted;
    double restart_ms;
};

static _Noreturn void fail(struct demo *demo, const char *format, ...) {
    va_list arguments;
    char command[600];
    va_start(arguments, format);
    fputs("demo: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(NULL);
    snprintf(command, sizeof(command), "tail -n 5 '%s'/*.log >&2", demo->directory);
    if (system(command) != 0)
        fputs("demo: no logs\n", stderr);
    exit(1);
}

static void say(const char *format, ...) {
    static uint64_t start;
    va_list arguments;
    if (!start)
        start = demo_now();
    printf("%6.2f s  ", (double)(demo_now() - start) / 1e9);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void sleep_seconds(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* Start a program whose output goes to a log in the directory. */
static pid_t start(struct demo *demo, const char *log, char *const arguments[]) {
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char path[600];
    snprintf(path, sizeof(path), "%s/%s.log", demo->directory, log);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execv(arguments[0], arguments);
    fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

static void start_recorder(struct demo *demo) {
    char program[600];
    snprintf(program, sizeof(program), "%s/untorn", demo->build);
    char *arguments[] = {program,
                         (char *)(uintptr_t) "record",
                         (char *)(uintptr_t)demo->segment,
                         (char *)(uintptr_t) "--rate",
                         (char *)(uintptr_t) "1000",
                         (char *)(uintptr_t) "--store",
                         (char *)(uintptr_t)demo->store,
                         NULL};
    demo->recorder = start(demo, "recorder", arguments);
}

static void start_consumers(struct demo *demo) {
    for (int c = 0; c < DEMO_READERS; c++) {
        char program[600], place[12], log[32];
        snprintf(program, sizeof(program), "%s/demo/consumer", demo->build);
        snprintf(place, sizeof(place), "%d", c);
        snprintf(log, sizeof(log), "consumer-%d", c);
        char *arguments[] = {program,
                             (char *)(uintptr_t)demo->segment,
                             (char *)(uintptr_t)GROUP,
                             (char *)(uintptr_t)(c == DEMO_READERS - 1 ? "snapshot" : "group"),
                             demo->stats_path,
                             place,
                             NULL};
        demo->consumer[c] = start(demo, log, arguments);
    }
}

/* Nobody but a recorder that was killed on purpose may have ended. */
static void check_alive(struct demo *demo) {
    int status;
    for (int c = 0; c < DEMO_READERS; c++)
        if (demo->consumer[c] && waitpid(demo->consumer[c], &status, WNOHANG) != 0)
            fail(demo, "consumer %d ended with status 0x%x", c, (unsigned)status);
    if (demo->recorder && waitpid(demo->recorder, &status, WNOHANG) != 0)
        fail(demo, "the recorder ended with status 0x%x", (unsigned)status);
}

static void run_for(struct demo *demo, double seconds) {
    uint64_t end = demo_now() + (uint64_t)(seconds * 1e9);
    while (demo_now() < end) {
        sleep_seconds(0.1);
        check_alive(demo);
    }
}

static void attach(struct demo *demo) {
    untorn_array *array;
    uint64_t end = demo_now() + HUNG;
    while (untorn_reader_open(demo->segment, NULL, &demo->reader) != UNTORN_OK) {
        if (demo_now() > end)
            fail(demo, "the recorder's segment does not appear: %s", untorn_message());
        sleep_seconds(0.01);
        check_alive(demo);
    }
    if (untorn_wait_array(demo->reader, GROUP "/check", HUNG, &array) != UNTORN_OK)
        fail(demo, "the recorder defines no arrays: %s", untorn_message());
}

/* The sizes of the rows of each array, for the plain copy. */
static void measure_rows(struct demo *demo) {
    for (int a = 0; a < ROW_ARRAYS; a++) {
        char name[64];
        untorn_array *array;
        untorn_array_info info;
        untorn_result now;
        snprintf(name, sizeof(name), GROUP "/%s", row_names[a]);
        if (untorn_array_open(demo->reader, name, &array) != UNTORN_OK)
            continue;
        if (untorn_array_get_info(array, &info) == UNTORN_OK &&
            untorn_peek(array, &now) == UNTORN_OK) {
            demo->row_bytes[a] = info.itemsize;
            for (unsigned axis = 1; axis < info.rank; axis++)
                demo->row_bytes[a] *= now.shape[axis];
        }
        untorn_array_close(array);
    }
}

static uint64_t total(const struct demo_stats *stats, size_t member) {
    uint64_t sum = 0;
    for (int r = 0; r < DEMO_READERS; r++)
        sum += atomic_load(
            (const _Atomic uint64_t *)(const void *)((const char *)&stats->reader[r] + member));
    return sum;
}
#define TOTAL(stats, member) total(stats, offsetof(struct reader_stats, member))

static uint64_t most_rows(const struct demo *demo) {
    uint64_t most = 0;
    for (int r = 0; r < DEMO_READERS; r++) {
        uint64_t rows = atomic_load(&demo->stats->reader[r].rows);
        most = rows > most ? rows : most;
    }
    return most;
}

/* Have each consumer hash every row it can see, and wait until all have. */
static void full_check(struct demo *demo) {
    uint64_t request = atomic_fetch_add(&demo->stats->full_request, 1) + 1;
    uint64_t end = demo_now() + HUNG;
    for (int r = 0; r < DEMO_READERS; r++)
        while (atomic_load(&demo->stats->reader[r].answered) < request) {
            check_alive(demo);
            if (demo_now() > end)
                return; /* the torn reads that keep it from answering are counted */
            sleep_seconds(0.005);
        }
}

static void kill_recorder(struct demo *demo) {
    kill(demo->recorder, SIGKILL);
    waitpid(demo->recorder, NULL, 0);
    demo->recorder = 0;
    uint64_t before = TOTAL(demo->stats, reads);
    full_check(demo);
    run_for(demo, 0.3);
    demo->reads_without_writer = TOTAL(demo->stats, reads) - before;
    demo->rows_at_kill = most_rows(demo);
    untorn_status status = untorn_reader_check(demo->reader);
    say("killed the recorder with SIGKILL after row %llu; readers are told \"%s\" and go on",
        (unsigned long long)demo->rows_at_kill, untorn_status_text(status));
}

static void adopt(struct demo *demo) {
    uint64_t commit = untorn_reader_commit(demo->reader), start_ns = demo_now();
    untorn_stat stat;
    start_recorder(demo);
    for (;;) {
        untorn_status status = untorn_wait_commit(demo->reader, commit + 1, 100000000);
        if (status == UNTORN_OK)
            break;
        check_alive(demo);
        if (status == UNTORN_E_REPLACED || status == UNTORN_E_REMOVED)
            fail(demo, "the segment was not adopted: %s", untorn_message());
        if (demo_now() - start_ns > HUNG)
            fail(demo, "the second recorder does not commit: %s", untorn_message());
        sleep_seconds(0.0005);
    }
    demo->adoption_ms = (double)(demo_now() - start_ns) / 1e6;
    if (untorn_reader_stat(demo->reader, &stat) != UNTORN_OK || stat.writer_pid != demo->recorder)
        fail(demo, "the segment's writer is not the second recorder");
    full_check(demo);
    uint64_t rows = most_rows(demo);
    demo->lost_at_end = rows < demo->rows_at_kill ? demo->rows_at_kill - rows : 0;
    say("another recorder adopted the segment, and committed %.1f ms after its start",
        demo->adoption_ms);
}

/*
 * What the last flush reported, as rows: a commit makes at most one row, so of the rows that are
 * there now at most one for each commit since then is not in it.
 */
static void note_flushed(struct demo *demo) {
    untorn_array *check;
    untorn_result now;
    if (untorn_reader_flush_state(demo->reader, &demo->flushed) != UNTORN_OK)
        fail(demo, "the state of flushing: %s", untorn_message());
    if (demo->flushed.failures || !demo->flushed.flushed_commit)
        fail(demo, "flushing failed: %s", demo->flushed.error);
    if (untorn_array_open(demo->reader, GROUP "/check", &check) != UNTORN_OK ||
        untorn_peek(check, &now) != UNTORN_OK)
        fail(demo, "the last row: %s", untorn_message());
    untorn_array_close(check);
    uint64_t since =
        now.commit > demo->flushed.flushed_commit ? now.commit - demo->flushed.flushed_commit : 0;
    demo->rows_flushed = now.shape[0] > since ? now.shape[0] - since : 0;
}

static void kill_all(struct demo *demo) {
    full_check(demo);
    check_alive(demo);
    demo->commits = untorn_reader_commit(demo->reader) - 1; /* but for the segment's creation */
    demo->rows_at_end = most_rows(demo);
    note_flushed(demo);
    kill(demo->recorder, SIGKILL);
    for (int c = 0; c < DEMO_READERS; c++)
        kill(demo->consumer[c], SIGKILL);
    waitpid(demo->recorder, NULL, 0);
    for (int c = 0; c < DEMO_READERS; c++)
        waitpid(demo->consumer[c], NULL, 0);
    untorn_reader_close(demo->reader);
    if (untorn_segment_remove(demo->segment) != UNTORN_OK)
        fail(demo, "removing the segment: %s", untorn_message());
    say("killed recorder and readers with SIGKILL after row %llu, and removed the segment",
        (unsigned long long)demo->rows_at_end);
}

/* untorn COMMAND ONE [OTHER], which must succeed. */
static void run_untorn(struct demo *demo, const char *command, const char *one, const char *other) {
    char program[600];
    int status = 0;
    snprintf(program, sizeof(program), "%s/untorn", demo->build);
    char *arguments[] = {program, (char *)(uintptr_t)command, (char *)(uintptr_t)one,
                         (char *)(uintptr_t)other, NULL};
    waitpid(start(demo, command, arguments), &status, 0);
    if (status != 0)
        fail(demo, "untorn %s ended with status 0x%x", command, (unsigned)status);
}

/* All rows of the group as of one commit, judged. */
static void judge_restarted(struct demo *demo) {
    untorn_request requests[ROW_ARRAYS];
    struct rows rows = {.data = {NULL}};
    int role[ROW_ARRAYS];
    size_t count = 0;
    memset(requests, 0, sizeof(requests));
    if (untorn_reader_open(demo->segment, NULL, &demo->reader) != UNTORN_OK)
        fail(demo, "the segment after its restart: %s", untorn_message());
    for (int a = 0; a < ROW_ARRAYS; a++) {
        char name[64];
        snprintf(name, sizeof(name), GROUP "/%s", row_names[a]);
        if (demo->row_bytes[a] == 0)
            continue;
        if (untorn_array_open(demo->reader, name, &requests[count].array) != UNTORN_OK)
            fail(demo, "after the restart: %s", untorn_message());
        requests[count].flags = UNTORN_GROW;
        role[count++] = a;
    }
    if (untorn_read_group(demo->reader, requests, count, NULL) != UNTORN_OK)
        fail(demo, "reading after the restart: %s", untorn_message());
    for (size_t i = 0; i < count; i++) {
        rows.data[role[i]] = requests[i].destination;
        rows.row_bytes[role[i]] = demo->row_bytes[role[i]];
        rows.length[role[i]] = requests[i].shape[0];
    }
    demo->rows_restarted = rows.length[ROW_CHECK];
    demo->restarted = rows_same_length(&rows);
    if (demo->restarted == ROWS_WHOLE)
        demo->restarted = rows_verify(&rows, 0, demo->rows_restarted);
    for (size_t i = 0; i < count; i++)
        free(requests[i].destination);
    untorn_reader_close(demo->reader);
}

static void restart(struct demo *demo) {
    uint64_t start_ns = demo_now();
    run_untorn(demo, "load", demo->store, demo->segment);
    demo->restart_ms = (double)(demo_now() - start_ns) / 1e6;
    judge_restarted(demo);
    say("made the segment again from the store in %.0f ms: %llu rows, %s", demo->restart_ms,
        (unsigned long long)demo->rows_restarted, row_verdict_text[demo->restarted]);
    run_untorn(demo, "verify", demo->store, NULL);
    say("verified every file of the store");
}

static void run_plain(struct demo *demo) {
    char program[600], seconds[32], bytes[3][24];
    snprintf(program, sizeof(program), "%s/demo/plain_copy", demo->build);
    snprintf(seconds, sizeof(seconds), "%.2f", demo->seconds / 3);
    for (int i = 0; i < 3; i++)
        snprintf(bytes[i], sizeof(bytes[i]), "%llu",
                 (unsigned long long)demo->row_bytes[ROW_CPU + i]);
    char *arguments[] = {program, demo->plain_path, seconds, bytes[0], bytes[1], bytes[2], NULL};
    int status;
    pid_t pid = start(demo, "plain_copy", arguments);
    waitpid(pid, &status, 0);
    if (status != 0)
        fail(demo, "plain_copy ended with status 0x%x", (unsigned)status);
}

static double reads_per_second(const struct demo_stats *stats) {
    double sum = 0;
    for (int r = 0; r < DEMO_READERS; r++) {
        uint64_t first = atomic_load(&stats->reader[r].first_ns);
        uint64_t last = atomic_load(&stats->reader[r].last_ns);
        if (last > first)
            sum += (double)atomic_load(&stats->reader[r].reads) * 1e9 / (double)(last - first);
    }
    return sum;
}

static uint64_t all_torn(const struct demo_stats *stats) {
    uint64_t torn = 0;
    for (int r = 0; r < DEMO_READERS; r++)
        torn += demo_torn(&stats->reader[r]);
    return torn;
}

static void line(const char *what, const char *untorn, const char *plain) {
    printf("  %-36s %14s %14s\n", what, untorn, plain);
}

static const char *number(uint64_t value) {
    static char text[8][32];
    static int next;
    next = (next + 1) % 8;
    snprintf(text[next], sizeof(text[next]), "%llu", (unsigned long long)value);
    return text[next];
}

static const char *decimal(const char *format, double value) {
    static char text[4][32];
    static int next;
    next = (next + 1) % 4;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text[next], sizeof(text[next]), format, value);
#pragma GCC diagnostic pop
    return text[next];
}

static void print_torn(const struct demo *demo) {
    line("torn reads", number(all_torn(demo->stats)), number(all_torn(demo->plain)));
    for (int v = ROWS_WHOLE + 1; v < ROW_VERDICTS; v++) {
        uint64_t ours = 0, plains = 0;
        char what[64];
        for (int r = 0; r < DEMO_READERS; r++) {
            ours += atomic_load(&demo->stats->reader[r].torn[v]);
            plains += atomic_load(&demo->plain->reader[r].torn[v]);
        }
        snprintf(what, sizeof(what), "  %s", row_verdict_text[v]);
        if (ours + plains)
            line(what, number(ours), number(plains));
    }
}

static void print_python(const struct demo *demo) {
    printf("\nThe recording stays on disk. Any Zarr reader opens it; with zarr-python:\n\n"
           "python3 -c \"import os, zarr; g = zarr.open(os.path.realpath('%s/latest'), mode='r');"
           " print(g['" GROUP "/cpu'].shape, g['" GROUP "/time'][-1])\"\n",
           demo->store);
}

static int report(struct demo *demo) {
    struct demo_stats *stats = demo->stats;
    uint64_t reads = TOTAL(stats, reads), torn = all_torn(stats), caught = all_torn(demo->plain);
    uint64_t lost = demo->lost_at_end + TOTAL(stats, lost);
    uint64_t back = TOTAL(stats, steps_back);
    uint64_t lost_by_restart =
        demo->rows_flushed > demo->rows_restarted ? demo->rows_flushed - demo->rows_restarted : 0;
    double attempts = reads ? (double)TOTAL(stats, attempts) / (double)reads : 0;
    uint64_t row = 0;
    for (int a = 0; a < ROW_ARRAYS; a++)
        row += demo->row_bytes[a];
    printf("\n");
    line("", "untorn", "plain copy");
    line("commits", number(demo->commits), "-");
    line("rows", number(demo->rows_at_end), "-");
    line("bytes in a row, all arrays", number(row), number(row));
    line("reads of all arrays", number(reads), number(TOTAL(demo->plain, reads)));
    line("reads per second, 3 readers", decimal("%.0f", reads_per_second(stats)),
         decimal("%.0f", reads_per_second(demo->plain)));
    line("attempts per read", decimal("%.4f", attempts), "-");
    line("reads that needed a pin", number(TOTAL(stats, pinned)), "-");
    line("reads that gave up", number(TOTAL(stats, overtaken)), "-");
    line("reads in which all rows were hashed", number(TOTAL(stats, full_checks)), "all");
    line("reads while no writer lived", number(demo->reads_without_writer), "-");
    line("adoption, start to first commit", decimal("%.1f ms", demo->adoption_ms), "-");
    line("flushes to the store", number(demo->flushed.flushes), "-");
    line("rows in the store at the end", number(demo->rows_flushed), "-");
    line("rows after the restart from it", number(demo->rows_restarted), "-");
    print_torn(demo);
    line("steps back", number(back), "-");
    line("lost rows", number(lost), "-");
    line("flushed rows that the restart lost", number(lost_by_restart), "-");
    printf("\n");
    if (torn == 0 && lost == 0 && back == 0 && reads > 0 && caught > 0 && lost_by_restart == 0 &&
        demo->rows_flushed > 0 && demo->restarted == ROWS_WHOLE) {
        printf("No torn read, no lost row; the same judge caught %llu torn reads in the plain "
               "copy.\n",
               (unsigned long long)caught);
        print_python(demo);
        return 0;
    }
    printf("FAILED: %s\n", !reads                ? "nothing was read"
                           : !caught             ? "the judge caught nothing in the plain copy"
                           : !demo->rows_flushed ? "nothing was flushed"
                           : demo->restarted     ? "the rows after the restart are not whole"
                                                 : "torn, lost or stepped back");
    return 1;
}

int main(int argc, char **argv) {
    static struct demo demo;
    if (argc != 5) {
        fprintf(stderr, "usage: driver SEGMENT DIRECTORY BUILD STORE\n");
        return 2;
    }
    demo.segment = argv[1];
    demo.directory = argv[2];
    demo.build = argv[3];
    demo.store = argv[4];
    demo.seconds = getenv("DEMO_SECONDS") ? atof(getenv("DEMO_SECONDS")) : 9;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL); /* a shell's background job is started with it ignored */
    snprintf(demo.stats_path, sizeof(demo.stats_path), "%s/statistics", demo.directory);
    snprintf(demo.plain_path, sizeof(demo.plain_path), "%s/statistics-plain", demo.directory);
    demo.stats = demo_stats_map(demo.stats_path);
    demo.plain = demo_stats_map(demo.plain_path);

    say("recording this machine's kernel counters at 1000 Hz, one group, one commit per row,");
    say("flushed to %s once a second", demo.store);
    start_recorder(&demo);
    attach(&demo);
    measure_rows(&demo);
    start_consumers(&demo);
    say("three processes read the whole group as fast as they can and check every row");
    run_for(&demo, demo.seconds);
    kill_recorder(&demo);
    adopt(&demo);
    run_for(&demo, demo.seconds);
    kill_all(&demo);
    restart(&demo);
    say("the same checks on plain shared memory, with a writer at full rate and no protocol");
    run_plain(&demo);
    return report(&demo);
}
