/* pii_oracle.h: what the filter "pii" should find in a text: expressions of PCRE2 that are
 * tried at every place of the whole text for every end, and naive checks of the numbers. It
 * shares no code with the filter. */
#pragma once

#include <stddef.h>

/* Replaces what the rule finds by "[rule]". At most 1024 bytes. */
void pii_oracle_run(const char *rule_name, const char *text, char *out);
