/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a file of tokens is taken as a whole or refused by line, never with a token in the text; a token is its
 * principal's and no other word is. Method: tables, and files with other rights.
 */
#include <http/tokens.h>

#include "../../lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "fedcba9876543210fedcba9876543210"

static struct http_tokens *parse(const char *text)
{
    struct http_tokens *tokens = NULL;
    struct el_error err = {0};
    if (http_tokens_parse("t", el_slice_str(text), &tokens, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return tokens;
}

TEST(tokens, bad_lines_are_refused_without_the_token)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"User:a", "t:1: a line is a principal"},
        {ONE "\n", "t:1: a line is a principal"},
        {"a " ONE, "t:1: a line is a principal"},
        {"\n\nUser: " ONE, "t:3: a line is a principal"},
        {"User:a short\n", "t:1: a token has 32"},
        {"User:a 0123456789abcdef0123456789abcde\n", "t:1: a token has 32"},
        {"User:a 0123456789abcdef0123456789abcde,f\n", "t:1: a token has 32"},
        {"User:a ================================\n", "t:1: a token has 32"},
        {"# one\nUser:a " ONE "\nUser:b " ONE "\n", "t:3: the token is that of a line before"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_tokens *tokens = NULL;
        struct el_error err = {0};
        assert_int_equal(http_tokens_parse("t", el_slice_str(rows[i].text), &tokens, &err), EVLOG_ERR_INVALID_CONFIG);
        assert_null(tokens);
        assert_non_null(strstr(err.text, rows[i].says));
        assert_null(strstr(err.text, "0123456789abcdef"));
    }
}

TEST(tokens, there_are_so_many_and_no_more)
{
    char text[(HTTP_TOKENS_MAX + 1) * 64];
    size_t len = 0;
    for (uint32_t i = 0; i <= HTTP_TOKENS_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "User:u%u %032u\n", i, i);
    }
    struct http_tokens *tokens = NULL;
    struct el_error err = {0};
    assert_int_equal(http_tokens_parse("t", el_slice_of(text, len), &tokens, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(err.text, "t:257: there can be 256"));
    len = (size_t)(strstr(text, "User:u256") - text);
    assert_int_equal(http_tokens_parse("t", el_slice_of(text, len), &tokens, &err), 0);
    assert_string_equal(http_tokens_find(tokens, el_slice_str("00000000000000000000000000000255")), "User:u255");
    http_tokens_free(tokens);
}

TEST(tokens, a_token_is_its_principals)
{
    struct http_tokens *tokens = parse("# who\r\n\r\n  User:CN=a b,O=c\t" ONE "  \r\nUser:two " TWO);
    assert_string_equal(http_tokens_find(tokens, el_slice_str(ONE)), "User:CN=a b,O=c");
    assert_string_equal(http_tokens_find(tokens, el_slice_str(TWO)), "User:two");
    assert_null(http_tokens_find(tokens, el_slice_str("")));
    assert_null(http_tokens_find(tokens, el_slice_str("0123456789abcdef0123456789abcdee")));
    assert_null(http_tokens_find(tokens, el_slice_of(ONE, 31)));
    http_tokens_free(tokens);
    tokens = parse("");
    assert_null(http_tokens_find(tokens, el_slice_str(ONE)));
    http_tokens_free(tokens);
}

TEST(tokens, of_headers)
{
    static const char *const none[] = {"",        "Bearer",      "Bearer ",    "Bearer =",   "Bearer a b", "Bearer a,b",
                                       "Beare a", "BearerToken", "Basic YTpi", "Bearer a=b", "Bearer \xff"};
    struct el_slice token;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(http_bearer_token(none[i], &token));
    }
    assert_true(http_bearer_token("bEARER   aZ09-._~+/==", &token));
    assert_true(el_slice_eq(token, el_slice_str("aZ09-._~+/==")));
}

TEST(tokens, a_file_that_others_may_read_is_refused)
{
    char path[600];
    struct http_tokens *tokens = NULL;
    struct el_error err = {0};
    snprintf(path, sizeof path, "%s/tokens", el_test_dir());
    assert_int_equal(http_tokens_open(path, &tokens, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(err.text, "No such file"));
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "User:a " ONE "\n", 40), 40);
    static const mode_t bad[] = {0604, 0644, 0620, 0601};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(fchmod(fd, bad[i]), 0);
        assert_int_equal(http_tokens_open(path, &tokens, &err), EVLOG_ERR_INVALID_CONFIG);
        assert_non_null(strstr(err.text, "chmod 600"));
    }
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_int_equal(http_tokens_open(path, &tokens, &err), 0);
    assert_string_equal(http_tokens_find(tokens, el_slice_str(ONE)), "User:a");
    http_tokens_free(tokens);
    assert_int_equal(ftruncate(fd, HTTP_TOKENS_FILE_MAX + 1), 0);
    assert_int_equal(http_tokens_open(path, &tokens, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(err.text, "longer than"));
    close(fd);
    assert_int_equal(http_tokens_open("", &tokens, &err), 0);
    http_tokens_free(tokens);
}
