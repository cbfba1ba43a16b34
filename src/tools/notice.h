// SPDX-License-Identifier: MIT
/*
 * What the library tells without being asked: that a flush failed, that a damaged store snapshot
 * was passed over.  Said on standard error as "untorn: warning: sentence", once for each sentence,
 * however often it comes: a full disk would fail a flush every second.
 */
#ifndef UT_NOTICE_H
#define UT_NOTICE_H

#include "untorn.h"

/* An untorn_notify; the context is not used.  Called from any thread. */
void ut_cli_notice(void *context, untorn_status status, const char *sentence);

#endif
