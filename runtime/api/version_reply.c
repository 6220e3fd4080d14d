#include "runtime/api/version_reply.h"

#include "runtime/api/json_text.h"

static void add_number(cJSON *o, const char *name, uint64_t n)
{
    cJSON_AddNumberToObject(o, name, (double)n);
}

cJSON *version_state_json(const struct version_state *s)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", s->name);
    add_number(o, "revision", s->revision);
    add_number(o, "latest", s->latest);
    add_number(o, "active", s->active);
    if (s->split_percent > 0) {
        cJSON *split = cJSON_AddObjectToObject(o, "split");
        add_number(split, "version", s->split);
        cJSON_AddNumberToObject(split, "percent", s->split_percent);
    } else {
        cJSON_AddNullToObject(o, "split");
    }
    add_number(o, "versions", s->n_versions);
    cJSON_AddNumberToObject(o, "updated", (double)s->updated);
    return o;
}

cJSON *version_info_json(const struct version_info *v)
{
    cJSON *o = cJSON_CreateObject();
    add_number(o, "version", v->version);
    cJSON_AddStringToObject(o, "sha256", v->sha256);
    cJSON_AddNumberToObject(o, "created", (double)v->created);
    cJSON_AddStringToObject(o, "author", v->author);
    cJSON_AddStringToObject(o, "note", v->note);
    return o;
}

cJSON *version_audit_json(const struct version_audit *a)
{
    cJSON *o = cJSON_CreateObject();
    add_number(o, "id", a->id);
    cJSON_AddNumberToObject(o, "time", (double)a->time);
    cJSON_AddStringToObject(o, "kind",
                            a->kind < VERSION_KINDS ? version_kind_name(a->kind) : "");
    cJSON_AddStringToObject(o, "actor", a->actor);
    cJSON_AddStringToObject(o, "action", a->action);
    cJSON_AddStringToObject(o, "profile", a->name);
    cJSON_AddStringToObject(o, "subject", a->subject);
    cJSON_AddStringToObject(o, "before", a->before);
    cJSON_AddStringToObject(o, "after", a->after);
    cJSON_AddStringToObject(o, "reason", a->reason);
    add_number(o, "revision", a->revision);
    return o;
}
