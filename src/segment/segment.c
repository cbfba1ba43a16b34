// SPDX-License-Identifier: MIT
/*
 * Creating and attaching to a segment's files.
 *
 * A segment becomes visible complete or not at all: it is built under names
 * that end in ".new", and the data, without which nothing else counts, gets its
 * name last, by a rename that refuses to replace.  All files carry one random
 * nonce, so that a control file of an earlier segment of the same name is not
 * taken for this one's.
 *
 * Memory is reserved with posix_fallocate: a hole in a tmpfs file would be
 * filled on first touch, and a full mount would then be a SIGBUS.  The file is
 * never longer than what is reserved, but while it grows.  Everybody maps the
 * whole size the segment may grow to, so that growing needs no new mapping;
 * nobody touches what is beyond the published reserve.
 */
#include "segment/segment.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/hash.h"
#include "base/status.h"
#include "segment/descriptor.h"
#include "segment/huge_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *shm_directory(void) {
    const char *directory = secure_getenv("UNTORN_SHM_DIR");
    return directory != NULL && directory[0] != '\0' ? directory : "/dev/shm";
}

untorn_status ut_segment_path(const char *name, const char *suffix, char path[UT_PATH_MAX]) {
    int n = snprintf(path, UT_PATH_MAX, "%s/untorn.%s%s", shm_directory(), name, suffix);
    if (n < 0 || n >= UT_PATH_MAX)
        return ut_fail(UNTORN_E_NAME, "segment \"%s\": path too long", name);
    return UNTORN_OK;
}

uint64_t ut_segment_signature(void) {
    const uint64_t constants[] = {UT_FORMAT_VERSION,
                                  UT_PAGE,
                                  UT_UNIT,
                                  UT_LINES,
                                  UT_DIRECTORY_SIZE,
                                  UT_HEADERS_PER_PAGE,
                                  UT_NODE_CELLS,
                                  UT_MAX_DEPTH,
                                  UNTORN_MAX_RANK,
                                  sizeof(ut_superblock),
                                  sizeof(ut_record),
                                  sizeof(ut_descriptor),
                                  sizeof(ut_header),
                                  sizeof(ut_line),
                                  sizeof(ut_store_block),
                                  UT_HEAP_OFFSET,
                                  UINT64_C(0x0102030405060708)};
    return ut_hash(constants, sizeof constants);
}

static uint64_t superblock_check(const ut_superblock *super) {
    return ut_hash(super, offsetof(ut_superblock, check));
}

static untorn_status status_of_errno(int error) {
    switch (error) {
    case ENOENT:
        return UNTORN_E_NO_SEGMENT;
    case EACCES:
    case EPERM:
        return UNTORN_E_PERMISSION;
    case ENOSPC:
    case EDQUOT:
        return UNTORN_E_NO_SPACE;
    case ENOMEM:
        return UNTORN_E_NO_MEMORY;
    default:
        return UNTORN_E_SYSTEM;
    }
}

static untorn_status no_segment(const char *name) {
    return ut_fail(UNTORN_E_NO_SEGMENT, "segment \"%s\": does not exist", name);
}

/* A fresh file of `bytes` reserved bytes, mapped for writing. */
static untorn_status build_file(const char *name, const char *path, mode_t mode, uint64_t bytes,
                                void **memory) {
    ut_files->unlink(path); /* a leftover; the lock is ours */
    int fd = ut_files->open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ut_fail_errno(status_of_errno(errno), errno, "segment \"%s\": cannot create %s",
                             name, path);
    untorn_status status = UNTORN_OK;
    int error = ut_files->posix_fallocate(fd, 0, (off_t)bytes);
    if (error != 0) {
        status = ut_fail_errno(status_of_errno(error), error,
                               "segment \"%s\": cannot reserve %" PRIu64 " bytes in %s", name,
                               bytes, path);
        goto close_fd;
    }
    if (fchmod(fd, mode) != 0) {
        status = ut_fail_errno(UNTORN_E_SYSTEM, errno, "segment \"%s\": chmod %s", name, path);
        goto close_fd;
    }
    *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*memory == MAP_FAILED)
        status = ut_fail_errno(status_of_errno(errno), errno, "segment \"%s\": cannot map %s", name,
                               path);
