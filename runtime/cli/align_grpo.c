/* weir align grpo: in each round the policy as it is becomes a model file, the serving code
 * samples answers from that with float weights, checks and the reward model judge them, and the
 * trainer makes its steps. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "models/train/align_grpo.h"
#include "models/train/align_order.h"
#include "models/train/export.h"
#include "models/train/reward.h"
#include "models/train/run_log.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"
#include "runtime/cli/align.h"
#include "runtime/cli/align_questions.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/stop_signal.h"

#define LANES         32
#define ROWS          256
#define SLICE_TOKENS  2048
#define VALUES        11
#define SAMPLE_SUFFIX ".policy.gguf"

struct request {
    const char *init, *base, *set, *reward, *out, *log, *sampler;
    bool resume;
    long rounds, questions, group, updates, max_tokens, warmup, seed, shards, row;
    long checkpoint_every;
    double lr, min_lr, clip, beta, temperature, check_weight, reward_weight;
};

/* Of a round, over its answers. */
struct round_stats {
    double reward, right, cut, tokens;
    size_t differ; /* groups that teach something */
};

struct run {
    const struct request *r;
    struct align_base base;
    struct align_questions questions;
    struct align_order order;
    struct reward_model *reward;
    struct align_policy *policy;
    struct grpo *grpo;
    struct run_log *log;
    char sample_path[4096];
    uint64_t mark;               /* of data and options, to notice others on --resume */
    struct align_ask *asks;      /* (n_answers) */
    struct grpo_answer *answers; /* (n_answers) */
    size_t n_answers;
    struct align_set set; /* the round's documents */
    struct round_stats round;
    struct grpo_stats last;
};

/* Of prompts, and what decides what is sampled and learnt. */
static uint64_t mark_of(const struct run *run)
{
    const struct request *r = run->r;
    const double options[] = {(double)r->seed,
                              (double)r->questions,
                              (double)r->group,
                              (double)r->updates,
                              (double)r->max_tokens,
                              r->clip,
                              r->beta,
                              r->temperature,
                              r->check_weight,
                              r->reward_weight};
    uint64_t mark = fnv64(FNV64_BASIS, options, sizeof(options));
    mark = fnv64(mark, r->sampler, strlen(r->sampler));
    for (size_t i = 0; i < run->questions.count; i++) {
        const struct token_list *p = &run->questions.items[i].prompt;
        mark = fnv64(mark, p->ids, p->count * sizeof(*p->ids));
    }
    return mark;
}

static int open_questions(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    size_t longest = 0;
    if (align_questions_read(&run->questions, r->set, !r->reward, e) ||
        align_questions_render(&run->questions, run->base.chat_template, run->base.tokenizer,
                               e)) {
        return -1;
    }
    for (size_t i = 0; i < run->questions.count; i++) {
        size_t n = run->questions.items[i].prompt.count;
        longest = n > longest ? n : longest;
    }
    if (longest + (size_t)r->max_tokens > (size_t)r->row) {
        return err_set_param(e, ERR_LIMIT, "row",
                             "--row %ld: a question has %zu tokens, and its answer up to %ld",
                             r->row, longest, r->max_tokens);
    }
    run->mark = mark_of(run);
    return align_order_init(&run->order, run->questions.count, (uint64_t)r->seed, e);
}

static int open_policy(struct run *run, const struct align_start *start, struct err *e)
{
    const struct request *r = run->r;
    struct optimizer_options o = optimizer_options_default();
    o.steps = (uint64_t)(r->rounds * r->updates);
    o.shards = (uint32_t)r->shards;
    o.warmup = (uint32_t)r->warmup;
    o.lr = (float)r->lr;
    o.min_lr = (float)r->min_lr;
    o.weight_decay = 0.0f;
    const struct grpo_options g = {
        .clip = (float)r->clip, .beta = (float)r->beta, .updates = (uint32_t)r->updates};
    uint32_t capacity = r->row > SLICE_TOKENS ? (uint32_t)r->row : SLICE_TOKENS;
    run->policy = align_policy_create(start, &o, capacity, 0, e);
    run->grpo = run->policy ? grpo_create(run->policy, &g, e) : NULL;
    if (!run->grpo) {
        return -1;
    }
    return r->resume ? align_policy_resume(run->policy, r->out, run->mark, e) : 0;
}

