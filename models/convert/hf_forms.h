/* hf_forms.h: the parts of "normalizer" in tokenizer.json that are steps of
 * models/tokenizer/text_form.h, as its key. Private to models/convert. */
#pragma once

#include "models/format/gguf_write.h"
#include "models/tokenizer/text_form.h"
#include "runtime/base/json.h"

struct hf_forms {
    struct gguf_str texts[3 * TEXT_FORM_MAX_STEPS]; /* (n_texts), borrowed from the file */
    size_t n_texts;
    size_t n; /* steps, of one text or of three */
};

/* Adds a part. False, and nothing is added, where it is no such step or one too many. */
bool hf_forms_add(struct hf_forms *f, const cJSON *part);
/* Adds a space for each character of white space. */
bool hf_forms_add_spaces(struct hf_forms *f);

/* The steps, and which tokens are looked for behind them; nothing where there are none. */
int hf_forms_put(const struct hf_forms *f, const cJSON *tokenizer, struct gguf_writer *out,
                 struct err *e);