close_fd:
    ut_files->close(fd);
    if (status != UNTORN_OK)
        ut_files->unlink(path);
    return status;
}

/* The first valid state: a commit in which an empty catalogue is of generation 1. */
static void build_data(unsigned char *base, uint64_t reserve, uint64_t size,
                       const ut_segment_options *options, const uint64_t nonce[2]) {
    ut_superblock *super = (ut_superblock *)base;
    super->magic = UT_MAGIC;
    super->version = UT_FORMAT_VERSION;
    super->lines = UT_LINES;
    super->signature = ut_segment_signature();
    memcpy(super->nonce, nonce, sizeof super->nonce);
    bool restoring = options->first_commit != 0;
    memcpy(super->uuid, restoring ? options->uuid : nonce, sizeof super->uuid);
    super->size = size;
    super->created = ut_clock_wall();
    super->versions = options->versions;
    super->lease_ms = options->lease_ms;
    super->mode = options->mode;
    super->control_mode = options->control_mode;
    super->check = superblock_check(super);
    super->origin_commit = options->origin_commit;
    memcpy(super->origin_nonce, options->origin_nonce, sizeof super->origin_nonce);

    /* Nobody else has these files yet: relaxed order will do. */
    uint64_t commit = restoring ? options->first_commit : 1;
    ut_store_relaxed(&super->commit, commit);
    ut_store_relaxed(&super->prepared, commit);
    ut_store_relaxed(&super->next_uid, options->next_uid > 2 ? options->next_uid : 2);
    ut_store_relaxed(&super->objects, 1);
    ut_store_relaxed(&super->published, (uint32_t)commit);
    ut_store_relaxed(&super->reserve, reserve);
    ut_store_relaxed(&super->writer_state, restoring ? UT_WRITER_RESTORING : UT_WRITER_NONE);

    _Atomic uint64_t *directory = (_Atomic uint64_t *)(base + UT_DIRECTORY_OFFSET);
    uint64_t headers = UT_HEAP_OFFSET, ring = UT_HEAP_OFFSET + UT_PAGE;
    ut_store_relaxed(&directory[0], headers);
    ut_header *catalogue = (ut_header *)(base + headers);
    ut_store_relaxed(&catalogue->generation, 1);
    ut_store_relaxed(&catalogue->oldest, 1);
    ut_store_relaxed(&catalogue->ring, ring | 3);
    ut_store_relaxed(&catalogue->published, 1);
    static_assert(UT_RING_SMALL == 8, "log2 of the ring's entries above");

    ut_descriptor empty;
    memset(&empty, 0, sizeof empty);
    empty.uid = 1;
    empty.commit = empty.data_commit = commit;
    empty.time = super->created;
    empty.kind = ut_kind_make(UT_KIND_CATALOGUE, 1, 0);
    ut_descriptor_store((ut_descriptor_slot *)(base + ring) + 1, &empty, 1);
}

static untorn_status default_size(const char *name, uint64_t *size) {
    struct statvfs mount;
    if (statvfs(shm_directory(), &mount) != 0)
        return ut_fail_errno(UNTORN_E_SYSTEM, errno, "segment \"%s\": %s", name, shm_directory());
    uint64_t available = (uint64_t)mount.f_bavail * mount.f_frsize / 5 * 4;
    *size = available < (UINT64_C(256) << 20) ? available : UINT64_C(256) << 20;
    if (*size < UT_MIN_SIZE)
        return ut_fail(UNTORN_E_NO_SPACE, "segment \"%s\": only %" PRIu64 " bytes are free in %s",
                       name, (uint64_t)mount.f_bavail * mount.f_frsize, shm_directory());
    return UNTORN_OK;
}

