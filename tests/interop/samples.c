// SPDX-License-Identifier: MIT
// The table of samples.h.  Fill values are bytes, little-endian.
#include "samples.h"

const char *const no_dimensions[UNTORN_MAX_RANK] = {NULL};
static const char *const named[] = {"time", "y", "x"};
static const char *const partly_named[] = {"time", NULL, "\xc3\xa9"};
static const char *const same_name[] = {"x", "x"};
static const char *const t_axis[] = {"t"}, *const x_axis[] = {"x"}, *const t_x[] = {"t", "x"};

const char rewritten_attributes[] = "{\"revision\":2}";

static const char unicode_attributes[] =
    "{\"units\":\"m/s\",\"\xc3\xa9\":\"\xf0\x9f\x8c\x8a\",\"nested\":{\"a\":[1,2.5,null,true,"
    "\"x\"],\"b\":{}},\"large\":9007199254740993,\"negative\":-12,\"escaped\":\"a\\\"b\\\\c\\n\\t"
    "\\u0007\",\"empty\":\"\",\"list\":[],\"tenth\":0.1}";

// A matrix with absent chunks and edge chunks on both axes.
#define MATRIX(dtype, fill)                                                                        \
    { "dtype_" dtype, dtype, 2, {37, 23}, {10, 8}, fill, HOLES, NULL, NULL }

