// SPDX-License-Identifier: MIT
// Mapping at a multiple of 2 MiB, and asking for pages of 2 MiB: see the header for why.
#include "segment/huge_pages.h"

#include "base/file_ops.h"
#include "segment/layout.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE /* Linux 6.1 */
#define MADV_COLLAPSE 25
#endif

static void *map_anywhere(int fd, uint64_t bytes, int protection) {
    return mmap(NULL, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
}

void *ut_huge_map(int fd, uint64_t bytes, int protection) {
    if (bytes < UT_HUGE_PAGE)
        return map_anywhere(fd, bytes, protection);
    /* Addresses for more than is needed, of which what lies right is used. */
    unsigned char *room = mmap(NULL, bytes + UT_HUGE_PAGE, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return map_anywhere(fd, bytes, protection);
    size_t before = (size_t)(-(uintptr_t)room % UT_HUGE_PAGE);
    size_t after = UT_HUGE_PAGE - before;
    void *memory =
        mmap(room + before, bytes, protection, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
    if (memory == MAP_FAILED) {
        /* Some limits count both until the one has taken the other's place: of locked memory, under
         * mlockall(MCL_FUTURE), and of the number of mappings. */
        munmap(room, bytes + UT_HUGE_PAGE);
        return map_anywhere(fd, bytes, protection);
    }
    if (before != 0)
        munmap(room, before);
    munmap(room + before + bytes, after);
    return memory;
}

bool ut_huge_reserve(unsigned char *base, int fd, uint64_t from, uint64_t end) {
    from = (from + UT_HUGE_PAGE - 1) / UT_HUGE_PAGE * UT_HUGE_PAGE;
    end = end / UT_HUGE_PAGE * UT_HUGE_PAGE;
    for (uint64_t at = from; at < end; at += UT_HUGE_PAGE)
        if (ut_files->posix_fallocate(fd, (off_t)(at + UT_HUGE_PAGE - UT_PAGE), (off_t)UT_PAGE) !=
            0)
            return true; /* no space, mostly, which who calls this will find out */
    if (from >= end || madvise(base + from, end - from, MADV_COLLAPSE) == 0)
        return true;
    return errno != EINVAL && errno != ENOMEM; /* else something was in the way this time */
}
