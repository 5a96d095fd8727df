/* SPDX-License-Identifier: Apache-2.0
 *
 * A tar archive in memory (POSIX ustar), and what must not get into one.
 */
#ifndef EVLOG_TOOLS_BUNDLE_TAR_H
#define EVLOG_TOOLS_BUNDLE_TAR_H

#include <core/buffer.h>

#define BUNDLE_NAME_MAX 99u

/* Add a file. name: up to BUNDLE_NAME_MAX bytes; a failure is the buffer's. */
void bundle_add(struct el_buffer *tar, const char *name, struct el_slice text, int64_t time_s);
/* Two blocks of zeros: no more files. */
void bundle_end(struct el_buffer *tar);
/* Append text with what may be secret replaced by "***", line by line: the value behind a word that ends in password,
 * passwd, secret, token, credential(s), authorization or private key with "=" or ":" behind it, to the line's end; what
 * stands between "//" and "@" of a URL; blocks of PEM. */
void bundle_mask(struct el_buffer *out, struct el_slice text);

#endif
