#include <math.h>

#include "models/eval/eval_judge.h"
#include "runtime/base/mem.h"
#include "runtime/cli/drift_ask.h"
#include "runtime/cli/eval_jobs.h"
#include "runtime/cli/eval_run.h"

bool eval_server_can(const struct eval_part *part)
{
    return part->kind != EVAL_CHOICE && part->kind != EVAL_CALIBRATION &&
           part->kind != EVAL_PERPLEXITY;
}

static cJSON *messages_json(const struct chat_message *messages, size_t n)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++) {
        cJSON *one = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, one) ||
            !cJSON_AddStringToObject(one, "role", messages[i].role) ||
            !cJSON_AddStringToObject(one, "content", messages[i].content)) {
            cJSON_Delete(list);
            return NULL;
        }
    }
    return list;
}

/* Prompt k * i + s is side s of line i, where lines have k sides. */
static int make_prompts(const struct eval_part *part, size_t sides, struct drift_prompts *out,
                        struct err *e)
{
    *out = (struct drift_prompts){.items = mem_zarray(sides * part->n, sizeof(*out->items))};
    if (!out->items) {
        return err_nomem(e);
    }
    for (; out->n < sides * part->n; out->n++) {
        const struct eval_item *item = &part->items[out->n / sides];
        struct drift_prompt *p = &out->items[out->n];
        p->json = messages_json(item->messages[out->n % sides], item->n_messages);
        p->messages = p->json;
        if (!p->json) {
            return err_nomem(e);
        }
    }
    return 0;
}

static bool is_blocked(const struct drift_answer *a)
{
    return a->end == DRIFT_BLOCKED || a->end == DRIFT_FILTERED;
}

/* of: the answers of the line's sides. */
static int judge(const struct eval_part *part, size_t line, size_t sides,
                 const struct drift_pair *of, struct eval_values *values, struct err *e)
{
    struct eval_answers a = {.logprob = NAN, .is_blocked = is_blocked(&of->of[0])};
    for (size_t side = 0; side < sides; side++) {
        const struct drift_answer *answer = &of[side].of[0];
        if (answer->end == DRIFT_FAILED) {
            err_set(e, ERR_INVALID, "the server does not answer it: %.300s", answer->text);
            return eval_item_failed(part, line, e);
        }
        a.text[side] = answer->text;
        a.len[side] = answer->len;
    }
    return eval_judge_answers(part, line, &a, values, e);
}

struct told {
    const struct eval_progress *progress;
    size_t sides;
};

static void tell(void *ctx, size_t done, size_t of)
{
    const struct told *t = ctx;
    (void)of;
    if (t->progress->told) {
        t->progress->told(t->progress->ctx, done / t->sides);
    }
}

int eval_run_server(const struct eval_server *server, const struct eval_part *part,
                    const struct eval_progress *progress, struct eval_values *values,
                    struct err *e)
{
    size_t sides = part->kind == EVAL_BIAS ? 2 : 1;
    struct told told = {.progress = progress, .sides = sides};
    const struct drift_progress drift_progress = {.told = tell, .ctx = &told};
    const struct drift_server asked = {.url = server->url,
                                       .api_key = server->key,
                                       .models = {server->model},
                                       .side_by_side = server->side_by_side,
                                       .max_tokens = part->max_tokens};
    struct drift_prompts prompts;
    char ids[2][DRIFT_ID_MAX];
    struct drift_pair *pairs = mem_zarray(sides * part->n, sizeof(*pairs));
    int rc = make_prompts(part, sides, &prompts, e);
    if (rc == 0 && !pairs) {
        rc = err_nomem(e);
    }
    rc = rc == 0 ? drift_ask_server(&asked, &prompts, &drift_progress, pairs, ids, e) : rc;
    for (size_t i = 0; rc == 0 && i < part->n; i++) {
        rc = judge(part, i, sides, &pairs[sides * i], values, e);
    }
    drift_pairs_free(pairs, sides * part->n);
    drift_prompts_deinit(&prompts);
    return rc;
}
