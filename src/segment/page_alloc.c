// SPDX-License-Identifier: MIT
/*
 * The writer's private allocator.
 *
 * Books.  Two arrays indexed by page number (offset / 4096, from the start of
 * the segment, so that big blocks are aligned in the file as well, which huge
 * pages need): `kind`, one byte a page, and `page`, 16 bytes a page.  They are
 * one mapping without reserve, so the kernel provides only what is touched.
 * Kind 0 is both "inside a block" and "never touched"; only the first page of
 * a block has another kind, and only there does `page` mean anything.
 *
 * Pages.  A free block of order k is 2^k pages, aligned to 2^k, in the list of
 * its order; no two buddies are both free.  A run of n pages is cut from the
 * smallest block that fits and the rest is free at once, so it occupies exactly
 * n.  That alone would waste up to half of the space: the rests, each smaller
 * than n, would lie between the runs.  So a run whose size is no power of two
 * begins as low as the pages before its block are free, which packs equal runs
 * without gaps; and neighbouring blocks that are not buddies may do together
 * (take_joined), which finds the hole again that such a run leaves.
 *
 * Slots.  A page of slots has a bitmap of those that are free.  Pages with
 * both free and taken slots are in the list of their class; full ones are in
 * none.  One wholly free page a class is kept as its `spare`, so that a slot
 * taken and given again and again does not split and join blocks each time;
 * spares go back when pages run out.
 *
 * Lists are doubly linked by page number through `page`; 0 ends them, since
 * page 0 is never ours.  An entry goes to the front if it lies lower than the
 * front, else to the back: in O(1) the front is mostly low, so the file grows late.
 */
#include "segment/page_alloc.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/status.h"

enum {
    ORDERS = 32, /* 2^31 pages are 8 TiB; page numbers have 32 bits */
    CLASSES = 14,
    MAX_SLOT_UNITS = 32, /* above half a page a whole one is no worse */
    LARGE_RUN = 64,      /* pages */
    FEW_CANDIDATES = 8,
    MANY_CANDIDATES = 64,
};

enum {
    KIND_INSIDE = 0,
    KIND_RUN = 1,
    KIND_SLOTS = 2,                   /* + class */
    KIND_FREE = KIND_SLOTS + CLASSES, /* + order */
    KIND_END = KIND_FREE + ORDERS,
};

struct page {
    uint32_t next, previous; /* in the list of its order or class */
    uint64_t word;           /* KIND_RUN: pages; KIND_SLOTS: bitmap of free slots */
};

struct list {
    uint32_t front, back;
};

struct ut_page_alloc {
    uint32_t start, end, limit; /* page numbers */
    uint32_t orders;            /* bit k: free[k] is not empty */
    uint64_t taken;             /* bytes, rounded */
    uint8_t *kind;
    struct page *page;
    struct list free[ORDERS];
    struct list partial[CLASSES];
    uint32_t spare[CLASSES]; /* 0: none */
    void *books;
    size_t books_bytes;
};

/* Sizes in units of 64 bytes: for each number of slots a page the largest size that allows it. */
static const uint8_t class_units[CLASSES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 21, 32};

static const uint8_t class_of_units[MAX_SLOT_UNITS + 1] = {
    0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 10, 11, 11, 11, 11,
    12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
};

static const uint32_t units_per_page = UT_ALLOC_PAGE / UT_ALLOC_GRANULE;

/* ------------------------------------------------------------------------
 * Sizes
 */
static unsigned slots_of_class(unsigned size_class) {
    return units_per_page / class_units[size_class];
}

static uint64_t all_slots(unsigned size_class) {
    return ~UINT64_C(0) >> (64 - slots_of_class(size_class));
}

/* The size class of `bytes`, or CLASSES if it takes whole pages. */
static unsigned class_of(uint64_t bytes) {
    if (bytes > MAX_SLOT_UNITS * UT_ALLOC_GRANULE)
        return CLASSES;
    return class_of_units[(bytes + UT_ALLOC_GRANULE - 1) / UT_ALLOC_GRANULE];
}

/* Does not overflow: adds after dividing. */
static uint64_t pages_of(uint64_t bytes) {
    return bytes / UT_ALLOC_PAGE + (bytes % UT_ALLOC_PAGE != 0);
}

