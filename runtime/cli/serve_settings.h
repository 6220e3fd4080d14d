/* serve_settings.h: every setting of `weir serve`, once. --help, weir.json, its schema and
 * docs/settings.md are made from the table; to add a setting, add a field here, an entry there,
 * and what it does in serve_config.c. Command-internal. */
#pragma once

#include "runtime/base/config.h"
#include "runtime/cli/etcd_options.h"
#include "runtime/cli/ranks.h"
#include "runtime/registry/answer_sample.h"

struct serve_options {
    /* Of the command line alone. */
    const char *config;
    bool check_config;
    bool print_schema;
    bool print_settings;

    const char *model;
    struct option_strings adapters;
    bool any_base;
    const char *cpu;
    long threads;
    bool pin;
    long context;
    const char *kv_type;
    long kv_memory;

    const char *repo;
    long keep_generations;
    const char *publish;
    const char *models_loaded;
    bool load_on_demand;
    long models_memory;
    const char *when_memory_short;
    long unload_idle;

    const char *host; /* NULL: not given */
    long port;        /* -1: not given */
    const char *unix_path;
    const char *unix_mode;
    const char *tls_cert;
    const char *tls_key;
    struct option_strings allow_hosts;
    struct option_strings cors_origins;

    const char *api_key;
    const char *api_key_file;
    const char *admin_key;
    const char *admin_key_file;

    const char *system_prompt;
    const char *prompt;
    const char *prompts_dir;

    const char *filters;
    const char *filters_dir;
    const char *filters_chain;
    struct option_strings filters_for;

    long parallel;
    long queue;
    long queue_tokens;
    long batch;
    long step_ms;
    const char *guess;
    double temperature;
    long ping;
    long max_body;

    const char *metrics;
    const char *otlp_endpoint;
    double trace_share;
    const char *log_format;
    bool log_requests;
    const char *findings;
    long findings_rows;
    long findings_days;
    const char *filter_log_text;
    const char *feedback, *feedback_file;
    long feedback_rows, feedback_days, feedback_answers;

    const char *drift, *drift_file;
    long drift_window, drift_baseline;
    double drift_alpha;
    struct option_strings drift_margins;

    struct cli_ranks ranks;

    struct etcd_options etcd;
    const char *fleet_id;
    const char *fleet_start;
    const char *stream_begin;

    const char *state;
    const char *pid_file;
    long drain_timeout;
    long upgrade_timeout;
};

/* Values of struct serve_options. */
extern const struct config_table serve_settings;

/* "MEASURE=X" or "MEASURE=off" of drift_margin; the margin of the latter is below 0. */
int serve_margin_read(const char *text, enum answer_measure *measure, double *margin,
                      struct err *e);

/* Words of settings, in the order of the enums that they stand for. */
extern const char *const serve_words_texts[];    /* enum finding_texts */
extern const char *const serve_words_readers[];  /* enum metrics_readers */
extern const char *const serve_words_feedback[]; /* enum feedback_keeping */
extern const char *const serve_words_formats[];  /* enum log_format */
extern const char *const serve_words_guesses[];  /* enum engine_guesses */
