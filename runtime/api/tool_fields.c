#include "runtime/api/tool_fields.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"

#define NAME_MAX_LEN 64 /* bytes of a tool's name */
#define WHERE_MAX    64
#define PATH_BYTES   (WHERE_MAX + 64)

/* How an API writes a tool. */
struct shape {
    const char *function; /* the object with the fields below, or NULL: the tool itself */
    const char *schema;
    const char *type; /* of tools that clients run */
    bool type_needed;
};

static const struct shape chat = {"function", "parameters", "function", true};
static const struct shape responses = {NULL, "parameters", "function", true};
static const struct shape messages = {NULL, "input_schema", "custom", false};

static const cJSON *field(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

static bool is_text(const cJSON *item, const char *text)
{
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

static int wrong(const char *where, const char *name, const char *wanted, struct err *e)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%.80s%s%.40s", where, where[0] && name[0] ? "." : "", name);
    return err_set_param(e, ERR_INVALID, path, "\"%s\" must be %s", path, wanted);
}

static int get_bool(const cJSON *object, const char *where, const char *name, bool *out,
                    struct err *e)
{
    const cJSON *item = field(object, name);

    if (item && !cJSON_IsBool(item)) {
        return wrong(where, name, "true or false", e);
    }
    *out = item ? cJSON_IsTrue(item) : *out;
    return 0;
}

/* --- tools --- */

static bool is_name(const char *s)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const size_t len = strlen(s);

    return len > 0 && len <= NAME_MAX_LEN && strspn(s, allowed) == len;
}

static int check_type(const cJSON *tool, const struct shape *shape, const char *where,
                      struct err *e)
{
    const cJSON *type = field(tool, "type");

    if ((!type && !shape->type_needed) || is_text(type, shape->type)) {
        return 0;
    }
    if (!cJSON_IsString(type)) {
        return wrong(where, "type", "a string", e);
    }
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s.type", where);
    return err_set_param(e, ERR_UNSUPPORTED, path,
                         "\"%s\": tools of type \"%.40s\" are not supported; \"%s\" is", path,
                         type->valuestring, shape->type);
}

/* The schema that arguments obey, always one of an object. NULL when out of memory. */
static cJSON *copy_schema(const cJSON *schema)
{
    if (!schema) {
        return cJSON_Parse(
            "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    }
    cJSON *copy = cJSON_Duplicate(schema, true);
    if (copy && !field(copy, "type")) {
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "type");
        if (!cJSON_AddStringToObject(copy, "type", "object")) {
            cJSON_Delete(copy);
            copy = NULL;
        }
    }
    return copy;
}

static int check_function(const struct tool_list *l, const cJSON *function,
                          const struct shape *shape, const char *where, struct err *e)
{
    const cJSON *name = field(function, "name");
    const cJSON *description = field(function, "description");
    const cJSON *schema = field(function, shape->schema);
    const cJSON *type = field(schema, "type");

    if (!cJSON_IsObject(function)) {
        return wrong(where, "", "an object", e);
    }
    if (!cJSON_IsString(name) || !is_name(name->valuestring)) {
        return wrong(where, "name", "1 to 64 letters, digits, '_' and '-'", e);
    }
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->tools[i].name, name->valuestring) == 0) {
            return wrong(where, "name", "different from the names before it", e);
        }
    }
    if (description && !cJSON_IsString(description)) {
        return wrong(where, "description", "a string", e);
    }
    if ((schema && !cJSON_IsObject(schema)) || (type && !is_text(type, "object"))) {
        return wrong(where, shape->schema, "a JSON schema of type \"object\"", e);
    }
    return 0;
}

/* Appends {type, function} to l->json, and t's pointers into it. */
static int add_function(struct tool_list *l, const cJSON *function, const struct shape *shape,
                        struct err *e)
{
    struct tool *t = &l->tools[l->n];
    const cJSON *description = field(function, "description");
    cJSON *item = cJSON_CreateObject();
    cJSON *copy = NULL;

