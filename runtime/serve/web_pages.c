#include "runtime/serve/web_pages.h"

#include <stdio.h>

#include "runtime/api/api_error.h"
#include "runtime/net/http_choice.h"
#include "runtime/serve/respond.h"
#include "runtime/web/page.h"

/* Trusted types: markup becomes part of a page through the sanitiser and by no other way. */
#define POLICY                                                                          \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "         \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
    "require-trusted-types-for 'script'; trusted-types dompurify"

static const struct {
    const char *name;   /* for Accept-Encoding and Content-Encoding */
    const char *suffix; /* of the ETag: each form has its own */
} codings[WEB_CODING_COUNT] = {[WEB_IDENTITY] = {"identity", ""},
                               [WEB_GZIP] = {"gzip", "-gz"},
                               [WEB_BROTLI] = {"br", "-br"}};

/* The one that the client wants most; of equals the shortest. Who wants none gets it as it is.
 */
static enum web_coding choose(const struct http_request *request, const struct web_asset *asset)
{
    enum web_coding best = WEB_IDENTITY;
    int best_wanted = http_coding_wanted(request, codings[best].name);
    for (enum web_coding c = WEB_GZIP; c < WEB_CODING_COUNT; c++) {
        int wanted = asset->forms[c].bytes ? http_coding_wanted(request, codings[c].name) : 0;
        if (wanted > best_wanted || (wanted > 0 && wanted == best_wanted &&
                                     asset->forms[c].len < asset->forms[best].len)) {
            best = c;
            best_wanted = wanted;
        }
    }
    return best;
}

static void answer(struct http_exchange *ex, const struct web_asset *asset)
{
    const struct http_request *request = http_exchange_request(ex);
    enum web_coding coding = choose(request, asset);
    char name[64];
    char etag[sizeof(name) + 2];
    snprintf(name, sizeof(name), "%s%s", asset->etag, codings[coding].suffix);
    snprintf(etag, sizeof(etag), "\"%s\"", name);
    bool is_known = http_has_etag(request, name);

    struct http_header headers[12] = {
        {"ETag", etag},
        {"Vary", "Accept-Encoding"},
        {"Cache-Control", asset->is_page ? "no-cache" : "public, max-age=31536000, immutable"},
        {"X-Content-Type-Options", "nosniff"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    size_t n = 5;
    if (asset->is_page) {
        headers[n++] = (struct http_header){"Content-Security-Policy", POLICY};
        headers[n++] = (struct http_header){"Cross-Origin-Opener-Policy", "same-origin"};
        headers[n++] = (struct http_header){"Referrer-Policy", "no-referrer"};
        headers[n++] = (struct http_header){"X-Frame-Options", "DENY"};
    }
    if (!is_known) {
        headers[n++] = (struct http_header){"Content-Type", asset->type};
    }
    if (!is_known && coding != WEB_IDENTITY) {
        headers[n++] = (struct http_header){"Content-Encoding", codings[coding].name};
    }
    const struct web_form *form = &asset->forms[coding];
    http_respond(ex, is_known ? 304 : 200, headers, n, is_known ? NULL : form->bytes,
                 is_known ? 0 : form->len);
}

void web_pages_answer(struct http_exchange *ex)
{
    const struct web_asset *asset = web_asset_find(http_exchange_request(ex)->path);
    if (asset) {
        answer(ex, asset);
        return;
    }
    struct api_error error = api_error_make(
        404, "invalid_request_error", "route_not_found", NULL,
        web_assets_count > 0
            ? "there is no such file; a page that was loaded before an upgrade must be "
              "loaded anew"
            : "this program was built without web pages (WEB_PAGES=OFF); docs/api.md lists the "
              "routes");
    respond_error(ex, &error);
}
