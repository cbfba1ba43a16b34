// SPDX-License-Identifier: MIT
/* What an open transaction does to the catalogue: see catalogue_edit.c. */
#ifndef UT_CATALOGUE_EDIT_H
#define UT_CATALOGUE_EDIT_H

#include "array/writer.h"

/* Enter the definition as that of this object, which has none, and its name.  On failure the
 * catalogue says what it said. */
untorn_status ut_catalogue_enter(untorn_writer *writer, uint32_t object,
                                 const ut_definition *definition);
/* Take the definition of this object, and its name, out again.  Never short of space if both came
 * in with the same transaction. */
untorn_status ut_catalogue_remove(untorn_writer *writer, uint32_t object, const char *name);

/* Whether the buckets, as last committed, name exactly the writer's arrays and groups.
 * UNTORN_E_CORRUPT. */
untorn_status ut_catalogue_check_names(untorn_writer *writer);

#endif
