/* regex_oracle.h: what the filter "regex" should make of a text: PCRE2 run over the whole of
 * it, without partial matching. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REGEX_ORACLE_PATTERNS 4

enum regex_oracle_action {
    REGEX_ORACLE_STOP,
    REGEX_ORACLE_REPLACE,
    REGEX_ORACLE_MASK,
    REGEX_ORACLE_NOTE
};

struct regex_oracle {
    const char *patterns[REGEX_ORACLE_PATTERNS];
    size_t count;
    enum regex_oracle_action action; /* a replacement is "<>", a mask "*" */
    bool case_sensitive;
};

/* Text and events, one a line, as a trace has them; at most 4096 bytes each. Returns
 * false when a pattern takes too long to tell. */
bool regex_oracle_run(const struct regex_oracle *oracle, const char *text, char *out,
                      char *events);
