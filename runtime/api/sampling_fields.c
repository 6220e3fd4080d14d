#include "runtime/api/sampling_fields.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/api/json_field.h"
#include "runtime/base/mem.h"

/* Every integer below 2^53 is exact in JSON's numbers and no other is read as one of them; more
 * would silently be another seed. */
#define SEED_MAX 9007199254740991.0

#define BIAS_MAX               100.0
#define REPETITION_PENALTY_MIN 0.01
#define REPETITION_PENALTY_MAX 10.0
#define REPEAT_LAST_N          64 /* llama.cpp's default, for its name of the penalty */

#define AT(member) offsetof(struct sampling, member)

/* Numbers with the range they may have. */
static const struct {
    const char *name;
    double min, max;
    size_t offset; /* of a float in struct sampling */
} numbers[] = {
    {"temperature", 0.0, 2.0, AT(temperature)},
    {"top_p", 0.0, 1.0, AT(top_p)},
    {"min_p", 0.0, 1.0, AT(min_p)},
    {"typical_p", 0.0, 1.0, AT(typical_p)},
    {"top_n_sigma", -1.0, 100.0, AT(top_n_sigma)},
    {"xtc_probability", 0.0, 1.0, AT(xtc_probability)},
    {"xtc_threshold", 0.0, 1.0, AT(xtc_threshold)},
    {"mirostat_tau", 0.0, 100.0, AT(mirostat_tau)},
    {"mirostat_eta", 0.0, 1.0, AT(mirostat_eta)},
    {"presence_penalty", -2.0, 2.0, AT(presence_penalty)},
    {"frequency_penalty", -2.0, 2.0, AT(frequency_penalty)},
    {"dry_multiplier", 0.0, 100.0, AT(dry.multiplier)},
    {"dry_base", 1.0, 100.0, AT(dry.base)},
};

static const struct {
    const char *name;
    double min, max;
    size_t offset; /* of an int in struct sampling */
} integers[] = {
    {"top_k", -1, INT_MAX, AT(top_k)},
    {"repeat_last_n", -1, INT_MAX, AT(repeat_last_n)},
    {"mirostat", 0, 2, AT(mirostat)},
    {"dry_allowed_length", 0, INT_MAX, AT(dry.allowed_length)},
    {"dry_penalty_last_n", -1, INT_MAX, AT(dry.last_n)},
    {"min_tokens", 0, INT_MAX, AT(min_tokens)},
};

static int read_numbers(const cJSON *body, struct sampling *s, struct err *e)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        float *at = (float *)(void *)((char *)s + numbers[i].offset);
        double value = (double)*at;
        if (json_field_number(body, numbers[i].name, numbers[i].min, numbers[i].max, &value,
                              e) != 0) {
            return -1;
        }
        *at = (float)value;
    }
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        int *at = (int *)((char *)s + integers[i].offset);
        double value = *at;
        if (json_field_integer(body, integers[i].name, integers[i].min, integers[i].max, &value,
                               e) != 0) {
            return -1;
        }
        *at = (int)value;
    }
    return s->mirostat == 1
               ? err_set_param(e, ERR_UNSUPPORTED, "mirostat",
                               "\"mirostat\" 1 is not supported; 2 is, 0 switches it off")
               : 0;
}

/* -1 is a seed of the server's choice for llama.cpp and vLLM, and here. */
static int read_seed(const cJSON *body, struct sampling *s, unsigned *given, struct err *e)
{
    double seed = -1.0;
    if (json_field_integer(body, "seed", -SEED_MAX, SEED_MAX, &seed, e) != 0) {
        return -1;
    }
    if (seed != -1.0) {
        s->seed = (uint64_t)(int64_t)seed;
        *given |= SAMPLING_GIVEN_SEED;
    }
    return 0;
}

