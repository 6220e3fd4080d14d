/* A version of a prompt as JSON from outside: what is taken is written, read again, filled in
 * and compared without a change of its hash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/registry/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void render(const struct prompt *p)
{
    struct prompt_value values[PROMPT_VARIABLES_MAX];
    for (size_t i = 0; i < p->n_variables; i++) {
        values[i] = (struct prompt_value){.name = p->variables[i].name, .value = "value {{x}}"};
    }
    struct err e = {0};
    struct buf out;
    size_t n_same = 0;
    buf_init(&out, 2 * PROMPT_RENDERED_MAX);
    int rc = prompt_render(p, values, p->n_variables, &out, &n_same, &e);
    require(rc == 0 ? n_same <= out.len : e.kind == ERR_LIMIT);
    buf_deinit(&out);
}

static void compare(const struct prompt *p, const struct prompt *other)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, (size_t)16 << 20);
    require(prompt_diff(p, p, &out, &e) == 0 && out.len == 0);
    require(prompt_diff(p, other, &out, &e) == 0);
    buf_deinit(&out);
}

static struct prompt *half_of(const struct prompt *p)
{
    struct err e = {0};
    const char *half = p->text + p->text_len / 2;
    while (((unsigned char)*half & 0xC0u) == 0x80u) {
        half++;
    }
    return prompt_create(0, half, strlen(half), &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct prompt *p = prompt_from_json((const char *)data, size, &e);
    if (!p) {
        require(e.kind != ERR_NONE && e.message[0]);
        return 0;
    }
    size_t len;
    char *text = prompt_content_json(p, &len);
    struct prompt *again = prompt_from_json(text, len, &e);
    require(again && memcmp(again->sha256, p->sha256, HASH_HEX_LEN) == 0);
    /* Another text to compare with: the second half of its own. */
    struct prompt *other = half_of(p);
    render(p);
    compare(p, other);
    mem_free(text);
    prompt_unref(other);
    prompt_unref(again);
    prompt_unref(p);
    return 0;
}
