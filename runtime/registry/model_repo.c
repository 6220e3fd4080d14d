#include "runtime/registry/model_repo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mem.h"

#define LISTED_MAX 300 /* bytes of names in a message */

/* --- order --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Numbers of any length; *a and *b are moved behind them. */
static int compare_numbers(const char **a, const char **b)
{
    while (**a == '0') {
        (*a)++;
    }
    while (**b == '0') {
        (*b)++;
    }
    size_t n_a = strspn(*a, "0123456789"), n_b = strspn(*b, "0123456789");
    int order = n_a != n_b ? (n_a < n_b ? -1 : 1) : memcmp(*a, *b, n_a);
    *a += n_a;
    *b += n_b;
    return order;
}

int model_version_compare(const char *a, const char *b)
{
    const char *whole_a = a, *whole_b = b;
    while (*a && *b) {
        if (is_digit(*a) && is_digit(*b)) {
            int order = compare_numbers(&a, &b);
            if (order != 0) {
                return order;
            }
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    /* 01 and 1 are two folders. */
    return *a ? 1 : *b ? -1 : strcmp(whole_a, whole_b);
}

/* --- names, and files beneath the root --- */

static bool is_name(const char *text)
{
    struct err unused = {0};
    return version_name_check(text, "", &unused) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_passed_over(const char *entry)
{
    return entry[0] == '.' || ends_with(entry, ".tmp") || ends_with(entry, ".part") ||
           ends_with(entry, "~");
}

static int open_beneath(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd;
    do {
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return (int)fd;
}

static int open_failed(const struct model_repo *r, const char *path, struct err *e)
{
    if (errno == EXDEV || errno == ELOOP) {
        return err_set(e, ERR_INVALID, "%s/%s: a link leads out of the repository", r->root,
                       path);
    }
    if (errno == ENOSYS || errno == EPERM) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: the system has no openat2 (Linux 5.6), without which names cannot "
                       "be held beneath the repository; serve a file with --model",
                       r->root);
    }
    return err_set_errno(e, errno, "%s/%s: cannot open", r->root, path);
}

static DIR *open_folder(const struct model_repo *r, const char *path, struct err *e)
{
    int fd = open_beneath(r->fd, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        open_failed(r, path, e);
        if (fd >= 0) {
            close(fd);
        }
    }
    return dir;
}

/* NULL with errno 0 at the end. */
static const char *next_entry(DIR *dir)
{
    errno = 0;
    const struct dirent *entry = readdir(dir);
    return entry ? entry->d_name : NULL;
}

/* --- a version's files --- */

struct scan {
    uint64_t stamp;           /* sum over the files: their order does not matter */
    char model[NAME_MAX + 1]; /* the only *.gguf */
    size_t n_models;
    uint64_t bytes; /* of GGUF files and safetensors */
    bool is_hf;     /* config.json is there */
    bool has_manifest;
};

static uint64_t stamp_of(const char *name, const uint64_t numbers[], size_t n)
{
    uint64_t hash = fnv64(FNV64_BASIS, name, strlen(name));
    return fnv64(hash, numbers, n * sizeof(numbers[0]));
}

/* NAME-00002-of-00003.gguf: it is found from the first one. */
static bool is_further_part(const char *name)
{
    size_t len = strlen(name);
    const char *number = len > 20 ? name + len - 20 : "";
    return number[0] == '-' && strncmp(number + 6, "-of-", 4) == 0 &&
           strncmp(number + 1, "00001", 5) != 0;
}

static void note_file(struct scan *s, const char *name, const struct stat *st)
{
    const uint64_t numbers[] = {st->st_dev, st->st_ino, (uint64_t)st->st_size,
                                (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec};
    s->stamp += stamp_of(name, numbers, sizeof(numbers) / sizeof(numbers[0]));
    s->is_hf |= strcmp(name, "config.json") == 0;
    if (ends_with(name, ".gguf") || ends_with(name, ".safetensors")) {
        s->bytes += (uint64_t)st->st_size;
    }
    if (ends_with(name, ".gguf") && !is_further_part(name)) {
        snprintf(s->model, sizeof(s->model), "%s", name);
        s->n_models++;
    }
}

/* A folder, a pipe, a link to nothing: that it is there counts. Of model.json it must count, or
 * its gate would be left out. */
static void note_other(struct scan *s, const char *name, ino_t inode)
{
    const uint64_t number = inode;
    s->stamp += stamp_of(name, &number, 1);
}

static int scan_file(const struct model_repo *r, const char *version, const char *name,
                     struct scan *s, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    s->has_manifest |= strcmp(name, MODEL_MANIFEST_FILE) == 0;
    if (snprintf(path, sizeof(path), "%s/%s/%s", r->name, version, name) >= (int)sizeof(path)) {
        return err_set(e, ERR_LIMIT, "%s/%s/%s: the path is too long", r->root, r->name,
                       version);
    }
    int fd = open_beneath(r->fd, path, O_PATH);
    if (fd < 0 && errno == ENOENT) {
        note_other(s, name, 0); /* removed meanwhile, or a link to nothing */
        return 0;
    }
    if (fd < 0) {
        return open_failed(r, path, e);
    }
    bool is_known = fstat(fd, &st) == 0;
    if (is_known && S_ISREG(st.st_mode)) {
        note_file(s, name, &st);
    } else {
        note_other(s, name, is_known ? st.st_ino : 0);
    }
    close(fd);
    return 0;
}

static int scan_version(const struct model_repo *r, const char *version, struct scan *s,
                        struct err *e)
{
    char path[2 * MODEL_REPO_NAME_MAX + 2];
    const char *name;
    size_t n = 0;
    int rc = 0;
    *s = (struct scan){0};
    snprintf(path, sizeof(path), "%s/%s", r->name, version);
    DIR *dir = open_folder(r, path, e);
    if (!dir) {
        return -1;
    }
    while (rc == 0 && (name = next_entry(dir)) != NULL) {
        if (++n > MODEL_REPO_FILES_MAX) {
            rc = err_set(e, ERR_LIMIT, "%s/%s: more than %d files", r->root, path,
                         MODEL_REPO_FILES_MAX);
        } else if (!is_passed_over(name)) {
            rc = scan_file(r, version, name, s, e);
        }
    }
    closedir(dir);
    s->stamp += s->stamp == 0; /* 0 is no stamp */
    return rc;
}

uint64_t model_repo_stamp(const struct model_repo *r, const char *version)
{
    struct scan s;
    struct err unused = {0};
    return scan_version(r, version, &s, &unused) == 0 ? s.stamp : 0;
}

/* The path, without links, of a file of the version; "." is the folder itself. */
static int resolve(const struct model_repo *r, const char *version, const char *name,
                   char out[PATH_MAX], struct err *e)
{
    char path[PATH_MAX];
    char link[32];
    snprintf(path, sizeof(path), "%s/%s/%s", r->name, version, name);
    int fd = open_beneath(r->fd, path, O_PATH);
    if (fd < 0) {
        return open_failed(r, path, e);
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, out, PATH_MAX - 1);
    close(fd);
    if (len < 0) {
        return err_set_errno(e, errno, "%s/%s: cannot resolve", r->root, path);
    }
    out[len] = '\0';
    return 0;
}

static char *read_all(int fd, size_t max, size_t *len, const char *path, struct err *e)
{
    struct buf content;
    char part[4096];
    char *text = NULL;
    ssize_t n;
    buf_init(&content, max);
    while ((n = read(fd, part, sizeof(part))) > 0 &&
           buf_append(&content, part, (size_t)n) == 0) {
    }
    if (n < 0) {
        err_set_errno(e, errno, "%s: cannot read", path);
    } else if (content.failed) {
        err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
    } else if (!(text = buf_take(&content, len))) {
        err_nomem(e);
    }
    buf_deinit(&content);
    return text;
}

static struct model_manifest *read_manifest(const struct model_repo *r, const char *version,
                                            const struct scan *s, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    char *text = NULL;
    size_t len = 0;
    if (!s->has_manifest) {
        return model_manifest_parse("{}", 2, e);
    }
    snprintf(path, sizeof(path), "%s/%s/" MODEL_MANIFEST_FILE, r->name, version);
    int fd = open_beneath(r->fd, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0) {
        open_failed(r, path, e);
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        text = read_all(fd, MODEL_MANIFEST_BYTES_MAX, &len, path, e);
    } else {
        err_set(e, ERR_INVALID, "%s: not a regular file", path);
    }
    close(fd);
    struct model_manifest *m = text ? model_manifest_parse(text, len, e) : NULL;
    mem_free(text);
    if (text && !m) {
        err_prefix(e, "%s", path);
    }
    return m;
}

/* Which file is the model. */
static int choose_model(const struct model_repo *r, const char *version, const struct scan *s,
                        const struct model_manifest *m, const char **name, struct err *e)
{
    *name = m->file ? m->file : s->n_models == 1 ? s->model : s->is_hf ? "." : NULL;
    if (*name) {
        return 0;
    }
    return err_set_param(
        e, ERR_INVALID, "file",
        s->n_models == 0
            ? "%s/%s: no model file is in it (*.gguf, or config.json and safetensors)"
            : "%s/%s: several *.gguf are in it; \"file\" in " MODEL_MANIFEST_FILE
              " must say which is the model",
        r->name, version);
}

static int find_files(const struct model_repo *r, const char *version, const struct scan *s,
                      struct model_files *out, struct err *e)
{
    const struct model_manifest *m = out->manifest;
    const char *model;
    if (resolve(r, version, ".", out->folder, e) != 0 ||
        choose_model(r, version, s, m, &model, e) != 0 ||
        resolve(r, version, model, out->path, e) != 0) {
        return -1;
    }
    if (m->template_file && resolve(r, version, m->template_file, out->template_path, e) != 0) {
        return -1;
    }
    if (m->card_file && resolve(r, version, m->card_file, out->card_path, e) != 0) {
        return -1;
    }
    return m->loss_file ? resolve(r, version, m->loss_file, out->loss_path, e) : 0;
}

int model_repo_locate(const struct model_repo *r, const char *version, struct model_files *out,
                      struct err *e)
{
    struct scan s;
    *out = (struct model_files){0};
    if (!is_name(version)) {
        return err_set_param(e, ERR_NOT_FOUND, "version", "there is no version of that name");
    }
    if (scan_version(r, version, &s, e) != 0) {
        return -1;
    }
    out->stamp = s.stamp;
    out->manifest = read_manifest(r, version, &s, e);
    if (!out->manifest || find_files(r, version, &s, out, e) != 0) {
        model_files_deinit(out);
        return -1;
    }
    return 0;
}

void model_files_deinit(struct model_files *f)
{
    model_manifest_free(f->manifest);
    f->manifest = NULL;
}

/* --- looking --- */

static struct model_repo_version *get(struct model_repo *r, const char *name, struct err *e)
{
    size_t at = 0;
    while (at < r->count && model_version_compare(r->versions[at].name, name) < 0) {
        at++;
    }
    if (at < r->count && strcmp(r->versions[at].name, name) == 0) {
        return &r->versions[at];
    }
    if (r->count == MODEL_REPO_VERSIONS_MAX) {
        err_set(e, ERR_LIMIT, "%s/%s: more than %d versions", r->root, r->name,
                MODEL_REPO_VERSIONS_MAX);
        return NULL;
    }
    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        struct model_repo_version *moved =
            mem_realloc_array(r->versions, cap, sizeof(*r->versions));
        if (!moved) {
            err_nomem(e);
            return NULL;
        }
        r->versions = moved;
        r->cap = cap;
    }
    struct model_repo_version *v = &r->versions[at];
    memmove(v + 1, v, (r->count - at) * sizeof(*v));
    *v = (struct model_repo_version){0};
    snprintf(v->name, sizeof(v->name), "%s", name);
    r->count++;
    return v;
}

/* It stands still in a state in which it never did: what does it say? */
static void take(struct model_repo *r, struct model_repo_version *v, const struct scan *s,
                 const struct err *problem)
{
    model_manifest_free(v->manifest);
    v->manifest = NULL;
    v->problem = *problem;
    if (problem->kind == ERR_NONE) {
        v->manifest = read_manifest(r, v->name, s, &v->problem);
    }
    v->still = v->seen;
    v->is_news = true;
}

static int look_at(struct model_repo *r, const char *name, struct err *e)
{
    struct scan s;
    struct err problem = {0};
    struct model_repo_version *v = get(r, name, e);
    if (!v) {
        return -1;
    }
    v->in_look = true;
    v->is_missed = false;
    if (scan_version(r, name, &s, &problem) != 0) {
        /* A link out of the repository stays one: its message stands for its files. */
        s.stamp = fnv64(1, problem.message, strlen(problem.message));
    }
    bool stands_still = s.stamp == v->seen;
    v->seen = s.stamp;
    v->bytes = s.bytes;
    if (!stands_still) {
        r->is_moving = true;
    } else if (v->still != s.stamp) {
        take(r, v, &s, &problem);
    }
    return 0;
}

/* Whoever replaces a folder moves the old one away first, so a single look is no proof. */
static void find_what_is_gone(struct model_repo *r)
{
    for (size_t i = r->count; i-- > 0;) {
        struct model_repo_version *v = &r->versions[i];
        if (v->in_look) {
            continue;
        }
        if (!v->is_missed) {
            v->is_missed = true;
            r->is_moving = true;
            continue;
        }
        model_manifest_free(v->manifest);
        r->count--;
        memmove(v, v + 1, (r->count - i) * sizeof(*v));
    }
}

static bool is_folder(const struct model_repo *r, const char *parent, const char *name)
{
    char path[2 * MODEL_REPO_NAME_MAX + 2];
    snprintf(path, sizeof(path), "%s%s%s", parent, parent[0] ? "/" : "", name);
    int fd = open_beneath(r->fd, path, O_PATH | O_DIRECTORY);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || (errno != ENOTDIR && errno != ENOENT);
}

/* The root may have been moved away and another put in its place, as of a volume that was
 * mounted again. The descriptor keeps its number, for others use it meanwhile. */
static int follow_root(const struct model_repo *r, struct err *e)
{
    struct stat held, there;
    int fd = open(r->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(e, errno, "%s: cannot open the repository", r->root);
    }
    bool is_same = fstat(r->fd, &held) == 0 && fstat(fd, &there) == 0 &&
                   held.st_dev == there.st_dev && held.st_ino == there.st_ino;
    if (!is_same) {
        (void)dup3(fd, r->fd, O_CLOEXEC);
    }
    close(fd);
    return 0;
}

int model_repo_look(struct model_repo *r, struct err *e)
{
    const char *name;
    int rc = 0;
    if (follow_root(r, e) != 0) {
        return -1;
    }
    r->is_moving = false;
    for (size_t i = 0; i < r->count; i++) {
        r->versions[i].in_look = false;
    }
    DIR *dir = open_folder(r, r->name, e);
    if (!dir) {
        return -1;
    }
    while (rc == 0 && (name = next_entry(dir)) != NULL) {
        if (!is_passed_over(name) && is_name(name) && is_folder(r, r->name, name)) {
            rc = look_at(r, name, e);
        }
    }
    if (rc == 0 && errno != 0) {
        rc = err_set_errno(e, errno, "%s/%s: cannot read", r->root, r->name);
    }
    closedir(dir);
    if (rc == 0) {
        find_what_is_gone(r);
    }
    return rc;
}

/* --- opening --- */

static int compare_names(const void *a, const void *b)
{
    return model_version_compare(a, b);
}

int model_repo_list_models(const struct model_repo *r, struct model_repo_names *out,
                           struct err *e)
{
    const char *name;
    int rc = 0;
    *out = (struct model_repo_names){0};
    DIR *dir = follow_root(r, e) == 0 ? open_folder(r, ".", e) : NULL;
    if (!dir) {
        return -1;
    }
    out->items = mem_zarray(MODEL_REPO_MODELS_MAX, sizeof(*out->items));
    rc = out->items ? 0 : err_nomem(e);
    while (rc == 0 && (name = next_entry(dir)) != NULL) {
        if (is_passed_over(name) || !is_name(name) || !is_folder(r, "", name)) {
            continue;
        }
        if (out->count == MODEL_REPO_MODELS_MAX) {
            rc = err_set(e, ERR_LIMIT, "%s: more than %d models", r->root,
                         MODEL_REPO_MODELS_MAX);
        } else {
            snprintf(out->items[out->count++], sizeof(*out->items), "%s", name);
        }
    }
    if (rc == 0 && errno != 0) {
        rc = err_set_errno(e, errno, "%s: cannot read", r->root);
    }
    closedir(dir);
    if (rc != 0) {
        model_repo_names_deinit(out);
    } else {
        qsort(out->items, out->count, sizeof(*out->items), compare_names);
    }
    return rc;
}

void model_repo_names_deinit(struct model_repo_names *n)
{
    mem_free(n->items);
    *n = (struct model_repo_names){0};
}

static int choose_name(struct model_repo *r, struct err *e)
{
    char listed[LISTED_MAX] = "";
    struct model_repo_names names;
    if (model_repo_list_models(r, &names, e) != 0) {
        return -1;
    }
    for (size_t i = 0; i < names.count; i++) {
        size_t at = strlen(listed);
        snprintf(listed + at, sizeof(listed) - at, "%s%s", i ? ", " : "", names.items[i]);
    }
    int rc = 0;
    if (names.count == 1) {
        snprintf(r->name, sizeof(r->name), "%s", names.items[0]);
    } else if (names.count == 0) {
        rc = err_set(e, ERR_NOT_FOUND,
                     "%s: no model is in it; ROOT/NAME/VERSION/ is where a version belongs",
                     r->root);
    } else {
        rc = err_set(e, ERR_INVALID,
                     "%s: has several models (%s); --model NAME says which one requests get "
                     "that name none",
                     r->root, listed);
    }
    model_repo_names_deinit(&names);
    return rc;
}

/* With its links, so that one that leads elsewhere later is followed. */
static int find_root(struct model_repo *r, const char *root, struct err *e)
{
    char here[PATH_MAX] = "";
    bool is_absolute = root[0] == '/';
    size_t len = strlen(root);
    while (len > 1 && root[len - 1] == '/') {
        len--;
    }
    if (!is_absolute && !getcwd(here, sizeof(here))) {
        return err_set_errno(e, errno, "%s: cannot open the repository", root);
    }
    int n = snprintf(r->root, sizeof(r->root), "%s%s%.*s", here, is_absolute ? "" : "/",
                     (int)(len < PATH_MAX ? len : PATH_MAX), root);
    return n > 0 && (size_t)n < sizeof(r->root)
               ? 0
               : err_set(e, ERR_INVALID, "%.100s...: the path is too long", root);
}

int model_repo_open_root(struct model_repo *r, const char *root, struct err *e)
{
    *r = (struct model_repo){.fd = -1};
    if (find_root(r, root, e) != 0) {
        return -1;
    }
    r->fd = open(r->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return r->fd >= 0 ? 0 : err_set_errno(e, errno, "%s: cannot open the repository", root);
}

int model_repo_open(struct model_repo *r, const char *root, const char *name, struct err *e)
{
    *r = (struct model_repo){.fd = -1};
    if (name && !is_name(name)) {
        return err_set_param(e, ERR_INVALID, "model",
                             "\"%.100s\" is no name of a model: letters, digits, '.', '_' and "
                             "'-' are",
                             name);
    }
    if (model_repo_open_root(r, root, e) != 0) {
        return -1;
    }
    int rc = 0;
    if (name) {
        snprintf(r->name, sizeof(r->name), "%s", name);
        DIR *dir = open_folder(r, name, e);
        rc = dir ? closedir(dir) : -1;
    } else {
        rc = choose_name(r, e);
    }
    if (rc != 0) {
        model_repo_close(r);
    }
    return rc;
}

void model_repo_close(struct model_repo *r)
{
    for (size_t i = 0; i < r->count; i++) {
        model_manifest_free(r->versions[i].manifest);
    }
    mem_free(r->versions);
    if (r->fd >= 0) {
        close(r->fd);
    }
    *r = (struct model_repo){.fd = -1};
}
