/* model.h: one loaded model: configuration, weights, tokenizer, chat template, identity.
 *
 * Everything is checked while loading. It is copied out of the file, which is closed
 * afterwards, unless the file is packed (arch/llama_weights.h): then its matrices are used
 * where they are mapped, and the file must not be written to or cut short while the model
 * lives. A hashed model is what was hashed: a packed file is copied into memory too, so that
 * nothing that happens to it later changes an answer. A file that is cut short while it is read
 * is an error.
 *
 * Where parallel.ranks is set, of the matrices only this rank's share is loaded
 * (arch/llama_share.h), and only such a state can run it.
 *
 * Ownership: model_open returns, model_close releases. Immutable in between; any number of
 * threads may read. */
#pragma once

#include "models/arch/llama_config.h"
#include "models/arch/llama_weights.h"
#include "models/parallel.h"
#include "models/template/chat_template.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/base/hash.h"

#define MODEL_NAME_MAX 128

struct model {
    char name[MODEL_NAME_MAX];     /* general.name made fit for a URL, or the file's name */
    char version[MODEL_NAME_MAX];  /* general.version, or "" */
    char sha256[HASH_HEX_LEN + 1]; /* of the whole file; "" if it was not asked for */
    uint64_t file_bytes;
    struct llama_config config;
    struct llama_weights weights;
    struct tokenizer *tokenizer;
    struct chat_template *chat_template; /* NULL when the file has none */
    struct gguf *file;                   /* of a packed model, else NULL */
};

enum model_hashing {
    MODEL_UNHASHED,
    MODEL_HASHED, /* reads the whole file: what answers are said to be made with */
};

/* Loads a GGUF file with int8 weights, or a folder as convert/hf_model.h has it. NULL on
 * failure; the message begins with the path. */
struct model *model_open(const char *path, enum model_hashing hashing, const struct parallel *p,
                         struct err *e);

/* The same, hashed, with this chat template (not NULL) in place of that in the file, which is
 * not looked at. */
struct model *model_open_templated(const char *path, const char *chat_template, size_t len,
                                   const struct parallel *p, struct err *e);

/* The same with weights of the given precision, unhashed. */
struct model *model_open_as(const char *path, enum llama_precision precision,
                            const struct parallel *p, struct err *e);
void model_close(struct model *m); /* accepts NULL */
