// SPDX-License-Identifier: MIT
/*
 * Dumps: a segment's bytes in a file, for a post-mortem.
 *
 * The file is the data segment up to its reserve, then the control segment, or
 * as many zero bytes if that may not be read.  It is made under a temporary
 * name.
 */
#include "array/name.h"
#include "base/file_ops.h"
#include "base/racy_copy.h"
#include "base/status.h"
#include "segment/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (UINT64_C(1) << 20)

static untorn_status write_all(int fd, const char *path, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        ssize_t n = ut_files->write(fd, at, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ut_fail_errno(errno == ENOSPC ? UNTORN_E_NO_SPACE : UNTORN_E_SYSTEM, errno,
                                 "cannot write %s", path);
        at += n;
        count -= (size_t)n;
    }
    return UNTORN_OK;
}

static untorn_status write_segment(ut_segment *segment, int fd, const char *path) {
    unsigned char *piece = calloc(1, PIECE);
    if (piece == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "dump: out of memory");
    uint64_t reserve = ut_load_relaxed(&segment->reserve);
    untorn_status status = UNTORN_OK;
    for (uint64_t at = 0; at < reserve && status == UNTORN_OK; at += PIECE) {
        uint64_t n = reserve - at < PIECE ? reserve - at : PIECE;
        ut_racy_copy(piece, segment->base + at, n);
        status = write_all(fd, path, piece, n);
    }
    memset(piece, 0, sizeof(ut_control));
    if (segment->control != NULL)
        ut_racy_copy(piece, segment->control, sizeof(ut_control));
    if (status == UNTORN_OK)
        status = write_all(fd, path, piece, sizeof(ut_control));
    free(piece);
    return status;
}

untorn_status untorn_segment_dump(const char *name, const char *path) {
    if (name == NULL || path == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "dump: no segment or no path");
    untorn_status status = ut_name_check_segment(name);
    if (status != UNTORN_OK)
        return status;
    ut_segment segment;
    status = ut_segment_attach(&segment, name, false, true);
    if (status != UNTORN_OK)
        return status;
    char fresh[4096];
    int n = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof fresh) {
        status = ut_fail(UNTORN_E_ARGUMENT, "dump: path too long");
        goto detach;
    }
    int fd = ut_files->open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        status = ut_fail_errno(UNTORN_E_SYSTEM, errno, "cannot create %s", fresh);
        goto detach;
    }
    status = write_segment(&segment, fd, fresh);
    if (ut_files->close(fd) != 0 && status == UNTORN_OK)
        status = ut_fail_errno(UNTORN_E_SYSTEM, errno, "cannot write %s", fresh);
    if (status == UNTORN_OK &&
        ut_files->renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        status = ut_fail_errno(UNTORN_E_SYSTEM, errno, "cannot rename %s to %s", fresh, path);
    if (status != UNTORN_OK)
        ut_files->unlink(fresh);
detach:
    ut_segment_detach(&segment);
    return status;
}
