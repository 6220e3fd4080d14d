/* serve_config.h: settings of `weir serve` as they were read, checked together, and as the
 * server takes them. Command-internal. */
#pragma once

#include "runtime/cli/serve_settings.h"
#include "runtime/serve/server.h"

struct serve_config {
    struct serve_options o;
    struct config settings; /* of `o` */
    struct server_settings set;
    struct rank_group *ranks; /* borrowed, set before serve_config_build; NULL: alone */
    char *findings_path, *feedback_path, *drift_path; /* owned */
    struct serve_config *older; /* that this one has replaced: its strings may still be
                                   in use */
};

/* Reads command line, file and environment, and checks what can be without opening anything
 * but the file. 0, 1 after --help, -1 when the command line is wrong (message in *e), and -2
 * with mistakes in c->settings. Either way serve_config_deinit follows. */
int serve_config_read(struct serve_config *c, int argc, char **argv, struct err *e);
void serve_config_deinit(struct serve_config *c);

/* Fills c->set but for keys and sockets. There must be no mistakes. */
int serve_config_build(struct serve_config *c, struct err *e);

/* How the log is written, from now on. */
void serve_config_set_log(const struct serve_config *c);

/* Keys, from where they are; one is made and shown if none is given for admins. set.host must
 * have been chosen. */
int serve_config_set_access(struct serve_config *c, struct err *e);

/* Notes files and folders that are not there, and keys, filter chain and certificate that are
 * none. */
void serve_config_check_files(struct serve_config *c);

/* Of what is not forbidden: a line for people, or NULL. */
const char *serve_config_warning(const struct serve_config *c);

/* Calls with each mistake. */
void serve_config_tell(const struct serve_config *c, void (*tell)(const char *mistake));

/* Has the server read its settings anew when it is told to. argv is borrowed; *now is replaced
 * as settings are. */
struct serve_reread {
    int argc;
    char **argv;
    const struct serve_config *first; /* of this process */
    struct serve_config *now;
};

/* As server_settings.reread; ctx is a struct serve_reread. */
bool serve_config_reread(void *ctx, struct server *s);
