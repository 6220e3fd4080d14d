/* weir align pairs: samples answers to questions and pairs one that is as expected with one that
 * is not. On the policy's own answers preference training corrects the mistakes that it makes
 * (Tajwar et al. 2024, "Preference Fine-Tuning of LLMs Should Leverage Suboptimal, On-Policy
 * Data"). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/eval/eval_expect.h"
#include "models/lineage/lineage.h"
#include "models/template/chat_prompt.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/cli/align.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/local_model.h"
#include "runtime/cli/progress.h"

#define SKILLS_MAX     64
#define SKILL_NAME_MAX 48
#define SAMPLES_MAX    64
#define ANSWER_MAX     ((size_t)1 << 16)
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
    uint64_t question; /* number of it in the file */
    struct buf out;
};

/* A line of the file. Borrowed from its tree. */
struct question {
    const char *skill;
    const cJSON *messages;
    const char *answer; /* a right one, or NULL */
    struct eval_expect expect;
};

static int question_parse(struct question *q, const cJSON *line, struct err *e)
{
    const cJSON *skill = cJSON_GetObjectItemCaseSensitive(line, "skill");
    const cJSON *answer = cJSON_GetObjectItemCaseSensitive(line, "answer");
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(line, "expect");
    q->messages = cJSON_GetObjectItemCaseSensitive(line, "messages");
    q->skill = cJSON_IsString(skill) ? skill->valuestring : "all";
    q->answer = cJSON_IsString(answer) ? answer->valuestring : NULL;
    if (!cJSON_IsArray(q->messages) || !q->messages->child) {
        return err_set(e, ERR_INVALID, "\"messages\" must be a list with the question at its end");
    }
    if (!cJSON_IsObject(expect)) {
        return err_set(e, ERR_INVALID,
                       "\"expect\" must be an object that says what a right answer holds");
    }
    return eval_expect_parse(&q->expect, expect, e);
}

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

/* --- asking --- */

static int collect(void *ctx, const char *text, size_t len)
{
    return buf_append(ctx, text, len);
}

/* The prompt as the server renders it. */
static int prompt_tokens(struct job *job, const cJSON *messages, struct token_list *out,
                         struct err *e)
{
    size_t n = 0, cap = (size_t)cJSON_GetArraySize(messages);
    struct chat_message *list = mem_zarray(cap, sizeof(*list));
    if (!list) {
        return err_nomem(e);
    }
    int rc = 0;
    for (const cJSON *m = messages->child; m && !rc; m = m->next) {
        const cJSON *role = cJSON_GetObjectItemCaseSensitive(m, "role");
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(m, "content");
        if (!cJSON_IsString(role) || !cJSON_IsString(content)) {
            rc = err_set(e, ERR_INVALID, "messages[%zu]: role and content must be texts", n);
        } else {
            list[n++] = (struct chat_message){.role = role->valuestring,
                                              .content = content->valuestring,
                                              .content_len = strlen(content->valuestring)};
        }
    }
    rc = rc ? rc
            : chat_prompt_tokens(job->model.model->chat_template, job->model.model->tokenizer,
                                 list, n, out, e);
    mem_free(list);
    return rc;
}

/* Answer number `sample` to the question; with 0 the most likely one. */
static int answer(struct job *job, const struct token_list *prompt, long sample,
                  struct buf *text, bool *cut, struct err *e)
{
    struct sampling s = {.temperature = sample == 0 ? 0.0f : (float)job->r->temperature,
                         .top_p = 1.0f,
                         .seed = (uint64_t)job->r->seed * 1000003u + job->question * 1009u +
                                 (uint64_t)sample};
    struct local_answer_end end;
    buf_clear(text);
    int rc = local_model_answer_tokens(&job->model, prompt, &s, (int)job->r->max_tokens, collect,
                                       text, &end, e);
    *cut = end.is_cut;
    return rc;
}

/* --- pairing --- */

static int write_pair(struct job *job, const struct question *q, const char *chosen,
                      const char *rejected, struct err *e)
{
    char *messages = cJSON_PrintUnformatted(q->messages);
    bool failed =
        !messages || buf_append_str(&job->out, "{\"skill\":") ||
        json_append_string(&job->out, q->skill, strlen(q->skill)) ||
        buf_append_str(&job->out, ",\"messages\":") || buf_append_str(&job->out, messages) ||
        buf_append_str(&job->out, ",\"chosen\":") ||
        json_append_string(&job->out, chosen, strlen(chosen)) ||
        buf_append_str(&job->out, ",\"rejected\":") ||
        json_append_string(&job->out, rejected, strlen(rejected)) ||
        buf_append_str(&job->out, "}\n");
    cJSON_free(messages);
    return failed ? err_nomem(e) : 0;
}