static int open_run(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    const struct align_start start = {r->init, r->base, (uint32_t)r->row};
    if (align_base_open(&run->base, r->base, e) ||
        align_base_check(&run->base, &start, (uint32_t)r->row, e) || open_questions(run, e) ||
        open_policy(run, &start, e)) {
        return -1;
    }
    if (r->reward && !(run->reward = reward_open(r->reward, (uint32_t)r->row, e))) {
        return -1;
    }
    if (run->reward && reward_shape(run->reward)->vocab != run->policy->shape.vocab) {
        return err_set(e, ERR_INVALID, "%s: made for another vocabulary than %s", r->reward,
                       r->base);
    }
    run->n_answers = (size_t)(r->questions * r->group);
    run->asks = mem_zarray(run->n_answers, sizeof(*run->asks));
    run->answers = mem_zarray(run->n_answers, sizeof(*run->answers));
    int n = snprintf(run->sample_path, sizeof(run->sample_path), "%s" SAMPLE_SUFFIX, r->out);
    if (n < 0 || (size_t)n >= sizeof(run->sample_path)) {
        return err_set(e, ERR_INVALID, "--out: the name is too long");
    }
    return run->asks && run->answers ? 0 : err_nomem(e);
}

/* --- a round --- */

static const struct align_question *question_of(struct run *run, uint64_t round, size_t i)
{
    uint64_t at = round * (uint64_t)run->r->questions + i;
    return &run->questions.items[align_order_at(&run->order, at)];
}

static int sample(struct run *run, uint64_t round, struct err *e)
{
    const struct request *r = run->r;
    struct local_model model;
    const struct local_model_settings settings = {.path = run->sample_path,
                                                  .cpu = "auto",
                                                  .weights = r->sampler,
                                                  .threads = (int)r->shards,
                                                  .context = (int)r->row,
                                                  .max_rows = ROWS,
                                                  .n_slots = LANES};
    for (size_t i = 0; i < run->n_answers; i++) {
        run->asks[i] = (struct align_ask){
            .prompt = &question_of(run, round, i / (size_t)r->group)->prompt,
            .seed = (uint64_t)r->seed * 1000003u + round * run->n_answers + i,
            .temperature = (float)r->temperature,
            .max_tokens = (int)r->max_tokens};
    }
    if (export_params(&run->policy->shape, run->policy->params, r->base, NULL, TENSOR_F32,
                      run->sample_path, e)) {
        return -1;
    }
    int rc = local_model_open(&model, &settings, e);
    if (!rc) {
        rc = align_ask_all(&model, run->asks, run->n_answers, e);
        local_model_close(&model);
    }
    return rc;
}

/* An answer that was cut is no answer: its check fails. */
static double judge(struct run *run, const struct align_question *q, const struct align_ask *a,
                    const struct align_doc *doc)
{
    const struct request *r = run->r;
    double reward = 0.0;
    bool right = !a->is_cut && q->has_expect &&
                 eval_expect_holds(&q->expect, a->text.data ? a->text.data : "", a->text.len);
    reward += right ? r->check_weight : 0.0;
    if (run->reward) {
        reward += r->reward_weight * reward_of(run->reward, &run->set, doc);
    }
    run->round.right += right;
    run->round.cut += a->is_cut;
    run->round.tokens += (double)a->tokens.count;
    run->round.reward += reward;
    return reward;
}

static int judge_all(struct run *run, uint64_t round, struct err *e)
{
    align_set_clear(&run->set);
    run->round = (struct round_stats){0};
    for (size_t i = 0; i < run->n_answers; i++) {
        const struct align_question *q = question_of(run, round, i / (size_t)run->r->group);
        const struct align_ask *a = &run->asks[i];
        struct grpo_answer *to = &run->answers[i];
        if (align_set_add_tokens(&run->set, q->prompt.ids, q->prompt.count, a->tokens.ids,
                                 a->tokens.count, &to->doc, e)) {
            return -1;
        }
        to->reward = judge(run, q, a, &to->doc);
    }
    double over = 1.0 / (double)run->n_answers;
    run->round.reward *= over;
    run->round.right *= over;
    run->round.cut *= over;
    run->round.tokens *= over;
    run->round.differ = grpo_advantages(run->answers, run->n_answers, (size_t)run->r->group);
    return 0;
}

