/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a client: names and values as text, with Kafka's own names where Kafka has one.
 *
 * A settings object is filled by one thread and read by evlog_client_open(), which copies it; it may be freed at once
 * afterwards. Nothing here blocks except evlog_settings_load(), which reads a file. Since 1.0.
 *
 *     bootstrap.servers        HOST:PORT[,HOST:PORT...], default 127.0.0.1:9092
 *     client.id                name in the broker's logs, default evlog
 *     request.timeout.ms       one request and its answer, default 30000
 *     socket.connection.setup.timeout.ms   default 10000
 *     reconnect.backoff.ms, reconnect.backoff.max.ms   default 50, 1000; full jitter
 *     retry.backoff.ms, retry.backoff.max.ms           default 100, 1000; full jitter
 *     metadata.max.age.ms      default 300000
 *     allow.auto.create.topics default true: publishing to an unknown topic makes it, where the broker allows that
 *     acks                     all, 1 or 0; default all
 *     enable.idempotence       default true; a retry is not stored twice while the producer lives
 *     delivery.timeout.ms      from publish to success or failure, default 120000
 *     linger.ms                wait for more events of a batch, default 5; a blocking publish never waits
 *     batch.size               bytes, default 16384; a batch may hold one larger event
 *     max.request.size         bytes of the largest event, default 1048576
 *     compression.type         lz4 (default), none, gzip, snappy, zstd
 *     buffer.memory            bytes of events that wait to be sent, default 33554432
 *     max.block.ms             how long publish waits for memory or for a topic's partitions, default 60000
 *     max.in.flight.requests.per.connection   default 5, the most that idempotence allows
 *     fetch.max.bytes, max.partition.fetch.bytes, fetch.min.bytes, fetch.max.wait.ms
 *                              default 8388608, 1048576, 1, 500
 *     group.id                 group of a subscriber that names none, default empty
 *     group.instance.id        makes a subscriber a static member: it may restart within session.timeout.ms and keeps
 *                              its partitions; default empty
 *     partition.assignment.strategy  cooperative-sticky (default), range, roundrobin, or several with commas between
 *                              them, best first; all members of a group need one in common
 *     session.timeout.ms       silence after which the group goes on without a member, default 45000
 *     heartbeat.interval.ms    default 3000
 *     max.poll.interval.ms     longest time between two calls of a subscriber, default 300000
 *     enable.auto.commit, auto.commit.interval.ms  default true, 5000
 *     enable.auto.offset.store default true: an event counts as processed when the next one is asked for
 *     auto.offset.reset        where to begin without a committed offset: latest (default), earliest, none
 *     security.protocol        plaintext (default), ssl, sasl_plaintext, sasl_ssl: with TLS, with SASL, with both
 *     ssl.ca.location          PEM file of the CAs that are trusted to sign brokers' certificates; default the system's
 *     ssl.certificate.location, ssl.key.location   PEM files of a certificate of the client's own and its key, where
 *                              the broker asks for one; default none
 *     ssl.endpoint.identification.algorithm  https (default): the broker's certificate must be for the name or address
 *                              that was connected to; none: for any
 *     sasl.mechanism           SCRAM-SHA-256 (default), SCRAM-SHA-512, PLAIN (with sasl_ssl only)
 *     sasl.username, sasl.password   who the client is; the password is in no text of a failure or of the log
 */
#ifndef EVLOG_SETTINGS_H
#define EVLOG_SETTINGS_H

#include <evlog/failure.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_settings;

/* A settings object with every setting at its default.
 *
 * settings  written on success; free with evlog_settings_free()
 * returns   0 | EVLOG_ERR_NO_MEMORY
 */
int evlog_settings_new(struct evlog_settings **settings);

/* Change one setting.
 *
 * key, value  NUL-terminated, copied
 * returns     0 | EVLOG_ERR_INVALID_CONFIG unknown key (the hint names the nearest one) or value not allowed |
 *             EVLOG_ERR_NO_MEMORY
 */
int evlog_settings_set(struct evlog_settings *settings, const char *key, const char *value,
                       struct evlog_failure *failure);

/* Read settings from a file of "key = value" lines; # begins a comment line. Blocks on the file.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND, EVLOG_ERR_IO the file | EVLOG_ERR_INVALID_CONFIG with path:line in the text
 */
int evlog_settings_load(struct evlog_settings *settings, const char *path, struct evlog_failure *failure);

/* The present value as text, valid until the setting is changed or freed; NULL for an unknown key. */
const char *evlog_settings_get(const struct evlog_settings *settings, const char *key);

/* Free; NULL is allowed. */
void evlog_settings_free(struct evlog_settings *settings);

#ifdef __cplusplus
}
#endif
#endif
