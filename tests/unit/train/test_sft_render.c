/* sft_example.h, sft_render.h: what a line of examples becomes, with the templates of real
 * models that stand beside the checkout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/output/tool_messages.h"
#include "models/template/chat_prompt.h"
#include "models/train/dataset.h"
#include "models/train/sft_render.h"
#include "runtime/base/buf.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "tests/unit/models/small_vocab.h"

#define FOLDER WEIR_SOURCE_DIR "/../shared/data/templates/"

/* Control tokens of the templates, behind those of the small vocabulary. */
static const char *const specials[] = {"<s>",
                                       "</s>",
                                       "<|begin_of_text|>",
                                       "<|eot_id|>",
                                       "<|start_header_id|>",
                                       "<|end_header_id|>",
                                       "<bos>",
                                       "<eos>",
                                       "<start_of_turn>",
                                       "<end_of_turn>",
                                       "[INST]",
                                       "[/INST]",
                                       "[TOOL_CALLS]",
                                       "[TOOL_RESULTS]",
                                       "[/TOOL_RESULTS]",
                                       "[AVAILABLE_TOOLS]",
                                       "[/AVAILABLE_TOOLS]",
                                       "[SYSTEM_PROMPT]",
                                       "[/SYSTEM_PROMPT]",
                                       "[ARGS]",
                                       "[CALL_ID]",
                                       "<|start|>",
                                       "<|end|>",
                                       "<|message|>",
                                       "<|channel|>",
                                       "<|return|>",
                                       "<|call|>",
                                       "<｜begin▁of▁sentence｜>",
                                       "<｜end▁of▁sentence｜>",
                                       "<｜User｜>",
                                       "<｜Assistant｜>",
                                       "<|system|>",
                                       "<|user|>",
                                       "<|assistant|>",
                                       "<|start_of_role|>",
                                       "<|end_of_role|>",
                                       "<|end_of_text|>",
                                       "<|eom_id|>",
                                       "<|python_tag|>",
                                       "<think>",
                                       "</think>"};
#define N_SPECIALS (sizeof(specials) / sizeof(specials[0]))

struct fixture {
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct chat_template *chat_template;
    struct sft_renderer renderer;
    /* what was rendered: a line a document, what is learnt in « » */
    struct buf text;
    struct token_list prompts[8]; /* the server's, of each answer */
    size_t n_prompts;
    size_t n_documents, n_controls;
};

static struct gguf *make_vocab(const char *bos, const char *eos)
{
    struct err e = {0};
    struct gguf *small = small_vocab_open();
    const struct gguf_str *tokens;
    struct gguf_str all[SMALL_VOCAB_SIZE + N_SPECIALS];
    int32_t types[SMALL_VOCAB_SIZE + N_SPECIALS];
    size_t n;
    assert_int_equal(gguf_get_strs(small, "tokenizer.ggml.tokens", &tokens, &n, &e), 0);
    struct gguf_writer *w = gguf_writer_create(&e);
    for (size_t i = 0; i < n + N_SPECIALS; i++) {
        const char *special = i < n ? "" : specials[i - n];
        all[i] = i < n ? tokens[i] : (struct gguf_str){special, strlen(special)};
        types[i] = i < 3 || i >= n ? 3 : 1;
        if (i >= n && strcmp(special, bos) == 0) {
            gguf_put_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)i);
        }
        if (i >= n && strcmp(special, eos) == 0) {
            gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)i);
        }
    }
    gguf_put_strs(w, "tokenizer.ggml.tokens", all, n + N_SPECIALS);
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, n + N_SPECIALS);
    gguf_put_copies(w, small, "");
    struct gguf *g = small_vocab_reopen(w);
    gguf_close(small);
    return g;
}

static void fixture_init(struct fixture *f, const char *source, size_t len, const char *bos,
                         const char *eos)
{
    struct err e = {0};
    memset(f, 0, sizeof(*f));
    f->gguf = make_vocab(bos, eos);
    f->tokenizer = tokenizer_from_gguf(f->gguf, &e);
    f->chat_template = chat_template_compile(source, len, &e);
    assert_non_null(f->tokenizer);
    assert_non_null(f->chat_template);
    f->renderer = (struct sft_renderer){
        .chat_template = f->chat_template, .tokenizer = f->tokenizer, .unix_time = 1700000000};
    assert_int_equal(
        output_format_detect(&f->renderer.format, f->chat_template, f->tokenizer, &e), 0);
    buf_init(&f->text, 1 << 20);
}