uint64_t ut_alloc_rounded(uint64_t bytes) {
    unsigned size_class = class_of(bytes);
    if (size_class < CLASSES)
        return (uint64_t)class_units[size_class] * UT_ALLOC_GRANULE;
    uint64_t pages = pages_of(bytes);
    /* The topmost page has no end that fits 64 bits; nothing that large is ever taken. */
    return pages > UINT64_MAX / UT_ALLOC_PAGE ? UINT64_MAX - (UT_ALLOC_PAGE - 1)
                                              : pages * UT_ALLOC_PAGE;
}

static uint64_t offset_of(uint32_t page) {
    return (uint64_t)page * UT_ALLOC_PAGE;
}

static unsigned floor_log2(uint32_t n) {
    return 31u - (unsigned)__builtin_clz(n);
}

/* ------------------------------------------------------------------------
 * Lists
 */
static void list_insert(ut_page_alloc *a, struct list *list, uint32_t p) {
    struct page *entry = &a->page[p];
    if (list->front == 0) {
        entry->next = entry->previous = 0;
        list->front = list->back = p;
    } else if (p < list->front) {
        entry->previous = 0;
        entry->next = list->front;
        a->page[list->front].previous = p;
        list->front = p;
    } else {
        entry->next = 0;
        entry->previous = list->back;
        a->page[list->back].next = p;
        list->back = p;
    }
}

static void list_remove(ut_page_alloc *a, struct list *list, uint32_t p) {
    uint32_t next = a->page[p].next, previous = a->page[p].previous;
    if (previous)
        a->page[previous].next = next;
    else
        list->front = next;
    if (next)
        a->page[next].previous = previous;
    else
        list->back = previous;
}

/* ------------------------------------------------------------------------
 * Free blocks of pages
 */
static bool is_free(const ut_page_alloc *a, uint32_t p, unsigned order) {
    return a->kind[p] == KIND_FREE + order;
}

static void block_insert(ut_page_alloc *a, uint32_t p, unsigned order) {
    a->kind[p] = (uint8_t)(KIND_FREE + order);
    list_insert(a, &a->free[order], p);
    a->orders |= 1u << order;
}

static void block_remove(ut_page_alloc *a, uint32_t p, unsigned order) {
    a->kind[p] = KIND_INSIDE;
    list_remove(a, &a->free[order], p);
    if (a->free[order].front == 0)
        a->orders &= ~(1u << order);
}

/* A block becomes free and joins its buddy, as long as there is one.  The buddy
 * of a block that ends at the limit may be the limit itself: `kind` has that entry. */
static void block_give(ut_page_alloc *a, uint32_t p, unsigned order) {
    while (order + 1 < ORDERS) {
        uint32_t buddy = p ^ (1u << order);
        if (buddy > a->limit || !is_free(a, buddy, order))
            break;
        block_remove(a, buddy, order);
        p &= ~(1u << order);
        order++;
    }
    block_insert(a, p, order);
}

/* [p, end) becomes free: cut into the largest aligned blocks, from below. */
static void range_give(ut_page_alloc *a, uint32_t p, uint32_t end) {
    while (p < end) {
        unsigned order = floor_log2(end - p);
        unsigned aligned = (unsigned)__builtin_ctz(p);
        if (aligned < order)
            order = aligned;
        block_give(a, p, order);
        p += 1u << order;
    }
}

/* The free block that `p` is in: its first page, or 0. */
static uint32_t block_around(const ut_page_alloc *a, uint32_t p, unsigned *order) {
    for (unsigned k = 0; k < ORDERS; k++) {
        uint32_t first = p & ~((1u << k) - 1);
        if (first < a->start)
            return 0;
        if (is_free(a, first, k)) {
            *order = k;
            return first;
        }
        /* Another block begins here and `p` may be in it; in none that begins lower. */
        if (a->kind[first] != KIND_INSIDE && a->kind[first] < KIND_FREE)
            return 0;
    }
    return 0;
}

/* The free block that ends where `p` begins: its first page, or 0. */
static uint32_t block_before(const ut_page_alloc *a, uint32_t p) {
    unsigned aligned = (unsigned)__builtin_ctz(p);
    for (unsigned k = 0; k <= aligned; k++) {
        if (p - (1u << k) < a->start)
            return 0;
        if (is_free(a, p - (1u << k), k))
            return p - (1u << k);
    }
    return 0;
}

/* The end of the free pages that begin at block `p`, or the first block's end above `enough`. */
static uint32_t free_until(const ut_page_alloc *a, uint32_t p, uint64_t enough) {
    while (p < enough && p < a->end && a->kind[p] >= KIND_FREE)
        p += 1u << (a->kind[p] - KIND_FREE);
    return p;
}

