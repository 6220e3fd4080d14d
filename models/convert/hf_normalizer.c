#include "models/convert/hf_normalizer.h"

#include <string.h>

#include "models/convert/hf_json.h"
#include "runtime/base/base64.h"
#include "runtime/base/buf.h"

#define MAX_TABLE ((size_t)64 << 20)

/* What the parts of "normalizer" and "pre_tokenizer" do together. */
struct evening {
    const char *table;    /* base64, or NULL */
    bool splits;          /* at all white space; the table makes spaces of it */
    bool one_for_several; /* spaces; GGUF's flag for it takes them from the ends too */
    bool strips;          /* the ends */
    bool space_before;
    const char *unknown; /* the type of a part that is not known, or NULL */
};

/* Several spaces become one, or a space what stands for it. */
static bool look_at_replacement(const cJSON *part, struct evening *to)
{
    const cJSON *pattern = hf_get(part, "pattern"), *content = hf_get(part, "content");
    bool marks = hf_is(content, HF_SPACE_MARK);
    if (hf_is(hf_get(pattern, "Regex"), " {2,}") && (marks || hf_is(content, " "))) {
        to->one_for_several = true;
        return true;
    }
    return marks && hf_is(hf_get(pattern, "String"), " ");
}

static bool look_at_metaspace(const cJSON *part, struct evening *to)
{
    const cJSON *scheme = hf_get(part, "prepend_scheme");
    to->space_before |= cJSON_IsString(scheme)
                            ? !hf_is(scheme, "never")
                            : !cJSON_IsFalse(hf_get(part, "add_prefix_space"));
    return hf_is(hf_get(part, "replacement"), HF_SPACE_MARK);
}

static bool look_at_kind(const cJSON *part, const char *type, struct evening *to)
{
    if (strcmp(type, "Precompiled") == 0) {
        const char *table = cJSON_GetStringValue(hf_get(part, "precompiled_charsmap"));
        bool alone = table && !to->table;
        to->table = table;
        return alone;
    }
    if (strcmp(type, "Replace") == 0) {
        return look_at_replacement(part, to);
    }
    if (strcmp(type, "Prepend") == 0) {
        to->space_before = true;
        return hf_is(hf_get(part, "prepend"), HF_SPACE_MARK);
    }
    if (strcmp(type, "WhitespaceSplit") == 0) {
        to->one_for_several = to->splits = true;
        return true;
    }
    if (strcmp(type, "Strip") == 0) {
        to->strips = true;
        return true;
    }
    return strcmp(type, "Metaspace") == 0 && look_at_metaspace(part, to);
}

static void look_at_one(const cJSON *part, struct evening *to)
{
    const char *type = cJSON_GetStringValue(hf_get(part, "type"));
    type = type ? type : "";
    if (cJSON_IsObject(part) && !look_at_kind(part, type, to)) {
        to->unknown = type;
    }
}

/* A part, or those of a "Sequence", which the file lists under `list`. */
static void look_at(const cJSON *part, const char *list, struct evening *to)
{
    const cJSON *child;
    if (!hf_is(hf_get(part, "type"), "Sequence")) {
        look_at_one(part, to);
        return;
    }
    cJSON_ArrayForEach(child, hf_get(part, list))
    {
        look_at_one(child, to);
    }
}

static int put_table(const char *text, struct gguf_writer *out, struct err *e)
{
    struct buf table;
    buf_init(&table, MAX_TABLE);
    int rc = base64_decode(&table, text, strlen(text), e);
    if (rc != 0) {
        err_prefix(e, "tokenizer.json: \"precompiled_charsmap\"");
    } else {
        gguf_put_array(out, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, table.data,
                       table.len);
    }
    buf_deinit(&table);
    return rc;
}

int hf_normalizer_put(const cJSON *tokenizer, struct gguf_writer *out, struct err *e)
{
    struct evening how = {0};
    look_at(hf_get(tokenizer, "normalizer"), "normalizers", &how);
    look_at(hf_get(tokenizer, "pre_tokenizer"), "pretokenizers", &how);
    if (!how.unknown && how.splits && !how.table) {
        how.unknown = "WhitespaceSplit";
    } else if (!how.unknown && how.strips && !how.one_for_several) {
        how.unknown = "Strip";
    }
    if (how.unknown) {
        return err_set(e, ERR_UNSUPPORTED,
                       "tokenizer.json: a part of \"normalizer\" or \"pre_tokenizer\" of type "
                       "\"%.32s\" as it is there is not supported with a Unigram model",
                       how.unknown);
    }
    gguf_put_bool(out, "tokenizer.ggml.add_space_prefix", how.space_before);
    gguf_put_bool(out, "tokenizer.ggml.remove_extra_whitespaces", how.one_for_several);
    return how.table && *how.table ? put_table(how.table, out, e) : 0;
}
