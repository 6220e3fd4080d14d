/* stage_text.h: the text of a stage: what its filter is shown of the flow, and what becomes of
 * the flow when the filter decides.
 *
 * Three ways. As a rule the filter is shown the flow itself, and its cursor is where the flow
 * begins. With the normalised view or that of JSON (view.h) the filter's offsets are those of
 * the view; what it decides is done to whole units of the text, and what the view does not show
 * goes the way of what stands before it: it passes if that passed, and is gone if that was
 * replaced. A filter that only records is shown a copy, and the flow does not wait for it.
 *
 * Offsets are the filter's: of what it is shown. Functions that return int return 0, or -1 when
 * memory or CHAIN_MAX_FLOW ran out.
 */
#pragma once

#include "filters/stage.h"

/* Before the first text. */
int stage_text_open(struct stage *stage);

const char *stage_text(const struct stage *stage); /* from the cursor on */
uint64_t stage_text_cursor(const struct stage *stage);
uint64_t stage_text_end(const struct stage *stage);

/* Takes in what is new in the flow. A filter that only records gets it word by word, so that
 * its verdicts have a place in the text that is the same for every way of cutting it. *more
 * says that what was taken in is to be shown, and that there is more to read after it. */
int stage_text_read(struct stage *stage, bool *more);
/* Nothing follows: takes in the rest. */
int stage_text_end_reading(struct stage *stage);

/* The cursor goes to `upto`. What it leaves behind passes, or is gone. */
int stage_text_pass(struct stage *stage, uint64_t upto);
int stage_text_replace(struct stage *stage, uint64_t upto);

/* All that is in the flow passes, whatever the filter has seen of it. */
int stage_text_pass_all(struct stage *stage);
/* The same at the end of the text, for a filter whose cursor has come there. */
int stage_text_pass_last(struct stage *stage);

/* Makes offsets of the text from those of a range that a verb at `upto` rests on. */
void stage_text_locate(const struct stage *stage, uint64_t upto, uint64_t *from, uint64_t *to);

/* Whether more of the text is held than may be, all of which the filter has been shown. */
bool stage_text_is_too_long(const struct stage *stage);
