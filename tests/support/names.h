// SPDX-License-Identifier: MIT
/*
 * Segment names and directories that no other test process uses, and that are
 * removed when the process that asked for them ends, whatever came of the test.
 * What a killed earlier run left is removed too.
 */
#ifndef UT_TEST_NAMES_H
#define UT_TEST_NAMES_H

// "t-WHAT-PID-N".  Lives as long as the process.
const char *test_segment(const char *what);

// Where segments live: UNTORN_SHM_DIR, else /dev/shm.
const char *test_shm_dir(void);

// A fresh directory under TMPDIR.  Lives as long as the process.
const char *test_directory(const char *what);

// One on the file system of the segments, for what comes and goes by the thousand: where
// test_shm_dir() was when the process first asked for one.
const char *test_directory_in_memory(const char *what);

// The number of files in test_shm_dir() whose names contain the segment's.
unsigned test_segment_files(const char *segment);

// The path of one of a segment's files: suffix "" (data), "~ctl", "~lock", "~alive".
const char *test_segment_path(const char *segment, const char *suffix);

#endif
