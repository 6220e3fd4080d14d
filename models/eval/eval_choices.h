/* eval_choices.h: multiple choice in the forms in which its data sets are exported.
 * For eval_item.c. */
#pragma once

#include "models/eval/eval_item.h"

/* Whether a member belongs to one of the forms, those included that say nothing here ("id",
 * "split" and their like). */
bool eval_choices_is_member(const char *name);

/* Reads question, choices and the right one of item->json; none is there: 0 as well. */
int eval_choices_read(struct eval_item *item, struct err *e);
