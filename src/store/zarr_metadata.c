// SPDX-License-Identifier: MIT
// The text of a Zarr store's metadata files; zarr_metadata.h has what was chosen and why.
#include "store/zarr_metadata.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "array/grid.h"
#include "array/json.h"
#include "base/status.h"
#include "segment/layout.h"
#include "store/codec.h"
#include "store/json_text.h"
#include "store/zarr_fill.h"

#define DIMENSIONS "_ARRAY_DIMENSIONS"
#define STAMP "untorn"
#define SECOND INT64_C(1000000000)

static ut_codec codec_of(const ut_definition *definition) {
    return strcmp(definition->codec, "lz4") == 0 ? UT_CODEC_LZ4 : UT_CODEC_NONE;
}

untorn_status ut_zarr_check(ut_zarr_format format, const ut_definition *definition) {
    char kind = definition->dtype.kind;
    if (format == UT_ZARR_V3 && (kind == 'S' || kind == 'V'))
        return ut_fail(UNTORN_E_DTYPE,
                       "array \"%s\": Zarr format 3 has no data type for \"%s\" that its readers "
                       "agree on: use format 2, or an axis of \"u1\"",
                       definition->name, definition->dtype.text);
    untorn_status status = ut_codec_check(codec_of(definition), definition->slot_bytes);
    if (status != UNTORN_OK)
        return ut_fail(status, "array \"%s\": %s", definition->name, untorn_message());
    return UNTORN_OK;
}

/* ------------------------------------------------------------ attributes */

static bool has_dimension_names(const ut_definition *definition) {
    for (unsigned i = 0; i < definition->rank; i++)
        if (definition->dimension_names[i] != NULL)
            return true;
    return definition->rank == 0; /* all of none */
}

/* A list of names; `place`: axes without one are called by their place, else null. */
static untorn_status add_dimension_names(ut_growing_text *out, const ut_definition *definition,
                                         bool place) {
    ut_text_add(out, "[");
    for (unsigned i = 0; i < definition->rank; i++) {
        const char *name = definition->dimension_names[i];
        ut_text_add(out, i > 0 ? "," : "");
        if (name == NULL && place) {
            ut_text_format(out, "\"dim_%u\"", i);
        } else if (name == NULL) {
            ut_text_add(out, "null");
        } else {
            untorn_status status = ut_json_add_string(out, name);
            if (status != UNTORN_OK)
                return ut_fail(status, "array \"%s\": axis %u: %s", definition->name, i,
                               untorn_message());
        }
    }
    ut_text_add(out, "]");
    return UNTORN_OK;
}

