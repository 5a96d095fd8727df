/* SPDX-License-Identifier: Apache-2.0
 *
 * UpdateFeatures: evlog announces no features, so that none has a level to change. From version 2 on the answer has one
 * error for all, before that one for each feature.
 */
#include <api/api.h>
#include <wire/msg_update_features.h>

#define VERSION_ONE_ERROR 2
#define WHY "evlogd has no features with levels: there is nothing to raise or lower"

void api_update_features(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_update_features_request *ask = message;
    struct el_msg_update_features_response response;
    el_schema_init(&el_schema_update_features_response, &response);
    response.error_message = (struct el_slice){0};
    if (ask->feature_update_count > 0) {
        api_count_refusal(api, EVLOG_ERR_UNSUPPORTED);
    }
    if (request->api_version >= VERSION_ONE_ERROR) {
        if (ask->feature_update_count > 0) {
            response.error_code = EL_KAFKA_INVALID_UPDATE_VERSION;
            response.error_message = el_slice_str(WHY);
        }
        request_reply(request, &el_schema_update_features_response, &response);
        return;
    }
    response.results = api_new(api, request, &el_schema_update_features_result, ask->feature_update_count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = ask->feature_update_count;
    for (uint32_t i = 0; i < ask->feature_update_count; i++) {
        response.results[i].feature = ask->feature_updates[i].feature;
        response.results[i].error_code = EL_KAFKA_INVALID_UPDATE_VERSION;
        response.results[i].error_message = el_slice_str(WHY);
    }
    request_reply(request, &el_schema_update_features_response, &response);
}
