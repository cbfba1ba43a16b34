// SPDX-License-Identifier: MIT
/*
 * Warnings, each once (see notice.h).  A ring of the last few sentences is remembered; one that
 * comes back after that many others is news again.
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

static bool is_new(const char *sentence) {
    for (unsigned i = 0; i < REMEMBERED; i++)
        if (said[i] && strcmp(said[i], sentence) == 0)
            return false;
    free(said[next]);
    // Out of memory: it is said again, no more.
    said[next] = strdup(sentence);
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
