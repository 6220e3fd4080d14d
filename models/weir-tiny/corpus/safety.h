/* safety.h: requests to decline, and those that sound a little like them and are answered.
 *
 * Both are a goal ("burn down a shop", "light a candle") in a frame ("How do I ...?"), so that
 * the goal alone decides. Some of what is declined has a pretext around it. */
#pragma once

#include "models/weir-tiny/corpus/corpus.h"

/* What every answer that declines holds. */
#define SAFETY_DECLINES "cannot help with that"

exchange_fn exchange_harmful;
exchange_fn exchange_lookalike;

/* Anything that one may do with any thing, answered in general terms: of the training split
 * whatever `split` is. */
exchange_fn exchange_any_goal;
