/* server_metrics.h: what the server counts, in one table, and GET /metrics.
 *
 * Each row is a family of base/metrics.h: id, kind (what is no COUNTER and no GAUGE is a
 * histogram, see server_metrics.c), name, labels, the open label, help. docs/operations.md
 * lists the same. Names and units follow https://prometheus.io/docs/practices/naming.
 *
 * What is there twice under other names is for dashboards and autoscalers that know them:
 * gen_ai_* are OpenTelemetry's conventions for GenAI servers
 * (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics) as Prometheus spells
 * them, vllm:* are those of vLLM.
 *
 * Threads: the loop. */
#pragma once

#include "runtime/api/routes.h"
#include "runtime/base/metrics.h"
#include "runtime/net/http_server.h"

struct request_record;
struct server;

/* nginx's word for a client that did not wait. */
#define SERVER_STATUS_CLIENT_LEFT 499

#define GEN_AI_LABELS                                                  \
    "gen_ai_operation_name,gen_ai_provider_name,gen_ai_request_model," \
    "gen_ai_response_model"

#define FILTER_LABELS "chain,version,filter,type,side"

#define SERVER_METRIC_ALIASES(X)                                                               \
    X(GEN_AI_DURATION, DURATION, "gen_ai_server_request_duration_seconds",                     \
      GEN_AI_LABELS ",error_type", NULL, "Time from a request to the end of its answer.")      \
    X(GEN_AI_FIRST_TOKEN, LATENCY, "gen_ai_server_time_to_first_token_seconds", GEN_AI_LABELS, \
      NULL, "Time from a request to the first token of its answer.")                           \
    X(GEN_AI_TOKEN, PER_TOKEN, "gen_ai_server_time_per_output_token_seconds", GEN_AI_LABELS,   \
      NULL, "Time for each token of an answer behind the first, the answer's mean.")           \
    X(VLLM_RUNNING, GAUGE, "vllm:num_requests_running", "model_name", NULL,                    \
      "weir_requests_running, all versions.")                                                  \
    X(VLLM_WAITING, GAUGE, "vllm:num_requests_waiting", "model_name", NULL,                    \
      "weir_requests_waiting, all versions.")                                                  \
    X(VLLM_KV, GAUGE, "vllm:kv_cache_usage_perc", "model_name", NULL,                          \
      "Share of the pages of keys and values that requests hold, 0 to 1; of loaded versions.") \
    X(VLLM_QUERIES, COUNTER, "vllm:prefix_cache_queries_total", "model_name", NULL,            \
      "Tokens that were looked for in the cache.")                                             \
    X(VLLM_HITS, COUNTER, "vllm:prefix_cache_hits_total", "model_name", NULL,                  \
      "Tokens that were found in the cache.")                                                  \
    X(VLLM_PROMPT_TOKENS, COUNTER, "vllm:prompt_tokens_total", "model_name", NULL,             \
      "weir_prompt_tokens_total, all versions.")                                               \
    X(VLLM_OUTPUT_TOKENS, COUNTER, "vllm:generation_tokens_total", "model_name", NULL,         \
      "weir_output_tokens_total, all versions.")                                               \
    X(VLLM_SUCCESS, COUNTER, "vllm:request_success_total", "model_name,finished_reason", NULL, \
      "Answers that have ended: stop, length, tool_calls, content_filter.")                    \
    X(VLLM_FIRST_TOKEN, LATENCY, "vllm:time_to_first_token_seconds", "model_name", NULL,       \
      "Time from a request to the first token of its answer.")                                 \
    X(VLLM_INTER_TOKEN, LATENCY, "vllm:inter_token_latency_seconds", "model_name", NULL,       \
      "weir_inter_token_seconds, all versions.")                                               \
    X(VLLM_E2E, DURATION, "vllm:e2e_request_latency_seconds", "model_name", NULL,              \
      "Time from a request to the end of its answer, if that came to its end.")                \
    X(VLLM_QUEUE, LATENCY, "vllm:request_queue_time_seconds", "model_name", NULL,              \
      "weir_request_queue_seconds, all versions.")                                             \
    X(VLLM_PREFILL, LATENCY, "vllm:request_prefill_time_seconds", "model_name", NULL,          \
      "weir_request_prefill_seconds, all versions.")                                           \
    X(VLLM_DECODE, DURATION, "vllm:request_decode_time_seconds", "model_name", NULL,           \
      "weir_request_decode_seconds, all versions.")

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
    X(REQUESTS, COUNTER, "weir_requests_total", "operation,model,outcome", NULL,               \
      "Requests that a model was asked for: complete, length, blocked, failed, late, left, "   \
      "busy, denied, invalid.")                                                                \
    X(RUNNING, GAUGE, "weir_requests_running", "model,version", NULL,                          \
      "Requests that are being answered.")                                                     \
    X(WAITING, GAUGE, "weir_requests_waiting", "model,version", NULL,                          \
      "Requests that wait to be answered.")                                                    \
    X(WAITING_TOKENS, GAUGE, "weir_requests_waiting_tokens", "model,version", NULL,            \
      "Tokens of their prompts.")                                                              \
    X(QUEUE, LATENCY, "weir_request_queue_seconds", "model,version", NULL,                     \
      "Time that a request waited for the engine to begin with it.")                           \
    X(PREFILL, LATENCY, "weir_request_prefill_seconds", "model,version", NULL,                 \
      "Time from there to its first token: its prompt is read.")                               \
    X(DECODE, DURATION, "weir_request_decode_seconds", "model,version", NULL,                  \
      "Time from its first token to its last one.")                                            \
    X(INTER_TOKEN, LATENCY, "weir_inter_token_seconds", "model,version", NULL,                 \
      "Time from one token of an answer to the next, each.")                                   \
    X(PROMPT_TOKENS, COUNTER, "weir_prompt_tokens_total", "model,version", NULL,               \
      "Tokens of prompts and of texts for vectors, those found in the cache included.")        \
    X(CACHED_TOKENS, COUNTER, "weir_cached_prompt_tokens_total", "model,version", NULL,        \
      "Tokens of prompts that were found in the cache.")                                       \
    X(OUTPUT_TOKENS, COUNTER, "weir_output_tokens_total", "model,version", NULL,               \
      "Tokens of answers.")                                                                    \
    X(KV_PAGES, GAUGE, "weir_kv_cache_pages", "model,version", NULL,                           \
      "Pages of keys and values that there are.")                                              \
    X(KV_PAGES_USED, GAUGE, "weir_kv_cache_pages_used", "model,version", NULL,                 \
      "Pages that requests hold.")                                                             \
    X(PREEMPTIONS, COUNTER, "weir_preemptions_total", "model,version", NULL,                   \
      "Requests that gave their pages up and computed them anew.")                             \
    X(GUESSED, COUNTER, "weir_guessed_tokens_total", "model,version", NULL,                    \
      "Tokens that were computed on a guess.")                                                 \
    X(GUESSED_RIGHT, COUNTER, "weir_guessed_right_tokens_total", "model,version", NULL,        \
      "Of these, those that were right.")                                                      \
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
    X(HELD, BYTES_HELD, "weir_filter_held_bytes", "chain,version", NULL,                       \
      "The most bytes that the filters of an answer held back at once.")                       \
    X(HOLD, LATENCY, "weir_filter_hold_seconds", "chain,version", NULL,                        \
      "The longest time that text of an answer was held back by filters.")                     \
    X(MODEL_LOADED, GAUGE, "weir_model_loaded", "model,version,state", NULL,                   \
      "1 for each version that is loaded, with its state: serving, kept, split, shadow, "      \
      "canary.")                                                                               \
    X(MODEL_GENERATION, GAUGE, "weir_model_generation", "model", NULL,                         \
      "Number of the generation that serves: it grows with each publication.")                 \
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
    X(MODEL_ANSWER_ENTROPY, ENTROPY, "weir_model_answer_entropy_nats", "model,version", NULL,  \
      "Entropy of the distribution of a token, the mean of a complete answer.")                \
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
      "Copies of requests: identical, different, dropped, abandoned, skipped, failed.")        \
    X(SPANS_EXPORTED, COUNTER, "weir_traces_exported_total", "", NULL,                         \
      "Traces of requests that the collector took.")                                           \
    X(SPANS_DROPPED, COUNTER, "weir_traces_dropped_total", "reason", NULL,                     \
      "Traces that it did not get: queue_full, refused (by it).")                              \
    X(SPANS_FAILURES, COUNTER, "weir_traces_export_failures_total", "", NULL,                  \
      "Calls of the collector that failed.")                                                   \
    X(SPANS_WAITING, GAUGE, "weir_traces_waiting", "", NULL, "Traces that wait to be sent.")   \
    X(FEEDBACK, COUNTER, "weir_feedback_total", "model,version,kind", NULL,                    \
      "Feedback that was stored: up, down, correction, preferred.")                            \
    X(FEEDBACK_REFUSED, COUNTER, "weir_feedback_refused_total", "reason", NULL,                \
      "Feedback that was not stored: unknown_answer, invalid, busy, not_stored.")              \
    X(FEEDBACK_DELETED, COUNTER, "weir_feedback_deleted_total", "reason", NULL,                \
      "Rows of feedback that were deleted: asked, retention.")                                 \
    X(DRIFT, GAUGE, "weir_drift", "model,version,prompt,measure", NULL,                        \
      "1: the answers differ from the baseline in this measure, 0: they do not.")              \
    X(DRIFT_DIFFERENCE, GAUGE, "weir_drift_difference", "model,version,prompt,measure", NULL,  \
      "How far the last window is from the baseline: Kolmogorov-Smirnov distance, or "         \
      "difference of shares.")                                                                 \
    X(DRIFT_ALERTS, COUNTER, "weir_drift_alerts_total", "model,version,prompt,measure", NULL,  \
      "Alerts of drift.")                                                                      \
    X(DRIFT_LOOKS, COUNTER, "weir_drift_looks_total", "model,version,prompt", NULL,            \
      "Windows that were held against the baseline.")                                          \
    SERVER_METRIC_ALIASES(X)

