#include "runtime/registry/prompt.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"

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
    struct prompt *p = mem_zalloc(sizeof(*p) + len + 1);
    if (!p) {
        err_nomem(e);
        return NULL;
    }
    p->refs = 1;
    p->version = version;
    p->text_len = len;
    memcpy(p->text, text, len);
    if (hash_sha256_hex(text, len, p->sha256) != 0) {
        mem_free(p);
        err_set(e, ERR_IO, "SHA-256 failed");
        return NULL;
    }
    return p;
}

struct prompt *prompt_ref(struct prompt *p)
{
    p->refs++;
    return p;
}

void prompt_unref(struct prompt *p)
{
    if (p && --p->refs == 0) {
        mem_free(p);
    }
}
