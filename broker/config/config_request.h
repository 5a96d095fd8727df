/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that requests make while evlogd runs. They are kept in a file of the data directory, in the grammar of the
 * configuration file, and win over flags, environment and file. Pure functions, any thread.
 */
#ifndef EL_CONFIG_CONFIG_REQUEST_H
#define EL_CONFIG_CONFIG_REQUEST_H

#include <config/config.h>
#include <core/buffer.h>

#define CONFIG_REQUEST_FILE "settings.conf" /* in the data directory */
#define CONFIG_REQUEST_CHANGES_MAX 256u     /* of one request, and settings in the file */
#define CONFIG_REQUEST_VALUE_MAX 4000u

/* A setting by the name that DescribeConfigs has for it, or a topic's name of a default. */
struct config_change {
    struct el_slice name;
    struct el_slice value; /* data NULL: back to what the configuration says */
};

/* Why no request may change a setting, static text; NULL: it may. */
const char *config_request_refusal(enum config_setting_id id);
/* May a request change the setting of this name? err may be NULL.
 *
 * returns 0 | EVLOG_ERR_INVALID_CONFIG there is none | EVLOG_ERR_POLICY no, with the place to set it */
int config_request_check(struct el_slice name, struct el_error *err);
/* What a setting is, by a name that a request has for it; cut where text_max ends. returns text[text_max], "" when none
 * has the name */
const char *config_request_value(const struct config *cfg, struct el_slice name, char *text, size_t text_max);
/* The file's text with changes made; not checked but for names, and that values can be written.
 *
 * text     of the file, which is sound; may be empty
 * out      empty
 * returns  0 | EVLOG_ERR_INVALID_CONFIG no such setting, no such value | EVLOG_ERR_POLICY not by a request |
 *          EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY, with a text
 */
int config_request_edit(struct el_slice text, const struct config_change *changes, size_t count, struct el_buffer *out,
                        struct el_error *err);

#endif
