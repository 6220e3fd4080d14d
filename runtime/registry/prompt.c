#include "runtime/registry/prompt.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/registry/prompt_parts.h"
#include "runtime/registry/version_store.h"

/* --- life --- */

struct prompt *prompt_alloc(struct err *e)
{
    struct prompt *p = mem_zalloc(sizeof(*p));
    if (!p) {
        err_nomem(e);
        return NULL;
    }
    atomic_init(&p->refs, 1);
    return p;
}

struct prompt *prompt_create(uint64_t version, const char *text, size_t len, struct err *e)
{
    if (len > PROMPT_BYTES_MAX) {
        err_set_param(e, ERR_INVALID, "text",
                      "the system prompt has %zu bytes, at most %zu are allowed", len,
                      PROMPT_BYTES_MAX);
        return NULL;
    }
    if (!utf8_is_valid(text, len) || memchr(text, '\0', len)) {
        err_set_param(e, ERR_INVALID, "text",
                      "the system prompt must be UTF-8 text without NUL");
        return NULL;
    }
    struct prompt *p = prompt_alloc(e);
    if (!p) {
        return NULL;
    }
    p->version = version;
    p->text_len = len;
    p->text = mem_strndup(text, len);
    p->author = mem_strdup("");
    p->note = mem_strdup("");
    if (!p->text || !p->author || !p->note) {
        prompt_unref(p);
        err_nomem(e);
        return NULL;
    }
    if (prompt_compute_hash(p, e) != 0) {
        prompt_unref(p);
        return NULL;
    }
    return p;
}

struct prompt *prompt_ref(struct prompt *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

static void release(struct prompt *p)
{
    for (size_t i = 0; i < p->n_examples; i++) {
        mem_free(p->examples[i].user);
        mem_free(p->examples[i].assistant);
    }
    for (size_t i = 0; i < p->n_documents; i++) {
        mem_free(p->documents[i].title);
        mem_free(p->documents[i].text);
    }
    for (size_t i = 0; i < p->n_variables; i++) {
        mem_free(p->variables[i].name);
        mem_free(p->variables[i].value);
    }
    mem_free(p->examples);
    mem_free(p->documents);
    mem_free(p->variables);
    mem_free(p->text);
    mem_free(p->author);
    mem_free(p->note);
    mem_free(p);
}

void prompt_unref(struct prompt *p)
{
    /* What other threads did with it happened before it is released. */
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1) {
        release(p);
    }
}

void prompt_set_version(struct prompt *p, const char *name, uint64_t version, int64_t created)
{
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->version = version;
    p->created = created;
}

void prompt_id(const struct prompt *p, char out[PROMPT_ID_SIZE])
{
    snprintf(out, PROMPT_ID_SIZE, "%s@%llu", p->name[0] ? p->name : VERSION_DEFAULT_NAME,
             (unsigned long long)p->version);
}

const char *prompt_mode_name(enum prompt_mode mode)
{
    return mode == PROMPT_OVERRIDE  ? "override"
           : mode == PROMPT_DEFAULT ? "default"
                                    : "prepend";
}

/* --- hash --- */

/* Length first, so that no two lists of texts give the same bytes. */
static void hash_text(struct hash *h, const char *text)
{
    char head[32];
    size_t len = strlen(text);
    hash_add(h, head, (size_t)snprintf(head, sizeof(head), "%zu:", len));
    hash_add(h, text, len);
}

static void hash_count(struct hash *h, size_t n)
{
    char head[32];
    hash_add(h, head, (size_t)snprintf(head, sizeof(head), "[%zu]", n));
}

static int hash_all(const struct prompt *p, char out[HASH_HEX_LEN + 1])
{
    /* The NUL, which no text holds, keeps this form apart from that of a mere text. */
    static const char form[] = "weir prompt 1";
    struct hash *h = hash_begin();
    hash_add(h, form, sizeof(form));
    hash_text(h, prompt_mode_name(p->mode));
    hash_text(h, p->text);
    hash_count(h, p->n_examples);
    for (size_t i = 0; i < p->n_examples; i++) {
        hash_text(h, p->examples[i].user);
        hash_text(h, p->examples[i].assistant);
    }
    hash_count(h, p->n_documents);
    for (size_t i = 0; i < p->n_documents; i++) {
        hash_text(h, p->documents[i].title);
        hash_text(h, p->documents[i].text);
    }
    hash_count(h, p->n_variables);
    for (size_t i = 0; i < p->n_variables; i++) {
        hash_text(h, p->variables[i].name);
        hash_count(h, p->variables[i].value != NULL);
        hash_text(h, p->variables[i].value ? p->variables[i].value : "");
    }
    return hash_end(h, out);
}

int prompt_compute_hash(struct prompt *p, struct err *e)
{
    bool text_only = p->mode == PROMPT_PREPEND && p->n_examples == 0 && p->n_documents == 0 &&
                     p->n_variables == 0;
    int rc =
        text_only ? hash_sha256_hex(p->text, p->text_len, p->sha256) : hash_all(p, p->sha256);
    return rc == 0 ? 0 : err_set(e, ERR_IO, "SHA-256 failed");
}

/* --- variables in a text --- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_variable_char(char c)
{
    return is_lower(c) || (c >= '0' && c <= '9') || c == '_';
}

bool prompt_next_slot(const char *text, size_t from, struct prompt_slot *slot)
{
    for (const char *open = text + from; (open = strstr(open, "{{")) != NULL; open++) {
        const char *name = open + 2;
        const char *end = name;
        while (is_variable_char(*end)) {
            end++;
        }
        if (is_lower(*name) && end[0] == '}' && end[1] == '}') {
            *slot = (struct prompt_slot){.begin = (size_t)(open - text),
                                         .end = (size_t)(end + 2 - text),
                                         .name = name,
                                         .name_len = (size_t)(end - name)};
            return true;
        }
    }
    return false;
}

const struct prompt_variable *prompt_find_variable(const struct prompt *p, const char *name,
                                                   size_t len)
{
    for (size_t i = 0; i < p->n_variables; i++) {
        const char *declared = p->variables[i].name;
        if (strncmp(declared, name, len) == 0 && declared[len] == '\0') {
            return &p->variables[i];
        }
    }
    return NULL;
}
