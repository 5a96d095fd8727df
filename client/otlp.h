/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the exporter of spans: its settings, its JSON, its queue.
 */
#ifndef EL_CLIENT_OTLP_H
#define EL_CLIENT_OTLP_H

#include "trace.h"

#include <core/buffer.h>

#define EL_OTLP_HEADERS_MAX 32
#define EL_OTLP_ATTRIBUTES_MAX 64
#define EL_OTLP_URL_MAX 2048
#define EL_OTLP_CA_MAX 4096

struct el_otlp_pair {
    char *key;   /* owned; "" is none */
    char *value; /* owned; of a header, wiped when it is freed */
};

struct el_otlp_config {
    bool on;
    char url[EL_OTLP_URL_MAX];
    char ca_file[EL_OTLP_CA_MAX]; /* "": the system's */
    int64_t timeout_ms;
    uint32_t queue_max; /* spans */
    uint32_t batch_max;
    int64_t delay_ms;
    double sample_ratio;
    bool ignores_parent;
    struct el_otlp_pair headers[EL_OTLP_HEADERS_MAX];
    uint32_t header_count;
    struct el_otlp_pair attributes[EL_OTLP_ATTRIBUTES_MAX]; /* of the resource, service.name first */
    uint32_t attribute_count;
};

typedef const char *(*el_env_fn)(const char *name);

/* --- otlp_config.c --- */

/* Read the environment.
 *
 * env      as getenv()
 * cfg      all zero before; filled, freed with el_otlp_config_free() whatever is returned
 * returns  0 | EVLOG_ERR_INVALID_CONFIG, with a text that names the variable and no header's value |
 *          EVLOG_ERR_NO_MEMORY
 */
int el_otlp_config_read(el_env_fn env, struct el_otlp_config *cfg, struct evlog_failure *failure);
void el_otlp_config_free(struct el_otlp_config *cfg);

/* --- otlp_json.c --- */

/* Write the request that exports spans: ExportTraceServiceRequest in JSON.
 *
 * spans    [count]
 * out      appended to
 * returns  0 | EVLOG_ERR_MALFORMED a text is not UTF-8 | EVLOG_ERR_NO_MEMORY
 */
int el_otlp_encode(const struct el_otlp_config *cfg, const struct evlog_span *const *spans, size_t count,
                   struct el_buffer *out);

/* How many spans of a request that it has taken a collector did not want: ExportTraceServiceResponse in JSON. An answer
 * that cannot be read has refused none.
 *
 * count    of the spans that were sent; more cannot be refused
 * message  [message_max], what the collector says of it, or of anything else; "": nothing
 */
uint32_t el_otlp_refused(struct el_slice answer, uint32_t count, char *message, size_t message_max);

#endif
