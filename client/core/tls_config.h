/* SPDX-License-Identifier: Apache-2.0
 *
 * What tls.c needs to know of a config. Private to client/core; names no header of mbedtls.
 */
#ifndef EL_CLIENT_CORE_TLS_CONFIG_H
#define EL_CLIENT_CORE_TLS_CONFIG_H

#include <core/tls.h>

struct mbedtls_ssl_config;

const struct mbedtls_ssl_config *tls_config_ssl(const struct el_tls_config *config);
bool tls_config_any_name(const struct el_tls_config *config);
/* EL_TLS_AUTH_REQUESTED */
bool tls_config_requests(const struct el_tls_config *config);
/* What is wrong with a certificate, by the bits of the library: "it has expired". */
const char *tls_verify_text(uint32_t flags);
/* The same in one word: "certificate_expired". */
const char *tls_verify_word(uint32_t flags);
/* What the other side complains of in an alert, by its number. */
const char *tls_alert_text(uint8_t number);

#endif
