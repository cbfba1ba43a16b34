// SPDX-License-Identifier: MIT
/*
 * The data that put and append take in: an .npy image, or raw bytes whose type and shape are
 * options.
 */
#ifndef UT_SOURCE_H
#define UT_SOURCE_H

#include "tools/npy.h"
#include "tools/options.h"

/* True if --dtype says that the input is raw. */
bool ut_cli_source_is_raw(const struct ut_arguments *arguments);

/* The type and shape of raw data from --dtype and the option `shape_name`.  0, or an exit status;
 * it has been said. */
int ut_cli_source_raw(const struct ut_arguments *arguments, const char *shape_name,
                      struct ut_npy *npy);

/* If the input is a file, refuse it before anything else is done if it is too short.  0, or an
 * exit status; it has been said. */
int ut_cli_source_check_length(const struct ut_input *input, const struct ut_npy *npy);

#endif
