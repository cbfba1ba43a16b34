// SPDX-License-Identifier: MIT
/*
 * Exporting: one commit to a store that is not the segment's own, by whoever can read the segment.
 */
#include "base/status.h"
#include "store/flush.h"

static untorn_status check_options(const untorn_export_options *options) {
    if (options == NULL)
        return UNTORN_OK;
    if (options->struct_size < sizeof *options)
        return ut_fail(UNTORN_E_ARGUMENT, "export: uninitialized options");
    if (options->format != 0 && options->format != 2 && options->format != 3)
        return ut_fail(UNTORN_E_ARGUMENT, "export: Zarr format %u: there are 2 and 3",
                       options->format);
    return UNTORN_OK;
}

untorn_status untorn_export(untorn_reader *reader, const char *path,
                            const untorn_export_options *options, uint64_t *commit) {
    if (reader == NULL || path == NULL)
        return ut_fail(UNTORN_E_ARGUMENT, "export: no reader or no store");
    untorn_status status = check_options(options);
    if (status != UNTORN_OK)
        return status;
    ut_flush_options flush = {.format = UT_ZARR_V2, .threads = 1, .export = true};
    if (options != NULL) {
        flush.format = options->format == 3 ? UT_ZARR_V3 : UT_ZARR_V2;
        flush.threads = options->threads != 0 ? options->threads : 1;
        flush.commit = options->commit;
    }
    ut_store store;
    status = ut_store_open(&store, path, true);
    if (status != UNTORN_OK)
        return status;
    ut_flush_report report;
    status = ut_flush(&store, reader, &flush, &report);
    ut_store_close(&store);
    if (status == UNTORN_OK && commit != NULL)
        *commit = report.commit;
    return status;
}
