/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of a client as numbers, made once from their texts.
 */
#ifndef EL_CLIENT_CLIENT_CONFIG_H
#define EL_CLIENT_CLIENT_CONFIG_H

#include "assignor.h"

#include <core/compress.h>
#include <core/scram.h>
#include <evlog/settings.h>
#include <stdint.h>

#define EL_SASL_PLAIN EL_SCRAM_COUNT /* beside the mechanisms of enum el_scram_mechanism */
#define EL_SASL_PASSWORD_MAX 1024u

struct el_client_config {
    char *bootstrap; /* HOST:PORT[,HOST:PORT...], owned */
    char *client_id; /* owned */
    bool tls;
    char *tls_ca; /* owned, as the next two; empty: the system's, none */
    char *tls_certificate;
    char *tls_key;
    bool tls_check_name;
    bool sasl;
    int sasl_mechanism;  /* enum el_scram_mechanism, EL_SASL_PLAIN */
    char *sasl_username; /* owned */
    char *sasl_password; /* owned, wiped when it is freed */
    int64_t request_timeout_ms;
    int64_t connect_timeout_ms;
    int64_t reconnect_backoff_ms;
    int64_t reconnect_backoff_max_ms;
    int64_t retry_backoff_ms;
    int64_t retry_backoff_max_ms;
    int64_t metadata_max_age_ms;
    bool auto_create; /* ask the broker to make unknown topics when publishing */
    int16_t acks;     /* -1, 0, 1 */
    bool idempotence;
    int64_t delivery_timeout_ms;
    int64_t linger_ms;
    size_t batch_len;       /* bytes of a batch before it is sent */
    size_t request_len_max; /* bytes of the largest event, and of the batches in a request */
    enum el_codec codec;
    size_t buffer_len_max; /* bytes of events not yet acknowledged */
    int64_t block_max_ms;
    uint32_t in_flight_max; /* produce requests per connection */
    int32_t fetch_len_max;
    int32_t partition_fetch_len_max;
    int32_t fetch_len_min;
    int32_t fetch_wait_ms;
    char *group;                                   /* group.id, owned; empty: none */
    char *instance_id;                             /* group.instance.id, owned; empty: not a static member */
    enum el_assignor assignors[EL_ASSIGNOR_COUNT]; /* [assignor_count] best first */
    uint32_t assignor_count;
    int64_t session_timeout_ms;
    int64_t heartbeat_ms;
    int64_t poll_interval_ms; /* longest time between two calls of the reader; how long a rebalance waits for it */
    bool auto_commit;
    int64_t auto_commit_ms;
    bool auto_store;      /* an event counts as processed when the next one is asked for */
    int64_t reset_offset; /* EVLOG_OFFSET_LATEST, EVLOG_OFFSET_EARLIEST; EL_RESET_NONE: fail */
};

#define EL_RESET_NONE 0

/* Numbers out of settings (NULL: the defaults).
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG settings that contradict each other | EVLOG_ERR_NO_MEMORY
 */
int el_client_config_make(const struct evlog_settings *settings, struct el_client_config *cfg,
                          struct evlog_failure *failure);
void el_client_config_free(struct el_client_config *cfg);

#endif
