/* weir publish: from a trained model to a version in a repository, in the order of publish().
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/lineage/lineage.h"
#include "models/lineage/lineage_tree.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/publish_card.h"
#include "runtime/cli/publish_eval.h"
#include "runtime/cli/publish_golden.h"
#include "runtime/cli/publish_model.h"
#include "runtime/cli/publish_place.h"
#include "runtime/cli/publish_suite.h"
#include "runtime/registry/model_repo.h"

#define CARD_FILE     "card.md"
#define LOSS_FILE     "loss.txt"
#define REPORT_FILE   "report.json"
#define TEXT_MAX      ((size_t)4 << 20)
#define GOLDEN_TOKENS 64
#define MODEL_SIDECAR PUBLISH_MODEL_FILE LINEAGE_SUFFIX

/* What the command line said. */
struct request {
    struct publish_source source;
    const char *repo, *name, *version, *baseline;
    struct option_strings sets, golden, labels, biases, limits;
    const char *suite, *report, *manifest, *canary, *note, *cutoff;
    const char *card_notes, *card_template, *description, *licence, *loss_text;
    double max_loss, max_skill_loss, max_increase, min_speed;
    long golden_count, suite_limit;
    bool allows_broken_lineage;
};

struct run {
    const struct request *request;
    struct publish_place place;
    char model[PATH_MAX]; /* the version's file, while it is made */
    char sha256[HASH_HEX_LEN + 1];
    struct lineage_tree *lineage; /* NULL: none */
    const char *baseline;         /* a version, or NULL */
    cJSON *results, *baseline_results;
    cJSON *suite; /* report of it, or NULL */
    cJSON *golden;
};

/* --- lineage --- */

static void show_lineage(const struct lineage_tree *t)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    if (lineage_tree_print(t, &text) == 0) {
        fputs(text.data, stderr);
    }
    buf_deinit(&text);
}

/* A chain that begins here, for who has been told to publish what has none. */
static int begin_lineage(const struct run *r, struct err *e)
{
    const char *slash = strrchr(r->request->source.model, '/');
    struct lineage *l = lineage_create("publish");
    lineage_option(l, "from", slash ? slash + 1 : r->request->source.model);
    int rc = lineage_write(l, r->model, e);
    lineage_destroy(l);
    return rc;
}

/* Before any work is done: what goes in is what it says that it is. */
static int check_lineage(const struct run *r, bool *is_known, struct err *e)
{
    const char *model = r->request->source.model;
    bool is_strict = !r->request->allows_broken_lineage;
    struct lineage_tree *t = lineage_tree_open(model, e);
    *is_known = t != NULL;
    if (!t && (is_strict || e->kind != ERR_NOT_FOUND || access(model, F_OK) != 0)) {
        return access(model, F_OK) != 0
                   ? err_set(e, ERR_NOT_FOUND, "%s: there is no such file", model)
                   : err_prefix(e, "lineage (--allow-broken-lineage publishes it all the "
                                   "same)");
    }
    bool holds = !t || lineage_tree_holds(t);
    if (!holds) {
        show_lineage(t);
    }
    lineage_tree_close(t);
    *e = (struct err){0};
    return holds || !is_strict
               ? 0
               : err_set(e, ERR_CONFLICT,
                         "lineage: %s does not come from what its records say, see above; "
                         "--allow-broken-lineage publishes it all the same",
                         model);
}

/* The whole chain beside the model, in place of the sidecar. */
static int write_lineage(struct run *r, bool is_copy, bool is_known, struct err *e)
{
    char path[PATH_MAX];
    if (is_copy && !is_known && begin_lineage(r, e) != 0) {
        return -1;
    }
    r->lineage =
        lineage_tree_open(is_copy && is_known ? r->request->source.model : r->model, e);
    if (!r->lineage || publish_place_path(&r->place, LINEAGE_FILE, path, e) != 0) {
        return -1;
    }
    publish_place_remove(&r->place, MODEL_SIDECAR);
    return lineage_tree_write(r->lineage, PUBLISH_MODEL_FILE, path, e);
}

/* --- the model --- */

