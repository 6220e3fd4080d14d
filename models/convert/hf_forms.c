#include "models/convert/hf_forms.h"

#include <string.h>

#include "models/convert/hf_added.h"
#include "models/convert/hf_json.h"
#include "models/tokenizer/tokenizer.h"

/* By the names that both files have for them. */
static const char *const plain_steps[] = {"NFC", "NFD", "NFKC", "NFKD"};

bool hf_forms_add(struct hf_forms *f, const cJSON *part)
{
    const cJSON *type = hf_get(part, "type");
    for (size_t i = 0; i < sizeof(plain_steps) / sizeof(plain_steps[0]); i++) {
        if (hf_is(type, plain_steps[i]) && f->n < TEXT_FORM_MAX_STEPS) {
            f->steps[f->n++] = (struct gguf_str){plain_steps[i], strlen(plain_steps[i])};
            return true;
        }
    }
    return false;
}

int hf_forms_put(const struct hf_forms *f, const cJSON *tokenizer, struct gguf_writer *out,
                 struct err *e)
{
    if (f->n == 0) {
        return 0;
    }
    gguf_put_strs(out, TOKENIZER_KEY_TEXT_FORM, f->steps, f->n);
    return hf_added_put(tokenizer, "normalized", TOKENIZER_KEY_NORMALIZED, out, e);
}
