/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a client of the HTTP port comes from, as text. Pure functions.
 */
#ifndef EL_HTTP_CLIENT_ADDRESS_H
#define EL_HTTP_CLIENT_ADDRESS_H

#include <core/address.h>

#include <sys/socket.h>

/* As access rules write addresses (core/address.h), which is how the Kafka port tells them; "" when it is none. */
void http_client_address(const struct sockaddr *from, char address[EL_ADDRESS_TEXT_MAX]);

#endif
