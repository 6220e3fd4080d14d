#include "tests/unit/net/http_transcript.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/rng.h"
#include "runtime/net/http_parser.h"

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

struct http_server_settings http_transcript_settings(void)
{
    struct http_server_settings s = http_server_settings_default();
    s.body_bytes_max = 256 * 1024;
    return s;
}

static size_t piece_len(enum http_cut cut, struct rng *rng, size_t left)
{
    size_t len = cut == HTTP_CUT_NOT     ? left
                 : cut == HTTP_CUT_BYTES ? 1
                                         : 1 + rng_below(rng, 40);
    return len < left ? len : left;
}

static void describe_request(struct buf *out, const struct http_request *r)
{
    buf_printf(out, "%s %s [%s][%s][%s] 1.%d\n", r->method, r->target, r->path, r->query,
               r->host, r->version_minor);
    for (size_t i = 0; i < r->header_count; i++) {
        buf_printf(out, "%s=%s\n", r->headers[i].name, r->headers[i].value);
    }
}

void http_transcript(struct buf *out, const char *wire, size_t len, enum http_cut cut,
                     uint64_t seed)
{
    struct http_server_settings settings = http_transcript_settings();
    struct http_parser p;
    struct rng rng;
    rng_seed(&rng, seed);
    size_t bodies_total = 0;
    http_parser_init(&p, &settings, &bodies_total);
    size_t at = 0;
    size_t piece = piece_len(cut, &rng, len);
    for (;;) {
        size_t used;
        /* A copy of its own lets AddressSanitizer see a read past the piece. */
        char *copy = malloc(piece ? piece : 1);
        memcpy(copy, wire + at, piece);
        enum http_parser_event event = http_parser_feed(&p, copy, piece, &used);
        free(copy);
        must(used <= piece);
        at += used;
        piece -= used;
        if (event == HTTP_PARSER_HEAD) {
            describe_request(out, &p.request);
        } else if (event == HTTP_PARSER_FAILED) {
            buf_printf(out, "refused %d %s", p.refusal.status, p.refusal.code);
            break;
        } else if (event == HTTP_PARSER_DONE) {
            buf_printf(out, "body %zu:", p.request.body_len);
            buf_append(out, p.request.body, p.request.body_len);
            buf_append_str(out, "\n");
            if (!p.keep_alive) {
                buf_append_str(out, "closed");
                break;
            }
            http_parser_reset(&p);
        } else {
            must(piece == 0);
        }
        if (piece == 0 && event != HTTP_PARSER_HEAD) {
            piece = piece_len(cut, &rng, len - at);
            if (piece == 0) {
                buf_append_str(out, "more");
                break;
            }
        }
    }
    http_parser_deinit(&p);
    must(bodies_total == 0);
}
