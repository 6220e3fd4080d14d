/* The filter "json": which values it hides, that documents stay JSON, and that it minds no cut.
 * The oracle writes a document and what should become of it side by side, knowing where it
 * stands, so that it needs no reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "filters/json_reader.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "tests/unit/filters/single.h"

/* ---- examples ---- */

static const char secret[] = "\"type\":\"json\",\"paths\":[\"password\",\"token\"]";

static void values_are_hidden_and_keep_their_type(void **state)
{
    (void)state;
    single_expect(secret, "{\"user\": \"ann\", \"password\": \"hunter2\", \"n\": 1}",
                  "{\"user\": \"ann\", \"password\": \"***\", \"n\": 1}",
                  "replace 0/json content#0 28-29 @28 json: paths[0]\n");
    single_expect(secret, "{\"token\":-12.5e+3,\"password\":true ,\"x\":true}",
                  "{\"token\":0,\"password\":false ,\"x\":true}", NULL);
    single_expect(secret, "{\"token\":null,\"password\":\"\"}",
                  "{\"token\":null,\"password\":\"***\"}", NULL);
    single_expect(secret, "{\"token\":[1,\"a\",{\"b\":[false,\"c\"]}],\"d\":\"e\"}",
                  "{\"token\":[0,\"***\",{\"b\":[false,\"***\"]}],\"d\":\"e\"}", NULL);
    single_expect(secret, "[{\"token\":1},{\"token\":2,\"token\":3}]",
                  "[{\"token\":0},{\"token\":0,\"token\":0}]", NULL);
}

static void names_are_compared_as_they_read(void **state)
{
    (void)state;
    single_expect(secret, "{\"p\\u0061ssword\":\"a\",\"PassWord\":\"b\",\"passwords\":\"c\"}",
                  "{\"p\\u0061ssword\":\"***\",\"PassWord\":\"***\",\"passwords\":\"c\"}",
                  NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"token\"],\"case_sensitive\":true",
                  "{\"Token\":\"a\",\"token\":\"b\"}", "{\"Token\":\"a\",\"token\":\"***\"}",
                  NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"\xF0\x9F\x99\x82\"]",
                  "{\"\\ud83d\\ude42\":1,\"\\ud83d\":2,\"\\ude42\":3}",
                  "{\"\\ud83d\\ude42\":0,\"\\ud83d\":2,\"\\ude42\":3}", NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"a\\\\.b\",\"\\\\*\"]",
                  "{\"a.b\":1,\"a\":{\"b\":2},\"*\":3}", "{\"a.b\":0,\"a\":{\"b\":2},\"*\":0}",
                  NULL);
}

static void paths_say_where(void **state)
{
    (void)state;
    const char *in = "{\"a\":{\"b\":1,\"c\":{\"b\":2}},\"b\":3,\"l\":[{\"b\":4},{\"b\":5}]}";
    single_expect("\"type\":\"json\",\"paths\":[\"$.a.b\"]", in,
                  "{\"a\":{\"b\":0,\"c\":{\"b\":2}},\"b\":3,\"l\":[{\"b\":4},{\"b\":5}]}",
                  NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"a.*.b\"]", in,
                  "{\"a\":{\"b\":1,\"c\":{\"b\":0}},\"b\":3,\"l\":[{\"b\":4},{\"b\":5}]}",
                  NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"$.l.1.b\",\"$.b\"]", in,
                  "{\"a\":{\"b\":1,\"c\":{\"b\":2}},\"b\":0,\"l\":[{\"b\":4},{\"b\":0}]}",
                  NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"*.b\"]", in,
                  "{\"a\":{\"b\":0,\"c\":{\"b\":0}},\"b\":3,\"l\":[{\"b\":0},{\"b\":0}]}",
                  NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"$\"]", "[1,{\"a\":\"b\"}]",
                  "[0,{\"a\":\"***\"}]", NULL);
}

static void masks_stand_for_characters(void **state)
{
    (void)state;
    single_expect("\"type\":\"json\",\"paths\":[\"a\"],\"action\":\"mask\"",
                  "{\"a\":\"x\xC3\xA9\\n\\u00e9\\ud83d\\ude42\\\"\",\"b\":\"x\",\"a\":17}",
                  "{\"a\":\"******\",\"b\":\"x\",\"a\":0}", NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"a\"],\"action\":\"mask\",\"mask\":\"\\\"\"",
                  "{\"a\":\"xy\"}", "{\"a\":\"\\\"\\\"\"}", NULL);
}

