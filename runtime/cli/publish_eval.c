#include "runtime/cli/publish_eval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/stats.h"
#include "runtime/cli/self_run.h"

#define ANSWER_FILE ".eval"
#define RESULT_MAX  ((size_t)64 << 20)

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* --- figures --- */

struct publish_share publish_share_of(const cJSON *counts)
{
    struct publish_share s = {.right = number_of(counts, "right"),
                              .of = number_of(counts, "of")};
    if (!(s.of >= 0 && s.of < 1e15 && s.right >= 0 && s.right <= s.of)) {
        s = (struct publish_share){0};
    }
    const struct stats_figure f = stats_share((size_t)s.right, (size_t)s.of);
    s.percent = 100 * f.value;
    s.low = 100 * f.low;
    s.high = 100 * f.high;
    return s;
}

struct publish_share publish_loss(const cJSON *a, const cJSON *b)
{
    const struct publish_share x = publish_share_of(a), y = publish_share_of(b);
    struct publish_share d = {.percent = x.percent - y.percent};
    d.low = d.percent - hypot(x.percent - x.low, y.high - y.percent);
    d.high = d.percent + hypot(x.high - x.percent, y.percent - y.low);
    return d;
}

/* --- running --- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* {"right", "of"} of what `weir eval --json` has. */
static cJSON *counts(const cJSON *from)
{
    cJSON *to = cJSON_CreateObject();
    if (!cJSON_AddNumberToObject(to, "right", number_of(from, "right")) ||
        !cJSON_AddNumberToObject(to, "of", number_of(from, "of"))) {
        cJSON_Delete(to);
        return NULL;
    }
    return to;
}

static cJSON *result_of(const char *set, const char *sha256, const cJSON *answer)
{
    const cJSON *skills = cJSON_GetObjectItemCaseSensitive(answer, "skills"), *s;
    cJSON *result = counts(answer);
    bool is_whole = cJSON_AddStringToObject(result, "set", base_name(set)) &&
                    cJSON_AddStringToObject(result, "sha256", sha256);
    cJSON *kept = is_whole ? cJSON_AddObjectToObject(result, "skills") : NULL;
    cJSON_ArrayForEach(s, skills)
    {
        if (!kept || !cJSON_AddItemToObject(kept, s->string, counts(s))) {
            kept = NULL;
        }
    }
    if (!kept) {
        cJSON_Delete(result);
        return NULL;
    }
    return result;
}

static cJSON *ask(const struct publish_place *p, const char *model, const char *set,
                  const char *sha256, struct err *e)
{
    char path[PATH_MAX];
    const char *const args[] = {"eval", "-m", model, "--set", set, "--json", NULL};
    if (publish_place_path(p, ANSWER_FILE, path, e) != 0 || self_run(args, path, e) != 0) {
        return NULL;
    }
    cJSON *answer = json_parse_file(path, RESULT_MAX, e);
    cJSON *result = answer ? result_of(set, sha256, answer) : NULL;
    if (answer && !result) {
        err_nomem(e);
    }
    cJSON_Delete(answer);
    publish_place_remove(p, ANSWER_FILE);
    return result;
}

const cJSON *publish_eval_find(const cJSON *results, const char *sha256)
{
    const cJSON *r;
    cJSON_ArrayForEach(r, cJSON_GetObjectItemCaseSensitive(results, "sets"))
    {
        const char *has = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r, "sha256"));
        if (has && strcmp(has, sha256) == 0) {
            return r;
        }
    }
    return NULL;
}

cJSON *publish_eval_run(const struct publish_place *p, const char *model,
                        const struct option_strings *sets, const cJSON *known, struct err *e)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "sets");
    int rc = list ? 0 : err_nomem(e);
    for (size_t i = 0; rc == 0 && i < sets->count; i++) {
        char sha256[HASH_HEX_LEN + 1];
        rc = hash_file_hex(sets->items[i], sha256, e);
        const cJSON *old = rc == 0 ? publish_eval_find(known, sha256) : NULL;
        cJSON *result = old       ? cJSON_Duplicate(old, true)
                        : rc == 0 ? ask(p, model, sets->items[i], sha256, e)
                                  : NULL;
        if (!result || !cJSON_AddItemToArray(list, result)) {
            cJSON_Delete(result);
            rc = e->kind == ERR_NONE ? err_nomem(e) : -1;
        }
    }
    if (rc != 0) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

/* --- comparing --- */

static int compare_counts(const cJSON *before, const cJSON *now, const char *set,
                          const char *skill, double most, struct err *e)
{
    const struct publish_share loss = publish_loss(before, now);
    const struct publish_share was = publish_share_of(before), is = publish_share_of(now);
    /* A millionth more for what the division of whole numbers loses. */
    if (was.of == 0 || is.of == 0 || loss.percent <= most + 1e-6) {
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "worse than the baseline: %s%s%s has %.1f %% right, the baseline %.1f %%; "
                   "%.1f points fewer (%.1f to %.1f), and at most %g are allowed",
                   set, skill[0] ? ", " : "", skill, is.percent, was.percent, loss.percent,
                   loss.low, loss.high, most);
}

int publish_eval_compare(const cJSON *before, const cJSON *now, double max_loss,
                         double max_skill_loss, struct err *e)
{
    const cJSON *set, *skill;
    cJSON_ArrayForEach(set, cJSON_GetObjectItemCaseSensitive(now, "sets"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(set, "set"));
        const char *sha256 =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(set, "sha256"));
        const cJSON *was = sha256 ? publish_eval_find(before, sha256) : NULL;
        if (!was) {
            continue;
        }
        if (compare_counts(was, set, name, "", max_loss, e) != 0) {
            return -1;
        }
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, "skills");
        cJSON_ArrayForEach(skill, cJSON_GetObjectItemCaseSensitive(set, "skills"))
        {
            const cJSON *s = cJSON_GetObjectItemCaseSensitive(old, skill->string);
            if (s && max_skill_loss >= 0 &&
                compare_counts(s, skill, name, skill->string, max_skill_loss, e) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
