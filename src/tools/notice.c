// SPDX-License-Identifier: MIT
/*
 * Warnings, each once (see notice.h).  A ring of the last few sentences is remembered; one that
 * comes back after that many others is news again.  What a flush builds has a random name, another
 * one each time, so sentences are remembered and compared without it.
 */
#include "tools/notice.h"

#include "tools/say.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define REMEMBERED 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *said[REMEMBERED];
static unsigned next;

/* A copy of the sentence without the digits of names like "/.tmp-901bf769c62509f0".  NULL: out of
 * memory. */
static char *without_random_names(const char *sentence) {
    static const char mark[] = "/.tmp-";
    char *copy = strdup(sentence);
    for (char *at = copy; at && (at = strstr(at, mark)) != NULL;) {
        at += sizeof mark - 1;
        const char *rest = at + strspn(at, "0123456789abcdef");
        memmove(at, rest, strlen(rest) + 1);
    }
    return copy;
}

static bool is_new(const char *sentence) {
    char *copy = without_random_names(sentence);
    for (unsigned i = 0; copy && i < REMEMBERED; i++)
        if (said[i] && strcmp(said[i], copy) == 0) {
            free(copy);
            return false;
        }
    free(said[next]);
    // Out of memory: it is said again, no more.
    said[next] = copy;
    next = (next + 1) % REMEMBERED;
    return true;
}

void ut_cli_notice(void *context, untorn_status status, const char *sentence) {
    (void)context;
    if (!sentence || !*sentence)
        sentence = untorn_status_text(status);
    pthread_mutex_lock(&lock);
    if (is_new(sentence))
        ut_cli_say("warning: %s", sentence);
    pthread_mutex_unlock(&lock);
}