static void what_is_put_in_is_escaped(void **state)
{
    (void)state;
    single_expect("\"type\":\"json\",\"paths\":[\"a\"],\"replacement\":\"<\\\"\\\\\\n>\"",
                  "{\"a\":\"b\"}", "{\"a\":\"<\\\"\\\\\\u000a>\"}", NULL);
}

static void a_stop_comes_before_the_value_and_a_note_changes_nothing(void **state)
{
    (void)state;
    single_expect("\"type\":\"json\",\"paths\":[\"a\"],\"action\":\"stop\"",
                  "{\"b\":1,\"a\": \"x\"}",
                  "{\"b\":1,\"a\": ", "stop 0/json content#0 12-13 @12 json: paths[0]\n");
    single_expect("\"type\":\"json\",\"paths\":[\"b\",\"a\"],\"action\":\"note\"",
                  "{\"b\":1,\"a\": \"x\"}", "{\"b\":1,\"a\": \"x\"}",
                  "note 0/json content#0 5-6 @5 json: paths[0]\n"
                  "note 0/json content#0 12-13 @12 json: paths[1]\n");
}

static void documents_are_found_in_other_text(void **state)
{
    (void)state;
    single_expect(
        secret,
        "Here [you] are:\n```json\n{\"token\":\"x\"}\n```\n\"token\":\"y\" {\"token\":2}",
        "Here [you] are:\n```json\n{\"token\":\"***\"}\n```\n\"token\":\"y\" "
        "{\"token\":0}",
        NULL);
    single_expect("\"type\":\"json\",\"paths\":[\"$.a\"]", ":-{ so {\"a\":1} and [1 {\"a\":1}",
                  ":-{ so {\"a\":0} and [1 {\"a\":0}", NULL);
}

static void text_that_is_nearly_json_is_read_as_it_is_meant(void **state)
{
    (void)state;
    single_expect(secret, "{token: hunter2, \"x\": y \"token\": \"a\" , 'x': 3,}",
                  "{token: \"***\", \"x\": y \"token\": \"***\" , 'x': 3,}", NULL);
    single_expect(secret, "{\"token\": NaN}{\"token\": 12a, \"b\":1]",
                  "{\"token\": \"***\"}{\"token\": 0, \"b\":1]", NULL);
    single_expect(secret, "{\"token\":\"a\nb\\q\\u12\",\"b\":\"c\"}",
                  "{\"token\":\"***\",\"b\":\"c\"}", NULL);
}

static void a_text_that_ends_early_ends_early(void **state)
{
    (void)state;
    single_expect(secret, "{\"token\":\"abc", "{\"token\":\"***", NULL);
    single_expect(secret, "{\"token\":12", "{\"token\":0", NULL);
    single_expect(secret, "{\"token\"", "{\"token\"", NULL);
}

static void nothing_is_held(void **state)
{
    (void)state;
    trace_expect_releases(single_chain(secret), "{\"token\":\"ab\",\"b\":12}",
                          "{|\"|t|o|k|e|n|\"|:|\"***|||\"|,|\"|b|\"|:|1|2|}|");
}

static const char quoting[] = "\"type\":\"json\",\"invalid\":\"quote\"";

static void words_become_strings(void **state)
{
    (void)state;
    single_expect(quoting, "{\"card\": ****-1, \"a\": [12.5, true, None, nul, 1.], \"b\": -}",
                  "{\"card\": \"****-1\", \"a\": [12.5, true, \"None\", \"nul\", \"1.\"], "
                  "\"b\": \"-\"}",
                  "replace 0/json content#0 9-15 @9 json: quoted\n"
                  "replace 0/json content#0 35-39 @37 json: quoted\n"
                  "replace 0/json content#0 41-44 @45 json: quoted\n"
                  "replace 0/json content#0 46-48 @52 json: quoted\n"
                  "replace 0/json content#0 56-57 @64 json: quoted\n");
    single_expect(quoting, "{\"a\": x\\y", "{\"a\": \"x\\\\y\"", NULL);
    single_expect(quoting, "See [this one](link): {\"a\": b}",
                  "See [this one](link): {\"a\": b}", "");
    trace_expect_releases(single_chain(quoting), "[12,ab]", "[|||12,|||\"ab\"]|");
}

