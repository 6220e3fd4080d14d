/* reply.h: the same answer in the words of four APIs, streamed and whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "runtime/api/reply.h"
#include "runtime/base/json.h"
#include "runtime/base/mem.h"

#define EVENTS_MAX 64

/* A reply to an empty request, and what it sends. */
struct talk {
    struct answer_request request;
    struct answer_choice choices[2];
    struct answer_usage usage;
    struct reply reply;
    cJSON *events[EVENTS_MAX]; /* (n_events) */
    char names[EVENTS_MAX][64];
    size_t n_events;
};

static void take_event(void *ctx, const char *name, char *json, size_t len)
{
    struct talk *t = ctx;
    struct err e = {0};
    assert_non_null(json);
    assert_in_range(t->n_events, 0, EVENTS_MAX - 1);
    snprintf(t->names[t->n_events], sizeof(t->names[0]), "%s", name ? name : "");
    t->events[t->n_events++] = json_parse(json, len, &e);
    assert_non_null(t->events[t->n_events - 1]);
    mem_free(json);
}

static void begin(struct talk *t, const struct reply_format *format, size_t n_choices)
{
    *t = (struct talk){.usage = {.prompt_tokens = 5,
                                 .cached_tokens = 2,
                                 .completion_tokens = 9,
                                 .reasoning_tokens = 3}};
    t->request.json = cJSON_CreateObject();
    for (size_t i = 0; i < 2; i++) {
        answer_choice_init(&t->choices[i]);
    }
    t->reply = (struct reply){.format = format,
                              .request = &t->request,
                              .choices = t->choices,
                              .n_choices = n_choices,
                              .usage = &t->usage,
                              .created = 7,
                              .model = "m@1",
                              .fingerprint = "weir-a-b-c",
                              .event = take_event,
                              .event_ctx = t};
    snprintf(t->reply.id, sizeof(t->reply.id), "%s77", format->id_prefix);
}

