// SPDX-License-Identifier: MIT
/*
 * What the input holds (see source.h).
 */
#include "tools/source.h"

#include "tools/say.h"

#include <string.h>

bool ut_cli_source_is_raw(const struct ut_arguments *arguments) {
    return ut_cli_option(arguments, "dtype") != NULL;
}

int ut_cli_source_raw(const struct ut_arguments *arguments, const char *shape_name,
                      struct ut_npy *npy) {
    memset(npy, 0, sizeof *npy);
    const char *dtype = ut_cli_option(arguments, "dtype");
    // Big-endian raw data are swapped as those of .npy images are.
    bool big_endian = *dtype == '>';
    if (!ut_cli_element_type_parse(dtype + big_endian, &npy->type))
        return ut_cli_say_usage("--dtype: %s", untorn_message());
    npy->big_endian = big_endian && ut_cli_element_component(&npy->type) > 1;
    int exit_status = ut_cli_option_shape(arguments, shape_name, &npy->rank, npy->shape);
    if (exit_status)
        return exit_status;
    npy->bytes = npy->type.itemsize;
    bool empty = false, overflows = false;
    for (unsigned i = 0; i < npy->rank; i++) {
        empty |= npy->shape[i] == 0;
        overflows |= __builtin_mul_overflow(npy->bytes, npy->shape[i], &npy->bytes);
    }
    if (empty)
        npy->bytes = 0;
    else if (overflows || npy->bytes > INT64_MAX)
        return ut_cli_say_usage("--%s: the shape is larger than any memory", shape_name);
    return 0;
}

int ut_cli_source_check_length(const struct ut_input *input, const struct ut_npy *npy) {
    uint64_t remaining;
    if (ut_cli_input_remaining(input, &remaining) && remaining < npy->bytes)
        return ut_cli_say_failed("%s is truncated: its shape takes %llu bytes of data, found %llu",
                                 input->name, (unsigned long long)npy->bytes,
                                 (unsigned long long)remaining);
    return 0;
}
