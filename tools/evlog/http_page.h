/* SPDX-License-Identifier: Apache-2.0
 *
 * A page of the server's HTTP port, and numbers of its metrics.
 */
#ifndef EVLOG_TOOLS_HTTP_PAGE_H
#define EVLOG_TOOLS_HTTP_PAGE_H

#include "cli.h"

#include <core/err.h>

#define HTTP_PAGE_MAX (16u << 20)
#define HTTP_PAGE_ADDRESS "127.0.0.1:8080"

struct http_page {
    int status;            /* of the answer */
    struct el_buffer text; /* the body */
};

/* GET a page, with Basic credentials when the client's settings have sasl.username and sasl.password.
 *
 * address  HOST:PORT, https://HOST:PORT for TLS, see page_link.h
 * page     empty; freed by the caller with el_buffer_free(&page->text), also after an error
 * returns  0 | EVLOG_ERR_UNREACHABLE, _MALFORMED, _LIMIT, _ARGUMENT, _INVALID_CONFIG, _NO_MEMORY with a text
 */
int http_page_get(const struct cli *cli, const char *address, const char *path, struct http_page *page,
                  struct el_error *err);
/* Each sample of a metric in a page of metrics: labels as they stand between the braces, "" for none. */
typedef void (*http_sample_fn)(void *arg, const char *labels, double value);
size_t http_page_samples(const char *text, const char *metric, http_sample_fn fn, void *arg);
/* The text of a label; false when it is not there, or is longer than room. */
bool http_page_label(const char *labels, const char *name, char *out, size_t room);

#endif