// A small array of one rank.
#define RANK(n, ...)                                                                               \
    { "rank_" #n, "i4", n, {__VA_ARGS__}, {2, 2, 2, 2, 2, 2, 2, 2}, "\7\0\0", HOLES, NULL, NULL }

// Most of it is the fill value.
#define FILL(name, dtype, fill)                                                                    \
    { "fill_" dtype "_" name, dtype, 1, {11}, {3}, fill, FIRST, NULL, NULL }

#define EDGE(name, dtype, rank, shape, chunks, content)                                            \
    { "edge_" name, dtype, rank, shape, chunks, NULL, content, NULL, NULL }
#define OF(...)                                                                                    \
    { __VA_ARGS__ }

const sample samples[] = {
    MATRIX("b1", NULL),
    MATRIX("i1", "\xfb"),
    MATRIX("i2", "\xff\xff"),
    MATRIX("i4", "\xff\xff\xff\xff"),
    MATRIX("i8", "\xff\xff\xff\xff\xff\xff\xff\xff"),
    MATRIX("u1", "\xc8"),
    MATRIX("u2", "\1\2"),
    MATRIX("u4", "\1\2\3\4"),
    MATRIX("u8", "\1\2\3\4\5\0\0"),
    MATRIX("f2", "\0\x3e"),                 // 1.5
    MATRIX("f4", "\0\0\xc0\x3f"),           // 1.5
    MATRIX("f8", "\0\0\0\0\0\0\xf8\x3f"),   // 1.5
    MATRIX("c8", "\0\0\xc0\x3f\0\0\0\xc0"), // 1.5 - 2i
    MATRIX("c16", "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0"),
    MATRIX("S1", "-"),
    MATRIX("S7", "none\0\0"),
    MATRIX("S300", NULL),
    MATRIX("V1", "\x80"),
    MATRIX("V6", "\1\2\3\4\5\6"),

    {"rank_0", "i4", 0, {0}, {0}, "\7\0\0", FULL, NULL, NULL},
    {"rank_0_absent", "f8", 0, {0}, {0}, "\0\0\0\0\0\0\xf8\x3f", NOTHING, NULL, NULL},
    RANK(1, 5),
    RANK(2, 5, 3),
    RANK(3, 5, 3, 4),
    RANK(4, 5, 3, 4, 3),
    RANK(5, 3, 3, 2, 3, 4),
    RANK(6, 3, 2, 3, 2, 3, 2),
    RANK(7, 2, 3, 2, 3, 2, 3, 2),
    RANK(8, 3, 2, 3, 2, 2, 2, 3, 2),

    FILL("true", "b1", "\1"),
    FILL("min", "i1", "\x80"),
    FILL("max", "i1", "\x7f"),
    FILL("min", "i2", "\0\x80"),
    FILL("min", "i4", "\0\0\0\x80"),
    FILL("min", "i8", "\0\0\0\0\0\0\0\x80"),
    FILL("max", "i8", "\xff\xff\xff\xff\xff\xff\xff\x7f"),
    FILL("max", "u1", "\xff"),
    FILL("max", "u2", "\xff\xff"),
    FILL("max", "u4", "\xff\xff\xff\xff"),
    FILL("max", "u8", "\xff\xff\xff\xff\xff\xff\xff\xff"),
    FILL("2e53_1", "u8", "\1\0\0\0\0\0\x20\0"),
    FILL("nan", "f2", "\0\x7e"),
    FILL("inf", "f2", "\0\x7c"),
    FILL("minus_zero", "f2", "\0\x80"),
    FILL("smallest", "f2", "\1\0"),
    FILL("nan", "f4", "\0\0\xc0\x7f"),
    FILL("inf", "f4", "\0\0\x80\x7f"),
    FILL("minus_inf", "f4", "\0\0\x80\xff"),
    FILL("minus_zero", "f4", "\0\0\0\x80"),
    FILL("tenth", "f4", "\xcd\xcc\xcc\x3d"),
    FILL("max", "f4", "\xff\xff\x7f\x7f"),
    FILL("nan", "f8", "\0\0\0\0\0\0\xf8\x7f"),
    FILL("inf", "f8", "\0\0\0\0\0\0\xf0\x7f"),
    FILL("minus_inf", "f8", "\0\0\0\0\0\0\xf0\xff"),
    FILL("minus_zero", "f8", "\0\0\0\0\0\0\0\x80"),
    FILL("tenth", "f8", "\x9a\x99\x99\x99\x99\x99\xb9\x3f"),
    FILL("smallest", "f8", "\1\0\0\0\0\0\0"),
    FILL("max", "f8", "\xff\xff\xff\xff\xff\xff\xef\x7f"),
    FILL("nan_bits", "f8", "\1\0\0\0\0\0\xf8\x7f"),
    FILL("nan_bits", "f4", "\1\0\xc0\x7f"),
    FILL("minus_nan", "f8", "\0\0\0\0\0\0\xf8\xff"),
    FILL("zero", "c8", NULL),
    FILL("finite", "c8", "\0\0\xc0\x3f\0\0\0\xc0"),
    FILL("nan_nan", "c8", "\0\0\xc0\x7f\0\0\xc0\x7f"),
    FILL("finite_minus_inf", "c8", "\0\0\xc0\x3f\0\0\x80\xff"), // 1.5 - inf i
    FILL("minus_zero", "c16", "\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\x80"),
    FILL("nan_inf", "c16", "\0\0\0\0\0\0\xf8\x7f\0\0\0\0\0\0\xf0\x7f"),
    FILL("full", "S7", "abcdefg"),
    FILL("short", "S7", "ab\0\0\0\0"),
    FILL("high", "S7", "\xc3\xa9\xff\0\0\0"),
    FILL("bytes", "V6", "\xff\0\x80\n\"\0"),

    EDGE("absent", "f4", 2, OF(20, 30), OF(10, 10), NOTHING),
    EDGE("zero_length", "f8", 1, OF(0), OF(10), NOTHING),
    EDGE("zero_length_axis", "i4", 3, OF(4, 0, 3), OF(2, 5, 3), NOTHING),
    EDGE("one_element", "f8", 1, OF(1), OF(1), FULL),
    EDGE("chunk_of_one", "i2", 2, OF(9, 8), OF(1, 1), HOLES),
    EDGE("chunk_above_shape", "i4", 2, OF(7, 5), OF(100, 50), FULL),
    EDGE("chunk_of_2_MiB", "f8", 2, OF(600, 520), OF(512, 512), FULL),
    EDGE("noise", "u1", 1, OF(100000), OF(30000), NOISE),
    EDGE("noise_of_8", "f8", 1, OF(50000), OF(20000), NOISE),
    EDGE("noise_tiny", "u1", 1, OF(10), OF(3), NOISE),
    EDGE("rewritten", "f4", 2, OF(40, 30), OF(8, 9), REWRITTEN),
    EDGE("grown", "i8", 2, OF(101, 6), OF(16, 4), GROWN),
    EDGE("shrunk", "u2", 2, OF(60, 11), OF(16, 6), SHRUNK),

    {"attributes", "f8", 2, {10, 4}, {4, 4}, NULL, FULL, NULL, unicode_attributes},
    {"dimensions_all", "f4", 3, {4, 3, 5}, {2, 3, 3}, NULL, FULL, named, NULL},
    {"dimensions_some", "f4", 3, {4, 3, 5}, {2, 3, 3}, NULL, FULL, partly_named, NULL},
    {"dimensions_none", "f4", 3, {4, 3, 5}, {2, 3, 3}, NULL, FULL, no_dimensions, NULL},
    {"dimensions_same", "f4", 2, {4, 4}, {2, 3}, NULL, FULL, same_name, NULL},
    {"labelled/t",
     "i4",
     1,
     {200},
     {64},
     NULL,
     FULL,
     t_axis,
     "{\"units\":\"days since 2000-01-01\"}"},
    {"labelled/x", "f8", 1, {90}, {90}, NULL, FULL, x_axis, "{\"units\":\"m\"}"},
    {"labelled/level",
     "f8",
     2,
     {200, 90},
     {64, 32},
     "\0\0\0\0\0\0\xf8\x7f",
     FULL,
     t_x,
     "{\"units\":\"K\"}"},
    {"nested/a/b/c/d/e", "i4", 1, {5}, {2}, NULL, FULL, NULL, NULL},
    {"nested/gr\xc3\xb6\xc3\x9f"
     "e/\xe6\xb7\xb1\xe3\x81\x84/one two",
     "i4",
     1,
     {5},
     {2},
     NULL,
     FULL,
     NULL,
     NULL},
};
const size_t sample_count = sizeof samples / sizeof *samples;
