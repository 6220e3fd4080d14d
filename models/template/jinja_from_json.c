/* JSON to values, as Python's json.loads makes them. Its strings are text, never control
 * tokens. */
#include <math.h>
#include <string.h>

#include "models/template/jinja_builtin.h"

/* A copy, so that the tree need not live as long as the values. */
static int json_text(struct jinja_run *run, const char *text, struct jinja_value *out)
{
    struct jinja_string s = (struct jinja_string){.data = text, .len = strlen(text)};
    s.data = jinja_arena_strndup(run->arena, text, s.len, run->err);
    return s.data ? jinja_string_value(run, s, out) : -1;
}

static int json_container(struct jinja_run *run, const cJSON *json, struct jinja_value *out)
{
    bool object = cJSON_IsObject(json);
    int rc =
        object ? jinja_dict_new(run, JINJA_DICT, out) : jinja_list_new(run, JINJA_LIST, 0, out);
    for (const cJSON *item = json->child; rc == 0 && item; item = item->next) {
        struct jinja_value key, value;
        rc = jinja_from_cjson(run, item, &value);
        if (rc == 0 && object) {
            rc = json_text(run, item->string, &key) == 0
                     ? jinja_dict_put(run, out->dict, key, value)
                     : -1;
        } else if (rc == 0) {
            rc = jinja_list_push(run, out->list, value);
        }
    }
    return rc;
}

/* cJSON keeps numbers as doubles: a whole one is taken for an integer, as it mostly was. */
static struct jinja_value json_number(double d)
{
    return d == floor(d) && fabs(d) <= 0x1p53 ? jinja_int((int64_t)d) : jinja_float(d);
}

int jinja_from_cjson(struct jinja_run *run, const cJSON *json, struct jinja_value *out)
{
    if (cJSON_IsString(json)) {
        return json_text(run, json->valuestring, out);
    }
    if (cJSON_IsNumber(json)) {
        *out = json_number(json->valuedouble);
        return 0;
    }
    if (cJSON_IsArray(json) || cJSON_IsObject(json)) {
        int rc = jinja_enter(run);
        if (rc == 0) {
            rc = json_container(run, json, out);
            jinja_leave(run);
        }
        return rc;
    }
    *out = cJSON_IsBool(json) ? jinja_bool(cJSON_IsTrue(json)) : jinja_none();
    return 0;
}
