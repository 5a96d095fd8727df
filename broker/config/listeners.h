/* SPDX-License-Identifier: Apache-2.0
 *
 * The listeners of evlogd: where it listens, how connections there are protected, and what address clients are told.
 * Kafka's settings listeners, advertised.listeners and listener.security.protocol.map, or the simple pair listen and
 * advertised.address, become one table.
 */
#ifndef EL_CONFIG_LISTENERS_H
#define EL_CONFIG_LISTENERS_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_HOST_MAX 256 /* with the NUL */
#define CONFIG_LISTENERS_MAX 8
#define CONFIG_LISTENER_NAME_MAX 32 /* with the NUL */

struct config;

struct config_address {
    char host[CONFIG_HOST_MAX]; /* without brackets; "" when not set */
    uint16_t port;              /* 0: the kernel's choice, or the listen port for the advertised address */
    bool off;                   /* the word "off" where the setting allows it */
    bool tls;                   /* "https://" before it, likewise */
};

/* Kafka's security protocols. */
enum config_protocol { CONFIG_PLAINTEXT, CONFIG_SSL, CONFIG_SASL_PLAINTEXT, CONFIG_SASL_SSL, CONFIG_PROTOCOL_COUNT };

struct config_listener {
    char name[CONFIG_LISTENER_NAME_MAX]; /* upper case, unique */
    enum config_protocol protocol;
    struct config_address address;
    struct config_address advertised; /* host "": as address */
    bool only_v6;                     /* address is all of IPv6; those of IPv4 are another listener's */
};

struct config_listeners {
    struct config_listener list[CONFIG_LISTENERS_MAX]; /* [count] in the order of the settings */
    uint32_t count;                                    /* at least 1 once the configuration is checked */
};

/* Kafka's word: "SASL_SSL". */
const char *config_protocol_name(enum config_protocol protocol);
static inline bool config_protocol_has_tls(enum config_protocol protocol)
{
    return protocol == CONFIG_SSL || protocol == CONFIG_SASL_SSL;
}
static inline bool config_protocol_has_sasl(enum config_protocol protocol)
{
    return protocol == CONFIG_SASL_PLAINTEXT || protocol == CONFIG_SASL_SSL;
}

/* A name into upper case: letters, digits, '_' and '-'. returns false when it is none */
bool config_listener_name(struct el_slice text, char name[CONFIG_LISTENER_NAME_MAX]);
/* The listener of that name, in any case; NULL: there is none. */
const struct config_listener *config_listener_find(const struct config_listeners *table, struct el_slice name);

/* Make the table out of the settings of cfg, and check it: into cfg->listener_table.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that names the setting and says what to do
 */
int config_listeners_make(struct config *cfg, struct el_error *err);

/* Host and port that clients of a listener are told; bound_port is the one it got. */
void config_listener_advertised(const struct config_listener *listener, uint16_t bound_port,
                                struct config_address *address);

#endif
