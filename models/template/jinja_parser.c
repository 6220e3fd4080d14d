#include "models/template/jinja_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/template/jinja_builtin.h"

/* --- tokens --- */

int jinja_parser_fail(struct jinja_parser *p, enum err_kind kind, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return err_set(p->err, kind, "chat template: line %u: %s", p->token.line, message);
}

int jinja_parser_expected(struct jinja_parser *p, const char *what)
{
    if (p->token.kind == JINJA_TOKEN_NAME) {
        return jinja_parser_fail(p, ERR_FORMAT, "expected %s, found \"%.*s\"", what,
                                 (int)p->token.len, p->token.text);
    }
    return jinja_parser_fail(p, ERR_FORMAT, "expected %s, found \"%s\"", what,
                             jinja_token_name(p->token.kind));
}

int jinja_parser_advance(struct jinja_parser *p)
{
    return jinja_lexer_next(&p->lexer, &p->token, p->err);
}

int jinja_parser_peek(struct jinja_parser *p, struct jinja_token *token)
{
    struct jinja_lexer ahead = p->lexer;
    return jinja_lexer_next(&ahead, token, p->err);
}

bool jinja_parser_at(const struct jinja_parser *p, enum jinja_token_kind kind)
{
    return p->token.kind == kind;
}

bool jinja_parser_at_word(const struct jinja_parser *p, const char *word)
{
    return p->token.kind == JINJA_TOKEN_NAME && p->token.len == strlen(word) &&
           memcmp(p->token.text, word, p->token.len) == 0;
}

int jinja_parser_expect(struct jinja_parser *p, enum jinja_token_kind kind)
{
    if (p->token.kind != kind) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "\"%s\"", jinja_token_name(kind));
        return jinja_parser_expected(p, wanted);
    }
    return jinja_parser_advance(p);
}

int jinja_parser_deeper(struct jinja_parser *p)
{
    if (++p->depth > JINJA_MAX_PARSE_DEPTH) {
        return jinja_parser_fail(p, ERR_LIMIT, "nested deeper than %d levels",
                                 JINJA_MAX_PARSE_DEPTH);
    }
    return 0;
}

void *jinja_parser_alloc(struct jinja_parser *p, size_t size)
{
    void *memory = jinja_arena_alloc(p->arena, 1, size, p->err);
    if (!memory && p->err->kind == ERR_LIMIT) {
        err_prefix(p->err, "chat template: line %u", p->token.line);
    }
    return memory;
}

struct jinja_name jinja_name_of(const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *c = text; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    }
    return (struct jinja_name){text, hash};
}

int jinja_parser_name(struct jinja_parser *p, struct jinja_name *out)
{
    if (!jinja_parser_at(p, JINJA_TOKEN_NAME)) {
        return jinja_parser_expected(p, "a name");
    }
    char *text = jinja_parser_alloc(p, p->token.len + 1);
    if (!text) {
        return -1;
    }
    memcpy(text, p->token.text, p->token.len);
    *out = jinja_name_of(text);
    return jinja_parser_advance(p);
}

/* --- statements --- */

static int parse_statement(struct jinja_parser *p, struct jinja_stmt *s);

/* Whether the token is one of the words, which a space separates. */
static bool at_any_word(const struct jinja_parser *p, const char *words)
{
    if (!jinja_parser_at(p, JINJA_TOKEN_NAME)) {
        return false;
    }
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, " ");
        if (n == p->token.len && memcmp(w, p->token.text, n) == 0) {
            return true;
        }
        w += w[n] ? n + 1 : n;
    }
    return false;
}

static struct jinja_stmt *parse_print(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_PRINT;
    if (jinja_parser_advance(p) != 0 || !(s->print = jinja_parse_tuple(p, true)) ||
        jinja_parser_expect(p, JINJA_TOKEN_PRINT_END) != 0) {
        return NULL;
    }
    return s;
}

static struct jinja_stmt *parse_text(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_TEXT;
    s->text =
        (struct jinja_string){.data = p->token.text, .len = p->token.len, .trusted = true};
    return jinja_parser_advance(p) == 0 ? s : NULL;
}

