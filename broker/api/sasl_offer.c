/* SPDX-License-Identifier: Apache-2.0 */
#include <api/sasl_offer.h>

#include <config/listener_settings.h>
#include <config/principals.h>

uint32_t sasl_offer(const struct api *api, const struct request *request, struct el_slice *names)
{
    const struct config_listener *listener = request_listener(request);
    enum config_protocol protocol = listener->protocol;
    uint32_t count = 0;
    struct el_slice word;
    if (!config_protocol_has_sasl(protocol)) {
        return 0;
    }
    const char *rest = listener_setting_text(api->node->config, listener, CONFIG_sasl_mechanisms);
    while (config_word_next(&rest, &word)) {
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
