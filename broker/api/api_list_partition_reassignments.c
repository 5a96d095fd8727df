/* SPDX-License-Identifier: Apache-2.0 */
#include <api/api.h>
#include <wire/msg_list_partition_reassignments.h>

/* Partitions never move. */
void api_list_partition_reassignments(struct api *api, struct request *request, const void *message)
{
    struct el_msg_list_partition_reassignments_response response;
    el_schema_init(&el_schema_list_partition_reassignments_response, &response);
    response.error_message = (struct el_slice){0};
    request_reply(request, &el_schema_list_partition_reassignments_response, &response);
}