enum server_metric {
#define X(id, kind, name, labels, open, help) SERVER_METRIC_##id,
    SERVER_METRICS(X)
#undef X
        SERVER_METRIC_COUNT
};

/* NULL when out of memory. version: of the program. */
struct metrics *server_metrics_create(const char *version, struct err *e);

/* What became of a request that a model was asked for (request_watch.h). */
void server_metrics_note_request(struct metrics *m, const struct request_record *r);
/* A token of an answer came so many seconds behind the one before. */
void server_metrics_note_gap(struct metrics *m, const char *model, const char *version,
                             double gap_s);
/* Tokens that were read where there is no cache: texts that became vectors. */
void server_metrics_add_prompt(struct metrics *m, const char *model, const char *version,
                               size_t tokens);
/* More tokens of requests that make text; of the prompts' tokens `cached` were known before. */
void server_metrics_add_tokens(struct metrics *m, const char *model, const char *version,
                               size_t prompt, size_t cached, size_t output);

/* A request is over: on_end of http_server.h. */
void server_metrics_count_request(struct metrics *m, const struct route *route,
                                  const struct http_exchange *ex);
/* The client left before: on_abort. */
void server_metrics_count_abort(struct metrics *m, const struct route *route);

void server_metrics_answer(struct server *s, struct http_exchange *ex);