static void forget(struct fixture *f)
{
    for (size_t i = 0; i < f->n_prompts; i++) {
        token_list_deinit(&f->prompts[i]);
        f->prompts[i] = (struct token_list){0};
    }
    f->n_prompts = f->n_documents = f->n_controls = 0;
    buf_clear(&f->text);
}

static void fixture_deinit(struct fixture *f)
{
    forget(f);
    buf_deinit(&f->text);
    chat_template_destroy(f->chat_template);
    tokenizer_destroy(f->tokenizer);
    gguf_close(f->gguf);
}

/* The prompts of all answers, as the server makes them (answer_prompt.c). */
static void serve(struct fixture *f, const struct sft_example *x)
{
    struct err e = {0};
    for (size_t k = 0; k < x->n_messages; k++) {
        struct tool_messages fit;
        struct chat_text text;
        if (strcmp(x->messages[k].role, "assistant") != 0) {
            continue;
        }
        assert_int_equal(
            tool_messages_init(&fit, &f->renderer.format, x->messages, k, x->tools, &e), 0);
        const struct chat_render in = {.messages = fit.messages,
                                       .n_messages = fit.n_messages,
                                       .tools = fit.tools,
                                       .kwargs = x->kwargs,
                                       .unix_time = f->renderer.unix_time,
                                       .add_generation_prompt = true};
        if (chat_prompt_render(f->chat_template, f->tokenizer, &in, &text, &e)) {
            fail_msg("%s", e.message);
        }
        assert_int_equal(
            chat_prompt_encode(f->tokenizer, &text, &f->prompts[f->n_prompts++], &e), 0);
        chat_text_deinit(&text);
        tool_messages_deinit(&fit);
    }
}

/* What stands before an answer is one of the server's prompts, token by token. */
static void check_before(const struct fixture *f, const uint32_t *tokens, size_t n)
{
    for (size_t i = 0; i < f->n_prompts; i++) {
        const struct token_list *p = &f->prompts[i];
        size_t same = 0;
        while (same < n && same < p->count &&
               (tokens[same] & ~DATASET_LEARN) == (uint32_t)p->ids[same]) {
            same++;
        }
        if (same == n && n == p->count) {
            return;
        }
    }
    fail_msg("an answer stands behind what the server does not send:\n%s", f->text.data);
}

static int keep(void *ctx, const uint32_t *tokens, size_t n, struct err *e)
{
    struct fixture *f = ctx;
    (void)e;
    f->n_documents++;
    for (size_t i = 0; i < n; i++) {
        int32_t id = (int32_t)(tokens[i] & ~DATASET_LEARN);
        bool learn = tokens[i] & DATASET_LEARN;
        bool before = i > 0 && (tokens[i - 1] & DATASET_LEARN);
        size_t len;
        const char *bytes = tokenizer_token_bytes(f->tokenizer, id, &len);
        if (learn && !before) {
            check_before(f, tokens, i);
        }
        buf_append_str(&f->text, learn && !before ? "«" : !learn && before ? "»" : "");
        f->n_controls += len == 0;
        buf_append_str(&f->text, len ? "" : tokenizer_token_name(f->tokenizer, id));
        buf_append(&f->text, bytes, len);
    }
    return buf_append_str(&f->text, tokens[n - 1] & DATASET_LEARN ? "»\n" : "\n");
}

/* 0, or -1 with the message. */
static int render(struct fixture *f, const char *line, struct err *e)
{
    struct sft_example x;
    forget(f);
    buf_append_str(&f->text, "");
    if (sft_example_parse(&x, line, strlen(line), e)) {
        return -1;
    }
    serve(f, &x);
    int rc = sft_render(&f->renderer, &x, keep, f, e);
    sft_example_deinit(&x);
    return rc;
}

static void expect(struct fixture *f, const char *line, const char *expected)
{
    struct err e = {0};
    if (render(f, line, &e)) {
        fail_msg("%s", e.message);
    }
    assert_string_equal(f->text.data, expected);
}

