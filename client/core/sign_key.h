/* SPDX-License-Identifier: Apache-2.0
 *
 * Between sign.c (keys and signatures) and sign_pem.c (their files); private to client/core.
 */
#ifndef EL_CLIENT_CORE_SIGN_KEY_H
#define EL_CLIENT_CORE_SIGN_KEY_H

#include "sign_der.h"

/* A key of what its file says. returns 0 | EVLOG_ERR_MALFORMED no such key, or another public key | _NO_MEMORY */
int sign_key_of(const struct sign_secret *secret, struct el_private_key **key);
const struct sign_secret *sign_key_secret(const struct el_private_key *key);
void sign_wipe(void *data, size_t len);

#endif
