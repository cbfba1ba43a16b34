// SPDX-License-Identifier: MIT
/*
 * Which segments there are: the data files' names in the directory of shared memory.
 */
#include "array/name.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "segment/segment.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "untorn."

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The directory that segments lie in, from the path of one. */
static untorn_status find_directory(char path[UT_PATH_MAX]) {
    untorn_status status = ut_segment_path("x", UT_SUFFIX_DATA, path);
    if (status == UNTORN_OK)
        *strrchr(path, '/') = '\0';
    return status;
}

/* Files under construction and the other files of a segment have a '~', which no name has. */
static untorn_status add_names(DIR *directory, char ***names, size_t *count) {
    size_t capacity = 0;
    struct dirent *entry;
    while ((entry = ut_files->readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            ut_name_check_segment(entry->d_name + strlen(PREFIX)) != UNTORN_OK)
            continue;
        if (*count == capacity) {
            capacity = capacity != 0 ? 2 * capacity : 16;
            char **more = realloc(*names, capacity * sizeof *more);
            if (more == NULL)
                return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the names of segments");
            *names = more;
        }
        char *copy = strdup(entry->d_name + strlen(PREFIX));
        if (copy == NULL)
            return ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the names of segments");
        (*names)[(*count)++] = copy;
    }
    return UNTORN_OK;
}

untorn_status untorn_segments(untorn_segment_names **out) {
    if (out == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "segments: no place for the names");
    char path[UT_PATH_MAX];
    untorn_status status = find_directory(path);
    if (status != UNTORN_OK)
        return status;
    DIR *directory = ut_files->opendir(path);
    if (directory == NULL)
        return ut_fail_errno(errno == EACCES ? UNTORN_E_PERMISSION : UNTORN_E_SYSTEM, errno,
                             "cannot list %s", path);
    untorn_segment_names *names = calloc(1, sizeof *names);
    char **list = NULL;
    size_t count = 0;
    status = names != NULL ? add_names(directory, &list, &count)
                           : ut_fail(UNTORN_E_NO_MEMORY, "out of memory for the names of segments");
    ut_files->closedir(directory);
    if (status != UNTORN_OK) {
        while (count > 0)
            free(list[--count]);
        free(list);
        free(names);
        return status;
    }
    if (count > 0)
        qsort(list, count, sizeof *list, by_name);
    *names = (untorn_segment_names){count, (const char *const *)list};
    *out = names;
    return UNTORN_OK;
}

void untorn_segments_free(untorn_segment_names *names) {
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->count; i++)
        free((void *)(uintptr_t)names->names[i]);
    free((void *)(uintptr_t)names->names);
    free(names);
}