static void end(struct talk *t)
{
    for (size_t i = 0; i < t->n_events; i++) {
        cJSON_Delete(t->events[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        answer_choice_deinit(&t->choices[i]);
    }
    answer_request_deinit(&t->request);
}

static void say(struct talk *t, bool stream, size_t choice, enum answer_piece_kind kind,
                const char *text)
{
    size_t n_calls = t->choices[choice].n_calls;
    struct answer_piece piece = {.kind = kind,
                                 .text = text,
                                 .len = strlen(text),
                                 .call = kind == ANSWER_CALL_BEGIN ? n_calls : n_calls - 1};
    assert_int_equal(answer_choice_add(&t->choices[choice], &piece), 0);
    if (stream) {
        t->reply.format->piece(&t->reply, choice, &piece);
    }
}

/* Thinks, talks, calls a tool, and talks again. */
static void tell(struct talk *t, bool stream, enum answer_finish finish)
{
    if (stream) {
        t->reply.format->begin(&t->reply);
    }
    say(t, stream, 0, ANSWER_REASONING, "hm, ");
    say(t, stream, 0, ANSWER_REASONING, "yes");
    say(t, stream, 0, ANSWER_CONTENT, "a \"b\"\n");
    say(t, stream, 0, ANSWER_CONTENT, "\xE2\x82\xAC");
    say(t, stream, 0, ANSWER_CALL_BEGIN, "f");
    say(t, stream, 0, ANSWER_CALL_ARGUMENTS, "{\"x\":");
    say(t, stream, 0, ANSWER_CALL_ARGUMENTS, "1}");
    say(t, stream, 0, ANSWER_CALL_END, "");
    say(t, stream, 0, ANSWER_CONTENT, "more");
    t->choices[0].finish = finish;
    if (stream) {
        t->reply.format->finish(&t->reply, 0);
        t->reply.format->end(&t->reply);
    }
}

static cJSON *whole(struct talk *t)
{
    size_t len = 0;
    struct err e = {0};
    char *text = t->reply.format->whole(&t->reply, &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    cJSON *root = json_parse(text, len, &e);
    assert_non_null(root);
    mem_free(text);
    return root;
}

/* "choices.0.delta" and the like. */
static const cJSON *at(const cJSON *object, const char *path)
{
    char names[128];
    snprintf(names, sizeof(names), "%s", path);
    char *rest = names;
    for (char *name = strtok_r(rest, ".", &rest); name; name = strtok_r(NULL, ".", &rest)) {
        object = cJSON_IsArray(object) ? cJSON_GetArrayItem(object, name[0] - '0')
                                       : cJSON_GetObjectItemCaseSensitive(object, name);
    }
    return object;
}

static const char *text_at(const cJSON *object, const char *path)
{
    const char *text = cJSON_GetStringValue(at(object, path));
    return text ? text : "";
}

static void assert_text(const cJSON *object, const char *path, const char *wanted)
{
    assert_string_equal(text_at(object, path), wanted);
}

/* --- chat completions --- */

static void a_whole_chat_has_what_clients_read(void **state)
{
    (void)state;
    struct talk t;
    begin(&t, &reply_chat, 2);
    tell(&t, false, ANSWER_FINISH_TOOL_CALLS);
    t.choices[1].finish = ANSWER_FINISH_LENGTH;
    cJSON *root = whole(&t);
    assert_text(root, "id", "chatcmpl-77");
    assert_text(root, "object", "chat.completion");
    assert_text(root, "system_fingerprint", "weir-a-b-c");
    assert_text(root, "choices.0.finish_reason", "tool_calls");
    assert_text(root, "choices.0.message.role", "assistant");
    assert_text(root, "choices.0.message.content", "a \"b\"\n\xE2\x82\xACmore");
    assert_text(root, "choices.0.message.reasoning_content", "hm, yes");
    assert_text(root, "choices.0.message.tool_calls.0.function.name", "f");
    assert_text(root, "choices.0.message.tool_calls.0.function.arguments", "{\"x\":1}");
    assert_text(root, "choices.1.finish_reason", "length");
    assert_int_equal(at(root, "choices.1.index")->valueint, 1);
    assert_true(cJSON_IsString(at(root, "choices.1.message.content")));
    assert_int_equal(at(root, "usage.total_tokens")->valueint, 14);
    assert_int_equal(at(root, "usage.prompt_tokens_details.cached_tokens")->valueint, 2);
    cJSON_Delete(root);
    end(&t);
}

static void chat_chunks_add_up_to_the_whole(void **state)
{
    (void)state;
    struct talk t;
    char content[64] = "", reasoning[64] = "", arguments[64] = "";
    begin(&t, &reply_chat, 1);
    t.request.include_usage = true;
    tell(&t, true, ANSWER_FINISH_TOOL_CALLS);
    assert_text(t.events[0], "choices.0.delta.role", "assistant");
    int n_ids = 0;
    for (size_t i = 0; i < t.n_events; i++) {
        const cJSON *delta = at(t.events[i], "choices.0.delta");
        assert_text(t.events[i], "object", "chat.completion.chunk");
        assert_true(cJSON_IsArray(at(t.events[i], "choices")));
        assert_non_null(at(t.events[i], "usage"));
        strcat(content, text_at(delta, "content"));
        strcat(reasoning, text_at(delta, "reasoning_content"));
        strcat(arguments, text_at(delta, "tool_calls.0.function.arguments"));
        n_ids += at(delta, "tool_calls.0.id") != NULL;
    }
    assert_string_equal(content, "a \"b\"\n\xE2\x82\xACmore");
    assert_string_equal(reasoning, "hm, yes");
    assert_string_equal(arguments, "{\"x\":1}");
    assert_int_equal(n_ids, 1);
    assert_text(t.events[t.n_events - 2], "choices.0.finish_reason", "tool_calls");
    assert_int_equal(cJSON_GetArraySize(at(t.events[t.n_events - 1], "choices")), 0);
    assert_int_equal(at(t.events[t.n_events - 1], "usage.completion_tokens")->valueint, 9);
    end(&t);
}

/* --- messages --- */

static void anthropic_blocks_come_in_order(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "message_start",       "content_block_start", "content_block_delta",
        "content_block_delta", "content_block_stop",  "content_block_start",
        "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop",  "content_block_start", "content_block_delta",
        "content_block_stop",  "message_delta",       "message_stop"};
    struct talk t;
    begin(&t, &reply_anthropic, 1);
    tell(&t, true, ANSWER_FINISH_TOOL_CALLS);
    assert_int_equal(t.n_events, sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < t.n_events; i++) {
        assert_string_equal(t.names[i], wanted[i]);
        assert_text(t.events[i], "type", wanted[i]);
    }
    assert_text(t.events[1], "content_block.type", "thinking");
    assert_text(t.events[5], "content_block.type", "text");
    assert_text(t.events[9], "content_block.type", "tool_use");
    assert_text(t.events[11], "delta.partial_json", "1}");
    assert_int_equal(at(t.events[13], "index")->valueint, 3);
    assert_text(t.events[16], "delta.stop_reason", "tool_use");
    end(&t);
}

static void a_whole_message_has_the_same_blocks(void **state)
{
    (void)state;
    struct talk t;
    begin(&t, &reply_anthropic, 1);
    tell(&t, false, ANSWER_FINISH_TOOL_CALLS);
    cJSON *root = whole(&t);
    assert_text(root, "content.0.thinking", "hm, yes");
    assert_text(root, "content.1.text", "a \"b\"\n\xE2\x82\xAC");
    assert_int_equal(at(root, "content.2.input.x")->valueint, 1);
    assert_text(root, "content.3.text", "more");
    assert_int_equal(at(root, "usage.input_tokens")->valueint, 3);
    assert_int_equal(at(root, "usage.cache_read_input_tokens")->valueint, 2);
    cJSON_Delete(root);
    end(&t);
}

static void an_empty_message_has_a_block_all_the_same(void **state)
{
    (void)state;
    struct talk t;
    begin(&t, &reply_anthropic, 1);
    t.choices[0].finish = ANSWER_FINISH_CONTENT_FILTER;
    t.choices[0].filter_code = "wordlist";
    t.reply.format->begin(&t.reply);
    t.reply.format->finish(&t.reply, 0);
    t.reply.format->end(&t.reply);
    assert_string_equal(t.names[1], "content_block_start");
    assert_string_equal(t.names[2], "content_block_stop");
    assert_text(t.events[3], "delta.stop_reason", "refusal");
    assert_text(t.events[3], "delta.stop_details.category", "wordlist");
    end(&t);
}

/* --- responses --- */

static void a_response_stream_is_numbered_and_repeats_itself_at_its_end(void **state)
{
    (void)state;
    struct talk t;
    begin(&t, &reply_responses, 1);
    tell(&t, true, ANSWER_FINISH_STOP);
    char content[64] = "";
    for (size_t i = 0; i < t.n_events; i++) {
        assert_int_equal(at(t.events[i], "sequence_number")->valueint, i);
        assert_text(t.events[i], "type", t.names[i]);
        if (strcmp(t.names[i], "response.output_text.delta") == 0) {
            strcat(content, text_at(t.events[i], "delta"));
        }
    }
    assert_string_equal(content, "a \"b\"\n\xE2\x82\xACmore");
    const cJSON *last = t.events[t.n_events - 1];
    assert_text(last, "type", "response.completed");
    assert_text(last, "response.output.0.content.0.text", "hm, yes");
    assert_text(last, "response.output.1.content.0.text", "a \"b\"\n\xE2\x82\xAC");
    assert_text(last, "response.output.2.arguments", "{\"x\":1}");
    assert_text(last, "response.output.3.content.0.text", "more");
    cJSON *alone = whole(&t);
    assert_true(cJSON_Compare(at(last, "response"), alone, true));
    cJSON_Delete(alone);
    end(&t);
}

static void each_text_of_a_response_is_a_part_that_begins_and_ends(void **state)
{
    (void)state;
    static const char *const reasoning[] = {
        "response.output_item.added",    "response.content_part.added",
        "response.reasoning_text.delta", "response.reasoning_text.delta",
        "response.reasoning_text.done",  "response.content_part.done",
        "response.output_item.done",     "response.output_item.added",
        "response.content_part.added"};
    struct talk t;
    begin(&t, &reply_responses, 1);
    tell(&t, true, ANSWER_FINISH_STOP);
    for (size_t i = 0; i < sizeof(reasoning) / sizeof(reasoning[0]); i++) {
        assert_string_equal(t.names[2 + i], reasoning[i]);
    }
    assert_text(t.events[3], "part.type", "reasoning_text");
    assert_text(t.events[3], "part.text", "");
    assert_text(t.events[7], "part.text", "hm, yes");
    assert_text(t.events[10], "part.type", "output_text");
    end(&t);
}

static void a_response_cut_short_is_incomplete(void **state)
{
    (void)state;
    struct talk t;
    begin(&t, &reply_responses, 1);
    tell(&t, false, ANSWER_FINISH_LENGTH);
    cJSON *root = whole(&t);
    assert_text(root, "status", "incomplete");
    assert_text(root, "incomplete_details.reason", "max_output_tokens");
    assert_text(root, "output.3.status", "incomplete");
    assert_text(root, "output.1.status", "completed");
    cJSON_Delete(root);
    end(&t);
}

/* --- completions --- */

static void completions_are_plain_text(void **state)
{
    (void)state;
    struct talk t;
    begin(&t, &reply_completion, 1);
    tell(&t, true, ANSWER_FINISH_LENGTH);
    assert_int_equal(t.n_events, 4);
    assert_text(t.events[1], "choices.0.text", "\xE2\x82\xAC");
    assert_text(t.events[3], "choices.0.finish_reason", "length");
    cJSON *root = whole(&t);
    assert_text(root, "object", "text_completion");
    assert_text(root, "choices.0.text", "a \"b\"\n\xE2\x82\xACmore");
    cJSON_Delete(root);
    end(&t);
}

static void a_failure_is_told_in_the_words_of_the_api(void **state)
{
    (void)state;
    const struct api_error error =
        api_error_make(504, "timeout", "deadline_exceeded", NULL, "too late");
    static const struct {
        const struct reply_format *format;
        const char *path;
        const char *wanted;
    } cases[] = {{&reply_chat, "error.code", "deadline_exceeded"},
                 {&reply_completion, "error.type", "timeout"},
                 {&reply_anthropic, "error.type", "timeout_error"},
                 {&reply_responses, "response.error.message", "too late"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct talk t;
        begin(&t, cases[i].format, 1);
        t.reply.format->failed(&t.reply, &error);
        assert_text(t.events[0], cases[i].path, cases[i].wanted);
        end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_chat_has_what_clients_read),
        cmocka_unit_test(chat_chunks_add_up_to_the_whole),
        cmocka_unit_test(anthropic_blocks_come_in_order),
        cmocka_unit_test(a_whole_message_has_the_same_blocks),
        cmocka_unit_test(an_empty_message_has_a_block_all_the_same),
        cmocka_unit_test(a_response_stream_is_numbered_and_repeats_itself_at_its_end),
        cmocka_unit_test(each_text_of_a_response_is_a_part_that_begins_and_ends),
        cmocka_unit_test(a_response_cut_short_is_incomplete),
        cmocka_unit_test(completions_are_plain_text),
        cmocka_unit_test(a_failure_is_told_in_the_words_of_the_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
