/* publish_golden.h: golden prompts, recorded from the model itself, as model.json has them
 * (model_manifest.h): what the published file must answer wherever it is loaded.
 *
 * Threads: none. */
#pragma once

#include "runtime/base/json.h"
#include "runtime/base/options.h"

/* An array of {"messages" or "prompt", "max_tokens", "text"}: `count` questions, evenly from
 * the lines of `files` (JSON Lines with "messages" or "prompt"), answered greedily by the model
 * with at most max_tokens tokens. The caller's; NULL: *e says why. */
cJSON *publish_golden_record(const char *model, const struct option_strings *files,
                             size_t count, int max_tokens, struct err *e);
