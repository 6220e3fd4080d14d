/* openapi.h: the description of all routes, runtime/api/openapi.json (OpenAPI 3.1), as bytes in
 * the program. tests/lint/openapi.js holds it against routes.h. */
#pragma once

#include <stddef.h>

extern const unsigned char openapi_json[];
extern const size_t openapi_json_len;