static const char chatml[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static void chatml_init(struct fixture *f)
{
    fixture_init(f, chatml, strlen(chatml), "", "");
}

/* --- forms --- */

#define U(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define A(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"

static void answers_and_their_end_are_learnt(void **state)
{
    struct fixture f;
    (void)state;
    chatml_init(&f);
    expect(&f, "{\"messages\":[" U("the fox") "," A("jumps") "," U("and") "," A("stops") "]}",
           "<|im_start|>user\nthe fox<|im_end|>\n<|im_start|>assistant\n«jumps<|im_end|>»\n"
           "<|im_start|>user\nand<|im_end|>\n<|im_start|>assistant\n«stops<|im_end|>»\n");
    assert_int_equal(f.n_documents, 1);
    fixture_deinit(&f);
}

static void answers_of_weight_0_are_not_learnt(void **state)
{
    struct fixture f;
    (void)state;
    chatml_init(&f);
    expect(
        &f,
        "{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0}," U(
            "c") ",{\"role\":\"assistant\",\"content\":\"d\",\"weight\":1}]}",
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n«d<|im_end|>»\n");
    /* The last one is not asked for: it is not there at all. */
    expect(&f,
           "{\"messages\":[" U("a") "," A("b") "," U(
               "c") ",{\"role\":\"assistant\",\"content\":\"d\",\"weight\":0}]}",
           "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n«b<|im_end|>»\n");
    fixture_deinit(&f);
}

static void other_forms_are_read(void **state)
{
    struct fixture f;
    (void)state;
    chatml_init(&f);
    const char *expected =
        "<|im_start|>user\nthe fox<|im_end|>\n<|im_start|>assistant\n«jumps<|im_end|>»\n";
    expect(&f, "{\"prompt\":\"the fox\",\"completion\":\"jumps\",\"source\":\"book 3\"}",
           expected);
    expect(&f, "{\"prompt\":[" U("the fox") "],\"completion\":[" A("jumps") "]}", expected);
    expect(&f,
           "{\"messages\":[{\"role\":\"user\",\"name\":\"bob\",\"content\":[{\"type\":\"text\","
           "\"text\":\"the \"},{\"type\":\"text\",\"text\":\"fox\"}]}," A("jumps") "]}",
           expected);
    expect(&f,
           "{\"messages\":[{\"role\":\"developer\",\"content\":\"one\"},{\"role\":\"system\","
           "\"content\":\"two\"}," U("the fox") "," A("jumps") "]}",
           "<|im_start|>system\none\ntwo<|im_end|>\n<|im_start|>user\nthe fox<|im_end|>\n"
           "<|im_start|>assistant\n«jumps<|im_end|>»\n");
    fixture_deinit(&f);
}

static void a_merge_over_the_border_is_not_learnt(void **state)
{
    struct fixture f;
    (void)state;
    chatml_init(&f);
    /* keep() compares the prompt's tokens. */
    expect(&f, "{\"messages\":[" U("a") "," A("\\n\\nb") "]}",
           "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n«\n\nb<|im_end|>»\n");
    fixture_deinit(&f);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"{\"messages\":[]}", "\"messages\" must be an array of one message or more"},
        {"{\"messages\":[" U("a") "]}", "the last message is of role user"},
        {"{\"text\":\"a\"}", "must be an object with \"messages\""},
        {"{\"prompt\":\"a\"}", "\"completion\" must be a string"},
        {"{\"messages\":[{\"role\":\"bot\",\"content\":\"a\"}]}",
         "messages[0].role is \"bot\""},
        {"{\"messages\":[{\"content\":\"a\"}]}", "messages[0].role is missing or no string"},
        {"{\"messages\":[" U("a") ",{\"role\":\"assistant\"}]}",
         "messages[1].content is missing"},
        {"{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":7}]}",
         "messages[1].content must be a string"},
        {"{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\",\"weight\":2}]}",
         "messages[1].weight must be 0 or 1"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"weight\":1}," A("b") "]}",
         "messages[0].weight may stand at the assistant's"},
        {"{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0}]}",
         "all have weight 0"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
         "{}}]}," A("b") "]}",
         "has a part that is no text"},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}," A("b") "]}",
         "messages[0].tool_call_id is missing"},
        {"{\"functions\":[],\"messages\":[" U("a") "," A("b") "]}", "is the old form"},
        {"{\"tools\":[{\"type\":\"function\"}],\"messages\":[" U("a") "," A("b") "]}",
         "tools[0].function.name is missing"},
        {"{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\","
                                  "\"reasoning_content\":\"hm\"}]}",
         "leaves out its reasoning_content"},
        {"{\"messages\":[" U("a") "," A(" \\n") "]}", "messages[1].content is empty"},
        {"{\"prompt\":\"a\",\"completion\":\"\"}", "\"completion\" is empty"},
        {"{\"messages\"", "invalid JSON at column"},
    };
    struct fixture f;
    (void)state;
    chatml_init(&f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        if (render(&f, cases[i].line, &e) == 0 || !strstr(e.message, cases[i].message)) {
            fail_msg("%s: %s", cases[i].line, e.message);
        }
    }
    fixture_deinit(&f);
}

