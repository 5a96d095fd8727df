/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may see /metrics: the users and rules of the Kafka port, asked by the HTTP thread.
 */
#ifndef EL_HTTP_ACCESS_H
#define EL_HTTP_ACCESS_H

#include <audit/audit_relay.h>
#include <http/http.h>
#include <http/tokens.h>
#include <shard.h>

#define HTTP_AUDIT_LISTENER "HTTP" /* as records of the audit log have it */

struct http_access;

/* shard is the one that is asked, and audit is told of proofs and denials; both outlive this. returns 0 |
 * EVLOG_ERR_NO_MEMORY */
int http_access_create(struct shard *shard, struct audit_relay *audit, const struct config *cfg,
                       struct http_access **access);
/* What a reload changes: the settings that decide, and the tokens. Any thread.
 *
 * take_tokens  *take_tokens NULL: they stay as they were
 */
void http_access_renew(struct http_access *access, const struct config *cfg, struct http_tokens **take_tokens);
/* After the shard's thread has ended. NULL is ignored. */
void http_access_destroy(struct http_access *access);
/* See http.h; one thread at a time, while the shard runs. Takes milliseconds for a password. */
enum http_verdict http_access_judge(struct http_access *access, const struct http_caller *caller, char *reason,
                                    size_t reason_max);

#endif
