#include "models/convert/hf_forms.h"

#include <string.h>

#include "models/convert/hf_added.h"
#include "models/convert/hf_json.h"
#include "models/tokenizer/tokenizer.h"

static bool add_text(struct hf_forms *f, const char *text)
{
    f->texts[f->n_texts++] = (struct gguf_str){text, strlen(text)};
    return true;
}

/* A text for a text; expressions are not known. */
static bool add_replacement(struct hf_forms *f, const cJSON *part)
{
    const char *from = cJSON_GetStringValue(hf_get(hf_get(part, "pattern"), "String"));
    const char *to = cJSON_GetStringValue(hf_get(part, "content"));
    if (!from || !to || !*from || strlen(from) > TEXT_STEP_MAX_REPLACED ||
        strlen(to) > TEXT_STEP_MAX_REPLACED) {
        return false;
    }
    f->n++;
    return add_text(f, "Replace") && add_text(f, from) && add_text(f, to);
}

bool hf_forms_add(struct hf_forms *f, const cJSON *part)
{
    /* By the names that both files have for them. */
    static const char *const known[] = {"NFC",  "NFD",       "NFKC",
                                        "NFKD", "Lowercase", "StripAccents"};
    const cJSON *type = hf_get(part, "type");
    if (f->n == TEXT_FORM_MAX_STEPS) {
        return false;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (hf_is(type, known[i])) {
            f->n++;
            return add_text(f, known[i]);
        }
    }
    return hf_is(type, "Replace") && add_replacement(f, part);
}

bool hf_forms_add_spaces(struct hf_forms *f)
{
    if (f->n == TEXT_FORM_MAX_STEPS) {
        return false;
    }
    f->n++;
    return add_text(f, "Spaces");
}

int hf_forms_put(const struct hf_forms *f, const cJSON *tokenizer, struct gguf_writer *out,
                 struct err *e)
{
    if (f->n == 0) {
        return 0;
    }
    gguf_put_strs(out, TOKENIZER_KEY_TEXT_FORM, f->texts, f->n_texts);
    return hf_added_put(tokenizer, "normalized", TOKENIZER_KEY_NORMALIZED, out, e);
}
