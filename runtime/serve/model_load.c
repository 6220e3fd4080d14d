#include "runtime/serve/model_load.h"

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/serve/model_gate.h"

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
        l->has_failed_gate = l->e.kind != ERR_CANCELED;
        return -1;
    }
    prompt_readings_run(l->ahead, l->generation);
    if (generation_is_stopped(l->generation, &l->e)) {
        return -1;
    }
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

bool model_load_plan_more(struct model_load *l, struct prompt_set *prompts)
{
    return l->generation && l->n_plans++ < PROMPT_SET_PLANS_MAX &&
           prompt_set_plan(prompts, &l->ahead);
}

void model_load_read_more(struct model_load *l)
{
    prompt_readings_run(l->ahead, l->generation);
}

void model_load_deinit(struct model_load *l)
{
    generation_discard(l->generation);
    generation_unref(l->serving);
    if (l->has_files) {
        model_files_deinit(&l->files);
    }
    model_gate_chains_drop(&l->chains);
    prompt_readings_drop(&l->ahead);
    mem_free(l->report);
}