/* Statements up to a block that begins with one of `enders`, whose word is then the token; or
 * to the end of the template when `enders` is empty. `opened` and `line` name what they would
 * close. */
static int parse_until(struct jinja_parser *p, const char *enders, const char *opened,
                       uint32_t line, struct jinja_stmt **out)
{
    unsigned depth = p->depth;
    if (jinja_parser_deeper(p) != 0) {
        return -1;
    }
    while (!jinja_parser_at(p, JINJA_TOKEN_END)) {
        struct jinja_stmt *s = jinja_parser_alloc(p, sizeof(*s));
        if (!s) {
            return -1;
        }
        s->line = p->token.line;
        if (jinja_parser_at(p, JINJA_TOKEN_TEXT)) {
            s = parse_text(p, s);
        } else if (jinja_parser_at(p, JINJA_TOKEN_PRINT_BEGIN)) {
            s = parse_print(p, s);
        } else if (jinja_parser_expect(p, JINJA_TOKEN_BLOCK_BEGIN) != 0) {
            return -1;
        } else if (at_any_word(p, enders)) {
            p->depth = depth;
            return 0;
        } else if (parse_statement(p, s) != 0) {
            return -1;
        }
        if (!s) {
            return -1;
        }
        *out = s;
        out = &s->next;
    }
    if (*enders) {
        return jinja_parser_fail(p, ERR_FORMAT, "\"{%% %s %%}\" of line %u is never closed",
                                 opened, line);
    }
    p->depth = depth;
    return 0;
}

/* "%}", before which Jinja takes a colon as Python would have it. */
static int expect_block_end(struct jinja_parser *p)
{
    if (jinja_parser_at(p, JINJA_TOKEN_COLON) && jinja_parser_advance(p) != 0) {
        return -1;
    }
    return jinja_parser_expect(p, JINJA_TOKEN_BLOCK_END);
}

/* "%} BODY {% WORD", where word is one of enders, and taken when there is only one. */
static int parse_body(struct jinja_parser *p, const char *enders, const char *opened,
                      uint32_t line, struct jinja_stmt **out)
{
    if (expect_block_end(p) != 0 || parse_until(p, enders, opened, line, out) != 0) {
        return -1;
    }
    return strchr(enders, ' ') ? 0 : jinja_parser_advance(p);
}

static int parse_if(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_IF;
    struct jinja_branch **tail = &s->branches;
    for (;;) {
        struct jinja_branch *branch = jinja_parser_alloc(p, sizeof(*branch));
        bool otherwise = jinja_parser_at_word(p, "else");
        if (!branch || jinja_parser_advance(p) != 0) {
            return -1;
        }
        *tail = branch;
        tail = &branch->next;
        if (otherwise) {
            return parse_body(p, "endif", "else", s->line, &branch->body);
        }
        branch->condition = jinja_parse_tuple(p, false);
        if (!branch->condition ||
            parse_body(p, "elif else endif", "if", s->line, &branch->body) != 0) {
            return -1;
        }
        if (jinja_parser_at_word(p, "endif")) {
            return jinja_parser_advance(p);
        }
    }
}

/* "a", "a, b" or, where allowed, "ns.a" */
static int parse_targets(struct jinja_parser *p, bool attributes, struct jinja_target **out,
                         bool *unpack)
{
    bool parentheses = jinja_parser_at(p, JINJA_TOKEN_LPAREN);
    *unpack = parentheses;
    if (parentheses && jinja_parser_advance(p) != 0) {
        return -1;
    }
    for (;;) {
        struct jinja_target *target = jinja_parser_alloc(p, sizeof(*target));
        if (!target || jinja_parser_name(p, &target->name) != 0) {
            return -1;
        }
        *out = target;
        out = &target->next;
        if (attributes && jinja_parser_at(p, JINJA_TOKEN_DOT)) {
            struct jinja_name attribute;
            if (jinja_parser_advance(p) != 0 || jinja_parser_name(p, &attribute) != 0) {
                return -1;
            }
            target->attribute = attribute.text;
        }
        if (!jinja_parser_at(p, JINJA_TOKEN_COMMA)) {
            break;
        }
        *unpack = true;
        if (jinja_parser_advance(p) != 0) {
            return -1;
        }
    }
    return parentheses ? jinja_parser_expect(p, JINJA_TOKEN_RPAREN) : 0;
}