static int make_model(struct run *r, struct err *e)
{
    static const char *const temporary[] = {".float.gguf", ".float.gguf" LINEAGE_SUFFIX,
                                            ".merged.gguf", ".merged.gguf" LINEAGE_SUFFIX};
    bool is_copy = false, is_known = false;
    if (check_lineage(r, &is_known, e) != 0 ||
        publish_model_make(&r->place, &r->request->source, &is_copy, e) != 0 ||
        write_lineage(r, is_copy, is_known, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(temporary) / sizeof(temporary[0]); i++) {
        publish_place_remove(&r->place, temporary[i]);
    }
    return hash_file_hex(r->model, r->sha256, e);
}

/* --- figures --- */

/* The model file of a version that is there. */
static int find_version(const struct request *q, const char *version, char out[PATH_MAX],
                        struct err *e)
{
    struct model_repo repo;
    struct model_files files;
    if (model_repo_open(&repo, q->repo, q->name, e) != 0) {
        return -1;
    }
    int rc = model_repo_locate(&repo, version, &files, e);
    if (rc == 0) {
        snprintf(out, PATH_MAX, "%s", files.path);
        model_files_deinit(&files);
    }
    model_repo_close(&repo);
    return rc == 0 ? 0 : err_prefix(e, "--baseline %s", version);
}

static int measure_baseline(struct run *r, struct err *e)
{
    char model[PATH_MAX], path[PATH_MAX];
    struct err unused;
    const struct request *q = r->request;
    if (find_version(q, r->baseline, model, e) != 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/%s/%s/" PUBLISH_EVAL_FILE, q->repo, q->name, r->baseline);
    cJSON *known = json_parse_file(path, TEXT_MAX, &unused);
    r->baseline_results = publish_eval_run(&r->place, model, &q->sets, known, e);
    cJSON_Delete(known);
    return r->baseline_results ? 0 : err_prefix(e, "baseline %s", r->baseline);
}

static int write_json(const struct run *r, const char *file, const cJSON *json, struct err *e)
{
    char *text = cJSON_Print(json);
    int rc = text ? publish_place_write(&r->place, file, text, strlen(text), e) : err_nomem(e);
    cJSON_free(text);
    return rc;
}

static int measure_suite(struct run *r, struct err *e)
{
    char baseline[PATH_MAX];
    const struct request *q = r->request;
    if (r->baseline && find_version(q, r->baseline, baseline, e) != 0) {
        return -1;
    }
    r->suite = publish_suite_run(&r->place, r->baseline ? baseline : NULL, r->model, q->suite,
                                 q->suite_limit, e);
    return r->suite ? publish_suite_compare(r->suite, q->max_loss, e) : -1;
}

static int measure(struct run *r, struct err *e)
{
    const struct request *q = r->request;
    r->results = publish_eval_run(&r->place, r->model, &q->sets, NULL, e);
    if (!r->results) {
        return -1;
    }
    if (q->sets.count > 0 && write_json(r, PUBLISH_EVAL_FILE, r->results, e) != 0) {
        return -1;
    }
    if (q->sets.count > 0 && r->baseline &&
        (measure_baseline(r, e) != 0 ||
         publish_eval_compare(r->baseline_results, r->results, q->max_loss, q->max_skill_loss,
                              e) != 0)) {
        return -1;
    }
    if (q->suite && measure_suite(r, e) != 0) {
        return -1;
    }
    return q->report ? publish_place_copy(&r->place, q->report, REPORT_FILE, e) : 0;
}

/* --- model.json --- */

static int set(cJSON *object, const char *name, cJSON *value, struct err *e)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (!value || !cJSON_AddItemToObject(object, name, value)) {
        cJSON_Delete(value);
        return err_nomem(e);
    }
    return 0;
}

static int set_text(cJSON *object, const char *name, const char *text, struct err *e)
{
    return text ? set(object, name, cJSON_CreateString(text), e) : 0;
}

/* A golden prompt, the loss and the speed; what --manifest has beside them stays. */
static int set_gate(const struct run *r, cJSON *manifest, struct err *e)
{
    const struct request *q = r->request;
    cJSON *gate = cJSON_GetObjectItemCaseSensitive(manifest, "gate");
    if (!gate) {
        gate = cJSON_CreateObject();
        if (set(manifest, "gate", gate, e) != 0) {
            return -1;
        }
    }
    int rc = 0;
    if (cJSON_GetArraySize(r->golden) > 0) {
        rc = set(gate, "golden", cJSON_Duplicate(r->golden, true), e);
    }
    if (rc == 0 && q->loss_text) {
        cJSON *loss = cJSON_CreateObject();
        cJSON_AddStringToObject(loss, "file", LOSS_FILE);
        cJSON_AddNumberToObject(loss, "max_increase", q->max_increase);
        rc = set(gate, "loss", loss, e);
    }
    if (rc == 0 && q->min_speed > 0) {
        cJSON *speed = cJSON_CreateObject();
        cJSON_AddNumberToObject(speed, "min_ratio", q->min_speed);
        rc = set(gate, "speed", speed, e);
    }
    if (rc == 0 && !gate->child) {
        cJSON_DeleteItemFromObjectCaseSensitive(manifest, "gate");
    }
    return rc;
}

static int fill_manifest(const struct run *r, cJSON *manifest, struct err *e)
{
    const struct request *q = r->request;
    if (set_text(manifest, "file", PUBLISH_MODEL_FILE, e) != 0 ||
        set_text(manifest, "sha256", r->sha256, e) != 0 ||
        set_text(manifest, "card", CARD_FILE, e) != 0 ||
        set_text(manifest, "note", q->note, e) != 0 ||
        set_text(manifest, "cutoff", q->cutoff, e) != 0) {
        return -1;
    }
    if (q->labels.count > 0 &&
        set(manifest, "labels",
            cJSON_CreateStringArray((const char *const *)q->labels.items, (int)q->labels.count),
            e) != 0) {
        return -1;
    }
    if (q->canary) {
        cJSON *canary = json_parse(q->canary, strlen(q->canary), e);
        if (!canary) {
            return err_prefix(e, "--canary");
        }
        if (set(manifest, "canary", canary, e) != 0) {
            return -1;
        }
    }
    return set_gate(r, manifest, e);
}

/* Read as a server will read it: a mistake is told now. */
static int check_manifest(const cJSON *manifest, struct err *e)
{
    char *text = cJSON_PrintUnformatted(manifest);
    struct model_manifest *m = text ? model_manifest_parse(text, strlen(text), e) : NULL;
    int rc = m ? 0 : text ? err_prefix(e, MODEL_MANIFEST_FILE) : err_nomem(e);
    model_manifest_free(m);
    cJSON_free(text);
    return rc;
}

static int write_manifest(const struct run *r, struct err *e)
{
    const char *own = r->request->manifest;
    cJSON *manifest =
        own ? json_parse_file(own, MODEL_MANIFEST_BYTES_MAX, e) : cJSON_CreateObject();
    int rc = manifest ? 0 : own ? -1 : err_nomem(e);
    if (rc == 0 && !cJSON_IsObject(manifest)) {
        rc = err_set(e, ERR_FORMAT, "%s: an object is wanted", own);
    }
    if (rc == 0) {
        rc = fill_manifest(r, manifest, e);
    }
    if (rc == 0) {
        rc = check_manifest(manifest, e);
    }
    if (rc == 0) {
        rc = write_json(r, MODEL_MANIFEST_FILE, manifest, e);
    }
    cJSON_Delete(manifest);
    return rc;
}

/* --- the rest --- */

static int record_golden(struct run *r, struct err *e)
{
    const struct request *q = r->request;
    const struct option_strings *from = q->golden.count > 0 ? &q->golden : &q->sets;
    size_t count = q->golden.count > 0 ? MODEL_GOLDEN_MAX : (size_t)q->golden_count;
    if (from->count == 0) {
        fprintf(stderr,
                "weir publish: no golden prompts are recorded: they are taken from --set "
                "or --golden\n");
    }
    r->golden = publish_golden_record(r->model, from, count, GOLDEN_TOKENS, e);
    return r->golden ? 0 : err_prefix(e, "golden prompts");
}

/* What the card calls the whole report. */
static const char *report_of(const struct request *q)
{
    return q->suite ? PUBLISH_REPORT_FOLDER "/report.md" : q->report ? REPORT_FILE : NULL;
}

static int write_card(const struct run *r, struct err *e)
{
    const struct request *q = r->request;
    size_t len = 0;
    char *notes = q->card_notes ? file_read(q->card_notes, TEXT_MAX, &len, e) : NULL;
    if (q->card_notes && !notes) {
        return -1;
    }
    bool is_compared = r->baseline_results || (r->suite && r->baseline);
    const struct publish_card card = {.name = q->name,
                                      .version = r->place.version,
                                      .file = PUBLISH_MODEL_FILE,
                                      .path = r->model,
                                      .sha256 = r->sha256,
                                      .description = q->description,
                                      .licence = q->licence,
                                      .cutoff = q->cutoff,
                                      .notes = notes,
                                      .report = report_of(q),
                                      .suite = r->suite,
                                      .biases = &q->biases,
                                      .limits = &q->limits,
                                      .lineage = r->lineage,
                                      .results = r->results,
                                      .baseline = is_compared ? r->baseline : NULL,
                                      .baseline_results = r->baseline_results,
                                      .template_path = q->card_template};
    struct buf text;
    buf_init(&text, TEXT_MAX);
    int rc = publish_card_write(&card, &text, e);
    if (rc == 0) {
        rc = publish_place_write(&r->place, CARD_FILE, text.data ? text.data : "", text.len, e);
    }
    buf_deinit(&text);
    mem_free(notes);
    return rc;
}

static void choose_baseline(struct run *r)
{
    const char *asked = r->request->baseline;
    if (asked && strcmp(asked, "none") == 0) {
        r->baseline = NULL;
    } else if (asked) {
        r->baseline = asked;
    } else {
        r->baseline = r->place.newest[0] ? r->place.newest : NULL;
    }
}

static int make_version(struct run *r, struct err *e)
{
    const struct request *q = r->request;
    choose_baseline(r);
    if (publish_place_path(&r->place, PUBLISH_MODEL_FILE, r->model, e) != 0 ||
        make_model(r, e) != 0 || measure(r, e) != 0 || record_golden(r, e) != 0) {
        return -1;
    }
    if (q->loss_text && publish_place_copy(&r->place, q->loss_text, LOSS_FILE, e) != 0) {
        return -1;
    }
    if (write_card(r, e) != 0 || write_manifest(r, e) != 0) {
        return -1;
    }
    return publish_place_commit(&r->place, e);
}

static int publish(const struct request *q, struct err *e)
{
    struct run r = {.request = q};
    if (publish_place_open(&r.place, q->repo, q->name, q->version, e) != 0) {
        return -1;
    }
    int rc = make_version(&r, e);
    if (rc == 0) {
        printf("%s/%s: published %s@%s (sha256 %.12s), %d golden prompts\n", r.place.folder,
               r.place.version, q->name, r.place.version, r.sha256,
               cJSON_GetArraySize(r.golden));
    }
    lineage_tree_close(r.lineage);
    cJSON_Delete(r.results);
    cJSON_Delete(r.baseline_results);
    cJSON_Delete(r.suite);
    cJSON_Delete(r.golden);
    publish_place_close(&r.place);
    return rc;
}

/* --- the command line --- */

static int check_request(const struct request *q, int positional, struct err *e)
{
    static const char *const types[] = {"q8_0", "packed", "f16", "f32", "keep"};
    if (positional != 1 || !q->repo || !q->name) {
        return err_set(e, ERR_INVALID, "a model, --repo DIR and --name NAME are needed");
    }
    bool is_known = !q->source.type;
    for (size_t i = 0; !is_known && i < sizeof(types) / sizeof(types[0]); i++) {
        is_known = strcmp(types[i], q->source.type) == 0;
    }
    if (!is_known) {
        return err_set(e, ERR_INVALID, "--type %s: q8_0, packed, f16, f32 and keep are known",
                       q->source.type);
    }
    if (!(q->max_loss >= 0) || !(q->max_increase >= 0) || !isfinite(q->min_speed)) {
        return err_set(e, ERR_INVALID,
                       "--max-loss, --max-increase and --min-speed are numbers from 0 on");
    }
    return 0;
}

int cli_publish(int argc, char **argv)
{
    struct request q = {
        .max_loss = 1, .max_skill_loss = -1, .max_increase = 0.02, .golden_count = 8};
    const struct option table[] = {
        {"repo", 0, OPTION_STRING, &q.repo, "DIR", "the model repository", 0, 0},
        {"name", 0, OPTION_STRING, &q.name, "NAME", "the model's name in it", 0, 0},
        {"version", 0, OPTION_STRING, &q.version, "V", "the new version's name (next number)",
         0, 0},
        {"type", 0, OPTION_STRING, &q.source.type, "TYPE",
         "q8_0, packed, f16, f32 or keep (q8_0 where matrices are wider)", 0, 0},
        {"vocab", 0, OPTION_STRING, &q.source.vocab, "FILE.gguf", "of a checkpoint", 0, 0},
        {"base", 0, OPTION_STRING, &q.source.base, "FILE.gguf", "the model of an adapter", 0,
         0},
        {"set", 0, OPTION_STRINGS, &q.sets, "FILE.jsonl",
         "questions as weir eval takes them; several times", 0, 0},
        {"suite", 0, OPTION_STRING, &q.suite, "PATH", "a suite as weir eval takes it", 0, 0},
        {"suite-limit", 0, OPTION_INT, &q.suite_limit, "N", "lines of each of its parts (all)",
         0, 1L << 30},
        {"report", 0, OPTION_STRING, &q.report, "FILE.json",
         "a report of weir eval to go with the version", 0, 0},
        {"baseline", 0, OPTION_STRING, &q.baseline, "V",
         "the version to compare with, or none (the newest)", 0, 0},
        {"max-loss", 0, OPTION_DOUBLE, &q.max_loss, "POINTS",
         "refuse if a set has more points fewer right than the baseline, or a measure of the "
         "suite is worse by more and that is no chance (1)",
         0, 0},
        {"max-skill-loss", 0, OPTION_DOUBLE, &q.max_skill_loss, "POINTS",
         "the same of each skill (any)", 0, 0},
        {"golden", 0, OPTION_STRINGS, &q.golden, "FILE.jsonl",
         "golden prompts, a line each: {\"messages\"} or {\"prompt\"} (some of the sets)", 0,
         0},
        {"golden-count", 0, OPTION_INT, &q.golden_count, "N",
         "so many are taken from the sets (8)", 0, MODEL_GOLDEN_MAX},
        {"loss-text", 0, OPTION_STRING, &q.loss_text, "FILE.txt",
         "the gate's text for the loss", 0, 0},
        {"max-increase", 0, OPTION_DOUBLE, &q.max_increase, "X",
         "of the loss, as a share of the serving version's (0.02)", 0, 0},
        {"min-speed", 0, OPTION_DOUBLE, &q.min_speed, "X",
         "the gate's share of the serving version's speed (not asked)", 0, 0},
        {"canary", 0, OPTION_STRING, &q.canary, "JSON", "a canary as in model.json", 0, 0},
        {"label", 0, OPTION_STRINGS, &q.labels, "LABEL", "as in model.json; several times", 0,
         0},
        {"note", 0, OPTION_STRING, &q.note, "TEXT", "as in model.json", 0, 0},
        {"manifest", 0, OPTION_STRING, &q.manifest, "FILE.json",
         "a model.json to begin with: defaults, limits, gate.filters", 0, 0},
        {"cutoff", 0, OPTION_STRING, &q.cutoff, "DATE",
         "when its knowledge ends: YYYY, YYYY-MM or YYYY-MM-DD", 0, 0},
        {"description", 0, OPTION_STRING, &q.description, "TEXT", "for the card", 0, 0},
        {"licence", 0, OPTION_STRING, &q.licence, "TEXT", "for the card", 0, 0},
        {"bias", 0, OPTION_STRINGS, &q.biases, "TEXT", "a known bias; several times", 0, 0},
        {"limit", 0, OPTION_STRINGS, &q.limits, "TEXT", "a known limit; several times", 0, 0},
        {"card-notes", 0, OPTION_STRING, &q.card_notes, "FILE.md",
         "Markdown for the end of the card", 0, 0},
        {"card-template", 0, OPTION_STRING, &q.card_template, "FILE.jinja",
         "in place of the program's own", 0, 0},
        {"allow-broken-lineage", 0, OPTION_FLAG, &q.allows_broken_lineage, NULL,
         "publish a model whose chain is not known or does not hold", 0, 0},
        {0},
    };
    const struct options options = {
        .usage = "weir publish MODEL --repo DIR --name NAME [options]",
        .summary = "Puts a model (a GGUF file, a folder of safetensors, a checkpoint or an "
                   "adapter) as a new version into a model repository, with its figures, card, "
                   "gate and lineage. A server on the repository takes it up through its gate.",
        .table = table,
    };
    struct err e = {0};
    int positional = 0;
    int status = cli_options(&options, argc, argv, &positional);
    if (status >= 0) {
        return status;
    }
    if (check_request(&q, positional, &e) != 0) {
        fprintf(stderr, "weir publish: %s\nusage: %s\n", e.message, options.usage);
        return 2;
    }
    q.source.model = argv[1];
    q.source.name = q.name;
    return publish(&q, &e) == 0 ? 0 : cli_fail("publish", &e);
}
