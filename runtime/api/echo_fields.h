/* echo_fields.h: what OpenAI's responses say again of their request.
 *
 * The first events of a stream, and the last, repeat instructions, metadata, tools and other
 * settings. An event has a greatest size, and by then the head is sent: so a request that says
 * too much of them is refused before.
 *
 * Threads: any. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/base/err.h"

/* OpenAI's limits; lengths are in characters. */
#define METADATA_PAIRS_MAX 16
#define METADATA_KEY_MAX   64
#define METADATA_VALUE_MAX 512

/* Bytes of JSON of all that is repeated: more than fits into the context of a model. */
#define ECHO_BYTES_MAX ((size_t)1 << 20)

/* Checks a request's body: metadata, then the size of all. ERR_INVALID, ERR_LIMIT: e->param
 * names the field. */
int echo_fields_check(const cJSON *body, struct err *e);