/* One setting under two names. With llama.cpp's it looks back as far as there. */
static int read_repetition_penalty(const cJSON *body, struct sampling *s, struct err *e)
{
    static const char vllm[] = "repetition_penalty", llama[] = "repeat_penalty";
    double value = 1.0;
    bool both = json_field_get(body, vllm) && json_field_get(body, llama);
    if (both) {
        return err_set_param(e, ERR_INVALID, llama,
                             "\"%s\" and \"%s\" are the same; leave one out", llama, vllm);
    }
    if (json_field_number(body, vllm, REPETITION_PENALTY_MIN, REPETITION_PENALTY_MAX, &value,
                          e) != 0 ||
        json_field_number(body, llama, REPETITION_PENALTY_MIN, REPETITION_PENALTY_MAX, &value,
                          e) != 0) {
        return -1;
    }
    s->repetition_penalty = (float)value;
    if (json_field_get(body, llama) && !json_field_get(body, "repeat_last_n")) {
        s->repeat_last_n = REPEAT_LAST_N;
    }
    return 0;
}

/* --- logit_bias --- */

/* A token's id as JSON's keys have it: digits alone. */
static bool parse_id(const char *text, int32_t *id)
{
    int64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9' && value <= INT32_MAX; c++) {
        value = 10 * value + (*c - '0');
    }
    *id = (int32_t)value;
    return c != text && *c == '\0' && value <= INT32_MAX;
}

static bool read_id(const cJSON *item, int32_t *id)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= INT32_MAX) ||
        floor(item->valuedouble) != item->valuedouble) {
        return false;
    }
    *id = (int32_t)item->valuedouble;
    return true;
}

/* A number, or false for never. */
static bool read_bias(const cJSON *item, float *bias)
{
    if (cJSON_IsFalse(item)) {
        *bias = -INFINITY;
        return true;
    }
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= BIAS_MAX)) {
        return false;
    }
    *bias = (float)item->valuedouble;
    return true;
}

static bool read_bias_entry(const cJSON *item, bool in_object, struct sampling_bias *out)
{
    if (in_object) {
        return parse_id(item->string, &out->token) && read_bias(item, &out->bias);
    }
    return cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2 &&
           read_id(item->child, &out->token) && read_bias(item->child->next, &out->bias);
}

static int read_logit_bias(const cJSON *body, struct sampling *s, struct err *e)
{
    static const char name[] = "logit_bias";
    const cJSON *list = json_field_get(body, name);
    int count = list ? cJSON_GetArraySize(list) : 0;
    if (list && !cJSON_IsObject(list) && !cJSON_IsArray(list)) {
        return json_field_wrong_type(name, "an object of token ids and numbers", e);
    }
    if (count > SAMPLING_BIAS_MAX) {
        return err_set_param(e, ERR_INVALID, name, "\"%s\" has %d tokens, %d are allowed", name,
                             count, SAMPLING_BIAS_MAX);
    }
    if (count == 0) {
        return 0;
    }
    s->bias = mem_zarray((size_t)count, sizeof(*s->bias));
    if (!s->bias) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!read_bias_entry(item, cJSON_IsObject(list), &s->bias[s->n_bias++])) {
            return json_field_wrong_type(
                name, "{\"ID\": BIAS} or [[ID, BIAS]], ids of tokens and -100 to 100 or false",
                e);
        }
    }
    return 0;
}

/* --- lists --- */

static int read_stop_ids(const cJSON *body, struct sampling *s, struct err *e)
{
    static const char name[] = "stop_token_ids";
    const cJSON *list = json_field_get(body, name);
    int count = list ? cJSON_GetArraySize(list) : 0;
    if (list && (!cJSON_IsArray(list) || count > SAMPLING_STOP_IDS_MAX)) {
        return err_set_param(e, ERR_INVALID, name, "\"%s\" must be an array of up to %d ids",
                             name, SAMPLING_STOP_IDS_MAX);
    }
    if (count == 0) {
        return 0;
    }
    s->stop_ids = mem_zarray((size_t)count, sizeof(*s->stop_ids));
    if (!s->stop_ids) {
        return err_nomem(e);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!read_id(item, &s->stop_ids[s->n_stop_ids++])) {
            return json_field_wrong_type(name, "an array of token ids", e);
        }
    }
    return 0;
}

