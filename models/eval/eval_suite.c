#include "models/eval/eval_suite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define SUITE_BYTES_MAX ((size_t)1 << 20)
#define TOKENS_MAX      4096

/* --- lines --- */

/* How many lines of each group were taken, for the limit. */
struct group_counts {
    const char *names[EVAL_GROUPS_MAX]; /* borrowed from items */
    size_t counts[EVAL_GROUPS_MAX];
    size_t n;
};

static int count_in_group(struct group_counts *g, const char *name, size_t *count,
                          struct err *e)
{
    size_t i = 0;
    while (i < g->n && strcmp(g->names[i], name) != 0) {
        i++;
    }
    if (i == EVAL_GROUPS_MAX) {
        return err_set(e, ERR_LIMIT, "\"skill\": more than %d of them", EVAL_GROUPS_MAX);
    }
    if (i == g->n) {
        g->names[g->n++] = name;
    }
    *count = ++g->counts[i];
    return 0;
}

static int make_room(struct eval_part *p, struct err *e)
{
    if (p->n == EVAL_ITEMS_MAX) {
        return err_set(e, ERR_LIMIT, "more than %d lines in a part", EVAL_ITEMS_MAX);
    }
    if ((p->n & (p->n - 1)) == 0) { /* room grows by doubling */
        struct eval_item *more =
            mem_realloc_array(p->items, p->n ? 2 * p->n : 1, sizeof(*p->items));
        if (!more) {
            return err_nomem(e);
        }
        p->items = more;
    }
    return 0;
}

static int add_line(struct eval_part *p, struct group_counts *g, size_t limit, bool is_inside,
                    const char *line, size_t len, size_t number, struct err *e)
{
    size_t count = 0;
    if (make_room(p, e) != 0) {
        return -1;
    }
    struct eval_item *item = &p->items[p->n];
    int rc = eval_item_parse(item, p->kind, line, len, e);
    if (rc == 0) {
        item->line = number;
        item->is_inside = is_inside;
        rc = count_in_group(g, item->group, &count, e);
    }
    if (rc == 0 && (limit == 0 || count <= limit)) {
        p->n++;
        return 0;
    }
    if (g->n > 0 && g->names[g->n - 1] == item->group) {
        g->n--; /* the name goes with the item */
    }
    eval_item_deinit(item);
    return rc;
}

static int read_lines(struct eval_part *p, const char *path, size_t limit, bool is_inside,
                      const char *text, size_t len, struct err *e)
{
    size_t before = p->n, number = 1;
    struct group_counts *g = mem_zalloc(sizeof(*g));
    int rc = g ? 0 : err_nomem(e);
    for (const char *line = text, *end = text + len; rc == 0 && line < end; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);
        size_t bare = n - (n > 0 && line[n - 1] == '\r');
        if (bare > 0) {
            rc = add_line(p, g, limit, is_inside, line, bare, number, e);
        }
        if (rc != 0) {
            err_prefix(e, "%s: line %zu", path, number);
        }
        line += n + (stop != NULL);
    }
    mem_free(g);
    if (rc == 0 && p->n == before) {
        rc = err_set(e, ERR_FORMAT, "%s: holds no question", path);
    }
    return rc;
}

static int read_files(struct eval_part *p, size_t limit, struct err *e)
{
    for (int i = 0; i < 2 && p->files[i]; i++) {
        size_t len = 0;
        char *text = file_read(p->files[i], EVAL_FILE_BYTES_MAX, &len, e);
        int rc = text ? read_lines(p, p->files[i], limit, i == 0, text, len, e) : -1;
        mem_free(text);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- parts --- */

static int read_name(char out[EVAL_NAME_MAX], const cJSON *json, struct err *e)
{
    const char *text = cJSON_GetStringValue(json);
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || n >= EVAL_NAME_MAX || text[0] == '.' || strpbrk(text, "/\\\"<>&|\n\r\t")) {
        return err_set(e, ERR_FORMAT,
                       "\"%s\": a text of 1 to %d bytes is wanted, without / \\ \" < > & |, "
                       "and no dot at its beginning",
                       json->string, EVAL_NAME_MAX - 1);
    }
    memcpy(out, text, n + 1);
    return 0;
}

static int read_path(char **out, const cJSON *json, const char *folder, struct err *e)
{
    const char *text = cJSON_GetStringValue(json);
    char path[PATH_MAX];
    if (!text || !text[0] || *out) {
        return err_set(e, ERR_FORMAT, "\"%s\": one path is wanted", json->string);
    }
    int n = text[0] == '/' ? snprintf(path, sizeof(path), "%s", text)
                           : snprintf(path, sizeof(path), "%s%s", folder, text);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return err_set(e, ERR_LIMIT, "\"%s\": the path is too long", json->string);
    }
    *out = mem_strdup(path);
    return *out ? 0 : err_nomem(e);
}