/* --- templates --- */

/* The answers can be learnt, and the answers alone, or an error says why not. */
static void a_template_that_cannot_be_trusted_is_refused(void **state)
{
    static const struct {
        const char *source, *message;
    } cases[] = {
        /* the prompt ends otherwise than the text before an answer */
        {"{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
         "{% if add_generation_prompt %}bot says {% endif %}",
         "in another place than where its prompt ends"},
        {"{% for m in messages %}<|im_start|>{{ m.content | upper }}<|im_end|>{% endfor %}"
         "{% if add_generation_prompt %}<|im_start|>{% endif %}",
         "does not write its content as it is"},
        {"{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}"
         "{% endfor %}<|im_start|>",
         "does not write its content as it is"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        struct err e = {0};
        fixture_init(&f, cases[i].source, strlen(cases[i].source), "", "");
        if (render(&f, "{\"messages\":[" U("a") "," A("the fox") "]}", &e) == 0 ||
            !strstr(e.message, cases[i].message)) {
            fail_msg("%zu: %s\n%s", i, e.message, f.text.data);
        }
        fixture_deinit(&f);
    }
}

static void an_end_is_added_where_the_template_has_none(void **state)
{
    static const char source[] =
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}";
    struct fixture f;
    (void)state;
    fixture_init(&f, source, strlen(source), "", "");
    expect(&f, "{\"messages\":[" U("a") "," A("b") "]}", "user: a\nassistant: «b<|im_end|>»\n");
    assert_int_equal(f.renderer.n_ends_added, 1);
    fixture_deinit(&f);
}

#define TOOLS                                                                                 \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\","               \
    "\"description\":"                                                                        \
    "\"The weather\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":" \
    "\"string\"}}}}}]"
#define CALL                                                                             \
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"  \
    "\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":" \
    "\\\"Rome\\\"}\"}}]}"

static const struct real {
    const char *file, *bos, *eos;
    size_t documents;     /* of a conversation with two answers */
    const char *reasoned; /* what an answer with reasoning says of it, or NULL: nothing */
} reals[] = {
    {"HuggingFaceTB-SmolLM3-3B", "", "", 1, "leaves out its reasoning_content"},
    {"Mistral-Small-3.2-24B-Instruct-2506", "<s>", "</s>", 1,
     "leaves out its reasoning_content"},
    {"Qwen-Qwen2.5-7B-Instruct", "", "", 1, "leaves out its reasoning_content"},
    {"Qwen-Qwen3-0.6B", "", "", 2, NULL},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "<｜begin▁of▁sentence｜>",
     "<｜end▁of▁sentence｜>", 2, NULL},
    {"deepseek-ai-DeepSeek-V3.1", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", 1,
     "leaves out its reasoning_content"},
    {"google-gemma-2-2b-it", "<bos>", "<end_of_turn>", 1, "leaves out its reasoning_content"},
    {"ibm-granite-granite-4.0", "", "<|end_of_text|>", 1, "leaves out its reasoning_content"},
    {"meta-llama-Llama-3.1-8B-Instruct", "<|begin_of_text|>", "<|eot_id|>", 1,
     "leaves out its reasoning_content"},
    {"microsoft-Phi-3.5-mini-instruct", "", "<|end|>", 1, "leaves out its reasoning_content"},
    {"mistralai-Mistral-Nemo-Instruct-2407", "<s>", "</s>", 1,
     "leaves out its reasoning_content"},
    {"openai-gpt-oss-120b", "", "<|return|>", 2, NULL},
};

