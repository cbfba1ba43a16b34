// SPDX-License-Identifier: MIT
/*
 * iceoryx through its C binding: a message per round, filled in the loaned
 * chunk; the reader takes the newest message, if there is one, and copies from
 * the one that it holds.  Its daemon, RouDi, is started with a pool for messages
 * of this size; there can be one RouDi on a machine.
 */
#include "peer.h"

#include "server.h"
#include "support/machine.h"
#include "support/pattern.h"
#include "support/scratch.h"

#include <iceoryx_binding_c/enums.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/types.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[BENCH_PATH], instance[32];
static iox_pub_storage_t publisher_storage;
static iox_sub_storage_t subscriber_storage;
static iox_pub_t publisher;
static iox_sub_t subscriber;
static const void *held;

static void version(char *to, size_t size) {
    snprintf(to, size, "iceoryx 2.0.3, C binding");
}

static const char *write_configuration(const char *path, size_t bytes) {
    FILE *file = fopen(path, "we");
    if (!file)
        return "cannot write RouDi's configuration";
    fprintf(file, "[general]\nversion = 1\n\n[[segment]]\n\n[[segment.mempool]]\nsize = %zu\n",
            bytes + 1024);
    fprintf(file, "count = 16\n");
    fclose(file);
    return NULL;
}

static const char *make(size_t bytes) {
    char path[BENCH_PATH];
    iox_set_loglevel(Iceoryx_LogLevel_Off);
    bench_scratch(BENCH_TMPFS, directory);
    /* The runtime says goodbye to RouDi when the process ends, so RouDi has to go after that. */
    atexit(server_stop);
    bench_join(path, directory, "roudi.toml");
    /* unique, so that nothing of an earlier run is received */
    snprintf(instance, sizeof(instance), "bench-%d", getpid());
    const char *failed = write_configuration(path, bytes);
    if (!failed)
        failed = server_start((const char *const[]){"iox-roudi", "-c", path, "-l", "off", NULL});
    /* a second one ends at once; whether it takes clients, the runtime finds out */
    usleep(500000);
    if (!failed && !server_runs())
        failed = "iox-roudi does not start (there can be one on a machine)";
    return failed;
}

static void writer_open(size_t bytes) {
    iox_pub_options_t options;
    (void)bytes;
    iox_runtime_init("untorn-bench-writer");
    iox_pub_options_init(&options);
    options.historyCapacity = 1;
    publisher = iox_pub_init(&publisher_storage, "untorn", instance, "array", &options);
}

static void write_round(uint64_t round, size_t bytes) {
    void *memory;
    if (iox_pub_loan_aligned_chunk(publisher, &memory, (uint32_t)bytes, 64) !=
        AllocationResult_SUCCESS)
        bench_die("iox_pub_loan_chunk failed");
    bench_pattern_fill(memory, bytes, round, 0);
    iox_pub_publish_chunk(publisher, memory);
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

static void reader_open(size_t bytes) {
    iox_sub_options_t options;
    (void)bytes;
    iox_runtime_init("untorn-bench-reader");
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

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data, (void)deadline;
    take();
    memcpy(buffer, held, bytes);
    atomic_signal_fence(memory_order_acq_rel);
    return 1;
}

/* RouDi aborts, and leaves its files, if a client ended without the goodbye that exit() says. */
static void writer_close(void) {
    iox_pub_deinit(publisher);
    iox_runtime_shutdown();
    exit(0);
}

static void reader_close(void) {
    iox_sub_release_chunk(subscriber, held);
    iox_sub_deinit(subscriber);
    iox_runtime_shutdown();
}

int main(int argc, char **argv) {
    static const struct peer peer = {"iceoryx",    version,     make,       writer_open,
                                     write_round,  reader_open, read_whole, writer_close,
                                     reader_close, NULL};
    return peer_main(argc, argv, &peer);
}