static int read_word(const cJSON *json, const char *yes, const char *no, bool *is,
                     struct err *e)
{
    const char *text = cJSON_GetStringValue(json);
    *is = text && strcmp(text, yes) == 0;
    return *is || (text && strcmp(text, no) == 0)
               ? 0
               : err_set(e, ERR_FORMAT, "\"%s\": \"%s\" or \"%s\" is wanted", json->string, yes,
                         no);
}

static bool is_choice(const struct eval_part *p)
{
    return p->kind == EVAL_CHOICE || p->kind == EVAL_CALIBRATION;
}

static int read_setting(struct eval_part *p, const cJSON *json, struct err *e)
{
    const char *name = json->string;
    bool is = false;
    if (strcmp(name, "max_tokens") == 0) {
        double n = cJSON_IsNumber(json) ? json->valuedouble : 0;
        p->max_tokens = n >= 1 && n <= TOKENS_MAX ? (int)n : 0;
        return n == (double)p->max_tokens
                   ? 0
                   : err_set(e, ERR_FORMAT, "\"max_tokens\": 1 to %d is wanted", TOKENS_MAX);
    }
    if (is_choice(p) && strcmp(name, "format") == 0) {
        int rc = read_word(json, "chat", "plain", &is, e);
        p->format = is ? EVAL_FORMAT_CHAT : EVAL_FORMAT_PLAIN;
        return rc;
    }
    if (is_choice(p) && strcmp(name, "letters") == 0) {
        p->letters = cJSON_IsTrue(json);
        return cJSON_IsBool(json)
                   ? 0
                   : err_set(e, ERR_FORMAT, "\"letters\": true or false is wanted");
    }
    if (p->kind == EVAL_PERPLEXITY && strcmp(name, "on") == 0) {
        return read_word(json, "all", "answers", &p->on_all, e);
    }
    return err_set(e, ERR_FORMAT, "\"%.40s\" is not known in a part of kind %s", name,
                   eval_kind_name(p->kind));
}

static int read_part_member(struct eval_part *p, const cJSON *json, const char *folder,
                            struct err *e)
{
    const char *name = json->string;
    if (strcmp(name, "name") == 0) {
        return read_name(p->name, json, e);
    }
    if (strcmp(name, "kind") == 0 || strcmp(name, "description") == 0) {
        return 0;
    }
    bool is_domain = p->kind == EVAL_DOMAIN;
    if (strcmp(name, is_domain ? "inside" : "file") == 0) {
        return read_path(&p->files[0], json, folder, e);
    }
    if (is_domain && strcmp(name, "outside") == 0) {
        return read_path(&p->files[1], json, folder, e);
    }
    return read_setting(p, json, e);
}

static int read_part(struct eval_part *p, const cJSON *json, const char *folder, size_t limit,
                     struct err *e)
{
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "kind"));
    *p = (struct eval_part){.max_tokens = EVAL_ANSWER_TOKENS};
    if (!cJSON_IsObject(json) || !kind) {
        return err_set(e, ERR_FORMAT, "an object with \"kind\" is wanted");
    }
    if (eval_kind_named(kind, &p->kind, e) != 0) {
        return err_prefix(e, "\"kind\"");
    }
    for (const cJSON *member = json->child; member; member = member->next) {
        if (read_part_member(p, member, folder, e) != 0) {
            return -1;
        }
    }
    if (!p->name[0] || !p->files[0] || (p->kind == EVAL_DOMAIN && !p->files[1])) {
        return err_set(e, ERR_FORMAT, "\"name\" and %s are wanted",
                       p->kind == EVAL_DOMAIN ? "\"inside\" and \"outside\"" : "\"file\"");
    }
    return read_files(p, limit, e);
}

/* --- the suite --- */

static int check_names(const struct eval_suite *s, struct err *e)
{
    const struct eval_part *last = &s->parts[s->n_parts - 1];
    for (size_t i = 0; i + 1 < s->n_parts; i++) {
        if (strcmp(s->parts[i].name, last->name) == 0) {
            return err_set(e, ERR_FORMAT, "the name \"%s\" is there twice", last->name);
        }
    }
    return 0;
}

