/* SPDX-License-Identifier: Apache-2.0
 *
 * SaslHandshake: the client names a mechanism; the exchange begins anew, on a connection that is trusted already to
 * prove it once more (KIP-368). Without one that is offered here the answer lists those that are. While a worker looks
 * at a password of the connection there is no other: one connection would keep all workers busy.
 */
#include <api/sasl_offer.h>
#include <wire/msg_sasl_handshake.h>

void api_sasl_handshake(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_sasl_handshake_request *ask = message;
    struct el_msg_sasl_handshake_response response;
    struct el_slice names[SASL_OFFER_MAX];
    el_schema_init(&el_schema_sasl_handshake_response, &response);
    response.mechanisms = names;
    response.mechanism_count = sasl_offer(api, request, names);
    if (response.mechanism_count == 0) {
        response.error_code = EL_KAFKA_ILLEGAL_SASL_STATE; /* a listener without SASL */
    } else if (!sasl_offered(names, response.mechanism_count, ask->mechanism)) {
        response.error_code = EL_KAFKA_UNSUPPORTED_SASL_MECHANISM;
    } else if (request_sasl(request) != NULL && sasl_is_checked(request_sasl(request))) {
        response.error_code = EL_KAFKA_ILLEGAL_SASL_STATE;
    } else if (request_sasl_begin(request, sasl_find(ask->mechanism)) != 0) {
        api_refuse_memory(api, request);
        return;
    }
    if (response.error_code != EL_KAFKA_NONE) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
    }
    request_reply(request, &el_schema_sasl_handshake_response, &response);
}
