#include "runtime/registry/prompt_store.h"

#include <string.h>

#include "runtime/base/mem.h"

int prompt_store_put(struct version_store *s, const char *profile, struct prompt *draft,
                     bool activates, const struct version_change *change,
                     struct version_state *after, struct err *e)
{
    if (version_name_check(profile, "profile", e) != 0 || prompt_check(draft, e) != 0) {
        return -1;
    }
    size_t len;
    char *content = prompt_content_json(draft, &len);
    if (!content) {
        return err_nomem(e);
    }
    const struct version_draft version = {.content = content,
                                          .sha256 = draft->sha256,
                                          .author = draft->author,
                                          .note = draft->note,
                                          .detail = (int)draft->mode,
                                          .size = draft->text_len};
    struct version_stored stored;
    int rc = version_store_put(s, profile, &version, activates, change, &stored, after, e);
    if (rc == 0) {
        prompt_set_version(draft, profile, stored.number, stored.created);
    }
    mem_free(content);
    return rc;
}

static struct prompt *read_prompt(const struct version_store *s, const struct version_text *t,
                                  struct err *e)
{
    struct prompt *p = prompt_from_json(t->content, strlen(t->content), e);
    if (p && strcmp(p->sha256, t->sha256) != 0) {
        prompt_unref(p);
        p = NULL;
        err_set(e, ERR_FORMAT, "its text does not match its SHA-256");
    }
    if (p) {
        prompt_set_version(p, t->name, t->number, t->created);
    } else {
        version_store_damaged(s, t, e);
    }
    return p;
}

struct prompt *prompt_store_get(struct version_store *s, const char *profile, const char *which,
                                struct err *e)
{
    struct version_text text;
    if (version_store_get(s, profile, which, &text, e) != 0) {
        return NULL;
    }
    struct prompt *p = read_prompt(s, &text, e);
    version_text_deinit(&text);
    return p;
}

int prompt_store_load(struct version_store *s, const char *profile, struct version_state *state,
                      struct prompt **active, struct prompt **split, struct err *e)
{
    struct prompt **const wanted[2] = {active, split};
    struct prompt *made[2] = {NULL, NULL};
    struct version_text texts[2] = {{.number = 0}, {.number = 0}};
    int rc = version_store_load(s, profile, state, active ? &texts[0] : NULL,
                                split ? &texts[1] : NULL, e);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        if (texts[i].number) {
            made[i] = read_prompt(s, &texts[i], e);
            rc = made[i] ? 0 : -1;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        version_text_deinit(&texts[i]);
        if (rc != 0) {
            prompt_unref(made[i]);
        } else if (wanted[i]) {
            *wanted[i] = made[i];
        }
    }
    return rc;
}

struct walk {
    const struct version_store *store;
    prompt_active_fn *fn;
    void *ctx;
};

static int visit(void *ctx, const struct version_state *state,
                 const struct version_text *active, const struct version_text *split,
                 struct err *e)
{
    const struct walk *w = ctx;
    struct prompt *first = read_prompt(w->store, active, e);
    struct prompt *second = first && split ? read_prompt(w->store, split, e) : NULL;
    int rc = first && (second || !split) ? w->fn(w->ctx, state, first, second, e) : -1;
    prompt_unref(first);
    prompt_unref(second);
    return rc;
}

int prompt_store_load_active(struct version_store *s, prompt_active_fn *fn, void *ctx,
                             struct err *e)
{
    struct walk w = {s, fn, ctx};
    return version_store_load_active(s, visit, &w, e);
}
