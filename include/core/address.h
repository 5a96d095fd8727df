/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of clients as text. Pure functions.
 */
#ifndef EL_CORE_ADDRESS_H
#define EL_CORE_ADDRESS_H

#include <core/bytes.h>

#include <stdbool.h>

#define EL_ADDRESS_TEXT_MAX 46u /* INET6_ADDRSTRLEN, with the NUL */

/* The one way to write an address, which is also how evlogd tells that of a connection: as inet_ntop() does it, and
 * IPv4 inside of IPv6 as IPv4. given may be in brackets. returns false: it is no numeric address */
bool el_address_canonical(struct el_slice given, char address[EL_ADDRESS_TEXT_MAX]);
/* Are both numeric addresses, and the same one? */
bool el_address_same(struct el_slice a, struct el_slice b);

#endif