static void numbers_that_another_filter_masks_leave_json(void **state)
{
    (void)state;
    struct chain *chain =
        trace_chain("{\"name\":\"t\",\"filters\":[{\"type\":\"pii\",\"rules\":[\"card\"]},"
                    "{\"type\":\"json\",\"invalid\":\"quote\"}]}",
                    NULL);
    struct trace trace;
    trace_run_text(&trace, chain, "{\"card\": 4111111111111111, \"b\": \"4111111111111111\"}",
                   TRACE_CHARACTERS, NULL);
    assert_string_equal(trace_string(&trace.text[FILTER_CONTENT]),
                        "{\"card\": [\"card\"], \"b\": \"[card]\"}");
    trace_deinit(&trace);
    chain_unref(chain);
}

static const char strict[] = "\"type\":\"json\",\"invalid\":\"stop\"";

static void text_that_is_not_json_is_stopped(void **state)
{
    (void)state;
    single_expect(strict, " {\"a\": [1, 2.5e-3, \"\\u00e9\"]}\n",
                  " {\"a\": [1, 2.5e-3, \"\\u00e9\"]}\n", "");
    single_expect(strict, "[1,]", "[1,",
                  "stop 0/json content#0 3-4 @3 json: the text is not JSON\n");
    single_expect(strict, "{} Sure!", "{} ", NULL);
    single_expect(strict, "Sure: {}", "", NULL);
    single_expect(strict, "{\"a\" 1}", "{\"a\" ", NULL);
    single_expect(strict, "[01]", "[0", NULL);
    single_expect(strict, "[tru]", "[tru", NULL);
}

static void settings_that_can_not_work_are_refused(void **state)
{
    (void)state;
    single_expect_refused("\"type\":\"json\"", "filters[0].paths: must name at least one");
    single_expect_refused("\"type\":\"json\",\"paths\":[\"a..b\"]",
                          "filters[0].paths[0]: has an empty name in it");
    single_expect_refused("\"type\":\"json\",\"paths\":[\"a.\"]", "has an empty name");
    single_expect_refused("\"type\":\"json\",\"paths\":[\"a\"],\"mask\":\"#\"",
                          "is of no use unless \"action\" is \"mask\"");
    single_expect_refused("\"type\":\"json\",\"invalid\":\"stop\",\"action\":\"note\"",
                          "is of no use unless there are paths");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    for (int depth = 128; depth <= 129; depth++) {
        struct chain *chain = single_chain(secret);
        struct buf text, out;
        buf_init(&text, 1000);
        buf_init(&out, 1000);
        for (int i = 0; i < depth; i++) {
            buf_append_char(&text, '[');
        }
        struct chain_sink sink = chain_sink_buf(&out);
        struct err e;
        struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
        int status = chain_feed(stream, FILTER_CONTENT, text.data, text.len, &sink, &e);
        assert_int_equal(status, depth > 128 ? CHAIN_STOPPED : CHAIN_GOES_ON);
        chain_stream_destroy(stream);
        chain_unref(chain);
        buf_deinit(&text);
        buf_deinit(&out);
    }
}

/* Each allocation fails in turn. Not having memory is an error and no verdict of the filter, or
 * makes it fail, which stops the text; nothing is left over. */
static void want_of_memory_is_told(void **state)
{
    (void)state;
    static const char json[] =
        "{\"name\":\"t\",\"filters\":[{\"type\":\"json\",\"paths\":[\"a.b\",\"c\"]},"
        "{\"type\":\"wordlist\",\"words\":[\"one two\",\"+\"]}]}";
    static const char text[] = "Text with enough of it to be skipped. {\"c\":\"d\"}";
    size_t live = mem_live();
    bool has_failed = true;
    for (size_t nth = 1; has_failed; nth++) {
        struct err e = {0};
        struct buf out;
        buf_init(&out, 1000);
        mem_fail_at(nth);
        struct chain *chain = chain_from_json(json, strlen(json), NULL, &e);
        struct chain_stream *stream =
            chain ? chain_stream_create(chain, FILTER_OUTPUT, &e) : NULL;
        struct chain_sink sink = chain_sink_buf(&out);
        int status =
            stream ? chain_feed(stream, FILTER_CONTENT, text, strlen(text), &sink, &e) : -1;
        status = status == 0 ? chain_finish(stream, &sink, &e) : status;
        has_failed = mem_fail_reached();
        mem_fail_at(0);
        if (status == CHAIN_GOES_ON) {
            assert_false(has_failed);
            assert_string_equal(out.data,
                                "Text with enough of it to be skipped. {\"c\":\"***\"}");
        }
        chain_stream_destroy(stream);
        chain_unref(chain);
        buf_deinit(&out);
        assert_int_equal(mem_live(), live);
    }
}

