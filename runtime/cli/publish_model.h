/* publish_model.h: the model file of a version, from whatever it was trained as.
 * Command-internal.
 *
 * Threads: none. */
#pragma once

#include "runtime/cli/publish_place.h"

#define PUBLISH_MODEL_FILE "model.gguf"

struct publish_source {
    const char *model; /* a GGUF file, a folder of safetensors, a checkpoint or an adapter */
    const char *vocab; /* of a checkpoint, or NULL */
    const char *base;  /* of an adapter, or NULL */
    const char *type;  /* "q8_0", "packed", "f16", "f32"; "keep": as it is; NULL: q8_0 where
                          matrices are wider than that, else as they are */
    const char *name;  /* general.name of what is exported */
};

/* Makes PUBLISH_MODEL_FILE in the place, with the program's own commands, each of which writes
 * its lineage. *is_copy: it has the same bytes as the source, whose lineage it shares. */
int publish_model_make(const struct publish_place *p, const struct publish_source *s,
                       bool *is_copy, struct err *e);
