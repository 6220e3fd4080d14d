/* filter_record.h: the one place where what a chain did to a text becomes metrics
 * (server_metrics.h) and findings (finding_log.h).
 *
 * It is called once for each stream, when no more text comes: for an answer when the client's
 * side of it ends, for a message of a request when it was filtered. The order is such that who
 * has the whole answer finds its verdicts counted.
 *
 * Threads: the loop. */
#pragma once

#include "filters/chain.h"
#include "runtime/net/http_server.h"
#include "runtime/serve/fed_texts.h"
#include "runtime/serve/filter_hold.h"

struct server;

/* Whose text it is; borrowed. */
struct filter_origin {
    struct server *server;
    const struct http_exchange *http;
    const char *answer; /* the id of the answer; "" for none */
};

/* Whether texts are wanted by filter_record at all. */
bool filter_record_wants_texts(const struct server *s);

/* place: "messages[0].content", or "" of an answer. texts: what was fed, or empty. hold:
 * what was held back; NULL of a text that did not come in pieces. */
void filter_record(const struct filter_origin *origin, const char *place,
                   const struct chain *chain, enum filter_side side,
                   const struct chain_stream *stream, const struct fed_texts *texts,
                   const struct filter_hold *hold);

/* The same for a stream through which one whole text went, as content. */
void filter_record_text(const struct filter_origin *origin, const char *place,
                        const struct chain *chain, enum filter_side side,
                        const struct chain_stream *stream, const char *text, size_t len);
