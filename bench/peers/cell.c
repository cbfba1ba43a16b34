// SPDX-License-Identifier: MIT
/* The command line on one side, a line of JSON on the other; peer.h has both. */
#include "cell.h"

#include "support/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)256 << 10)
#define APPEND_CAPACITY ((size_t)64 << 20)

void figures_call(struct figures *figures, int64_t took) {
    figures->calls++;
    figures->spent += took;
    histogram_add(&figures->times, (uint64_t)(took > 0 ? took : 0));
}

void figures_batch(struct figures *figures, unsigned calls, int64_t took) {
    figures->calls += calls;
    figures->batched += calls;
    figures->spent += took;
    figures->spent_in_batches += took;
}

void figures_merge(struct figures *to, const struct figures *from) {
    to->calls += from->calls;
    to->attempts += from->attempts;
    to->checked += from->checked;
    to->torn += from->torn;
    to->compared += from->compared;
    to->fresh += from->fresh;
    to->batched += from->batched;
    to->spent += from->spent;
    to->spent_in_batches += from->spent_in_batches;
    to->unfinished += from->unfinished;
    if (from->begun && (to->begun == 0 || from->begun < to->begun))
        to->begun = from->begun;
    if (from->ended > to->ended)
        to->ended = from->ended;
    histogram_merge(&to->times, &from->times);
}

_Noreturn static void usage(const char *program, const char *wrong) {
    fprintf(stderr,
            "%s: %s\n"
            "Usage: %s --workload read|rewrite|commit|append|wake|snapshot --bytes N --seconds S\n"
            "       [--chunk N] [--duty 1..100] [--rate COMMITS_PER_SECOND] [--arrays 1..%d]\n"
            "       [--part] [--readers 1..%d]\n",
            program, wrong, program, PEER_MAX_ARRAYS, PEER_MAX_READERS);
    exit(2);
}

static int take(struct cell *cell, const char *name, const char *value) {
    struct peer_layout *layout = &cell->layout;
    if (strcmp(name, "--workload") == 0)
        cell->workload = value;
    else if (strcmp(name, "--bytes") == 0)
        layout->bytes = (size_t)strtoull(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        cell->seconds = atof(value);
    else if (strcmp(name, "--chunk") == 0)
        layout->chunk = (size_t)strtoull(value, NULL, 10);
    else if (strcmp(name, "--duty") == 0)
        cell->duty = (unsigned)atoi(value);
    else if (strcmp(name, "--rate") == 0)
        cell->rate = atof(value);
    else if (strcmp(name, "--arrays") == 0)
        layout->arrays = (unsigned)atoi(value);
    else if (strcmp(name, "--readers") == 0)
        layout->readers = (unsigned)atoi(value);
    else
        return 0;
    return 1;
}

static const char *wrong_with(const struct cell *cell) {
    const struct peer_layout *layout = &cell->layout;
    size_t unit = strcmp(cell->workload, "append") == 0 ? 8 : 64;
    if (layout->bytes == 0 || layout->bytes % unit != 0 || layout->bytes >> 31)
        return "--bytes has to be a multiple of 64, or of 8 for append, below 2 GiB";
    if (layout->chunk == 0 || layout->chunk % 64 != 0)
        return "--chunk has to be a multiple of 64";
    if (!(cell->seconds > 0))
        return "--seconds has to be above 0";
    if (cell->duty < 1 || cell->duty > 100 || cell->rate < 0 ||
        (cell->rate > 0 && cell->duty < 100))
        return "--duty is 1 to 100, --rate above 0, and not both";
    if (layout->arrays < 1 || layout->arrays > PEER_MAX_ARRAYS)
        return "--arrays is out of range";
    if (layout->readers < 1 || layout->readers > PEER_MAX_READERS)
        return "--readers is out of range";
    if (layout->part && layout->arrays > 1)
        return "--part is of one array";
    return NULL;
}

void cell_arguments(struct cell *cell, int argc, char **argv) {
    struct peer_layout *layout = &cell->layout;
    cell->workload = "";
    cell->duty = 100;
    layout->arrays = layout->readers = 1;
    layout->chunk = CHUNK;
    for (int i = 1; i < argc; i++)
        if (i + 1 < argc && take(cell, argv[i], argv[i + 1]))
            i++;
        else if (strcmp(argv[i], "--part") == 0)
            layout->part = 1;
        else if (!cell->peer->flag || strcmp(argv[i], cell->peer->flag) != 0)
            usage(argv[0], argv[i]);
    const char *wrong = wrong_with(cell);
    if (wrong)
        usage(argv[0], wrong);
    if (strcmp(cell->workload, "append") == 0)
        layout->capacity =
            (layout->bytes > APPEND_CAPACITY ? 1 : APPEND_CAPACITY / layout->bytes) * layout->bytes;
    else if (layout->chunk > layout->bytes)
        layout->chunk = layout->bytes;
}

/* Whatever a library calls itself, as a JSON string. */
static void print_string(const char *name, const char *text) {
    printf(",\"%s\":\"", name);
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            putchar(*text);
    putchar('"');
}

static double timer(void) {
    int64_t start = bench_now(), now = start;
    for (int i = 0; i < 10000; i++)
        now = bench_now();
    return (double)(now - start) / 10000;
}

static void print_figures(const struct cell *cell) {
    const struct figures *total = &cell->total;
    printf(",\"wall_ns\":%lld,\"spent_ns\":%lld,\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"timer_ns\":%.1f,"
           "\"torn\":%llu",
           (long long)cell->wall, (long long)total->spent, histogram_quantile(&total->times, 0.5),
           histogram_quantile(&total->times, 0.99), timer(), (unsigned long long)total->torn);
    if (cell->copies > 0)
        printf(",\"copies\":%u", cell->copies);
    if (total->batched > 0)
        printf(",\"batched\":%llu,\"batched_ns\":%lld", (unsigned long long)total->batched,
               (long long)total->spent_in_batches);
    if (cell->kind == CELL_CALLS) {
        printf(",\"commits\":%llu", (unsigned long long)total->calls);
        return;
    }
    printf(",\"reads\":%llu,\"attempts\":%llu,\"checked\":%llu,\"new\":%llu,\"compared\":%llu,"
           "\"unfinished\":%u",
           (unsigned long long)total->calls, (unsigned long long)total->attempts,
           (unsigned long long)total->checked, (unsigned long long)total->fresh,
           (unsigned long long)total->compared, total->unfinished);
    if (cell->kind == CELL_READS_BESIDE_COMMITS)
        printf(",\"commits\":%.1f,\"commits_alone\":%.1f", cell->commits, cell->commits_alone);
}

void cell_print(const struct cell *cell, const char *unable) {
    const struct peer_layout *layout = &cell->layout;
    char version[256] = "";
    cell->peer->version(version, sizeof(version));
    printf("{\"peer\":\"%s\"", cell->peer->name);
    print_string("version", version);
    print_string("workload", cell->workload);
    printf(",\"bytes\":%zu,\"chunk\":%zu,\"duty\":%u,\"rate\":%g,\"arrays\":%u,\"readers\":%u%s",
           layout->bytes, layout->chunk, cell->duty, cell->rate, layout->arrays, layout->readers,
           layout->part ? ",\"part\":true" : "");
    if (unable)
        print_string("unable", unable);
    else
        print_figures(cell);
    printf("}\n");
}
