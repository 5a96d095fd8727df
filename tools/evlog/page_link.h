/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection to the server's HTTP port, with TLS or without. Blocking, with a time limit for each step.
 */
#ifndef EVLOG_TOOLS_PAGE_LINK_H
#define EVLOG_TOOLS_PAGE_LINK_H

#include "cli.h"

#include <core/err.h>

struct page_link;

/* address   HOST:PORT or [ADDRESS]:PORT, with "https://" before it for TLS, by the ssl.* of settings; "http://" says
 *           the same as none
 * returns   0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_UNREACHABLE, also for a certificate | EVLOG_ERR_INVALID_CONFIG for files
 *           that cannot serve | EVLOG_ERR_NO_MEMORY, each with a text
 */
int page_link_open(const char *address, const struct evlog_settings *settings, int64_t timeout_ms,
                   struct page_link **link, struct el_error *err);
/* HOST:PORT of the address. */
const char *page_link_host(const struct page_link *link);
/* returns 0 | EVLOG_ERR_UNREACHABLE with a text */
int page_link_send(struct page_link *link, struct el_slice data, struct el_error *err);
/* All that comes until the other side closes, at most len_max. returns 0 | EVLOG_ERR_LIMIT | EVLOG_ERR_UNREACHABLE */
int page_link_receive(struct page_link *link, struct el_buffer *answer, size_t len_max, struct el_error *err);
/* NULL is ignored. */
void page_link_close(struct page_link *link);

#endif
