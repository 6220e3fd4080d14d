#include "runtime/serve/model_load.h"

#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_gate.h"
#include "runtime/serve/prompt_prefix.h"

/* What conversations under the active prompts begin with stays in the cache, so that the first
 * answers of the new version are no slower than later ones. */
static void read_prompts(struct generation *g, struct prompt **prompts, size_t n)
{
    for (size_t i = 0; g->engine && i < n; i++) {
        struct err e = {0};
        struct token_list prefix = {0}, none = {0};
        if (prompt_prefix_find(g, prompts[i], &prefix, &e) == 0 && prefix.count > 0) {
            const uint64_t pin = 1;
            const struct engine_request r = {.prompt = prefix.ids,
                                             .n_prompt = prefix.count,
                                             .max_tokens = 1,
                                             .options = {.pin = pin, .n_shared = prefix.count}};
            if (generation_try(g, &r, &none, &e) == 0) {
                engine_unpin(g->engine, pin);
            }
        }
        if (e.kind != ERR_NONE) {
            log_warn("model %s: a prompt is not read ahead: %s", g->id, e.message);
        }
        token_list_deinit(&prefix);
        token_list_deinit(&none);
    }
}

static int try_out(struct model_load *l)
{
    bool comparable = l->serving && l->serving->engine;
    const struct model_gate gate = {.settings = &l->settings,
                                    .generation = l->generation,
                                    .loss_path = l->files.loss_path,
                                    .serving = comparable ? l->serving : NULL,
                                    .no_prompt = l->no_prompt,
                                    .chains = &l->chains};
    if (model_gate_run(&gate, &l->report, &l->e) != 0) {
        l->has_failed_gate = true;
        return -1;
    }
    read_prompts(l->generation, l->prompts, l->n_prompts);
    /* What was read while it changed is neither the old nor the new version. */
    return model_repo_stamp(l->repo, l->version) == l->stamp
               ? 0
               : err_set(&l->e, ERR_CONFLICT, "its files changed while they were read");
}

void model_load_find(struct model_load *l)
{
    if (model_repo_locate(l->repo, l->version, &l->files, &l->e) != 0) {
        l->stamp = model_repo_stamp(l->repo, l->version);
        return;
    }
    l->has_files = true;
    l->stamp = l->files.stamp;
    l->is_unchanged = l->if_changed && l->serving && l->serving->stamp == l->files.stamp;
    l->settings.name = l->repo->name;
    l->settings.version = l->version;
    l->settings.files = &l->files;
    if (!l->is_unchanged && generation_measure(&l->settings, &l->memory_bytes, &l->e) == 0 &&
        l->memory_bytes == 0) {
        l->memory_bytes = l->file_bytes;
    }
}

void model_load_run(struct model_load *l)
{
    double begin = clock_now_s();
    l->generation = generation_load(&l->settings, &l->e);
    if (l->generation && try_out(l) != 0) {
        generation_discard(l->generation);
        l->generation = NULL;
    }
    l->seconds = clock_now_s() - begin;
}

void model_load_deinit(struct model_load *l)
{
    generation_discard(l->generation);
    generation_unref(l->serving);
    for (size_t i = 0; i < l->n_prompts; i++) {
        prompt_unref(l->prompts[i]);
    }
    if (l->has_files) {
        model_files_deinit(&l->files);
    }
    mem_free(l->prompts);
    model_gate_chains_drop(&l->chains);
    mem_free(l->report);
}