/* Answers of groups whose rewards are all the same have no advantage and are not gone through:
 * those that teach come to the front. */
static size_t keep_teaching(struct run *run)
{
    size_t group = (size_t)run->r->group, n = 0;
    for (size_t first = 0; first < run->n_answers; first += group) {
        bool teaches = false;
        for (size_t i = 0; i < group; i++) {
            teaches = teaches || run->answers[first + i].advantage != 0.0;
        }
        if (teaches) {
            memmove(run->answers + n, run->answers + first, group * sizeof(*run->answers));
            n += group;
        }
    }
    return n;
}

static int one_round(struct run *run, uint64_t round, struct err *e)
{
    int rc = sample(run, round, e) || judge_all(run, round, e) ? -1 : 0;
    if (!rc) {
        /* Where no group teaches, all are gone through, so that each round has its steps. */
        size_t n = run->round.differ > 0 ? keep_teaching(run) : run->n_answers;
        rc = grpo_round(run->grpo, &run->set, run->answers, n, &run->last, e);
    }
    align_asks_clear(run->asks, run->n_answers);
    return rc;
}

/* --- the run --- */

static int open_log(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    if (!r->log) {
        return 0;
    }
    cJSON *d = cJSON_CreateObject();
    bool ok = d && cJSON_AddStringToObject(d, "tool", "align grpo") &&
              cJSON_AddStringToObject(d, "init", r->init ? r->init : r->base) &&
              cJSON_AddStringToObject(d, "set", r->set) &&
              cJSON_AddNumberToObject(d, "questions", (double)run->questions.count) &&
              cJSON_AddNumberToObject(d, "rounds", (double)r->rounds) &&
              cJSON_AddNumberToObject(d, "group", (double)r->group) &&
              cJSON_AddNumberToObject(d, "lr", r->lr) &&
              cJSON_AddNumberToObject(d, "beta", r->beta) &&
              cJSON_AddNumberToObject(d, "seed", (double)r->seed);
    if (ok) {
        uint64_t done = optimizer_steps_done(run->policy->optimizer) / (uint64_t)r->updates;
        run->log = done > 0 ? run_log_resume(r->log, d, done, e) : run_log_create(r->log, d, e);
    }
    cJSON_Delete(d);
    return ok ? (run->log ? 0 : -1) : err_nomem(e);
}

static int log_round(struct run *run, uint64_t round, struct err *e)
{
    const struct grpo_stats *l = &run->last;
    const struct round_stats *s = &run->round;
    const struct run_log_value values[VALUES] = {
        {"reward", s->reward},         {"right", s->right},   {"cut", s->cut},
        {"groups", (double)s->differ}, {"loss", l->loss},     {"kl", l->kl},
        {"entropy", l->entropy},       {"tokens", s->tokens}, {"clipped", l->clipped},
        {"grad_norm", l->grad_norm},   {"lr", l->lr},
    };
    return run->log ? run_log_step(run->log, round, values, VALUES, e) : 0;
}

static int draw_log(const struct run *run, struct err *e)
{
    static const struct run_log_plot plots[] = {
        {"Reward of sampled answers", "mean", false, {"reward", "right"}},
        {"Divergence from the reference", "nats a token", false, {"kl"}},
        {"Entropy of what is sampled", "nats a token", false, {"entropy"}},
        {"Length of answers", "tokens", false, {"tokens"}},
    };
    char svg[4096];
    if (!run->r->log || optimizer_steps_done(run->policy->optimizer) == 0) {
        return 0;
    }
    snprintf(svg, sizeof(svg), "%s.svg", run->r->log);
    return run_log_draw(run->r->log, plots, sizeof(plots) / sizeof(plots[0]), svg, e);
}

