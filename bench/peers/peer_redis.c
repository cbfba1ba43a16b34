// SPDX-License-Identifier: MIT
/*
 * Redis over a socket of its own, without persistence: SET of the whole array,
 * GET of the whole array.  The server is a third process on the same processors.
 */
#include "peer.h"

#include "server.h"
#include "support/machine.h"
#include "support/pattern.h"
#include "support/scratch.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[BENCH_PATH], path[BENCH_PATH];
static redisContext *redis;
static redisReply *kept;
static void *filled;

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

static const char *make(size_t bytes) {
    (void)bytes;
    bench_scratch(BENCH_TMPFS, directory);
    bench_join(path, directory, "socket");
    const char *failed =
        server_start((const char *const[]){"redis-server", "--port", "0", "--unixsocket", path,
                                           "--save", "", "--appendonly", "no", NULL});
    for (int i = 0; !failed && access(path, F_OK) != 0; i++) {
        usleep(1000);
        if (i > 5000 || !server_runs())
            failed = "redis-server does not start";
    }
    return failed;
}

static redisReply *must(void *reply, const char *what) {
    redisReply *r = reply;
    if (!r || r->type == REDIS_REPLY_ERROR)
        bench_die("%s: %s", what, r ? r->str : redis->errstr);
    return r;
}

static void open_here(size_t bytes) {
    filled = bench_private_memory(bytes);
    redis = redisConnectUnix(path);
    if (!redis || redis->err)
        bench_die("%s: %s", path, redis ? redis->errstr : "out of memory");
}

static void write_round(uint64_t round, size_t bytes) {
    bench_pattern_fill(filled, bytes, round, 0);
    freeReplyObject(must(redisCommand(redis, "SET array %b", filled, bytes), "SET"));
}

/* The reply is private memory already. */
static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)buffer, (void)deadline;
    if (kept)
        freeReplyObject(kept);
    kept = must(redisCommand(redis, "GET array"), "GET");
    if (kept->type != REDIS_REPLY_STRING || (size_t)kept->len != bytes)
        bench_die("GET: not %zu bytes", bytes);
    *data = kept->str;
    return 1;
}

static void close_here(void) {
    redisFree(redis);
}

static void stop(void) {
    server_stop();
    bench_remove_tree(directory);
}

int main(int argc, char **argv) {
    static const struct peer peer = {"redis",   version,    make,       open_here,  write_round,
                                     open_here, read_whole, close_here, close_here, stop};
    return peer_main(argc, argv, &peer);
}
