/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of share groups and work groups where there are none: dispatch lets none of them through.
 */
#include <api/api.h>

#define UNREACHABLE(stem)                                                                                              \
    void api_##stem(struct api *api, struct request *request, const void *message)                                     \
    {                                                                                                                  \
        EL_ASSERT(api->leases != NULL);                                                                                \
        request_close(request, "there are no work groups here");                                                       \
    }
UNREACHABLE(share_group_heartbeat)
UNREACHABLE(share_group_describe)
UNREACHABLE(share_fetch)
UNREACHABLE(share_acknowledge)
UNREACHABLE(describe_share_group_offsets)
UNREACHABLE(alter_share_group_offsets)
UNREACHABLE(delete_share_group_offsets)
UNREACHABLE(ext_lease_outcome)
UNREACHABLE(ext_group_why)
UNREACHABLE(ext_release_key)
UNREACHABLE(ext_group_progress)