/* Take exactly [p, end) out of the free blocks it lies in.  False, and nothing
 * done, unless all of it is free. */
static bool range_claim(ut_page_alloc *a, uint32_t p, uint32_t end) {
    unsigned order = 0;
    uint32_t first = block_around(a, p, &order);
    if (first == 0 || free_until(a, first, end) < end)
        return false;
    for (uint32_t block = first; block < end;) {
        order = (unsigned)(a->kind[block] - KIND_FREE);
        uint32_t block_end = block + (1u << order);
        block_remove(a, block, order);
        if (block_end > end)
            range_give(a, end, block_end);
        block = block_end;
    }
    /* After the loop: what is given here must not be met by it. */
    range_give(a, first, p);
    return true;
}

/* ------------------------------------------------------------------------
 * Runs of pages
 */

/* Whether there was a spare. */
static bool spares_give(ut_page_alloc *a) {
    bool any = false;
    for (unsigned size_class = 0; size_class < CLASSES; size_class++) {
        uint32_t p = a->spare[size_class];
        if (p == 0)
            continue;
        a->spare[size_class] = 0;
        a->kind[p] = KIND_INSIDE;
        block_give(a, p, 0);
        any = true;
    }
    return any;
}

static bool is_power_of_two(uint32_t n) {
    return (n & (n - 1)) == 0;
}

/* The order of the smallest block that holds n pages; may be ORDERS, which no block has. */
static unsigned order_for(uint32_t n) {
    return n == 1 ? 0 : floor_log2(n - 1) + 1;
}

/* The lowest page from which all is free up to the free block `p`. */
static uint32_t free_down_from(const ut_page_alloc *a, uint32_t p) {
    for (uint32_t before = p; before; before = block_before(a, p))
        p = before;
    return p;
}

/* n pages from the smallest block that fits: the first page, or 0. */
static uint32_t take_block(ut_page_alloc *a, uint32_t n) {
    unsigned wanted = order_for(n);
    uint32_t fits = wanted < ORDERS ? a->orders & ~((1u << wanted) - 1) : 0;
    if (fits == 0)
        return 0;
    unsigned order = (unsigned)__builtin_ctz(fits);
    uint32_t p = a->free[order].front;
    if (!is_power_of_two(n)) {
        uint32_t first = free_down_from(a, p);
        if (first < p) {
            bool claimed = range_claim(a, first, first + n);
            ut_check(claimed);
            return first;
        }
    }
    block_remove(a, p, order);
    range_give(a, p + n, p + (1u << order));
    return p;
}

/*
 * n pages from neighbouring blocks: the first page, or 0.
 *
 * Any 2^(k-1) < n <= 2^k free pages in a row contain a free block of order k-2
 * or more, so those of order k-1 and k-2 are all there is to look at besides
 * those that fit alone; of each order not more than `candidates`, to keep a
 * failing request cheap.
 */
static uint32_t take_joined(ut_page_alloc *a, uint32_t n, unsigned candidates) {
    unsigned fits = order_for(n);
    for (unsigned k = fits; k-- > 0 && k + 2 >= fits;) {
        uint32_t p = a->free[k].front;
        for (unsigned i = 0; p && i < candidates; i++, p = a->page[p].next) {
            uint32_t first = free_down_from(a, p);
            uint64_t end = (uint64_t)first + n;
            if (free_until(a, p, end) < end)
                continue;
            bool claimed = range_claim(a, first, first + n);
            ut_check(claimed);
            return first;
        }
    }
    return 0;
}

static uint32_t find_pages(ut_page_alloc *a, uint32_t n) {
    /* The hole that such a run left is no single block that fits: look for it before cutting
     * into another block. */
    uint32_t p = 0;
    if (!is_power_of_two(n))
        p = take_joined(a, n, n < LARGE_RUN ? 2 : FEW_CANDIDATES);
    if (p == 0)
        p = take_block(a, n);
    return p ? p : take_joined(a, n, MANY_CANDIDATES);
}

/* n pages in a row: the first page, or 0. */
static uint32_t take_pages(ut_page_alloc *a, uint64_t n) {
    if (n > a->end - a->start)
        return 0;
    uint32_t p = find_pages(a, (uint32_t)n);
    if (p == 0 && spares_give(a))
        p = find_pages(a, (uint32_t)n);
    return p;
}

static void run_begin(ut_page_alloc *a, uint32_t p, uint64_t pages) {
    a->kind[p] = KIND_RUN;
    a->page[p].word = pages;
}

