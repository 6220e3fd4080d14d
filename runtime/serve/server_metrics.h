/* server_metrics.h: what the server counts, in one table, and GET /metrics.
 *
 * Each row is a family of base/metrics.h: id, kind (SECONDS and TOKENS are histograms), name,
 * labels, the label among them whose values filters make up, help. docs/operations.md lists the
 * same. Names and units follow https://prometheus.io/docs/practices/naming.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/base/metrics.h"
#include "runtime/net/http_server.h"

struct server;

#define FILTER_LABELS "chain,version,filter,type,side"

#define SERVER_METRICS(X)                                                                      \
    X(BUILD_INFO, GAUGE, "weir_build_info", "version", NULL, "1, with the version of Weir.")   \
    X(UPGRADES, COUNTER, "weir_upgrades_total", "outcome", NULL,                               \
      "Upgrades of the program: done (this process took over), failed, refused.")              \
    X(HTTP_REQUESTS, COUNTER, "weir_http_requests_total", "route,method,code", NULL,           \
      "Requests that have ended, by the status they were answered; 499: the client had left.") \
    X(HTTP_ABORTED, COUNTER, "weir_http_requests_aborted_total", "route,method", NULL,         \
      "Requests whose client left before it had the whole answer.")                            \
    X(HTTP_REFUSED, COUNTER, "weir_http_requests_refused_total", "", NULL,                     \
      "Requests that were no good HTTP or beyond a limit of connections.")                     \
    X(HTTP_CONNECTIONS, GAUGE, "weir_http_connections", "", NULL,                              \
      "Connections that are open.")                                                            \
    X(CHAIN_TEXTS, COUNTER, "weir_chain_texts_total", "chain,version,side", NULL,              \
      "Texts that went through a filter chain: a message or variable of a request, an "        \
      "answer.")                                                                               \
    X(CHAIN_STOPS, COUNTER, "weir_chain_stops_total", "chain,version,side,code,verdict",       \
      "code", "Texts that a chain ended, by the code of the verdict, stop or fail.")           \
    X(VERDICTS, COUNTER, "weir_filter_verdicts_total",                                         \
      FILTER_LABELS ",channel,code,verdict,mode", "code",                                      \
      "Verdicts of filters: note, replace, stop, fail. In mode record nothing came of them.")  \
    X(FAILURES, COUNTER, "weir_filter_failures_total", FILTER_LABELS ",code", "code",          \
      "Failures of filters, whether they ended the text or not.")                              \
    X(OVERFLOWS, COUNTER, "weir_filter_overflows_total", "chain,version,side", NULL,           \
      "Texts in which a filter had more verdicts than are listed and counted.")                \
    X(CALLS, COUNTER, "weir_filter_calls_total", FILTER_LABELS, NULL,                          \
      "How often a filter was shown text.")                                                    \
    X(BYTES, COUNTER, "weir_filter_bytes_total", FILTER_LABELS, NULL,                          \
      "Bytes that a filter was shown, those again that it held.")                              \
    X(SECONDS, COUNTER, "weir_filter_seconds_total", FILTER_LABELS, NULL,                      \
      "Time spent in a filter.")                                                               \
    X(HELD, HISTOGRAM, "weir_filter_held_bytes", "chain,version", NULL,                        \
      "The most bytes that the filters of an answer held back at once.")                       \
    X(MODEL_LOADED, GAUGE, "weir_model_loaded", "model,version,state", NULL,                   \
      "1 for each version that is loaded, with its state: serving, kept, split, shadow, "      \
      "canary.")                                                                               \
    X(MODEL_LOADS, COUNTER, "weir_model_loads_total", "model", NULL,                           \
      "Versions that were loaded.")                                                            \
    X(MODEL_LOAD_FAILURES, COUNTER, "weir_model_load_failures_total", "model", NULL,           \
      "Versions that could not be loaded, or did not pass their gate.")                        \
    X(MODEL_LOAD_SECONDS, GAUGE, "weir_model_load_seconds", "model", NULL,                     \
      "What the last load of a version took, gate and prompts included.")                      \
    X(MODEL_UNLOADS, COUNTER, "weir_model_unloads_total", "model,reason", NULL,                \
      "Versions that were unloaded: admin, idle, memory, drain_first, replaced, canary.")      \
    X(MODELS_MEMORY, GAUGE, "weir_models_memory_bytes", "", NULL,                              \
      "Weights, and keys and values at the most, of all versions that are loaded or leaving.") \
    X(MODELS_MEMORY_LIMIT, GAUGE, "weir_models_memory_limit_bytes", "", NULL,                  \
      "What --models-memory allows; 0: what the machine has.")                                 \
    X(REQUESTS_PARKED, GAUGE, "weir_requests_parked", "", NULL,                                \
      "Requests that wait for a model to be loaded.")                                          \
    X(MODEL_ANSWERS, COUNTER, "weir_model_answers_total", "model,version,outcome", NULL,       \
      "Requests that a version had, by what became of them.")                                  \
    X(MODEL_REFUSALS, COUNTER, "weir_model_refusals_total", "model,version", NULL,             \
      "Complete answers that begin as refusals do.")                                           \
    X(MODEL_FIRST_TOKEN, SECONDS, "weir_model_first_token_seconds", "model,version", NULL,     \
      "Time from the engine's having a request to its first token.")                           \
    X(MODEL_TOKEN, SECONDS, "weir_model_token_seconds", "model,version", NULL,                 \
      "Time from one token of an answer to the next, the answer's mean.")                      \
    X(MODEL_ANSWER_TOKENS, TOKENS, "weir_model_answer_tokens", "model,version", NULL,          \
      "Tokens of complete answers.")                                                           \
    X(CANARY_STATE, GAUGE, "weir_canary_state", "model,version,state", NULL,                   \
      "1 for the state that a version's canary is in, 0 for the others.")                      \
    X(CANARY_DECISIONS, COUNTER, "weir_canary_decisions_total", "model,decision,measure",      \
      NULL, "Ends of canaries, and what decided.")                                             \
    X(FINDINGS_WRITTEN, COUNTER, "weir_findings_written_total", "", NULL,                      \
      "Rows of findings that were stored.")                                                    \
    X(FINDINGS_DROPPED, COUNTER, "weir_findings_dropped_total", "reason", NULL,                \
      "Rows of findings that were not stored: the queue was full, or writing failed.")         \
    X(FINDINGS_WAITING, GAUGE, "weir_findings_waiting", "", NULL,                              \
      "Rows of findings that wait to be stored.")                                              \
    X(FLEET_STATE, GAUGE, "weir_fleet_state", "fleet,state", NULL,                             \
      "1 for the state that this replica is in within its fleet, 0 for the others.")           \
    X(FLEET_REVISION, GAUGE, "weir_fleet_revision", "fleet", NULL,                             \
      "Revision of etcd up to which this replica has heard.")                                  \
    X(FLEET_CONTACT, GAUGE, "weir_fleet_last_contact_seconds", "fleet", NULL,                  \
      "Unix time of the last answer from etcd; 0: there was none.")                            \
    X(FLEET_FAILURES, COUNTER, "weir_fleet_connection_failures_total", "fleet", NULL,          \
      "Connections to etcd that were lost or did not come about.")                             \
    X(FLEET_CHANGES, COUNTER, "weir_fleet_changes_total", "fleet,kind,outcome", NULL,          \
      "What the fleet wanted: applied, refused.")                                              \
    X(SPLIT_PERCENT, GAUGE, "weir_split_percent", "model,version", NULL,                       \
      "Of the requests that name no version, the share that gets this one and not the one "    \
      "that serves.")                                                                          \
    X(SHADOW_PERCENT, GAUGE, "weir_shadow_percent", "model,version", NULL,                     \
      "Of the requests, the share of which a copy runs on this version.")                      \
    X(SHADOW_COPIES, COUNTER, "weir_shadow_copies_total", "model,version,outcome", NULL,       \
      "Copies of requests: identical, different, dropped, abandoned, skipped, failed.")

enum server_metric {
#define X(id, kind, name, labels, open, help) SERVER_METRIC_##id,
    SERVER_METRICS(X)
#undef X
        SERVER_METRIC_COUNT
};

/* NULL when out of memory. version: of the program. */
struct metrics *server_metrics_create(const char *version, struct err *e);

/* A request is over: on_end of http_server.h. */
void server_metrics_count_request(struct metrics *m, const struct route *route,
                                  const struct http_exchange *ex);
/* The client left before: on_abort. */
void server_metrics_count_abort(struct metrics *m, const struct route *route);

void server_metrics_answer(struct server *s, struct http_exchange *ex);
