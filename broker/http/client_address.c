/* SPDX-License-Identifier: Apache-2.0
 *
 * A port that listens at :: has clients of IPv4 as ::ffff:10.0.0.7, and no rule is about that: what is denied to
 * 10.0.0.7 would be allowed. Nor is any about the interface behind a link's own address (fe80::1%eth0).
 */
#include <http/client_address.h>

#include <arpa/inet.h>
#include <netinet/in.h>

void http_client_address(const struct sockaddr *from, char address[EL_ADDRESS_TEXT_MAX])
{
    char text[INET6_ADDRSTRLEN] = "";
    if (from->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, text, sizeof text);
    } else if (from->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)from)->sin_addr, text, sizeof text);
    }
    if (!el_address_canonical(el_slice_str(text), address)) {
        address[0] = '\0';
    }
}