static untorn_status check_options(const char *name, ut_segment_options *options) {
    if (options->size == 0) {
        untorn_status status = default_size(name, &options->size);
        if (status != UNTORN_OK)
            return status;
    }
    if (options->size < UT_MIN_SIZE || options->size > UT_MAX_SIZE)
        return ut_fail(UNTORN_E_ARGUMENT,
                       "segment \"%s\": size %" PRIu64 " is not between %" PRIu64 " and %" PRIu64,
                       name, options->size, UT_MIN_SIZE, UT_MAX_SIZE);
    if (options->mode == 0)
        options->mode = 0640;
    if (options->control_mode == 0)
        options->control_mode = 0600;
    if (options->versions == 0)
        options->versions = 4;
    if (options->lease_ms == 0)
        options->lease_ms = 10000;
    if (options->versions < 2 || options->versions > 64)
        return ut_fail(UNTORN_E_ARGUMENT, "segment \"%s\": versions %u is not between 2 and 64",
                       name, options->versions);
    if ((options->mode | options->control_mode) & ~0777u)
        return ut_fail(UNTORN_E_ARGUMENT, "segment \"%s\": mode 0%o is not a permission", name,
                       options->mode & ~0777u ? options->mode : options->control_mode);
    options->size = options->size / UT_PAGE * UT_PAGE;
    return UNTORN_OK;
}

static untorn_status build_control(const char *name, const char *path, mode_t mode,
                                   const uint64_t nonce[2]) {
    void *memory;
    untorn_status status = build_file(name, path, mode, sizeof(ut_control), &memory);
    if (status != UNTORN_OK)
        return status;
    ut_control *control = memory;
    control->magic = UT_CONTROL_MAGIC;
    memcpy(control->nonce, nonce, sizeof control->nonce);
    munmap(memory, sizeof(ut_control));
    return UNTORN_OK;
}

untorn_status ut_segment_create(const char *name, const ut_segment_options *given) {
    ut_segment_options options = *given;
    untorn_status status = check_options(name, &options);
    if (status != UNTORN_OK)
        return status;

    char data[UT_PATH_MAX], data_new[UT_PATH_MAX], control[UT_PATH_MAX], control_new[UT_PATH_MAX];
    if ((status = ut_segment_path(name, UT_SUFFIX_DATA, data)) != UNTORN_OK ||
        (status = ut_segment_path(name, UT_SUFFIX_DATA "~new", data_new)) != UNTORN_OK ||
        (status = ut_segment_path(name, UT_SUFFIX_CONTROL, control)) != UNTORN_OK ||
        (status = ut_segment_path(name, UT_SUFFIX_CONTROL "~new", control_new)) != UNTORN_OK)
        return status;

    uint64_t nonce[2];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return ut_fail_errno(UNTORN_E_SYSTEM, errno, "segment \"%s\": getrandom", name);

    status = build_control(name, control_new, options.control_mode, nonce);
    if (status != UNTORN_OK)
        return status;

    void *memory;
    uint64_t reserve = UT_MIN_SIZE;
    status = build_file(name, data_new, options.mode, reserve, &memory);
    if (status != UNTORN_OK)
        goto unlink_control;
    build_data(memory, reserve, options.size, &options, nonce);
    munmap(memory, reserve);

    if (ut_files->rename(control_new, control) != 0) {
        status =
            ut_fail_errno(UNTORN_E_SYSTEM, errno, "segment \"%s\": rename to %s", name, control);
        goto unlink_data;
    }
    if (ut_files->renameat2(AT_FDCWD, data_new, AT_FDCWD, data, RENAME_NOREPLACE) != 0) {
        status = errno == EEXIST ? ut_fail(UNTORN_E_SEGMENT_EXISTS, "segment \"%s\": exists", name)
                                 : ut_fail_errno(UNTORN_E_SYSTEM, errno,
                                                 "segment \"%s\": rename to %s", name, data);
        ut_files->unlink(control);
        goto unlink_data;
    }
    return UNTORN_OK;

unlink_data:
    ut_files->unlink(data_new);
unlink_control:
    ut_files->unlink(control_new);
    return status;
}

