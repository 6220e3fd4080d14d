#include "runtime/cli/local_model.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/arch/llama_adapter.h"
#include "models/template/chat_prompt.h"
#include "models/tokenizer/decoder.h"
#include "quant/cpu.h"
#include "runtime/base/buf.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/cli/ranks.h"
#include "runtime/engine/parallel_team.h"

#define CONTEXT_DEFAULT_MAX 8192
#define LOGITS_BYTES_MAX    ((size_t)64 << 20) /* of the logits of one step */

long local_core_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > TEAM_MAX_THREADS ? TEAM_MAX_THREADS : n;
}

static int choose_context(const struct llama_config *c, int asked)
{
    if (asked > 0) {
        return asked < c->context ? asked : c->context;
    }
    return c->context < CONTEXT_DEFAULT_MAX ? c->context : CONTEXT_DEFAULT_MAX;
}

static int choose_slots(const struct llama_config *c, const struct local_model_settings *s,
                        enum ops_type kv_type, int context)
{
    size_t each = kv_cache_pages(context) * kv_cache_page_bytes(c, kv_type);
    if (s->kv_bytes == 0 || each == 0 || s->kv_bytes / each >= (size_t)s->n_slots) {
        return s->n_slots;
    }
    return s->kv_bytes / each > 1 ? (int)(s->kv_bytes / each) : 1;
}

static int choose_logits(const struct llama_config *c, const struct local_model_settings *s,
                         int n_slots)
{
    if (s->encoder || !s->score) {
        return s->encoder ? s->max_rows : n_slots;
    }
    size_t rows = LOGITS_BYTES_MAX / (sizeof(float) * (size_t)c->vocab);
    return rows >= (size_t)s->max_rows ? s->max_rows : rows > 16 ? (int)rows : 16;
}

static int precision_named(const char *name, enum llama_precision *precision, struct err *e)
{
    bool f32 = name && strcmp(name, "f32") == 0;
    *precision = f32 ? LLAMA_F32 : LLAMA_INT8;
    return f32 || !name || strcmp(name, "int8") == 0
               ? 0
               : err_set_param(e, ERR_INVALID, "weights",
                               "--weights: \"%s\" is not known; int8 and f32 are", name);
}

/* An adapter may say which file it was trained on. */
static int check_base(const struct llama_adapter *a, const char *adapter_path,
                      const struct local_model_settings *s, struct err *e)
{
    char sha256[HASH_HEX_LEN + 1];
    if (!a->base_sha256[0]) {
        return 0;
    }
    struct gguf *g = gguf_open(s->path, e);
    int rc = g ? gguf_sha256(g, sha256, e) : -1;
    gguf_close(g);
    if (rc != 0 || strcmp(sha256, a->base_sha256) == 0) {
        return rc;
    }
    if (s->any_base) {
        log_warn("%s was trained on another file (SHA-256 %.12s...) than %s (%.12s...)",
                 adapter_path, a->base_sha256, s->path, sha256);
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "%s: is for another base model: \"weir.adapter.base_sha256\" is %.12s..., "
                   "the SHA-256 of %s %.12s...; --any-base takes the same model in another "
                   "number format",
                   adapter_path, a->base_sha256, s->path, sha256);
}

static int open_adapter(struct local_model *l, const struct local_model_settings *s,
                        struct err *e)
{
    char path[PATH_MAX];
    const char *at = s->adapter ? strrchr(s->adapter, '@') : NULL;
    char *end = NULL;
    double scale = at && at[1] ? strtod(at + 1, &end) : 1.0;
    bool has_scale = end && *end == '\0' && isfinite(scale) && fabs(scale) <= 1000.0;
    if (!s->adapter) {
        return 0;
    }
    int n = snprintf(path, sizeof(path), "%.*s",
                     has_scale ? (int)(at - s->adapter) : (int)strlen(s->adapter), s->adapter);
    if (n >= (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "--adapter: the path is too long");
    }
    l->adapter =
        llama_adapter_open(path, &l->model->config, "", has_scale ? (float)scale : 1.0f, e);
    return l->adapter ? check_base(l->adapter, path, s, e) : -1;
}

/* What all ranks must have read. */
static int identify(const struct local_model *l, const char *path, char out[RANK_FACT_MAX],
                    struct err *e)
{
    char sha256[HASH_HEX_LEN + 1] = "folder";
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        struct gguf *g = gguf_open(path, e);
        int rc = g ? gguf_sha256(g, sha256, e) : -1;
        gguf_close(g);
        if (rc != 0) {
            return rc;
        }
    }
    snprintf(out, RANK_FACT_MAX, "%.24s, %llu bytes, SHA-256 %s", l->model->name,
             (unsigned long long)l->model->file_bytes, sha256);
    return 0;
}

