/* SPDX-License-Identifier: Apache-2.0
 *
 * Bearer tokens (RFC 6750) of the HTTP port: which principal has which. Of a token its SHA-256 alone is kept in memory.
 *
 * The file has a line for each: a principal, and the token as the last word. Blank lines and those that begin with '#'
 * say nothing. A token is long enough that nobody guesses it: who tries many learns nothing.
 *
 *     User:prometheus 5c1f0d2b8a...
 */
#ifndef EL_HTTP_TOKENS_H
#define EL_HTTP_TOKENS_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

#define HTTP_TOKEN_LEN_MIN 32u
#define HTTP_TOKEN_LEN_MAX 512u
#define HTTP_TOKENS_MAX 256u
#define HTTP_TOKENS_FILE_MAX (256u << 10) /* bytes */

struct http_tokens;

/* Read a file that only its owner, or its group, may read.
 *
 * path     "": there are no tokens
 * tokens   out: http_tokens_free()
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with file and line, never with a token | EVLOG_ERR_NO_MEMORY
 */
int http_tokens_open(const char *path, struct http_tokens **tokens, struct el_error *err);
/* The same of a file's text. */
int http_tokens_parse(const char *path, struct el_slice text, struct http_tokens **tokens, struct el_error *err);
void http_tokens_free(struct http_tokens *tokens);
/* The principal of a token, valid as long as tokens; NULL: nobody's. All tokens are looked at, in a time that does not
 * depend on how much of them fits. */
const char *http_tokens_find(const struct http_tokens *tokens, struct el_slice token);
/* The token of an Authorization header, "Bearer TOKEN", within header. returns false when it is none */
bool http_bearer_token(const char *header, struct el_slice *token);

#endif