static int read_breakers(const cJSON *body, struct sampling_dry *d, struct err *e)
{
    static const char name[] = "dry_sequence_breakers";
    const cJSON *list = json_field_get(body, name);
    if (!list) {
        return 0;
    }
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    bool right = count >= 1 && count <= SAMPLING_BREAKERS_MAX;
    size_t bytes = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        size_t len = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
        right = right && len >= 1 && len <= SAMPLING_BREAKER_BYTES_MAX;
        bytes += len + 1;
    }
    if (!right) {
        return err_set_param(e, ERR_INVALID, name,
                             "\"%s\" must be 1 to %d strings of 1 to %d bytes", name,
                             SAMPLING_BREAKERS_MAX, SAMPLING_BREAKER_BYTES_MAX);
    }
    char *at = d->breakers = mem_alloc(bytes);
    if (!at) {
        return err_nomem(e);
    }
    cJSON_ArrayForEach(item, list)
    {
        size_t size = strlen(item->valuestring) + 1;
        memcpy(at, item->valuestring, size);
        at += size;
    }
    d->n_breakers = (size_t)count;
    return 0;
}

/* --- what would change the answer and cannot be honoured --- */

/* llama.cpp's order of samplers, by its names. */
static bool is_our_order(const cJSON *samplers)
{
    static const char *const names[] = {"penalties", "dry",   "top_n_sigma",
                                        "top_k",     "typ_p", "top_p",
                                        "min_p",     "xtc",   "temperature"};
    size_t i = 0;
    const cJSON *item;
    if (!cJSON_IsArray(samplers)) {
        return cJSON_IsString(samplers) && strcmp(samplers->valuestring, "edskypmxt") == 0;
    }
    cJSON_ArrayForEach(item, samplers)
    {
        if (i == sizeof(names) / sizeof(names[0]) || !cJSON_IsString(item) ||
            strcmp(item->valuestring, names[i++]) != 0) {
            return false;
        }
    }
    return i == sizeof(names) / sizeof(names[0]);
}

static int check_unsupported(const cJSON *body, struct err *e)
{
    static const char *const lists[] = {"bad_words", "allowed_token_ids"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const cJSON *list = json_field_get(body, lists[i]);
        if (list && !(cJSON_IsArray(list) && cJSON_GetArraySize(list) == 0)) {
            return json_field_refuse(lists[i], "", e);
        }
    }
    const cJSON *samplers = json_field_get(body, "samplers");
    if (samplers && !is_our_order(samplers)) {
        return json_field_refuse("samplers", " in another order than the usual", e);
    }
    double range = 0.0;
    bool beam = false;
    if (json_field_number(body, "dynatemp_range", 0.0, 100.0, &range, e) != 0 ||
        json_field_bool(body, "use_beam_search", &beam, e) != 0) {
        return -1;
    }
    if (range != 0.0) {
        return json_field_refuse("dynatemp_range", " other than 0", e);
    }
    return beam ? json_field_refuse("use_beam_search", "", e) : 0;
}

static unsigned find_given(const cJSON *body)
{
    static const struct {
        const char *name;
        unsigned bit;
    } fields[] = {
        {"temperature", SAMPLING_GIVEN_TEMPERATURE},
        {"top_p", SAMPLING_GIVEN_TOP_P},
        {"top_k", SAMPLING_GIVEN_TOP_K},
        {"min_p", SAMPLING_GIVEN_MIN_P},
        {"repetition_penalty", SAMPLING_GIVEN_REPETITION_PENALTY},
        {"repeat_penalty", SAMPLING_GIVEN_REPETITION_PENALTY},
        {"presence_penalty", SAMPLING_GIVEN_PRESENCE_PENALTY},
        {"frequency_penalty", SAMPLING_GIVEN_FREQUENCY_PENALTY},
    };
    unsigned given = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        given |= json_field_get(body, fields[i].name) ? fields[i].bit : 0u;
    }
    return given;
}

int sampling_fields_parse(const cJSON *body, struct sampling *out, unsigned *given,
                          struct err *e)
{
    *out = SAMPLING_DEFAULT;
    *given = find_given(body);
    if (read_numbers(body, out, e) != 0 || read_seed(body, out, given, e) != 0 ||
        read_repetition_penalty(body, out, e) != 0 || read_logit_bias(body, out, e) != 0 ||
        read_stop_ids(body, out, e) != 0 || read_breakers(body, &out->dry, e) != 0 ||
        check_unsupported(body, e) != 0) {
        sampling_deinit(out);
        return -1;
    }
    return 0;
}