    if (!item || !cJSON_AddItemToArray(l->json, item)) {
        cJSON_Delete(item);
        return err_nomem(e);
    }
    if (!cJSON_AddStringToObject(item, "type", "function") ||
        !(copy = cJSON_AddObjectToObject(item, "function"))) {
        return err_nomem(e);
    }
    const cJSON *name =
        cJSON_AddStringToObject(copy, "name", field(function, "name")->valuestring);
    if (!name || (description &&
                  !cJSON_AddStringToObject(copy, "description", description->valuestring))) {
        return err_nomem(e);
    }
    cJSON *schema = copy_schema(field(function, shape->schema));
    if (!schema || !cJSON_AddItemToObject(copy, "parameters", schema)) {
        cJSON_Delete(schema);
        return err_nomem(e);
    }
    t->name = name->valuestring;
    t->parameters = schema;
    t->allowed = true;
    l->n++;
    return 0;
}

static int add_tool(struct tool_list *l, size_t i, const cJSON *tool, const struct shape *shape,
                    struct err *e)
{
    char where[WHERE_MAX];

    snprintf(where, sizeof(where), "tools[%zu]", i);
    if (!cJSON_IsObject(tool)) {
        return wrong(where, "", "an object", e);
    }
    if (check_type(tool, shape, where, e) != 0) {
        return -1;
    }
    const cJSON *function = tool;
    if (shape->function) {
        function = field(tool, shape->function);
        snprintf(where, sizeof(where), "tools[%zu].%s", i, shape->function);
    }
    if (check_function(l, function, shape, where, e) != 0 ||
        get_bool(function, where, "strict", &l->tools[l->n].strict, e) != 0) {
        return -1;
    }
    return add_function(l, function, shape, e);
}

static int add_tools(struct tool_list *l, const cJSON *list, const struct shape *shape,
                     struct err *e)
{
    if (!list) {
        return 0;
    }
    if (!cJSON_IsArray(list)) {
        return wrong("", "tools", "an array", e);
    }
    const int count = cJSON_GetArraySize(list);
    if (count > TOOLS_MAX) {
        return err_set_param(e, ERR_INVALID, "tools",
                             "\"tools\" has %d items, at most %d are allowed", count,
                             TOOLS_MAX);
    }
    if (count == 0) {
        return 0;
    }
    l->tools = mem_zarray((size_t)count, sizeof(*l->tools));
    l->json = cJSON_CreateArray();
    if (!l->tools || !l->json) {
        return err_nomem(e);
    }
    size_t i = 0;
    const cJSON *tool;
    cJSON_ArrayForEach(tool, list)
    {
        if (add_tool(l, i++, tool, shape, e) != 0) {
            return -1;
        }
    }
    l->choice = OUTPUT_CHOICE_AUTO;
    return 0;
}

/* --- which may be called --- */

static int choose(struct tool_list *l, enum output_choice choice, struct err *e)
{
    if (choice == OUTPUT_CHOICE_REQUIRED && l->n == 0) {
        return err_set_param(e, ERR_INVALID, "tool_choice",
                             "\"tool_choice\" wants a call, but there are no \"tools\"");
    }
    l->choice = l->n > 0 ? choice : OUTPUT_CHOICE_NONE;
    return 0;
}

static int allow(struct tool_list *l, const cJSON *name, const char *where, struct err *e)
{
    for (size_t i = 0; cJSON_IsString(name) && i < l->n; i++) {
        if (strcmp(l->tools[i].name, name->valuestring) == 0) {
            l->tools[i].allowed = true;
            return 0;
        }
    }
    return wrong(where, "name", "the name of one of \"tools\"", e);
}

static void allow_none(struct tool_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        l->tools[i].allowed = false;
    }
}

