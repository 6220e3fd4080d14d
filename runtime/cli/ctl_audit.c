/* weir ctl audit: who has changed what on a running server. */
#include <string.h>

#include "runtime/cli/ctl.h"
#include "runtime/cli/ctl_versions.h"

/* Only what the server does by itself has a reason, and it does so with models. */
static int print(struct ctl *c, struct err *e)
{
    static const char *const header[] = {"ID",     "TIME",   "KIND",    "ACTOR",
                                         "ACTION", "NAME",   "SUBJECT", "BEFORE",
                                         "AFTER",  "REASON", NULL};
    static const char *const fields[] = {"id",     "time",    "kind",    "actor",
                                         "action", "profile", "subject", "before",
                                         "after",  "reason",  NULL};
    static const char *const short_header[] = {"ID",      "TIME",   "ACTOR", "ACTION", "NAME",
                                               "SUBJECT", "BEFORE", "AFTER", NULL};
    static const char *const short_fields[] = {
        "id", "time", "actor", "action", "profile", "subject", "before", "after", NULL};
    bool is_short = c->kind && strcmp(c->kind, "model") != 0;
    return ctl_versions_rows(c, "audit", is_short ? short_header : header,
                             is_short ? short_fields : fields, e);
}

int ctl_audit_list(struct ctl *c, char **arguments, int n, struct err *e)
{
    ctl_path(c, "/admin/audit");
    buf_printf(&c->path, "?limit=%ld", c->limit);
    if (c->before > 0) {
        buf_printf(&c->path, "&before=%ld", c->before);
    }
    if (c->kind) {
        buf_append_str(&c->path, "&kind=");
        ctl_escape(&c->path, c->kind);
    }
    if (n > 0) {
        buf_append_str(&c->path, "&profile=");
        ctl_escape(&c->path, arguments[0]);
    }
    return print(c, e);
}

int ctl_audit(int argc, char **argv)
{
    static const struct ctl_command none = {.name = NULL};
    static const struct ctl_command command[] = {
        {"", "[NAME]", 0, 1, " kind before limit ",
         "who has changed which prompt, filter chain or model, newest first", ctl_audit_list},
        {.name = NULL}};
    const struct ctl_group group = {
        .name = "audit", .summary = "", .common = &none, .commands = command};
    return ctl_run_only(&group, argc, argv);
}