/* ------------------------------------------------------------------------
 * Slots
 */

/* A page has become one of free slots. */
static void slots_begin(ut_page_alloc *a, uint32_t p, unsigned size_class) {
    a->kind[p] = (uint8_t)(KIND_SLOTS + size_class);
    a->page[p].word = all_slots(size_class);
    list_insert(a, &a->partial[size_class], p);
}

/* `slot` of a page that is in the list of its class is taken. */
static void slot_claim(ut_page_alloc *a, uint32_t p, unsigned size_class, unsigned slot) {
    a->page[p].word &= ~(UINT64_C(1) << slot);
    if (a->page[p].word == 0)
        list_remove(a, &a->partial[size_class], p);
    a->taken += (uint64_t)class_units[size_class] * UT_ALLOC_GRANULE;
}

/* A page whose slots have all become free, and which is in no list. */
static void slots_end(ut_page_alloc *a, uint32_t p, unsigned size_class) {
    uint32_t spare = a->spare[size_class];
    if (spare == 0) {
        a->spare[size_class] = p;
        return;
    }
    /* Keep the lower of the two. */
    uint32_t higher = p > spare ? p : spare;
    a->spare[size_class] = p > spare ? spare : p;
    a->kind[higher] = KIND_INSIDE;
    block_give(a, higher, 0);
}

/* Which slot begins at `offset` of its page; slots are numbered below 64, so
 * 64 says "none does".  Divides by multiplying, exact for units below 64. */
static unsigned slot_at(uint64_t offset, unsigned size_class) {
    uint32_t in_page = (uint32_t)(offset % UT_ALLOC_PAGE);
    uint32_t unit = in_page / UT_ALLOC_GRANULE;
    uint32_t size = class_units[size_class];
    uint32_t slot = unit * (65536u / size + 1) >> 16;
    if (in_page % UT_ALLOC_GRANULE || slot * size != unit || slot >= slots_of_class(size_class))
        return 64;
    return slot;
}

static uint64_t slot_take(ut_page_alloc *a, unsigned size_class) {
    uint32_t p = a->partial[size_class].front;
    if (p == 0 && (p = a->spare[size_class]) != 0) {
        a->spare[size_class] = 0;
        list_insert(a, &a->partial[size_class], p);
    } else if (p == 0) {
        p = take_pages(a, 1);
        if (p == 0)
            return 0;
        slots_begin(a, p, size_class);
    }
    unsigned slot = (unsigned)__builtin_ctzll(a->page[p].word);
    slot_claim(a, p, size_class, slot);
    return offset_of(p) + (uint64_t)slot * class_units[size_class] * UT_ALLOC_GRANULE;
}

static void slot_give(ut_page_alloc *a, uint64_t offset, unsigned size_class) {
    uint32_t p = (uint32_t)(offset / UT_ALLOC_PAGE);
    unsigned slot = slot_at(offset, size_class);
    ut_check(a->kind[p] == KIND_SLOTS + size_class);
    ut_check(slot < 64);
    uint64_t before = a->page[p].word, bit = UINT64_C(1) << slot;
    ut_check((before & bit) == 0);
    a->page[p].word = before | bit;
    a->taken -= (uint64_t)class_units[size_class] * UT_ALLOC_GRANULE;
    if ((before | bit) == all_slots(size_class)) {
        /* No class has one slot a page, so the page was in the list. */
        list_remove(a, &a->partial[size_class], p);
        slots_end(a, p, size_class);
    } else if (before == 0) {
        list_insert(a, &a->partial[size_class], p);
    }
}

static int slot_mark(ut_page_alloc *a, uint64_t offset, unsigned size_class) {
    uint32_t p = (uint32_t)(offset / UT_ALLOC_PAGE);
    unsigned slot = slot_at(offset, size_class);
    if (slot == 64)
        return -1;
    if (a->kind[p] != KIND_SLOTS + size_class) {
        if (!range_claim(a, p, p + 1))
            return -1;
        slots_begin(a, p, size_class);
    } else if ((a->page[p].word >> slot & 1) == 0) {
        return 0;
    }
    slot_claim(a, p, size_class, slot);
    return 1;
}

/* ------------------------------------------------------------------------
 * The interface
 */
