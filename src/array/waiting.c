// SPDX-License-Identifier: MIT
/*
 * The public waits: each is a condition, looked at before every sleep, and the
 * words to sleep on.
 *
 * Several arrays are waited for on their own words, up to 128; more of them, any commit,
 * and arrays that do not exist yet, on the segment's.
 *
 * That no writer is there is reported once it was found twice, 20 ms apart, so
 * that a writer which is just taking over is not taken for dead.
 *
 * A reader with the option `spin` looks at the words for that long before it is counted among the
 * sleeping, so that a commit meanwhile makes no system call.  Spinning, too, goes in
 * slices, between which the writer is looked for.
 */
#include "array/reader.h"

#include "base/clock.h"
#include "base/single_threaded.h"
#include "base/status.h"
#include "base/test_hooks.h"
#include "segment/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_NS 80000000   /* between looks whether a writer is there */
#define CERTAIN_NS 20000000 /* for how long it must not have been */

/* UNTORN_OK: it came; UNTORN_E_TIMEOUT: not yet; else a failure. */
typedef untorn_status condition(void *context);

typedef struct waiting {
    untorn_reader *reader;
    untorn_array *const *arrays; /* whose words to sleep on; NULL: the segment's */
    size_t count;
    condition *condition;
    void *context;
    int64_t timeout;
} waiting;

static size_t load_words(const waiting *w, const ut_waiter *waiter, _Atomic uint32_t **words,
                         uint32_t *values) {
    if (w->arrays == NULL) {
        words[0] = ut_wait_segment_word(waiter, w->reader->segment);
        values[0] = ut_load_acquire(words[0]);
        return 1;
    }
    for (size_t i = 0; i < w->count; i++) {
        words[i] = ut_wait_object_word(waiter, w->arrays[i]->header, w->arrays[i]->index);
        if (UT_SEEDED(131))
            words[i] = (_Atomic uint32_t *)(void *)&w->arrays[i]->header->generation;
        /* Acquire: what was committed before the word was changed is found. */
        values[i] = ut_load_acquire(words[i]);
    }
    return w->count;
}

/* UNTORN_OK while a writer may be there; else what became of it, once that is certain.  What
 * was seen is kept over calls, so that short waits in a row learn of it, too. */
static untorn_status check_writer(untorn_reader *reader, int64_t now) {
    untorn_status status = untorn_reader_check(reader);
    int64_t since = ut_load_relaxed(&reader->gone_since);
    if (status == UNTORN_OK || since == 0)
        ut_store_relaxed(&reader->gone_since, status == UNTORN_OK ? 0 : now);
    return since != 0 && now - since >= CERTAIN_NS ? status : UNTORN_OK;
}

/* Tell the processor that this is a loop of looking. */
static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#define LOOKS 16u /* between looks at the clock */

/* Look until a word differs from its value, or `slice` ns have passed.  What was published is
 * acquired when the words are loaded anew. */
static void spin_until(_Atomic uint32_t *const *words, const uint32_t *values, size_t count,
                       int64_t slice) {
    int64_t begin = ut_clock_monotonic();
    UT_STEP("spin begins");
    do {
        for (unsigned look = 0; look < LOOKS; look++) {
            for (size_t i = 0; i < count; i++)
                if (ut_load_relaxed(words[i]) != values[i])
                    return;
            relax();
        }
    } while (ut_clock_monotonic() - begin < slice);
}

static uint32_t take_line(untorn_reader *reader) {
    bool alone = ut_single_threaded();
    if (!alone)
        pthread_mutex_lock(&reader->lock);
    uint32_t line = ut_line_take(&reader->lines);
    if (!alone)
        pthread_mutex_unlock(&reader->lock);
    return line;
}

static void give_line(untorn_reader *reader, uint32_t line) {
    bool alone = ut_single_threaded();
    if (!alone)
        pthread_mutex_lock(&reader->lock);
    ut_line_give(&reader->lines, line);
    if (!alone)
        pthread_mutex_unlock(&reader->lock);
}

