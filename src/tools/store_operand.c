// SPDX-License-Identifier: MIT
/*
 * Segment or store (see store_operand.h).
 */
#include "tools/store_operand.h"

#include <string.h>
#include <sys/stat.h>

bool ut_cli_operand_is_store(const char *operand) {
    struct stat status;
    return strchr(operand, '/') || (stat(operand, &status) == 0 && S_ISDIR(status.st_mode));
}

bool ut_cli_same_directory(const char *one, const char *other) {
    struct stat first, second;
    return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}
