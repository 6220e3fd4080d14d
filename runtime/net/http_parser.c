#include "runtime/net/http_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/mem.h"
#include "runtime/net/http_target.h"

/* Room in a request line beside the target: the longest method llhttp knows, spaces and
 * version. */
#define REQUEST_LINE_EXTRA 32

#define VERSION_LEN 8 /* "HTTP/1.1" */

__attribute__((format(printf, 4, 5))) static int
refuse(struct http_parser *p, int status, const char *code, const char *format, ...)
{
    p->refusal.status = status;
    p->refusal.code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(p->refusal.message, sizeof(p->refusal.message), format, args);
    va_end(args);
    return -1;
}

static int refuse_malformed(struct http_parser *p, const char *reason)
{
    return refuse(p, 400, "bad_http_request", "Malformed HTTP request: %s.", reason);
}

static int refuse_no_memory(struct http_parser *p)
{
    return refuse(p, 503, "out_of_memory", "The server has no memory left for this request.");
}

/* ---- llhttp's callbacks: 0, or HPE_USER after refuse() ---- */

static struct http_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

/* Trailers arrive through the callbacks of the head's fields. They are counted and dropped: a
 * field that comes after the body must not change how the request was understood (RFC
 * 9110 6.5.1). */
static int count_extra(llhttp_t *llhttp, const char *at, size_t len)
{
    (void)at;
    struct http_parser *p = parser_of(llhttp);
    p->extra_bytes += len;
    if (p->extra_bytes > p->settings->header_bytes_max) {
        refuse(p, 431, "headers_too_large",
               "Chunk extensions and trailers together exceed the limit of %zu bytes.",
               p->settings->header_bytes_max);
        return HPE_USER;
    }
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *p = parser_of(llhttp);
    if (p->state == HTTP_PARSER_IN_BODY) {
        return count_extra(llhttp, at, len);
    }
    if (p->in_name) {
        return 0;
    }
    if (p->header_count + 1 >= p->line_count) {
        refuse_malformed(p, "a field line could not be read");
        return HPE_USER;
    }
    p->headers[p->header_count++] = (struct http_header){.name = at};
    p->in_name = true;
    return 0;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct http_parser *p = parser_of(llhttp);
    p->in_name = false;
    p->in_value = false;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *p = parser_of(llhttp);
    if (p->state == HTTP_PARSER_IN_BODY) {
        return count_extra(llhttp, at, len);
    }
    /* The empty span of an empty value may point past its line. */
    if (!p->in_value && len > 0) {
        p->headers[p->header_count - 1].value = at;
        p->in_value = true;
    }
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *llhttp)
{
    struct http_parser *p = parser_of(llhttp);
    if (llhttp->content_length > p->settings->body_bytes_max - p->body.len) {
        refuse(p, 413, "body_too_large", "The request body exceeds the limit of %zu bytes.",
               p->settings->body_bytes_max);
        return HPE_USER;
    }
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *p = parser_of(llhttp);
    if (len > p->settings->bodies_bytes_max - *p->bodies_total) {
        refuse(p, 503, "server_busy",
               "The server is reading too many request bodies; try again in a moment.");
        return HPE_USER;
    }
    if (buf_append(&p->body, at, len) != 0) {
        refuse_no_memory(p);
        return HPE_USER;
    }
    *p->bodies_total += len;
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->message_complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t callbacks = {
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_extension_name = count_extra,
    .on_chunk_extension_value = count_extra,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- the guard ---- */

/* RFC 9110 5.6.2 */
static bool is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool alphanumeric = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
                            (s[i] >= 'A' && s[i] <= 'Z');
        if (!alphanumeric && (s[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", s[i]))) {
            return false;
        }
    }
    return len > 0;
}

/* CONNECT is left out: its target is not a path, and this server is no proxy. */
static bool method_is_known(const char *method, size_t len)
{
    static const char *const names[] = {
#define METHOD_NAME(number, name, string) #string,
        HTTP_METHOD_MAP(METHOD_NAME)
#undef METHOD_NAME
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == len && memcmp(names[i], method, len) == 0) {
            return strcmp(names[i], "CONNECT") != 0 && strcmp(names[i], "SOURCE") != 0;
        }
    }
    return false;
}

static int check_target(struct http_parser *p, const char *target, size_t len)
{
    if (len > p->settings->target_bytes_max) {
        return refuse(p, 414, "target_too_long",
                      "The request target exceeds the limit of %zu bytes.",
                      p->settings->target_bytes_max);
    }
    for (size_t i = 0; i < len; i++) {
        if (target[i] < 0x21 || target[i] > 0x7e) {
            return refuse_malformed(p, "the target has a byte that must be percent-encoded");
        }
    }
    return len > 0 ? 0 : refuse_malformed(p, "the request line has an empty target");
}

static int check_version(struct http_parser *p, const char *version, size_t len)
{
    bool has_shape = len == VERSION_LEN && memcmp(version, "HTTP/", 5) == 0 &&
                     version[5] >= '0' && version[5] <= '9' && version[6] == '.' &&
                     version[7] >= '0' && version[7] <= '9';
    if (!has_shape) {
        return refuse_malformed(p, "the request line is not METHOD TARGET HTTP/1.1");
    }
    if (version[5] != '1' || version[7] > '1') {
        return refuse(p, 505, "http_version_not_supported",
                      "HTTP/%c.%c is not supported; use HTTP/1.1.", version[5], version[7]);
    }
    return 0;
}

static int check_request_line(struct http_parser *p, const char *line, size_t len)
{
    const char *end = line + len;
    const char *space = memchr(line, ' ', len);
    const char *target = space ? space + 1 : end;
    const char *target_end = memchr(target, ' ', (size_t)(end - target));
    if (!target_end || !is_token(line, (size_t)(space - line))) {
        return refuse_malformed(p, "the request line is not METHOD TARGET HTTP/1.1");
    }
    if (check_target(p, target, (size_t)(target_end - target)) != 0 ||
        check_version(p, target_end + 1, (size_t)(end - target_end) - 1) != 0) {
        return -1;
    }
    if (!method_is_known(line, (size_t)(space - line))) {
        return refuse(p, 501, "method_not_implemented",
                      "The method %.*s is not implemented (names are upper-case).",
                      (int)(space - line > 24 ? 24 : space - line), line);
    }
    return 0;
}

static const char *byte_problem(const struct http_parser *p, char byte)
{
    bool first = p->scanned == p->line_start;
    bool after_cr = !first && p->head.data[p->scanned - 1] == '\r';
    if (after_cr) {
        return byte == '\n' ? NULL : "a CR is not followed by LF";
    }
    if (byte == '\n') {
        return "a line ends with LF alone; CR LF is required";
    }
    if (first && p->line_count > 0 && (byte == ' ' || byte == '\t')) {
        return "a folded or indented field line (obsolete since RFC 7230)";
    }
    if (first && p->line_count > 0 && byte == ':') {
        return "a field line has no name";
    }
    if (((unsigned char)byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7f) {
        return "a control character in the head; is this plain HTTP?";
    }
    return NULL;
}

/* 1 when that was the empty line which ends the head, 0 to go on, -1 refused. */
static int end_line(struct http_parser *p)
{
    size_t start = p->line_start;
    size_t len = p->scanned - start - 2;
    p->line_start = p->scanned;
    if (len == 0) {
        /* Empty lines before a request are skipped: RFC 9112 2.2. */
        return p->line_count > 0;
    }
    p->line_count++;
    if (p->line_count == 1) {
        p->request_line_at = start;
        return check_request_line(p, p->head.data + start, len);
    }
    if (p->line_count - 1 > p->settings->header_count_max) {
        return refuse(p, 431, "headers_too_large",
                      "The request has more than %zu header fields.",
                      p->settings->header_count_max);
    }
    return 0;
}

/* Reads what is new in head. As end_line. */
static int scan_head(struct http_parser *p)
{
    while (p->scanned < p->head.len) {
        char byte = p->head.data[p->scanned];
        const char *problem = byte_problem(p, byte);
        if (problem) {
            return refuse_malformed(p, problem);
        }
        p->scanned++;
        if (p->line_count == 0 &&
            p->scanned - p->line_start > p->settings->target_bytes_max + REQUEST_LINE_EXTRA) {
            return refuse(p, 414, "target_too_long",
                          "The request target exceeds the limit of %zu bytes.",
                          p->settings->target_bytes_max);
        }
        int rc = byte == '\n' ? end_line(p) : 0;
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* ---- a complete head ---- */

/* Puts NULs behind names and values. Safe by the guard: every field line has a colon (llhttp
 * has seen it) and ends with CR LF. */
static void cut_fields(struct http_parser *p)
{
    char *data = p->head.data;
    for (size_t i = 0; i < p->header_count; i++) {
        struct http_header *header = &p->headers[i];
        char *name_end = strchr(data + (header->name - data), ':');
        *name_end = '\0';
        if (!header->value) {
            header->value = "";
            continue;
        }
        char *value = data + (header->value - data);
        size_t len = strcspn(value, "\r");
        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
            len--;
        }
        value[len] = '\0';
    }
}

static bool host_is_clean(const char *host)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "-._~!$&'()*+,;=:[]%";
    return host[strspn(host, allowed)] == '\0';
}

static int read_request_line(struct http_parser *p)
{
    char *method = p->head.data + p->request_line_at;
    char *target = strchr(method, ' ') + 1;
    char *version = strchr(target, ' ') + 1;
    method[target - method - 1] = '\0';
    target[version - target - 1] = '\0';
    p->target_parts = mem_alloc((size_t)(version - target) + 3);
    if (!p->target_parts) {
        return refuse_no_memory(p);
    }
    struct http_target parts;
    const char *problem = http_target_parse(method, target, p->target_parts, &parts);
    if (problem) {
        return refuse_malformed(p, problem);
    }
    p->request = (struct http_request){
        .method = method,
        .target = target,
        .path = parts.path,
        .query = parts.query,
        .host = parts.host,
        .version_minor = version[VERSION_LEN - 1] - '0',
        .headers = p->headers,
        .header_count = p->header_count,
        .body = "",
        .peer = "",
    };
    return 0;
}

static size_t count_fields(const struct http_parser *p, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < p->header_count; i++) {
        count += strcasecmp(p->headers[i].name, name) == 0;
    }
    return count;
}

/* RFC 9112 3.2: exactly one Host in HTTP/1.1, and an absolute target wins over it. */
static int check_host(struct http_parser *p)
{
    size_t count = count_fields(p, "Host");
    if (count > 1 || (count == 0 && p->request.version_minor > 0)) {
        return refuse_malformed(p, count > 1 ? "more than one Host field" : "no Host field");
    }
    const char *host = http_request_header(&p->request, "Host");
    if (!p->request.host) {
        p->request.host = host ? host : "";
    }
    if ((host && !host_is_clean(host)) || !host_is_clean(p->request.host)) {
        return refuse_malformed(p, "the host has characters that no host has");
    }
    return 0;
}

/* How the body is delimited must be beyond doubt (RFC 9112 6.1, 6.3): llhttp has already
 * refused Content-Length beside Transfer-Encoding or repeated, and numbers that are none. */
static int check_framing(struct http_parser *p)
{
    const char *coding = http_request_header(&p->request, "Transfer-Encoding");
    if (coding) {
        if (p->request.version_minor == 0) {
            return refuse_malformed(p, "Transfer-Encoding in an HTTP/1.0 request");
        }
        if (count_fields(p, "Transfer-Encoding") > 1) {
            return refuse_malformed(p, "more than one Transfer-Encoding field");
        }
        if (strcasecmp(coding, "chunked") != 0) {
            return refuse(p, 501, "transfer_encoding_not_implemented",
                          "The only Transfer-Encoding accepted is: chunked.");
        }
        p->has_body = true;
    } else if (p->llhttp.content_length > 0) {
        p->has_body = true;
        if (p->llhttp.content_length > p->settings->body_bytes_max) {
            return refuse(p, 413, "body_too_large",
                          "The request body exceeds the limit of %zu bytes.",
                          p->settings->body_bytes_max);
        }
    }

    const char *expect = http_request_header(&p->request, "Expect");
    if (expect && p->request.version_minor > 0) {
        if (strcasecmp(expect, "100-continue") != 0) {
            return refuse(p, 417, "expectation_failed",
                          "The only Expect accepted is: 100-continue.");
        }
        p->expects_continue = p->has_body;
    }
    return 0;
}

static int refuse_by_llhttp(struct http_parser *p)
{
    const char *reason = llhttp_get_error_reason(&p->llhttp);
    if (p->refusal.status == 0) {
        refuse_malformed(p, reason && *reason ? reason : "it cannot be parsed");
    }
    return -1;
}

static int complete_head(struct http_parser *p)
{
    p->head.len = p->scanned;
    p->head.data[p->head.len] = '\0';
    p->headers = mem_zarray(p->line_count, sizeof(*p->headers));
    if (!p->headers) {
        return refuse_no_memory(p);
    }
    llhttp_errno_t rc = llhttp_execute(&p->llhttp, p->head.data, p->head.len);
    if (rc != HPE_PAUSED) {
        return rc == HPE_OK ? refuse_malformed(p, "its head does not end where it seems to")
                            : refuse_by_llhttp(p);
    }
    if (llhttp_get_error_pos(&p->llhttp) != p->head.data + p->head.len) {
        return refuse_malformed(p, "its head does not end where it seems to");
    }
    p->keep_alive = llhttp_should_keep_alive(&p->llhttp) != 0;
    cut_fields(p);
    if (read_request_line(p) != 0 || check_host(p) != 0 || check_framing(p) != 0) {
        return -1;
    }
    llhttp_resume(&p->llhttp);
    p->state = HTTP_PARSER_IN_BODY;
    return 0;
}

/* ---- feeding ---- */

static enum http_parser_event failed(struct http_parser *p)
{
    p->state = HTTP_PARSER_ENDED;
    return HTTP_PARSER_FAILED;
}

static enum http_parser_event feed_head(struct http_parser *p, const char *data, size_t len,
                                        size_t *used)
{
    size_t before = p->head.len;
    size_t room = p->settings->header_bytes_max - before;
    *used = len < room ? len : room;
    if (buf_append(&p->head, data, *used) != 0) {
        refuse_no_memory(p);
        return failed(p);
    }
    int rc = scan_head(p);
    if (rc < 0) {
        return failed(p);
    }
    if (rc > 0) {
        *used = p->scanned - before;
        return complete_head(p) == 0 ? HTTP_PARSER_HEAD : failed(p);
    }
    if (p->head.len == p->settings->header_bytes_max) {
        refuse(p, 431, "headers_too_large", "The request head exceeds the limit of %zu bytes.",
               p->settings->header_bytes_max);
        return failed(p);
    }
    return HTTP_PARSER_MORE;
}

static void remember_last_bytes(struct http_parser *p, const char *data, size_t len)
{
    if (len >= 2) {
        memcpy(p->last_bytes, data + len - 2, 2);
    } else if (len == 1) {
        p->last_bytes[0] = p->last_bytes[1];
        p->last_bytes[1] = data[0];
    }
}

static enum http_parser_event feed_body(struct http_parser *p, const char *data, size_t len,
                                        size_t *used)
{
    llhttp_errno_t rc = llhttp_execute(&p->llhttp, len > 0 ? data : "", len);
    if (rc == HPE_OK) {
        *used = len;
        remember_last_bytes(p, data, len);
        return HTTP_PARSER_MORE;
    }
    if (!p->message_complete) {
        *used = len;
        refuse_by_llhttp(p);
        return failed(p);
    }
    *used = len > 0 ? (size_t)(llhttp_get_error_pos(&p->llhttp) - data) : 0;
    remember_last_bytes(p, data, *used);
    /* llhttp 8 takes a bare LF for the empty line after the last chunk. */
    bool is_chunked = http_request_header(&p->request, "Transfer-Encoding") != NULL;
    if (is_chunked && memcmp(p->last_bytes, "\r\n", 2) != 0) {
        refuse_malformed(p, "the chunked body does not end with CR LF");
        return failed(p);
    }
    p->state = HTTP_PARSER_ENDED;
    p->request.body = p->body.data ? p->body.data : "";
    p->request.body_len = p->body.len;
    return HTTP_PARSER_DONE;
}

enum http_parser_event http_parser_feed(struct http_parser *p, const char *data, size_t len,
                                        size_t *used)
{
    *used = 0;
    switch (p->state) {
    case HTTP_PARSER_IN_HEAD:
        return feed_head(p, data, len, used);
    case HTTP_PARSER_IN_BODY:
        return feed_body(p, data, len, used);
    case HTTP_PARSER_ENDED:
        break;
    }
    return p->refusal.status ? HTTP_PARSER_FAILED : HTTP_PARSER_DONE;
}

void http_parser_init(struct http_parser *p, const struct http_server_settings *settings,
                      size_t *bodies_total)
{
    *p = (struct http_parser){.settings = settings, .bodies_total = bodies_total};
    buf_init(&p->head, settings->header_bytes_max);
    buf_init(&p->body, settings->body_bytes_max);
    llhttp_init(&p->llhttp, HTTP_REQUEST, &callbacks);
    p->llhttp.data = p;
}

void http_parser_deinit(struct http_parser *p)
{
    *p->bodies_total -= p->body.len;
    if (p->head.data) {
        explicit_bzero(p->head.data, p->head.len); /* it may hold a key */
    }
    buf_deinit(&p->head);
    buf_deinit(&p->body);
    mem_free(p->headers);
    mem_free(p->target_parts);
}

void http_parser_reset(struct http_parser *p)
{
    http_parser_deinit(p);
    http_parser_init(p, p->settings, p->bodies_total);
}

bool http_parser_has_begun(const struct http_parser *p)
{
    return p->line_count > 0 || p->scanned > p->line_start;
}
