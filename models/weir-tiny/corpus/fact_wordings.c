#include "models/weir-tiny/corpus/fact_wordings.h"

#include <string.h>

/* clang-format off */
#define MORE(id, statements, questions) {id, {statements}, {questions}},
#define S(...) CORPUS_LIST(__VA_ARGS__)
#define Q(...) CORPUS_LIST(__VA_ARGS__)
/* clang-format on */

static const struct fact_wordings wordings[] = {
#include "models/weir-tiny/corpus/fact_wordings.inc"
};

static const struct fact_wordings no_wordings;

const struct fact_wordings *fact_wordings_of(const char *id)
{
    for (size_t i = 0; i < CORPUS_COUNT(wordings); i++) {
        if (strcmp(wordings[i].id, id) == 0) {
            return &wordings[i];
        }
    }
    return &no_wordings;
}
