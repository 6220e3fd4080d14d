#include "runtime/serve/sticky.h"

#include <string.h>

#include "runtime/base/fnv.h"
#include "runtime/registry/traffic_plan.h"
#include "runtime/serve/access.h"

uint64_t sticky_of_text(const char *text, size_t len)
{
    return fnv64(FNV64_BASIS, text, len);
}

static uint64_t of_prompt(const struct answer_prompt *p)
{
    return p->text ? sticky_of_text(p->text, p->text_len)
                   : sticky_of_text((const char *)p->tokens.ids,
                                    p->tokens.count * sizeof(p->tokens.ids[0]));
}

uint64_t sticky_of_conversation(const struct answer_request *request)
{
    for (size_t i = 0; i < request->n_messages; i++) {
        const struct chat_message *m = &request->messages[i];
        if (strcmp(m->role, "user") == 0 && m->content) {
            return sticky_of_text(m->content, m->content_len);
        }
    }
    return request->n_prompts > 0 ? of_prompt(&request->prompts[0]) : 0;
}

uint64_t sticky_of(const struct server *s, struct http_exchange *http,
                   const struct answer_request *request)
{
    uint64_t tenant = access_tenant(&s->set.access, http_exchange_request(http));
    return tenant != 0 ? tenant : sticky_of_conversation(request);
}
