/* unknown.h: questions that cannot be answered: about people, places, works and things that do
 * not exist, about the asker, the moment and the future. The answer says so. */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

/* What every such answer holds. */
#define UNKNOWN_ADMITS "do not know"

/* The answer about a thing that does not exist. */
#define UNKNOWN_THING "I " UNKNOWN_ADMITS ". I have never heard of that."

exchange_fn exchange_unknown;
