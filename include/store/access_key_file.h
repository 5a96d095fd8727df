/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of the keys that seal users and access rules, as an operator names it. Blocking.
 */
#ifndef EL_STORE_ACCESS_KEY_FILE_H
#define EL_STORE_ACCESS_KEY_FILE_H

#include <format/access_seal.h>

/* Read it; nobody but its owner and its group may be able to.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_POLICY others may read it | EVLOG_ERR_MALFORMED, _LIMIT it is no file of
 *          keys | EVLOG_ERR_IO ...; all with a text that names the file and shows nothing of a key
 */
int access_key_file_read(const char *path, struct el_access_keys *keys, struct el_error *err);

#endif