/* Of a superblock that has the magic. */
static untorn_status check_superblock(const char *name, const ut_superblock *super,
                                      uint64_t length) {
    if (super->version != UT_FORMAT_VERSION)
        return ut_fail(UNTORN_E_VERSION,
                       "segment \"%s\": has format version %u, this library reads version %u", name,
                       super->version, UT_FORMAT_VERSION);
    if (super->signature != ut_segment_signature())
        return ut_fail(UNTORN_E_LAYOUT,
                       "segment \"%s\": layout signature %016" PRIx64
                       " differs from this build's %016" PRIx64,
                       name, super->signature, ut_segment_signature());
    if (super->check != superblock_check(super))
        return ut_fail(UNTORN_E_CORRUPT, "segment \"%s\": superblock is damaged (checksum)", name);
    if (super->size < UT_MIN_SIZE || super->size > UT_MAX_SIZE || super->size % UT_PAGE != 0 ||
        super->lines != UT_LINES || super->versions < 2 || super->versions > 64)
        return ut_fail(UNTORN_E_CORRUPT, "segment \"%s\": superblock is damaged (limits)", name);
    uint64_t reserve = ut_load_acquire(&super->reserve);
    if (reserve < UT_MIN_SIZE || reserve > super->size || reserve % UT_PAGE != 0)
        return ut_fail(UNTORN_E_CORRUPT, "segment \"%s\": superblock is damaged (reserve)", name);
    if (length < reserve)
        return ut_fail(UNTORN_E_CORRUPT,
                       "segment \"%s\": truncated: %" PRIu64 " bytes, %" PRIu64 " are in use", name,
                       length, reserve);
    return UNTORN_OK;
}

/* A fresh control file for a segment whose own is lost or damaged: nothing in it is worth more
 * than the data.  Readers that are attached to the old one lose their pins and prompt wake-ups. */
static untorn_status replace_control(const ut_segment *segment) {
    char path[UT_PATH_MAX], fresh[UT_PATH_MAX];
    untorn_status status = ut_segment_path(segment->name, UT_SUFFIX_CONTROL, path);
    if (status == UNTORN_OK)
        status = ut_segment_path(segment->name, UT_SUFFIX_CONTROL "~new", fresh);
    if (status == UNTORN_OK)
        status = build_control(segment->name, fresh, segment->super->control_mode,
                               segment->super->nonce);
    if (status == UNTORN_OK && ut_files->rename(fresh, path) != 0)
        status = ut_fail_errno(UNTORN_E_SYSTEM, errno, "segment \"%s\": rename to %s",
                               segment->name, path);
    return status;
}

