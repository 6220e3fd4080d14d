/* chain_config.h: what a chain is made of, for the files of this folder only. */
#pragma once

#include <stdatomic.h>

#include "filters/chain.h"
#include "filters/plugin.h"
#include "runtime/base/hash.h"

struct chain_filter {
    const struct filter_type *type;
    struct plugin *plugin; /* where the type comes from; NULL: built in */
    void *config;
    uint32_t sides; /* FILTER_INPUT | FILTER_OUTPUT */
    bool fails_open;
};

struct chain {
    atomic_uint refs;
    uint32_t version;
    char name[CHAIN_MAX_NAME + 1];
    char hash[HASH_HEX_LEN + 1];
    char *refusal; /* or NULL */
    size_t filter_count;
    struct chain_filter filters[]; /* filter_count */
};
