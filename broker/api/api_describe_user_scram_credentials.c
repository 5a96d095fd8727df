/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeUserScramCredentials: mechanisms and iterations of the users named, or of all; never a salt or a key.
 */
#include <api/access_call.h>
#include <wire/msg_describe_user_scram_credentials.h>

static const int mechanisms[] = {EL_SCRAM_SHA256, EL_SCRAM_SHA512};
#define MECHANISM_COUNT (sizeof mechanisms / sizeof mechanisms[0])

/* returns false without memory */
static bool fill(struct api *api, struct request *request, struct el_slice name,
                 struct el_msg_describe_user_scram_credentials_result *out)
{
    out->user = name;
    out->credential_infos = el_schema_new(&el_schema_describe_user_scram_credentials_info, &request->arena,
                                          MECHANISM_COUNT);
    if (out->credential_infos == NULL) {
        return false;
    }
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        const struct auth_user *user = auth_user_find(api->auth, mechanisms[i], name);
        if (user != NULL) {
            struct el_msg_describe_user_scram_credentials_info *info =
                &out->credential_infos[out->credential_info_count++];
            info->mechanism = (int8_t)user->mechanism;
            info->iterations = (int32_t)user->iterations;
        }
    }
    if (out->credential_info_count == 0) {
        out->error_code = EL_KAFKA_RESOURCE_NOT_FOUND;
        out->error_message = el_slice_str("there is no such user");
    }
    return true;
}

/* A user with both mechanisms is told once: at the first. */
static bool told_before(const struct api *api, const struct auth_user *user)
{
    return user->mechanism == EL_SCRAM_SHA512 && auth_user_find(api->auth, EL_SCRAM_SHA256, user->name) != NULL;
}

static bool fill_all(struct api *api, struct request *request,
                     struct el_msg_describe_user_scram_credentials_response *response)
{
    for (uint32_t i = 0; i < auth_user_count(api->auth); i++) {
        const struct auth_user *user = auth_user_at(api->auth, i);
        if (!told_before(api, user) && !fill(api, request, user->name, &response->results[response->result_count++])) {
            return false;
        }
    }
    return true;
}

/* A name that is given twice is an error of its own, as Kafka has it. */
static bool fill_named(struct api *api, struct request *request,
                       const struct el_msg_describe_user_scram_credentials_request *ask,
                       struct el_msg_describe_user_scram_credentials_response *response)
{
    struct el_map seen;
    el_map_init(&seen, api->buddy);
    bool filled = true;
    for (uint32_t i = 0; filled && i < ask->user_count; i++) {
        struct el_slice name = ask->users[i].name;
        int code = el_map_put(&seen, name.len == 0 ? (const void *)"" : name.data, name.len, response);
        struct el_msg_describe_user_scram_credentials_result *out = &response->results[response->result_count++];
        filled = code != EVLOG_ERR_NO_MEMORY && fill(api, request, name, out);
        if (filled && code == EVLOG_ERR_EXISTS) {
            out->error_code = EL_KAFKA_DUPLICATE_RESOURCE;
            out->error_message = el_slice_str("the user is named twice in the request");
            out->credential_info_count = 0;
        }
    }
    el_map_destroy(&seen);
    return filled;
}

void api_describe_user_scram_credentials(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_user_scram_credentials_request *ask = message;
    struct el_msg_describe_user_scram_credentials_response response;
    el_schema_init(&el_schema_describe_user_scram_credentials_response, &response);
    uint32_t count = ask->user_count == 0 ? auth_user_count(api->auth) : ask->user_count;
    response.results = api_new(api, request, &el_schema_describe_user_scram_credentials_result, count);
    if (response.results == NULL) {
        return;
    }
    bool filled = ask->user_count == 0 ? fill_all(api, request, &response) : fill_named(api, request, ask, &response);
    if (!filled) {
        api_refuse_memory(api, request);
        return;
    }
    request_reply(request, &el_schema_describe_user_scram_credentials_response, &response);
}