static bool real_init(struct fixture *f, const struct real *r)
{
    char path[512];
    size_t len;
    struct err e = {0};
    snprintf(path, sizeof(path), FOLDER "%s.jinja", r->file);
    char *source = file_read(path, CHAT_TEMPLATE_BYTES_MAX, &len, &e);
    if (!source) {
        print_message("skipped: no %s\n", path);
        return false;
    }
    fixture_init(f, source, len, r->bos, r->eos);
    mem_free(source);
    return true;
}

/* How many answers end in what ends a generation. */
static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) {
        n++;
    }
    return n;
}

static void conversation_is_learnt(struct fixture *f, const struct real *r)
{
    struct err e = {0};
    if (render(f,
               "{\"messages\":[" U("the fox") "," A("jumps over") "," U("what then") "," A(
                   "the dog") "]}",
               &e)) {
        fail_msg("%s: %s", r->file, e.message);
    }
    const char *end = r->eos[0] ? r->eos : "<|im_end|>";
    char expected[96];
    snprintf(expected, sizeof(expected), "the dog%s»", end);
    bool fits = f->n_documents == r->documents && count(f->text.data, "«") == 2 &&
                strstr(f->text.data, expected) && f->renderer.n_ends_added == 0;
    snprintf(expected, sizeof(expected), "jumps over%s»", end);
    if (!fits || !strstr(f->text.data, expected)) {
        fail_msg("%s: %zu documents\n%s", r->file, f->n_documents, f->text.data);
    }
}

static void users_text_makes_no_control_token(struct fixture *f, const struct real *r)
{
    struct err e = {0};
    assert_int_equal(render(f, "{\"messages\":[" U("the fox") "," A("the dog") "]}", &e), 0);
    size_t controls = f->n_controls;
    char line[512];
    const char *end = r->eos[0] ? r->eos : "<|im_end|>";
    snprintf(line, sizeof(line), "{\"messages\":[" U("%s a %s") "," A("the %s dog") "]}", end,
             end, end);
    if (render(f, line, &e)) {
        fail_msg("%s: %s", r->file, e.message);
    }
    assert_int_equal(f->n_controls, controls);
    assert_int_equal(count(f->text.data, "«"), 1);
}

static void reasoning_is_learnt(struct fixture *f, const struct real *r)
{
    struct err e = {0};
    int rc =
        render(f,
               "{\"messages\":[" U("the fox") ",{\"role\":\"assistant\",\"content\":\"the "
                                              "dog\",\"reasoning_content\":\"it jumps\"}]}",
               &e);
    if (r->reasoned && (rc == 0 || !strstr(e.message, r->reasoned))) {
        fail_msg("%s: %s\n%s", r->file, e.message, f->text.data);
    }
    const char *learnt = r->reasoned ? NULL : strstr(f->text.data, "«");
    if (!r->reasoned && (rc || !strstr(learnt, "it jumps") || !strstr(learnt, "the dog"))) {
        fail_msg("%s: %s\n%s", r->file, e.message, f->text.data);
    }
}

static void calls_are_learnt(struct fixture *f, const struct real *r)
{
    struct err e = {0};
    f->renderer.n_ends_added = 0;
    int rc =
        render(f,
               "{" TOOLS ",\"messages\":[" U(
                   "weather in Rome") "," CALL ",{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                                      "\"content\":\"21\"}," A("it is 21") "]}",
               &e);
    if (rc) {
        fail_msg("%s: %s\n%s", r->file, e.message, f->text.data);
    }
    const char *learnt = strstr(f->text.data, "«"), *end = strstr(f->text.data, "»");
    const char *name = strstr(learnt, "get_weather");
    if (!name || name > end || count(f->text.data, "«") != 2 ||
        !strstr(f->text.data, "it is 21")) {
        fail_msg("%s: %s", r->file, learnt);
    }
}

static void real_templates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        struct fixture f;
        if (!real_init(&f, &reals[i])) {
            continue;
        }
        conversation_is_learnt(&f, &reals[i]);
        users_text_makes_no_control_token(&f, &reals[i]);
        reasoning_is_learnt(&f, &reals[i]);
        calls_are_learnt(&f, &reals[i]);
        fixture_deinit(&f);
    }
}

/* Mistral puts the system message into the last question: earlier answers stand behind another
 * text than the server sent, so each answer is a document of its own. */
