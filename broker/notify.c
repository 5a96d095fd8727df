/* SPDX-License-Identifier: Apache-2.0
 *
 * libsystemd would bring a compressor and a crypto library into evlogd for one datagram.
 */
#include <core/logger.h>
#include <notify.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NOTIFY_TEXT_MAX 512

/* returns the address' length, 0 when the variable names none: a path, or a name of Linux' own behind '@' */
static socklen_t socket_address(struct sockaddr_un *address)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name == NULL ? 0 : strlen(name);
    if (len < 2 || len >= sizeof address->sun_path || (name[0] != '/' && name[0] != '@')) {
        return 0;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, len);
    if (name[0] == '@') {
        address->sun_path[0] = '\0';
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void notify_service(const char *format, ...)
{
    static _Atomic bool complained;
    struct sockaddr_un address;
    socklen_t address_len = socket_address(&address);
    if (address_len == 0) {
        return;
    }
    char text[NOTIFY_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t sent = fd < 0 ? -1 : sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, address_len);
    if (sent < 0 && !atomic_exchange_explicit(&complained, true, memory_order_relaxed)) {
        el_log(EL_LOG_WARN, "server", "the service manager at NOTIFY_SOCKET does not hear: %s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    notify_service("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration again",
                   (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
}