/* Be counted among the sleeping, if there is a line to be had. */
static void begin_sleeping(const waiting *w, ut_waiter *waiter) {
    untorn_reader *reader = w->reader;
    uint32_t line = UT_NO_LINE;
    if (w->timeout != 0 && reader->segment->control != NULL)
        line = take_line(reader);
    ut_wait_begin(waiter, reader->segment, line, w->arrays != NULL ? 1 : 2);
}

static void end_sleeping(const waiting *w, ut_waiter *waiter) {
    uint32_t line = waiter->line;
    ut_wait_end(waiter);
    if (line != UT_NO_LINE)
        give_line(w->reader, line);
}

/* `words` and `values` have room for w->count. */
static untorn_status wait_until(const waiting *w, ut_waiter *waiter, _Atomic uint32_t **words,
                                uint32_t *values) {
    int64_t begin = ut_clock_monotonic(), checked = begin;
    bool interrupted = false, spinning = w->timeout != 0 && w->reader->spin > 0;
    if (!spinning)
        begin_sleeping(w, waiter);
    for (bool first = true;; first = false) {
        size_t count = load_words(w, waiter, words, values);
        untorn_status status = w->condition(w->context);
        if (status != UNTORN_E_TIMEOUT)
            return status;
        int64_t now = first ? begin : ut_clock_monotonic();
        bool over = w->timeout >= 0 && now - begin >= w->timeout;
        bool suspicious = ut_load_relaxed(&w->reader->gone_since) != 0;
        if ((over && w->timeout > 0) || now - checked >= (suspicious ? CERTAIN_NS : CHECK_NS)) {
            checked = now;
            status = check_writer(w->reader, now);
            if (status != UNTORN_OK) {
                /* It may have committed as its last act. */
                untorn_status late = w->condition(w->context);
                if (late == UNTORN_E_TIMEOUT)
                    late = untorn_reader_check(w->reader);
                if (late != UNTORN_OK)
                    return late;
                continue; /* it came, or a next writer did */
            }
        }
        if (over)
            return ut_fail(UNTORN_E_TIMEOUT, "%s: nothing came within the timeout",
                           w->reader->segment->message_name);
        if (interrupted)
            return ut_fail(UNTORN_E_INTERRUPTED, "%s: waiting was interrupted by a signal",
                           w->reader->segment->message_name);
        if (spinning && now - begin >= w->reader->spin) {
            spinning = false;
            begin_sleeping(w, waiter);
            continue; /* what came since was not for one who sleeps */
        }
        int64_t slice = spinning ? CHECK_NS : ut_wait_slice(waiter);
        if (ut_load_relaxed(&w->reader->gone_since) != 0 && slice > CERTAIN_NS)
            slice = CERTAIN_NS;
        else if (slice > CHECK_NS - (now - checked))
            slice = CHECK_NS - (now - checked);
        if (w->timeout >= 0 && slice > w->timeout - (now - begin))
            slice = w->timeout - (now - begin);
        if (spinning && slice > w->reader->spin - (now - begin))
            slice = w->reader->spin - (now - begin);
        if (spinning)
            spin_until(words, values, count, slice);
        else
            interrupted = ut_wait_sleep(words, values, count, slice) == EINTR;
    }
}

static untorn_status wait_on_one(const waiting *w, ut_waiter *waiter) {
    _Atomic uint32_t *word;
    uint32_t value;
    return wait_until(w, waiter, &word, &value);
}

/* Out of line: so much room on the stack is not for one word. */
__attribute__((noinline)) static untorn_status wait_on_several(const waiting *w,
                                                               ut_waiter *waiter) {
    _Atomic uint32_t *words[UT_WAIT_WORDS];
    uint32_t values[UT_WAIT_WORDS];
    return wait_until(w, waiter, words, values);
}

static untorn_status wait_for(waiting *w) {
    /* Most waits are over before they begin. */
    untorn_status status = w->condition(w->context);
    if (status != UNTORN_E_TIMEOUT)
        return status;
    if (w->arrays != NULL && w->count > UT_WAIT_WORDS)
        w->arrays = NULL;
    ut_waiter waiter = {.line = UT_NO_LINE};
    status =
        w->arrays != NULL && w->count > 1 ? wait_on_several(w, &waiter) : wait_on_one(w, &waiter);
    end_sleeping(w, &waiter);
    return status;
}

/* --- the conditions --- */