/* ---- against the oracle ---- */

static const char *const names[] = {"a", "b", "c", "\xC3\xA9", "x.y"};
static const char *const written[] = {"\"a\"", "\"\\u0062\"", "\"c\"", "\"\\u00E9\"",
                                      "\"x.y\""};
static const char *const path_names[] = {"a", "b", "c", "\xC3\xA9", "x\\\\.y", "*", "0", "1"};

struct oracle_path {
    bool is_rooted;
    int count;
    int names[3]; /* in path_names */
};

/* A document and what should become of it. */
struct writer {
    struct rng rng;
    struct buf in, wanted;
    struct oracle_path paths[3];
    int path_count;
    bool is_mask;
    const char *stack[16]; /* names on the way to the value */
    int depth;
    int hidden;
};

static bool is_same_name(int in_path, const char *name)
{
    const char *wanted = in_path == 4 ? "x.y" : path_names[in_path];
    return strcmp(wanted, "*") == 0 || strcmp(wanted, name) == 0;
}

static bool is_way(const struct oracle_path *path, const struct writer *w, int depth)
{
    int skipped = depth - path->count;
    if (skipped < 0 || (path->is_rooted && skipped > 0)) {
        return false;
    }
    for (int i = 0; i < path->count; i++) {
        if (!is_same_name(path->names[i], w->stack[skipped + i])) {
            return false;
        }
    }
    return true;
}

static bool is_meant(const struct writer *w)
{
    for (int i = 0; i < w->path_count; i++) {
        for (int depth = 0; depth <= w->depth; depth++) {
            if (is_way(&w->paths[i], w, depth)) {
                return true;
            }
        }
    }
    return false;
}

static void put(struct writer *w, const char *text)
{
    buf_append_str(&w->in, text);
    buf_append_str(&w->wanted, text);
}

static void put_blank(struct writer *w)
{
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t \r\n"};
    put(w, blanks[rng_below(&w->rng, 6)]);
}

static void put_string(struct writer *w)
{
    static const char *const pieces[] = {"a", "\xC3\xA9", "\\\"",           "\\\\", "{",
                                         "]", "\\u0041",  "\\ud83d\\ude42", "a:,",  "\\/"};
    static const int characters[] = {1, 1, 1, 1, 1, 1, 1, 1, 3, 1};
    bool hides = is_meant(w);
    put(w, "\"");
    for (uint32_t n = rng_below(&w->rng, 5); n > 0; n--) {
        uint32_t piece = rng_below(&w->rng, 10);
        buf_append_str(&w->in, pieces[piece]);
        for (int i = 0; hides && w->is_mask && i < characters[piece]; i++) {
            buf_append_str(&w->wanted, "\xE2\x96\x88");
        }
        buf_append_str(&w->wanted, hides ? "" : pieces[piece]);
    }
    buf_append_str(&w->wanted, hides && !w->is_mask ? "<\\\">" : "");
    put(w, "\"");
    w->hidden += hides;
}

static void put_scalar(struct writer *w)
{
    static const char *const values[] = {"0", "-1.5e+10", "42", "true", "false", "null"};
    static const char *const hidden[] = {"0", "0", "0", "false", "false", "null"};
    bool hides = is_meant(w);
    uint32_t i = rng_below(&w->rng, 6);
    buf_append_str(&w->in, values[i]);
    buf_append_str(&w->wanted, hides ? hidden[i] : values[i]);
    w->hidden += hides;
}

static void put_value(struct writer *w)
{
    static const char *const places[] = {"0", "1", "2", "3", "4"};
    uint32_t kind = rng_below(&w->rng, w->depth == 0 ? 2 : w->depth > 5 ? 2 : 4);
    kind += w->depth > 5 ? 2 : 0;
    if (kind >= 2) {
        (kind == 2 ? put_string : put_scalar)(w);
        return;
    }
    put(w, kind == 0 ? "{" : "[");
    put_blank(w);
    uint32_t count = rng_below(&w->rng, 5);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t name = rng_below(&w->rng, 5);
        put(w, i > 0 ? "," : "");
        put_blank(w);
        if (kind == 0) {
            put(w, written[name]);
            put_blank(w);
            put(w, ":");
            put_blank(w);
        }
        w->stack[w->depth++] = kind == 0 ? names[name] : places[i];
        put_value(w);
        w->depth--;
        put_blank(w);
    }
    put(w, kind == 0 ? "}" : "]");
}

