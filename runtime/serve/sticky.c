#include "runtime/serve/sticky.h"

#include <string.h>

#include "runtime/serve/access.h"

uint64_t sticky_of(const struct server *s, struct http_exchange *http,
                   const struct answer_request *request)
{
    uint64_t sticky = access_tenant(&s->set.access, http_exchange_request(http));
    for (size_t i = 0; sticky == 0 && i < request->n_messages; i++) {
        const struct chat_message *m = &request->messages[i];
        if (strcmp(m->role, "user") == 0 && m->content) {
            sticky = 14695981039346656037u; /* FNV-1a */
            for (size_t k = 0; k < m->content_len; k++) {
                sticky = (sticky ^ (unsigned char)m->content[k]) * 1099511628211u;
            }
        }
    }
    return sticky;
}
