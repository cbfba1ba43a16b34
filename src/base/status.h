// SPDX-License-Identifier: MIT
// How a call fails: it sets the calling thread's sentence and returns the code, in one
// expression, so that no failure leaves without a sentence:
//     return ut_fail(UNTORN_E_NO_ARRAY, "segment \"%s\": no array \"%s\"", segment, name);
#ifndef UT_STATUS_H
#define UT_STATUS_H

#include "untorn.h"

// Bytes of a sentence, NUL included; two names of the greatest length and a path fit.
#define UT_MESSAGE_BYTES 4096

// Set the thread's sentence and return `s`.  An argument may be untorn_message() itself, so that
// a caller can put what it knows in front.  A sentence that is too long is cut between two
// characters and ends in "...".  Leaves errno alone.
untorn_status ut_fail(untorn_status s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The same, with ": " and the text of the errno value `error` appended.
untorn_status ut_fail_errno(untorn_status s, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
