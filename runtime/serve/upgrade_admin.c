#include "runtime/serve/upgrade_admin.h"

#include <unistd.h>

#include "runtime/api/upgrade_reply.h"
#include "runtime/base/log.h"
#include "runtime/serve/respond.h"
#include "runtime/serve/upgrade.h"

static void show(struct server *s, struct http_exchange *ex)
{
    const struct upgrade_view view = {
        .pid = (long)getpid(),
        .version = s->set.version,
        .state = s->stopping  ? "draining"
                 : s->upgrade ? "upgrading"
                              : "serving",
        .problem = s->upgrade_problem[0] ? s->upgrade_problem : NULL,
    };
    size_t len = 0;
    char *text = upgrade_view_text(&view, &len);
    respond_json(ex, 200, text, len, NULL, 0);
}

void upgrade_admin_answer(struct server *s, struct http_exchange *ex, enum route_id route)
{
    if (route == ROUTE_ADMIN_UPGRADE_GET) {
        show(s, ex);
        return;
    }
    const char *actor = http_request_header(http_exchange_request(ex), "weir-actor");
    log_info("%.64s has the program replaced", actor ? actor : "admin");
    upgrade_begin(s, ex);
}
