/* chain_pick.h: which of the owner's filter chains a request goes through.
 *
 * The one that its API key is for (key_file.h), else the one of its model (--filters-for), else
 * the server's (--filters-chain, "default"). The client has no say in it: who could choose a
 * chain could choose a weaker one. A chain that is named and not published lets nothing
 * through.
 *
 * Threads: the loop. */
#pragma once

#include "filters/chain.h"
#include "runtime/serve/server.h"

/* *out is borrowed. ERR_NOT_FOUND, logged: the chain is not published. */
int chain_pick(const struct server *s, struct http_exchange *http, const char *model,
               struct chain **out, struct err *e);

/* The chain that --filters-for gives to a model, or NULL. "MODEL=CHAIN" is not checked. */
const char *chain_pick_for_model(const struct server_settings *set, const char *model);

/* Says of chains that the options name and nobody has published that their requests will be
 * refused, and of models that --filters-for names and that are not there; for the start and
 * for settings that changed. */
void chain_pick_warn(const struct server *s);
