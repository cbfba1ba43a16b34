// SPDX-License-Identifier: MIT
/*
 * One reading of an array in the formats of "untorn follow":
 *
 *   npy   an .npy image, one after another
 *   raw   the elements in C order, nothing else
 *   json  one line: {"generation":1,"commit":1,"time":0,"dtype":"i4","shape":[..],"start":[..],
 *         "step":[..],"data":[..]}
 *   text  a line "# generation 1 commit 1 ...", then the elements, the last axis on one line
 */
#ifndef UT_REPORT_H
#define UT_REPORT_H

#include "tools/element.h"
#include "tools/output.h"
#include "tools/reading.h"

#include <stdbool.h>

enum ut_report_format { UT_REPORT_NPY, UT_REPORT_RAW, UT_REPORT_JSON, UT_REPORT_TEXT };

bool ut_cli_report_format_parse(const char *name, enum ut_report_format *format);

/* 0, or an exit status, which has been said unless output->reader_gone. */
int ut_cli_report_write(enum ut_report_format format, const struct ut_element_type *type,
                        unsigned rank, const struct ut_reading *reading, struct ut_output *output);

#endif
