/* model.json: what is read, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/registry/model_manifest.h"

static struct model_manifest *parse(const char *text, struct err *e)
{
    *e = (struct err){0};
    return model_manifest_parse(text, strlen(text), e);
}

static void an_empty_document_sets_nothing(void **state)
{
    (void)state;
    struct err e;
    struct model_manifest *m = parse("{}", &e);
    assert_non_null(m);
    assert_null(m->file);
    assert_null(m->sha256);
    assert_int_equal(m->defaults.set, 0);
    assert_int_equal(m->n_golden, 0);
    assert_false(m->has_canary);
    model_manifest_free(m);
    model_manifest_free(NULL);
}

static void everything_is_read(void **state)
{
    (void)state;
    struct err e;
    struct model_manifest *m = parse(
        "{\"file\":\"m.gguf\","
        "\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
        "\"template\":\"t.jinja\",\"defaults\":{\"temperature\":0.5,\"top_k\":7,"
        "\"max_tokens\":9},\"limits\":{\"context\":512,\"max_tokens\":100},"
        "\"adapters\":{\"one\":\"a.gguf\",\"two\":\"b.gguf\"},"
        "\"labels\":[\"stable\",\"v1\"],\"deprecated\":\"2027-01-31\",\"note\":\"n\","
        "\"cutoff\":\"2026-01\",\"card\":\"card.md\","
        "\"gate\":{\"golden\":[{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
        "\"text\":\"Hello\",\"tokens\":[1,2,3],\"max_tokens\":5},"
        "{\"prompt\":\"Once\",\"tokens\":[]}],"
        "\"loss\":{\"file\":\"l.txt\",\"max_increase\":0.25},\"speed\":{\"min_ratio\":0.5}},"
        "\"canary\":{\"percent\":25,\"on_undecided\":\"keep\"}}",
        &e);
    assert_non_null(m);
    assert_string_equal(m->file, "m.gguf");
    assert_string_equal(m->template_file, "t.jinja");
    assert_int_equal(m->defaults.set, 1u << MODEL_DEFAULT_TEMPERATURE |
                                          1u << MODEL_DEFAULT_TOP_K |
                                          1u << MODEL_DEFAULT_MAX_TOKENS);
    assert_true(m->defaults.values[MODEL_DEFAULT_TEMPERATURE] == 0.5);
    assert_true(m->defaults.values[MODEL_DEFAULT_TOP_K] == 7);
    assert_int_equal(m->max_context, 512);
    assert_int_equal(m->max_tokens, 100);
    assert_true(m->has_canary);
    assert_int_equal(m->canary.steps[0], 25);
    assert_int_equal(m->canary.min_answers, canary_plan_default().min_answers);
    assert_true(model_manifest_has_label(m, "v1"));
    assert_false(model_manifest_has_label(m, "v2"));
    assert_string_equal(m->deprecated, "2027-01-31");
    assert_string_equal(m->cutoff, "2026-01");
    assert_string_equal(m->card_file, "card.md");
    assert_int_equal(m->n_adapters, 2);
    assert_string_equal(m->adapters[1].name, "two");
    assert_string_equal(m->adapters[1].file, "b.gguf");
    assert_int_equal(m->n_golden, 2);
    assert_int_equal(m->golden[0].question.n_turns, 1);
    assert_string_equal(m->golden[0].question.turns[0].content, "Hi");
    assert_string_equal(m->golden[0].text, "Hello");
    assert_int_equal(m->golden[0].n_tokens, 3);
    assert_int_equal(m->golden[0].tokens[2], 3);
    assert_int_equal(m->golden[0].question.max_tokens, 5);
    assert_string_equal(m->golden[1].question.prompt, "Once");
    assert_true(m->golden[1].has_tokens);
    assert_string_equal(m->loss_file, "l.txt");
    assert_true(m->loss_max_increase == 0.25);
    assert_true(m->speed_min_ratio == 0.5);
    model_manifest_free(m);
}

#define FILTERS(value) "{\"gate\":{\"filters\":" value "}}"

static void a_set_for_filters_is_read(void **state)
{
    (void)state;
    struct err e;
    struct model_manifest *m =
        parse(FILTERS("{\"prompts\":[{\"prompt\":\"a\",\"verdict\":\"stop\",\"seed\":5,"
                      "\"temperature\":0.5,\"max_tokens\":7},{\"messages\":[{\"role\":"
                      "\"user\",\"content\":\"b\"}]}],\"chain\":\"strict\","
                      "\"flagged_from\":\"replace\",\"max_flagged\":0,\"max_more\":3}"),
              &e);
    assert_non_null(m);
    const struct model_filter_gate *gate = &m->filters;
    assert_int_equal(gate->n_prompts, 2);
    assert_string_equal(gate->chain, "strict");
    assert_int_equal(gate->flagged_from, MODEL_VERDICT_REPLACE);
    assert_int_equal(gate->max_flagged, 0);
    assert_int_equal(gate->max_more, 3);
    assert_true(gate->prompts[0].has_verdict);
    assert_int_equal(gate->prompts[0].verdict, MODEL_VERDICT_STOP);
    assert_int_equal(gate->prompts[0].seed, 5);
    assert_true(gate->prompts[0].temperature == 0.5);
    assert_int_equal(gate->prompts[0].question.max_tokens, 7);
    assert_false(gate->prompts[1].has_verdict);
    assert_int_equal(gate->prompts[1].question.n_turns, 1);
    model_manifest_free(m);

    m = parse(FILTERS("{\"prompts\":[{\"prompt\":\"a\",\"verdict\":\"pass\"}]}"), &e);
    assert_non_null(m);
    assert_null(m->filters.chain);
    assert_int_equal(m->filters.flagged_from, MODEL_VERDICT_NOTE);
    assert_int_equal(m->filters.max_flagged, -1);
    assert_int_equal(m->filters.max_more, -1);
    model_manifest_free(m);
}

/* What is wrong, and the field that is named. */
static const struct {
    const char *text;
    const char *param;
} refused[] = {
    {"{\"fil\":\"m\"}", "fil"},
    {"{\"file\":1}", "file"},
    {"{\"file\":\"../m.gguf\"}", "file"},
    {"{\"file\":\".m.gguf\"}", "file"},
    {"{\"file\":\"\"}", "file"},
    {"{\"note\":\"a\",\"note\":\"b\"}", "note"},
    {"{\"sha256\":\"abc\"}", "sha256"},
    {"{\"sha256\":"
     "\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"}",
     "sha256"},
    {"{\"template\":\"a/b\"}", "template"},
    {"{\"defaults\":[]}", "defaults"},
    {"{\"defaults\":{\"temperature\":3}}", "defaults.temperature"},
    {"{\"defaults\":{\"seed\":3}}", "defaults.seed"},
    {"{\"defaults\":{\"top_k\":1.5}}", "defaults.top_k"},
    {"{\"limits\":{\"context\":1}}", "limits.context"},
    {"{\"limits\":{\"tokens\":1}}", "limits.tokens"},
    {"{\"labels\":\"stable\"}", "labels"},
    {"{\"any_base\":\"yes\"}", "any_base"},
    {"{\"adapters\":[\"a.gguf\"]}", "adapters"},
    {"{\"adapters\":{\"a\":1}}", "adapters.a"},
    {"{\"adapters\":{\"a/b\":\"a.gguf\"}}", "adapters.a/b"},
    {"{\"adapters\":{\"a\":\"../a.gguf\"}}", "adapters.a"},
    {"{\"adapters\":{\"a\":\"a.gguf\",\"a\":\"b.gguf\"}}", "adapters.a"},
    {"{\"labels\":[\"a\",\"not one\"]}", "labels[1]"},
    {"{\"deprecated\":\"soon\"}", "deprecated"},
    {"{\"deprecated\":\"2027-13-01\"}", "deprecated"},
    {"{\"deprecated\":\"2027-1-01 \"}", "deprecated"},
    {"{\"cutoff\":\"last year\"}", "cutoff"},
    {"{\"cutoff\":\"2026-\"}", "cutoff"},
    {"{\"cutoff\":\"2026-13\"}", "cutoff"},
    {"{\"cutoff\":2026}", "cutoff"},
    {"{\"card\":\"../card.md\"}", "card"},
    {"{\"gate\":{\"golden\":[]}}", "gate.golden"},
    {"{\"gate\":{\"golden\":[{\"text\":\"a\"}]}}", "gate.golden[0]"},
    {"{\"gate\":{\"golden\":[{\"prompt\":\"a\"}]}}", "gate.golden[0]"},
    {"{\"gate\":{\"golden\":[{\"prompt\":\"a\",\"text\":\"b\",\"messages\":[{\"role\":\"user\","
     "\"content\":\"c\"}]}]}}",
     "gate.golden[0]"},
    {"{\"gate\":{\"golden\":[{\"prompt\":\"a\",\"text\":\"b\"},{\"prompt\":\"a\",\"txt\":"
     "\"b\"}]}}",
     "gate.golden[1].txt"},
    {"{\"gate\":{\"golden\":[{\"messages\":[{\"role\":\"user\"}],\"text\":\"b\"}]}}",
     "gate.golden[0].messages[0]"},
    {"{\"gate\":{\"golden\":[{\"prompt\":\"a\",\"tokens\":[-1]}]}}", "gate.golden[0].tokens"},
    {"{\"gate\":{\"golden\":[{\"prompt\":\"a\",\"text\":\"b\",\"max_tokens\":0}]}}",
     "gate.golden[0].max_tokens"},
    {FILTERS("{}"), "gate.filters"},
    {FILTERS("{\"max_flagged\":0}"), "gate.filters"},
    {FILTERS("{\"prompts\":[]}"), "gate.filters.prompts"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\"}]}"), "gate.filters"},
    {FILTERS("{\"prompts\":[{}],\"max_flagged\":0}"), "gate.filters.prompts[0]"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\",\"verdict\":\"block\"}]}"),
     "gate.filters.prompts[0].verdict"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\",\"text\":\"b\"}]}"),
     "gate.filters.prompts[0].text"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\",\"temperature\":3}]}"),
     "gate.filters.prompts[0].temperature"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\",\"seed\":-1}]}"), "gate.filters.prompts[0].seed"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\"}],\"max_flagged\":-1}"),
     "gate.filters.max_flagged"},
    {FILTERS("{\"prompts\":[{\"prompt\":\"a\"}],\"max_more\":1.5}"), "gate.filters.max_more"},
    {FILTERS("{\"flagged_from\":\"pass\"}"), "gate.filters.flagged_from"},
    {FILTERS("{\"chain\":\"a b\"}"), "gate.filters.chain"},
    {"{\"gate\":{\"loss\":{\"file\":\"a\"}}}", "gate.loss"},
    {"{\"gate\":{\"loss\":{\"file\":\"a\",\"max_increase\":-1}}}", "gate.loss.max_increase"},
    {"{\"gate\":{\"speed\":{}}}", "gate.speed"},
    {"{\"gate\":{\"goldn\":[]}}", "gate.goldn"},
    {"{\"canary\":true}", "canary"},
    {"{\"canary\":{\"share\":10}}", "canary.share"},
    {"{\"canary\":{\"margins\":{\"errors\":0.1}}}", "canary.margins.errors"},
};

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct err e;
        assert_null(parse(refused[i].text, &e));
        assert_string_equal(e.param, refused[i].param);
        assert_non_null(strstr(e.message, refused[i].param));
    }
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    struct err e;
    assert_null(parse("[]", &e));
    assert_int_equal(e.kind, ERR_FORMAT);
    assert_null(parse("{\"file\":", &e));
    assert_null(parse("", &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_document_sets_nothing),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(a_set_for_filters_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(what_is_no_object_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
