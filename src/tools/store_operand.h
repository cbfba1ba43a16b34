// SPDX-License-Identifier: MIT
/*
 * Operands that are a segment or a store.
 */
#ifndef UT_STORE_OPERAND_H
#define UT_STORE_OPERAND_H

#include <stdbool.h>

/* A store is a path: it has a '/', or is a directory that exists.  Segment names have no '/'. */
bool ut_cli_operand_is_store(const char *operand);

/* Whether two paths name the same directory; false if either does not exist. */
bool ut_cli_same_directory(const char *one, const char *other);

#endif
