#include "runtime/serve/respond.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/serve/request_watch.h"

#define HEADERS_MAX 8

void respond_json(struct http_exchange *ex, int status, char *text, size_t len,
                  const struct http_header *extra, size_t n_extra)
{
    static const char no_memory[] =
        "{\"error\":{\"message\":\"the server is out of memory\",\"type\":\"server_error\","
        "\"param\":null,\"code\":\"out_of_memory\"}}";
    struct http_header headers[HEADERS_MAX] = {{"Content-Type", "application/json"}};
    size_t n = 1;
    for (size_t i = 0; i < n_extra && n < HEADERS_MAX; i++) {
        headers[n++] = extra[i];
    }
    if (text) {
        http_respond(ex, status, headers, n, text, len);
    } else {
        http_respond(ex, 503, headers, n, no_memory, strlen(no_memory));
    }
    mem_free(text);
}

void respond_error(struct http_exchange *ex, const struct api_error *error)
{
    char seconds[16];
    bool again = error->retry_after_s > 0;
    /* OpenAI's clients obey the second one, whatever the status is. */
    struct http_header retry[] = {{"Retry-After", seconds}, {"x-should-retry", "true"}};
    static const struct http_header stay_away = {"x-should-retry", "false"};
    snprintf(seconds, sizeof(seconds), "%d", error->retry_after_s);
    const struct http_request *request = http_exchange_request(ex);
    size_t len = 0;
    char *text = api_error_body(error, api_dialect_of(request->path), request->id, &len);
    if (again) {
        respond_json(ex, error->status, text, len, retry, 2);
    } else {
        /* After a 504 another try would wait as long and end the same way. */
        bool is_final = error->is_final || error->status == 504;
        respond_json(ex, error->status, text, len, &stay_away, is_final);
    }
}

void respond_err(struct http_exchange *ex, const struct err *e)
{
    struct api_error error = api_error_from(e);
    if (error.status >= 500) {
        request_watch_log_error(ex, "%s", e->message);
    }
    respond_error(ex, &error);
}
