#include "runtime/cli/etcd_options.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/mem.h"

#define PEM_MAX      ((size_t)1 << 20)
#define PASSWORD_MAX ((size_t)4096)

void etcd_options_fill(struct option *table, struct etcd_options *o)
{
    const struct option all[ETCD_OPTIONS] = {
        {"etcd", 0, OPTION_STRING, &o->endpoints, "URL[,URL]",
         "etcd's client addresses, http:// or https://", 0, 0},
        {"fleet", 0, OPTION_STRING, &o->fleet, "NAME",
         "the fleet of servers that have prompts, filter chains and model versions alike", 0,
         0},
        {"etcd-user", 0, OPTION_STRING, &o->user, "NAME", "who logs in at etcd", 0, 0},
        {"etcd-password-file", 0, OPTION_STRING, &o->password_file, "FILE",
         "the password, the file's first line (WEIR_ETCD_PASSWORD)", 0, 0},
        {"etcd-ca", 0, OPTION_STRING, &o->ca, "FILE",
         "certificates that etcd's may be from, PEM (the system's)", 0, 0},
        {"etcd-cert", 0, OPTION_STRING, &o->cert, "FILE", "a certificate to show to etcd, PEM",
         0, 0},
        {"etcd-key", 0, OPTION_STRING, &o->key, "FILE", "the certificate's key, PEM", 0, 0},
    };
    memcpy(table, all, sizeof(all));
}

static int read_pem(const char *option, const char *path, char **out, size_t *len,
                    struct err *e)
{
    if (path) {
        *out = file_read(path, PEM_MAX, len, e);
    }
    return !path || *out ? 0 : err_prefix(e, "%s", option);
}

static int read_password(const struct etcd_options *o, struct fleet_settings *set,
                         struct err *e)
{
    size_t len = 0;
    if (!o->password_file) {
        const char *password = getenv("WEIR_ETCD_PASSWORD");
        set->password = password ? mem_strndup(password, strlen(password)) : NULL;
        return password && !set->password ? err_nomem(e) : 0;
    }
    char *text = file_read(o->password_file, PASSWORD_MAX, &len, e);
    if (!text) {
        return err_prefix(e, "--etcd-password-file");
    }
    text[strcspn(text, "\r\n")] = '\0';
    set->password = text;
    return 0;
}

int etcd_options_read(const struct etcd_options *o, struct fleet_settings *set, struct err *e)
{
    if (!o->fleet || !o->endpoints) {
        return 0;
    }
    set->name = o->fleet;
    set->endpoints = o->endpoints;
    set->user = o->user;
    if (!o->cert != !o->key) {
        return err_set(e, ERR_INVALID, "--etcd-cert and --etcd-key go together");
    }
    if (o->user && !o->password_file && !getenv("WEIR_ETCD_PASSWORD")) {
        return err_set(e, ERR_INVALID,
                       "--etcd-user: --etcd-password-file or WEIR_ETCD_PASSWORD is needed too");
    }
    return fleet_settings_check(set, e) == 0 && read_password(o, set, e) == 0 &&
                   read_pem("--etcd-ca", o->ca, &set->trusted, &set->trusted_len, e) == 0 &&
                   read_pem("--etcd-cert", o->cert, &set->certificate, &set->certificate_len,
                            e) == 0
               ? read_pem("--etcd-key", o->key, &set->key, &set->key_len, e)
               : -1;
}

void etcd_options_release(struct fleet_settings *set)
{
    mem_free(set->password);
    mem_free(set->trusted);
    mem_free(set->certificate);
    mem_free(set->key);
}
