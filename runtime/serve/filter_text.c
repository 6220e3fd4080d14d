#include "runtime/serve/filter_text.h"

#include <stdint.h>

#include "runtime/base/mem.h"
#include "runtime/serve/filter_findings.h"

static void set_refused(const struct chain *chain, const struct chain_event *stop,
                        const char *param, struct err *e)
{
    const char *refusal = chain_refusal(chain);
    if (refusal) {
        err_set_param(e, ERR_FILTERED, param, "%s", refusal);
    } else {
        err_set_param(e, ERR_FILTERED, param, "a filter refused \"%s\": %s", param,
                      stop->message);
    }
}

char *filter_text(const struct filter_origin *origin, struct chain *chain, const char *text,
                  size_t len, const char *param, size_t *out_len,
                  struct moderation_result *findings, struct err *e)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    struct chain_sink sink = chain_sink_buf(&out);
    char *filtered = NULL;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_INPUT, e);
    if (!stream) {
        goto cleanup;
    }
    int rc = chain_feed(stream, FILTER_CONTENT, text, len, &sink, e);
    if (rc == CHAIN_GOES_ON) {
        rc = chain_finish(stream, &sink, e);
    }
    filter_record_text(origin, param, chain, FILTER_INPUT, stream, text, len);
    if (rc >= 0 && findings && filter_findings_take(findings, stream) != 0) {
        err_nomem(e);
    } else if (rc == CHAIN_STOPPED) {
        set_refused(chain, chain_stream_stop(stream), param, e);
    } else if (rc == CHAIN_GOES_ON && !(filtered = buf_take(&out, out_len))) {
        err_nomem(e);
    }
cleanup:
    chain_stream_destroy(stream);
    buf_deinit(&out);
    return filtered;
}
