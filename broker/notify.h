/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells the service manager how the server is, by the protocol of sd_notify(3): one datagram to the socket that
 * NOTIFY_SOCKET names. Without that variable nothing happens. Any thread.
 */
#ifndef EL_BROKER_NOTIFY_H
#define EL_BROKER_NOTIFY_H

/* format makes the assignments, one a line: "READY=1\nSTATUS=serving". A manager that does not hear is logged once. */
void notify_service(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As "RELOADING=1" asks for: with the time, so that the manager can tell this reload from an earlier one. */
void notify_reloading(void);

#endif