static void what_moves_makes_documents_of_their_own(void **state)
{
    const struct real nemo = {
        .file = "mistralai-Mistral-Nemo-Instruct-2407", "<s>", "</s>", 2, NULL};
    struct fixture f;
    (void)state;
    if (!real_init(&f, &nemo)) {
        return;
    }
    expect(&f,
           "{\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"}," U("a") "," A(
               "b") "," U("c") "," A("d") "]}",
           "<s>[INST]be brief\n\na[/INST]«b</s>»\n"
           "<s>[INST]a[/INST]b</s>[INST]be brief\n\nc[/INST]«d</s>»\n");
    fixture_deinit(&f);
}

static void reasoning_that_the_prompt_opens_is_closed(void **state)
{
    const struct real r1 = {.file = "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
                            "<｜begin▁of▁sentence｜>",
                            "<｜end▁of▁sentence｜>",
                            1,
                            NULL};
    struct fixture f;
    (void)state;
    if (!real_init(&f, &r1)) {
        return;
    }
    struct err e = {0};
    assert_int_equal(
        render(&f,
               "{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\","
                                        "\"reasoning_content\":\"hm\"}]}",
               &e),
        0);
    assert_non_null(strstr(f.text.data, "<think>\n«hm\n</think>\n\nb<"));
    assert_int_equal(render(&f, "{\"messages\":[" U("a") "," A("b") "]}", &e), 0);
    assert_non_null(strstr(f.text.data, "<think>\n«\n</think>\n\nb<"));
    fixture_deinit(&f);
}

static void several_calls_for_a_template_of_one(void **state)
{
    const struct real llama = {
        .file = "meta-llama-Llama-3.1-8B-Instruct", "<|begin_of_text|>", "<|eot_id|>", 1, NULL};
    struct fixture f;
    struct err e = {0};
    (void)state;
    if (!real_init(&f, &llama)) {
        return;
    }
    struct sft_example x;
    const char *line = "{" TOOLS ",\"messages\":[" U(
        "weather") ",{\"role\":\"assistant\",\"tool_calls\":["
                   "{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\","
                   "\"arguments\":\"{\\\"city\\\":\\\"Rome\\\"}\"}},"
                   "{\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\","
                   "\"arguments\":\"{\\\"city\\\":\\\"Lima\\\"}\"}}]},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"21\"},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"2\",\"content\":\"30\"}," A(
                       "warm") "]}";
    assert_int_equal(sft_example_parse(&x, line, strlen(line), &e), 0);
    /* The prompt between the calls is of the split conversation: taken from there. */
    struct tool_messages fit;
    forget(&f);
    assert_int_equal(
        tool_messages_init(&fit, &f.renderer.format, x.messages, x.n_messages, x.tools, &e), 0);
    for (size_t k = 0; k < fit.n_messages; k++) {
        struct chat_text text;
        const struct chat_render in = {.messages = fit.messages,
                                       .n_messages = k,
                                       .tools = fit.tools,
                                       .unix_time = f.renderer.unix_time,
                                       .add_generation_prompt = true};
        if (strcmp(fit.messages[k].role, "assistant") == 0) {
            assert_int_equal(chat_prompt_render(f.chat_template, f.tokenizer, &in, &text, &e),
                             0);
            assert_int_equal(
                chat_prompt_encode(f.tokenizer, &text, &f.prompts[f.n_prompts++], &e), 0);
            chat_text_deinit(&text);
        }
    }
    tool_messages_deinit(&fit);
    assert_int_equal(sft_render(&f.renderer, &x, keep, &f, &e), 0);
    sft_example_deinit(&x);
    assert_int_equal(count(f.text.data, "«"), 3);
    const char *rome = strstr(strstr(f.text.data, "«"), "Rome");
    assert_non_null(rome);
    assert_non_null(strstr(strstr(rome, "«"), "Lima"));
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_their_end_are_learnt),
        cmocka_unit_test(answers_of_weight_0_are_not_learnt),
        cmocka_unit_test(other_forms_are_read),
        cmocka_unit_test(a_merge_over_the_border_is_not_learnt),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_template_that_cannot_be_trusted_is_refused),
        cmocka_unit_test(an_end_is_added_where_the_template_has_none),
        cmocka_unit_test(real_templates),
        cmocka_unit_test(what_moves_makes_documents_of_their_own),
        cmocka_unit_test(reasoning_that_the_prompt_opens_is_closed),
        cmocka_unit_test(several_calls_for_a_template_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
