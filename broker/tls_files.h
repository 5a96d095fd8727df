/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates, keys and naming rules of the listeners with TLS, from the files that the configuration names. Main
 * thread.
 */
#ifndef EL_TLS_FILES_H
#define EL_TLS_FILES_H

#include <config/config.h>
#include <config/principal_rules.h>
#include <core/tls.h>

struct tls_files {
    struct el_tls_config *tls[CONFIG_LISTENERS_MAX];     /* by place of the listener; NULL: it has no TLS */
    struct principal_rules *rules[CONFIG_LISTENERS_MAX]; /* the same; NULL: certificates name nobody there */
    struct el_tls_config *http;                          /* NULL when the HTTP port has no TLS */
    struct principal_rules *http_rules;
};

/* Read and check the files. Says in the log when a certificate ends soon.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that names setting or file and the remedy | EVLOG_ERR_NO_MEMORY
 */
int tls_files_open(const struct config *cfg, struct tls_files *files, struct el_error *err);
/* As the files are now. With a fault in them, which the log tells after `why`, the old ones stay, and *before as it is;
 * else *before has what is to be closed. A fault is also a chain that ends earlier than the one before it. The rules
 * stay in any case: shards have borrowed them. returns true when they were taken */
bool tls_files_renew(const struct config *cfg, const char *why, struct tls_files *files, struct tls_files *before);
/* When the first of the certificates, or one behind it, is no longer in force, seconds since 1970; 0 without one. */
int64_t tls_files_end_s(const struct tls_files *files);
/* A line in the log when that is soon. */
void tls_files_say(const struct config *cfg, const struct tls_files *files);
void tls_files_close(struct tls_files *files);

#endif
