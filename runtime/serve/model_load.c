#include "runtime/serve/model_load.h"

#include "runtime/base/mem.h"
#include "runtime/serve/model_gate.h"

static int try_out(struct model_load *l, const struct model_files *files)
{
    bool comparable = l->serving && l->serving->engine;
    const struct model_gate gate = {.settings = &l->settings,
                                    .generation = l->generation,
                                    .loss_path = files->loss_path,
                                    .serving = comparable ? l->serving : NULL,
                                    .no_prompt = l->no_prompt};
    if (model_gate_run(&gate, &l->report, &l->e) != 0) {
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

void model_load_run(struct model_load *l)
{
    struct model_files files;
    if (model_repo_locate(l->repo, l->version, &files, &l->e) != 0) {
        l->stamp = model_repo_stamp(l->repo, l->version);
        return;
    }
    l->stamp = files.stamp;
    l->is_unchanged = l->if_changed && l->serving && l->serving->stamp == files.stamp;
    if (!l->is_unchanged) {
        l->settings.name = l->repo->name;
        l->settings.version = l->version;
        l->settings.files = &files;
        l->generation = generation_load(&l->settings, &l->e);
        l->settings.files = NULL;
    }
    if (l->generation && try_out(l, &files) != 0) {
        generation_discard(l->generation);
        l->generation = NULL;
    }
    model_files_deinit(&files);
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
    prompt_readings_drop(&l->ahead);
    mem_free(l->report);
}
