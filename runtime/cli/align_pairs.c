/* weir align pairs: samples answers to questions and pairs one that is as expected with one
 * that is not. On the policy's own answers preference training corrects the mistakes that it
 * makes (Tajwar et al. 2024, "Preference Fine-Tuning of LLMs Should Leverage Suboptimal,
 * On-Policy Data"). */
#include <stdio.h>
#include <string.h>

#include "models/lineage/lineage.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/align.h"
#include "runtime/cli/align_questions.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/progress.h"

#define SKILLS_MAX     64
#define SKILL_NAME_MAX 48
#define SAMPLES_MAX    64
#define LANES          16 /* answers that are made side by side */
#define CHUNK          32 /* questions that are asked at a time */
#define OUT_MAX        ((size_t)1 << 30)

struct request {
    const char *model, *set, *out;
    long samples, max_tokens, seed, threads;
    double temperature;
};

struct skill {
    char name[SKILL_NAME_MAX];
    unsigned questions, answers, right, pairs;
};

struct job {
    const struct request *r;
    struct local_model model;
    struct skill skills[SKILLS_MAX];
    size_t n_skills;
    struct align_questions questions;
    struct buf out;
};

static struct skill *skill_of(struct job *job, const char *name)
{
    for (size_t i = 0; i < job->n_skills; i++) {
        if (strncmp(job->skills[i].name, name, SKILL_NAME_MAX - 1) == 0) {
            return &job->skills[i];
        }
    }
    if (job->n_skills == SKILLS_MAX) {
        return &job->skills[SKILLS_MAX - 1];
    }
    struct skill *s = &job->skills[job->n_skills++];
    snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

/* --- pairing --- */

/* The question's "expect" is kept: those that have been answered wrongly are what `weir align
 * grpo` learns from. */
static int write_pair(struct job *job, const struct align_question *q, const char *chosen,
                      const char *rejected, struct err *e)
{
    char *messages = cJSON_PrintUnformatted(q->messages);
    char *expect = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(q->json, "expect"));
    bool failed = !messages || !expect || buf_append_str(&job->out, "{\"skill\":") ||
                  json_append_string(&job->out, q->skill, strlen(q->skill)) ||
                  buf_append_str(&job->out, ",\"messages\":") ||
                  buf_append_str(&job->out, messages) ||
                  buf_append_str(&job->out, ",\"chosen\":") ||
                  json_append_string(&job->out, chosen, strlen(chosen)) ||
                  buf_append_str(&job->out, ",\"rejected\":") ||
                  json_append_string(&job->out, rejected, strlen(rejected)) ||
                  buf_append_str(&job->out, ",\"expect\":") ||
                  buf_append_str(&job->out, expect) || buf_append_str(&job->out, "}\n");
    cJSON_free(messages);
    cJSON_free(expect);
    return failed ? err_nomem(e) : 0;
}

/* Training refuses answers of white space alone; and texts are written as C strings. */
static bool can_be_learnt(const struct buf *text)
{
    size_t blank = 0;
    while (blank < text->len && strchr(" \t\r\n", text->data[blank])) {
        blank++;
    }
    return blank < text->len && !memchr(text->data, '\0', text->len);
}

/* Of each kind the first is taken, and the most likely answer comes first. */
static int pair_up(struct job *job, const struct align_question *q, struct align_ask *asks,
                   struct err *e)
{
    struct skill *skill = skill_of(job, q->skill);
    const char *right = NULL, *wrong = NULL;
    skill->questions++;
    for (long i = 0; i < job->r->samples; i++) {
        struct buf *text = &asks[i].text;
        if (!can_be_learnt(text)) {
            continue;
        }
        bool holds = !asks[i].is_cut && eval_expect_holds(&q->expect, text->data, text->len);
        const char **to = holds ? &right : &wrong;
        skill->answers++;
        skill->right += holds;
        if (!*to && buf_append_char(text, '\0')) {
            return err_nomem(e);
        }
        *to = *to ? *to : text->data;
    }
    right = right ? right : q->answer;
    if (!wrong || !right) {
        return 0;
    }
    skill->pairs++;
    return write_pair(job, q, right, wrong, e);
}

/* The questions from `first` on, n of them. */
static int ask_chunk(struct job *job, size_t first, size_t n, struct align_ask *asks,
                     struct err *e)
{
    const struct request *r = job->r;
    size_t samples = (size_t)r->samples;
    for (size_t i = 0; i < n * samples; i++) {
        size_t question = first + i / samples, sample = i % samples;
        asks[i] =
            (struct align_ask){.prompt = &job->questions.items[question].prompt,
                               .seed = (uint64_t)r->seed * 1000003u + question * 1009u + sample,
                               .temperature = sample == 0 ? 0.0f : (float)r->temperature,
                               .max_tokens = (int)r->max_tokens};
    }
    int rc = align_ask_all(&job->model, asks, n * samples, e);
    for (size_t i = 0; i < n && !rc; i++) {
        rc = pair_up(job, &job->questions.items[first + i], asks + i * samples, e);
    }
    align_asks_clear(asks, n * samples);
    return rc;
}

