/* respond.h: whole JSON answers, errors included, with the fields that every answer carries. */
#pragma once

#include "runtime/api/api_error.h"
#include "runtime/net/http_server.h"

/* Sends `text` (JSON) and releases it (mem_free). NULL: out of memory, answered as such. */
void respond_json(struct http_exchange *ex, int status, char *text, size_t len,
                  const struct http_header *extra, size_t n_extra);

void respond_error(struct http_exchange *ex, const struct api_error *error);

/* A failure, by its kind. Internal ones are logged, their text stays inside. */
void respond_err(struct http_exchange *ex, const struct err *e);
