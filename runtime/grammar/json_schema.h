/* json_schema.h: JSON Schema (2020-12) to GBNF rules.
 *
 * A schema that is taken is enforced in full: every text of the rules is a JSON value that is
 * valid under the schema. Everything else is refused with keyword and place, never passed over.
 * The rules may allow fewer texts than the schema, never more:
 *
 *   - JSON is compact, with at most one space after `:` and `,`.
 *   - Properties come in the order of the schema, required and optional ones alike. Where
 *     `additionalProperties` is not given, an object that declares properties has these alone.
 *     Additional properties come last and never have a declared name. Two additional ones could
 *     have the same name (no context-free grammar can tell); their values obey the same schema,
 *     and where the number of distinct names matters (minProperties) the schema is refused.
 *   - Integers have at most 16 digits and no fraction or exponent; numbers with bounds no
 *     exponent.
 *   - Strings under `pattern`, `format` or in `enum` escape only what must be; U+0000 is never
 *     written.
 *
 * Keywords: type, enum, const, properties, required, additionalProperties, patternProperties,
 * propertyNames, minProperties, maxProperties, items, prefixItems, minItems, maxItems,
 * uniqueItems (when there is at most one item), minLength, maxLength, pattern (regex.h),
 * format, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf (whole numbers),
 * allOf, anyOf, oneOf (when no value that is written can be valid under two branches), not (of
 * types), $ref (a pointer into the document, "#/..."), nullable; boolean schemas. Annotations,
 * which allow and forbid nothing: title, description, default, example, examples, deprecated,
 * readOnly, writeOnly, discriminator, $comment, $id, $anchor, $schema (of json-schema.org),
 * $defs, definitions, contentMediaType, contentEncoding and names that begin with "x-".
 * `format` is enforced for date, time, date-time, duration, email, hostname, ipv4, ipv6 and
 * uuid; other formats are refused, and so is every other keyword.
 *
 * Threads: any. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

/* Appends rules to *rules. The first is `rule_name` and matches a value of the schema; the
 * names of all others begin with `rule_name` and '-'. A rule name is letters, digits and '-'.
 * Nothing else is needed: the rules of JSON itself are among them. On failure *rules may have
 * grown. */
int json_schema_to_gbnf(const cJSON *schema, const char *rule_name, struct buf *rules,
                        struct err *e);

/* The same for any JSON value, or any JSON object when `object_only`. */
int json_value_to_gbnf(const char *rule_name, bool object_only, struct buf *rules,
                       struct err *e);
