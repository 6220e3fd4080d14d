/* config_parts.h: what the files of config.h share. */
#pragma once

#include "runtime/base/config.h"

/* Where the value of a setting lies. */
void *config_at(const struct config *s, const struct config_setting *set);

/* Notes a mistake at a place that is written out. */
void config_note(struct config *s, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "drain-timeout" into out[size]. */
void config_option_name(const struct config_setting *set, char *out, size_t size);

/* Whether a text is one that the setting allows; the message has no name in it. */
int config_check_text(const struct config_setting *set, const char *text, struct err *e);

/* Appends "auto, never and always". */
int config_append_choices(const struct config_setting *set, const char *last, struct buf *out);

/* What is there if it is not given, in words for people; NULL: nothing. */
const char *config_default_words(const struct config_setting *set);
