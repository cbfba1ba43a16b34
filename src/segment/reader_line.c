// SPDX-License-Identifier: MIT
/*
 * The reader's half of pins; reader_line.h and grants.c have the rules.
 */
#include "segment/reader_line.h"

#include "base/clock.h"
#include "base/file_ops.h"
#include "base/fork_guard.h"
#include "base/test_hooks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ut_lines_init(ut_reader_lines *lines, ut_segment *segment) {
    memset(lines, 0, sizeof *lines);
    lines->segment = segment;
    lines->fd = -1;
    lines->fork_generation = ut_fork_generation();
}

void ut_lines_close(ut_reader_lines *lines) {
    if (lines->fd >= 0 && lines->fork_generation == ut_fork_generation())
        ut_fork_close_fd(lines->fd);
    lines->fd = -1;
    ut_store_relaxed(&lines->counted, NULL);
}

static bool open_lock_file(ut_reader_lines *lines) {
    if (lines->fork_generation != ut_fork_generation_now()) {
        /* Inherited over a fork: the lines are the parent's, and so was the descriptor. */
        lines->fd = -1;
        memset(lines->owned, 0, sizeof lines->owned);
        ut_store_relaxed(&lines->counted, NULL);
        lines->fork_generation = ut_fork_generation_now();
    }
    if (lines->fd >= 0)
        return true;
    if (lines->segment->control == NULL)
        return false;
    char path[64];
    /* The same file that is mapped, whatever its name means by now, but an open file of its own. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", lines->segment->control_fd);
    ut_fork_block();
    lines->fd = ut_files->open(path, O_RDWR | O_CLOEXEC, 0);
    if (lines->fd >= 0 && ut_fork_guard_fd(lines->fd) != UNTORN_OK) {
        ut_files->close(lines->fd);
        lines->fd = -1;
    }
    ut_fork_allow();
    return lines->fd >= 0;
}

uint32_t ut_line_take(ut_reader_lines *lines) {
    if (!open_lock_file(lines))
        return UT_NO_LINE;
    if (lines->owned[lines->given] == 1) {
        lines->owned[lines->given] = 2;
        return lines->given;
    }
    for (uint32_t i = 0; i < UT_LINES; i++)
        if (lines->owned[i] == 1) {
            lines->owned[i] = 2;
            return i;
        }
    uint32_t first = (uint32_t)getpid() * 31u;
    uint32_t count = lines->flusher ? 1 : UT_FLUSHER_LINE;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t line = lines->flusher ? UT_FLUSHER_LINE : (first + i) % UT_FLUSHER_LINE;
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)line, .l_len = 1};
        if (lines->owned[line] != 0 || fcntl(lines->fd, F_OFD_SETLK, &lock) != 0)
            continue;
        ut_line *mine = &lines->segment->control->lines[line];
        ut_store_relaxed(&mine->nonce, 0); /* whatever its last owner wanted */
        ut_store_relaxed(&mine->waiting, 0);
        ut_store_relaxed(&mine->pid, (uint32_t)getpid());
        ut_store_relaxed(&mine->reads, 0);
        ut_store_relaxed(&mine->attempts, 0);
        ut_store_relaxed(&mine->last_commit, 0);
        /* Release: who counts there does so after the line was emptied. */
        if (ut_load_relaxed(&lines->counted) == NULL)
            ut_store_release(&lines->counted, mine);
        ut_fetch_add_release(&lines->segment->control->posted, 1);
        lines->owned[line] = 2;
        return line;
    }
    return UT_NO_LINE;
}

void ut_line_give(ut_reader_lines *lines, uint32_t line) {
    if (line < UT_LINES && lines->owned[line] == 2) {
        lines->owned[line] = 1;
        lines->given = line;
    }
}

void ut_pin_request(ut_segment *segment, ut_pin *pin, uint64_t wanted) {
    ut_line *line = &segment->control->lines[pin->line];
    /* Above every nonce this line ever had an answer for. */
    uint64_t last = ut_load_relaxed(&segment->acks[pin->line].last);
    uint64_t mine = ut_load_relaxed(&line->nonce);
    pin->nonce = (last > pin->nonce ? last : pin->nonce) + 1;
    if (pin->nonce <= mine && mine - pin->nonce < 1000000)
        pin->nonce = mine + 1;
    /* And above every one that was posted here and withdrawn again: the writer may be about to
     * grant that, for a commit that the other request wanted. */
    uint64_t clock = (uint64_t)ut_clock_monotonic();
    if (pin->nonce < clock && !UT_SEEDED(122))
        pin->nonce = clock;
    pin->commit = 0;
    ut_store_relaxed(&line->wanted, wanted);
    /* Pairs with the writer's acquire in ut_grants_scan(): wanted belongs to the nonce. */
    ut_store_release(&line->nonce, pin->nonce);
    ut_fetch_add_release(&segment->control->posted, 1);
}

bool ut_pin_granted(ut_segment *segment, ut_pin *pin) {
    const ut_ack *ack = &segment->acks[pin->line];
    /* Pairs with the writer's release: the commit belongs to the nonce, and all that is live at
     * it is seen. */
    if (ut_load_acquire(&ack->nonce) != pin->nonce)
        return false;
    uint64_t commit = ut_load_relaxed(&ack->commit);
    ut_fence_acquire();
    if (ut_load_relaxed(&ack->nonce) != pin->nonce || commit == 0)
        return false;
    pin->commit = commit;
    return true;
}

bool ut_pin_stands(ut_segment *segment, const ut_pin *pin) {
    return ut_load_relaxed(&segment->acks[pin->line].nonce) == pin->nonce;
}

bool ut_pin_ended(ut_segment *segment, const ut_pin *pin) {
    const ut_ack *ack = &segment->acks[pin->line];
    return ut_load_acquire(&ack->last) >= pin->nonce && ut_load_acquire(&ack->nonce) != pin->nonce;
}

void ut_pin_release(ut_segment *segment, ut_pin *pin) {
    if (pin->nonce == 0 || segment->control == NULL)
        return;
    ut_store_release(&segment->control->lines[pin->line].nonce, 0);
    ut_fetch_add_release(&segment->control->posted, 1);
    pin->commit = 0;
}

bool ut_pin_find(ut_segment *segment, uint64_t commit, ut_pin *pin) {
    for (uint32_t i = 0; i < UT_LINES; i++) {
        const ut_ack *ack = &segment->acks[i];
        uint64_t nonce = ut_load_acquire(&ack->nonce);
        if (nonce == 0 || ut_load_relaxed(&ack->commit) != commit)
            continue;
        ut_fence_acquire();
        if (ut_load_relaxed(&ack->nonce) != nonce)
            continue;
        *pin = (ut_pin){i, nonce, commit};
        return true;
    }
    return false;
}