static void add_stamp(ut_growing_text *out, const ut_zarr_stamp *stamp) {
    int64_t seconds = stamp->time / SECOND, rest = stamp->time % SECOND;
    if (rest < 0) {
        rest += SECOND;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm utc;
    char date[64] = "";
    if (gmtime_r(&when, &utc) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    uint64_t a = stamp->uuid[0], b = stamp->uuid[1];
    ut_text_format(out,
                   "\"" STAMP "\":{\"uuid\":\"%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64
                   "-%012" PRIx64 "\",\"epoch\":%" PRIu64 ",\"commit\":%" PRIu64
                   ",\"time\":\"%s.%09" PRId64 "Z\"}",
                   a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48, b & UINT64_C(0xffffffffffff),
                   stamp->commit >> UT_EPOCH_SHIFT, stamp->commit, date, rest);
}

/* The user's attributes, and ours behind them in place of theirs of the same name. */
static untorn_status add_attributes(ut_growing_text *out, const ut_definition *dimensions,
                                    const char *attributes, const ut_zarr_stamp *stamp) {
    const char *ours = dimensions != NULL ? DIMENSIONS : stamp != NULL ? STAMP : NULL;
    size_t members = 0;
    ut_text_add(out, "{");
    if (attributes != NULL && attributes[0] != '\0') {
        untorn_status status = ut_json_check_object(attributes);
        if (status != UNTORN_OK)
            return status;
        members = ut_json_add_members(out, attributes, ours);
    }
    if (ours != NULL && members > 0)
        ut_text_add(out, ",");
    if (dimensions != NULL) {
        ut_text_add(out, "\"" DIMENSIONS "\":");
        untorn_status status = add_dimension_names(out, dimensions, true);
        if (status != UNTORN_OK)
            return status;
    } else if (stamp != NULL) {
        add_stamp(out, stamp);
    }
    ut_text_add(out, "}");
    return UNTORN_OK;
}

/* ------------------------------------------------------------ format 2 */

untorn_status ut_zarr_v2_array(ut_growing_text *out, const ut_definition *definition,
                               const uint64_t *shape) {
    untorn_status status = ut_zarr_check(UT_ZARR_V2, definition);
    if (status != UNTORN_OK)
        return status;
    unsigned rank = definition->rank;
    ut_text_add(out, "{\"zarr_format\":2,\"shape\":");
    ut_json_add_numbers(out, rank, shape);
    ut_text_add(out, ",\"chunks\":");
    ut_json_add_numbers(out, rank, definition->chunks);
    ut_text_format(out, ",\"dtype\":\"%s\",\"compressor\":", definition->dtype.text);
    ut_codec codec = codec_of(definition);
    if (codec == UT_CODEC_NONE)
        ut_text_add(out, "null");
    else
        ut_text_format(out,
                       "{\"id\":\"blosc\",\"cname\":\"lz4\",\"clevel\":%d,\"shuffle\":%d,"
                       "\"blocksize\":0}",
                       UT_CODEC_LEVEL, ut_codec_typesize(codec, definition->dtype.itemsize) > 1);
    ut_text_add(out, ",\"fill_value\":");
    ut_zarr_add_fill(out, &definition->dtype, definition->fill, 0);
    ut_text_add(out, ",\"order\":\"C\",\"filters\":null,\"dimension_separator\":\".\"}");
    return ut_text_check(out);
}

untorn_status ut_zarr_v2_group(ut_growing_text *out) {
    ut_text_add(out, "{\"zarr_format\":2}");
    return ut_text_check(out);
}

untorn_status ut_zarr_v2_attributes(ut_growing_text *out, const ut_definition *definition,
                                    const char *attributes, const ut_zarr_stamp *stamp) {
    bool named =
        definition != NULL && definition->kind == UT_KIND_ARRAY && has_dimension_names(definition);
    untorn_status status = add_attributes(out, named ? definition : NULL, attributes, stamp);
    return status == UNTORN_OK ? ut_text_check(out) : status;
}

/* ------------------------------------------------------------ format 3 */

static const char *v3_data_type(const ut_dtype *dtype) {
    static const struct {
        const char *text, *name;
    } names[] = {{"|b1", "bool"},      {"|i1", "int8"},       {"<i2", "int16"},
                 {"<i4", "int32"},     {"<i8", "int64"},      {"|u1", "uint8"},
                 {"<u2", "uint16"},    {"<u4", "uint32"},     {"<u8", "uint64"},
                 {"<f2", "float16"},   {"<f4", "float32"},    {"<f8", "float64"},
                 {"<c8", "complex64"}, {"<c16", "complex128"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].text, dtype->text) == 0)
            return names[i].name;
    return NULL;
}

static void add_v3_codecs(ut_growing_text *out, const ut_definition *definition) {
    /* The byte order is required where there is one, and refused by some where there is none. */
    ut_text_add(out, definition->dtype.itemsize > 1
                         ? "[{\"name\":\"bytes\",\"configuration\":{\"endian\":\"little\"}}"
                         : "[{\"name\":\"bytes\"}");
    ut_codec codec = codec_of(definition);
    if (codec == UT_CODEC_LZ4) {
        unsigned typesize = ut_codec_typesize(codec, definition->dtype.itemsize);
        ut_text_format(out,
                       ",{\"name\":\"blosc\",\"configuration\":{\"cname\":\"lz4\",\"clevel\":%d,"
                       "\"shuffle\":\"%s\",\"typesize\":%u,\"blocksize\":0}}",
                       UT_CODEC_LEVEL, typesize > 1 ? "shuffle" : "noshuffle", typesize);
    }
    ut_text_add(out, "]");
}

untorn_status ut_zarr_v3_array(ut_growing_text *out, const ut_definition *definition,
                               const uint64_t *shape, const char *attributes) {
    untorn_status status = ut_zarr_check(UT_ZARR_V3, definition);
    if (status != UNTORN_OK)
        return status;
    const char *type = v3_data_type(&definition->dtype);
    if (type == NULL)
        return ut_fail(UNTORN_E_DTYPE, "array \"%s\": Zarr format 3 has no data type for \"%s\"",
                       definition->name, definition->dtype.text);
    ut_text_add(out, "{\"zarr_format\":3,\"node_type\":\"array\",\"shape\":");
    ut_json_add_numbers(out, definition->rank, shape);
    ut_text_format(out, ",\"data_type\":\"%s\"", type);
    ut_text_add(out, ",\"chunk_grid\":{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":");
    ut_json_add_numbers(out, definition->rank, definition->chunks);
    ut_text_add(out, "}},\"chunk_key_encoding\":{\"name\":\"v2\",\"configuration\":"
                     "{\"separator\":\".\"}},\"fill_value\":");
    ut_zarr_add_fill(out, &definition->dtype, definition->fill, 1);
    ut_text_add(out, ",\"codecs\":");
    add_v3_codecs(out, definition);
    if (definition->rank > 0 && has_dimension_names(definition)) {
        ut_text_add(out, ",\"dimension_names\":");
        status = add_dimension_names(out, definition, false);
        if (status != UNTORN_OK)
            return status;
    }
    ut_text_add(out, ",\"attributes\":");
    status = add_attributes(out, NULL, attributes, NULL);
    if (status != UNTORN_OK)
        return status;
    ut_text_add(out, "}");
    return ut_text_check(out);
}

/* All but the closing brace. */
static untorn_status begin_v3_group(ut_growing_text *out, const char *attributes,
                                    const ut_zarr_stamp *stamp) {
    ut_text_add(out, "{\"zarr_format\":3,\"node_type\":\"group\",\"attributes\":");
    return add_attributes(out, NULL, attributes, stamp);
}

untorn_status ut_zarr_v3_group(ut_growing_text *out, const char *attributes,
                               const ut_zarr_stamp *stamp) {
    untorn_status status = begin_v3_group(out, attributes, stamp);
    if (status != UNTORN_OK)
        return status;
    ut_text_add(out, "}");
    return ut_text_check(out);
}

/* ------------------------------------------------------------ consolidated */

untorn_status ut_zarr_consolidate_begin(ut_zarr_consolidation *c, ut_zarr_format format,
                                        ut_growing_text *out, const char *attributes,
                                        const ut_zarr_stamp *stamp) {
    *c = (ut_zarr_consolidation){.format = format, .out = out};
    if (format == UT_ZARR_V2) {
        ut_text_add(out, "{\"zarr_consolidated_format\":1,\"metadata\":{");
        return ut_text_check(out);
    }
    untorn_status status = begin_v3_group(out, attributes, stamp);
    if (status != UNTORN_OK)
        return status;
    ut_text_add(out, ",\"consolidated_metadata\":{\"kind\":\"inline\",\"must_understand\":false,"
                     "\"metadata\":{");
    return ut_text_check(out);
}

untorn_status ut_zarr_consolidate_add(ut_zarr_consolidation *c, const char *name, const char *file,
                                      const char *content) {
    ut_growing_text *out = c->out;
    if (c->count++ > 0)
        ut_text_add(out, ",");
    untorn_status status;
    if (c->format == UT_ZARR_V2) {
        char key[UNTORN_MAX_NAME + 32];
        snprintf(key, sizeof key, "%s%s%s", name, name[0] != '\0' ? "/" : "", file);
        status = ut_json_add_string(out, key);
    } else {
        status = ut_json_add_string(out, name);
    }
    if (status != UNTORN_OK)
        return status;
    ut_text_add(out, ":");
    ut_text_add(out, content);
    return ut_text_check(out);
}

untorn_status ut_zarr_consolidate_end(ut_zarr_consolidation *c) {
    ut_text_add(c->out, c->format == UT_ZARR_V2 ? "}}" : "}}}");
    return ut_text_check(c->out);
}

/* ------------------------------------------------------------ chunk keys */

size_t ut_zarr_chunk_key(unsigned rank, const uint64_t *cells, uint64_t number,
                         char key[UT_ZARR_KEY_BYTES]) {
    uint64_t index[UNTORN_MAX_RANK] = {0};
    for (unsigned i = rank; i-- > 0;) {
        index[i] = number % cells[i];
        number /= cells[i];
    }
    size_t length = 0;
    for (unsigned i = 0; i < (rank > 0 ? rank : 1); i++)
        length += (size_t)snprintf(key + length, UT_ZARR_KEY_BYTES - length, "%s%" PRIu64,
                                   i > 0 ? "." : "", index[i]);
    return length;
}
