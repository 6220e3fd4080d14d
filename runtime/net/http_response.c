#include "runtime/net/http_response.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"

/* RFC 9110 15. An unlisted status gets an empty phrase, which RFC 9112 4 allows. */
static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {529, "Overloaded"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "";
}

bool http_status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Names and values may repeat what a client sent: a CR LF in them would begin a field or a
 * response of the client's choosing (CWE-113). */
static void append_without_controls(struct buf *out, const char *s)
{
    size_t at = out->len;
    if (buf_append_str(out, s) != 0) {
        return;
    }
    for (; at < out->len; at++) {
        unsigned char byte = (unsigned char)out->data[at];
        if (byte < 0x20 || byte == 0x7f) {
            out->data[at] = ' ';
        }
    }
}

void http_field_add(struct buf *head, const char *name, const char *value)
{
    append_without_controls(head, name);
    buf_append_str(head, ": ");
    append_without_controls(head, value);
    buf_append_str(head, "\r\n");
}

static void append_date(struct buf *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)clock_unix_s();
    struct tm t;
    if (gmtime_r(&seconds, &t)) {
        /* IMF-fixdate, RFC 9110 5.6.7; strftime's names would follow the locale. */
        buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[t.tm_wday],
                   t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min,
                   t.tm_sec);
    }
}

int http_response_append_head(struct buf *out, const struct http_response_head *head)
{
    buf_printf(out, "HTTP/1.1 %03d %s\r\n", head->status, reason_phrase(head->status));
    append_date(out);
    switch (head->framing) {
    case HTTP_FRAMING_LENGTH:
        buf_printf(out, "Content-Length: %zu\r\n", head->content_length);
        break;
    case HTTP_FRAMING_CHUNKED:
        buf_append_str(out, "Transfer-Encoding: chunked\r\n");
        break;
    case HTTP_FRAMING_NONE:
    case HTTP_FRAMING_CLOSE:
        break;
    }
    if (!head->keep_alive) {
        buf_append_str(out, "Connection: close\r\n");
    } else if (head->version_minor == 0) {
        buf_append_str(out, "Connection: keep-alive\r\n");
    }
    for (size_t i = 0; i < head->header_count; i++) {
        http_field_add(out, head->headers[i].name, head->headers[i].value);
    }
    if (head->request_id) {
        http_field_add(out, "x-request-id", head->request_id);
    }
    if (head->more) {
        head->more(head->more_ctx, out);
    }
    return buf_append_str(out, "\r\n");
}

static int append_error_json(struct buf *out, const struct http_refusal *refusal)
{
    const char *type = refusal->status == 408   ? "timeout"
                       : refusal->status >= 500 ? "server_error"
                                                : "invalid_request_error";
    buf_append_str(out, "{\"error\":{\"message\":\"");
    /* Our own words around a method name or a parser's reason: quotes are only a precaution. */
    for (const char *c = refusal->message; *c; c++) {
        bool is_plain = *c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\';
        buf_append_char(out, is_plain ? *c : '\'');
    }
    return buf_printf(out, "\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}\n", type,
                      refusal->code);
}

int http_response_append_refusal(struct buf *out, const struct http_refusal *refusal,
                                 const struct http_response_head *like, bool is_head)
{
    static const struct http_header json = {"Content-Type", "application/json"};
    struct buf body;
    buf_init(&body, 1024);
    int rc = append_error_json(&body, refusal);
    if (rc == 0) {
        struct http_response_head head = {
            .status = refusal->status,
            .headers = &json,
            .header_count = 1,
            .framing = HTTP_FRAMING_LENGTH,
            .content_length = body.len,
            .request_id = like->request_id,
            .more = like->more,
            .more_ctx = like->more_ctx,
        };
        http_response_append_head(out, &head);
        rc = buf_append(out, body.data, is_head ? 0 : body.len);
    }
    buf_deinit(&body);
    return rc;
}