static int open_parts(struct local_model *l, const struct local_model_settings *s,
                      struct err *e)
{
    uint32_t mask;
    if (cpu_features_named(s->cpu, &mask) != 0) {
        return err_set(
            e, ERR_INVALID,
            "--cpu: \"%s\" is not known; auto, ref, avx2, avxvnni, avx512, avx512vnni, amx, "
            "neon, dotprod and i8mm are",
            s->cpu);
    }
    enum ops_type kv_type;
    enum llama_precision precision;
    if (kv_cache_type_named(s->kv_type, &kv_type, e) != 0 ||
        precision_named(s->weights, &precision, e) != 0) {
        return -1;
    }
    uint32_t features = cpu_features() & mask;
    if (cli_ranks_check_pin(s->ranks, s->pin, e) != 0) {
        return -1;
    }
    l->team = team_create(s->threads, e);
    if (!l->team || (s->pin && team_pin(l->team, e) != 0)) {
        return -1;
    }
    struct parallel parallel = parallel_team(l->team);
    parallel.ranks = rank_channel_ranks(l->channel);
    if (s->ranks && s->adapter) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "--adapter: adapters cannot be shared out among ranks; merge it into the "
            "model (weir train merge), or run one process");
    }
    l->model = model_open_as(s->path, precision, &parallel, e);
    if (!l->model || open_adapter(l, s, e) != 0) {
        return -1;
    }
    if (l->model->config.encoder != s->encoder) {
        return err_set(e, ERR_UNSUPPORTED, "%s: %s", s->path,
                       s->encoder ? "makes text, no embeddings; a model like BERT is needed"
                                  : "makes embeddings, no text; `weir embed` runs it");
    }
    l->context = choose_context(&l->model->config, s->context);
    int n_slots = choose_slots(&l->model->config, s, kv_type, l->context);
    l->max_logits = choose_logits(&l->model->config, s, n_slots);
    struct llama_state_settings set = {
        .max_rows = s->max_rows,
        .max_logits = l->max_logits,
        .context = l->context,
        .precision = precision,
        .kernel = q8_kernel_select(features),
        .ops = ops_select(features),
        .parallel = parallel,
        .adapters = l->adapter != NULL,
    };
    l->state = llama_state_create(&l->model->config, &set, e);
    return l->state && kv_cache_init(&l->kv, &l->model->config, kv_type, n_slots, l->context, 0,
                                     e) == 0
               ? sampler_scratch_init(&l->scratch, set.ops, l->model->config.vocab,
                                      (size_t)l->context, e)
               : -1;
}

/* All ranks have opened it, or none has. */
static int agree(struct local_model *l, const struct local_model_settings *s, int rc,
                 struct err *e)
{
    char fact[RANK_FACT_MAX] = "";
    if (!s->ranks) {
        return rc;
    }
    rc = rc == 0 ? identify(l, s->path, fact, e) : rc;
    rc = rank_channel_agree(l->channel, fact, rc, e);
    if (rc == 0) {
        const struct kv_cache *kv = &l->kv;
        log_info("rank %d of %d: %.1f MiB of weights, %.1f MiB for keys and values",
                 rank_group_rank(s->ranks), rank_group_size(s->ranks),
                 (double)l->model->weights.block_bytes / 0x1p20,
                 (double)((size_t)kv->n_pages * kv->page_bytes) / 0x1p20);
    }
    return rc;
}

int local_model_open(struct local_model *l, const struct local_model_settings *s, struct err *e)
{
    *l = (struct local_model){.max_rows = s->max_rows, .is_stop_wanted = s->is_stop_wanted};
    if (s->ranks && !(l->channel = rank_channel_open(s->ranks, 1, e))) {
        return -1;
    }
    if (agree(l, s, open_parts(l, s, e), e) != 0) {
        local_model_close(l);
        return -1;
    }
    return 0;
}

void local_model_close(struct local_model *l)
{
    sampler_scratch_deinit(&l->scratch);
    kv_cache_deinit(&l->kv);
    llama_state_destroy(l->state);
    llama_adapter_close(l->adapter);
    model_close(l->model);
    team_destroy(l->team);
    rank_channel_close(l->channel);
    *l = (struct local_model){0};
}

