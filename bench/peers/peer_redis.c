// SPDX-License-Identifier: MIT
/*
 * Redis over a Unix socket of its own, without persistence; an array is a string.
 * As its documentation has it (https://redis.io/docs/latest/commands/): SET and
 * GET of the whole, SETRANGE of a part, APPEND, and MSET and MGET for several;
 * MSET "is atomic, so all given keys are set at once", and a server does one
 * command after the other.  Who waits subscribes to a channel; the message of a publication
 * is the array itself, which is one way less than a message and a GET.
 *
 * The server is a third process on the same processors.
 */
#include "peer.h"

#include "flat.h"
#include "server.h"
#include "support/machine.h"
#include "support/scratch.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static struct peer_layout layout;
static char directory[BENCH_PATH], path[BENCH_PATH];
static redisContext *redis, *subscribed;
static redisReply *kept;
static char *filled;
static size_t appended_bytes;
static char names[PEER_MAX_ARRAYS][16];

static void version(char *to, size_t size) {
    char server[128] = "";
    FILE *pipe = popen("redis-server --version 2>/dev/null", "r");
    if (pipe && fscanf(pipe, "Redis server %127s", server) != 1)
        server[0] = 0;
    if (pipe)
        pclose(pipe);
    snprintf(to, size, "Redis %s, hiredis %d.%d.%d", server, HIREDIS_MAJOR, HIREDIS_MINOR,
             HIREDIS_PATCH);
}

static const char *start(void) {
    /* a subscriber that is late is not to be cut off */
    const char *failed = server_start((const char *const[]){
        "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
        "--client-output-buffer-limit", "pubsub 0 0 0", NULL});
    for (int i = 0; !failed && access(path, F_OK) != 0; i++) {
        usleep(1000);
        if (i > 5000 || !server_runs())
            failed = "redis-server does not start";
    }
    return failed;
}

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    for (unsigned k = 0; k < layout.arrays; k++)
        snprintf(names[k], sizeof(names[k]), "array%u", k);
    bench_scratch(BENCH_TMPFS, directory);
    bench_join(path, directory, "socket");
    return start();
}

static redisReply *must(const redisContext *context, void *reply, const char *what) {
    redisReply *r = reply;
    if (!r || r->type == REDIS_REPLY_ERROR)
        bench_die("%s: %s", what, r ? r->str : context->errstr);
    return r;
}

static redisContext *connect_here(void) {
    redisContext *context = redisConnectUnix(path);
    if (!context || context->err)
        bench_die("%s: %s", path, context ? context->errstr : "out of memory");
    return context;
}

/* The reply does not matter. */
#define DO(...)                                                                                    \
    freeReplyObject(must(redis, redisCommand(redis, __VA_ARGS__), "a command to redis-server"))

static void writer_open(const struct peer_layout *wanted) {
    filled = bench_private_memory(wanted->bytes * wanted->arrays);
    redis = connect_here();
}

static void write_round(uint64_t round) {
    bench_pattern_fill(filled, layout.bytes, round, 0);
    DO("SET array0 %b", filled, layout.bytes);
}

static void prepare(uint64_t round) {
    bench_pattern_fill(filled, layout.bytes, round, 0);
}

static void publish(void) {
    DO("PUBLISH channel %b", filled, layout.bytes);
}

static void write_some(uint64_t round, const unsigned *arrays, unsigned count) {
    const char *argv[1 + 2 * PEER_MAX_ARRAYS] = {"MSET"};
    size_t length[1 + 2 * PEER_MAX_ARRAYS] = {4};
    for (unsigned i = 0; i < count; i++) {
        char *array = filled + arrays[i] * layout.bytes;
        bench_pattern_fill(array, layout.bytes, round, 0);
        argv[1 + 2 * i] = names[arrays[i]];
        length[1 + 2 * i] = strlen(names[arrays[i]]);
        argv[2 + 2 * i] = array;
        length[2 + 2 * i] = layout.bytes;
    }
    freeReplyObject(
        must(redis, redisCommandArgv(redis, (int)(1 + 2 * count), argv, length), "MSET"));
}

