#include "runtime/serve/prompt_pick.h"

#include <stdio.h>
#include <string.h>

#include "runtime/registry/prompt_store.h"
#include "runtime/serve/sticky.h"

/* "support@3" taken apart; version "" when the name stands alone. */
struct pin {
    char profile[VERSION_NAME_MAX + 1];
    char version[VERSION_NAME_MAX + 1];
};

static const char *asked(const struct http_exchange *http, const struct answer_request *request)
{
    const char *header = http_request_header(http_exchange_request(http), "weir-prompt");
    return header ? header : request->prompt_pin;
}

static int parse_pin(const char *text, struct pin *pin, struct err *e)
{
    const char *at = strchr(text, '@');
    size_t len = at ? (size_t)(at - text) : strlen(text);
    if (len > VERSION_NAME_MAX || (at && strlen(at + 1) > VERSION_NAME_MAX)) {
        return err_set_param(e, ERR_INVALID, "prompt", "\"prompt\" names no prompt");
    }
    snprintf(pin->profile, sizeof(pin->profile), "%.*s", (int)len, text);
    snprintf(pin->version, sizeof(pin->version), "%s", at ? at + 1 : "");
    return version_name_check(pin->profile, "prompt", e);
}

static int find_pin(const struct server *s, struct http_exchange *http,
                    const struct answer_request *request, struct pin *pin, struct err *e)
{
    const char *text = asked(http, request);
    if (!text) {
        const char *keys = access_prompt_of(&s->set.access, http_exchange_request(http));
        *pin = (struct pin){.version = ""};
        snprintf(pin->profile, sizeof(pin->profile), "%s", keys ? keys : s->set.prompt);
        return 0;
    }
    if (!access_has_scope(&s->set.access, http_exchange_request(http), SCOPE_PROMPTS)) {
        return err_set_param(e, ERR_DENIED, "prompt",
                             "choosing a prompt needs an API key with the scope \"prompts\"");
    }
    return parse_pin(text, pin, e);
}

static struct prompt *served_version(const struct served_profile *p, const char *version)
{
    char number[24];
    struct prompt *const all[] = {p->active.prompt, p->split.prompt};
    for (size_t i = 0; i < 2 && all[i]; i++) {
        snprintf(number, sizeof(number), "%llu", (unsigned long long)all[i]->version);
        if (strcmp(number, version) == 0) {
            return all[i];
        }
    }
    return strcmp(version, "active") == 0 ? p->active.prompt : NULL;
}

int prompt_pick_served(struct server *s, struct http_exchange *http,
                       const struct answer_request *request, struct prompt **out, struct err *e)
{
    struct pin pin;
    *out = NULL;
    if (find_pin(s, http, request, &pin, e) != 0) {
        return -1;
    }
    const struct served_profile *p = prompt_set_find(&s->prompts, pin.profile);
    /* Only where nobody has set one: who was given another prompt must not go without it. */
    bool may_be_none = strcmp(pin.profile, VERSION_DEFAULT_NAME) == 0;
    if (!p && !asked(http, request) && may_be_none) {
        *out = s->no_prompt;
        return 0;
    }
    if (!p && pin.version[0] == '\0') {
        return err_set_param(e, ERR_NOT_FOUND, "prompt",
                             "there is no prompt \"%s\" that is active", pin.profile);
    }
    if (p) {
        *out = pin.version[0] ? served_version(p, pin.version)
                              : prompt_set_choose(p, sticky_of(s, http, request));
    }
    return 0;
}

static void read_on_worker(uv_work_t *work)
{
    struct prompt_job *job = work->data;
    job->prompt = prompt_store_get(job->store, job->profile, job->version, &job->e);
    if (!job->prompt) {
        snprintf(job->e.param, sizeof(job->e.param), "prompt");
    }
}

static void after_read(uv_work_t *work, int status)
{
    struct prompt_job *job = work->data;
    if (status != 0 && !job->prompt) {
        err_set(&job->e, ERR_CANCELED, "a prompt was not read");
    }
    job->done(job->user, job->prompt, &job->e);
}

int prompt_pick_start(struct prompt_job *job, struct server *s, struct http_exchange *http,
                      const struct answer_request *request, struct err *e)
{
    struct pin pin;
    if (find_pin(s, http, request, &pin, e) != 0) {
        return -1;
    }
    job->store = version_database_store(s->database, VERSION_PROMPTS);
    job->prompt = NULL;
    job->e = (struct err){0};
    memcpy(job->profile, pin.profile, sizeof(job->profile));
    memcpy(job->version, pin.version, sizeof(job->version));
    job->work.data = job;
    int rc = uv_queue_work(&s->loop, &job->work, read_on_worker, after_read);
    return rc == 0 ? 0 : err_set(e, ERR_IO, "cannot start work: %s", uv_strerror(rc));
}
