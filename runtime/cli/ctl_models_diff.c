/* weir ctl models diff: what two versions of a model answer to the same prompts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_print.h"
#include "runtime/cli/drift_ask.h"
#include "runtime/cli/drift_report.h"

#define PROMPTS_BYTES_MAX ((size_t)64 << 20)
#define LIST_BYTES_MAX    ((size_t)4 << 20)
#define ASKED_MAX         300 /* bytes of "name@version" */

/* --- which versions are meant --- */

struct naming {
    struct ctl *ctl;
    cJSON *loaded; /* GET /v1/models */
};

static const char *api_key(const struct ctl *c)
{
    return c->api_key ? c->api_key : getenv("WEIR_API_KEY");
}

static cJSON *ask_loaded(const struct ctl *c, struct err *e)
{
    struct remote remote;
    struct buf answer;
    cJSON *root = NULL;
    buf_init(&answer, LIST_BYTES_MAX);
    if (remote_open(&remote, c->url, api_key(c), e) == 0 &&
        remote_request(&remote, "GET", "/v1/models", NULL, &answer, e) == 0) {
        root = json_parse(answer.data ? answer.data : "", answer.len, e);
    }
    remote_close(&remote);
    buf_deinit(&answer);
    return root;
}

static const char *after_at(const char *version)
{
    const char *at = strchr(version, '@');
    return at ? at + 1 : version;
}

static bool has_label(const cJSON *model, const char *label)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(model, "labels"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, label) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of_model(const cJSON *model, const char *name)
{
    const char *version = ctl_text(model, "version");
    size_t len = strcspn(name, "@");
    return strncmp(version, name, len) == 0 && version[len] == '@';
}

/* The model whose versions are meant, and maybe a version: --model, or what is served first. */
static const char *model_meant(const struct naming *n)
{
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(n->loaded, "data");
    return n->ctl->model ? n->ctl->model : ctl_text(cJSON_GetArrayItem(data, 0), "version");
}

/* "name@version" of the loaded version that is meant: by its whole name, what requests call it,
 * or, of the one model, by its version or a label. NULL: none. */
static const char *find_loaded(const struct naming *n, const char *given)
{
    const cJSON *model;
    cJSON_ArrayForEach(model, cJSON_GetObjectItemCaseSensitive(n->loaded, "data"))
    {
        const char *version = ctl_text(model, "version");
        bool is_whole =
            strcmp(version, given) == 0 || strcmp(ctl_text(model, "id"), given) == 0;
        bool is_part = strcmp(after_at(version), given) == 0 || has_label(model, given);
        if (is_whole || (is_part && is_of_model(model, model_meant(n)))) {
            return version;
        }
    }
    return NULL;
}

/* The name in "name" or "name@version". */
static int take_name(const char *text, char out[ASKED_MAX], struct err *e)
{
    snprintf(out, ASKED_MAX, "%.*s", (int)strcspn(text, "@"), text);
    return out[0] ? 0
                  : err_set(e, ERR_NOT_FOUND,
                            "no model is served; --model NAME says which is meant");
}

static int load(struct ctl *c, const char *name, const char *version, struct err *e)
{
    cJSON *body = cJSON_CreateObject();
    ctl_path(c, "/admin/models", name, "load");
    if (!cJSON_AddStringToObject(body, "version", version)) {
        cJSON_Delete(body);
        return err_nomem(e);
    }
    return ctl_send(c, "POST", body, e) == 0 ? 0
                                             : err_prefix(e, "loading %s@%s", name, version);
}

/* It is not among those that are loaded: is it there at all? */
static int refuse(struct ctl *c, const char *name, const char *version, struct err *e)
{
    struct err why = {0};
    ctl_path(c, "/admin/models", name, "versions", version);
    cJSON *root = ctl_ask_json(c, "GET", NULL, &why);
    if (!root) {
        return err_set(e, ERR_NOT_FOUND,
                       "version \"%.80s\" of %.80s is not loaded (%.200s); `weir ctl models "
                       "list` shows which there are",
                       version, name, why.message);
    }
    err_set(e, ERR_NOT_FOUND,
            "version \"%.80s\" of %.80s is %.40s and not loaded; --load loads it, and so does "
            "`weir ctl models activate %.80s`%s%.200s",
            version, name, ctl_text(root, "state"), version,
            ctl_text(root, "problem")[0] ? ": " : "", ctl_text(root, "problem"));
    cJSON_Delete(root);
    return -1;
}

/* As requests shall name it. What is not among those that are listed may be a hash, or a model
 * that may be loaded on demand: of a whole name the server decides. */
static int resolve(const struct naming *n, const char *given, char out[ASKED_MAX],
                   struct err *e)
{
    const char *found = find_loaded(n, given);
    bool is_whole = strchr(given, '@') != NULL;
    char name[ASKED_MAX];
    if (found || (is_whole && !n->ctl->load)) {
        snprintf(out, ASKED_MAX, "%s", found ? found : given);
        return 0;
    }
    if (take_name(is_whole ? given : model_meant(n), name, e) != 0) {
        return -1;
    }
    if (!n->ctl->load) {
        return refuse(n->ctl, name, given, e);
    }
    snprintf(out, ASKED_MAX, "%.140s@%.140s", name, after_at(given));
    return load(n->ctl, name, after_at(given), e);
}

