// SPDX-License-Identifier: MIT
/*
 * HDF5 in single-writer, multiple-reader mode, on tmpfs, as its SWMR user's guide
 * has it: the newest file format, the data set made before H5Fstart_swmr_write();
 * the writer writes and flushes the data set (H5Dflush), and to append extends it
 * first (H5Dset_extent); the reader refreshes it (H5Drefresh) and reads.  SWMR
 * promises that the file can be read, not that a data set is of one write.
 *
 * In SWMR mode nothing gets shorter, so that to begin anew is to make a new file.
 */
#include "peer.h"

#include "flat.h"
#include "support/machine.h"
#include "support/scratch.h"

#include <hdf5.h>
#include <stdio.h>

static struct peer_layout layout;
static char directory[BENCH_PATH], path[BENCH_PATH];
static hid_t file, set;
static void *filled;
static size_t appended_bytes;

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

static const char *make(const struct peer_layout *wanted) {
    layout = *wanted;
    bench_scratch(BENCH_TMPFS, directory);
    bench_join(path, directory, "array.h5");
    return NULL;
}

static hid_t newest_format(void) {
    hid_t access = MUST(H5Pcreate(H5P_FILE_ACCESS));
    MUST(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST));
    return access;
}

static void make_file(void) {
    hsize_t length = layout.capacity ? 0 : layout.bytes / 8, chunk = layout.chunk / 8;
    hsize_t most = layout.capacity ? H5S_UNLIMITED : length;
    hid_t access = newest_format();
    file = MUST(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access));
    hid_t space = MUST(H5Screate_simple(1, &length, &most));
    hid_t creation = MUST(H5Pcreate(H5P_DATASET_CREATE));
    MUST(H5Pset_chunk(creation, 1, &chunk));
    set = MUST(H5Dcreate2(file, "array", H5T_STD_U64LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    MUST(H5Fstart_swmr_write(file));
    H5Pclose(creation);
    H5Sclose(space);
    H5Pclose(access);
}

static void close_file(void) {
    H5Dclose(set);
    H5Fclose(file);
}

static void writer_open(const struct peer_layout *wanted) {
    filled = bench_private_memory(wanted->bytes);
    make_file();
}

static void write_round(uint64_t round) {
    bench_pattern_fill(filled, layout.bytes, round, 0);
    MUST(H5Dwrite(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, filled));
    MUST(H5Dflush(set));
}

static void write_region(size_t at, size_t bytes) {
    hsize_t start = at / 8, count = bytes / 8;
    hid_t in_file = MUST(H5Dget_space(set));
    hid_t in_memory = MUST(H5Screate_simple(1, &count, NULL));
    MUST(H5Sselect_hyperslab(in_file, H5S_SELECT_SET, &start, NULL, &count, NULL));
    MUST(H5Dwrite(set, H5T_NATIVE_UINT64, in_memory, in_file, H5P_DEFAULT, filled));
    MUST(H5Dflush(set));
    H5Sclose(in_memory);
    H5Sclose(in_file);
}

static void write_chunk(uint64_t round, size_t index) {
    size_t bytes, at = flat_chunk(&layout, index, &bytes);
    bench_pattern_fill(filled, bytes, round, at / 8);
    write_region(at, bytes);
}

static void append_begin(void) {
    close_file();
    make_file();
    appended_bytes = 0;
}

static void append(size_t bytes) {
    hsize_t length = (appended_bytes + bytes) / 8;
    bench_pattern_fill(filled, bytes, 1, appended_bytes / 8);
    MUST(H5Dset_extent(set, &length));
    write_region(appended_bytes, bytes);
    appended_bytes += bytes;
}

static void reader_open(const struct peer_layout *wanted) {
    (void)wanted;
    hid_t access = newest_format();
    file = MUST(H5Fopen(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access));
    set = MUST(H5Dopen2(file, "array", H5P_DEFAULT));
    H5Pclose(access);
}

static uint64_t read_whole(void *buffer, const void **data, int64_t deadline) {
    (void)data, (void)deadline;
    MUST(H5Drefresh(set));
    MUST(H5Dread(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer));
    return 1;
}

static size_t appended(void *buffer) {
    hsize_t length;
    MUST(H5Drefresh(set));
    hid_t space = MUST(H5Dget_space(set));
    H5Sget_simple_extent_dims(space, &length, NULL);
    H5Sclose(space);
    read_whole(buffer, NULL, 0);
    return (size_t)length * 8;
}

static void remove_files(void) {
    bench_remove_tree(directory);
}

int main(int argc, char **argv) {
    static const struct peer peer = {
        .name = "hdf5-swmr",
        .version = version,
        .make = make,
        .writer_open = writer_open,
        .reader_open = reader_open,
        .write = write_round,
        .read = read_whole,
        .write_chunk = write_chunk,
        .append_begin = append_begin,
        .append = append,
        .appended = appended,
        .writer_close = close_file,
        .reader_close = close_file,
        .remove = remove_files,
        .unable = {.transaction = "HDF5 SWMR has no transactions over several datasets",
                   .wait = "HDF5 does not tell readers of a change",
                   .snapshot = "HDF5 SWMR has no transactions over several datasets"}};
    return peer_main(argc, argv, &peer);
}
