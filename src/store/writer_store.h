// SPDX-License-Identifier: MIT
// What a writer has of its store.
#ifndef UT_WRITER_STORE_H
#define UT_WRITER_STORE_H

#include "store/eviction.h"
#include "store/flusher.h"
#include "store/store_view.h"

typedef struct ut_writer_store {
    ut_store store; // open once `opened`, for writing if there is a flusher
    bool opened;
    ut_flush_config config;
    ut_flusher *flusher; // NULL: the store is only read
    ut_eviction *eviction;
    untorn_notify *notify;
    void *notify_context;
} ut_writer_store;

#endif
