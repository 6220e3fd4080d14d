#include "models/eval/eval_choices.h"

#include <string.h>

bool eval_choices_is_member(const char *name)
{
    static const char *const names[] = {
        "question", "choices", "answer",    "answerKey", /* MMLU, ARC */
        "ctx",      "endings", "label",                  /* HellaSwag */
        "id",       "ind",     "ctx_a",     "ctx_b",     /* of no account here */
        "split",    "source",  "source_id", "split_type", "activity_label",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The first of two names that is there. */
static const cJSON *either(const cJSON *json, const char *a, const char *b)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, a);
    return item ? item : cJSON_GetObjectItemCaseSensitive(json, b);
}

static int read_texts(struct eval_item *item, const cJSON *list, struct err *e)
{
    const cJSON *text;
    if (!cJSON_IsArray(list)) {
        return err_set(e, ERR_FORMAT, "\"choices\": an array of texts is wanted");
    }
    cJSON_ArrayForEach(text, list)
    {
        if (!cJSON_IsString(text) || !text->valuestring[0]) {
            return err_set(e, ERR_FORMAT, "\"choices\": texts that are not empty are wanted");
        }
        if (item->n_choices == EVAL_CHOICES_MAX) {
            return err_set(e, ERR_LIMIT, "\"choices\": more than %d", EVAL_CHOICES_MAX);
        }
        item->choices[item->n_choices++] = text->valuestring;
    }
    return item->n_choices >= 2 ? 0
                                : err_set(e, ERR_FORMAT, "\"choices\": two or more are wanted");
}

/* A choice by its number from 0, as number or as text. */
static bool is_number(const cJSON *answer, size_t *number)
{
    if (cJSON_IsNumber(answer)) {
        double x = answer->valuedouble;
        *number = x >= 0 && x < EVAL_CHOICES_MAX ? (size_t)x : EVAL_CHOICES_MAX;
        return x == (double)*number;
    }
    const char *text = cJSON_GetStringValue(answer);
    if (!text || text[0] < '0' || text[0] > '9' || text[1] != '\0') {
        return false;
    }
    *number = (size_t)(text[0] - '0');
    return true;
}

/* The place of a label, of a letter, of the text itself, or a number. */
static int read_answer(struct eval_item *item, const cJSON *answer, const cJSON *labels,
                       struct err *e)
{
    const char *text = cJSON_GetStringValue(answer);
    size_t at = EVAL_CHOICES_MAX;
    for (size_t i = 0; text && i < item->n_choices; i++) {
        const char *label = cJSON_GetStringValue(cJSON_GetArrayItem(labels, (int)i));
        if ((label && strcmp(label, text) == 0) || strcmp(item->choices[i], text) == 0) {
            item->right = i;
            return 0;
        }
    }
    bool is_letter = text && text[0] >= 'A' && text[0] <= 'Z' && text[1] == '\0';
    if (is_letter) {
        at = (size_t)(text[0] - 'A');
    } else if (!is_number(answer, &at)) {
        at = EVAL_CHOICES_MAX;
    }
    if (at >= item->n_choices) {
        return err_set(e, ERR_FORMAT,
                       "\"answer\": the number of a choice (from 0), its letter (from A), its "
                       "label or its text is wanted");
    }
    item->right = at;
    return 0;
}

int eval_choices_read(struct eval_item *item, struct err *e)
{
    const cJSON *json = item->json;
    const cJSON *question = either(json, "question", "ctx");
    const cJSON *choices = either(json, "choices", "endings");
    const cJSON *answer = either(json, "answer", "answerKey");
    const cJSON *labels = NULL;
    answer = answer ? answer : cJSON_GetObjectItemCaseSensitive(json, "label");
    if (!question && !choices && !answer) {
        return 0;
    }
    item->question = cJSON_GetStringValue(question);
    if (!question || !item->question) {
        return err_set(e, ERR_FORMAT, "\"question\": a text is wanted");
    }
    item->is_begun = strcmp(question->string, "ctx") == 0;
    if (cJSON_IsObject(choices)) {
        labels = cJSON_GetObjectItemCaseSensitive(choices, "label");
        choices = cJSON_GetObjectItemCaseSensitive(choices, "text");
    }
    return read_texts(item, choices, e) == 0 ? read_answer(item, answer, labels, e) : -1;
}