untorn_status ut_alloc_create(uint64_t start, uint64_t limit, ut_page_alloc **out) {
    ut_check(start > 0 && start <= limit);
    ut_check(start % UT_ALLOC_PAGE == 0 && limit % UT_ALLOC_PAGE == 0);
    if (limit / UT_ALLOC_PAGE >= UINT32_MAX)
        return ut_fail(UNTORN_E_LIMIT, "a segment of %llu bytes: it must be below 16 TiB",
                       (unsigned long long)limit);

    ut_page_alloc *a = calloc(1, sizeof *a);
    if (a == NULL)
        return ut_fail(UNTORN_E_NO_MEMORY, "no memory for the books of the segment's space");
    /* One entry more: see block_give(). */
    size_t entries = (size_t)(limit / UT_ALLOC_PAGE) + 1;
    a->books_bytes = entries * (sizeof *a->page + sizeof *a->kind);
    a->books = mmap(NULL, a->books_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->books == MAP_FAILED) {
        int error = errno;
        free(a);
        return ut_fail_errno(UNTORN_E_NO_MEMORY, error,
                             "no memory for the books of the segment's space");
    }
    /* Blocks' first pages lie far apart: huge pages would make a small use expensive.
     * A kernel without them refuses, which is as good. */
    (void)madvise(a->books, a->books_bytes, MADV_NOHUGEPAGE);
    a->page = a->books;
    a->kind = (uint8_t *)(a->page + entries);
    a->start = a->end = (uint32_t)(start / UT_ALLOC_PAGE);
    a->limit = (uint32_t)(limit / UT_ALLOC_PAGE);
    *out = a;
    return UNTORN_OK;
}

void ut_alloc_destroy(ut_page_alloc *a) {
    if (a == NULL)
        return;
    munmap(a->books, a->books_bytes);
    free(a);
}

void ut_alloc_extend(ut_page_alloc *a, uint64_t end) {
    ut_check(end % UT_ALLOC_PAGE == 0);
    ut_check(end >= offset_of(a->end) && end <= offset_of(a->limit));
    uint32_t old_end = a->end;
    a->end = (uint32_t)(end / UT_ALLOC_PAGE);
    range_give(a, old_end, a->end);
}

uint64_t ut_alloc_take(ut_page_alloc *a, uint64_t bytes) {
    unsigned size_class = class_of(bytes);
    if (size_class < CLASSES)
        return slot_take(a, size_class);
    uint64_t pages = pages_of(bytes);
    uint32_t p = take_pages(a, pages);
    if (p == 0)
        return 0;
    run_begin(a, p, pages);
    a->taken += pages * UT_ALLOC_PAGE;
    return offset_of(p);
}

void ut_alloc_give(ut_page_alloc *a, uint64_t offset, uint64_t bytes) {
    ut_check(offset >= offset_of(a->start) && offset < offset_of(a->end));
    unsigned size_class = class_of(bytes);
    if (size_class < CLASSES) {
        slot_give(a, offset, size_class);
        return;
    }
    uint32_t p = (uint32_t)(offset / UT_ALLOC_PAGE);
    uint64_t pages = pages_of(bytes);
    ut_check(offset % UT_ALLOC_PAGE == 0);
    ut_check(a->kind[p] == KIND_RUN);
    ut_check(a->page[p].word == pages);
    a->kind[p] = KIND_INSIDE;
    a->taken -= pages * UT_ALLOC_PAGE;
    range_give(a, p, p + (uint32_t)pages);
}

int ut_alloc_mark(ut_page_alloc *a, uint64_t offset, uint64_t bytes) {
    uint64_t end = offset_of(a->end);
    if (offset < offset_of(a->start) || offset >= end || ut_alloc_rounded(bytes) > end - offset)
        return -1;
    /* Nothing lives in a spare page, so nothing may be refused on its account. */
    (void)spares_give(a);
    unsigned size_class = class_of(bytes);
    if (size_class < CLASSES)
        return slot_mark(a, offset, size_class);
    if (offset % UT_ALLOC_PAGE)
        return -1;
    uint32_t p = (uint32_t)(offset / UT_ALLOC_PAGE);
    uint64_t pages = pages_of(bytes);
    if (a->kind[p] == KIND_RUN)
        return a->page[p].word == pages ? 0 : -1;
    if (!range_claim(a, p, p + (uint32_t)pages))
        return -1;
    run_begin(a, p, pages);
    a->taken += pages * UT_ALLOC_PAGE;
    return 1;
}

uint64_t ut_alloc_free_bytes(const ut_page_alloc *a) {
    return offset_of(a->end) - offset_of(a->start) - a->taken;
}

