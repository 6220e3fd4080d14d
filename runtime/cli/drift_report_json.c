#include "runtime/cli/drift_report.h"

#include <stdint.h>

#include "runtime/base/json.h"
#include "runtime/cli/word_diff.h"

static cJSON *figure(const struct stats_figure *f)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "value", f->value);
    cJSON_AddNumberToObject(o, "low", f->low);
    cJSON_AddNumberToObject(o, "high", f->high);
    return o;
}

static cJSON *figures(const struct stats_figure of[2])
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "a", figure(&of[0]));
    cJSON_AddItemToObject(o, "b", figure(&of[1]));
    return o;
}

static cJSON *rate_object(const struct drift_rate *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "prompts", (double)r->n);
    cJSON_AddNumberToObject(o, "a", (double)r->hits[0]);
    cJSON_AddNumberToObject(o, "b", (double)r->hits[1]);
    cJSON_AddNumberToObject(o, "only_a", (double)r->only[0]);
    cJSON_AddNumberToObject(o, "only_b", (double)r->only[1]);
    cJSON_AddNumberToObject(o, "p", r->p);
    return o;
}

static void add_summary(cJSON *o, const struct drift_summary *s)
{
    cJSON_AddNumberToObject(o, "prompts", (double)s->n);
    cJSON_AddNumberToObject(o, "same", (double)s->n_same);
    cJSON_AddItemToObject(o, "same_share", figure(&s->same));
    cJSON *rates = cJSON_AddObjectToObject(o, "rates");
    for (int i = 0; i < DRIFT_RATES; i++) {
        cJSON_AddItemToObject(rates, drift_rate_name((enum drift_rate_id)i),
                              rate_object(&s->rates[i]));
    }
    cJSON *words = cJSON_AddObjectToObject(o, "words");
    cJSON_AddNumberToObject(words, "prompts", (double)s->n_lengths);
    cJSON_AddItemToObject(words, "mean", figures(s->mean));
    cJSON_AddItemToObject(words, "median", figures(s->median));
    cJSON_AddItemToObject(words, "longer", figure(&s->longer));
    cJSON_AddNumberToObject(words, "p", s->length_p);
    cJSON *speed = cJSON_AddObjectToObject(o, "tokens_per_s");
    cJSON_AddNumberToObject(speed, "a", s->tokens_per_s[0]);
    cJSON_AddNumberToObject(speed, "b", s->tokens_per_s[1]);
}

static cJSON *answer(const struct drift_prompt *p, const struct drift_answer *a)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "text", a->text);
    cJSON_AddStringToObject(o, "end", drift_end_name(a->end));
    cJSON_AddNumberToObject(o, "words", (double)word_count(a->text, a->len));
    cJSON_AddNumberToObject(o, "tokens", (double)a->tokens);
    cJSON_AddBoolToObject(o, "refused", drift_counts(p, a, DRIFT_REFUSED));
    return o;
}

static int add_change(cJSON *list, const struct drift_report *r, size_t i)
{
    const struct drift_prompt *p = &r->prompts->items[i];
    const struct drift_pair *pair = &r->pairs[i];
    const struct drift_answer *a = &pair->of[0], *b = &pair->of[1];
    struct err ignored = {0};
    struct buf diff;
    buf_init(&diff, SIZE_MAX / 2);
    int rc = word_diff(a->text, a->len, b->text, b->len, &diff, &ignored);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "index", (double)i);
    cJSON_AddStringToObject(o, "prompt", drift_prompt_shown(p));
    if (p->category) {
        cJSON_AddStringToObject(o, "category", p->category);
    }
    cJSON_AddNumberToObject(o, "first_difference", (double)drift_first_difference(pair));
    cJSON_AddStringToObject(o, "diff", diff.data ? diff.data : "");
    cJSON_AddItemToObject(o, "a", answer(p, a));
    cJSON_AddItemToObject(o, "b", answer(p, b));
    cJSON_AddItemToArray(list, o);
    buf_deinit(&diff);
    return rc;
}

int drift_report_json(const struct drift_report *r, struct buf *out)
{
    int rc = 0;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "a", r->ids[0]);
    cJSON_AddStringToObject(root, "b", r->ids[1]);
    cJSON_AddNumberToObject(root, "max_tokens", r->max_tokens);
    add_summary(root, &r->all);
    cJSON *categories = cJSON_AddArrayToObject(root, "categories");
    for (size_t i = 0; i < r->n_categories; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "category", r->categories[i].name);
        add_summary(o, &r->categories[i].summary);
        cJSON_AddItemToArray(categories, o);
    }
    cJSON *changed = cJSON_AddArrayToObject(root, "changed");
    for (size_t i = 0; rc == 0 && i < r->prompts->n; i++) {
        rc = drift_is_same(&r->pairs[i]) ? 0 : add_change(changed, r, i);
    }
    char *text = cJSON_PrintUnformatted(root);
    rc = rc == 0 && text ? buf_printf(out, "%s\n", text) : -1;
    cJSON_free(text);
    cJSON_Delete(root);
    return rc;
}