static int parse_for(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_FOR;
    if (jinja_parser_advance(p) != 0 ||
        parse_targets(p, false, &s->loop.targets, &s->loop.unpack) != 0) {
        return -1;
    }
    if (!jinja_parser_at_word(p, "in")) {
        return jinja_parser_expected(p, "\"in\"");
    }
    if (jinja_parser_advance(p) != 0 || !(s->loop.iterable = jinja_parse_tuple(p, false))) {
        return -1;
    }
    if (jinja_parser_at_word(p, "if") &&
        (jinja_parser_advance(p) != 0 || !(s->loop.filter = jinja_parse_expression(p)))) {
        return -1;
    }
    if (jinja_parser_at_word(p, "recursive")) {
        return jinja_parser_fail(p, ERR_UNSUPPORTED, "\"recursive\" loops are not supported");
    }
    p->loops++;
    if (parse_body(p, "else endfor", "for", s->line, &s->loop.body) != 0) {
        return -1;
    }
    p->loops--;
    bool otherwise = jinja_parser_at_word(p, "else");
    if (jinja_parser_advance(p) != 0) {
        return -1;
    }
    return otherwise ? parse_body(p, "endfor", "else", s->line, &s->loop.otherwise) : 0;
}

/* In "{% set x | trim %}BODY{% endset %}" the filters are applied to x once it holds the body.
 */
static int parse_set_block(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_SET_BLOCK;
    if (s->set.targets->next || s->set.unpack) {
        return jinja_parser_fail(p, ERR_FORMAT, "a set block can only assign to one name");
    }
    if (jinja_parser_at(p, JINJA_TOKEN_PIPE)) {
        struct jinja_expr *x = jinja_expr_new(p, JINJA_EXPR_NAME);
        if (!x) {
            return -1;
        }
        x->name = s->set.targets->name;
        if (s->set.targets->attribute) {
            struct jinja_expr *attribute = jinja_expr_new(p, JINJA_EXPR_ATTRIBUTE);
            if (!attribute) {
                return -1;
            }
            attribute->attribute.target = x;
            attribute->attribute.name = s->set.targets->attribute;
            x = attribute;
        }
        if (!(s->set.value = jinja_parse_filters(p, x))) {
            return -1;
        }
    }
    unsigned loops = p->loops;
    p->loops = 0;
    if (parse_body(p, "endset", "set", s->line, &s->set.body) != 0) {
        return -1;
    }
    p->loops = loops;
    return 0;
}

static int parse_set(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_SET;
    if (jinja_parser_advance(p) != 0 ||
        parse_targets(p, true, &s->set.targets, &s->set.unpack) != 0) {
        return -1;
    }
    if (!jinja_parser_at(p, JINJA_TOKEN_ASSIGN)) {
        return parse_set_block(p, s);
    }
    if (jinja_parser_advance(p) != 0 || !(s->set.value = jinja_parse_tuple(p, true))) {
        return -1;
    }
    return 0;
}

/* "(a, b=1)" */
static int parse_parameters(struct jinja_parser *p, struct jinja_arg **out)
{
    if (jinja_parser_expect(p, JINJA_TOKEN_LPAREN) != 0) {
        return -1;
    }
    while (!jinja_parser_at(p, JINJA_TOKEN_RPAREN)) {
        struct jinja_arg *param = jinja_parser_alloc(p, sizeof(*param));
        if (!param || jinja_parser_name(p, &param->name) != 0) {
            return -1;
        }
        if (jinja_parser_at(p, JINJA_TOKEN_ASSIGN) &&
            (jinja_parser_advance(p) != 0 || !(param->value = jinja_parse_expression(p)))) {
            return -1;
        }
        *out = param;
        out = &param->next;
        if (!jinja_parser_at(p, JINJA_TOKEN_RPAREN) &&
            jinja_parser_expect(p, JINJA_TOKEN_COMMA) != 0) {
            return -1;
        }
    }
    return jinja_parser_advance(p);
}

