/* SPDX-License-Identifier: Apache-2.0
 *
 * The file is read as a whole, line by line, at the start and again at a reload; looking up is for any thread.
 */
#include <http/tokens.h>

#include <config/principals.h>
#include <config/value.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define SCHEME "Bearer"
#define DIGEST_LEN 32u

struct token {
    uint8_t digest[DIGEST_LEN];
    char principal[CONFIG_PRINCIPAL_MAX + 1];
};

struct http_tokens {
    uint32_t count;
    struct token list[]; /* [count], in the file's order */
};

/* b64token of RFC 6750: letters, digits, -._~+/ and then any number of = */
static bool is_token(struct el_slice text)
{
    size_t len = text.len;
    while (len > 0 && text.data[len - 1] == '=') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        if (text.data[i] == 0 || (!isalnum(text.data[i]) && strchr("-._~+/", text.data[i]) == NULL)) {
            return false;
        }
    }
    return len > 0 && text.len <= HTTP_TOKEN_LEN_MAX;
}

static const struct token *find(const struct http_tokens *tokens, const uint8_t digest[DIGEST_LEN])
{
    const struct token *found = NULL;
    for (uint32_t i = 0; i < tokens->count; i++) {
        found = el_equal_always(tokens->list[i].digest, digest, DIGEST_LEN) ? &tokens->list[i] : found;
    }
    return found;
}

const char *http_tokens_find(const struct http_tokens *tokens, struct el_slice token)
{
    uint8_t digest[DIGEST_LEN];
    el_sha256(token.data, token.len, digest);
    const struct token *found = find(tokens, digest);
    explicit_bzero(digest, sizeof digest);
    return found == NULL ? NULL : found->principal;
}

bool http_bearer_token(const char *header, struct el_slice *token)
{
    size_t scheme_len = strlen(SCHEME);
    if (strncasecmp(header, SCHEME, scheme_len) != 0 || header[scheme_len] != ' ') {
        return false;
    }
    *token = el_slice_str(header + scheme_len + strspn(header + scheme_len, " "));
    return is_token(*token);
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

/* One line, without blanks around it. returns NULL | what is wrong with it */
static const char *take_line(struct http_tokens *tokens, struct el_slice line)
{
    size_t pos = line.len;
    while (pos > 0 && line.data[pos - 1] != ' ' && line.data[pos - 1] != '\t') {
        pos--;
    }
    struct el_slice principal = value_trim(el_slice_of(line.data, pos));
    struct el_slice word = el_slice_of(line.data + pos, line.len - pos);
    if (!config_principal_valid(principal)) {
        return "a line is a principal, User:NAME, and its token";
    }
    if (!is_token(word) || word.len < HTTP_TOKEN_LEN_MIN) {
        return "a token has 32 to 512 letters, digits or -._~+/ and = at its end: make one by openssl rand -hex 32";
    }
    if (tokens->count == HTTP_TOKENS_MAX) {
        return "there can be 256 tokens and no more";
    }
    struct token *token = &tokens->list[tokens->count];
    el_sha256(word.data, word.len, token->digest);
    if (find(tokens, token->digest) != NULL) {
        return "the token is that of a line before";
    }
    memcpy(token->principal, principal.data, principal.len);
    tokens->count++;
    return NULL;
}

int http_tokens_parse(const char *path, struct el_slice text, struct http_tokens **tokens, struct el_error *err)
{
    struct http_tokens *made = el_calloc(1, sizeof *made + HTTP_TOKENS_MAX * sizeof made->list[0]);
    const char *wrong = made == NULL ? "" : NULL;
    uint32_t line_number = 0;
    for (size_t pos = 0; pos < text.len && wrong == NULL; line_number++) {
        const uint8_t *end = memchr(text.data + pos, '\n', text.len - pos);
        size_t len = end == NULL ? text.len - pos : (size_t)(end - (text.data + pos));
        struct el_slice line = value_trim(el_slice_of(text.data + pos, len));
        pos += len + 1;
        wrong = line.len == 0 || line.data[0] == '#' ? NULL : take_line(made, line);
    }
    if (wrong == NULL) {
        *tokens = made;
        return 0;
    }
    http_tokens_free(made);
    return made == NULL
               ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for tokens")
               : el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s:%" PRIu32 ": %s", path, line_number, wrong);
}

/* text has room for HTTP_TOKENS_FILE_MAX + 1 */
static int read_file(const char *path, uint8_t *text, size_t *len, struct el_error *err)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        int saved = errno;
        if (file != NULL) {
            (void)fclose(file);
        }
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s: %s", path, strerror(saved));
    }
    bool for_all = (st.st_mode & (S_IRWXO | S_IWGRP)) != 0;
    *len = for_all ? 0 : fread(text, 1, HTTP_TOKENS_FILE_MAX + 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (for_all) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "%.200s: tokens that others may read (mode %04o): chmod 600 %.200s", path,
                            (unsigned)(st.st_mode & 07777), path);
    }
    if (failed || *len > HTTP_TOKENS_FILE_MAX) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%.200s: %s", path,
                            failed ? "it cannot be read" : "it is longer than 256 KiB");
    }
    return 0;
}

int http_tokens_open(const char *path, struct http_tokens **tokens, struct el_error *err)
{
    if (path[0] == 0) {
        return http_tokens_parse(path, el_slice_str(""), tokens, err);
    }
    uint8_t *text = el_malloc(HTTP_TOKENS_FILE_MAX + 1);
    size_t len = 0;
    if (text == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for tokens");
    }
    int error = read_file(path, text, &len, err);
    if (error == 0) {
        error = http_tokens_parse(path, el_slice_of(text, len), tokens, err);
    }
    explicit_bzero(text, len);
    el_free(text);
    return error;
}

void http_tokens_free(struct http_tokens *tokens)
{
    if (tokens != NULL) {
        explicit_bzero(tokens->list, tokens->count * sizeof tokens->list[0]);
        el_free(tokens);
    }
}
