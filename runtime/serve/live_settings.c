#include "runtime/serve/live_settings.h"

#include "runtime/serve/chain_pick.h"

/* What is not of the settings stays: which model it is, who computes it, and what ends a load.
 */
static void take_generation(struct generation_settings *now,
                            const struct generation_settings *fresh)
{
    struct generation_settings taken = *fresh;
    taken.model_path = now->model_path;
    taken.stop = now->stop;
    taken.ranks = now->ranks;
    *now = taken;
}

static void take_repository(struct server *s, const struct server_settings *fresh)
{
    s->set.publish_manually = fresh->publish_manually;
    s->set.keep_generations = fresh->keep_generations;
    s->set.load_on_demand = fresh->load_on_demand;
    s->set.models_memory = fresh->models_memory;
    s->set.drain_first = fresh->drain_first;
    s->set.unload_idle_s = fresh->unload_idle_s;
    if (s->catalog && s->set.unload_idle_s > 0) {
        model_catalog_tick(s->catalog);
    }
}

void live_settings_apply(struct server *s, struct server_settings *fresh)
{
    take_generation(&s->set.generation, &fresh->generation);
    take_repository(s, fresh);
    s->set.prompt = fresh->prompt;
    s->set.filters_chain = fresh->filters_chain;
    s->set.filters_for = fresh->filters_for;
    s->set.n_filters_for = fresh->n_filters_for;
    s->set.metrics = fresh->metrics;
    s->set.log_requests = fresh->log_requests;
    s->set.late_streams = fresh->late_streams;
    s->set.sampling = fresh->sampling;
    s->set.drain_timeout_ms = fresh->drain_timeout_ms;
    s->set.upgrade_timeout_ms = fresh->upgrade_timeout_ms;
    cors_deinit(&s->set.cors);
    s->set.cors = fresh->cors;
    fresh->cors = (struct cors){.n_origins = 0};
    if (s->set.ping_ms != fresh->ping_ms) {
        s->set.ping_ms = fresh->ping_ms;
        server_start_pings(s);
    }
    chain_pick_warn(s);
}
