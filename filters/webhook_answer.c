#include "filters/webhook_answer.h"

#include <stdint.h>
#include <string.h>

#include "filters/filter.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

/* How far the piece has been counted: verdicts come in its order. */
struct place {
    const char *piece;
    size_t len;
    size_t byte, character;
};

static void count_up_to(struct place *at, double character)
{
    while (at->byte < at->len && (double)at->character < character) {
        uint32_t code_point;
        int n = utf8_decode(at->piece + at->byte, at->len - at->byte, &code_point);
        at->byte += n > 0 ? (size_t)n : 1;
        at->character++;
    }
}

/* The byte at which a character begins, found from where the last one was. */
static int find_character(struct place *at, double wanted, size_t *byte)
{
    count_up_to(at, wanted);
    *byte = at->byte;
    return (double)at->character == wanted ? 0 : -1;
}

static int read_range(struct webhook_verdict *v, const cJSON *object, struct place *at)
{
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(object, "from");
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(object, "to");
    if ((from && !cJSON_IsNumber(from)) || (to && !cJSON_IsNumber(to))) {
        return -1;
    }
    /* Without "from" it begins where the text is not decided yet. */
    v->from = at->byte;
    if (from && find_character(at, from->valuedouble, &v->from) != 0) {
        return -1;
    }
    if (to) {
        return find_character(at, to->valuedouble, &v->to);
    }
    count_up_to(at, (double)at->len);
    v->to = at->byte;
    return 0;
}

/* Codes end up in logs, metrics and the names of categories. */
static bool is_code(const char *code)
{
    size_t len = strlen(code);
    return len > 0 && len <= FILTER_MAX_CODE &&
           strspn(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") ==
               len;
}

static int read_strings(struct webhook_verdict *v, const cJSON *object, const char **problem)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, "text");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(object, "code");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(object, "message");
    v->text = cJSON_GetStringValue(text);
    v->code = cJSON_GetStringValue(code);
    v->message = cJSON_GetStringValue(message);
    if (v->kind == WEBHOOK_REPLACE && !v->text) {
        *problem = "its answer replaces text and lacks \"text\"";
        return -1;
    }
    if ((code && !cJSON_IsNull(code) && (!v->code || !is_code(v->code))) ||
        (message && !cJSON_IsNull(message) && !v->message)) {
        *problem = "its answer has a \"code\" or \"message\" that is none";
        return -1;
    }
    return 0;
}

static int read_kind(struct webhook_verdict *v, const cJSON *object)
{
    static const char *const names[] = {"pass", "note", "replace", "stop"};
    const char *name =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "verdict"));
    for (int i = 0; name && i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            v->kind = (enum webhook_verdict_kind)i;
            return 0;
        }
    }
    return -1;
}

static int read_verdict(struct webhook_answer *a, const cJSON *object, struct place *at,
                        const char **problem)
{
    struct webhook_verdict *v = &a->verdicts[a->count];
    if (a->count > 0 && v[-1].kind == WEBHOOK_STOP) {
        *problem = "its answer goes on after \"stop\"";
        return -1;
    }
    if (!cJSON_IsObject(object) || read_kind(v, object) != 0) {
        *problem = "its answer has no \"verdict\" that is known";
        return -1;
    }
    if (read_range(v, object, at) != 0) {
        *problem = "its answer has a \"from\" or \"to\" outside of the text, or out of order";
        return -1;
    }
    a->count++;
    return read_strings(v, object, problem);
}

static int read_all(struct webhook_answer *a, struct place *at, const char **problem)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(a->json, "verdicts");
    size_t count = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 1;
    if (count > WEBHOOK_MAX_VERDICTS) {
        *problem = "its answer has too many verdicts";
        return -1;
    }
    a->verdicts = mem_zarray(count + 1, sizeof(*a->verdicts));
    if (!a->verdicts) {
        *problem = "out of memory";
        return -1;
    }
    if (!cJSON_IsArray(list)) {
        return read_verdict(a, a->json, at, problem);
    }
    const cJSON *object;
    cJSON_ArrayForEach(object, list)
    {
        if (read_verdict(a, object, at, problem) != 0) {
            return -1;
        }
    }
    return 0;
}

int webhook_answer_read(struct webhook_answer *a, const char *body, size_t len,
                        const char *piece, size_t piece_len, const char **problem)
{
    struct err ignored;
    struct place at = {.piece = piece, .len = piece_len};
    *a = (struct webhook_answer){.json = json_parse(body, len, &ignored)};
    if (!cJSON_IsObject(a->json)) {
        *problem = "its answer is no JSON object";
        return -1;
    }
    return read_all(a, &at, problem);
}

void webhook_answer_deinit(struct webhook_answer *a)
{
    mem_free(a->verdicts);
    cJSON_Delete(a->json);
    *a = (struct webhook_answer){0};
}
