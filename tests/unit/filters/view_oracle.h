/* view_oracle.h: the normalised view of a whole text, made step by step over all of it: every
 * step makes a new list of code points. It shares no code with the view but utf8proc, and knows
 * only those entities and look-alikes that the tests use. */
#pragma once

#include "runtime/base/buf.h"

void view_oracle(const char *text, size_t len, struct buf *out);