static void write_chunk(uint64_t round, size_t index) {
    size_t bytes, at = flat_chunk(&layout, index, &bytes);
    bench_pattern_fill(filled, bytes, round, at / 8);
    DO("SETRANGE array0 %lu %b", (unsigned long)at, filled, bytes);
}

static void append_begin(void) {
    DO("DEL array0");
    appended_bytes = 0;
}

static void append(size_t bytes) {
    bench_pattern_fill(filled, bytes, 1, appended_bytes / 8);
    DO("APPEND array0 %b", filled, bytes);
    appended_bytes += bytes;
}

static void reader_open(const struct peer_layout *wanted) {
    (void)wanted;
    redis = connect_here();
    subscribed = connect_here();
    freeReplyObject(must(subscribed, redisCommand(subscribed, "SUBSCRIBE channel"), "SUBSCRIBE"));
}

static void keep(redisReply *reply) {
    if (kept)
        freeReplyObject(kept);
    kept = reply;
}

static const char *string_of(const redisReply *reply, const char *what) {
    if (reply->type != REDIS_REPLY_STRING || (size_t)reply->len != layout.bytes)
        bench_die("%s: not %zu bytes", what, layout.bytes);
    return reply->str;
}

/* The reply is private memory already. */
static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)buffer, (void)deadline;
    keep(must(redis, redisCommand(redis, "GET array0"), "GET"));
    *data = string_of(kept, "GET");
    return 1;
}

/* Several replies are brought together, since the arrays are asked for one behind the other. */
static uint64_t snapshot(void *buffer, const void **data, int64_t deadline) {
    const char *argv[1 + PEER_MAX_ARRAYS] = {"MGET"};
    (void)data, (void)deadline;
    for (unsigned k = 0; k < layout.arrays; k++)
        argv[1 + k] = names[k];
    keep(must(redis, redisCommandArgv(redis, (int)layout.arrays + 1, argv, NULL), "MGET"));
    if (kept->elements != layout.arrays)
        bench_die("MGET: not %u strings", layout.arrays);
    for (unsigned k = 0; k < layout.arrays; k++)
        memcpy((char *)buffer + k * layout.bytes, string_of(kept->element[k], "MGET"),
               layout.bytes);
    return 1;
}

static size_t appended(void *buffer) {
    keep(must(redis, redisCommand(redis, "GET array0"), "GET"));
    if (kept->type != REDIS_REPLY_STRING)
        return 0;
    memcpy(buffer, kept->str, (size_t)kept->len);
    return (size_t)kept->len;
}

/* A message is of three: "message", the channel and what was published. */
static uint64_t wait_for(uint64_t last, void *buffer, const void **data, int64_t deadline) {
    int64_t left = (deadline - bench_now()) / 1000 + 1;
    const struct timeval timeout = {left / 1000000, left % 1000000};
    void *reply;
    (void)last, (void)buffer;
    redisSetTimeout(subscribed, timeout);
    if (redisGetReply(subscribed, &reply) != REDIS_OK)
        return 0;
    keep(must(subscribed, reply, "a message"));
    if (kept->elements != 3)
        bench_die("a message of %zu parts", kept->elements);
    *data = string_of(kept->element[2], "a message");
    return 1;
}

static void close_here(void) {
    redisFree(redis);
    if (subscribed)
        redisFree(subscribed);
}

static void stop(void) {
    server_stop();
    bench_remove_tree(directory);
}

int main(int argc, char **argv) {
    static const struct peer peer = {.name = "redis",
                                     .version = version,
                                     .make = make,
                                     .writer_open = writer_open,
                                     .reader_open = reader_open,
                                     .write = write_round,
                                     .read = read_whole,
                                     .write_some = write_some,
                                     .write_chunk = write_chunk,
                                     .append_begin = append_begin,
                                     .append = append,
                                     .appended = appended,
                                     .prepare = prepare,
                                     .publish = publish,
                                     .wait = wait_for,
                                     .snapshot = snapshot,
                                     .writer_close = close_here,
                                     .reader_close = close_here,
                                     .remove = stop};
    return peer_main(argc, argv, &peer);
}