static int run_rounds(struct run *run, struct err *e)
{
    const struct request *r = run->r;
    uint64_t rounds = (uint64_t)r->rounds;
    uint64_t done = optimizer_steps_done(run->policy->optimizer) / (uint64_t)r->updates;
    struct progress p;
    double answers = 0.0;
    int rc = 0;
    progress_begin(&p, "grpo", "answers", rounds, done);
    while (!rc && done < rounds && !stop_signal_number()) {
        char note[120];
        rc = one_round(run, done, e);
        done++;
        answers += (double)run->n_answers;
        rc = rc ? rc : log_round(run, done, e);
        bool saves = done % (uint64_t)r->checkpoint_every == 0 || done == rounds;
        if (!rc && saves) {
            rc = align_policy_save(run->policy, r->out, run->mark, e);
        }
        snprintf(note, sizeof(note), "reward %.3f  kl %.4f  tokens %.1f", run->round.reward,
                 run->last.kl, run->round.tokens);
        progress_update(&p, done, answers, note);
    }
    progress_end(&p);
    unlink(run->sample_path);
    if (!rc && stop_signal_number()) {
        rc = align_policy_save(run->policy, r->out, run->mark, e);
    }
    if (!rc && stop_signal_number()) {
        fprintf(stderr, "stopped by signal %d; %s is written, go on with --resume\n",
                stop_signal_number(), r->out);
    }
    return rc;
}

static int write_lineage(const struct run *run, struct err *e)
{
    const struct request *r = run->r;
    struct lineage *l = lineage_create("align grpo");
    if (r->init) {
        lineage_parent(l, "checkpoint", r->init);
    }
    lineage_parent(l, "base", r->base);
    lineage_parent(l, "questions", r->set);
    if (r->reward) {
        lineage_parent(l, "reward", r->reward);
    }
    lineage_option_number(l, "rounds", (double)r->rounds);
    lineage_option_number(l, "questions", (double)r->questions);
    lineage_option_number(l, "group", (double)r->group);
    lineage_option_number(l, "updates", (double)r->updates);
    lineage_option_number(l, "lr", r->lr);
    lineage_option_number(l, "clip", r->clip);
    lineage_option_number(l, "beta", r->beta);
    lineage_option_number(l, "temperature", r->temperature);
    lineage_option_number(l, "max_tokens", (double)r->max_tokens);
    lineage_option(l, "sampler", r->sampler);
    lineage_option_number(l, "seed", (double)r->seed);
    lineage_metric(l, "reward", run->round.reward);
    lineage_metric(l, "kl", run->last.kl);
    int rc = lineage_write(l, r->out, e);
    lineage_destroy(l);
    return rc;
}

static int run_grpo(const struct request *r, struct err *e)
{
    struct run run = {.r = r};
    stop_signal_catch();
    align_set_init(&run.set);
    int rc = open_run(&run, e) || open_log(&run, e) || run_rounds(&run, e) ||
                     draw_log(&run, e) || (!stop_signal_number() && write_lineage(&run, e))
                 ? -1
                 : 0;
    run_log_close(run.log);
    grpo_destroy(run.grpo);
    align_policy_destroy(run.policy);
    reward_close(run.reward);
    align_order_deinit(&run.order);
    align_questions_deinit(&run.questions);
    align_set_deinit(&run.set);
    mem_free(run.asks);
    mem_free(run.answers);
    align_base_close(&run.base);
    return rc;
}

