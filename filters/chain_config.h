/* chain_config.h: what a chain is made of, for the files of this folder only. */
#pragma once

#include <stdatomic.h>

#include "filters/chain.h"
#include "filters/plugin.h"
#include "runtime/base/hash.h"

#define CHAIN_ALL_CHANNELS ((1u << FILTER_CHANNELS) - 1)

struct chain_filter {
    const struct filter_type *type;
    struct plugin *plugin; /* where the type comes from; NULL: built in */
    void *config;
    uint32_t sides; /* FILTER_INPUT | FILTER_OUTPUT */
    bool fails_open;

    char name[CHAIN_MAX_NAME + 1]; /* as written, or the type's */
    bool has_name;                 /* it was written */
    bool is_recording;             /* "mode": "record": what it says is not done */
    bool is_normalised;            /* "view": "normalised" */
    uint32_t channels;             /* bit i: channel i; never 0 */
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

/* What a chain or a filter may be called. */
bool chain_is_name(const char *name);
