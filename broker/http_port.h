/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's HTTP port: what its pages say, and who may see them. Main thread.
 */
#ifndef EL_HTTP_PORT_H
#define EL_HTTP_PORT_H

#include <archive/archive.h>
#include <http/tokens.h>
#include <shard.h>
#include <tls_files.h>

struct http_port;

/* All borrowed; what the shards have outlives the port. */
struct http_port_config {
    const struct config *cfg; /* with an HTTP port */
    struct shard *shards;     /* [shard_count] */
    struct metrics **metrics; /* [shard_count] */
    uint32_t shard_count;
    struct store *store;
    struct archive *archive; /* NULL: there is none */
    const struct tls_files *tls;
};

/* bound_port  out: the port in use
 * returns     0 | the code of http_start() or http_tokens_open(), with a text
 */
int http_port_start(const struct http_port_config *port_cfg, struct http_port **port, uint16_t *bound_port,
                    struct el_error *err);
/* The tokens of the file that cfg names, because of why, for http_port_renew(). port NULL: there are none.
 *
 * returns  0 | a fault, which the log has; *tokens is NULL then: those that are in force stay
 */
int http_port_read_tokens(const struct http_port *port, const struct config *cfg, const char *why,
                          struct http_tokens **tokens);
/* Settings, certificate, key and tokens as they are now. NULL is ignored. */
void http_port_renew(struct http_port *port, const struct config *cfg, const struct tls_files *tls,
                     struct http_tokens **take_tokens);
/* Close all connections; afterwards no shard is asked. NULL is ignored. Blocking. */
void http_port_stop(struct http_port *port);
/* After a stop, and after the shards' threads have ended. NULL is ignored. */
void http_port_destroy(struct http_port *port);

#endif
