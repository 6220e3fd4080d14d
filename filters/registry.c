#include "filters/registry.h"

#include <string.h>

#include "filters/classifier.h"
#include "filters/json.h"
#include "filters/length.h"
#include "filters/pii.h"
#include "filters/prompt_leak.h"
#include "filters/regex.h"
#include "filters/repetition.h"
#include "filters/script.h"
#include "filters/secrets.h"
#include "filters/webhook.h"
#include "filters/wordlist.h"

const struct filter_type *const filter_registry_builtin[] = {
    &filter_wordlist,    &filter_regex,   &filter_pii,        &filter_secrets,
    &filter_prompt_leak, &filter_length,  &filter_repetition, &filter_script,
    &filter_json,        &filter_webhook, &filter_classifier, NULL,
};

const struct filter_type *filter_registry_find(const struct filter_type *const *types,
                                               const char *name)
{
    for (; *types; types++) {
        if (strcmp((*types)->name, name) == 0) {
            return *types;
        }
    }
    return NULL;
}