static void make_paths(struct writer *w, struct buf *settings)
{
    w->path_count = 1 + (int)rng_below(&w->rng, 3);
    buf_append_str(settings, "{\"name\":\"t\",\"filters\":[{\"type\":\"json\",\"paths\":[");
    for (int i = 0; i < w->path_count; i++) {
        struct oracle_path *path = &w->paths[i];
        path->is_rooted = rng_below(&w->rng, 2);
        path->count = 1 + (int)rng_below(&w->rng, 3);
        buf_append_str(settings, i > 0 ? ",\"" : "\"");
        buf_append_str(settings, path->is_rooted ? "$." : "");
        for (int n = 0; n < path->count; n++) {
            path->names[n] = (int)rng_below(&w->rng, 8);
            buf_append_str(settings, n > 0 ? "." : "");
            buf_append_str(settings, path_names[path->names[n]]);
        }
        buf_append_str(settings, "\"");
    }
    static const char *const invalid[] = {"pass", "quote", "stop"};
    w->is_mask = rng_below(&w->rng, 2);
    buf_printf(settings, "],\"invalid\":\"%s\",%s}]}", invalid[rng_below(&w->rng, 3)],
               w->is_mask ? "\"action\":\"mask\",\"mask\":\"\xE2\x96\x88\""
                          : "\"action\":\"replace\",\"replacement\":\"<\\\">\"");
}

static void release_in_pieces(struct writer *w, struct chain *chain, const struct buf *settings)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    struct chain_sink sink = chain_sink_buf(&out);
    struct err e;
    struct chain_stream *stream = chain_stream_create(chain, FILTER_OUTPUT, &e);
    uint32_t longest = rng_below(&w->rng, 2) ? 1 + rng_below(&w->rng, 4) : 4096;
    for (size_t at = 0; at < w->in.len;) {
        size_t left = w->in.len - at;
        size_t n = 1 + rng_below(&w->rng, longest);
        n = n < left ? n : left;
        n += utf8_incomplete_tail(w->in.data + at, n) > 0;
        assert_int_equal(chain_feed(stream, FILTER_CONTENT, w->in.data + at, n, &sink, &e), 0);
        at += n;
    }
    assert_int_equal(chain_finish(stream, &sink, &e), 0);
    if (out.len != w->wanted.len || memcmp(out.data, w->wanted.data, out.len) != 0) {
        fail_msg("%s\ntext:   %s\nwanted: %s\ngot:    %s", settings->data, w->in.data,
                 w->wanted.data, trace_string(&out));
    }
    chain_stream_destroy(stream);
    buf_deinit(&out);
}

static bool has_same_shape(const cJSON *a, const cJSON *b)
{
    if ((a->type & 0xFF & ~cJSON_True) != (b->type & 0xFF & ~cJSON_True) &&
        !(cJSON_IsBool(a) && cJSON_IsBool(b))) {
        return false;
    }
    const cJSON *x = a->child;
    const cJSON *y = b->child;
    for (; x && y; x = x->next, y = y->next) {
        if ((x->string && strcmp(x->string, y->string) != 0) || !has_same_shape(x, y)) {
            return false;
        }
    }
    return !x && !y;
}

static void random_documents_become_what_the_oracle_writes(void **state)
{
    (void)state;
    int hidden = 0;
    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct writer w = {0};
        struct buf settings;
        rng_seed(&w.rng, seed);
        buf_init(&settings, 1 << 16);
        buf_init(&w.in, 1 << 20);
        buf_init(&w.wanted, 1 << 20);
        make_paths(&w, &settings);
        put_value(&w);
        struct chain *chain = trace_chain(settings.data, NULL);
        release_in_pieces(&w, chain, &settings);
        struct err e;
        cJSON *before = json_parse(w.in.data, w.in.len, &e);
        cJSON *after = json_parse(w.wanted.data, w.wanted.len, &e);
        assert_non_null(before);
        assert_non_null(after);
        assert_true(has_same_shape(before, after));
        cJSON_Delete(before);
        cJSON_Delete(after);
        chain_unref(chain);
        hidden += w.hidden;
        buf_deinit(&settings);
        buf_deinit(&w.in);
        buf_deinit(&w.wanted);
    }
    print_message("%d values hidden\n", hidden);
    assert_true(hidden > 2000);
}

