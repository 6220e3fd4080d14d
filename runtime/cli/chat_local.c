#include <stdio.h>

#include "runtime/base/mem.h"
#include "runtime/cli/chat.h"
#include "runtime/cli/chat_stop.h"
#include "runtime/cli/local_model.h"

#define ANSWER_TOKENS_MAX 4096

struct chat_local {
    struct local_model_settings set;
    struct local_model model;
    uint64_t seed;   /* of the next answer for which none is set */
    char path[4096]; /* of a model that was chosen later */
};

static void set_float(const struct chat_parameters *p, enum chat_parameter which, float *value)
{
    if (p->given[which]) {
        *value = (float)p->values[which];
    }
}

/* Each answer has a seed of its own, so that /retry can give another one. */
static struct sampling sampling_of(const struct chat_parameters *p, uint64_t *seed)
{
    struct sampling s = SAMPLING_DEFAULT;
    s.seed = p->given[CHAT_SEED] ? (uint64_t)p->values[CHAT_SEED] : (*seed)++;
    s.top_k = p->given[CHAT_TOP_K] ? (int)p->values[CHAT_TOP_K] : s.top_k;
    set_float(p, CHAT_TEMPERATURE, &s.temperature);
    set_float(p, CHAT_TOP_P, &s.top_p);
    set_float(p, CHAT_MIN_P, &s.min_p);
    set_float(p, CHAT_REPETITION_PENALTY, &s.repetition_penalty);
    set_float(p, CHAT_PRESENCE_PENALTY, &s.presence_penalty);
    set_float(p, CHAT_FREQUENCY_PENALTY, &s.frequency_penalty);
    return s;
}

static int answer(void *ctx, const struct chat_request *r, struct err *e)
{
    struct chat_local *l = ctx;
    const struct chat_parameters *p = r->parameters;
    const struct sampling sampling = sampling_of(p, &l->seed);
    int max_tokens =
        p->given[CHAT_MAX_TOKENS] ? (int)p->values[CHAT_MAX_TOKENS] : ANSWER_TOKENS_MAX;
    return local_model_answer(&l->model, r->turns->messages, r->turns->count, &sampling,
                              max_tokens, r->on_text, r->text_ctx, e);
}

static int describe(void *ctx, struct buf *out)
{
    const struct chat_local *l = ctx;
    const struct model *m = l->model.model;
    return buf_printf(out, "model: %s%s%s (%s)\nprompt: yours alone, /system\n", m->name,
                      m->version[0] ? "@" : "", m->version, l->set.path);
}

static int list_models(void *ctx, struct buf *out, struct err *e)
{
    const struct chat_local *l = ctx;
    return buf_printf(out, "%s (%s); /model FILE loads another one\n", l->model.model->name,
                      l->set.path) == 0
               ? 0
               : err_nomem(e);
}

/* The one before goes when the other is there. */
static int set_model(void *ctx, const char *name, struct err *e)
{
    struct chat_local *l = ctx;
    struct local_model other = {0};
    struct local_model_settings set = l->set;
    char path[sizeof(l->path)];
    if (snprintf(path, sizeof(path), "%s", name) >= (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "the path is too long");
    }
    set.path = path;
    set.adapter = NULL; /* which is of the model before */
    if (local_model_open(&other, &set, e) != 0) {
        return -1;
    }
    local_model_close(&l->model);
    l->model = other;
    snprintf(l->path, sizeof(l->path), "%s", path);
    l->set = set;
    l->set.path = l->path;
    return 0;
}

static int set_prompt(void *ctx, const char *name, struct err *e)
{
    (void)ctx;
    (void)name;
    return err_set(e, ERR_UNSUPPORTED,
                   "prompts are a server's; here /system TEXT sets the system message");
}

struct chat_local *chat_local_open(const struct local_model_settings *set, uint64_t seed,
                                   struct chat_source *source, struct err *e)
{
    struct chat_local *l = mem_zalloc(sizeof(*l));
    if (!l) {
        err_nomem(e);
        return NULL;
    }
    l->set = *set;
    l->seed = seed;
    if (local_model_open(&l->model, set, e) != 0) {
        mem_free(l);
        return NULL;
    }
    *source = (struct chat_source){.ctx = l,
                                   .answer = answer,
                                   .list_models = list_models,
                                   .set_model = set_model,
                                   .set_prompt = set_prompt,
                                   .describe = describe};
    return l;
}

void chat_local_close(struct chat_local *l)
{
    local_model_close(&l->model);
    mem_free(l);
}
