/* remote.h: HTTP to a running server, for the commands that are its clients. Command-internal.
 */
#pragma once

#include <stddef.h>

#include <curl/curl.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct remote {
    CURL *curl;
    struct curl_slist *headers;
    char name[1024]; /* as it was given, for messages */
    char base[1024]; /* before paths: "http://127.0.0.1:8080" */
};

/* url: http://HOST:PORT, https://... or unix:PATH. key: sent as bearer token, or NULL. */
int remote_open(struct remote *r, const char *url, const char *key, struct err *e);
void remote_close(struct remote *r); /* also after remote_open failed, or of zeroes */

/* Sent with every request from now on. ERR_INVALID for a value that is no header's. */
int remote_add_header(struct remote *r, const char *name, const char *value, struct err *e);

/* path: "/v1/models", with what must be escaped escaped. */
int remote_set_path(struct remote *r, const char *path, struct err *e);

/* Why curl_easy_perform has failed; returns -1. */
int remote_failed(const struct remote *r, CURLcode code, struct err *e);

/* What the body of an error says, or its first bytes; returns -1. */
int remote_refused(long status, const struct buf *body, struct err *e);

/* One request. body: JSON, or NULL for none. The answer replaces what is in *answer, whose
 * maximum bounds it; a status other than 2xx is an error. */
int remote_request(struct remote *r, const char *method, const char *path, const char *body,
                   struct buf *answer, struct err *e);

/* The same, with any status: the answer may be that of an error. */
int remote_exchange(struct remote *r, const char *method, const char *path, const char *body,
                    struct buf *answer, long *status, struct err *e);
