#include "filters/plugin.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "filters/chain_keys.h"
#include "filters/trial.h"
#include "runtime/base/mem.h"

#define MAX_KEYS       64
#define MAX_NAME       64
#define STRING(x)      #x
#define SYMBOL_NAME(x) STRING(x)

struct plugin {
    int fd;       /* of the copy in memory, or -1 */
    void *handle; /* of dlopen */
    const struct filter_type *type;
};

/* ---- its type ---- */

static bool is_reserved(const char *key)
{
    return chain_keys_has(key) || strcmp(key, "path") == 0;
}

static bool are_keys_right(const struct filter_key *keys)
{
    size_t i = 0;
    for (; keys && keys[i].name; i++) {
        if (i == MAX_KEYS || keys[i].name[0] == '\0' || strlen(keys[i].name) > FILTER_MAX_KEY ||
            is_reserved(keys[i].name) || keys[i].kind < FILTER_KEY_STRING ||
            keys[i].kind > FILTER_KEY_FILE ||
            (keys[i].kind == FILTER_KEY_CHOICE && !keys[i].choices)) {
            return false;
        }
    }
    return true;
}

static int check_type(const struct filter_type *type, struct err *e)
{
    if (!type) {
        return err_set(e, ERR_INVALID,
                       "is not a filter: it does not export \"%s\", see FILTER_PLUGIN in "
                       "filters/filter.h",
                       SYMBOL_NAME(FILTER_PLUGIN_SYMBOL));
    }
    if (type->abi != FILTER_ABI) {
        return err_set(e, ERR_UNSUPPORTED,
                       "was built for filter ABI %u, and this is ABI %u: build it again",
                       type->abi, FILTER_ABI);
    }
    if (type->size < FILTER_TYPE_MIN_SIZE) {
        return err_set(e, ERR_UNSUPPORTED,
                       "its filter type has %u bytes and not %zu: set size to "
                       "sizeof(struct filter_type)",
                       type->size, sizeof(*type));
    }
    if (!type->name || type->name[0] == '\0' || strlen(type->name) > MAX_NAME || !type->feed) {
        return err_set(e, ERR_INVALID, "its filter type lacks a name or feed");
    }
    if (type->sides == 0 || (type->sides & ~(uint32_t)(FILTER_INPUT | FILTER_OUTPUT)) != 0 ||
        (type->flags & ~(uint32_t)(FILTER_ANY_CUT | FILTER_TEXT_SETTINGS | FILTER_DECODED)) !=
            0) {
        return err_set(e, ERR_INVALID, "its filter type has sides or flags that are not known");
    }
    return are_keys_right(type->keys)
               ? 0
               : err_set(e, ERR_INVALID,
                         "its filter type has a key that is reserved or of no known kind");
}

/* ---- the file ---- */

/* The loader trusts the file's own sizes, and a file that was cut short would bring the process
 * down. Its parts are checked here to lie inside it; the rest is for the loader to refuse. */
static bool is_whole_elf(const char *bytes, size_t len)
{
    ElfW(Ehdr) header;
    if (len < sizeof(header)) {
        return false;
    }
    memcpy(&header, bytes, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_phentsize != sizeof(ElfW(Phdr)) || header.e_phoff > len ||
        header.e_phnum > (len - header.e_phoff) / sizeof(ElfW(Phdr))) {
        return false;
    }
    for (size_t i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) part;
        memcpy(&part, bytes + header.e_phoff + i * sizeof(part), sizeof(part));
        if (part.p_offset > len || part.p_filesz > len - part.p_offset) {
            return false;
        }
    }
    return header.e_phnum > 0;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n <= 0) {
            return -1;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/* dlerror names the file that was made for the loader first, which says nothing to anybody. */
static const char *loader_message(void)
{
    const char *message = dlerror();
    const char *rest = message ? strstr(message, ": ") : NULL;
    return rest ? rest + 2 : "the loader gave no reason";
}

#define PATH_ROOM 64
static void name_copy(int fd, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "/proc/self/fd/%d", fd);
}

static void open_object(struct plugin *plugin)
{
    char path[PATH_ROOM];
    name_copy(plugin->fd, path);
    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    plugin->type =
        plugin->handle ? dlsym(plugin->handle, SYMBOL_NAME(FILTER_PLUGIN_SYMBOL)) : NULL;
}

/* In the child: what is done with the object here. */
static void try_load(void *context)
{
    struct plugin *plugin = context;
    struct err ignored;
    open_object(plugin);
    check_type(plugin->type, &ignored);
    if (plugin->handle) {
        dlclose(plugin->handle);
    }
}

/* The loader knows an object by its name and gives back the one that it has under that name. So
 * the descriptor stays open, and its number taken, for as long as the object is there. */
static int load(struct plugin *plugin, const char *bytes, size_t len, struct err *e)
{
    if (!is_whole_elf(bytes, len)) {
        return err_set(e, ERR_INVALID,
                       "is not a shared object of this machine, or is cut short");
    }
    plugin->fd = memfd_create("weir-filter", MFD_CLOEXEC);
    if (plugin->fd < 0 || write_all(plugin->fd, bytes, len) != 0) {
        return err_set(e, ERR_IO, "there is no memory to load it into");
    }
    if (trial_run("loading it", try_load, plugin, plugin->fd, e) != 0) {
        return -1;
    }
    open_object(plugin);
    return plugin->handle ? 0
                          : err_set(e, ERR_INVALID, "can not be loaded: %s", loader_message());
}

/* An object may have asked never to be unloaded; then its name is not given again. */
static void unload(const struct plugin *plugin)
{
    char path[PATH_ROOM];
    name_copy(plugin->fd, path);
    dlclose(plugin->handle);
    void *stays = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (stays) {
        dlclose(stays);
    } else {
        close(plugin->fd);
    }
}

/* ---- the plugin ---- */

struct plugin *plugin_open(const char *bytes, size_t len, struct err *e)
{
    struct plugin *plugin = mem_zalloc(sizeof(*plugin));
    if (!plugin) {
        err_nomem(e);
        return NULL;
    }
    plugin->fd = -1;
    if (load(plugin, bytes, len, e) != 0) {
        plugin_close(plugin);
        return NULL;
    }
    if (check_type(plugin->type, e) != 0) {
        plugin_close(plugin);
        return NULL;
    }
    return plugin;
}

void plugin_close(struct plugin *plugin)
{
    if (plugin && plugin->handle) {
        unload(plugin);
    } else if (plugin && plugin->fd >= 0) {
        close(plugin->fd);
    }
    mem_free(plugin);
}

const struct filter_type *plugin_type(const struct plugin *plugin)
{
    return plugin->type;
}

struct configure_call {
    const struct filter_type *type;
    const struct filter_value *values;
};

static void try_configure(void *context)
{
    const struct configure_call *call = context;
    struct filter_error error = {.size = sizeof(error)};
    void *config = NULL;
    if (call->type->configure(&config, call->values, &error) == 0 && call->type->release) {
        call->type->release(config);
    }
}

int plugin_try_settings(const struct plugin *plugin, const struct filter_value *values,
                        struct err *e)
{
    struct configure_call call = {.type = plugin->type, .values = values};
    return plugin->type->configure
               ? trial_run("giving it its settings", try_configure, &call, -1, e)
               : 0;
}