/* "auto", "none" or "required". */
static int choose_mode(struct tool_list *l, const cJSON *mode, const char *where, struct err *e)
{
    static const struct {
        const char *name;
        enum output_choice choice;
    } modes[] = {{"auto", OUTPUT_CHOICE_AUTO},
                 {"none", OUTPUT_CHOICE_NONE},
                 {"required", OUTPUT_CHOICE_REQUIRED}};

    for (size_t i = 0; i < 3; i++) {
        if (is_text(mode, modes[i].name)) {
            return choose(l, modes[i].choice, e);
        }
    }
    return wrong(where, "", "\"auto\", \"none\", \"required\" or an object", e);
}

/* The object that has the name: {type, function: {name}} or {type, name}. */
static const cJSON *named(const cJSON *item, const struct shape *shape)
{
    return shape->function ? field(item, shape->function) : item;
}

static int choose_named(struct tool_list *l, const cJSON *choice, const struct shape *shape,
                        struct err *e)
{
    allow_none(l);
    return allow(l, field(named(choice, shape), "name"),
                 shape->function ? "tool_choice.function" : "tool_choice", e) == 0
               ? choose(l, OUTPUT_CHOICE_REQUIRED, e)
               : -1;
}

static int choose_allowed(struct tool_list *l, const cJSON *choice, const struct shape *shape,
                          struct err *e)
{
    const bool nested = shape->function != NULL;
    const char *where = nested ? "tool_choice.allowed_tools" : "tool_choice";
    const cJSON *allowed = nested ? field(choice, "allowed_tools") : choice;
    const cJSON *mode = field(allowed, "mode");
    const cJSON *list = field(allowed, "tools");
    const cJSON *item;
    char path[PATH_BYTES];
    int i = 0;

    if (!is_text(mode, "auto") && !is_text(mode, "required")) {
        return wrong(where, "mode", "\"auto\" or \"required\"", e);
    }
    if (!cJSON_IsArray(list) || !list->child || cJSON_GetArraySize(list) > TOOLS_MAX) {
        return wrong(where, "tools", "an array of 1 to 128 tools", e);
    }
    allow_none(l);
    cJSON_ArrayForEach(item, list)
    {
        snprintf(path, sizeof(path), "%s.tools[%d]%s", where, i++, nested ? ".function" : "");
        if (allow(l, field(named(item, shape), "name"), path, e) != 0) {
            return -1;
        }
    }
    return choose_mode(l, mode, where, e);
}

static int read_choice(struct tool_list *l, const cJSON *choice, const struct shape *shape,
                       struct err *e)
{
    if (!choice) {
        return 0;
    }
    if (!cJSON_IsObject(choice)) {
        return choose_mode(l, choice, "tool_choice", e);
    }
    const cJSON *type = field(choice, "type");
    if (is_text(type, "function")) {
        return choose_named(l, choice, shape, e);
    }
    if (is_text(type, "allowed_tools")) {
        return choose_allowed(l, choice, shape, e);
    }
    return cJSON_IsString(type)
               ? err_set_param(e, ERR_UNSUPPORTED, "tool_choice.type",
                               "\"tool_choice.type\": \"%.40s\" is not supported; function and "
                               "allowed_tools are",
                               type->valuestring)
               : wrong("tool_choice", "type", "a string", e);
}

/* Anthropic's: {type: auto | any | tool | none, name, disable_parallel_tool_use}. */
static int read_messages_choice(struct tool_list *l, const cJSON *choice, struct err *e)
{
    bool alone = false;
    const cJSON *type = field(choice, "type");

    if (!choice) {
        return 0;
    }
    if (!cJSON_IsObject(choice)) {
        return wrong("", "tool_choice", "an object", e);
    }
    if (get_bool(choice, "tool_choice", "disable_parallel_tool_use", &alone, e) != 0) {
        return -1;
    }
    l->parallel = !alone;
    if (is_text(type, "tool")) {
        return choose_named(l, choice, &messages, e);
    }
    if (is_text(type, "any")) {
        return choose(l, OUTPUT_CHOICE_REQUIRED, e);
    }
    if (is_text(type, "none")) {
        return choose(l, OUTPUT_CHOICE_NONE, e);
    }
    return is_text(type, "auto")
               ? choose(l, OUTPUT_CHOICE_AUTO, e)
               : wrong("tool_choice", "type", "\"auto\", \"any\", \"tool\" or \"none\"", e);
}

