#include "models/curate/source.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

#define SEGMENTS_MAX 100000

void source_deinit(struct source *s)
{
    for (size_t i = 0; i < s->n_files; i++) {
        file_unmap(s->files[i].data, s->files[i].size);
        mem_free(s->files[i].path);
    }
    mem_free(s->files);
    mem_free(s->places);
    *s = (struct source){0};
}

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcasecmp(path + n - m, ending) == 0;
}

static int add_place(struct source *s, struct source_place place, struct err *e)
{
    if (s->n_places == s->cap_places) {
        size_t cap = s->cap_places ? 2 * s->cap_places : 1024;
        struct source_place *grown = mem_realloc_array(s->places, cap, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        s->places = grown;
        s->cap_places = cap;
    }
    s->places[s->n_places++] = place;
    s->files[place.file].documents++;
    return 0;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!strchr(" \t\r\n\v\f", text[i]) || text[i] == '\0') {
            return false;
        }
    }
    return true;
}

/* Bytes of the line at `at`, its line break included. */
static size_t line_len(const struct source_file *f, uint64_t at)
{
    const unsigned char *end = memchr(f->data + at, '\n', (size_t)(f->size - at));
    return end ? (size_t)(end - (f->data + at)) + 1 : (size_t)(f->size - at);
}

static int place_is_too_long(const struct source_file *f, uint64_t line, struct err *e)
{
    return err_set(e, ERR_LIMIT, "%s:%llu: a document has more than %zu MiB; cut it up",
                   f->path, (unsigned long long)line, SOURCE_DOCUMENT_MAX >> 20);
}

/* A document for each line, or for each run of lines that are not blank. */
static int find_by_lines(struct source *s, uint16_t file, bool by_runs, struct err *e)
{
    const struct source_file *f = &s->files[file];
    struct source_place run = {.file = file};
    bool open = false;
    uint64_t number = 1;
    for (uint64_t at = 0; at < f->size; number++) {
        size_t len = line_len(f, at);
        bool blank = is_blank((const char *)f->data + at, len);
        if (open && (blank || !by_runs)) {
            open = false;
            if (add_place(s, run, e)) {
                return -1;
            }
        }
        if (!blank && !open) {
            run = (struct source_place){at, 0, (uint32_t)number, file};
            open = true;
        }
        if (!blank) {
            if (run.len + len > SOURCE_DOCUMENT_MAX || number > UINT32_MAX) {
                return place_is_too_long(f, run.line, e);
            }
            run.len += (uint32_t)len;
        }
        at += len;
    }
    return open ? add_place(s, run, e) : 0;
}

static int find_documents(struct source *s, uint16_t file, bool by_blank_lines, struct err *e)
{
    const struct source_file *f = &s->files[file];
    if (f->is_jsonl || by_blank_lines) {
        return find_by_lines(s, file, !f->is_jsonl, e);
    }
    if (f->size > SOURCE_DOCUMENT_MAX) {
        return place_is_too_long(f, 1, e);
    }
    if (is_blank((const char *)f->data, (size_t)f->size)) {
        return 0;
    }
    return add_place(s, (struct source_place){0, (uint32_t)f->size, 1, file}, e);
}

int source_add(struct source *s, const char *path, bool by_blank_lines, bool is_excluded,
               struct err *e)
{
    if (s->n_files == SOURCE_FILES_MAX) {
        return err_set(e, ERR_LIMIT, "at most %d files; join some", SOURCE_FILES_MAX);
    }
    struct source_file *grown = mem_realloc_array(s->files, s->n_files + 1, sizeof(*grown));
    if (!grown) {
        return err_nomem(e);
    }
    s->files = grown;
    struct source_file f = {.is_excluded = is_excluded,
                            .is_jsonl = ends_in(path, ".jsonl") || ends_in(path, ".ndjson") ||
                                        ends_in(path, ".json")};
    if (file_map(path, &f.data, &f.size, e)) {
        return -1;
    }
    f.path = mem_strdup(path);
    s->files[s->n_files++] = f;
    if (!f.path || hash_sha256_hex(f.data ? f.data : (const unsigned char *)"", (size_t)f.size,
                                   s->files[s->n_files - 1].sha256)) {
        return err_nomem(e);
    }
    return find_documents(s, (uint16_t)(s->n_files - 1), by_blank_lines, e);
}

int source_check(const struct source *s, struct err *e)
{
    for (size_t i = 0; i < s->n_files; i++) {
        const struct source_file *f = &s->files[i];
        struct stat st;
        if (file_map_is_cut(f->data) || stat(f->path, &st) || (uint64_t)st.st_size != f->size) {
            return err_set(e, ERR_CONFLICT, "%s: the file was changed meanwhile; run again",
                           f->path);
        }
    }
    return 0;
}

