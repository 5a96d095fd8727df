/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that sign an archive: read from the file that is named, or made in the data directory at the first start.
 * Main thread; blocking.
 */
#ifndef EL_ARCHIVE_KEYS_H
#define EL_ARCHIVE_KEYS_H

#include <core/err.h>
#include <core/sign.h>
#include <io/disk.h>

#define ARCHIVE_KEYS_TEXT_MAX (2 * EL_SIGN_PEM_MAX)

/* Keys of the file that is named.
 *
 * returns  0, keys[count] are the caller's | EVLOG_ERR_NOT_FOUND | _MALFORMED | _IO ... with a text
 */
int archive_keys_read(const char *path, struct el_private_key *keys[EL_SIGN_KEYS_MAX], size_t *count,
                      struct el_error *err);
/* Those of keys/archive.pem in the data directory, an ECDSA P-256 and an Ed25519 key, made when the file is not there,
 * with their public parts in keys/archive.pub.pem.
 *
 * disk     the data directory, whose path is data_path
 * returns  as archive_keys_read()
 */
int archive_keys_own(struct disk *disk, const char *data_path, struct el_private_key *keys[EL_SIGN_KEYS_MAX],
                     size_t *count, struct el_error *err);
/* Make both files, durable when this returns 0. shown: their public parts, PEM. */
int archive_keys_make(struct disk *disk, char shown[ARCHIVE_KEYS_TEXT_MAX], struct el_error *err);

#endif
