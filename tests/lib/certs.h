/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for tests, made on the spot: good ones, and each kind of bad one. PEM files in a folder of the test.
 */
#ifndef EL_TEST_CERTS_H
#define EL_TEST_CERTS_H

#include <stdbool.h>
#include <stdint.h>

struct cert_wish {
    const char *name;    /* of the files NAME.pem and NAME.key, without a folder */
    const char *issuer;  /* name of the CA that signs; NULL: itself */
    const char *subject; /* "O=Example,CN=app"; NULL: "CN=" and the name */
    const char *dns;     /* subject alternative names, NULL: none */
    const char *ip;
    const char *uri, *uri2;
    bool ca;
    bool sha1;
    bool p521;              /* a key of a curve that is not in the profile */
    int days_from, days_to; /* of validity, seen from today; both 0: from yesterday for 30 days */
};

/* Make the files in dir. Two calls of one name: the second replaces the first. */
void cert_make(const char *dir, const struct cert_wish *wish);
/* SHA-256 of the certificate NAME.pem, as it goes over the wire. */
void cert_digest(const char *dir, const char *name, uint8_t digest[32]);
/* dir/name.kind, in one of a few buffers that are used in turn. */
const char *cert_path(const char *dir, const char *name, const char *kind);

#endif
