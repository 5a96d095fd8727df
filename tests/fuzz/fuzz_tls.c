/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stranger may send to a listener with TLS: a handshake on a server, in pieces whose lengths the input says,
 * then records as data. Whatever comes is refused or asks for more; a refusal has a reason.
 *
 * Output has no room unless the input begins with 0xff: the server then stops before it signs, which costs
 * milliseconds.
 */
#include <core/assert.h>
#include <core/tls.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Made for this program, in force for a hundred years, trusted by nobody. */
static const char files[] = "-----BEGIN CERTIFICATE-----\n"
                            "MIIBjDCCATGgAwIBAgIUMEOey9KeRg0jXWd5DdF3IjofxyQwCgYIKoZIzj0EAwIw\n"
                            "DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjkwMDM0MzJaGA8yMTI2MTEwNTAwMzQz\n"
                            "MlowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOqu\n"
                            "/rN62cyqZt4ItgFRmyQ/V7XoqOQIQEFtG6d/gA5p8mbzPvTHMla2d46cQ4G/GLSZ\n"
                            "oGHqv05XWrYMwd+Xim6jaTBnMB0GA1UdDgQWBBRc3Du8/+kwbVk7WnddpCkIneb8\n"
                            "bTAfBgNVHSMEGDAWgBRc3Du8/+kwbVk7WnddpCkIneb8bTAPBgNVHRMBAf8EBTAD\n"
                            "AQH/MBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAKBggqhkjOPQQDAgNJADBGAiEAtZy8\n"
                            "qA/9E/P3GncrB3xFBTaCEpL+VI+RDotfJvcphioCIQD8LCV0dZyRH+a7I4Btp8+V\n"
                            "zHvFtTjzS9Us29TvdDQg4w==\n"
                            "-----END CERTIFICATE-----\n"
                            "-----BEGIN EC PRIVATE KEY-----\n"
                            "MHcCAQEEIFT9UyFlX5BIRIb/miyAkWDEpl7JekiXM2SoLvmNCGNdoAoGCCqGSM49\n"
                            "AwEHoUQDQgAE6q7+s3rZzKpm3gi2AVGbJD9Xteio5AhAQW0bp3+ADmnyZvM+9Mcy\n"
                            "VrZ3jpxDgb8YtJmgYeq/TldatgzB35eKbg==\n"
                            "-----END EC PRIVATE KEY-----\n";

static struct el_tls_config *open_config(void)
{
    char path[64];
    struct el_tls_config *config = NULL;
    struct el_error err = {0};
    int fd = memfd_create("tls", MFD_CLOEXEC);
    EL_ASSERT(fd >= 0);
    EL_ASSERT(fchmod(fd, 0600) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = write(fd, files, sizeof files - 1);
    EL_ASSERT(n == (ssize_t)sizeof files - 1);
    struct el_tls_options options = {
        .server = true, .certificate_file = path, .key_file = path, .ca_file = path, .auth = EL_TLS_AUTH_REQUESTED};
    int rc = el_tls_config_open(&options, &config, &err);
    (void)close(fd);
    EL_ASSERT(rc == 0);
    return config;
}

/* One piece of the input. returns false when the connection is at its end */
static bool feed(struct el_tls *tls, struct el_tls_bytes *bytes, bool *done)
{
    static uint8_t plain[1024];
    struct el_error err = {0};
    while (!*done) {
        bytes->out_len = 0;
        int rc = el_tls_handshake(tls, bytes, &err);
        EL_ASSERT(rc >= 0 || (err.code == rc && err.text[0] != '\0'));
        *done = rc == EL_TLS_DONE;
        if (rc == EL_TLS_WANT_IN) {
            EL_ASSERT(bytes->in_len == 0);
            return true;
        }
        if (rc < 0 || bytes->out_room < 1000) {
            return false;
        }
    }
    int64_t n = 1;
    while (n > 0) {
        n = el_tls_read(tls, bytes, plain, sizeof plain);
    }
    EL_ASSERT(n < 0 || bytes->in_len == 0);
    return n == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct el_tls_config *config;
    static uint8_t out[32 << 10];
    if (len == 0) {
        return 0;
    }
    if (config == NULL) {
        config = open_config();
    }
    struct el_tls *tls = el_tls_new(config, NULL);
    EL_ASSERT(tls != NULL);
    size_t piece = data[0] == 0xff ? len : 1u + data[0];
    bool done = false;
    for (size_t pos = 1; pos < len; pos += piece) {
        struct el_tls_bytes bytes = {.in = data + pos,
                                     .in_len = EL_MIN(piece, len - pos),
                                     .out = out,
                                     .out_room = data[0] == 0xff ? sizeof out : 16};
        if (!feed(tls, &bytes, &done)) {
            break;
        }
    }
    el_tls_free(tls);
    return 0;
}
