/* page.h: the web pages, as bytes in the program.
 *
 * runtime/web/build.js bundles them when Weir is built and writes the table: pages, and the
 * scripts and styles that they load. Names of the latter hold a hash of their content, so that
 * what such a path stands for never changes. Built with WEB_PAGES=OFF the table is empty.
 *
 * All is constant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum web_coding {
    WEB_IDENTITY, /* as it is; always there */
    WEB_GZIP,     /* RFC 1952 */
    WEB_BROTLI,   /* RFC 7932 */
    WEB_CODING_COUNT
};

struct web_form {
    const unsigned char
        *bytes; /* (len); NULL: there is no such form, it would not be shorter */
    size_t len;
};

struct web_asset {
    const char *path; /* "/", "/assets/chat-1f0a....js" */
    const char *type; /* for Content-Type */
    const char *etag; /* names the content; without quotes */
    bool is_page;     /* HTML, may change under its path */
    struct web_form forms[WEB_CODING_COUNT];
};

extern const struct web_asset web_assets[]; /* (web_assets_count) */
extern const size_t web_assets_count;

/* NULL: there is none. */
const struct web_asset *web_asset_find(const char *path);