typedef struct any_above {
    untorn_array *const *arrays;
    const uint64_t *generations;
    size_t count, which;
} any_above;

static untorn_status is_any_above(void *context) {
    any_above *c = context;
    for (size_t i = 0; i < c->count; i++) {
        untorn_array *array = c->arrays[i];
        untorn_status status = untorn_peek(array, NULL);
        if (status != UNTORN_OK)
            return status;
        /* An eviction is a generation, but nothing to wake up for. */
        if (array->cached.changed > c->generations[i]) {
            c->which = i;
            return UNTORN_OK;
        }
    }
    return UNTORN_E_TIMEOUT;
}

untorn_status untorn_wait_any(untorn_array *const *arrays, const uint64_t *generations,
                              size_t count, int64_t timeout, size_t *which) {
    if (arrays == NULL || generations == NULL || count == 0)
        return ut_fail(UNTORN_E_ARGUMENT, "wait_any: no arrays or generations");
    for (size_t i = 0; i < count; i++) {
        untorn_status status = ut_array_resolve(arrays[i]);
        if (status == UNTORN_OK && arrays[i]->reader != arrays[0]->reader)
            status = ut_array_fail(arrays[i], UNTORN_E_ARGUMENT, "belongs to another reader");
        if (status != UNTORN_OK)
            return status;
    }
    any_above c = {arrays, generations, count, 0};
    waiting w = {arrays[0]->reader, arrays, count, is_any_above, &c, timeout};
    untorn_status status = wait_for(&w);
    if (status == UNTORN_OK && which != NULL)
        *which = c.which;
    return status;
}

untorn_status untorn_wait(untorn_array *array, uint64_t generation, int64_t timeout) {
    return untorn_wait_any(&array, &generation, 1, timeout, NULL);
}

typedef struct commit_at_least {
    untorn_reader *reader;
    uint64_t commit;
} commit_at_least;

static untorn_status is_commit_there(void *context) {
    const commit_at_least *c = context;
    return untorn_reader_commit(c->reader) >= c->commit ? UNTORN_OK : UNTORN_E_TIMEOUT;
}

untorn_status untorn_wait_commit(untorn_reader *reader, uint64_t commit, int64_t timeout) {
    if (reader == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "wait_commit: no reader");
    commit_at_least c = {reader, commit};
    waiting w = {reader, NULL, 0, is_commit_there, &c, timeout};
    return wait_for(&w);
}

typedef struct length_at_least {
    untorn_array *array;
    unsigned axis;
    uint64_t length;
} length_at_least;

static untorn_status is_long_enough(void *context) {
    const length_at_least *c = context;
    untorn_result result;
    untorn_status status = untorn_peek(c->array, &result);
    if (status != UNTORN_OK)
        return status;
    return result.shape[c->axis] >= c->length ? UNTORN_OK : UNTORN_E_TIMEOUT;
}

untorn_status untorn_wait_length(untorn_array *array, unsigned axis, uint64_t length,
                                 int64_t timeout) {
    untorn_status status = ut_array_resolve(array);
    if (status != UNTORN_OK)
        return status;
    if (axis >= array->definition->rank)
        return ut_array_fail(array, UNTORN_E_ARGUMENT, "has no axis %u", axis);
    length_at_least c = {array, axis, length};
    waiting w = {array->reader, &array, 1, is_long_enough, &c, timeout};
    return wait_for(&w);
}

typedef struct name_exists {
    untorn_reader *reader;
    const char *name;
    untorn_array *array;
} name_exists;

static untorn_status does_name_exist(void *context) {
    name_exists *c = context;
    untorn_status status = untorn_array_open(c->reader, c->name, &c->array);
    return status == UNTORN_E_NO_ARRAY ? UNTORN_E_TIMEOUT : status;
}

untorn_status untorn_wait_array(untorn_reader *reader, const char *name, int64_t timeout,
                                untorn_array **array) {
    if (reader == NULL || name == NULL || array == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "wait_array: no reader, name or place for the handle");
    name_exists c = {reader, name, NULL};
    waiting w = {reader, NULL, 0, does_name_exist, &c, timeout};
    untorn_status status = wait_for(&w);
    if (status == UNTORN_OK)
        *array = c.array;
    return status;
}
