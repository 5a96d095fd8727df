/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a transparency log for programs of others to read, with new keys.
 *
 * usage: proofs DIR LEAVES OLD INDEX
 *
 *   DIR/tile/...          tiles of the tree of LEAVES leaves; entry i is "entry <i>"
 *   DIR/checkpoint        signed with both kinds of keys; DIR/old: the same of the first OLD leaves
 *   DIR/keys              verifier key of Ed25519; "NAME ecdsa BASE64", the DER of the other
 *   DIR/proof, DIR/entry  a proof of entry INDEX, and the entry
 */
#include <core/base64.h>
#include <format/tlog_proof.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NAME "example.com/evlog"

static const char *folder;
static struct el_hash256 *leaves;

static void fail(const char *what)
{
    fprintf(stderr, "proofs: %s\n", what);
    exit(1);
}

static void write_file(const char *name, const void *data, size_t len)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0777);
        *at = '/';
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        fail(path);
    }
}

static int get(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash)
{
    (void)arg;
    el_merkle_root(leaves + (index << level), 1ull << level, hash);
    return 0;
}

static void write_tiles(uint64_t size)
{
    for (uint32_t level = 0; level <= EL_TILE_LEVEL_MAX; level++) {
        uint32_t width;
        for (uint64_t i = 0; (width = el_tile_width(level, i, size)) > 0; i++) {
            struct el_hash256 hashes[EL_TILE_HASHES];
            char name[EL_TILE_NAME_MAX];
            for (uint32_t k = 0; k < width; k++) {
                get(NULL, 8 * level, i * EL_TILE_HASHES + k, &hashes[k]);
            }
            el_tile_name(name, level, i, width);
            write_file(name, hashes, width * sizeof(hashes[0]));
        }
    }
}

static void write_checkpoint(const char *name, uint64_t size, struct el_private_key **keys, struct el_buffer *out)
{
    struct el_hash256 root;
    el_merkle_root(leaves, size, &root);
    if (el_note_sign(el_slice_str(NAME "/log"), size, root.bytes, el_slice_str(NAME), keys, 2, out) != 0) {
        fail("no checkpoint");
    }
    write_file(name, out->data, out->len);
}

static void write_keys(struct el_private_key **keys)
{
    struct el_public_key pub;
    char text[1024], vkey[256], encoded[256];
    el_private_key_public(keys[1], &pub);
    if (el_note_vkey(el_slice_str(NAME), &pub, vkey, sizeof(vkey)) != 0) {
        fail("no verifier key");
    }
    el_private_key_public(keys[0], &pub);
    el_base64_encode(encoded, pub.bytes, pub.len);
    int len = snprintf(text, sizeof(text), "%s\n%s ecdsa %s\n", vkey, NAME, encoded);
    write_file("keys", text, (size_t)len);
}

int main(int argc, char **argv)
{
    struct el_private_key *keys[2];
    struct el_buffer note = {0}, old_note = {0}, text = {0};
    struct el_tlog_proof proof = {0};
    char entry[32];
    if (argc != 5) {
        fail("usage: proofs DIR LEAVES OLD INDEX");
    }
    folder = argv[1];
    uint64_t size = strtoull(argv[2], NULL, 10), old = strtoull(argv[3], NULL, 10);
    proof.index = strtoull(argv[4], NULL, 10);
    leaves = calloc(size + 1, sizeof(*leaves));
    if (leaves == NULL || el_private_key_make(EL_SIGN_ECDSA_P256, &keys[0], NULL) != 0 ||
        el_private_key_make(EL_SIGN_ED25519, &keys[1], NULL) != 0) {
        fail("no memory, or no keys");
    }
    for (uint64_t i = 0; i < size; i++) {
        el_merkle_leaf(entry, (size_t)snprintf(entry, sizeof(entry), "entry %llu", (unsigned long long)i), &leaves[i]);
    }
    write_tiles(size);
    write_checkpoint("old", old, keys, &old_note);
    write_checkpoint("checkpoint", size, keys, &note);
    write_keys(keys);
    proof.note = el_buffer_slice(&note);
    if (el_merkle_prove(proof.index, size, get, NULL, proof.hashes, &proof.count) != 0 ||
        el_tlog_proof_write(el_slice_str("said besides"), &proof, &text) != 0) {
        fail("no proof");
    }
    write_file("proof", text.data, text.len);
    int len = snprintf(entry, sizeof(entry), "entry %llu", (unsigned long long)proof.index);
    write_file("entry", entry, (size_t)len);
    el_private_key_free(keys[0]);
    el_private_key_free(keys[1]);
    el_buffer_free(&note);
    el_buffer_free(&old_note);
    el_buffer_free(&text);
    free(leaves);
    return 0;
}