uint64_t ut_alloc_largest(const ut_page_alloc *a) {
    return a->orders ? (uint64_t)UT_ALLOC_PAGE << floor_log2(a->orders) : 0;
}

uint64_t ut_alloc_end(const ut_page_alloc *a) {
    return offset_of(a->end);
}

/* ------------------------------------------------------------------------
 * The consistency check: one walk over all blocks in order of their place
 * counts what should be in each list, one walk over each list compares.
 */
struct census {
    uint64_t kinds[KIND_END]; /* entries that belong in a list, by kind */
    uint64_t taken;
};

static bool broken(const char *what, uint64_t page) {
    fprintf(stderr, "page_alloc: page %llu: %s\n", (unsigned long long)page, what);
    return false;
}

static bool check_slots(const ut_page_alloc *a, uint32_t p, struct census *census) {
    unsigned size_class = (unsigned)(a->kind[p] - KIND_SLOTS);
    uint64_t word = a->page[p].word, all = all_slots(size_class);
    if (word & ~all)
        return broken("free slot that the class has not", p);
    if ((word == all) != (a->spare[size_class] == p))
        return broken("wholly free page of slots that is not the spare, or the reverse", p);
    if (word != 0 && word != all)
        census->kinds[KIND_SLOTS + size_class]++;
    unsigned used = (unsigned)__builtin_popcountll(all & ~word);
    census->taken += (uint64_t)used * class_units[size_class] * UT_ALLOC_GRANULE;
    return true;
}

static bool check_free(const ut_page_alloc *a, uint32_t p, struct census *census) {
    unsigned order = (unsigned)(a->kind[p] - KIND_FREE);
    uint32_t buddy = p ^ (1u << order);
    if (p & ((1u << order) - 1))
        return broken("misaligned free block", p);
    if (order + 1 < ORDERS && buddy >= a->start && buddy < a->end && is_free(a, buddy, order))
        return broken("free block whose buddy is free", p);
    census->kinds[KIND_FREE + order]++;
    return true;
}

static bool check_blocks(const ut_page_alloc *a, struct census *census) {
    uint64_t p = a->start;
    while (p < a->end) {
        unsigned kind = a->kind[p];
        uint64_t pages = 1;
        if (kind == KIND_INSIDE || kind >= KIND_END)
            return broken("no block begins where the previous one ends", p);
        if (kind == KIND_RUN) {
            pages = a->page[p].word;
            census->taken += pages * UT_ALLOC_PAGE;
        } else if (kind < KIND_FREE) {
            if (!check_slots(a, (uint32_t)p, census))
                return false;
        } else {
            pages = UINT64_C(1) << (kind - KIND_FREE);
            if (!check_free(a, (uint32_t)p, census))
                return false;
        }
        if (pages == 0 || pages > a->end - p)
            return broken("block exceeds the end", p);
        p += pages;
    }
    return true;
}

static bool check_list(const ut_page_alloc *a, const struct list *list, unsigned kind,
                       uint64_t expected) {
    uint64_t entries = 0;
    uint32_t previous = 0;
    for (uint32_t p = list->front; p; previous = p, p = a->page[p].next) {
        if (p < a->start || p >= a->end || a->kind[p] != kind)
            return broken("in the list of another kind", p);
        if (a->page[p].previous != previous)
            return broken("list is not linked back", p);
        if (++entries > expected)
            return broken("list has too many entries", p);
    }
    if (list->back != previous)
        return broken("list does not end in its back", list->back);
    return entries == expected || broken("list has too few entries", kind);
}

bool ut_alloc_check(const ut_page_alloc *a) {
    struct census census = {0};
    if (!check_blocks(a, &census))
        return false;
    for (unsigned size_class = 0; size_class < CLASSES; size_class++) {
        unsigned kind = KIND_SLOTS + size_class;
        uint32_t spare = a->spare[size_class];
        if (spare && (spare < a->start || spare >= a->end || a->kind[spare] != kind))
            return broken("spare of another kind", spare);
        if (!check_list(a, &a->partial[size_class], kind, census.kinds[kind]))
            return false;
    }
    for (unsigned order = 0; order < ORDERS; order++) {
        unsigned kind = KIND_FREE + order;
        if ((a->orders >> order & 1) != (a->free[order].front != 0))
            return broken("order is not known to be empty or not", order);
        if (!check_list(a, &a->free[order], kind, census.kinds[kind]))
            return false;
    }
    return census.taken == a->taken || broken("sum of what is taken is wrong", census.taken);
}
