/* SPDX-License-Identifier: Apache-2.0 */
#include "scram_client.h"

#include <core/assert.h>
#include <core/base64.h>
#include <stdio.h>
#include <string.h>

void scram_client_last(const struct scram_client *client, const struct scram_said *said, struct scram_last *out)
{
    char binding[256], proof_text[EL_SCRAM_KEY_MAX * 2];
    uint8_t proof[EL_SCRAM_KEY_MAX];
    struct el_scram_server_first server;
    const char *bound = client->binding != NULL ? client->binding : said->gs2;
    int code = el_scram_parse_server_first(said->server_first, &server);
    EL_ASSERT(code == 0);
    struct el_slice nonce = client->nonce != NULL ? el_slice_str(client->nonce) : server.nonce;
    el_scram_salt(said->mechanism, el_slice_str(client->password), el_slice_of(server.salt, server.salt_len),
                  server.iterations, out->salted);
    el_base64_encode(binding, bound, strlen(bound));
    int len = snprintf(out->message, sizeof out->message, "c=%s,r=%.*s", binding, (int)nonce.len,
                       (const char *)nonce.data);
    snprintf(out->text, sizeof out->text, "%s,%.*s,%s", said->bare, (int)said->server_first.len,
             (const char *)said->server_first.data, out->message);
    el_scram_proof(said->mechanism, out->salted, el_slice_str(out->text), proof);
    proof[0] ^= client->flip ? 1 : 0;
    el_base64_encode(proof_text, proof, el_scram_key_len(said->mechanism));
    snprintf(out->message + len, sizeof out->message - (size_t)len, ",p=%s", proof_text);
}