/* --- asking --- */

struct diff {
    struct ctl *ctl;
    struct drift_prompts prompts;
    struct drift_pair *pairs;
    char ids[2][DRIFT_ID_MAX];
};

static void tell_progress(void *ctx, size_t done, size_t of)
{
    (void)ctx;
    fprintf(stderr, "\r%zu of %zu answers%s", done, of, done == of ? "\r\033[K" : "");
    fflush(stderr);
}

static int read_prompts(struct diff *d, struct err *e)
{
    const char *path = d->ctl->prompts;
    size_t n = (size_t)d->ctl->n, len = 0;
    if (!path) {
        return drift_prompts_parse(&d->prompts, (const char *)drift_builtin, drift_builtin_len,
                                   n, e);
    }
    char *text = file_read(path, PROMPTS_BYTES_MAX, &len, e);
    if (!text) {
        return -1;
    }
    int rc = drift_prompts_parse(&d->prompts, text, len, n, e);
    mem_free(text);
    return rc == 0 ? 0 : err_prefix(e, "%s", path);
}

static int ask_server(struct diff *d, char **arguments, const struct drift_progress *progress,
                      struct err *e)
{
    char asked[2][ASKED_MAX];
    struct naming naming = {.ctl = d->ctl, .loaded = ask_loaded(d->ctl, e)};
    int rc = naming.loaded ? 0 : -1;
    for (int side = 0; rc == 0 && side < 2; side++) {
        rc = resolve(&naming, arguments[side], asked[side], e);
    }
    cJSON_Delete(naming.loaded);
    const struct drift_server server = {.url = d->ctl->url,
                                        .api_key = api_key(d->ctl),
                                        .models = {asked[0], asked[1]},
                                        .side_by_side = (int)d->ctl->parallel,
                                        .max_tokens = (int)d->ctl->max_tokens};
    return rc == 0 ? drift_ask_server(&server, &d->prompts, progress, d->pairs, d->ids, e) : rc;
}

static bool is_file(const char *given)
{
    return strchr(given, '/') || access(given, F_OK) == 0;
}

static int ask(struct diff *d, char **arguments, struct err *e)
{
    const char *const paths[2] = {arguments[0], arguments[1]};
    const struct drift_progress progress = {.told = isatty(2) ? tell_progress : NULL};
    d->pairs = mem_zarray(d->prompts.n, sizeof(*d->pairs));
    if (!d->pairs) {
        return err_nomem(e);
    }
    if (is_file(paths[0]) != is_file(paths[1])) {
        return ctl_usage(d->ctl, e,
                         "two versions or two model files are wanted, not one of each");
    }
    return is_file(paths[0]) ? drift_ask_files(paths, (int)d->ctl->max_tokens, &d->prompts,
                                               &progress, d->pairs, d->ids, e)
                             : ask_server(d, arguments, &progress, e);
}

/* --- telling --- */

static int print(const struct diff *d, const struct drift_report *r, struct err *e)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    int rc = d->ctl->json ? drift_report_json(r, &out)
                          : drift_report_text(r, (size_t)d->ctl->show, &out);
    if (rc == 0) {
        fwrite(out.data, 1, out.len, stdout);
    }
    buf_deinit(&out);
    return rc == 0 ? 0 : err_nomem(e);
}

static int write_out(const char *path, const struct drift_report *r, struct err *e)
{
    struct buf out;
    size_t len = strlen(path);
    bool is_json = len > 5 && strcmp(path + len - 5, ".json") == 0;
    buf_init(&out, SIZE_MAX / 2);
    int rc = is_json ? drift_report_json(r, &out) : drift_report_markdown(r, &out);
    rc = rc == 0 ? file_write_atomic(path, out.data, out.len, e) : err_nomem(e);
    buf_deinit(&out);
    return rc;
}

static int check_limit(const struct ctl *c, const struct drift_report *r, struct err *e)
{
    double changed = 100.0 * (1 - r->all.same.value);
    return c->fail_above < 0 || changed <= c->fail_above
               ? 0
               : err_set(e, ERR_INVALID,
                         "%.1f %% of the answers have changed; --fail-above allows %g %%",
                         changed, c->fail_above);
}

static int tell(const struct diff *d, struct err *e)
{
    struct drift_report report = {.ids = {d->ids[0], d->ids[1]},
                                  .max_tokens = (int)d->ctl->max_tokens};
    if (drift_report_make(&report, &d->prompts, d->pairs, e) != 0) {
        return -1;
    }
    int rc = print(d, &report, e);
    if (rc == 0 && d->ctl->out) {
        rc = write_out(d->ctl->out, &report, e);
    }
    rc = rc == 0 ? check_limit(d->ctl, &report, e) : rc;
    drift_report_deinit(&report);
    return rc;
}

int ctl_models_diff(struct ctl *c, char **arguments, int n, struct err *e)
{
    struct diff d = {.ctl = c};
    (void)n;
    int rc = read_prompts(&d, e);
    rc = rc == 0 ? ask(&d, arguments, e) : rc;
    rc = rc == 0 ? tell(&d, e) : rc;
    drift_pairs_free(d.pairs, d.prompts.n);
    drift_prompts_deinit(&d.prompts);
    return rc;
}
