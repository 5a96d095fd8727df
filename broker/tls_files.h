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
    struct el_tls_config *tls[CONFIG_PROTOCOL_COUNT]; /* NULL where no listener has the protocol */
    struct principal_rules *rules;                    /* NULL without such listeners */
};

/* Read and check the files. Says in the log when a certificate ends soon.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with a text that names setting or file and the remedy | EVLOG_ERR_NO_MEMORY
 */
int tls_files_open(const struct config *cfg, struct tls_files *files, struct el_error *err);
void tls_files_close(struct tls_files *files);

#endif