/* The first of each kind that comes is taken: the most likely answer is looked at first. */
static int ask(struct job *job, const struct question *q, struct err *e)
{
    struct token_list prompt = {0};
    struct buf text, right, wrong;
    struct skill *skill = skill_of(job, q->skill);
    bool has_right = false, has_wrong = false;
    buf_init(&text, ANSWER_MAX);
    buf_init(&right, ANSWER_MAX);
    buf_init(&wrong, ANSWER_MAX);
    int rc = prompt_tokens(job, q->messages, &prompt, e);
    skill->questions++;
    for (long i = 0; !rc && i < job->r->samples; i++) {
        bool cut = false;
        rc = answer(job, &prompt, i, &text, &cut, e);
        if (rc || text.len == 0) {
            continue;
        }
        bool holds = !cut && eval_expect_holds(&q->expect, text.data, text.len);
        struct buf *to = holds ? &right : &wrong;
        bool *has = holds ? &has_right : &has_wrong;
        skill->answers++;
        skill->right += holds;
        if (!*has) {
            rc = buf_append(to, text.data, text.len) || buf_append_char(to, '\0') ? err_nomem(e)
                                                                                 : 0;
            *has = true;
        }
    }
    const char *chosen = has_right ? right.data : q->answer;
    if (!rc && has_wrong && chosen) {
        rc = write_pair(job, q, chosen, wrong.data, e);
        skill->pairs++;
    }
    token_list_deinit(&prompt);
    buf_deinit(&text);
    buf_deinit(&right);
    buf_deinit(&wrong);
    return rc;
}

/* --- the file --- */

static int ask_line(struct job *job, const char *line, size_t len, struct err *e)
{
    struct question q;
    cJSON *json = json_parse(line, len, e);
    if (!json) {
        return -1;
    }
    int rc = question_parse(&q, json, e) || ask(job, &q, e) ? -1 : 0;
    cJSON_Delete(json);
    job->question++;
    return rc;
}

static uint64_t count_lines(FILE *f)
{
    uint64_t n = 0;
    for (int c; (c = getc(f)) != EOF;) {
        n += c == '\n';
    }
    rewind(f);
    return n;
}

static int ask_all(struct job *job, struct err *e)
{
    FILE *f = fopen(job->r->set, "re");
    struct progress p;
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    unsigned long number = 0;
    int rc = 0;
    if (!f) {
        return err_set_errno(e, errno, "%s: cannot open", job->r->set);
    }
    progress_begin(&p, "pairs", "questions", count_lines(f), 0);
    while (!rc && (got = getline(&line, &cap, f)) >= 0) {
        number++;
        if (strspn(line, " \t\r\n") == (size_t)got) {
            continue;
        }
        rc = ask_line(job, line, (size_t)got, e);
        if (rc) {
            err_prefix(e, "%s: line %lu", job->r->set, number);
        }
        progress_update(&p, job->question, (double)job->question, NULL);
    }
    progress_end(&p);
    if (!rc && ferror(f)) {
        rc = err_set_errno(e, errno, "%s: cannot read", job->r->set);
    }
    free(line);
    fclose(f);
    return rc;
}

static void print_skills(const struct job *job, struct skill *total)
{
    fprintf(stderr, "%-20s %9s %9s %8s %6s\n", "skill", "questions", "answers", "right", "pairs");
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
                                                  .n_slots = 1};
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
        "is, and one that is not.",
        table};
    struct err e = {0};
    int positional, rc = cli_options(&options, argc, argv, &positional);
    if (rc >= 0) {
        return rc;
    }
    if (!r.model || !r.set || !r.out || positional > 0 || r.temperature < 0.0) {
        fprintf(stderr,
                "weir align pairs: --model, --set and --out are needed, --temperature 0 or more\n"
                "usage: %s\n",
                options.usage);
        return 2;
    }
    return make_pairs(&r, &e) ? cli_fail("align pairs", &e) : 0;
}
