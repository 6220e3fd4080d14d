#include <stdio.h>

#include "filters/script_text.h"

struct script_text *script_text_create(const char *code, size_t len,
                                       const struct script_limits *limits,
                                       const struct filter_text *text, char *message,
                                       size_t room)
{
    (void)code, (void)len, (void)limits, (void)text;
    snprintf(message, room,
             "this build has no Lua: install liblua5.4-dev, configure and build Weir again");
    return NULL;
}

void script_text_destroy(struct script_text *script)
{
    (void)script;
}

int script_text_call(struct script_text *script, const struct filter_span *span, bool is_end,
                     struct filter_host *host)
{
    (void)script, (void)span, (void)is_end;
    return host->fail(host, "this build has no Lua");
}