static int parse_macro(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_MACRO;
    struct jinja_mention *mention = jinja_parser_alloc(p, sizeof(*mention));
    if (!mention || jinja_parser_advance(p) != 0 || jinja_parser_name(p, &s->macro.name) != 0) {
        return -1;
    }
    *mention = (struct jinja_mention){p->macros, s->macro.name.text, s->line};
    p->macros = mention;
    if (jinja_function_find(s->macro.name.text)) {
        return jinja_parser_fail(p, ERR_UNSUPPORTED,
                                 "the macro \"%s\" has the name of a built-in function",
                                 s->macro.name.text);
    }
    unsigned loops = p->loops;
    p->loops = 0;
    if (parse_parameters(p, &s->macro.params) != 0 ||
        parse_body(p, "endmacro", "macro", s->line, &s->macro.body) != 0) {
        return -1;
    }
    p->loops = loops;
    return 0;
}

static int parse_break(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = jinja_parser_at_word(p, "break") ? JINJA_STMT_BREAK : JINJA_STMT_CONTINUE;
    if (p->loops == 0) {
        return jinja_parser_fail(p, ERR_FORMAT, "\"%.*s\" outside of a for", (int)p->token.len,
                                 p->token.text);
    }
    return jinja_parser_advance(p);
}

/* Marks what the assistant generated, for training. Here it is its body: an if that is always
 * true. */
static int parse_generation(struct jinja_parser *p, struct jinja_stmt *s)
{
    s->kind = JINJA_STMT_IF;
    s->branches = jinja_parser_alloc(p, sizeof(*s->branches));
    if (!s->branches || jinja_parser_advance(p) != 0) {
        return -1;
    }
    return parse_body(p, "endgeneration", "generation", s->line, &s->branches->body);
}

static int fail_statement(struct jinja_parser *p)
{
    bool known = at_any_word(
        p, "autoescape block call do extends filter from import include trans with");
    bool closing =
        at_any_word(p, "elif else endfor endgeneration endif endmacro endraw endset");
    const char *what = known     ? "is not supported"
                       : closing ? "closes nothing"
                                 : "is no statement";
    if (!jinja_parser_at(p, JINJA_TOKEN_NAME)) {
        return jinja_parser_expected(p, "a statement");
    }
    return jinja_parser_fail(p, known ? ERR_UNSUPPORTED : ERR_FORMAT, "\"{%% %.*s %%}\" %s",
                             (int)p->token.len, p->token.text, what);
}

/* From the word behind "{%" up to "%}". */
static int parse_statement(struct jinja_parser *p, struct jinja_stmt *s)
{
    static const struct {
        const char *word;
        int (*parse)(struct jinja_parser *p, struct jinja_stmt *s);
    } statements[] = {
        {"if", parse_if},
        {"for", parse_for},
        {"set", parse_set},
        {"macro", parse_macro},
        {"break", parse_break},
        {"continue", parse_break},
        {"generation", parse_generation},
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (jinja_parser_at_word(p, statements[i].word)) {
            if (statements[i].parse(p, s) != 0) {
                return -1;
            }
            return jinja_parser_expect(p, JINJA_TOKEN_BLOCK_END);
        }
    }
    return fail_statement(p);
}

/* A call of what is neither a function nor a macro would fail in the middle of a request. */
static int check_calls(struct jinja_parser *p)
{
    for (const struct jinja_mention *call = p->calls; call; call = call->next) {
        const struct jinja_mention *macro = p->macros;
        while (macro && strcmp(macro->name, call->name) != 0) {
            macro = macro->next;
        }
        if (!macro) {
            return err_set(p->err, ERR_UNSUPPORTED,
                           "chat template: line %u: the function \"%s\" is not supported",
                           call->line, call->name);
        }
    }
    return 0;
}

int jinja_parse(const char *source, size_t len, struct jinja_arena *arena,
                struct jinja_stmt **out, struct err *e)
{
    struct jinja_parser p = {.arena = arena, .err = e};
    *out = NULL;
    if (jinja_lexer_init(&p.lexer, source, len, arena, e) != 0 ||
        jinja_parser_advance(&p) != 0 || parse_until(&p, "", "", 0, out) != 0) {
        return -1;
    }
    return check_calls(&p);
}