/* Anything at all: the same for every cut, and in strict reading what passes whole is JSON. */
static void random_text_minds_no_cut(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "{",  "}",    "[",       "]",       ":",        ",",      "\"",    "\"a\"",
        "a",  "true", "null",    "1",       "-",        ".5",     "e+1",   " ",
        "\n", "\\",   "\\u0061", "\\ud83d", "\xC3\xA9", "\"b\":", "\"a\":"};
    static const char *const invalid[] = {"pass", "quote", "stop"};
    static const char *const actions[] = {"replace", "mask", "stop", "note"};
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 20000; i++) {
        char settings[256];
        char text[250] = "";
        snprintf(settings, sizeof(settings),
                 "\"type\":\"json\",\"paths\":[\"a\",\"$.b\"],\"invalid\":\"%s\","
                 "\"action\":\"%s\"",
                 invalid[i % 3], actions[rng_below(&rng, 4)]);
        for (uint32_t n = rng_below(&rng, 20); n > 0; n--) {
            strcat(text, pieces[rng_below(&rng, 23)]);
        }
        struct chain *chain = single_chain(settings);
        struct trace whole, cut;
        trace_run_text(&whole, chain, text, TRACE_WHOLE, NULL);
        for (int cuts = TRACE_CHARACTERS; cuts <= TRACE_RANDOM; cuts++) {
            trace_run_text(&cut, chain, text, (enum trace_cuts)cuts, &rng);
            trace_assert_equal(&whole, &cut);
            trace_deinit(&cut);
        }
        trace_deinit(&whole);
        chain_unref(chain);
    }
}

/* Whether a strict reader takes the text for one whole document. */
static bool is_document(const char *text, size_t len)
{
    struct json_paths paths;
    struct json_reader reader;
    struct json_step step = {0};
    json_paths_init(&paths, false);
    assert_int_equal(json_reader_init(&reader, &paths, true), 0);
    bool is_right = true;
    for (size_t at = 0; at < len && is_right;) {
        uint32_t c;
        at += (size_t)utf8_decode(text + at, len - at, &c);
        is_right = json_reader_read(&reader, c, &step) == 0 && !step.is_wrong;
    }
    json_reader_end(&reader, &step);
    is_right = is_right && !step.is_wrong && reader.token == JSON_OTHER &&
               reader.state == JSON_STATE_AFTER && reader.place.depth == 0;
    json_reader_deinit(&reader);
    return is_right;
}

static void strict_reading_follows_the_test_suite(void **state)
{
    (void)state;
    static const char folder[] = WEIR_SOURCE_DIR "/../shared/data/json-parsing/test_parsing";
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("no %s: skipped\n", folder);
        return;
    }
    int seen = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[1024];
        struct err e = {0};
        size_t len = 0;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        char kind = entry->d_name[0];
        char *text = kind == 'y' || kind == 'n' ? file_read(path, 1 << 20, &len, &e) : NULL;
        if (text && utf8_is_valid(text, len)) {
            if (is_document(text, len) != (kind == 'y')) {
                fail_msg("%s: %s", entry->d_name, text);
            }
            seen++;
        }
        mem_free(text);
    }
    closedir(dir);
    assert_true(seen > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_hidden_and_keep_their_type),
        cmocka_unit_test(names_are_compared_as_they_read),
        cmocka_unit_test(paths_say_where),
        cmocka_unit_test(masks_stand_for_characters),
        cmocka_unit_test(what_is_put_in_is_escaped),
        cmocka_unit_test(a_stop_comes_before_the_value_and_a_note_changes_nothing),
        cmocka_unit_test(documents_are_found_in_other_text),
        cmocka_unit_test(text_that_is_nearly_json_is_read_as_it_is_meant),
        cmocka_unit_test(a_text_that_ends_early_ends_early),
        cmocka_unit_test(nothing_is_held),
        cmocka_unit_test(words_become_strings),
        cmocka_unit_test(numbers_that_another_filter_masks_leave_json),
        cmocka_unit_test(text_that_is_not_json_is_stopped),
        cmocka_unit_test(settings_that_can_not_work_are_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(want_of_memory_is_told),
        cmocka_unit_test(random_documents_become_what_the_oracle_writes),
        cmocka_unit_test(random_text_minds_no_cut),
        cmocka_unit_test(strict_reading_follows_the_test_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