static int ask_all(struct job *job, struct err *e)
{
    const struct model *m = job->model.model;
    struct align_questions *q = &job->questions;
    struct progress p;
    if (align_questions_read(q, job->r->set, true, e) ||
        align_questions_render(q, m->chat_template, m->tokenizer, e)) {
        return -1;
    }
    struct align_ask *asks = mem_zarray((size_t)job->r->samples * CHUNK, sizeof(*asks));
    int rc = asks ? 0 : err_nomem(e);
    progress_begin(&p, "pairs", "questions", q->count, 0);
    for (size_t at = 0, n; at < q->count && !rc; at += n) {
        n = q->count - at < CHUNK ? q->count - at : CHUNK;
        rc = ask_chunk(job, at, n, asks, e);
        progress_update(&p, at + n, (double)(at + n), NULL);
    }
    progress_end(&p);
    mem_free(asks);
    return rc;
}

static void print_skills(const struct job *job, struct skill *total)
{
    fprintf(stderr, "%-20s %9s %9s %8s %6s\n", "skill", "questions", "answers", "right",
            "pairs");
    for (size_t i = 0; i <= job->n_skills; i++) {
        const struct skill *s = i < job->n_skills ? &job->skills[i] : total;
        fprintf(stderr, "%-20s %9u %9u %7.1f%% %6u\n", s->name, s->questions, s->answers,
                s->answers > 0 ? 100.0 * s->right / s->answers : 0.0, s->pairs);
        if (i < job->n_skills) {
            total->questions += s->questions;
            total->answers += s->answers;
            total->right += s->right;
            total->pairs += s->pairs;
        }
    }
}

static int write_lineage(const struct job *job, const struct skill *total, struct err *e)
{
    struct lineage *l = lineage_create("align pairs");
    lineage_parent(l, "model", job->r->model);
    lineage_parent(l, "questions", job->r->set);
    lineage_option_number(l, "samples", (double)job->r->samples);
    lineage_option_number(l, "temperature", job->r->temperature);
    lineage_option_number(l, "max_tokens", (double)job->r->max_tokens);
    lineage_option_number(l, "seed", (double)job->r->seed);
    lineage_metric(l, "questions", (double)total->questions);
    lineage_metric(l, "pairs", (double)total->pairs);
    int rc = lineage_write(l, job->r->out, e);
    lineage_destroy(l);
    return rc;
}

static int make_pairs(const struct request *r, struct err *e)
{
    struct job job = {.r = r};
    struct skill total = {.name = "total"};
    const struct local_model_settings settings = {.path = r->model,
                                                  .cpu = "auto",
                                                  .threads = (int)r->threads,
                                                  .max_rows = 512,
                                                  .n_slots = LANES};
    if (local_model_open(&job.model, &settings, e)) {
        return -1;
    }
    buf_init(&job.out, OUT_MAX);
    int rc = !job.model.model->chat_template
                 ? err_set(e, ERR_UNSUPPORTED, "%s: the model has no chat template", r->model)
                 : ask_all(&job, e);
    if (!rc) {
        print_skills(&job, &total);
        rc = total.pairs == 0
                 ? err_set(e, ERR_INVALID,
                           "no pair: all answers are right, or none is and the questions have "
                           "no \"answer\"; ask harder ones, or with more --samples")
                 : file_write_atomic(r->out, job.out.data, job.out.len, e);
    }
    rc = rc ? rc : write_lineage(&job, &total, e);
    buf_deinit(&job.out);
    align_questions_deinit(&job.questions);
    local_model_close(&job.model);
    return rc;
}

int cli_align_pairs(int argc, char **argv)
{
    struct request r = {.samples = 4,
                        .max_tokens = 128,
                        .seed = 1,
                        .threads = local_core_count(),
                        .temperature = 1.0};
    const struct option table[] = {
        {"model", 'm', OPTION_STRING, &r.model, "FILE.gguf", "who answers", 0, 0},
        {"set", 0, OPTION_STRING, &r.set, "FILE.jsonl",
         "questions, as for weir eval; a line may have a right \"answer\" too", 0, 0},
        {"out", 'o', OPTION_STRING, &r.out, "FILE.jsonl", "the pairs", 0, 0},
        {"samples", 'k', OPTION_INT, &r.samples, "N",
         "answers to a question; the first is the most likely one [4]", 1, SAMPLES_MAX},
        {"temperature", 0, OPTION_DOUBLE, &r.temperature, "X", "of the others [1]", 0, 0},
        {"max-tokens", 0, OPTION_INT, &r.max_tokens, "N", "of an answer [128]", 1, 8192},
        {"seed", 0, OPTION_INT, &r.seed, "N", "the same seed gives the same answers [1]", 0,
         2147483647},
        {"threads", 't', OPTION_INT, &r.threads, "N", "[one a core]", 1, TEAM_MAX_THREADS},
        {0},
    };
    const struct options options = {
        "weir align pairs -m FILE.gguf --set FILE.jsonl --out FILE.jsonl [options]",
        "Pairs of a model's own answers: one that is as expected, or the given one where none "
        "is, and one that is not. A line keeps its \"expect\", so the file may be given to "
        "grpo as "
        "--set too.",
        table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!r.model || !r.set || !r.out || positional > 0 || r.temperature < 0.0) {
        fprintf(
            stderr,
            "weir align pairs: --model, --set and --out are needed, --temperature 0 or more\n"
            "usage: %s\n",
            options.usage);
        return 2;
    }
    return make_pairs(&r, &e) ? cli_fail("align pairs", &e) : 0;
}
