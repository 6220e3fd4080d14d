#include "models/convert/hf_normalizer.h"

#include <string.h>

#include "models/convert/hf_forms.h"
#include "models/convert/hf_json.h"
#include "runtime/base/base64.h"
#include "runtime/base/buf.h"

#define MAX_TABLE ((size_t)64 << 20)

/* What the parts of "normalizer" and "pre_tokenizer" do together. */
struct evening {
    const char *table;    /* base64, or NULL */
    bool splits;          /* at all white space */
    bool one_for_several; /* spaces; GGUF's flag for it takes them from the ends too */
    bool strips;          /* the ends */
    bool space_before;    /* of a text, or with `splits` of each word */
    struct hf_forms forms;
    const char *late; /* the type of one that stands behind what is done to spaces, or NULL */
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
    bool before = cJSON_IsString(scheme) ? !hf_is(scheme, "never")
                                         : !cJSON_IsFalse(hf_get(part, "add_prefix_space"));
    to->space_before |= before;
    /* Of words without white space each must get its own. */
    if (to->splits && (!before || hf_is(scheme, "first"))) {
        return false;
    }
    return hf_is(hf_get(part, "replacement"), HF_SPACE_MARK);
}

/* Steps come before SentencePiece's own ways. Behind one that makes spaces fewer they do no
 * harm where texts are split at all of them in the end. */
static bool look_at_form(const cJSON *part, const char *type, struct evening *to)
{
    if (to->table || to->space_before || to->strips) {
        return false;
    }
    to->late = to->one_for_several ? type : to->late;
    return hf_forms_add(&to->forms, part);
}

static bool look_at_kind(const cJSON *part, const char *type, struct evening *to)
{
    if (strcmp(type, "Precompiled") == 0) {
        const char *table = cJSON_GetStringValue(hf_get(part, "precompiled_charsmap"));
        bool alone = table && !to->table;
        to->table = table;
        return alone;
    }
    if (strcmp(type, "Replace") == 0 && look_at_replacement(part, to)) {
        return true;
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
    if (strcmp(type, "Metaspace") == 0) {
        return look_at_metaspace(part, to);
    }
    return look_at_form(part, type, to);
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
    if (!how.unknown && how.splits && !how.table && !hf_forms_add_spaces(&how.forms)) {
        how.unknown = "WhitespaceSplit";
    } else if (!how.unknown && how.late && !how.splits) {
        how.unknown = how.late;
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
    if (hf_forms_put(&how.forms, tokenizer, out, e) != 0) {
        return -1;
    }
    return how.table && *how.table ? put_table(how.table, out, e) : 0;
}
