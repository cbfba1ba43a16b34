// SPDX-License-Identifier: MIT
/*
 * HDF5 in single-writer, multiple-reader mode, on tmpfs: the writer rewrites the
 * data set and flushes it, the reader refreshes it and reads.  SWMR promises
 * that the file can be read, not that a data set is of one write.
 */
#include "peer.h"

#include "support/machine.h"
#include "support/pattern.h"
#include "support/scratch.h"

#include <hdf5.h>
#include <stdio.h>

static char directory[BENCH_PATH], path[BENCH_PATH];
static hid_t file, set;
static void *filled;

static hid_t must(hid_t id, const char *what) {
    if (id < 0)
        bench_die("%s failed", what);
    return id;
}
#define MUST(call) must((call), #call)

static void version(char *to, size_t size) {
    unsigned major, minor, release;
    H5get_libversion(&major, &minor, &release);
    snprintf(to, size, "HDF5 %u.%u.%u", major, minor, release);
}

static const char *make(size_t bytes) {
    (void)bytes;
    bench_scratch(BENCH_TMPFS, directory);
    bench_join(path, directory, "array.h5");
    return NULL;
}

static void write_round(uint64_t round, size_t bytes) {
    bench_pattern_fill(filled, bytes, round, 0);
    MUST(H5Dwrite(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, filled));
    MUST(H5Dflush(set));
}

static void writer_open(size_t bytes) {
    hsize_t length = bytes / 8, chunk = (bytes < PEER_CHUNK ? bytes : PEER_CHUNK) / 8;
    filled = bench_private_memory(bytes);
    hid_t access = MUST(H5Pcreate(H5P_FILE_ACCESS));
    MUST(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST));
    file = MUST(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access));
    hid_t space = MUST(H5Screate_simple(1, &length, NULL));
    hid_t creation = MUST(H5Pcreate(H5P_DATASET_CREATE));
    MUST(H5Pset_chunk(creation, 1, &chunk));
    set = MUST(H5Dcreate2(file, "array", H5T_STD_U64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    H5Pclose(creation);
    H5Sclose(space);
    H5Pclose(access);
    write_round(1, bytes);
    MUST(H5Fstart_swmr_write(file));
}

static void reader_open(size_t bytes) {
    (void)bytes;
    hid_t access = MUST(H5Pcreate(H5P_FILE_ACCESS));
    MUST(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST));
    file = MUST(H5Fopen(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access));
    set = MUST(H5Dopen2(file, "array", H5P_DEFAULT));
    H5Pclose(access);
}

static uint64_t read_whole(void *buffer, const void **data, size_t bytes, int64_t deadline) {
    (void)data, (void)bytes, (void)deadline;
    MUST(H5Drefresh(set));
    MUST(H5Dread(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer));
    return 1;
}

static void close_here(void) {
    H5Dclose(set);
    H5Fclose(file);
}

static void remove_files(void) {
    bench_remove_tree(directory);
}

int main(int argc, char **argv) {
    static const struct peer peer = {"hdf5-swmr", version,     make,       writer_open,
                                     write_round, reader_open, read_whole, close_here,
                                     close_here,  remove_files};
    return peer_main(argc, argv, &peer);
}