int local_model_feed(struct local_model *l, const int32_t *tokens, size_t n, size_t position,
                     struct err *e)
{
    if (position + n > (size_t)l->context) {
        return err_set(e, ERR_LIMIT, "%zu tokens do not fit into the context of %d",
                       position + n, l->context);
    }
    struct llama_row *rows = mem_zarray((size_t)l->max_rows, sizeof(*rows));
    if (!rows) {
        return err_nomem(e);
    }
    int rc = 0;
    size_t at = 0;
    while (at < n) {
        if (l->is_stop_wanted && l->is_stop_wanted()) {
            rc = err_set(e, ERR_CANCELED, "it was stopped");
            break;
        }
        int n_rows = 0;
        for (; n_rows < l->max_rows && at < n; at++, n_rows++) {
            rows[n_rows] = (struct llama_row){.token = tokens[at],
                                              .position = (int32_t)(position + at),
                                              .want_logits = at == n - 1,
                                              .adapter = l->adapter};
        }
        llama_step(l->state, &l->model->weights, &l->kv, rows, n_rows);
    }
    mem_free(rows);
    return rc;
}

/* An answer that is being made. */
struct making {
    struct local_model *model;
    struct sampler sampler;
    struct decoder decoder;
    struct token_list tokens; /* prompt and answer so far */
    size_t n_prompt;
    struct buf text; /* of the last token */
    int (*on_text)(void *ctx, const char *text, size_t len);
    void *ctx;
    struct local_answer_end end;
};

static int pass_on(struct making *m, struct err *e)
{
    if (m->text.len > 0 && m->on_text(m->ctx, m->text.data, m->text.len) != 0) {
        return err_set(e, ERR_CANCELED, "the output could not be written");
    }
    buf_clear(&m->text);
    return 0;
}

/* Samples until the turn ends. All tokens have been fed and left logits. */
static int generate(struct making *m, int max_tokens, struct err *e)
{
    struct local_model *l = m->model;
    m->end.is_cut = true;
    for (int i = 0; i < max_tokens && m->tokens.count < (size_t)l->context; i++) {
        const struct sampler_input in = {.logits = llama_logits(l->state, 0),
                                         .vocab = l->model->config.vocab,
                                         .tokens = m->tokens.ids,
                                         .n_tokens = m->tokens.count,
                                         .n_prompt = m->n_prompt};
        int32_t token = sampler_next(&m->sampler, &in, &l->scratch);
        if (token == TOKEN_NONE) {
            return err_set(e, ERR_FORMAT, "the model gives no number for any token");
        }
        if (tokenizer_is_eog(l->model->tokenizer, token)) {
            m->end.is_cut = false;
            break;
        }
        const size_t position = m->tokens.count;
        m->end.n_tokens++;
        if (decoder_feed(&m->decoder, token, &m->text) != 0 ||
            token_list_push(&m->tokens, token) != 0) {
            return err_nomem(e);
        }
        if (pass_on(m, e) != 0 || local_model_feed(l, &token, 1, position, e) != 0) {
            return -1;
        }
    }
    return decoder_flush(&m->decoder, &m->text) == 0 ? pass_on(m, e) : err_nomem(e);
}

int local_model_answer_tokens(struct local_model *l, const struct token_list *prompt,
                              const struct sampling *sampling, int max_tokens,
                              int (*on_text)(void *ctx, const char *text, size_t len),
                              void *ctx, struct local_answer_end *end, struct err *e)
{
    struct making m = {.model = l, .n_prompt = prompt->count, .on_text = on_text, .ctx = ctx};
    buf_init(&m.text, 1 << 20);
    decoder_init(&m.decoder, l->model->tokenizer);
    sampler_init(&m.sampler, sampling);
    int rc = token_list_append(&m.tokens, prompt->ids, prompt->count) == 0 ? 0 : err_nomem(e);
    rc = rc == 0 ? local_model_feed(l, prompt->ids, prompt->count, 0, e) : rc;
    rc = rc == 0 ? generate(&m, max_tokens, e) : rc;
    if (end) {
        *end = m.end;
    }
    token_list_deinit(&m.tokens);
    buf_deinit(&m.text);
    return rc;
}

int local_model_answer(struct local_model *l, const struct chat_message *messages, size_t n,
                       const struct sampling *sampling, int max_tokens,
                       int (*on_text)(void *ctx, const char *text, size_t len), void *ctx,
                       struct err *e)
{
    struct token_list tokens = {0};
    if (!l->model->chat_template) {
        return err_set(e, ERR_UNSUPPORTED, "the model has no chat template, it cannot chat");
    }
    int rc = chat_prompt_tokens(l->model->chat_template, l->model->tokenizer, messages, n,
                                &tokens, e);
    rc = rc == 0 ? local_model_answer_tokens(l, &tokens, sampling, max_tokens, on_text, ctx,
                                             NULL, e)
                 : rc;
    token_list_deinit(&tokens);
    return rc;
}
