/* admin_reply.h: answers of the models, health and admin routes as JSON text.
 *
 * Texts are the caller's (mem_free); NULL when out of memory. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/registry/model_manifest.h"

/* By which requests may ask for a version; borrowed. */
#define ADMIN_LABELS_MAX 80
struct admin_labels {
    const char *items[ADMIN_LABELS_MAX]; /* (n) */
    size_t n;
};

/* All zero but for the strings and the manifest where it is not loaded. */
struct admin_model {
    const char *id; /* "name@version"; NULL: none serves */
    const char *name;
    const char *asked_as; /* what a request calls it: one of the two, or NULL for the name */
    const char *parent;   /* of an adapter its base model; NULL: it is none */
    const char *state;    /* "serving", "kept", "split" ... */
    bool is_loaded;
    struct admin_labels labels;
    const struct model_manifest *manifest; /* of a version from a repository, or NULL */
    const char *sha256;                    /* NULL: not known yet */
    uint64_t generation;
    int64_t loaded_at; /* Unix seconds */
    uint64_t file_bytes;
    uint64_t memory_bytes; /* weights, and keys and values at the most */
    int context;           /* tokens that a conversation, or a text to embed, may have */
    int embedding_length;  /* numbers of a vector; 0: it makes none */
    bool can_chat;
    int running; /* requests */
    int waiting;
    size_t waiting_tokens;    /* of their prompts */
    uint64_t prompt_tokens;   /* read since it was loaded */
    uint64_t cached_tokens;   /* of those, found in the cache */
    uint64_t output_tokens;   /* made since it was loaded */
    uint64_t guessed_tokens;  /* computed on a guess */
    uint64_t accepted_tokens; /* of those, right */
    uint64_t preemptions;
    int kv_pages; /* of KV_PAGE_POSITIONS tokens */
    int kv_pages_free;
};

/* GET /v1/models and GET /v1/models/{id}. */
char *models_list_text(const struct admin_model *models, size_t n, size_t *len);
char *models_one_text(const struct admin_model *m, size_t *len);

/* GET /admin/models. */
char *admin_model_text(const struct admin_model *m, size_t *len);
cJSON *admin_model_json(const struct admin_model *m); /* the same as a tree, the caller's */

/* Adds a version's labels, and what its owner says of it: the date of its end, when its
 * knowledge ends, and where its card is. m may be NULL. loaded_id: "name@version" of one that
 * is loaded, whose card is served; else NULL. */
void admin_add_labels(cJSON *object, const struct admin_labels *labels,
                      const struct model_manifest *m, const char *loaded_id);
/* POST /admin/models/reload; outcome: "published" or "unchanged". */
char *admin_reload_text(const char *outcome, const struct admin_model *m, size_t *len);
/* {"status": status} */
char *status_text(const char *status, size_t *len);