/* --- the whole --- */

static int read_fields(struct tool_list *l, const cJSON *request, const struct shape *shape,
                       struct err *e)
{
    *l = (struct tool_list){.choice = OUTPUT_CHOICE_NONE, .parallel = true};
    int rc = add_tools(l, field(request, "tools"), shape, e);
    if (rc == 0 && shape == &messages) {
        rc = read_messages_choice(l, field(request, "tool_choice"), e);
    } else if (rc == 0) {
        rc = get_bool(request, "", "parallel_tool_calls", &l->parallel, e);
        rc = rc == 0 ? read_choice(l, field(request, "tool_choice"), shape, e) : rc;
    }
    if (rc != 0) {
        tool_list_deinit(l);
    }
    return rc;
}

int tool_list_from_chat(struct tool_list *l, const cJSON *request, struct err *e)
{
    return read_fields(l, request, &chat, e);
}

int tool_list_from_responses(struct tool_list *l, const cJSON *request, struct err *e)
{
    return read_fields(l, request, &responses, e);
}

int tool_list_from_messages(struct tool_list *l, const cJSON *request, struct err *e)
{
    return read_fields(l, request, &messages, e);
}

void tool_list_deinit(struct tool_list *l)
{
    mem_free(l->tools);
    cJSON_Delete(l->json);
    *l = (struct tool_list){.choice = OUTPUT_CHOICE_NONE};
}

size_t tool_list_names(const struct tool_list *l, const char *names[TOOLS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; l->choice != OUTPUT_CHOICE_NONE && i < l->n; i++) {
        if (l->tools[i].allowed) {
            names[n++] = l->tools[i].name;
        }
    }
    return n;
}

/* --- calls in messages --- */

static int check_call(const cJSON *call, const char *where, struct err *e)
{
    const cJSON *id = field(call, "id");
    const cJSON *type = field(call, "type");
    const cJSON *function = field(call, "function");
    const cJSON *name = field(function, "name");

    if (!cJSON_IsObject(call)) {
        return wrong(where, "", "an object", e);
    }
    if (!cJSON_IsString(id) || id->valuestring[0] == '\0') {
        return wrong(where, "id", "a string that is not empty", e);
    }
    if (type && !is_text(type, "function")) {
        return wrong(where, "type", "\"function\"", e);
    }
    if (!cJSON_IsObject(function)) {
        return wrong(where, "function", "an object", e);
    }
    if (!cJSON_IsString(name) || name->valuestring[0] == '\0') {
        return wrong(where, "function.name", "a string that is not empty", e);
    }
    return cJSON_IsString(field(function, "arguments"))
               ? 0
               : wrong(where, "function.arguments", "a string of JSON text", e);
}

int tool_calls_check(const cJSON *calls, const char *where, struct err *e)
{
    char path[PATH_BYTES];
    const cJSON *call;
    int i = 0;

    if (!cJSON_IsArray(calls) || cJSON_GetArraySize(calls) > TOOL_CALLS_MAX) {
        return wrong(where, "", "an array of at most 128 calls", e);
    }
    cJSON_ArrayForEach(call, calls)
    {
        snprintf(path, sizeof(path), "%s[%d]", where, i++);
        if (check_call(call, path, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int tool_calls_append(cJSON *calls, const char *id, const char *name, const char *arguments)
{
    cJSON *call = cJSON_CreateObject();

    if (!call || !cJSON_AddItemToArray(calls, call)) {
        cJSON_Delete(call);
        return -1;
    }
    if (!cJSON_AddStringToObject(call, "id", id) ||
        !cJSON_AddStringToObject(call, "type", "function")) {
        return -1;
    }
    cJSON *function = cJSON_AddObjectToObject(call, "function");
    return function && cJSON_AddStringToObject(function, "name", name) &&
                   cJSON_AddStringToObject(function, "arguments", arguments)
               ? 0
               : -1;
}
