/* SPDX-License-Identifier: Apache-2.0
 *
 * TypeRead: refused until the broker keeps an index of streams.
 */
#include <api/api.h>
#include <wire/msg_ext_type_read.h>

void api_ext_type_read(struct api *api, struct request *request, const void *message)
{
    struct el_msg_ext_type_read_response response;
    el_schema_init(&el_schema_ext_type_read_response, &response);
    response.error = api_error(EVLOG_ERR_UNSUPPORTED, false);
    response.message = api_error_message(EVLOG_ERR_UNSUPPORTED);
    metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
    request_reply(request, &el_schema_ext_type_read_response, &response);
}
