/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys for tests, as openssl writes them. They protect nothing: everybody has them.
 */
#ifndef EL_TEST_KEYS_H
#define EL_TEST_KEYS_H

#define TEST_KEY_P256                                                                                                  \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrLv6qzA5Aow9zAzQ\n"                                               \
    "5oQzGtrTsNt+rBo4JIMVpmh3hbahRANCAARO7LwHcUs0gdAKGX4S+PRyUiLuUD3F\n"                                               \
    "5UmhNJOXbra4jX+MjYC+akmbRWAk9A/o53qhY8st9ItUWBYEKkcMeiTl\n"                                                       \
    "-----END PRIVATE KEY-----\n"
#define TEST_KEY_P256_PUBLIC                                                                                           \
    "-----BEGIN PUBLIC KEY-----\n"                                                                                     \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETuy8B3FLNIHQChl+Evj0clIi7lA9\n"                                               \
    "xeVJoTSTl262uI1/jI2AvmpJm0VgJPQP6Od6oWPLLfSLVFgWBCpHDHok5Q==\n"                                                   \
    "-----END PUBLIC KEY-----\n"
#define TEST_KEY_ED25519                                                                                               \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MC4CAQAwBQYDK2VwBCIEIIW+Aj8jRSvU//Wn/ue42gLq8dJzh4RD0dzgD81dgPJX\n"                                               \
    "-----END PRIVATE KEY-----\n"
#define TEST_KEY_ED25519_PUBLIC                                                                                        \
    "-----BEGIN PUBLIC KEY-----\n"                                                                                     \
    "MCowBQYDK2VwAyEAkAK0ss8MaQa4ooa6ZOwCcKJj11LgCMx/BarWgjGCx1c=\n"                                                   \
    "-----END PUBLIC KEY-----\n"
#define TEST_KEY_ED25519_SECOND                                                                                        \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MC4CAQAwBQYDK2VwBCIEICZu4ov+R0teq3zR2VxLLTwKIBr0x7S0b1cDlYtUWKc7\n"                                               \
    "-----END PRIVATE KEY-----\n"
#define TEST_KEY_ED25519_THIRD                                                                                         \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MC4CAQAwBQYDK2VwBCIEIBj9RD64NqmDG8bPgIumQ6mmAOOwTMPDNFJOxold6c3d\n"                                               \
    "-----END PRIVATE KEY-----\n"
/* In the form of older tools (RFC 5915) */
#define TEST_KEY_P256_OLD                                                                                              \
    "-----BEGIN EC PARAMETERS-----\n"                                                                                  \
    "BggqhkjOPQMBBw==\n"                                                                                               \
    "-----END EC PARAMETERS-----\n"                                                                                    \
    "-----BEGIN EC PRIVATE KEY-----\n"                                                                                 \
    "MHcCAQEEIAVbvV67EYjmpq+fbDjjLpN0vcgGyWNim1GS5IzmWvPWoAoGCCqGSM49\n"                                               \
    "AwEHoUQDQgAEkuDgQdON+/vkjZT/hPVlyhHVcVDr53fx7yTUIRsqpV+hEMzlvcn+\n"                                               \
    "rO09BgpgS6BqbDfT9pREvhxyJ9XdU7HkfA==\n"                                                                           \
    "-----END EC PRIVATE KEY-----\n"
#define TEST_KEY_P256_OLD_PUBLIC                                                                                       \
    "-----BEGIN PUBLIC KEY-----\n"                                                                                     \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkuDgQdON+/vkjZT/hPVlyhHVcVDr\n"                                               \
    "53fx7yTUIRsqpV+hEMzlvcn+rO09BgpgS6BqbDfT9pREvhxyJ9XdU7HkfA==\n"                                                   \
    "-----END PUBLIC KEY-----\n"

#endif