static int read_parts(struct eval_suite *s, const cJSON *json, const char *folder, size_t limit,
                      struct err *e)
{
    const cJSON *part;
    cJSON_ArrayForEach(part, json)
    {
        if (s->n_parts == EVAL_PARTS_MAX) {
            return err_set(e, ERR_LIMIT, "\"parts\": more than %d", EVAL_PARTS_MAX);
        }
        struct eval_part *p = &s->parts[s->n_parts++];
        if (read_part(p, part, folder, limit, e) != 0 || check_names(s, e) != 0) {
            return err_prefix(e, "part %zu%s%s", s->n_parts, p->name[0] ? ", " : "", p->name);
        }
    }
    return s->n_parts > 0 ? 0 : err_set(e, ERR_FORMAT, "\"parts\": one part or more is wanted");
}

static int read_suite(struct eval_suite *s, const cJSON *json, const char *folder, size_t limit,
                      struct err *e)
{
    if (!cJSON_IsObject(json)) {
        return err_set(e, ERR_FORMAT, "an object with \"name\" and \"parts\" is wanted");
    }
    for (const cJSON *member = json->child; member; member = member->next) {
        if (strcmp(member->string, "name") == 0) {
            if (read_name(s->name, member, e) != 0) {
                return -1;
            }
        } else if (strcmp(member->string, "parts") != 0 &&
                   strcmp(member->string, "description") != 0) {
            return err_set(e, ERR_FORMAT,
                           "\"%.40s\" is not known; name, description and parts are",
                           member->string);
        }
    }
    return s->name[0] ? read_parts(s, cJSON_GetObjectItemCaseSensitive(json, "parts"), folder,
                                   limit, e)
                      : err_set(e, ERR_FORMAT, "\"name\" is missing");
}

static int open_suite_file(struct eval_suite *s, const char *path, size_t limit, struct err *e)
{
    char folder[PATH_MAX] = "";
    const char *slash = strrchr(path, '/');
    if (slash) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - path), path);
    }
    cJSON *json = json_parse_file(path, SUITE_BYTES_MAX, e);
    if (!json) {
        return -1;
    }
    int rc = read_suite(s, json, folder, limit, e);
    cJSON_Delete(json);
    return rc == 0 ? 0 : err_prefix(e, "%s", path);
}

/* A file of lines is a suite of one part. */
static int open_lines(struct eval_suite *s, const char *path, const char *kind, size_t limit,
                      struct err *e)
{
    struct eval_part *p = &s->parts[0];
    *p = (struct eval_part){.max_tokens = EVAL_ANSWER_TOKENS};
    s->n_parts = 1;
    if (eval_kind_named(kind ? kind : "questions", &p->kind, e) != 0) {
        return err_prefix(e, "--kind");
    }
    if (p->kind == EVAL_DOMAIN) {
        return err_set(e, ERR_INVALID,
                       "--kind domain: two files are wanted, write a suite.json");
    }
    snprintf(p->name, sizeof(p->name), "%s", eval_kind_name(p->kind));
    snprintf(s->name, sizeof(s->name), "%s", p->name);
    p->files[0] = mem_strdup(path);
    return p->files[0] ? read_files(p, limit, e) : err_nomem(e);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static int open_any(struct eval_suite *s, const char *path, const char *kind, size_t limit,
                    struct err *e)
{
    char file[PATH_MAX];
    struct stat st;
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int n = snprintf(file, sizeof(file), is_folder ? "%s/suite.json" : "%s", path);
    if (n < 0 || (size_t)n >= sizeof(file)) {
        return err_set(e, ERR_LIMIT, "%.200s...: the path is too long", path);
    }
    s->path = mem_strdup(file);
    if (!s->path) {
        return err_nomem(e);
    }
    if (kind || !ends_with(file, ".json")) {
        return open_lines(s, file, kind, limit, e);
    }
    return open_suite_file(s, file, limit, e);
}

struct eval_suite *eval_suite_open(const char *path, const char *kind, size_t limit,
                                   struct err *e)
{
    struct eval_suite *s = mem_zalloc(sizeof(*s));
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    if (open_any(s, path, kind, limit, e) != 0) {
        eval_suite_close(s);
        return NULL;
    }
    return s;
}

void eval_suite_close(struct eval_suite *s)
{
    for (size_t i = 0; s && i < s->n_parts; i++) {
        struct eval_part *p = &s->parts[i];
        for (size_t k = 0; k < p->n; k++) {
            eval_item_deinit(&p->items[k]);
        }
        mem_free(p->items);
        mem_free(p->files[0]);
        mem_free(p->files[1]);
    }
    if (s) {
        mem_free(s->path);
    }
    mem_free(s);
}
