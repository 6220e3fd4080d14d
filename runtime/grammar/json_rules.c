#include "runtime/grammar/json_rules.h"

#include "runtime/grammar/json_schema.h"

/* %s is the prefix. What can stand in a string as it is is not escaped, so that filters, which
 * read an answer in JSON as text, see the words that whoever decodes it sees. A string never
 * has U+0000 or a lone surrogate. */
static const char *const lines[] = {
    "%s-v ::= %s-o | %s-a | %s-s | %s-n | \"true\" | \"false\" | \"null\"\n",
    "%s-o ::= \"{\" (%s-m (" JSON_RULES_COMMA " %s-m)*)? \"}\"\n",
    "%s-m ::= %s-s \":\" " JSON_RULES_SPACE " %s-v\n",
    "%s-a ::= \"[\" (%s-v (" JSON_RULES_COMMA " %s-v)*)? \"]\"\n",
    "%s-s ::= \"\\\"\" %s-c* \"\\\"\"\n",
    "%s-c ::= [^\\x00-\\x1F\"\\\\] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" %s-u)\n",
    "%s-u ::= \"000\" [1-7bBeEfF] | \"001\" [0-9a-fA-F]\n",
    "%s-i ::= \"0\" | \"-\"? [1-9] [0-9]{0,15}\n",
    ("%s-n ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,16})? ([eE] [+-]? "
     "[0-9]{1,2})?\n"),
};

int json_rules_write(const char *prefix, struct buf *rules)
{
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        for (const char *p = lines[i]; *p; p++) {
            if (p[0] == '%' && p[1] == 's') {
                buf_append_str(rules, prefix);
                p++;
            } else {
                buf_append_char(rules, *p);
            }
        }
    }
    return rules->failed ? -1 : 0;
}

int json_value_to_gbnf(const char *rule_name, bool object_only, struct buf *rules,
                       struct err *e)
{
    buf_printf(rules, "%s ::= %s-%c\n", rule_name, rule_name, object_only ? 'o' : 'v');
    return json_rules_write(rule_name, rules) == 0 ? 0 : err_nomem(e);
}
