#include "runtime/serve/prompt_files.h"

#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt_file.h"
#include "runtime/registry/prompt_store.h"
#include "runtime/serve/prompt_work.h"
#include "runtime/serve/version_admin.h"
#include "runtime/serve/watched_dir.h"

#define JSON_MAX (8 * PROMPT_FILE_MAX) /* a byte is at the most \u001f */

static int read_markdown(const char *name, const char *path, const char *text, size_t len,
                         struct watched_content *out, struct err *e)
{
    struct buf json;
    (void)name;
    buf_init(&json, JSON_MAX);
    int rc = prompt_file_to_json(path, text, len, PROMPT_FILES_AUTHOR, &json, e);
    if (rc == 0) {
        out->json = buf_take(&json, &out->json_len);
        rc = !out->json ? err_nomem(e)
             : hash_sha256_hex(out->json, out->json_len, out->sha256) == 0
                 ? 0
                 : err_set(e, ERR_IO, "%s: SHA-256 failed", path);
    }
    buf_deinit(&json);
    return rc;
}

const struct watched_reader prompt_files_reader = {.suffix = ".md",
                                                   .noun = "profile",
                                                   .option = "--prompts-dir",
                                                   .bytes_max = PROMPT_FILE_MAX,
                                                   .read = read_markdown};

static int add_profile(void *ctx, const struct version_state *state, struct prompt *active,
                       struct prompt *split, struct err *e)
{
    struct server *s = ctx;
    return prompt_set_publish(&s->prompts, state, active, split, NULL, NULL, e);
}

static struct prompt *read_system_prompt(const char *path, struct err *e)
{
    size_t len = 0;
    char *text = file_read(path, PROMPT_BYTES_MAX, &len, e);
    if (!text) {
        return NULL;
    }
    /* Editors end files with a line break that nobody means. */
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    struct prompt *p = prompt_create(0, text, len, e);
    mem_free(text);
    if (!p) {
        err_prefix(e, "%s", path);
    }
    return p;
}

/* At the start, when nobody is served yet and the disk may be waited for. */
static int put_at_start(struct server *s, const char *name, const char *actor, struct prompt *p,
                        struct err *e)
{
    const struct version_change change = {.actor = actor};
    struct version_state after;
    struct version_store *store = version_database_store(s->database, VERSION_PROMPTS);
    return prompt_store_put(store, name, p, true, &change, &after, e) == 0
               ? prompt_set_publish(&s->prompts, &after, p, NULL, NULL, NULL, e)
               : -1;
}

/* --system-prompt is the first version; what was kept counts more. */
static int put_first_version(struct server *s, struct err *e)
{
    const char *path = s->set.system_prompt_path;
    if (prompt_set_find(&s->prompts, VERSION_DEFAULT_NAME)) {
        log_info("%s: not read, the default prompt has a version already", path);
        return 0;
    }
    struct prompt *p = read_system_prompt(path, e);
    int rc = p ? put_at_start(s, VERSION_DEFAULT_NAME, "--system-prompt", p, e) : -1;
    prompt_unref(p);
    return rc;
}

static int put_while_serving(struct server *s, const char *name,
                             const struct watched_content *content, struct err *e)
{
    if (!s->generation) {
        return err_set(e, ERR_BUSY, "the model is being loaded");
    }
    return version_admin_put(s, &prompt_work_api, name, content->json, content->json_len,
                             PROMPT_FILES_AUTHOR, e);
}

/* A file of --prompts-dir has this content now. */
static int put_from_folder(void *ctx, const char *name, const struct watched_content *content,
                           struct err *e)
{
    struct server *s = ctx;
    struct prompt *p = prompt_from_json(content->json, content->json_len, e);
    int rc = p ? version_name_check(name, "name", e) : -1;
    if (rc == 0) {
        const struct served_profile *served = prompt_set_find(&s->prompts, name);
        bool is_active = served && strcmp(served->active.prompt->sha256, p->sha256) == 0;
        if (!is_active) {
            rc = s->is_ready ? put_while_serving(s, name, content, e)
                             : put_at_start(s, name, PROMPT_FILES_AUTHOR, p, e);
        }
    }
    prompt_unref(p);
    return rc;
}

int prompt_files_load(struct server *s, struct err *e)
{
    struct version_store *store = version_database_store(s->database, VERSION_PROMPTS);
    if (prompt_store_load_active(store, add_profile, s, e) != 0) {
        return -1;
    }
    if (s->set.system_prompt_path && put_first_version(s, e) != 0) {
        return -1;
    }
    if (!s->set.prompts_dir) {
        return 0;
    }
    s->prompts_dir = watched_dir_start(&s->loop, s->set.prompts_dir, &prompt_files_reader,
                                       put_from_folder, s, e);
    return s->prompts_dir ? 0 : -1;
}
