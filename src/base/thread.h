// SPDX-License-Identifier: MIT
// Threads of the library, in processes that know nothing of them.
#ifndef UT_THREAD_H
#define UT_THREAD_H

#include <pthread.h>

// As pthread_create(), with every signal blocked: handlers run on the program's own threads.
int ut_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
