/* SPDX-License-Identifier: Apache-2.0 */
#include <api/sasl_offer.h>

#include <config/principals.h>

uint32_t sasl_offer(const struct api *api, const struct request *request, struct el_slice *names)
{
    enum config_protocol protocol = request_listener(request)->protocol;
    uint32_t count = 0;
    struct el_slice word;
    if (!config_protocol_has_sasl(protocol)) {
        return 0;
    }
    for (const char *rest = api->node->config->sasl_mechanisms; config_word_next(&rest, &word);) {
        int mechanism = sasl_find(word);
        bool safe = mechanism != SASL_PLAIN || config_protocol_has_tls(protocol);
        if (mechanism != 0 && safe && count < SASL_OFFER_MAX && !sasl_offered(names, count, word)) {
            names[count++] = el_slice_str(sasl_name(mechanism));
        }
    }
    return count;
}

bool sasl_offered(const struct el_slice *names, uint32_t count, struct el_slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (el_slice_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}