/* Map the control file if that is possible; that it is not is no failure for a reader. */
static untorn_status attach_control(ut_segment *segment, bool required) {
    char path[UT_PATH_MAX];
    untorn_status status = ut_segment_path(segment->name, UT_SUFFIX_CONTROL, path);
    if (status != UNTORN_OK)
        return status;
    int fd = ut_files->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return required ? ut_fail_errno(status_of_errno(errno), errno,
                                        "segment \"%s\": cannot open %s", segment->name, path)
                        : UNTORN_OK;
    struct stat file;
    void *memory = MAP_FAILED;
    if (ut_files->fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
        (uint64_t)file.st_size >= sizeof(ut_control))
        memory = mmap(NULL, sizeof(ut_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        ut_files->close(fd);
        return required ? ut_fail(UNTORN_E_CORRUPT, "segment \"%s\": %s is no control file",
                                  segment->name, path)
                        : UNTORN_OK;
    }
    ut_control *control = memory;
    if (control->magic != UT_CONTROL_MAGIC ||
        memcmp(control->nonce, segment->super->nonce, sizeof control->nonce) != 0) {
        munmap(memory, sizeof(ut_control));
        ut_files->close(fd);
        return required ? ut_fail(UNTORN_E_CORRUPT, "segment \"%s\": %s belongs to another segment",
                                  segment->name, path)
                        : UNTORN_OK;
    }
    segment->control = control;
    segment->control_fd = fd;
    return UNTORN_OK;
}

static untorn_status truncated(const char *who, uint64_t length) {
    return ut_fail(UNTORN_E_CORRUPT, "%s: truncated: %" PRIu64 " bytes", who, length);
}

untorn_status ut_segment_look(const char *who, int fd, const char *path, ut_superblock *first,
                              struct stat *file) {
    memset(first, 0, sizeof *first);
    /* In this order: the writer makes the file longer before it says so, and never shorter than it
     * said. */
    ssize_t looked = ut_files->pread(fd, first, sizeof *first, 0);
    int error = errno;
    if (ut_files->fstat(fd, file) != 0)
        return ut_fail_errno(UNTORN_E_SYSTEM, errno, "%s: stat", who);
    if (!S_ISREG(file->st_mode))
        return ut_fail(UNTORN_E_CORRUPT, "%s: %s is not a regular file", who, path);
    if (looked < 0)
        return ut_fail_errno(status_of_errno(error), error, "%s: cannot read %s", who, path);
    if (looked < (ssize_t)sizeof first->magic)
        return ut_fail(UNTORN_E_CORRUPT, "%s: not an Untorn segment (%zd bytes)", who, looked);
    if (first->magic != UT_MAGIC)
        return ut_fail(UNTORN_E_CORRUPT, "%s: not an Untorn segment (wrong magic)", who);
    return looked == (ssize_t)sizeof *first ? UNTORN_OK : truncated(who, (uint64_t)looked);
}

untorn_status ut_segment_attach(ut_segment *segment, const char *name, bool write, bool control) {
    memset(segment, 0, sizeof *segment);
    segment->fd = segment->control_fd = -1;
    segment->writable = write;
    snprintf(segment->name, sizeof segment->name, "%s", name);
    snprintf(segment->message_name, sizeof segment->message_name, "segment \"%.200s\"", name);

    char path[UT_PATH_MAX];
    untorn_status status = ut_segment_path(name, UT_SUFFIX_DATA, path);
    if (status != UNTORN_OK)
        return status;
    int flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    segment->fd = ut_files->open(path, flags, 0);
    if (segment->fd < 0) {
        if (errno == ENOENT)
            return no_segment(name);
        return ut_fail_errno(status_of_errno(errno), errno, "segment \"%s\": cannot open %s", name,
                             path);
    }
    /* Learn the size from a first look, then map all of it. */
    ut_superblock first;
    struct stat file;
    status = ut_segment_look(segment->message_name, segment->fd, path, &first, &file);
    if (status != UNTORN_OK)
        goto detach;
    if ((uint64_t)file.st_size < UT_MIN_SIZE) {
        status = truncated(segment->message_name, (uint64_t)file.st_size);
        goto detach;
    }
    segment->device = file.st_dev;
    segment->inode = file.st_ino;
    status = check_superblock(name, &first, (uint64_t)file.st_size);
    if (status != UNTORN_OK)
        goto detach;
    int protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
    ut_fork_block(); /* no child may inherit the writer's mapping */
    void *memory = ut_huge_map(segment->fd, first.size, protection);
    if (memory != MAP_FAILED && write)
        madvise(memory, first.size, MADV_DONTFORK);
    ut_fork_allow();
    if (memory == MAP_FAILED) {
        status = ut_fail_errno(status_of_errno(errno), errno,
                               "segment \"%s\": cannot map %" PRIu64 " bytes", name, first.size);
        goto detach;
    }
    segment->base = memory;
    segment->mapped = first.size;
    segment->super = memory;
    if (!write && ut_load_acquire(&segment->super->writer_state) == UT_WRITER_RESTORING) {
        status = ut_fail(UNTORN_E_NO_SEGMENT, "segment \"%s\": is being made from its store", name);
        goto detach;
    }
    segment->acks = (ut_ack *)(segment->base + UT_ACKS_OFFSET);
    segment->directory = (_Atomic uint64_t *)(segment->base + UT_DIRECTORY_OFFSET);
    segment->store = (ut_store_block *)(segment->base + UT_STORE_OFFSET);
    ut_store_relaxed(&segment->reserve, ut_load_acquire(&first.reserve));
    if (control) {
        status = attach_control(segment, write);
        if (write && (status == UNTORN_E_NO_SEGMENT || status == UNTORN_E_CORRUPT)) {
            status = replace_control(segment);
            if (status == UNTORN_OK)
                status = attach_control(segment, true);
        }
        if (status != UNTORN_OK)
            goto detach;
    }
    return UNTORN_OK;

detach:
    ut_segment_detach(segment);
    return status;
}

void ut_segment_detach(ut_segment *segment) {
    if (segment->control != NULL)
        munmap(segment->control, sizeof(ut_control));
    if (segment->base != NULL)
        munmap(segment->base, segment->mapped);
    if (segment->control_fd >= 0)
        ut_files->close(segment->control_fd);
    if (segment->fd >= 0)
        ut_files->close(segment->fd);
    segment->control = NULL;
    segment->base = NULL;
    segment->fd = segment->control_fd = -1;
}

bool ut_segment_exists(const char *name) {
    char path[UT_PATH_MAX];
    return ut_segment_path(name, UT_SUFFIX_DATA, path) == UNTORN_OK &&
           faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

untorn_status ut_segment_unlink(const char *name) {
    static const char *const suffixes[] = {UT_SUFFIX_DATA, UT_SUFFIX_CONTROL, UT_SUFFIX_ALIVE};
    untorn_status status = UNTORN_OK;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[UT_PATH_MAX];
        status = ut_segment_path(name, suffixes[i], path);
        if (status != UNTORN_OK)
            return status;
        if (ut_files->unlink(path) != 0 && i == 0) {
            if (errno == ENOENT)
                return no_segment(name);
            return ut_fail_errno(status_of_errno(errno), errno, "segment \"%s\": cannot remove %s",
                                 name, path);
        }
    }
    return UNTORN_OK;
}

untorn_status ut_segment_named(const ut_segment *segment) {
    char path[UT_PATH_MAX];
    struct stat file;
    if (ut_segment_path(segment->name, UT_SUFFIX_DATA, path) != UNTORN_OK)
        return UNTORN_E_NAME;
    if (stat(path, &file) != 0)
        return ut_fail(UNTORN_E_REMOVED, "segment \"%s\": was removed", segment->name);
    if (file.st_dev != segment->device || file.st_ino != segment->inode)
        return ut_fail(UNTORN_E_REPLACED, "segment \"%s\": was replaced by another", segment->name);
    return UNTORN_OK;
}

bool ut_segment_backed(ut_segment *segment, uint64_t end) {
    /* Acquire: pairs with the writer's release after it reserved the memory. */
    uint64_t reserve = ut_load_acquire(&segment->super->reserve);
    if (end > reserve || reserve > segment->mapped)
        return false;
    /* The number is only believed if the file is as long: a SIGBUS otherwise. */
    struct stat file;
    if (ut_files->fstat(segment->fd, &file) != 0 || (uint64_t)file.st_size < reserve)
        return false;
    ut_store_relaxed(&segment->reserve, reserve);
    return true;
}

ut_header *ut_segment_header(ut_segment *segment, uint64_t index) {
    if (index >= UT_MAX_OBJECTS)
        return NULL;
    /* Acquire: pairs with the writer's release after it prepared the page. */
    uint64_t page = ut_load_acquire(&segment->directory[index / UT_HEADERS_PER_PAGE]);
    if (page % UT_PAGE != 0)
        return NULL;
    ut_header *headers = ut_at(segment, page, UT_PAGE);
    return headers == NULL ? NULL : headers + index % UT_HEADERS_PER_PAGE;
}
