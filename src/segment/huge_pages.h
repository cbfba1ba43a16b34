// SPDX-License-Identifier: MIT
/*
 * A segment in few large pages instead of many small ones.
 *
 * Who works at random places of much memory waits, at each place, for the processor to find out
 * where the page lies, before it waits for the bytes: an array of half a gigabyte has more pages of
 * 4 KiB than a processor remembers.  Of pages of 2 MiB it remembers all.  And one of those is
 * reserved and mapped in a fraction of the time that 512 small ones take.
 *
 * tmpfs uses them by itself only where the machine is set up for it.  But from Linux 6.1 on, a page
 * of 2 MiB is made on request out of what is there of its 512 small ones (MADV_COLLAPSE), whatever
 * the setting but "deny".  Holes are filled, so it is enough that one of them is there.  What is
 * refused is reserved as small pages.
 *
 * It is asked for only where the file is about to grow: nobody uses that memory, so nobody waits.
 * The file has to be that long already, and so, for the time of the call, is longer than what is
 * reserved.  Nobody looks there, as nobody does beyond the published reserve; and if the writer
 * dies meanwhile, the next one cuts it to that.
 *
 * A huge page can be mapped as one only at a multiple of its size.
 */
#ifndef UT_HUGE_PAGES_H
#define UT_HUGE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define UT_HUGE_PAGE (UINT64_C(2) << 20)

/* mmap() of a file's begin, shared, at a multiple of UT_HUGE_PAGE if there is so much to map.
 * MAP_FAILED and errno as mmap(). */
void *ut_huge_map(int fd, uint64_t bytes, int protection);

/* Reserve what [from, end) has of whole huge pages as such, as far as they can be had; the file
 * behind `base`, which is of ut_huge_map(), gets as long as needed for that.  Whoever calls this
 * reserves all of [from, end) then.  False: the kernel has no huge pages, and need not be asked
 * again. */
bool ut_huge_reserve(unsigned char *base, int fd, uint64_t from, uint64_t end);

#endif
