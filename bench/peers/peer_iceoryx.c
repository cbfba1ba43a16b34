// SPDX-License-Identifier: MIT
/*
 * iceoryx through its C binding, as its examples use it: a message per round,
 * filled in the loaned chunk of shared memory, so that it is not copied on its
 * way; the subscriber has a queue of one, takes the newest message if there is
 * one, and copies from the one that it holds.  Who waits does so with a wait set
 * that the subscriber is attached to.
 *
 * Its daemon, RouDi, is started with one pool, of messages of this size; there
 * can be one RouDi on a machine.
 */
#include "peer.h"

#include "flat.h"
#include "server.h"
#include "support/machine.h"
#include "support/scratch.h"
#include "support/segment.h"

#include <iceoryx_binding_c/enums.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/types.h>
#include <iceoryx_binding_c/wait_set.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGES "iceoryx publishes each array as a message of its own"

static struct peer_layout layout;
static char directory[BENCH_PATH], instance[32];
static int first; /* process: its number is in the names of all that is made */
static iox_pub_storage_t publisher_storage;
static iox_sub_storage_t subscriber_storage;
static iox_ws_storage_t wait_set_storage;
static iox_pub_t publisher;
static iox_sub_t subscriber;
static iox_ws_t wait_set;
static void *loaned;
static const void *held;

/* Of its headers, by the directory that they are in; there is no other for C (run_peers.sh). */
#ifndef ICEORYX
#define ICEORYX of an unknown version
#endif
#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

static void version(char *to, size_t size) {
    snprintf(to, size, "iceoryx " TEXT(ICEORYX) ", C binding");
}

/* A reader holds one, takes the next before it gives that back, and has one in its queue; the
 * writer fills one, keeps one, and one is the history. */
static size_t messages(void) {
    return 3 * layout.readers + 4;
}

static const char *write_configuration(const char *path) {
    FILE *file = fopen(path, "we");
    if (!file)
        return "cannot write RouDi's configuration";
    fprintf(file, "[general]\nversion = 1\n\n[[segment]]\n\n[[segment.mempool]]\nsize = %zu\n",
            layout.bytes + 1024);
    fprintf(file, "count = %zu\n", messages());
    fclose(file);
    return NULL;
}

static const char *start(const char *configuration) {
    /* Without monitoring: it would forget clients that got no processor for a second and a half,
     * and never answer their goodbye. */
    const char *failed = server_start(
        (const char *const[]){"iox-roudi", "-c", configuration, "-m", "off", "-l", "off", NULL});
    /* a second one ends at once; whether it takes clients, the runtime finds out */
    usleep(200000);
    if (!failed && !server_runs())
        failed = "iox-roudi does not start (there can be one on a machine)";
    return failed;
}

static const char *make(const struct peer_layout *wanted) {
    char path[BENCH_PATH];
    uint64_t room, files;
    layout = *wanted;
    bench_room(BENCH_TMPFS, &room, &files);
    if ((layout.bytes + 4096) * messages() > room / 2)
        return "so many messages of this size would take more than half of the shared memory";
    iox_set_loglevel(Iceoryx_LogLevel_Off);
    bench_scratch(BENCH_TMPFS, directory);
    bench_join(path, directory, "roudi.toml");
    /* unique, so that nothing of an earlier run is received */
    first = getpid();
    snprintf(instance, sizeof(instance), "bench-%d", first);
    const char *failed = write_configuration(path);
    return failed ? failed : start(path);
}

static void join(const char *as) {
    char name[64];
    snprintf(name, sizeof(name), "untorn-bench-%d-%s-%d", first, as, getpid());
    iox_runtime_init(name);
}

static void writer_open(const struct peer_layout *wanted) {
    iox_pub_options_t options;
    (void)wanted;
    join("writer");
    iox_pub_options_init(&options);
    options.historyCapacity = 1;
    publisher = iox_pub_init(&publisher_storage, "untorn", instance, "array", &options);
}

static void prepare(uint64_t round) {
    if (iox_pub_loan_aligned_chunk(publisher, &loaned, (uint32_t)layout.bytes, 64) !=
        AllocationResult_SUCCESS)
        bench_die("iox_pub_loan_aligned_chunk failed");
    bench_pattern_fill(loaned, layout.bytes, round, 0);
}

static void publish(void) {
    iox_pub_publish_chunk(publisher, loaned);
}

static void write_round(uint64_t round) {
    prepare(round);
    publish();
}

/* Take the newest; keeps what it has if there is none. */
static int take(void) {
    const void *taken;
    if (iox_sub_take_chunk(subscriber, &taken) != ChunkReceiveResult_SUCCESS)
        return 0;
    if (held)
        iox_sub_release_chunk(subscriber, held);
    held = taken;
    return 1;
}

static void reader_open(const struct peer_layout *wanted) {
    iox_sub_options_t options;
    (void)wanted;
    join("reader");
    iox_sub_options_init(&options);
    options.queueCapacity = 1;
    options.historyRequest = 1;
    subscriber = iox_sub_init(&subscriber_storage, "untorn", instance, "array", &options);
    for (int i = 0; !take(); i++) {
        usleep(1000);
        if (i > 10000)
            bench_die("the subscriber received nothing in 10 s");
    }
}

static uint64_t copy(void *buffer) {
    memcpy(buffer, held, layout.bytes);
    atomic_signal_fence(memory_order_acq_rel);
    return 1;
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    take();
    return copy(buffer);
}

/* Only who waits is attached: the publisher notifies those that are. */
static void attach(void) {
    wait_set = iox_ws_init(&wait_set_storage);
    if (iox_ws_attach_subscriber_state(wait_set, subscriber, SubscriberState_HAS_DATA, 0, NULL) !=
        WaitSetResult_SUCCESS)
        bench_die("iox_ws_attach_subscriber_state failed");
}

static uint64_t wait_for(uint64_t last, void *buffer, const void **data, int64_t deadline) {
    (void)last, (void)data;
    if (!wait_set)
        attach();
    while (!take()) {
        iox_notification_info_t notification;
        uint64_t missed;
        int64_t left = deadline - bench_now();
        if (left <= 0)
            return 0;
        const struct timespec timeout = {left / 1000000000, left % 1000000000};
        iox_ws_timed_wait(wait_set, timeout, &notification, 1, &missed);
    }
    return copy(buffer);
}

/* The runtime says goodbye to RouDi when the process ends by exit(), as in the C examples. */
static void writer_close(void) {
    iox_pub_deinit(publisher);
    exit(0);
}

static void reader_close(void) {
    if (wait_set) {
        iox_ws_detach_subscriber_state(wait_set, subscriber, SubscriberState_HAS_DATA);
        iox_ws_deinit(wait_set);
    }
    iox_sub_release_chunk(subscriber, held);
    iox_sub_deinit(subscriber);
    exit(0);
}

static void stop(void) {
    server_stop();
    bench_remove_tree(directory);
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "iceoryx",
        .version = version,
        .make = make,
        .writer_open = writer_open,
        .reader_open = reader_open,
        .write = write_round,
        .read = read_whole,
        .prepare = prepare,
        .publish = publish,
        .wait = wait_for,
        .writer_close = writer_close,
        .reader_close = reader_close,
        .remove = stop,
        .unable = {.transaction = MESSAGES "; several are not one transaction",
                   .part = MESSAGES ", whole each time",
                   .append = "iceoryx publishes messages; there is no array that grows",
                   .snapshot = MESSAGES "; several are not one transaction"}};
    return peer_main(argc, argv, &peer);
}
