#include "models/eval/eval_expect.h"

#include <string.h>
#include <strings.h>

#define MAX_WORDS_LIMIT 1000000

static int parse_texts(struct eval_texts *t, const cJSON *json, struct err *e)
{
    const char *key = json->string;
    if (!cJSON_IsArray(json) || !json->child) {
        return err_set(e, ERR_FORMAT, "\"%s\" must be an array of one text or more", key);
    }
    for (const cJSON *item = json->child; item; item = item->next) {
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0') {
            return err_set(e, ERR_FORMAT, "\"%s\" must hold texts that are not empty", key);
        }
        if (t->count == EVAL_EXPECT_TEXTS_MAX) {
            return err_set(e, ERR_LIMIT, "\"%s\" has more than %d texts", key,
                           EVAL_EXPECT_TEXTS_MAX);
        }
        t->texts[t->count++] = item->valuestring;
    }
    return 0;
}

static int parse_max_words(struct eval_expect *x, const cJSON *json, struct err *e)
{
    double n = cJSON_IsNumber(json) ? json->valuedouble : 0.0;
    if (!(n >= 1.0 && n <= MAX_WORDS_LIMIT) || n != (double)(int)n) {
        return err_set(e, ERR_FORMAT, "\"max_words\" must be a whole number from 1 to %d",
                       MAX_WORDS_LIMIT);
    }
    x->max_words = (int)n;
    return 0;
}

static int parse_key(struct eval_expect *x, const cJSON *json, struct err *e)
{
    const char *key = json->string;
    if (strcmp(key, "all") == 0) {
        return parse_texts(&x->all, json, e);
    }
    if (strcmp(key, "any") == 0) {
        return parse_texts(&x->any, json, e);
    }
    if (strcmp(key, "none") == 0) {
        return parse_texts(&x->none, json, e);
    }
    if (strcmp(key, "max_words") == 0) {
        return parse_max_words(x, json, e);
    }
    if (strcmp(key, "uppercase") == 0) {
        x->uppercase = cJSON_IsTrue(json);
        return cJSON_IsBool(json)
                   ? 0
                   : err_set(e, ERR_FORMAT, "\"uppercase\" must be true or false");
    }
    return err_set(e, ERR_FORMAT,
                   "\"%.40s\" is not known; all, any, none, max_words and uppercase are", key);
}

int eval_expect_parse(struct eval_expect *x, const cJSON *json, struct err *e)
{
    *x = (struct eval_expect){0};
    if (!cJSON_IsObject(json)) {
        return err_set(e, ERR_FORMAT, "an object is wanted");
    }
    for (const cJSON *item = json->child; item; item = item->next) {
        if (parse_key(x, item, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static bool occurs(const char *answer, size_t len, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= len; i++) {
        if (strncasecmp(answer + i, text, n) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_occurring(const struct eval_texts *t, const char *answer, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        count += occurs(answer, len, t->texts[i]);
    }
    return count;
}

static size_t count_words(const char *answer, size_t len)
{
    size_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < len; i++) {
        bool space = answer[i] == ' ' || (answer[i] >= '\t' && answer[i] <= '\r');
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

static bool is_uppercase(const char *answer, size_t len)
{
    bool capital = false;
    for (size_t i = 0; i < len; i++) {
        if (answer[i] >= 'a' && answer[i] <= 'z') {
            return false;
        }
        capital = capital || (answer[i] >= 'A' && answer[i] <= 'Z');
    }
    return capital;
}

bool eval_expect_holds(const struct eval_expect *x, const char *answer, size_t len)
{
    if (x->max_words > 0 && count_words(answer, len) > (size_t)x->max_words) {
        return false;
    }
    if (x->uppercase && !is_uppercase(answer, len)) {
        return false;
    }
    return count_occurring(&x->all, answer, len) == x->all.count &&
           (x->any.count == 0 || count_occurring(&x->any, answer, len) > 0) &&
           count_occurring(&x->none, answer, len) == 0;
}
