#include "runtime/cli/etcd_remote.h"

#include <string.h>

#define BODY_MAX   ((size_t)32 << 20)
#define ANSWER_MAX ((size_t)256 << 20)
#define TIMEOUT_MS 10000L

static void set_blob(CURL *curl, CURLoption option, char *data, size_t len)
{
    struct curl_blob blob = {.data = data, .len = len, .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, option, &blob);
}

static void set_certificates(CURL *curl, const struct fleet_settings *set)
{
    if (set->trusted) {
        set_blob(curl, CURLOPT_CAINFO_BLOB, set->trusted, set->trusted_len);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (set->certificate) {
        set_blob(curl, CURLOPT_SSLCERT_BLOB, set->certificate, set->certificate_len);
        set_blob(curl, CURLOPT_SSLKEY_BLOB, set->key, set->key_len);
    }
}

static int send_body(struct etcd_remote *r, const char *path, struct etcd_answer *out,
                     struct err *e)
{
    long status = 0;
    if (remote_exchange(&r->remote, "POST", path, r->body.data, &r->answer, &status, e) != 0) {
        return -1;
    }
    if (etcd_answer_read(out, r->answer.data ? r->answer.data : "", r->answer.len, e) != 0) {
        return err_prefix(e, "%s", r->remote.name);
    }
    if (status / 100 != 2) {
        etcd_answer_deinit(out);
        return err_set(e, ERR_IO, "%s answers with status %ld; is it etcd's client port?",
                       r->remote.name, status);
    }
    return 0;
}

static int log_in(struct etcd_remote *r, struct err *e)
{
    struct etcd_answer a;
    if (!r->set->user) {
        return 0;
    }
    struct buf kept = r->body; /* what is to be asked then */
    buf_init(&r->body, BODY_MAX);
    etcd_login_text(&r->body, r->set->user, r->set->password ? r->set->password : "");
    int rc = send_body(r, ETCD_LOGIN_PATH, &a, e);
    buf_deinit(&r->body);
    r->body = kept;
    if (rc == 0) {
        rc = remote_add_header(&r->remote, "Authorization", a.token ? a.token : "", e);
        etcd_answer_deinit(&a);
    }
    return rc;
}

static int begin(struct etcd_remote *r, struct err *e)
{
    if (r->is_open) {
        return 0;
    }
    const char *url = r->endpoints[r->endpoint];
    if (remote_open(&r->remote, url, NULL, e) == 0) {
        curl_easy_setopt(r->remote.curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
        curl_easy_setopt(r->remote.curl, CURLOPT_PROXY, "");
        set_certificates(r->remote.curl, r->set);
        r->is_open = log_in(r, e) == 0;
    }
    if (!r->is_open) {
        remote_close(&r->remote);
    }
    return r->is_open ? 0 : -1;
}

int etcd_remote_ask(struct etcd_remote *r, const char *path, bool may_repeat,
                    struct etcd_answer *out, struct err *e)
{
    int rc = r->body.failed ? err_nomem(e) : -1;
    for (size_t i = 0; i < r->n_endpoints && !r->body.failed; i++) {
        *e = (struct err){0};
        bool is_sent = begin(r, e) == 0;
        rc = is_sent ? send_body(r, path, out, e) : -1;
        if (rc == 0 || (is_sent && !may_repeat)) {
            break;
        }
        remote_close(&r->remote);
        r->is_open = false;
        r->endpoint = (r->endpoint + 1) % r->n_endpoints;
    }
    buf_clear(&r->body);
    return rc;
}

int etcd_remote_open(struct etcd_remote *r, const struct fleet_settings *set, struct err *e)
{
    *r = (struct etcd_remote){.set = set};
    buf_init(&r->body, BODY_MAX);
    buf_init(&r->answer, ANSWER_MAX);
    return fleet_endpoints_split(set->endpoints, r->endpoints, &r->n_endpoints, e);
}

void etcd_remote_close(struct etcd_remote *r)
{
    remote_close(&r->remote);
    buf_deinit(&r->body);
    buf_deinit(&r->answer);
}
