/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that sign an archive: read from the file that is named, or made in the data directory at the first start.
 * Main thread; blocking.
 */
#ifndef EL_ARCHIVE_KEYS_H
#define EL_ARCHIVE_KEYS_H

#include <core/err.h>
#include <core/sign.h>

/* Keys of `path`, or, when it is "", of keys/archive.pem in the data directory: an ECDSA P-256 and an Ed25519 key, made
 * when the file is not there, with their public parts in keys/archive.pub.pem.
 *
 * returns  0, keys[count] are the caller's | EVLOG_ERR_NOT_FOUND | _MALFORMED | _IO ... with a text
 */
int archive_keys_open(const char *path, const char *data_path, struct el_private_key *keys[EL_SIGN_KEYS_MAX],
                      size_t *count, struct el_error *err);

#endif
