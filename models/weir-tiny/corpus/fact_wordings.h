/* fact_wordings.h: more ways to state a fact of system_fact.c and to ask for it.
 *
 * They serve training alone, where all wordings are in use (corpus_set_wordings). */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

struct fact_wordings {
    const char *id; /* of the kind of fact: "closing time" */
    struct more_phrases statements;
    struct more_phrases questions;
};

/* The row of a kind; one without phrases when it has none. */
const struct fact_wordings *fact_wordings_of(const char *id);