void document_init(struct document *d)
{
    *d = (struct document){0};
    buf_init(&d->text, 2 * SOURCE_DOCUMENT_MAX);
}

void document_deinit(struct document *d)
{
    buf_deinit(&d->text);
    mem_free(d->segments);
    cJSON_Delete(d->json);
    *d = (struct document){0};
}

static int add_segment(struct document *d, const char *role, const char *text, size_t len,
                       struct err *e)
{
    if (d->n_segments == d->cap_segments) {
        size_t cap = d->cap_segments ? 2 * d->cap_segments : 16;
        struct segment *grown = mem_realloc_array(d->segments, cap, sizeof(*grown));
        if (!grown) {
            return err_nomem(e);
        }
        d->segments = grown;
        d->cap_segments = cap;
    }
    if (d->text.len > 0) {
        buf_append_char(&d->text, '\n');
    }
    struct segment *segment = &d->segments[d->n_segments++];
    *segment = (struct segment){.begin = d->text.len, .len = len};
    memcpy(segment->role, role, strlen(role) + 1);
    return buf_append(&d->text, text, len) ? err_nomem(e) : 0;
}

static int read_messages(struct document *d, const cJSON *messages, struct err *e)
{
    const cJSON *message;
    size_t i = 0;
    cJSON_ArrayForEach(message, messages)
    {
        const char *role =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "role"));
        const char *content =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content"));
        if (!role || strlen(role) == 0 || strlen(role) > SEGMENT_ROLE_MAX) {
            return err_set(e, ERR_FORMAT, "messages[%zu].role must be a short string", i);
        }
        if (!content) {
            return err_set(e, ERR_FORMAT, "messages[%zu].content must be a string", i);
        }
        if (i++ >= SEGMENTS_MAX) {
            return err_set(e, ERR_FORMAT, "messages: at most %d", SEGMENTS_MAX);
        }
        if (add_segment(d, role, content, strlen(content), e)) {
            return -1;
        }
    }
    return i > 0 ? 0 : err_set(e, ERR_FORMAT, "messages is empty");
}

/* Evaluation sets may call the text "prompt" or "question". */
static int read_json(struct document *d, const char *line, size_t len, bool is_excluded,
                     struct err *e)
{
    d->json = json_parse(line, len, e);
    if (!d->json) {
        /* A line of too many values is malformed as any other is. */
        e->kind = e->kind == ERR_NOMEM ? ERR_NOMEM : ERR_FORMAT;
        return -1;
    }
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(d->json, "messages");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(d->json, "text"));
    const char *label =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(d->json, "label"));
    if (label && strlen(label) < sizeof(d->label)) {
        memcpy(d->label, label, strlen(label) + 1);
    }
    if (cJSON_IsArray(messages) && !text) {
        return read_messages(d, messages, e);
    }
    if (is_excluded && !text && !messages) {
        text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(d->json, "prompt"));
        text =
            text ? text
                 : cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(d->json, "question"));
    }
    if (text && !messages) {
        return add_segment(d, "", text, strlen(text), e);
    }
    return err_set(e, ERR_FORMAT,
                   "must have either \"text\", a string, or \"messages\", an array");
}

static int read_text(struct document *d, const char *text, size_t len, struct err *e)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1] != '\0') {
        len--;
    }
    if (memchr(text, '\0', len)) {
        return err_set(e, ERR_FORMAT, "a zero byte in a text");
    }
    size_t valid = utf8_valid_prefix(text, len);
    if (valid < len) {
        return err_set(e, ERR_FORMAT, "byte %zu of the text is not valid UTF-8", valid);
    }
    return add_segment(d, "", text, len, e);
}

int document_replace(struct document *d, const struct buf *texts, struct err *e)
{
    buf_clear(&d->text);
    for (size_t i = 0; i < d->n_segments; i++) {
        if (d->text.len > 0) {
            buf_append_char(&d->text, '\n');
        }
        d->segments[i].begin = d->text.len;
        d->segments[i].len = texts[i].len;
        buf_append(&d->text, texts[i].data ? texts[i].data : "", texts[i].len);
    }
    return d->text.failed ? err_nomem(e) : 0;
}

int document_read(struct document *d, const struct source *s, const struct source_place *place,
                  struct err *e)
{
    const struct source_file *f = &s->files[place->file];
    const char *bytes = (const char *)f->data + place->offset;
    buf_clear(&d->text);
    d->n_segments = 0;
    d->label[0] = '\0';
    cJSON_Delete(d->json);
    d->json = NULL;
    int rc = f->is_jsonl ? read_json(d, bytes, place->len, f->is_excluded, e)
                         : read_text(d, bytes, place->len, e);
    return rc ? err_prefix(e, "%s:%u", f->path, place->line) : 0;
}
