/* classifier.h: the filter type "classifier": a small model judges each sentence.
 *
 * It gives a score for each of the categories of filters/guard_model.h (host->score, the
 * greatest of all sentences) and acts where one reaches its threshold. A sentence is held until
 * its end, at most SENTENCE_MAX bytes; with the action "note" nothing is held. */
#pragma once

#include "filters/filter.h"

/* Bytes before a part of a sentence that was too long, which are judged with it. */
#define CLASSIFIER_CONTEXT 128u

extern const struct filter_type filter_classifier;