int cli_align_grpo(int argc, char **argv)
{
    struct request r = {.rounds = 100,
                        .questions = 16,
                        .group = 8,
                        .updates = 1,
                        .max_tokens = 96,
                        .warmup = 5,
                        .seed = 1,
                        .shards = 2,
                        .checkpoint_every = 20,
                        .sampler = "f32",
                        .lr = 1e-5,
                        .clip = 0.2,
                        .beta = 0.04,
                        .temperature = 1.0,
                        .check_weight = 1.0,
                        .reward_weight = 1.0};
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &r.base, "FILE.gguf",
         "tokenizer, chat template and, without --init, the weights to begin with", 0, 0},
        {"init", 0, OPTION_STRING, &r.init, "FILE.ckpt", "weights to begin with", 0, 0},
        {"set", 0, OPTION_STRING, &r.set, "FILE.jsonl",
         "questions {\"messages\": [...], \"expect\": {...}}, as for weir eval", 0, 0},
        {"reward", 0, OPTION_STRING, &r.reward, "FILE.reward",
         "a reward model too; lines need no \"expect\" then", 0, 0},
        {"check-weight", 0, OPTION_DOUBLE, &r.check_weight, "X",
         "what an answer gets that is as expected [1]", 0, 0},
        {"reward-weight", 0, OPTION_DOUBLE, &r.reward_weight, "X",
         "by which the model's reward is multiplied [1]", 0, 0},
        {"out", 'o', OPTION_STRING, &r.out, "FILE.ckpt", "checkpoint to write", 0, 0},
        {"resume", 0, OPTION_FLAG, &r.resume, NULL, "go on where --out stopped", 0, 0},
        {"rounds", 0, OPTION_INT, &r.rounds, "N", "of sampling and learning [100]", 1, 1000000},
        {"questions", 0, OPTION_INT, &r.questions, "N", "of a round [16]", 1, 4096},
        {"group", 0, OPTION_INT, &r.group, "N", "answers to a question [8]", 2, 256},
        {"updates", 0, OPTION_INT, &r.updates, "N", "optimizer steps of a round [1]", 1, 64},
        {"clip", 0, OPTION_DOUBLE, &r.clip, "X", "how far a ratio counts beside 1 [0.2]", 0, 0},
        {"beta", 0, OPTION_DOUBLE, &r.beta, "X",
         "how firmly the reference holds the policy [0.04]", 0, 0},
        {"temperature", 0, OPTION_DOUBLE, &r.temperature, "X", "of sampling [1]", 0, 0},
        {"sampler", 0, OPTION_STRING, &r.sampler, "f32|int8",
         "weights that are sampled with: the policy's own, or faster ones [f32]", 0, 0},
        {"max-tokens", 0, OPTION_INT, &r.max_tokens, "N", "of an answer [96]", 1, 8192},
        {"lr", 0, OPTION_DOUBLE, &r.lr, "X", "highest learning rate [1e-5]", 0, 0},
        {"min-lr", 0, OPTION_DOUBLE, &r.min_lr, "X", "learning rate at the end [0]", 0, 0},
        {"warmup", 0, OPTION_INT, &r.warmup, "N", "steps of linear rise [5]", 0, 1000000},
        {"seed", 0, OPTION_INT, &r.seed, "N", "of questions and sampling [1]", 0, 2147483647},
        {"shards", 't', OPTION_INT, &r.shards, "N", "threads; results depend on it [2]", 1,
         TRAIN_MAX_SHARDS},
        {"row", 0, OPTION_INT, &r.row, "N",
         "longest question with answer, tokens [context, at most 1024]", 2, 65536},
        {"checkpoint-every", 0, OPTION_INT, &r.checkpoint_every, "N", "rounds [20]", 1,
         1000000},
        {"log", 0, OPTION_STRING, &r.log, "FILE.jsonl",
         "a line a round; FILE.jsonl.svg is drawn from it", 0, 0},
        {0},
    };
    const struct options options = {
        "weir align grpo -m FILE.gguf [--init FILE.ckpt] --set FILE.jsonl --out FILE.ckpt "
        "[options]",
        "Samples groups of answers and makes those more likely that are better than the others "
        "of their group (Shao et al. 2024).",
        table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!r.base || !r.set || !r.out || positional > 0 || !(r.temperature > 0.0) ||
        !(r.clip > 0.0) || r.beta < 0.0) {
        fprintf(
            stderr,
            "weir align grpo: --model, --set and --out are needed; --temperature and --clip "
            "above 0, --beta 0 or more\nusage: %s\n",
            options.usage);
        return 2;
    }
    const struct align_start start = {r.init, r.base, 0};
    rc = align_default_row(&start, &r.row, &e) || run_grpo(&r, &e);
    return rc ? cli_fail("align grpo", &e) : 0;
}
