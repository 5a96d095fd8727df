/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of one listener, as Kafka has them: listener.name.NAME.SETTING wins over SETTING at the listener NAME. The
 * table is listener_settings.def; all stand in [network]. Kept in struct config as they were written, for listeners are
 * known only when everything was read. Start-up's thread; what asks for values in force, any.
 */
#ifndef EL_CONFIG_LISTENER_SETTINGS_H
#define EL_CONFIG_LISTENER_SETTINGS_H

#include <config/config.h>
#include <core/bytes.h>

#define LISTENER_SETTING_SECTION "network"
/* Why no request may change one. */
#define LISTENER_SETTING_REFUSAL "it decides who may come in, so that only the configuration says it"

/* The ways to write one. */
enum listener_form {
    LISTENER_KEY,      /* listener.name.NAME.ssl.client.auth */
    LISTENER_FLAG,     /* --listener-name-NAME-ssl-client-auth */
    LISTENER_VARIABLE, /* EVLOG_NETWORK__LISTENER_NAME_NAME_SSL_CLIENT_AUTH */
};
struct listener_place {
    struct el_slice listener; /* the name as it was written; data NULL: no setting of a listener */
    enum config_setting_id id;
};

/* Does it begin as the setting of a listener does? */
bool listener_setting_is(enum listener_form form, struct el_slice name);
/* Take such a name apart. returns 0 | EVLOG_ERR_INVALID_CONFIG with the end of a sentence: which there are */
int listener_setting_find(enum listener_form form, struct el_slice name, struct listener_place *place,
                          struct el_error *err);
/* Every one that there is, by index from 0; false at the end. */
bool listener_setting_at(uint32_t index, enum config_setting_id *id);

/* Keep a value in place of the one before, if it is one. returns 0 | EVLOG_ERR_INVALID_CONFIG, nothing has changed */
int listener_setting_assign(struct config *cfg, const struct listener_place *place, struct el_slice value,
                            struct config_origin origin, struct el_error *err);
/* Of the listener of that name, written in any case; NULL: it has none of its own. */
const struct listener_value *listener_setting_own(const struct config *cfg, struct el_slice listener,
                                                  enum config_setting_id id);
const char *listener_value_text(const struct config *cfg, const struct listener_value *value);
/* Its name, "listener.name.outer.ssl.client.auth", into text[text_max]; returns text. */
const char *listener_value_name(const struct listener_value *value, char *text, size_t text_max);

/* When the table of listeners is made: is each of a listener that there is, and does it change anything there?
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that names the place and the remedy
 */
int listener_settings_check(struct config *cfg, struct el_error *err);
/* Of a reload: make those of fresh what is in force from now on. What takes a restart stays as cfg has it, and so does
 * all of a listener that is open and that fresh has no longer, or with another protocol.
 *
 * waiting  [waiting_max] a text that names of what waits for a restart are added to
 * returns  0 | EVLOG_ERR_LIMIT too long altogether
 */
int listener_settings_reload(const struct config *cfg, struct config *fresh, char *waiting, size_t waiting_max,
                             struct el_error *err);

/* What listeners have for themselves of a setting is that of before again. Should there be no room for it, so is all
 * that they have. */
void listener_settings_keep(struct config *cfg, const struct config *before, enum config_setting_id id);
/* There is no such listener: the text says which there are. returns EVLOG_ERR_INVALID_CONFIG */
int listener_setting_refuse(const struct config *cfg, struct el_slice listener, struct el_slice setting,
                            struct el_error *err);

/* In force at a listener: its own value, else that of all. Of a PATH or TEXT; of any, as it is written, into
 * text[text_max], which is returned; of a CHOICE. */
const char *listener_setting_text(const struct config *cfg, const struct config_listener *listener,
                                  enum config_setting_id id);
const char *listener_setting_shown(const struct config *cfg, const struct config_listener *listener,
                                   enum config_setting_id id, char *text, size_t text_max);
int listener_setting_choice(const struct config *cfg, const struct config_listener *listener,
                            enum config_setting_id id);
/* enum el_tls_auth. The setting of all is for SSL: clients of SASL_SSL prove themselves by SASL, and show certificates
 * besides only where the listener's own setting wants it. */
int listener_client_auth(const struct config *cfg, const struct config_listener *listener);
/* Which of the two it is, for config_blame(). */
int listener_setting_target(const struct config *cfg, const struct config_listener *listener,
                            enum config_setting_id id);

#endif
